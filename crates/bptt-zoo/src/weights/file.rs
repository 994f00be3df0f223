//! Files of weights, whatever their format.

use crate::error::Error;
use crate::weights::contents::{Metadata, Tensors, UnreadTensors};
use crate::weights::{burnpack, pytorch, safetensors};
use crate::whole::write_whole;
use serde::Serialize;
use std::path::Path;

/// The longest file that is read (16 GiB): it is held in memory.
const LONGEST: u64 = 1 << 34;

/// A format of weight files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// What `torch.save` writes: `.pt`, `.pth`. Read only.
    PyTorch,
    /// `.safetensors`
    SafeTensors,
    /// Burn's `.bpk`.
    Burnpack,
}

impl Format {
    /// The name in tables and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::PyTorch => "PyTorch",
            Self::SafeTensors => "SafeTensors",
            Self::Burnpack => "burnpack",
        }
    }

    /// The format that a file's ending names.
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "pt" | "pth" => Some(Self::PyTorch),
            "safetensors" => Some(Self::SafeTensors),
            "bpk" => Some(Self::Burnpack),
            _ => None,
        }
    }

    /// The format that a file begins like.
    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        if pytorch::is_ours(bytes) {
            Some(Self::PyTorch)
        } else if bytes.starts_with(b"NRUB") {
            Some(Self::Burnpack)
        } else if bytes.get(8) == Some(&b'{') {
            Some(Self::SafeTensors)
        } else {
            None
        }
    }
}

/// A file of weights that has been read.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightFile {
    /// What it is.
    pub format: Format,
    /// Its tensors.
    pub tensors: Tensors,
    /// Those of a type that is not read.
    pub left_out: UnreadTensors,
    /// What else it says.
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
    /// If it cannot be read, is of none of the formats, or is broken in any way.
    pub fn read(path: &Path, key: Option<&str>) -> Result<Self, Error> {
        let bytes = read_whole(path)?;
        let failed = |cause: &dyn std::fmt::Display| Error::file("read", path, cause);
        let format = Format::of_bytes(&bytes).or_else(|| Format::of_path(path));
        let format = format.ok_or_else(|| {
            failed(&match bytes.starts_with(b"\x89HDF\r\n") {
                true => {
                    "an HDF5 file, as Keras writes, which is not read: save the variables by their \
                     paths as .safetensors"
                }
                false => {
                    "neither PyTorch (.pt, .pth) nor SafeTensors (.safetensors) nor Burn (.bpk)"
                }
            })
        })?;
        Self::parse(format, &bytes, key).map_err(|why| failed(&why))
    }

    /// Reads bytes in a format.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), without the file's name.
    pub fn parse(format: Format, bytes: &[u8], key: Option<&str>) -> Result<Self, String> {
        Self::parse_any(format, bytes, key).map_err(one_line)
    }

    fn parse_any(format: Format, bytes: &[u8], key: Option<&str>) -> Result<Self, String> {
        if bytes.is_empty() {
            return Err("it is empty".to_string());
        }
        if let (Some(key), Format::SafeTensors | Format::Burnpack) = (key, format) {
            return Err(format!(
                "a key (`{key}`) is for a checkpoint of PyTorch; {} has none: take a prefix",
                format.name()
            ));
        }
        let (tensors, left_out, metadata) = match format {
            Format::PyTorch => {
                let (tensors, left_out) = pytorch::read(bytes, key)?;
                (tensors, left_out, Metadata::new())
            }
            Format::SafeTensors => safetensors::read(bytes)?,
            Format::Burnpack => burnpack::read(bytes)?,
        };
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
    /// If the format is one that is only read.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        match self.format {
            Format::PyTorch => Err(Error::input(
                "PyTorch's own format is only read: write .safetensors or .bpk (PyTorch loads .safetensors)",
            )),
            Format::SafeTensors => Ok(safetensors::write(&self.tensors, &self.metadata)),
            Format::Burnpack => {
                burnpack::write(&self.tensors, &self.metadata).map_err(Error::Input)
            }
        }
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    ///
    /// If it cannot be written; nothing is left behind then.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        write_whole(path, &self.bytes()?)
    }
}

/// A file's bytes, if it is a file and not longer than weights are.
pub(crate) fn read_whole(path: &Path) -> Result<Vec<u8>, Error> {
    crate::read::file(path, LONGEST)
}

/// A message in one line of bounded length. Names come from the file, into messages of other crates too,
/// and may hold line breaks, or what a terminal would act upon.
pub(super) fn one_line(why: String) -> String {
    const LONGEST: usize = 20_000;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let mut line: String = why.chars().take(LONGEST).map(plain).collect();
    if line.len() < why.len() {
        line.push('…');
    }
    line
}
