//! Converts a file to another format.

use crate::error::Error;
use crate::weights::contents::UnreadTensors;
use crate::weights::export::metadata;
use crate::weights::file::{WeightFile, one_line};
use crate::weights::format::Format;
use crate::weights::formats;
use crate::weights::import::{Import, Imported};
use crate::weights::keymap::TensorMapping;
use crate::weights::layer::{FoundLayer, LayerOptions};
use crate::weights::layout;
use crate::whole::write_whole;
use std::path::Path;

/// A file that has been read, checked and put into another format, but not yet written.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// The format of the input.
    pub from: Format,
    /// The format of the output.
    pub to: Format,
    /// The recurrent layers in it.
    pub layers: Vec<FoundLayer>,
    /// The options of each layer, in the same order.
    pub options: Vec<LayerOptions>,
    /// Where each tensor went.
    pub mappings: Vec<TensorMapping>,
    /// The bytes to write.
    pub bytes: Vec<u8>,
}

impl Conversion {
    /// Reads a file and converts it.
    ///
    /// # Arguments
    ///
    /// - `input`, `output`: the files; the ending of `output` says its format
    /// - `import`: which part of the input is meant, and the options that its tensors do not show
    ///
    /// # Errors
    ///
    /// One line with all errors of the input, or that this format is not written.
    pub fn new(input: &Path, output: &Path, import: &Import) -> Result<Self, Error> {
        let to =
            formats::of_path_to_write(output).map_err(|why| Error::file("write", output, why))?;
        let same = |a: &Path, b: &Path| a.canonicalize().ok().zip(b.canonicalize().ok());
        if same(input, output).is_some_and(|(input, output)| input == output) {
            let why = "it is the file that is read: give another name";
            return Err(Error::file("write", output, why));
        }
        let Imported { file, layers, options, mut tensors, mut mappings } =
            import.inspect(input)?;
        if file.format.layout() != to.layout() {
            let of_layer = |name: &str| layers.iter().any(|layer| layer.has(name));
            let (changed, changes) = layout::change(tensors, to.layout(), of_layer, &import.linear)
                .map_err(|why| Error::file("read", input, one_line(why)))?;
            tensors = changed;
            for mapping in &mut mappings {
                if let Some(change) = mapping.to.as_ref().and_then(|name| changes.get(name)) {
                    mapping.to = Some(change.to.clone());
                    mapping.how.clone_from(&change.how);
                }
            }
        } else if !import.linear.is_empty() {
            let why = "both files have the same layout, no linear layer has to be named";
            return Err(Error::file("convert", input, why));
        }
        let said = layers.iter().map(|layer| layer.prefix.clone()).zip(options.iter().cloned());
        let metadata = metadata(&said.collect())?;
        let left_out = UnreadTensors::new();
        let bytes = WeightFile { format: to, tensors, left_out, metadata }.bytes()?;
        Ok(Self { from: file.format, to, layers, options, mappings, bytes })
    }

    /// Writes the converted file, whole or not at all.
    ///
    /// # Errors
    ///
    /// If it cannot be written. Then no temporary file remains.
    pub fn write(&self, output: &Path) -> Result<(), Error> {
        write_whole(output, &self.bytes)
    }
}
