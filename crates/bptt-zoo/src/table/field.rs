//! One field of a table, and what is wrong with one.

use std::borrow::Cow;

/// What is wrong, and the byte where it is.
pub(super) type Wrong = (usize, String);

/// A finite number.
pub(super) fn number(field: &[u8]) -> Option<f64> {
    let number = std::str::from_utf8(field.trim_ascii()).ok()?.parse::<f64>().ok();
    number.filter(|number| number.is_finite())
}

/// A field for a message: one line, and not a long one.
pub(super) fn shown(field: &[u8]) -> String {
    const MOST: usize = 40;
    // So many characters are in four times as many bytes.
    let some = &field[..field.len().min(4 * MOST)];
    let text: Cow<'_, str> = String::from_utf8_lossy(some);
    let mut shown: String = text.chars().take(MOST).flat_map(char::escape_debug).collect();
    if field.len() > some.len() || text.chars().count() > MOST {
        shown.push('…');
    }
    shown
}
