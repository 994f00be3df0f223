//! The error of conversions from and to `burn::nn`.

/// Why a layer, a state or a record could not be converted, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversionError(pub(super) String);

impl std::fmt::Display for ConversionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConversionError {}

pub(super) fn refuse<T>(reason: impl Into<String>) -> Result<T, ConversionError> {
    Err(ConversionError(reason.into()))
}
