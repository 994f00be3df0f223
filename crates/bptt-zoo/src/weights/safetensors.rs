//! `.safetensors`, read by the `safetensors` crate, which checks that the tensors lie one after the
//! other without a gap or an overlap, and are as long as their shapes say.

use crate::weights::array::{Array, Element};
use crate::weights::contents::{Metadata, Tensors, UnreadTensor, UnreadTensors};
use crate::weights::unique::Unique;
use safetensors::SafeTensors;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

/// Reads a file.
///
/// # Errors
///
/// One line: if it is no such file, or a name occurs twice.
pub fn read(bytes: &[u8]) -> Result<(Tensors, UnreadTensors, Metadata), String> {
    let broken = |error| format!("not a whole safetensors file: {error}");
    let (length, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    // The crate's own reading keeps the last of two tensors with one name.
    serde_json::from_slice::<Unique<IgnoredAny>>(&bytes[8..8 + length])
        .map_err(|error| format!("not a whole safetensors file: {error}"))?;
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let (mut tensors, mut left_out) = (Tensors::new(), UnreadTensors::new());
    for (name, tensor) in file.iter() {
        let (dtype, shape) = (tensor.dtype(), tensor.shape().to_vec());
        let Some(element) = Element::of_safetensors(dtype) else {
            left_out.insert(name.to_string(), UnreadTensor { shape, what: dtype.to_string() });
            continue;
        };
        let array = Array::new(element, shape, tensor.data().to_vec())
            .map_err(|why| format!("`{name}`: {why}"))?;
        tensors.insert(name.to_string(), array);
    }
    let metadata = header.metadata().iter().flatten();
    Ok((tensors, left_out, metadata.map(|(key, value)| (key.clone(), value.clone())).collect()))
}

/// The bytes of a file with these tensors, which `load_state_dict` of PyTorch takes.
///
/// The header is written here: the crate keeps metadata in an order that differs from run to run,
/// and the same weights are to give the same bytes.
pub fn write(tensors: &Tensors, metadata: &Metadata) -> Vec<u8> {
    let mut header = Map::new();
    let mut metadata = metadata.clone();
    // What PyTorch's side writes, and some of it asks for.
    metadata.insert("format".to_string(), "pt".to_string());
    header.insert("__metadata__".to_string(), json!(metadata));
    // The widest types first, so that each is aligned where it lies.
    let mut order: Vec<_> = tensors.iter().collect();
    order.sort_by_key(|(_, array)| std::cmp::Reverse(array.element().width()));
    let mut end = 0;
    for (name, array) in &order {
        let start = end;
        end += array.bytes().len();
        let dtype = array.element().safetensors().to_string();
        let about = json!({
            "dtype": dtype, "shape": array.shape(), "data_offsets": [start, end],
        });
        header.insert((*name).clone(), about);
    }
    let mut header = Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    for (_, array) in order {
        bytes.extend_from_slice(array.bytes());
    }
    bytes
}
