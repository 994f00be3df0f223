//! Writes a layer under the names of another library: haste, DreamerV3.
//!
//! This is `haste.rs`, `haste_norm.rs` and `dreamer.rs` in the other direction.

use crate::error::Error;
use crate::weights::array::{Array, Element};
use crate::weights::build::FileCell;
use crate::weights::contents::Tensors;
use crate::weights::export::{options, tensors};
use crate::weights::file::WeightFile;
use crate::weights::formats;
use crate::weights::haste_gates::{GRU, Gates, LSTM};
use crate::weights::layer::{FoundLayer, LayerOptions};
use crate::weights::library::Library;
use bptt::{Nonlinearity, Recurrent};
use std::path::Path;

/// Writes a layer under the names of another library.
///
/// | library | layers | read there by |
/// | --- | --- | --- |
/// | [`Haste`](Library::Haste) | LSTM, GRU with the reset after the product, IndRNN with tanh, and the LSTM and the GRU with layer normalisation | `load_state_dict(safetensors.torch.load_file(path))` of its PyTorch layers |
/// | [`Dreamer`](Library::Dreamer) | `gru-dreamer` | the parameters `kernel`, `norm/scale`, `norm/bias` of `gru` in `dreamerv3` |
///
/// What is no tensor there (zoneout, dropout, the layout of inputs) is an argument of the layers there.
///
/// # Errors
///
/// What the library does not have, in one line; or if the file cannot be written.
pub fn save_as<C: FileCell>(
    layer: &Recurrent<C>,
    library: Library,
    path: impl AsRef<Path>,
) -> Result<(), Error> {
    let path = path.as_ref();
    let failed = |why: String| Error::file("write", path, why);
    let format = formats::of_path_to_write(path).map_err(failed)?;
    let options = options(layer);
    let own = tensors(layer).map_err(failed)?;
    let found = FoundLayer::read(&own, "", &options).map_err(failed)?;
    let tensors = of_library(&found, &options, &own, library).map_err(failed)?;
    let (left_out, metadata) = Default::default();
    WeightFile { format, tensors, left_out, metadata }.write(path)
}

/// Where a parameter of a layer goes, in words.
pub(super) fn target(layer: &FoundLayer, library: Library, part: &str) -> &'static str {
    let cell = layer.cell.name();
    match (library, part, cell) {
        (Library::Dreamer, "weight_diag", _) => "gru/norm/scale, gru/norm/bias",
        (Library::Dreamer, ..) => "gru/kernel",
        (_, "weight_ih", _) => "kernel",
        (_, "weight_hh", "indrnn") => "recurrent_scale",
        (_, "weight_hh", _) => "recurrent_kernel",
        (_, "weight_diag", "gru-layernorm") => "gamma, bias, recurrent_bias",
        (_, "weight_diag", _) => "gamma, bias, gamma_h, beta_h",
        (_, "bias_hh", "gru") => "recurrent_bias",
        _ => "bias",
    }
}

/// The tensors of a layer without a prefix under the names of a library.
///
/// # Errors
///
/// What the library does not have, in one line.
pub(super) fn of_library(
    layer: &FoundLayer,
    options: &LayerOptions,
    own: &Tensors,
    library: Library,
) -> Result<Tensors, String> {
    let name = match library {
        Library::Haste => "haste",
        Library::Dreamer => "DreamerV3",
        _ => {
            return Err("layers are written under the names of haste and of DreamerV3 only".into());
        }
    };
    let lacks = [
        (layer.num_layers != 1, format!("{} layers, expected one: save each", layer.num_layers)),
        (layer.bidirectional, "two directions, expected one".to_string()),
        (options.reverse, "its direction is backward, expected a forward one".to_string()),
        (layer.num_heads != 1, format!("{} heads, expected one", layer.num_heads)),
        (layer.proj_size != 0, "a projection, expected none".to_string()),
    ];
    if let Some((_, what)) = lacks.into_iter().find(|(is_so, _)| *is_so) {
        return Err(format!("{name}: {what}"));
    }
    let layer = Source { layer, options, own };
    let tensors = match library {
        Library::Haste => layer.haste(),
        _ => layer.dreamer(),
    };
    tensors.map_err(|why| format!("{name}: {why}"))
}

/// A layer of depth one and of one direction.
struct Source<'a> {
    layer: &'a FoundLayer,
    options: &'a LayerOptions,
    own: &'a Tensors,
}

impl Source<'_> {
    fn of(&self, part: &str) -> &Array {
        &self.own[&format!("{part}_l0")]
    }

    fn element(&self) -> Element {
        self.of("weight_ih").element()
    }

    /// A bias, or zeros.
    fn bias(&self, part: &str, rows: usize) -> Array {
        let bias = self.own.get(&format!("{part}_l0")).cloned();
        bias.unwrap_or_else(|| Array::zeros(self.element(), &[rows]))
    }

    /// Rows of the diagonal weights, one after the other.
    fn diagonal(&self, rows: std::ops::Range<usize>) -> Array {
        let all = self.of("weight_diag");
        let count = rows.len() * self.layer.d_hidden;
        let picked: Vec<_> = rows.map(|row| all.row(row)).collect();
        Array::stacked(&picked).reshaped(&[count])
    }

    fn without_inner_bias(&self) -> Result<(), String> {
        match self.layer.bias {
            true => {
                Err("biases inside of the normalisation, expected a layer with_bias(false)".into())
            }
            false => Ok(()),
        }
    }

    fn haste(&self) -> Result<Tensors, String> {
        match self.layer.cell.name() {
            "lstm" if self.options.input_forget => {
                Err("an LSTM with coupled gates, expected four gates".into())
            }
            "lstm" if self.options.clip.is_some() => {
                Err("an LSTM with a bounded memory, expected no clip".into())
            }
            "gru" if !self.options.reset_after => {
                Err("a GRU with the reset before the product, expected it after".into())
            }
            "indrnn" if self.options.nonlinearity != Nonlinearity::Tanh => {
                Err("an IndRNN with relu, expected tanh".into())
            }
            "lstm" => {
                let rows = 4 * self.layer.d_hidden;
                let bias = sum(&self.bias("bias_ih", rows), &self.bias("bias_hh", rows))?;
                Ok(self.kernels(&LSTM, [("bias", bias.blocks(LSTM.order))]))
            }
            "gru" => {
                let rows = 3 * self.layer.d_hidden;
                let biases = ["bias_ih", "bias_hh"].map(|part| self.bias(part, rows));
                let [bias, second] = biases.map(|bias| bias.blocks(GRU.order));
                Ok(self.kernels(&GRU, [("bias", bias), ("recurrent_bias", second)]))
            }
            "indrnn" => Ok(named([
                ("kernel", self.of("weight_ih").transposed()),
                ("recurrent_scale", self.of("weight_hh").clone().reshaped(&[self.layer.d_hidden])),
                ("bias", self.bias("bias_ih", self.layer.d_hidden)),
            ])),
            "lstm-layernorm" => {
                self.without_inner_bias()?;
                Ok(self.kernels(
                    &LSTM,
                    [
                        ("gamma", self.gains(&LSTM)),
                        ("bias", self.diagonal(8..12).blocks(LSTM.order)),
                        ("gamma_h", self.diagonal(12..13)),
                        ("beta_h", self.diagonal(13..14)),
                    ],
                ))
            }
            "gru-layernorm" => {
                self.without_inner_bias()?;
                // The biases of r and z are one here, and are the input's there.
                let zeros = Array::zeros(self.element(), &[2 * self.layer.d_hidden]);
                let second = Array::stacked(&[zeros, self.diagonal(9..10)]);
                Ok(self.kernels(
                    &GRU,
                    [
                        ("gamma", self.gains(&GRU)),
                        ("bias", self.diagonal(6..9).blocks(GRU.order)),
                        ("recurrent_bias", second.blocks(GRU.order)),
                    ],
                ))
            }
            other => Err(format!(
                "its cell is {other}, expected one of lstm, gru, indrnn, lstm-layernorm, gru-layernorm"
            )),
        }
    }

    /// Both kernels, `[I, G·H]` and `[H, G·H]`, and more tensors.
    fn kernels<const N: usize>(&self, gates: &Gates, more: [(&str, Array); N]) -> Tensors {
        let turned = |part: &str| self.of(part).blocks(gates.order).transposed();
        let mut all = named(more);
        all.extend(named([
            ("kernel", turned("weight_ih")),
            ("recurrent_kernel", turned("weight_hh")),
        ]));
        all
    }

    /// `gamma [2, G·H]`
    fn gains(&self, gates: &Gates) -> Array {
        let count = gates.order.len();
        let row = |rows: std::ops::Range<usize>| {
            self.diagonal(rows).blocks(gates.order).reshaped(&[1, count * self.layer.d_hidden])
        };
        Array::stacked(&[row(0..count), row(count..2 * count)])
    }

    fn dreamer(&self) -> Result<Tensors, String> {
        if self.layer.cell.name() != "gru-dreamer" {
            let name = self.layer.cell.name();
            return Err(format!("its cell is {name}, expected gru-dreamer"));
        }
        self.without_inner_bias()?;
        let rows = ["weight_hh", "weight_ih"].map(|part| self.of(part).transposed());
        Ok(named([
            ("gru/kernel", Array::stacked(&rows)),
            ("gru/norm/scale", self.diagonal(0..3)),
            ("gru/norm/bias", self.diagonal(3..6)),
        ]))
    }
}

fn sum(a: &Array, b: &Array) -> Result<Array, String> {
    let values = a.to_f64().into_iter().zip(b.to_f64()).map(|(a, b)| a + b);
    Array::of_f64(a.element(), a.shape().to_vec(), values.collect())
}

fn named<const N: usize>(all: [(&str, Array); N]) -> Tensors {
    all.into_iter().map(|(name, array)| (name.to_string(), array)).collect()
}
