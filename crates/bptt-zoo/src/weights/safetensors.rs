//! `.safetensors`, read by the `safetensors` crate. It checks that the tensors follow each other without a gap or an
//! overlap, and that their lengths fit their shapes.

use crate::weights::array::{Array, Element};
use crate::weights::contents::{Contents, Metadata, Tensors, UnreadTensor};
use crate::weights::format::{Codec, Format, Layout, WriteFile};
use crate::weights::unique::Unique;
use safetensors::SafeTensors;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

// ANCHOR: codec
/// `.safetensors`
pub const SAFETENSORS: Format = Format::new(&Safetensors);

struct Safetensors;

impl Codec for Safetensors {
    fn name(&self) -> &'static str {
        "SafeTensors"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["safetensors"]
    }

    fn about(&self) -> &'static str {
        ".safetensors (which PyTorch loads, too)"
    }

    fn layout(&self) -> Layout {
        Layout::Torch
    }

    fn recognises(&self, bytes: &[u8]) -> bool {
        // The header follows its length, which has eight bytes.
        bytes.get(8) == Some(&b'{')
    }

    fn read(&self, bytes: &[u8], _key: Option<&str>) -> Result<Contents, String> {
        read(bytes)
    }

    fn writer(&self) -> Option<WriteFile> {
        Some(write)
    }
}
// ANCHOR_END: codec

/// Reads a file. It is refused if a name occurs twice.
fn read(bytes: &[u8]) -> Result<Contents, String> {
    let broken = |error| format!("not a whole safetensors file: {error}");
    let (length, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    // If a name occurs twice, the reader of the crate silently takes the last tensor.
    serde_json::from_slice::<Unique<IgnoredAny>>(&bytes[8..8 + length])
        .map_err(|error| format!("not a whole safetensors file: {error}"))?;
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let mut found = Contents::default();
    for (name, tensor) in file.iter() {
        let (dtype, shape) = (tensor.dtype(), tensor.shape().to_vec());
        let Some(element) = Element::of_safetensors(dtype) else {
            found
                .left_out
                .insert(name.to_string(), UnreadTensor { shape, what: dtype.to_string() });
            continue;
        };
        let array = Array::new(element, shape, tensor.data().to_vec())
            .map_err(|why| format!("`{name}`: {why}"))?;
        found.tensors.insert(name.to_string(), array);
    }
    let metadata = header.metadata().iter().flatten();
    found.metadata = metadata.map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(found)
}

/// The bytes of a file with these tensors, which `load_state_dict` of PyTorch takes.
///
/// The header is written here and not by the crate, because the crate's order of metadata differs between runs. The
/// same weights have to give the same bytes.
fn write(tensors: &Tensors, metadata: &Metadata) -> Result<Vec<u8>, String> {
    let mut header = Map::new();
    let mut metadata = metadata.clone();
    // Programs around PyTorch write this key, and some of them need it.
    metadata.insert("format".to_string(), "pt".to_string());
    header.insert("__metadata__".to_string(), json!(metadata));
    // The widest types come first, so that each tensor is aligned.
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
    Ok(bytes)
}
