//! Reads files of models with recurrent layers of `burn::nn`.
//!
//! Burn's own adapters map one tensor to one tensor, but here the tensors of several gates become one tensor. So the
//! record is rebuilt before the model loads it.

use crate::burn_nn::refuse::refuse;
use crate::error::ConversionError;
use burn::Tensor;
use burn::module::{Module, ModuleVisitor, Param};
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, DType};
use burn_pack::{Reader, Writer};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Entries = BTreeMap<String, burn_pack::Tensor>;

/// Reads a file, in which Burn saved a model with layers of `burn::nn`, into the same model with layers of bptt.
///
/// "The same model" means the same names of fields: a [`bptt::Lstm`](crate::Lstm) takes the place of a `burn::nn::Lstm`
/// with the same name, and everything else is the same. If the file already has a layer of bptt, it is read without a
/// change. So this function can replace Burn's `load_file`.
///
/// Such files have no options, neither Burn's nor those of bptt. So the model has to be made with the options of the
/// old one (`input_forget`, `reset_after`, `reverse`, `batch_first`, `nonlinearity`, `clip`).
///
/// # Arguments
///
/// - `model`: the new model, with any parameters
/// - `path`: the file; `.bpk` is appended to a name without an extension, as Burn does
///
/// # Errors
///
/// If the file cannot be read, if a layer in it cannot be converted, or if names or shapes do not fit the model. The
/// message says what was expected and what was found.
pub fn load_file<M: Module>(model: M, path: impl AsRef<Path>) -> Result<M, ConversionError> {
    let path = path.as_ref();
    let at = |reason: &dyn std::fmt::Display| {
        ConversionError::new(format!("{}: {reason}", path.display()))
    };
    let reader = Reader::from_file(path).map_err(|error| at(&error))?;
    let record = convert(reader, &model).map_err(|error| at(&error))?;
    model.try_load_record(record).map_err(|error| at(&error))
}

/// Converts a record as [`load_file`] does, for callers without a file, or for those that choose how the record is
/// loaded.
///
/// # Arguments
///
/// - `record`: the record of a model with layers of `burn::nn`
/// - `model`: the same model with layers of bptt
///
/// # Returns
///
/// The record for `model`. Choose on this record how it is loaded (`allow_partial`, `cast_to_module_dtype`, …). Choices
/// on the old record are lost, because Burn does not let us read them.
///
/// # Errors
///
/// If a layer in the record cannot be converted.
pub fn convert_record<M: Module>(
    record: ModuleRecord,
    model: &M,
) -> Result<ModuleRecord, ConversionError> {
    let bytes = record.into_bytes().map_err(|error| ConversionError::new(error.to_string()))?;
    let reader =
        Reader::from_bytes(bytes).map_err(|error| ConversionError::new(error.to_string()))?;
    convert(reader, model)
}

fn convert<M: Module>(reader: Reader, model: &M) -> Result<ModuleRecord, ConversionError> {
    let tensors = reader.into_tensors().map_err(|error| ConversionError::new(error.to_string()))?;
    let mut entries: Entries =
        tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    let mut names = Names::default();
    model.visit(&mut names);
    for layer in names.layers() {
        let two = names.found.contains(&format!("{layer}weight_ih_l0_reverse"));
        // A user's own field may be called `forward`. So the names in the model decide whether it is a direction.
        let directions: &[_] = match two {
            true => &[("forward.", "_l0"), ("reverse.", "_l0_reverse")],
            false => &[("", "_l0")],
        };
        for (direction, suffix) in directions {
            convert_direction(&mut entries, &layer, &format!("{layer}{direction}"), suffix)?;
        }
    }
    let bytes = Writer::new(entries.into_values().collect())
        .into_bytes()
        .map_err(|error| ConversionError::new(error.to_string()))?;
    ModuleRecord::from_bytes(bytes).map_err(|error| ConversionError::new(error.to_string()))
}

/// The names of a model's parameters.
#[derive(Default)]
struct Names {
    path: Vec<String>,
    found: BTreeSet<String>,
}

impl Names {
    /// The prefix of `weight_ih_l0` of each of our layers, with its dot.
    fn layers(&self) -> Vec<String> {
        let layer = |name: &String| {
            let layer = name.strip_suffix("weight_ih_l0")?;
            (layer.is_empty() || layer.ends_with('.')).then(|| layer.to_string())
        };
        self.found.iter().filter_map(layer).collect()
    }
}

impl ModuleVisitor for Names {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {
        self.found.insert(self.path.join("."));
    }
}

/// The names of the gates of each layer of `burn::nn`, in PyTorch's order.
const LAYERS: [&[&str]; 4] = [
    &["input_gate", "forget_gate", "cell_gate", "output_gate"],
    &["input_gate", "cell_gate", "output_gate"],
    &["reset_gate", "update_gate", "new_gate"],
    &["gate"],
];

/// Joins one direction's gates, below the name `from`, to the parameters of our layer.
fn convert_direction(
    entries: &mut Entries,
    layer: &str,
    from: &str,
    suffix: &str,
) -> Result<(), ConversionError> {
    let name = |gate: &str, transform: &str, kind: &str| format!("{from}{gate}.{transform}.{kind}");
    let has = |gate: &&str| entries.contains_key(&name(gate, "input_transform", "weight"));
    // The first list whose gates are all there. The longer LSTM list comes first, because coupled gates are three of
    // its four.
    let Some(gates) = LAYERS.iter().find(|gates| gates.iter().all(has)) else {
        return Ok(()); // Ours already, or missing, which loading will report.
    };
    for (transform, end) in [("input_transform", "ih"), ("hidden_transform", "hh")] {
        for kind in ["weight", "bias"] {
            let parts: Vec<_> = gates
                .iter()
                .filter_map(|gate| entries.remove(&name(gate, transform, kind)))
                .collect();
            if kind == "bias" && parts.is_empty() {
                continue;
            }
            if parts.len() < gates.len() {
                return refuse(format!(
                    "{from}: {} of {} gates have a {transform}.{kind}",
                    parts.len(),
                    gates.len(),
                ));
            }
            let joined = join(format!("{layer}{kind}_{end}{suffix}"), parts)?;
            entries.insert(joined.name.clone(), joined);
        }
    }
    Ok(())
}

/// Transposes matrices `[I, H]` to `[H, I]` and concatenates them, or concatenates vectors `[H]`.
fn join(name: String, parts: Vec<burn_pack::Tensor>) -> Result<burn_pack::Tensor, ConversionError> {
    let dtype = parts[0].dtype;
    let shape = parts[0].shape.to_vec();
    if !matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::BF16) {
        return refuse(format!("{}: its values are {dtype:?}, expected floats", parts[0].name));
    }
    let gates = parts.len();
    let mut bytes = Vec::new();
    for part in parts {
        if part.dtype != dtype || part.shape.to_vec() != shape {
            return refuse(format!(
                "{}: {:?} {:?}, but another gate of this layer is {dtype:?} {shape:?}",
                part.name,
                part.dtype,
                part.shape.to_vec(),
            ));
        }
        let (part_name, _, _, _, values) =
            part.into_parts().map_err(|error| ConversionError::new(error.to_string()))?;
        let numbers = shape.iter().try_fold(dtype.size(), |n, &size| n.checked_mul(size));
        if numbers != Some(values.len()) {
            return refuse(format!("{part_name}: {} bytes for {dtype:?} {shape:?}", values.len()));
        }
        match shape[..] {
            [_] => bytes.extend_from_slice(&values),
            [_, columns] => transpose(&values, columns, dtype.size(), &mut bytes),
            _ => {
                return refuse(format!(
                    "{part_name}: its shape is {shape:?}, expected one or two sizes"
                ));
            }
        }
    }
    let shape = match shape[..] {
        [rows, columns] => vec![gates * columns, rows],
        _ => vec![gates * shape[0]],
    };
    // It is a new parameter, so it has a new id.
    Ok(burn_pack::Tensor::new(name, dtype, shape, None, Bytes::from_bytes_vec(bytes)))
}

/// Appends a matrix with this many columns, column by column. A number has `size` bytes.
fn transpose(values: &[u8], columns: usize, size: usize, bytes: &mut Vec<u8>) {
    for column in 0..columns {
        for row in values.chunks_exact(columns * size) {
            bytes.extend_from_slice(&row[column * size..(column + 1) * size]);
        }
    }
}
