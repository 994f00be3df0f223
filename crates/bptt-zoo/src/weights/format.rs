//! What a format of weight files is.

use crate::weights::contents::{Contents, Metadata, Tensors};
use serde::{Serialize, Serializer};

/// How files of one format are read and, if they can be, written.
pub trait Codec: Sync {
    /// The name in tables and messages. In JSON it is in lower case.
    fn name(&self) -> &'static str;

    /// The endings of file names, without the dot.
    fn extensions(&self) -> &'static [&'static str];

    /// What such a file is, in a few words and with its ending, for help texts.
    fn about(&self) -> &'static str;

    /// The layout of linear layers and norms in such a file.
    fn layout(&self) -> Layout;

    /// Whether the first bytes of a file are those of this format.
    fn recognises(&self, bytes: &[u8]) -> bool;

    /// Whether the tensors may be in a part of the file that a key names.
    fn has_keys(&self) -> bool {
        false
    }

    /// Reads a file. Its bytes may come from a stranger.
    ///
    /// # Arguments
    ///
    /// - `key`: which part of the file is meant; never given without [`has_keys`](Self::has_keys)
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn read(&self, bytes: &[u8], key: Option<&str>) -> Result<Contents, String>;

    /// The function that makes the bytes of a file; `None` if the format is not written.
    fn writer(&self) -> Option<WriteFile> {
        None
    }
}

/// Makes the bytes of a file.
pub type WriteFile = fn(&Tensors, &Metadata) -> Result<Vec<u8>, String>;

/// The layout of linear layers and norms in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Burn's layout.
    Burn,
    /// PyTorch's layout.
    Torch,
}

/// A format of weight files, defined by its codec.
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
