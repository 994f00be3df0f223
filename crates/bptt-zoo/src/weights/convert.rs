//! From file to file.

use super::export::metadata;
use super::file::{Format, WeightFile};
use super::import::{Import, Imported};
use super::keymap::Move;
use super::layer::{FoundLayer, Unsaid};
use crate::{Error, write_whole};
use std::path::Path;

/// A file that has been read, checked and put into another format, but not yet written.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// What the file was.
    pub from: Format,
    /// What it becomes.
    pub to: Format,
    /// The recurrent layers in it.
    pub layers: Vec<FoundLayer>,
    /// What is said of each besides, in the same order.
    pub unsaid: Vec<Unsaid>,
    /// Where each tensor went.
    pub moves: Vec<Move>,
    /// The bytes to write.
    pub bytes: Vec<u8>,
}

impl Conversion {
    /// Reads a file and converts it.
    ///
    /// # Arguments
    ///
    /// - `input`, `output`: the files; the ending of `output` says its format
    /// - `import`: which part of the input, and what its tensors do not tell
    ///
    /// # Errors
    ///
    /// One line that says all that is wrong with the input, or that no file is written in that
    /// format.
    pub fn new(input: &Path, output: &Path, import: &Import) -> Result<Self, Error> {
        let to = match Format::of_path(output) {
            Some(to @ (Format::SafeTensors | Format::Burnpack)) => to,
            _ => {
                let why = "its name has to end in .safetensors (which PyTorch loads, too) or .bpk";
                return Err(Error::file("write", output, why));
            }
        };
        let Imported { file, layers, unsaid, tensors, moves } = import.inspect(input)?;
        let said = layers.iter().map(|layer| layer.prefix.clone()).zip(unsaid.iter().cloned());
        let converted = WeightFile { format: to, tensors, metadata: metadata(&said.collect())? };
        let bytes = converted.bytes()?;
        Ok(Self { from: file.format, to, layers, unsaid, moves, bytes })
    }

    /// Writes the converted file, whole or not at all.
    ///
    /// # Errors
    ///
    /// If it cannot be written; nothing is left behind then.
    pub fn write(&self, output: &Path) -> Result<(), Error> {
        write_whole(output, &self.bytes)
    }
}
