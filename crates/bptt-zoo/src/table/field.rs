//! One field of a table, and errors about it.

use std::borrow::Cow;

/// The byte where the error is, and the message.
pub(crate) type Wrong = (usize, String);

/// A finite number.
pub(crate) fn number(field: &[u8]) -> Option<f64> {
    let number = std::str::from_utf8(field.trim_ascii()).ok()?.parse::<f64>().ok();
    number.filter(|number| number.is_finite())
}

/// A field as text for a message: one short line.
pub(crate) fn shown(field: &[u8]) -> String {
    const MOST: usize = 40;
    // A character has at most four bytes.
    let some = &field[..field.len().min(4 * MOST)];
    let text: Cow<'_, str> = String::from_utf8_lossy(some);
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if field.len() > some.len() || text.chars().count() > MOST {
        shown.push('…');
    }
    shown
}
