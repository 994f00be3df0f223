//! Flax: a dense layer for each gate, `ii/kernel [I, H]` and so on.
//!
//! Kernels are transposed, and the gates are concatenated. A `+` marks the dense layers with a bias:
//!
//! | cell | Linen | NNX |
//! | --- | --- | --- |
//! | `LSTMCell` | `ii if ig io`, `hi+ hf+ hg+ ho+` | the same, with `if_` for `if` |
//! | `OptimizedLSTMCell` | the same | `dense_i`, `dense_h+`: all gates side by side |
//! | `GRUCell` | `ir+ iz+ in+`, `hr hz hn+` | `dense_i+`, `dense_h` |
//! | `SimpleCell` | `i+`, `h` | the same |

use crate::weights::array::Array;
use crate::weights::contents::Tensors;
use crate::weights::error_list::{ErrorList, shown};
use crate::weights::keymap::{Cell, KeyMap, Parameters, TensorMapping, Translated, one_type};
use std::collections::BTreeSet;

pub(super) struct Flax;

/// The dense layers of a cell, gate by gate in PyTorch's order, and whether Flax gives them a bias.
struct Form {
    input: &'static [(&'static str, bool)],
    hidden: &'static [(&'static str, bool)],
    /// How many gates one dense layer holds.
    gates: usize,
}

const LSTM: Form = Form {
    input: &[("ii", false), ("if", false), ("ig", false), ("io", false)],
    hidden: &[("hi", true), ("hf", true), ("hg", true), ("ho", true)],
    gates: 1,
};
const LSTM_NNX: Form =
    Form { input: &[("ii", false), ("if_", false), ("ig", false), ("io", false)], ..LSTM };
const LSTM_FUSED: Form =
    Form { input: &[("dense_i", false)], hidden: &[("dense_h", true)], gates: 4 };
const GRU_FUSED: Form =
    Form { input: &[("dense_i", true)], hidden: &[("dense_h", false)], gates: 3 };
const GRU: Form = Form {
    input: &[("ir", true), ("iz", true), ("in", true)],
    hidden: &[("hr", false), ("hz", false), ("hn", true)],
    gates: 1,
};
const SIMPLE: Form = Form { input: &[("i", true)], hidden: &[("h", false)], gates: 1 };

fn form(cell: &Cell<'_>) -> Option<&'static Form> {
    let has = |name: &str| cell.tensors.contains_key(&format!("{name}/kernel"));
    match () {
        () if has("hi") && has("if_") => Some(&LSTM_NNX),
        () if has("hi") => Some(&LSTM),
        () if has("hr") => Some(&GRU),
        () if has("dense_h") && is_three_wide(cell) => Some(&GRU_FUSED),
        () if has("dense_h") => Some(&LSTM_FUSED),
        () if has("h") && has("i") => Some(&SIMPLE),
        () => None,
    }
}

/// Whether `dense_h` holds three gates.
fn is_three_wide(cell: &Cell<'_>) -> bool {
    let shape = cell.tensors.get("dense_h/kernel").map(|(_, array)| array.shape());
    matches!(shape, Some(&[hidden, columns]) if hidden.checked_mul(3) == Some(columns))
}

impl KeyMap for Flax {
    const OWN: usize = 2;

    fn check(tensors: &Tensors) -> Result<(), String> {
        let beside = |name: &str, other: &str| {
            let path = name.strip_suffix("hf/kernel").or_else(|| name.strip_suffix("hf.kernel"))?;
            Some(tensors.keys().any(|name| name.starts_with(&format!("{path}{other}"))))
        };
        let is_mgu =
            |name: &&String| beside(name, "hn") == Some(true) && beside(name, "hi") == Some(false);
        match tensors.keys().find(is_mgu) {
            Some(name) => Err(format!(
                "{} is of an MGUCell, which resets by the gate that keeps and behind the product; that of \
                 this project (Zhou et al. 2016) resets by the gate that writes and before it",
                shown(name)
            )),
            None => Ok(()),
        }
    }

    fn is_cell(cell: &Cell<'_>) -> bool {
        form(cell).is_some()
    }

    fn parameters(
        cell: &Cell<'_>,
        suffix: &str,
        to: &mut Translated,
        errors: &mut ErrorList,
    ) -> Option<Parameters> {
        let form = form(cell)?;
        let before = errors.count;
        let known: BTreeSet<_> = form
            .input
            .iter()
            .chain(form.hidden)
            .flat_map(|(name, bias)| {
                let bias = bias.then(|| format!("{name}/bias"));
                std::iter::once(format!("{name}/kernel")).chain(bias)
            })
            .collect();
        for (own, (name, _)) in &cell.tensors {
            if !known.contains(own) {
                errors.add(format!("{} does not fit a recurrent cell", shown(name)));
            }
        }
        // If the cell has no bias at all, the layer has no biases.
        let biased = cell.tensors.keys().any(|own| own.ends_with("/bias"));
        let first = format!("{}/kernel", form.hidden[0].0);
        let hidden = match cell.take(&first, &[None, None], errors)?.1.shape() {
            &[hidden, columns] if columns == hidden * form.gates => hidden,
            found => {
                errors.add(format!(
                    "{} has shape {found:?}, expected [H, {}]",
                    shown(&format!("{}/{first}", cell.path)),
                    if form.gates == 1 { "H".to_string() } else { format!("{}·H", form.gates) }
                ));
                return None;
            }
        };
        let columns = hidden * form.gates;

        let mut side = |dense: &[(&str, bool)], rows: Option<usize>, side: &str| {
            let (mut weights, mut biases) = (Vec::new(), Vec::new());
            let mut rows = rows;
            for (gate, (name, has_bias)) in dense.iter().enumerate() {
                let place = match form.gates {
                    1 => format!("gate {gate}"),
                    _ => "all gates".to_string(),
                };
                let kernel = format!("{name}/kernel");
                if let Some((from, array)) = cell.take(&kernel, &[rows, Some(columns)], errors) {
                    rows = Some(array.shape()[0]);
                    let target = format!("weight_{side}{suffix}");
                    let how = format!("transposed, {place}");
                    to.mappings.push(TensorMapping::new(from, array, Some(target), &how));
                    weights.push(array.transposed());
                }
                let bias = format!("{name}/bias");
                if !*has_bias {
                    biases.push(None);
                } else if biased
                    && let Some((from, array)) = cell.take(&bias, &[Some(columns)], errors)
                {
                    let target = format!("bias_{side}{suffix}");
                    to.mappings.push(TensorMapping::new(from, array, Some(target), &place));
                    biases.push(Some(array.clone()));
                }
            }
            (weights, biases)
        };
        let (input, input_biases) = side(form.input, None, "ih");
        let (recurrent, hidden_biases) = side(form.hidden, Some(hidden), "hh");
        if errors.count > before {
            return None;
        }
        let given = input_biases.iter().chain(&hidden_biases).flatten().cloned();
        let all: Vec<_> = input.iter().chain(&recurrent).cloned().chain(given).collect();
        let Some(element) = one_type(&all) else {
            let path = shown(&cell.path);
            errors.add(format!("the tensors of {path} are of different types"));
            return None;
        };
        let bias = |biases: Vec<Option<Array>>| {
            let zeros = || Array::zeros(element, &[columns]);
            Array::stacked(&biases.into_iter().map(|b| b.unwrap_or_else(zeros)).collect::<Vec<_>>())
        };
        Some(Parameters {
            weight_ih: Array::stacked(&input),
            weight_hh: Array::stacked(&recurrent),
            biases: biased.then(|| [bias(input_biases), bias(hidden_biases)]),
            bias: None,
            diagonal: None,
        })
    }
}
