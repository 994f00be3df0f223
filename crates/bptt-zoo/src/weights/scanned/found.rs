//! A stack of layers that run as a scan, found in a file by the paths of its parameters.

use crate::weights::array::Element;
use crate::weights::contents::Tensors;
use crate::weights::error_list::{ErrorList, shown};
use bptt::scanned::{AnyScannedConfig, ScannedKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What stands between the prefix of a stack and the number of a layer.
pub(super) const LAYERS: &str = "layers.";

/// The options of a stack that its tensors do not show.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScannedOptions {
    /// Which layer.
    pub kind: ScannedKind,
    /// For minGRU and minLSTM: whether the candidate is made positive.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log_space: bool,
    /// Whether there is a backward direction.
    pub bidirectional: bool,
    /// Whether its inputs are `[B, T, I]` (else `[T, B, I]`).
    pub batch_first: bool,
    /// Whether the one direction runs from the last step to the first.
    pub reverse: bool,
    /// The probability of dropping an output between two layers, while training.
    pub dropout: f64,
}

impl ScannedOptions {
    /// The defaults of the configs.
    pub(super) fn new(kind: ScannedKind) -> Self {
        Self::of(&AnyScannedConfig::new(kind, 1, 1))
    }

    /// Those of a config.
    pub(in crate::weights) fn of(config: &AnyScannedConfig) -> Self {
        Self {
            kind: config.kind,
            log_space: config.log_space,
            bidirectional: config.bidirectional,
            batch_first: config.batch_first,
            reverse: config.reverse,
            dropout: config.dropout,
        }
    }
}

/// A stack of layers that run as a scan in a file: what its tensors show, and its options.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoundScanned {
    /// The prefix of its parameters' names, in front of `layers.0.`
    pub prefix: String,
    /// Which layer.
    pub cell: ScannedKind,
    /// `I`
    pub d_input: usize,
    /// `H`
    pub d_hidden: usize,
    /// `O`
    pub d_output: usize,
    /// `L`
    pub num_layers: usize,
    /// Whether there are biases.
    pub bias: bool,
    /// See [`ScannedOptions`].
    pub log_space: bool,
    /// See [`ScannedOptions`].
    pub bidirectional: bool,
    /// See [`ScannedOptions`].
    pub batch_first: bool,
    /// See [`ScannedOptions`].
    pub reverse: bool,
    /// See [`ScannedOptions`].
    pub dropout: f64,
}

/// The parameters in a file, by the number of the layer and the path in it.
type Own<'a> = BTreeMap<(usize, &'a str), &'a [usize]>;

impl FoundScanned {
    /// Finds the stack with this prefix by its tensors.
    ///
    /// # Errors
    ///
    /// One line with all tensors that are missing, do not belong to the stack, or have a wrong shape or type, and with
    /// options that exclude each other.
    pub(in crate::weights) fn read(
        tensors: &Tensors,
        prefix: &str,
        options: &ScannedOptions,
    ) -> Result<Self, String> {
        let mut own = Own::new();
        let mut errors = ErrorList::default();
        for (full, array) in tensors {
            let Some(name) = full.strip_prefix(prefix).and_then(|name| name.strip_prefix(LAYERS))
            else {
                continue;
            };
            match parsed(name) {
                Some(_) if !array.element().is_float() => errors.add(format!(
                    "{} is of type {}, expected f16, bf16, f32 or f64",
                    shown(full),
                    array.element().name()
                )),
                Some(place) => drop(own.insert(place, array.shape())),
                None => errors.add(format!("{} does not fit a stack of layers", shown(full))),
            }
        }
        let found = Self::sizes(&own, prefix, options).map_err(|why| {
            errors.add(why);
            errors.message()
        })?;
        found.compare(&own, &mut errors);
        match errors.count {
            0 => Ok(found),
            _ => Err(format!("{found}: {}", errors.message())),
        }
    }

    /// The sizes, from the tensors of the first layer.
    fn sizes(own: &Own<'_>, prefix: &str, options: &ScannedOptions) -> Result<Self, String> {
        let ScannedOptions { kind, log_space, bidirectional, batch_first, reverse, dropout } =
            *options;
        if log_space && !kind.has_log_space() {
            return Err(format!("{}: there is no option log_space", kind.name()));
        }
        if bidirectional && reverse {
            return Err("bidirectional and reverse exclude each other".to_string());
        }
        if !(0.0..1.0).contains(&dropout) {
            return Err(format!("dropout is {dropout}, and has to be in [0, 1)"));
        }
        let shape = |name: &str, rank: usize| {
            let found = own.get(&(0, name)).filter(|shape| shape.len() == rank);
            found.filter(|shape| shape.iter().all(|&size| size > 0)).copied()
        };
        let need = |name: &str, expected: &str| {
            let rank = expected.split(',').count();
            shape(name, rank).ok_or_else(|| {
                let full = shown(&format!("{prefix}{LAYERS}0.{name}"));
                format!("{}: {full} is missing, expected {expected}", kind.name())
            })
        };
        let gated = |gates: usize| {
            let found = need("weight_ih", &format!("[{gates}·H, I]"))?;
            match found[0] % gates {
                0 => Ok((found[1], found[0] / gates, found[0] / gates)),
                _ => Err(format!(
                    "{}: {} has {} rows, expected {gates}·H",
                    kind.name(),
                    shown(&format!("{prefix}{LAYERS}0.weight_ih")),
                    found[0]
                )),
            }
        };
        let (d_input, d_hidden, d_output) = match kind {
            ScannedKind::MinGru => gated(2)?,
            ScannedKind::MinLstm => gated(3)?,
            ScannedKind::RgLru => {
                let hidden = need("lambda", "[H]")?[0];
                (shape("weight_in", 2).map_or(hidden, |shape| shape[1]), hidden, hidden)
            }
            _ => {
                let (input, output) =
                    (need("weight_re", "[H, I]")?, need("readout.weight_re", "[O, H]")?);
                (input[1], input[0], output[0])
            }
        };
        // Each layer has a tensor or more, so a name cannot claim layers that are not there.
        let last = own.keys().map(|(layer, _)| *layer).max().unwrap_or(0);
        if last >= own.len() {
            return Err(format!("a tensor is named for layer {last}, and there are {}", own.len()));
        }
        let directions = if bidirectional { 2 } else { 1 };
        if (last + 1) % directions != 0 {
            return Err(format!(
                "it has {} layers, expected an even number, because each has two directions",
                last + 1
            ));
        }
        Ok(Self {
            prefix: prefix.to_string(),
            cell: kind,
            d_input,
            d_hidden,
            d_output,
            num_layers: (last + 1) / directions,
            bias: !kind.has_bias() || own.keys().any(|(_, name)| *name == "bias_ih"),
            log_space,
            bidirectional,
            batch_first,
            reverse,
            dropout,
        })
    }

    /// The config that makes the stack.
    pub(super) fn config(&self) -> AnyScannedConfig {
        AnyScannedConfig::new(self.cell, self.d_input, self.d_hidden)
            .with_log_space(self.log_space)
            .with_bias(self.bias)
            .with_d_output(if self.cell.is_complex() { self.d_output } else { 0 })
            .with_num_layers(self.num_layers)
            .with_bidirectional(self.bidirectional)
            .with_batch_first(self.batch_first)
            .with_reverse(self.reverse)
            .with_dropout(self.dropout)
    }

    /// The options, as a file's metadata has them.
    pub(in crate::weights) fn options(&self) -> ScannedOptions {
        ScannedOptions::of(&self.config())
    }

    /// Compares the tensors in the file with the expected ones.
    fn compare(&self, own: &Own<'_>, errors: &mut ErrorList) {
        let full =
            |layer: usize, name: &str| shown(&format!("{}{LAYERS}{layer}.{name}", self.prefix));
        let Some(expected) = self.config().parameters() else {
            return errors.add("its sizes are absurd".to_string());
        };
        let expected: BTreeMap<(usize, &str), Vec<usize>> = (expected.into_iter().enumerate())
            .flat_map(|(k, layer)| layer.into_iter().map(move |(name, shape)| ((k, name), shape)))
            .collect();
        for &(layer, name) in own.keys().filter(|place| !expected.contains_key(*place)) {
            errors.add(format!("{} is no parameter of it", full(layer, name)));
        }
        for ((layer, name), expected) in expected {
            let full = full(layer, name);
            match own.get(&(layer, name)) {
                None => errors.add(format!("{full} is missing, expected {expected:?}")),
                Some(found) if **found != expected[..] => {
                    errors.add(format!("{full} has shape {found:?}, expected {expected:?}"));
                }
                Some(_) => {}
            }
        }
    }

    /// Whether a name is that of one of its parameters.
    pub(in crate::weights) fn has(&self, name: &str) -> bool {
        name.strip_prefix(&self.prefix).is_some_and(|name| name.starts_with(LAYERS))
    }

    /// The widest type among its tensors.
    pub(super) fn element(&self, tensors: &Tensors) -> Element {
        let own = tensors.iter().filter(|(name, _)| self.has(name));
        match own.map(|(_, array)| array.element()).any(|element| element == Element::F64) {
            true => Element::F64,
            false => Element::F32,
        }
    }
}

/// `0.readout.weight_re`: the number of the layer, and the path in it.
pub(super) fn parsed(name: &str) -> Option<(usize, &str)> {
    let (digits, path) = name.split_once('.')?;
    let layer: usize = digits.parse().ok()?;
    // This refuses `+1` and `01`, which Rust would read as numbers.
    (layer.to_string() == digits && !path.is_empty()).then_some((layer, path))
}

impl std::fmt::Display for FoundScanned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} -> {}", self.cell.name(), self.d_input, self.d_hidden)?;
        if self.d_output != self.d_hidden {
            write!(f, " -> {}", self.d_output)?;
        }
        write!(f, ", {} layer{}", self.num_layers, if self.num_layers == 1 { "" } else { "s" })?;
        if self.bidirectional {
            write!(f, ", bidirectional")?;
        }
        if !self.bias {
            write!(f, ", no bias")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::array::Array;
    use super::*;

    fn s5() -> Tensors {
        let shapes: [(&str, &[usize]); 8] = [
            ("rate_log", &[4]),
            ("frequency", &[4]),
            ("step_log", &[4]),
            ("weight_re", &[4, 3]),
            ("weight_im", &[4, 3]),
            ("readout.weight_re", &[5, 4]),
            ("readout.weight_im", &[5, 4]),
            ("readout.weight_skip", &[5, 3]),
        ];
        let of = |(name, shape): (&str, &[usize])| {
            (format!("a.layers.0.{name}"), Array::zeros(Element::F32, shape))
        };
        shapes.into_iter().map(of).collect()
    }

    fn refused(tensors: &Tensors, options: &ScannedOptions) -> String {
        let message = FoundScanned::read(tensors, "a.", options).unwrap_err();
        assert_eq!(message.lines().count(), 1);
        message
    }

    #[test]
    fn sizes_are_read_off_the_shapes() {
        let found = FoundScanned::read(&s5(), "a.", &ScannedOptions::new(ScannedKind::S5)).unwrap();
        assert_eq!(found.to_string(), "s5 3 -> 4 -> 5, 1 layer");
        assert!(found.has("a.layers.0.rate_log") && !found.has("layers.0.rate_log"));
    }

    #[test]
    fn all_that_is_wrong_is_in_one_message() {
        let options = ScannedOptions::new(ScannedKind::S5);
        let mut broken = s5();
        broken.remove("a.layers.0.step_log");
        broken.insert("a.layers.0.weight_im".to_string(), Array::zeros(Element::F32, &[4, 2]));
        broken.insert("a.layers.0.frequency".to_string(), Array::zeros(Element::I64, &[4]));
        broken.insert("a.layers.0.bias_ih".to_string(), Array::zeros(Element::F32, &[4]));
        broken.insert("a.layers.01.bias_ih".to_string(), Array::zeros(Element::F32, &[4]));
        let message = refused(&broken, &options);
        for part in [
            "`a.layers.0.step_log` is missing, expected [4]",
            "`a.layers.0.weight_im` has shape [4, 2], expected [4, 3]",
            "`a.layers.0.frequency` is of type i64",
            "`a.layers.0.bias_ih` is no parameter of it",
            "`a.layers.01.bias_ih` does not fit",
        ] {
            assert!(message.contains(part), "{message}\nlacks {part}");
        }
        let message = refused(&s5(), &ScannedOptions::new(ScannedKind::Lru));
        assert!(message.contains("`a.layers.0.nu_log` is missing, expected [4]"), "{message}");
        let message = refused(&s5(), &ScannedOptions::new(ScannedKind::MinGru));
        assert!(message.contains("`a.layers.0.weight_ih` is missing, expected [2·H, I]"));
    }

    #[test]
    fn options_and_names_claim_nothing() {
        let options = ScannedOptions::new(ScannedKind::S5);
        for (wrong, part) in [
            (ScannedOptions { log_space: true, ..options.clone() }, "no option log_space"),
            (ScannedOptions { dropout: 1.5, ..options.clone() }, "dropout is 1.5"),
            (ScannedOptions { bidirectional: true, ..options.clone() }, "an even number"),
            (
                ScannedOptions { bidirectional: true, reverse: true, ..options.clone() },
                "exclude each other",
            ),
        ] {
            let message = refused(&s5(), &wrong);
            assert!(message.contains(part), "{message}");
        }
        let mut broken = s5();
        let huge = "a.layers.18446744073709551615.rate_log".to_string();
        broken.insert(huge, Array::zeros(Element::F32, &[4]));
        assert!(refused(&broken, &options).contains("layer 18446744073709551615"));
    }
}
