//! Writes a layer to a file.

use crate::error::Error;
use crate::weights::array::{Array, Element};
use crate::weights::build::FileCell;
use crate::weights::contents::{Metadata, Tensors};
use crate::weights::file::WeightFile;
use crate::weights::formats;
use crate::weights::layer::{LayerOptions, kind_to_say};
use crate::weights::said::{KEY, Said};
#[cfg(feature = "gated-cells")]
use bptt::cells::Lem;
#[cfg(feature = "diagonal-cells")]
use bptt::cells::Unicornn;
use bptt::{AnyCell, Nonlinearity, Recurrent, RecurrentWeight, SequenceCell};
use burn::Tensor;
use burn::module::Param;
use std::collections::BTreeMap;
use std::path::Path;

/// Writes a layer to a file: `.safetensors`, which PyTorch's `load_state_dict` takes without a change, or Burn's
/// `.bpk`. PyTorch has no layer in heads; [`block_diagonal`](bptt::block_diagonal) makes the weight of one without.
///
/// The options that the tensors do not show (a cell that PyTorch does not have, nonlinearity, form of the reset, layout, …) are written into the file's
/// metadata, and [`load`](super::load) reads them from there.
///
/// # Errors
///
/// If the ending is not one of these, or if the file cannot be written. Then no temporary file remains.
pub fn save<C: FileCell>(layer: &Recurrent<C>, path: impl AsRef<Path>) -> Result<(), Error> {
    let path = path.as_ref();
    let format = formats::of_path_to_write(path).map_err(|why| Error::file("write", path, why))?;
    let tensors = tensors(layer).map_err(|why| Error::file("write", path, why))?;
    let said = BTreeMap::from([(String::new(), Said::Cell(options(layer)))]);
    let metadata = metadata(&said)?;
    WeightFile { format, tensors, left_out: Default::default(), metadata }.write(path)
}

/// The options of layers, by prefix, as the metadata of a file.
pub(super) fn metadata(said: &BTreeMap<String, Said>) -> Result<Metadata, Error> {
    let text = serde_json::to_string(said)
        .map_err(|error| Error::input(format!("cannot write JSON: {error}")))?;
    Ok(Metadata::from([(KEY.to_string(), text)]))
}

pub(super) fn options<C: FileCell>(layer: &Recurrent<C>) -> LayerOptions {
    let cell = layer.cell().any();
    let common = LayerOptions {
        kind: kind_to_say(cell.kind()),
        batch_first: layer.is_batch_first(),
        reverse: layer.is_reverse(),
        dropout: layer.dropout.prob,
        noise: layer.noise(),
        ..LayerOptions::default()
    };
    match cell {
        AnyCell::Rnn(cell) => LayerOptions { nonlinearity: cell.0, ..common },
        AnyCell::Lstm(cell) => {
            LayerOptions { input_forget: cell.input_forget, clip: cell.clip, ..common }
        }
        AnyCell::Gru(cell) => LayerOptions { reset_after: cell.reset_after, ..common },
        #[cfg(feature = "diagonal-cells")]
        AnyCell::Unicornn(cell) => {
            let (found, usual) = ([cell.step, cell.alpha], Unicornn::default());
            let is_usual = found == [usual.step, usual.alpha];
            LayerOptions { oscillator: (!is_usual).then_some(found), ..common }
        }
        #[cfg(feature = "gated-cells")]
        AnyCell::Lem(cell) => {
            let is_usual = cell.step == Lem::default().step;
            LayerOptions { time_step: (!is_usual).then_some(cell.step), ..common }
        }
        // By its name, because the type is there with a feature only.
        other if other.name().ends_with("-relu") => {
            LayerOptions { nonlinearity: Nonlinearity::Relu, ..common }
        }
        _ => common,
    }
}

/// A layer's parameters under PyTorch's names.
///
/// # Errors
///
/// If files cannot hold their type.
pub fn tensors<C: FileCell>(layer: &Recurrent<C>) -> Result<Tensors, String> {
    let mut found = Tensors::new();
    for (weights, suffix) in layer.weights.iter().zip(layer.suffixes()) {
        let mut put = |part: &str, array: Array| found.insert(format!("{part}{suffix}"), array);
        put("weight_ih", array(&weights.weight_ih)?);
        let weight_hh = match &weights.weight_hh {
            RecurrentWeight::Whole(weight) => array(weight)?,
            RecurrentWeight::Heads(weight) => array(weight)?,
        };
        put("weight_hh", weight_hh);
        if let Some(bias) = &weights.bias_ih {
            put("bias_ih", array(bias)?);
        }
        if let Some(bias) = &weights.bias_hh {
            put("bias_hh", array(bias)?);
        }
        if let Some(weight) = &weights.weight_hr {
            put("weight_hr", array(weight)?);
        }
        if let Some(weight) = &weights.weight_diag {
            put("weight_diag", array(weight)?);
        }
    }
    Ok(found)
}

/// A parameter as a file has it.
pub(super) fn array<const D: usize>(param: &Param<Tensor<D>>) -> Result<Array, String> {
    let data = param.val().into_data();
    let element = Element::of_burn(data.dtype())?;
    let shape = data.shape().to_vec();
    Array::new(element, shape, data.into_bytes().to_vec())
}
