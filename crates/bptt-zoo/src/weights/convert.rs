//! Converts a file to another format.

use crate::error::Error;
use crate::weights::contents::{Metadata, Tensors, UnreadTensors};
use crate::weights::export::metadata;
use crate::weights::file::{WeightFile, one_line};
use crate::weights::format::Format;
use crate::weights::formats;
use crate::weights::import::{Import, Imported};
use crate::weights::keymap::TensorMapping;
use crate::weights::layer::{FoundLayer, LayerOptions};
use crate::weights::layout;
use crate::weights::library::Library;
use crate::weights::library_export::{of_library, target};
use crate::weights::said::Said;
#[cfg(feature = "scanned-cells")]
use crate::weights::scanned::convert::for_library;
#[cfg(feature = "scanned-cells")]
use crate::weights::scanned::found::FoundScanned;
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
    /// The stacks of layers that run as a scan in it.
    #[cfg(feature = "scanned-cells")]
    #[cfg_attr(docsrs, doc(cfg(feature = "scanned-cells")))]
    pub scanned: Vec<FoundScanned>,
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
        let to = format_to_write(input, output)?;
        let Imported {
            file,
            layers,
            options,
            #[cfg(feature = "scanned-cells")]
            scanned,
            mut tensors,
            mut mappings,
        } = import.inspect(input)?;
        if file.format.layout() != to.layout() {
            let of_layer = |name: &str| {
                #[cfg_attr(not(feature = "scanned-cells"), allow(unused_mut))]
                let mut is_there = layers.iter().any(|layer| layer.has(name));
                #[cfg(feature = "scanned-cells")]
                {
                    is_there |= scanned.iter().any(|stack| stack.has(name));
                }
                is_there
            };
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
        let said = options.iter().cloned().map(Said::Cell);
        let said = layers.iter().map(|layer| layer.prefix.clone()).zip(said);
        #[cfg(feature = "scanned-cells")]
        let said = said.chain(
            scanned.iter().map(|stack| (stack.prefix.clone(), Said::Scanned(stack.options()))),
        );
        let metadata = metadata(&said.collect())?;
        let left_out = UnreadTensors::new();
        let bytes = WeightFile { format: to, tensors, left_out, metadata }.bytes()?;
        Ok(Self {
            from: file.format,
            to,
            layers,
            options,
            #[cfg(feature = "scanned-cells")]
            scanned,
            mappings,
            bytes,
        })
    }

    /// Reads a file that has one recurrent layer, and converts this layer to the names of another library, as
    /// [`save_as`](super::save_as) does. Other tensors are left out.
    ///
    /// # Errors
    ///
    /// One line with all errors of the input, or with what the library does not have.
    pub fn for_library(
        input: &Path,
        output: &Path,
        import: &Import,
        library: Library,
    ) -> Result<Self, Error> {
        let to = format_to_write(input, output)?;
        let imported = import.inspect(input)?;
        let from = imported.file.format;
        let of_file = |tensors: Tensors| {
            let (left_out, metadata) = (UnreadTensors::new(), Metadata::new());
            WeightFile { format: to, tensors, left_out, metadata }.bytes()
        };
        let failed = |why: String| Error::file("convert", input, one_line(why));
        if !import.linear.is_empty() {
            let why = "one recurrent layer is written, and no linear layer has to be named";
            return Err(failed(why.to_string()));
        }
        #[cfg(feature = "scanned-cells")]
        if let Some(done) = for_library(&imported, library) {
            let (tensors, mappings) = done.map_err(failed)?;
            let Imported { layers, options, scanned, .. } = imported;
            let bytes = of_file(tensors)?;
            return Ok(Self { from, to, layers, options, scanned, mappings, bytes });
        }
        let Imported { layers, options, tensors, mut mappings, .. } = imported;
        let ([layer], [said]) = (&layers[..], &options[..]) else {
            return Err(failed(format!(
                "it holds {} recurrent layers, and one is written under the names of another library: take one by its prefix",
                layers.len()
            )));
        };
        let bare = |name: &str| Some(name.strip_prefix(&layer.prefix)?.to_string());
        let own: Tensors = tensors
            .iter()
            .filter(|(name, _)| layer.has(name))
            .filter_map(|(name, array)| Some((bare(name)?, array.clone())))
            .collect();
        let alone = FoundLayer { prefix: String::new(), ..layer.clone() };
        let tensors = of_library(&alone, said, &own, library).map_err(failed)?;
        for mapping in &mut mappings {
            let Some(targets) = mapping.to.take() else { continue };
            // A tensor may have become several parameters, and several may become one.
            let parts: Option<Vec<_>> = targets
                .split(", ")
                .map(|name| {
                    Some(bare(name).filter(|_| layer.has(name))?.strip_suffix("_l0")?.to_string())
                })
                .collect();
            match parts {
                Some(parts) => {
                    let mut names: Vec<_> =
                        parts.iter().map(|part| target(&alone, library, part)).collect();
                    names.dedup();
                    mapping.to = Some(names.join(", "));
                }
                None => mapping.how = "left out: not of the recurrent layer".to_string(),
            }
        }
        let bytes = of_file(tensors)?;
        Ok(Self {
            from,
            to,
            layers,
            options,
            #[cfg(feature = "scanned-cells")]
            scanned: Vec::new(),
            mappings,
            bytes,
        })
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

/// The format by the name of the output, which has to be another file than the input.
fn format_to_write(input: &Path, output: &Path) -> Result<Format, Error> {
    let to = formats::of_path_to_write(output).map_err(|why| Error::file("write", output, why))?;
    let same = |a: &Path, b: &Path| a.canonicalize().ok().zip(b.canonicalize().ok());
    match same(input, output).is_some_and(|(input, output)| input == output) {
        true => {
            let why = "it is the file that is read: give another name";
            Err(Error::file("write", output, why))
        }
        false => Ok(to),
    }
}
