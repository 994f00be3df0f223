//! What a scan is told about a step of a row, as bits of a number.

/// The state of the row is reset before the step.
pub(crate) const RESET: u8 = 1;

/// The step is masked: the state is copied on.
pub(crate) const MASKED: u8 = 2;
