//! A conversion that is refused.

use crate::error::ConversionError;

/// The conversion is refused, for a reason in one line.
pub(super) fn refuse<T>(reason: impl Into<String>) -> Result<T, ConversionError> {
    Err(ConversionError::new(reason))
}
