//! The PyTorch module `IndRNN` of StefOe's `indrnn-pytorch`: `cells.0.weight_ih [H, I]`, `weight_hh [H]`, `bias_ih [H]`.
//!
//! The cells of the backward direction, `cells_bi`, are in every file. The buffer `h0` says by its length whether they are
//! used. The nonlinearity is relu there, unless the module was given another one. Batch norm between the layers (`bns`) is
//! refused.

use crate::weights::contents::Tensors;
use crate::weights::error_list::{ErrorList, shown};
use crate::weights::keymap::{Cell, KeyMap, Parameters, Translated, only};
use bptt::Nonlinearity;

pub(super) struct IndRnn;

impl KeyMap for IndRnn {
    const OWN: usize = 1;

    fn check(tensors: &Tensors) -> Result<(), String> {
        let is_norm = |name: &&String| name.split('.').any(|part| part == "bns");
        match tensors.keys().find(is_norm) {
            Some(name) => Err(format!(
                "{} is of a batch norm between the layers, which has no counterpart",
                shown(name)
            )),
            None => Ok(()),
        }
    }

    /// `cells.3` is the forward direction of layer 3, and `cells_bi.3` the backward one.
    fn path(tensors: &Tensors, path: &[&str]) -> Option<Vec<String>> {
        let named = |list: &str| path.iter().rposition(|part| *part == list);
        let (at, direction) = match (named("cells"), named("cells_bi")) {
            (Some(at), _) => (at, "forward_cell"),
            (None, Some(at)) => (at, "backward_cell"),
            (None, None) => return Some(path.iter().map(|part| part.to_string()).collect()),
        };
        let prefix = &path[..at];
        if direction == "backward_cell" && !uses_both(tensors, prefix) {
            return None;
        }
        let rest = path[at + 1..].iter().copied();
        Some(prefix.iter().copied().chain(rest).chain([direction]).map(str::to_string).collect())
    }

    fn is_cell(cell: &Cell<'_>) -> bool {
        cell.tensors.contains_key("weight_hh")
    }

    fn parameters(
        cell: &Cell<'_>,
        suffix: &str,
        to: &mut Translated,
        errors: &mut ErrorList,
    ) -> Option<Parameters> {
        only(cell, &["weight_ih", "weight_hh", "bias_ih"], errors);
        if let Err(why) = to.say_kind("indrnn") {
            errors.add(why);
        }
        to.nonlinearity = Some(Nonlinearity::Relu);
        let scale = cell.take("weight_hh", &[None], errors)?;
        let hidden = scale.1.shape()[0];
        let weight = cell.take("weight_ih", &[Some(hidden), None], errors)?;
        let bias = match cell.tensors.contains_key("bias_ih") {
            true => Some(cell.take("bias_ih", &[Some(hidden)], errors)?),
            false => None,
        };
        to.moved(weight, &format!("weight_ih{suffix}"), "");
        to.moved(scale, &format!("weight_hh{suffix}"), "one number a unit");
        if let Some(bias) = bias {
            to.moved(bias, &format!("bias_ih{suffix}"), "");
        }
        Some(Parameters {
            weight_ih: weight.1.clone(),
            weight_hh: scale.1.clone().reshaped(&[1, hidden]),
            biases: None,
            bias: bias.map(|(_, bias)| bias.clone()),
            diagonal: None,
        })
    }
}

/// Whether the backward direction is used: `h0` has a number for each unit of each direction.
fn uses_both(tensors: &Tensors, prefix: &[&str]) -> bool {
    let name = |last: &[&str]| prefix.iter().chain(last).copied().collect::<Vec<_>>().join(".");
    let length = |name: String| tensors.get(&name)?.shape().first().copied();
    match (length(name(&["h0"])), length(name(&["cells", "0", "weight_hh"]))) {
        (Some(all), Some(hidden)) => all > hidden,
        // Without the buffer, every cell in the file is one of the layer's.
        _ => true,
    }
}
