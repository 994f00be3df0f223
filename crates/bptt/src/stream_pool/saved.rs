//! Saved streams.

use crate::error::StreamError;
use crate::stream_pool::stream::{StreamKey, StreamState};
use burn::tensor::{Bytes, DType};
use burn_pack::{Reader, Writer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The states of all streams of a pool, to be saved by serde in any format, or as a burnpack file.
///
/// A burnpack file has two tensors, `hidden [S, L·P]` and `memory [S, L·M·H]`, with a row for each of `S` streams. The
/// keys of the streams are in the metadata, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedStreams<K> {
    /// Each stream and its state. The stream that was fed least recently comes first.
    pub streams: Vec<(K, StreamState)>,
}

/// The format name in the metadata.
const FORMAT: &str = "bptt-streams-1";

impl<K: StreamKey + Serialize + DeserializeOwned> SavedStreams<K> {
    /// Writes a burnpack file. An older file is replaced when the new one is complete.
    ///
    /// # Errors
    ///
    /// One line, with the path: if the file cannot be written, or if the states are not all of one
    /// size.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), StreamError> {
        let path = path.as_ref();
        self.writer()
            .and_then(|writer| writer.auto_extension(false).write_to_file(path).map_err(line))
            .map_err(|cause| StreamError::new(format!("cannot write {}: {cause}", path.display())))
    }

    /// Reads a burnpack file.
    ///
    /// # Errors
    ///
    /// One line, with the path: if there is no such file, if it is damaged, or if it has other content.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, StreamError> {
        let path = path.as_ref();
        Reader::from_file_exact(path)
            .map_err(line)
            .and_then(Self::read)
            .map_err(|cause| StreamError::new(format!("cannot read {}: {cause}", path.display())))
    }

    fn writer(&self) -> Result<Writer, String> {
        let keys: Vec<&K> = self.streams.iter().map(|(key, _)| key).collect();
        let keys = serde_json::to_string(&keys).map_err(line)?;
        let hidden = tensor("hidden", self.streams.iter().map(|(_, state)| &state.hidden))?;
        let memory = tensor("memory", self.streams.iter().map(|(_, state)| &state.memory))?;
        let writer = Writer::new(vec![hidden, memory]);
        Ok(writer.with_metadata("format", FORMAT).with_metadata("streams", &keys))
    }

    fn read(reader: Reader) -> Result<Self, String> {
        let entry = |name: &str| reader.metadata().get(name).cloned().unwrap_or_default();
        if entry("format") != FORMAT {
            return Err(format!("it is a burnpack file, and not one of streams ({FORMAT})"));
        }
        let keys: Vec<K> = serde_json::from_str(&entry("streams"))
            .map_err(|error| format!("the streams' names do not read: {error}"))?;
        let mut tensors = reader.into_tensors().map_err(line)?;
        let mut part = |name: &str| {
            let index = tensors.iter().position(|tensor| tensor.name == name);
            let tensor = tensors.swap_remove(index.ok_or(format!("there is no `{name}` in it"))?);
            rows(tensor, keys.len())
        };
        let (hidden, memory) = (part("hidden")?, part("memory")?);
        let states = hidden.into_iter().zip(memory);
        let states = states.map(|(hidden, memory)| StreamState { hidden, memory });
        Ok(Self { streams: keys.into_iter().zip(states).collect() })
    }
}

/// Rows of one size as a tensor.
fn tensor<'a>(
    name: &str,
    rows: impl ExactSizeIterator<Item = &'a Vec<f32>> + Clone,
) -> Result<burn_pack::Tensor, String> {
    let count = rows.len();
    let width = rows.clone().next().map_or(0, Vec::len);
    if let Some(other) = rows.clone().find(|row| row.len() != width) {
        return Err(format!(
            "`{name}` has {width} numbers in one state and {} in another",
            other.len()
        ));
    }
    let bytes: Vec<u8> = rows.flatten().flat_map(|x| x.to_le_bytes()).collect();
    let bytes = Bytes::from_bytes_vec(bytes);
    Ok(burn_pack::Tensor::new(name.to_string(), DType::F32, [count, width], None, bytes))
}

/// The reverse.
fn rows(tensor: burn_pack::Tensor, count: usize) -> Result<Vec<Vec<f32>>, String> {
    let (name, dtype, shape, _, bytes) = tensor.into_parts().map_err(line)?;
    let shape = shape.to_vec();
    let width = match shape[..] {
        [found, width] if dtype == DType::F32 && found == count => width,
        _ => {
            return Err(format!(
                "`{name}` is {dtype:?} of shape {shape:?}, expected F32 with a row for each of the \
                 {count} streams"
            ));
        }
    };
    let numbers: Vec<f32> = bytes
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
        .collect();
    if numbers.len() != count * width {
        return Err(format!("`{name}` has {} numbers for a shape of {shape:?}", numbers.len()));
    }
    Ok((0..count).map(|row| numbers[row * width..][..width].to_vec()).collect())
}

/// Messages of other crates may have several lines, but a user gets one line.
fn line(error: impl std::fmt::Display) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
