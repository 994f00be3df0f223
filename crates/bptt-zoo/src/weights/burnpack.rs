//! `.bpk`, Burn's own format, by Burn's `burn-pack`.
//!
//! `burn-pack` checks that each tensor lies inside the file and that its length fits its shape. This module also checks
//! that each name occurs once and that no two tensors overlap.

use crate::weights::array::{Array, Element};
use crate::weights::contents::{Contents, Metadata, Tensors, UnreadTensor};
use crate::weights::format::{Codec, Format, Layout, WriteFile};
use crate::weights::unique::Unique;
use burn::tensor::Bytes;
use burn_pack::{Reader, Tensor, Writer};
use serde::Deserialize;

/// Magic number, version, and the size of the metadata that follows.
const HEADER: usize = 10;

/// Burn's `.bpk`.
pub const BURNPACK: Format = Format::new(&Burnpack);

struct Burnpack;

impl Codec for Burnpack {
    fn name(&self) -> &'static str {
        "burnpack"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["bpk"]
    }

    fn about(&self) -> &'static str {
        "Burn's .bpk"
    }

    fn layout(&self) -> Layout {
        Layout::Burn
    }

    fn recognises(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(b"NRUB")
    }

    fn read(&self, bytes: &[u8], _key: Option<&str>) -> Result<Contents, String> {
        read(bytes)
    }

    fn writer(&self) -> Option<WriteFile> {
        Some(write)
    }
}

/// The part of the metadata that is checked here; Burn reads the rest.
#[derive(Deserialize)]
struct Header {
    tensors: Unique<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    data_offsets: (u64, u64),
}

/// Reads a file. It is refused if a name occurs twice, or if tensors overlap.
fn read(bytes: &[u8]) -> Result<Contents, String> {
    let broken = |error: &dyn std::fmt::Display| format!("not a whole burnpack file: {error}");
    check(bytes)?;
    let reader = Reader::from_bytes(Bytes::from_bytes_vec(bytes.to_vec()));
    let reader = reader.map_err(|error| broken(&error))?;
    let mut found = Contents { metadata: reader.metadata().clone(), ..Contents::default() };
    for tensor in reader.into_tensors().map_err(|error| broken(&error))? {
        let name = tensor.name.clone();
        let shape = tensor.shape.to_vec();
        let Ok(element) = Element::of_burn(tensor.dtype) else {
            found
                .left_out
                .insert(name, UnreadTensor { shape, what: format!("{:?}", tensor.dtype) });
            continue;
        };
        let array = tensor
            .into_bytes()
            .map_err(|error| error.to_string())
            .and_then(|bytes| Array::new(element, shape, bytes.to_vec()))
            .map_err(|why| format!("`{name}`: {why}"))?;
        found.tensors.insert(name, array);
    }
    Ok(found)
}

/// Checks that each name occurs once and that no tensors overlap.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    header(bytes).map_err(|why| format!("not a whole burnpack file: {why}"))
}

fn header(bytes: &[u8]) -> Result<(), String> {
    let size = bytes.get(6..HEADER).ok_or("it ends within its header")?;
    let size = u32::from_le_bytes(size.try_into().expect("four bytes")) as usize;
    let header = bytes.get(HEADER..HEADER + size).ok_or("it ends within its header")?;
    let header: Header = ciborium::from_reader(header).map_err(|error| error.to_string())?;
    let mut ranges: Vec<_> = header.tensors.0.iter().map(|(k, v)| (v.data_offsets, k)).collect();
    ranges.retain(|((start, end), _)| start < end);
    ranges.sort();
    match ranges.windows(2).find(|pair| pair[0].0.1 > pair[1].0.0) {
        Some(pair) => Err(format!("`{}` and `{}` overlap", pair[0].1, pair[1].1)),
        None => Ok(()),
    }
}

/// The bytes of a file with these tensors, which a Burn module with these parameters loads.
fn write(tensors: &Tensors, metadata: &Metadata) -> Result<Vec<u8>, String> {
    let pack = |(k, (name, array)): (usize, (&String, &Array))| {
        let bytes = Bytes::from_bytes_vec(array.bytes().to_vec());
        // Numbered in order, so that the same weights give the same bytes.
        let id = Some(k as u64 + 1);
        Tensor::new(name.clone(), array.element().dtype(), array.shape().to_vec(), id, bytes)
    };
    let mut writer = Writer::new(tensors.iter().enumerate().map(pack).collect());
    for (key, value) in metadata {
        writer = writer.with_metadata(key, value);
    }
    let bytes = writer.into_bytes();
    Ok(bytes.map_err(|error| format!("cannot write burnpack: {error}"))?.to_vec())
}
