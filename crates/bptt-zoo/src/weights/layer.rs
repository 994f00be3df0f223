//! A recurrent layer in a file, found by the names and shapes of its tensors.

use crate::weights::array::Element;
use crate::weights::contents::Tensors;
use crate::weights::error_list::{ErrorList, shown};
use bptt::{CellKind, Nonlinearity, RecurrentNoise, SequenceCell};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The options of a layer that its tensors do not show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LayerOptions {
    /// Which cell, if PyTorch does not have it: the shapes do not show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<CellKind>,
    /// For an RNN, or an IndRNN.
    pub nonlinearity: Nonlinearity,
    /// For a GRU.
    pub reset_after: bool,
    /// For an LSTM: whether it has three gates, `i g o`. Without this option, three gates are a GRU.
    pub input_forget: bool,
    /// For an LSTM: the bound of its memory.
    pub clip: Option<f64>,
    /// Whether its inputs are `[B, T, I]` (else `[T, B, I]`).
    pub batch_first: bool,
    /// Whether the one direction runs from the last step to the first.
    pub reverse: bool,
    /// The probability of dropping an output between two layers, while training.
    pub dropout: f64,
    /// Noise inside of the layers. Zoneout is its expectation when a layer is not trained, so it is part of what it computes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<RecurrentNoise>,
    /// For UnICORNN: `Δ` and `α`, if they are not 0.1 and 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oscillator: Option<[f64; 2]>,
    /// For LEM: `Δ`, if it is not 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_step: Option<f64>,
}

impl Default for LayerOptions {
    /// PyTorch's defaults.
    fn default() -> Self {
        Self {
            kind: None,
            nonlinearity: Nonlinearity::Tanh,
            reset_after: true,
            input_forget: false,
            clip: None,
            batch_first: false,
            reverse: false,
            dropout: 0.0,
            noise: None,
            oscillator: None,
            time_step: None,
        }
    }
}

/// What the tensors of a recurrent layer show about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoundLayer {
    /// The prefix of its parameters' names, such as `encoder.lstm.`
    pub prefix: String,
    /// Which cell.
    pub cell: CellKind,
    /// `I`
    pub d_input: usize,
    /// `H`
    pub d_hidden: usize,
    /// `L`
    pub num_layers: usize,
    /// Whether there is a backward direction.
    pub bidirectional: bool,
    /// Whether there are biases.
    pub bias: bool,
    /// `P`; 0: none.
    pub proj_size: usize,
    /// How many heads its recurrent weights have: `weight_hh` is `[heads, G·H/heads, H/heads]` then.
    pub num_heads: usize,
}

/// The kinds of parameters, by PyTorch's names, and the diagonal weights that PyTorch does not have.
const PARTS: [&str; 6] =
    ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr", "weight_diag"];

/// The parts of a parameter's name: `weight_ih`, `_l1`, `_reverse`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Name {
    part: &'static str,
    layer: usize,
    reverse: bool,
}

impl Name {
    fn parse(name: &str) -> Option<Self> {
        let part = PARTS.into_iter().find(|part| name.starts_with(part))?;
        let rest = name[part.len()..].strip_prefix("_l")?;
        let (digits, reverse) = match rest.strip_suffix("_reverse") {
            Some(digits) => (digits, true),
            None => (rest, false),
        };
        let layer: usize = digits.parse().ok()?;
        // This refuses `+1` and `01`, which Rust would read as numbers.
        (layer.to_string() == digits).then_some(Self { part, layer, reverse })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reverse = if self.reverse { "_reverse" } else { "" };
        write!(f, "{}_l{}{reverse}", self.part, self.layer)
    }
}

/// Whether a name is that of a parameter of `nn.LSTM`, `nn.GRU` or `nn.RNN`.
pub(super) fn is_layer_parameter(name: &str) -> bool {
    Name::parse(name).is_some()
}

/// The prefixes of all recurrent layers.
pub(super) fn prefixes(tensors: &Tensors) -> BTreeSet<String> {
    let parts = tensors.keys().map(|name| split(name));
    parts.filter(|(_, last)| Name::parse(last).is_some()).map(|(prefix, _)| prefix.into()).collect()
}

/// Splits a name into its path, with the last dot, and its last part.
pub(super) fn split(name: &str) -> (&str, &str) {
    name.split_at(name.rfind('.').map_or(0, |dot| dot + 1))
}

impl FoundLayer {
    /// Finds the layer with this prefix from its tensors.
    ///
    /// # Arguments
    ///
    /// - `options`: which cell it is, if PyTorch does not have it; and whether three gates belong to an LSTM with coupled
    ///   gates
    ///
    /// # Errors
    ///
    /// One line with all tensors that are missing, do not belong to the layer, or have a wrong shape or type. It says
    /// what was expected and what was found.
    pub fn read(tensors: &Tensors, prefix: &str, options: &LayerOptions) -> Result<Self, String> {
        let mut own = BTreeMap::new();
        let mut errors = ErrorList::default();
        for (full, array) in tensors {
            // If a name has another dot after the prefix, it belongs to another module.
            let Some(name) = full.strip_prefix(prefix).filter(|name| !name.contains('.')) else {
                continue;
            };
            match Name::parse(name) {
                Some(_) if !array.element().is_float() => errors.add(format!(
                    "{} is of type {}, expected f16, bf16, f32 or f64",
                    shown(full),
                    array.element().name()
                )),
                Some(parsed) => drop(own.insert(name.to_string(), (parsed, array.shape()))),
                // An integer tensor is a buffer, such as indices. No cell computes with it, so it is ignored.
                None if !array.element().is_float() => {}
                None => errors.add(format!("{} does not fit a recurrent layer", shown(full))),
            }
        }
        let layer = Self::sizes(&own, prefix, options).map_err(|why| {
            errors.add(why);
            errors.message()
        })?;
        layer.compare(&own, options.input_forget, &mut errors);
        match errors.count {
            0 => Ok(layer),
            _ => Err(format!("{layer}: {}", errors.message())),
        }
    }

    /// The sizes, from the first tensors that show them.
    fn sizes(
        own: &BTreeMap<String, (Name, &[usize])>,
        prefix: &str,
        options: &LayerOptions,
    ) -> Result<Self, String> {
        let input_forget = options.input_forget;
        let matrix = |part: &str| {
            own.values().find_map(|(name, shape)| match **shape {
                [rows, columns] if name.part == part && rows > 0 && columns > 0 => {
                    Some((*name, rows, columns))
                }
                _ => None,
            })
        };
        let blocks = own.values().find_map(|(name, shape)| match **shape {
            [heads, rows, columns] if name.part == "weight_hh" => Some([heads, rows, columns]),
            _ => None,
        });
        let in_heads = blocks.map(|[heads, rows, columns]| {
            let whole = [rows.checked_mul(heads), columns.checked_mul(heads)];
            (heads, whole.map(|size| size.filter(|&size| size > 0 && heads > 1)))
        });
        let num_heads = in_heads.map_or(1, |(heads, _)| heads);
        let whole = match in_heads {
            Some((_, [Some(rows), Some(columns)])) => Some((rows, columns)),
            Some(_) => None,
            None => matrix("weight_hh").map(|(_, rows, columns)| (rows, columns)),
        };
        let Some((rows, columns)) = whole else {
            return Err(format!(
                "{} is missing, expected a matrix [G·H, H], or blocks [heads, G·H/heads, H/heads]",
                shown(&format!("{prefix}weight_hh_l0"))
            ));
        };
        let projection = matrix("weight_hr");
        let d_hidden = projection.map_or(columns, |(_, _, hidden)| hidden);
        let gates = if rows % d_hidden == 0 { rows / d_hidden } else { 0 };
        let cell = match (options.kind, gates, input_forget) {
            (Some(cell), ..) => cell,
            (None, 1, _) => CellKind::Rnn,
            (None, 3, false) => CellKind::Gru,
            (None, 3, true) | (None, 4, _) => CellKind::Lstm,
            _ => {
                return Err(format!(
                    "weight_hh has shape [{rows}, {columns}]: {rows} rows are not 1, 3 or 4 gates \
                     of {d_hidden}",
                ));
            }
        };
        let rows = gates_of(cell, input_forget)
            .checked_mul(d_hidden)
            .ok_or_else(|| format!("weight_hh has {d_hidden} columns: too many"))?;
        if gates == 4 && input_forget {
            return Err("four gates, and coupled ones (input_forget) have three".to_string());
        }
        let projectable = cell == CellKind::Lstm || cell.default_cell().projectable();
        if projection.is_some() && !projectable {
            return Err(format!(
                "a projection (weight_hr) and {gates} gates; only an LSTM has one"
            ));
        }
        if projection.is_some() && num_heads > 1 {
            return Err("a projection (weight_hr) and heads; a layer has one of them".to_string());
        }
        let first = own.values().find_map(|(name, shape)| match **shape {
            [_, columns] if name.part == "weight_ih" && name.layer == 0 => Some(columns),
            _ => None,
        });
        let Some(d_input) = first.filter(|&size| size > 0) else {
            return Err(format!(
                "{} is missing, expected [{rows}, I]",
                shown(&format!("{prefix}weight_ih_l0"))
            ));
        };
        let last = own.values().map(|(name, _)| name.layer).max().unwrap_or(0);
        // Each layer has at least two tensors. So a name with a huge layer number is refused here. Otherwise the
        // message would list all tensors of the layers below it as missing.
        if last >= own.len() {
            return Err(format!("a tensor is named for layer {last}, and there are {}", own.len()));
        }
        Ok(Self {
            prefix: prefix.to_string(),
            cell,
            d_input,
            d_hidden,
            num_layers: last + 1,
            bidirectional: own.values().any(|(name, _)| name.reverse),
            bias: own.values().any(|(name, _)| name.part.starts_with("bias")),
            proj_size: projection.map_or(0, |(_, size, _)| size),
            num_heads,
        })
    }

    /// `D`
    fn directions(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }

    /// All parameters of the layer, with their shapes.
    fn parameters(&self, input_forget: bool) -> impl Iterator<Item = (Name, Vec<usize>)> + '_ {
        let rows = gates_of(self.cell, input_forget) * self.d_hidden;
        let layout = self.cell.default_cell().layout();
        let (products, diagonals) = (layout.has_recurrent_weights(), layout.diagonal_weights);
        let state = if self.proj_size > 0 { self.proj_size } else { self.d_hidden };
        let sides = (0..self.num_layers)
            .flat_map(|layer| (0..self.directions()).map(move |side| (layer, side == 1)));
        sides.flat_map(move |(layer, reverse)| {
            let input = if layer == 0 { self.d_input } else { self.directions() * state };
            PARTS.into_iter().filter_map(move |part| {
                let shape = match part {
                    "weight_ih" => vec![rows, input],
                    "weight_hh" if self.num_heads > 1 => {
                        vec![self.num_heads, rows / self.num_heads, state / self.num_heads]
                    }
                    "weight_hh" if products => vec![rows, state],
                    "weight_hh" => vec![diagonals, self.d_hidden],
                    "weight_diag" if products && diagonals > 0 => vec![diagonals, self.d_hidden],
                    "weight_hr" if self.proj_size > 0 => vec![self.proj_size, self.d_hidden],
                    "bias_ih" if self.bias => vec![rows],
                    "bias_hh" if self.bias && products => vec![rows],
                    _ => return None,
                };
                Some((Name { part, layer, reverse }, shape))
            })
        })
    }

    /// Compares the tensors in the file with the expected ones.
    fn compare(
        &self,
        own: &BTreeMap<String, (Name, &[usize])>,
        input_forget: bool,
        errors: &mut ErrorList,
    ) {
        let expected: BTreeMap<String, Vec<usize>> =
            self.parameters(input_forget).map(|(name, shape)| (name.to_string(), shape)).collect();
        for name in own.keys().filter(|name| !expected.contains_key(*name)) {
            let full = shown(&format!("{}{name}", self.prefix));
            errors.add(format!("{full} is no parameter of it"));
        }
        for (name, expected) in expected {
            let full = shown(&format!("{}{name}", self.prefix));
            match own.get(&name) {
                None => errors.add(format!("{full} is missing, expected {expected:?}")),
                Some((_, found)) if **found != expected[..] => {
                    errors.add(format!("{full} has shape {found:?}, expected {expected:?}"));
                }
                Some(_) => {}
            }
        }
    }

    /// Whether a name is the name of one of its parameters.
    pub(super) fn has(&self, name: &str) -> bool {
        name.strip_prefix(&self.prefix).is_some_and(is_layer_parameter)
    }

    /// The widest type among its tensors.
    pub(super) fn element(&self, tensors: &Tensors) -> Element {
        let own = tensors.iter().filter(|(name, _)| name.starts_with(&self.prefix));
        match own.map(|(_, array)| array.element()).any(|element| element == Element::F64) {
            true => Element::F64,
            false => Element::F32,
        }
    }
}

/// `G`
fn gates_of(cell: CellKind, input_forget: bool) -> usize {
    match cell {
        CellKind::Lstm => 4 - usize::from(input_forget),
        other => other.default_cell().gates(),
    }
}

/// The kind that a file has to say: that of a cell which PyTorch does not have.
pub(super) fn kind_to_say(cell: CellKind) -> Option<CellKind> {
    Some(cell).filter(|cell| ![CellKind::Rnn, CellKind::Lstm, CellKind::Gru].contains(cell))
}

impl std::fmt::Display for FoundLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.cell {
            CellKind::Rnn => "RNN",
            CellKind::Lstm => "LSTM",
            CellKind::Gru => "GRU",
            other => other.name(),
        };
        write!(f, "{name} {} -> {}", self.d_input, self.d_hidden)?;
        write!(f, ", {} layer{}", self.num_layers, if self.num_layers == 1 { "" } else { "s" })?;
        if self.bidirectional {
            write!(f, ", bidirectional")?;
        }
        if self.num_heads > 1 {
            write!(f, ", {} heads", self.num_heads)?;
        }
        if self.proj_size > 0 {
            write!(f, ", projection {}", self.proj_size)?;
        }
        if !self.bias {
            write!(f, ", no bias")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::array::Array;
    use super::*;

    fn tensors(shapes: &[(&str, &[usize])]) -> Tensors {
        let array = |shape| Array::zeros(Element::F32, shape);
        shapes.iter().map(|(name, shape)| (name.to_string(), array(shape))).collect()
    }

    fn lstm() -> Tensors {
        tensors(&[
            ("a.weight_ih_l0", &[20, 3]),
            ("a.weight_hh_l0", &[20, 2]),
            ("a.weight_hr_l0", &[2, 5]),
            ("a.weight_ih_l0_reverse", &[20, 3]),
            ("a.weight_hh_l0_reverse", &[20, 2]),
            ("a.weight_hr_l0_reverse", &[2, 5]),
            ("a.weight_ih_l1", &[20, 4]),
            ("a.weight_hh_l1", &[20, 2]),
            ("a.weight_hr_l1", &[2, 5]),
            ("a.weight_ih_l1_reverse", &[20, 4]),
            ("a.weight_hh_l1_reverse", &[20, 2]),
            ("a.weight_hr_l1_reverse", &[2, 5]),
            ("head.weight", &[7, 4]),
        ])
    }

    #[test]
    fn sizes_are_read_off_the_shapes() {
        assert_eq!(prefixes(&lstm()), BTreeSet::from(["a.".to_string()]));
        let layer = FoundLayer::read(&lstm(), "a.", &LayerOptions::default()).unwrap();
        let text = "LSTM 3 -> 5, 2 layers, bidirectional, projection 2, no bias";
        assert_eq!(layer.to_string(), text);
        let gru = tensors(&[
            ("weight_ih_l0", &[6, 9]),
            ("weight_hh_l0", &[6, 2]),
            ("bias_ih_l0", &[6]),
            ("bias_hh_l0", &[6]),
        ]);
        let read = |options: &LayerOptions| FoundLayer::read(&gru, "", options).unwrap();
        assert_eq!(read(&LayerOptions::default()).to_string(), "GRU 9 -> 2, 1 layer");
        let coupled = LayerOptions { input_forget: true, ..LayerOptions::default() };
        assert_eq!(read(&coupled).cell, CellKind::Lstm);
    }

    #[test]
    fn all_that_is_wrong_is_in_one_message() {
        let mut broken = lstm();
        broken.remove("a.weight_hh_l1");
        broken.insert("a.weight_ih_l1".to_string(), Array::zeros(Element::F32, &[20, 6]));
        broken.insert("a.weight_hr_l0".to_string(), Array::zeros(Element::I64, &[2, 5]));
        broken.insert("a.weight_xx_l0".to_string(), Array::zeros(Element::F32, &[1]));
        let message = FoundLayer::read(&broken, "a.", &LayerOptions::default()).unwrap_err();
        for part in [
            "`a.weight_hh_l1` is missing, expected [20, 2]",
            "`a.weight_ih_l1` has shape [20, 6], expected [20, 4]",
            "`a.weight_hr_l0` is of type i64, expected f16, bf16, f32 or f64",
            "`a.weight_xx_l0` does not fit a recurrent layer",
        ] {
            assert!(message.contains(part), "{message}\nlacks {part}");
        }
        assert_eq!(message.lines().count(), 1);
    }

    #[test]
    fn a_name_cannot_claim_layers() {
        let mut broken = lstm();
        let huge = "a.weight_ih_l18446744073709551615".to_string();
        broken.insert(huge, Array::zeros(Element::F32, &[20, 4]));
        let message = FoundLayer::read(&broken, "a.", &LayerOptions::default()).unwrap_err();
        assert!(message.contains("layer 18446744073709551615"), "{message}");
    }

    #[test]
    fn names_are_taken_apart() {
        let name = |part, layer, reverse| Some(Name { part, layer, reverse });
        assert_eq!(Name::parse("weight_ih_l0"), name("weight_ih", 0, false));
        assert_eq!(Name::parse("bias_hh_l12_reverse"), name("bias_hh", 12, true));
        for wrong in ["weight_ih", "weight_ih_l", "weight_ih_l01", "weight_ih_l+1", "bias_l0"] {
            assert_eq!(Name::parse(wrong), None, "{wrong}");
        }
    }
}
