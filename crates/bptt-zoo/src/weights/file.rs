//! Files of weights, of any format.

use crate::error::Error;
use crate::weights::contents::{Contents, Metadata, Tensors, UnreadTensors};
use crate::weights::format::Format;
use crate::weights::formats;
use crate::whole::write_whole;
use std::path::Path;

/// The longest file that is read (16 GiB), because it is held in memory.
const LONGEST: u64 = 1 << 34;

/// A file of weights that has been read.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightFile {
    /// Its format.
    pub format: Format,
    /// Its tensors.
    pub tensors: Tensors,
    /// The tensors of a type that is not read.
    pub left_out: UnreadTensors,
    /// Its metadata.
    pub metadata: Metadata,
}

impl WeightFile {
    /// Reads a file.
    ///
    /// # Arguments
    ///
    /// - `key`: where the state dict is in a checkpoint of PyTorch, such as `model`
    ///
    /// # Errors
    ///
    /// If it cannot be read, if it has none of the formats, or if it is damaged.
    pub fn read(path: &Path, key: Option<&str>) -> Result<Self, Error> {
        let bytes = read_whole(path)?;
        let failed = |cause: &dyn std::fmt::Display| Error::file("read", path, cause);
        let format = formats::of_bytes(&bytes).or_else(|| formats::of_path(path));
        let format = format.ok_or_else(|| match bytes.starts_with(b"\x89HDF\r\n") {
            true => failed(
                &"an HDF5 file, as Keras writes, which is not read: save the variables by their paths \
                  as .safetensors",
            ),
            false => failed(&format!("neither {}", formats::names().join(" nor "))),
        })?;
        Self::parse(format, &bytes, key).map_err(|why| failed(&why))
    }

    /// Reads bytes in a format.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), but the message does not have the name of the file.
    pub fn parse(format: Format, bytes: &[u8], key: Option<&str>) -> Result<Self, String> {
        Self::parse_any(format, bytes, key).map_err(one_line)
    }

    fn parse_any(format: Format, bytes: &[u8], key: Option<&str>) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err("it is empty".to_string());
        }
        if let (Some(key), false) = (key, format.has_keys()) {
            return Err(format!(
                "a key (`{key}`) is for a checkpoint of PyTorch; {} has none: take a prefix",
                format.name()
            ));
        }
        let Contents { tensors, left_out, metadata } = format.read(bytes, key)?;
        if tensors.is_empty() {
            return Err(match left_out.iter().next() {
                None => "it holds no tensors".to_string(),
                Some((name, odd)) => {
                    format!("it holds no tensors of types that are read: `{name}` is {}", odd.what)
                }
            });
        }
        Ok(Self { format, tensors, left_out, metadata })
    }

    /// The bytes of the file, in its format.
    ///
    /// # Errors
    ///
    /// If this format is not written.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        let writer = self.format.writer().ok_or_else(|| {
            let (name, written) = (self.format.name(), formats::about_written());
            Error::input(format!("{name}'s own format is only read: write {written}"))
        })?;
        writer(&self.tensors, &self.metadata).map_err(Error::Input)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    ///
    /// If it cannot be written. Then no temporary file remains.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        write_whole(path, &self.bytes()?)
    }
}

/// The bytes of a file, if it is a file and not too long.
pub(crate) fn read_whole(path: &Path) -> Result<Vec<u8>, Error> {
    crate::read::file(path, LONGEST)
}

/// Makes a message one line of bounded length. It may contain names from the file, which may have line breaks or
/// control codes for a terminal.
pub(super) fn one_line(why: String) -> String {
    const LONGEST: usize = 20_000;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = why.chars().take(LONGEST).map(plain).collect();
    if line.len() < why.len() {
        line.push('…');
    }
    line
}
