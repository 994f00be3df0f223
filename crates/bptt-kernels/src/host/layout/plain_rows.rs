//! Numbers row after row without padding, as tensors have them.

use crate::operation::operands::Operands;

/// The operands' numbers, row after row.
pub(crate) type Slices<'a, T> = Operands<&'a [T]>;
