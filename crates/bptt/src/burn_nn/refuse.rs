//! The error of a conversion.

use crate::error::ConversionError;

/// Returns an error with a reason of one line.
pub(super) fn refuse<T>(reason: impl Into<String>) -> Result<T, ConversionError> {
    Err(ConversionError::new(reason))
}
