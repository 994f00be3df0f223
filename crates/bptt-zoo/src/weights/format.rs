//! What a format of weight files is.

use crate::weights::contents::{Contents, Metadata, Tensors};
use serde::{Serialize, Serializer};

/// How files of one format are read and, if they can be, written.
pub trait Codec: Sync {
    /// The name in tables and messages; in JSON, in small letters.
    fn name(&self) -> &'static str;

    /// The endings of file names, without the dot.
    fn extensions(&self) -> &'static [&'static str];

    /// What such a file is, in a few words with its ending, for help texts.
    fn about(&self) -> &'static str;

    /// How linear layers and norms lie in such a file.
    fn layout(&self) -> Layout;

    /// Whether a file begins like one of this format.
    fn recognises(&self, bytes: &[u8]) -> bool;

    /// Whether the tensors may be in a part of the file, which a key names.
    fn has_keys(&self) -> bool {
        false
    }

    /// Reads a file. Its bytes come from a stranger.
    ///
    /// # Arguments
    ///
    /// - `key`: which part of the file is meant; never given without [`has_keys`](Self::has_keys)
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn read(&self, bytes: &[u8], key: Option<&str>) -> Result<Contents, String>;

    /// What makes the bytes of a file; `None`: the format is only read.
    fn writer(&self) -> Option<WriteFile> {
        None
    }
}

/// Makes the bytes of a file.
pub type WriteFile = fn(&Tensors, &Metadata) -> Result<Vec<u8>, String>;

/// How linear layers and norms lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As Burn has them.
    Burn,
    /// As PyTorch has them.
    Torch,
}

/// A format of weight files, by its codec.
#[derive(Clone, Copy)]
pub struct Format(&'static dyn Codec);

impl Format {
    /// The format of a codec.
    pub const fn new(codec: &'static dyn Codec) -> Self {
        Self(codec)
    }
}

impl std::ops::Deref for Format {
    type Target = dyn Codec;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Format {}

impl std::fmt::Debug for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.name().to_lowercase())
    }
}
