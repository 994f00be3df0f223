//! What can be wrong with a row, and the messages for it.

use crate::table::field::{number, shown};
use csv::ByteRecord;

/// The index of the column with this name. `names` is the first row of the file, and `raw` has the bytes of this row.
pub(crate) fn place(names: &ByteRecord, raw: &[u8], column: &str) -> Result<usize, String> {
    let fits = |&place: &usize| names[place].trim_ascii() == column.as_bytes().trim_ascii();
    let mut places = (0..names.len()).filter(fits);
    match (places.next(), places.next()) {
        (Some(place), None) => Ok(place),
        (Some(_), Some(_)) => Err(format!("more than one column is called `{column}`")),
        (None, _) => {
            let mut some: Vec<_> = names.iter().take(20).map(|n| shown(n.trim_ascii())).collect();
            if names.len() > some.len() {
                some.push(format!("and {} more", names.len() - some.len()));
            }
            let hint = hint(names, raw, column).map(|hint| format!("; {hint}"));
            let hint = hint.unwrap_or_default();
            Err(format!("no column `{column}`; there are: {}{hint}", some.join(", ")))
        }
    }
}

/// A hint why the name was not found.
fn hint(names: &ByteRecord, raw: &[u8], column: &str) -> Option<String> {
    for (delimiter, called) in [(b';', "`;`"), (b'\t', "tabs"), (b'|', "`|`")] {
        let mut parts = raw.split(|&byte| byte == delimiter).map(|part| {
            let part = part.trim_ascii();
            let inner = part.strip_prefix(b"\"").and_then(|part| part.strip_suffix(b"\""));
            inner.unwrap_or(part)
        });
        let found = parts.any(|part| part == column.as_bytes().trim_ascii());
        if raw.contains(&delimiter) && (found || names.len() == 1) {
            return Some(format!(
                "the fields seem to be separated by {called}: write commas between fields, and \
                 points in numbers"
            ));
        }
    }
    if names.iter().any(|name| std::str::from_utf8(name).is_err()) {
        return Some("they are not UTF-8: convert the file to UTF-8".to_string());
    }
    let typed = names.iter().all(|name| number(name).is_some() || name.is_empty());
    typed.then(|| "the first line has to be the columns' names".to_string())
}

/// The message for a row with more or fewer fields than there are columns.
pub(crate) fn width(found: usize, expected: usize) -> String {
    let hint = match found > expected {
        true => " (a field with a comma in it stands in quotes, and a number has a point)",
        false => "",
    };
    format!("{found} fields, expected {expected}{hint}")
}

/// The message for a field that is neither a number nor empty.
pub(crate) fn no_number(field: &[u8], column: &str) -> String {
    let lower = field.to_ascii_lowercase();
    let gaps: [&[u8]; 10] =
        [b"nan", b"na", b"n/a", b"#n/a", b"null", b"none", b"nil", b"-", b".", b"?"];
    let digit = field.iter().any(u8::is_ascii_digit);
    let hint = if gaps.contains(&&lower[..]) {
        ", or nothing for a gap"
    } else if digit && field.contains(&b';') {
        ", and fields separated by commas"
    } else if digit && field.contains(&b',') {
        " with a decimal point and no other marks, such as 1234.5"
    } else if digit && is_infinite(field) {
        " that a double can hold"
    } else {
        ""
    };
    format!("`{column}` is `{}`, expected a number{hint}", shown(field))
}

/// Whether the field is a number that is too large for `f64`.
fn is_infinite(field: &[u8]) -> bool {
    std::str::from_utf8(field).is_ok_and(|text| text.parse().is_ok_and(f64::is_infinite))
}

/// Checks that every quote in a row is closed, and that nothing follows a closing quote in its field.
///
/// # Errors
///
/// The place of the fault. For a quote that is never closed, this is where it was opened. For text after a closing
/// quote, it is the place of this text, together with the place where the quote was opened.
pub(crate) fn quotes(raw: &[u8], delimiter: u8) -> Result<(), (usize, Option<usize>)> {
    enum At {
        Start,
        Plain,
        Quoted(usize),
        Closed(usize),
    }
    if !raw.contains(&b'"') {
        return Ok(());
    }
    let mut at = At::Start;
    for (place, &byte) in raw.iter().enumerate() {
        at = match (at, byte) {
            (At::Quoted(opened), b'"') => At::Closed(opened),
            (At::Quoted(opened), _) => At::Quoted(opened),
            // Two quotes in a row are one quote of the text.
            (At::Closed(opened), b'"') => At::Quoted(opened),
            (_, b'\r' | b'\n') => At::Start,
            (_, byte) if byte == delimiter => At::Start,
            (At::Start, b'"') => At::Quoted(place),
            (At::Closed(opened), b' ' | b'\t') => At::Closed(opened),
            (At::Closed(opened), _) => return Err((place, Some(opened))),
            (At::Start | At::Plain, _) => At::Plain,
        };
    }
    if let At::Quoted(opened) = at { Err((opened, None)) } else { Ok(()) }
}

/// The message for a fault that [`quotes`] found. It names the line where the quote was opened, if the fault is in
/// another line.
pub(crate) fn quote(other: Option<usize>, opened: Option<usize>) -> String {
    let double = "a quote that belongs to the text is written twice";
    match (other, opened) {
        (_, None) => format!("a quote is opened here and never closed; {double}"),
        (Some(line), _) => format!(
            "text behind a closing quote; close the one that is opened in line {line}; {double}"
        ),
        (None, _) => format!("text behind a closing quote; {double}"),
    }
}

/// Whether a field contains text that looks like further rows. This happens if a quote was not closed, and a later
/// quote closes it by accident.
///
/// A field may have several lines. But its second line counts as a row if it has one field for each column, numbers
/// where this row has numbers, and a number in the column that is read.
pub(crate) fn swallowed_rows(
    record: &ByteRecord,
    width: usize,
    place: usize,
    delimiter: u8,
) -> Option<String> {
    for (field, text) in record.iter().enumerate().take(width) {
        let Some(end) = text.iter().position(|byte| b"\r\n".contains(byte)) else { continue };
        let rest = text[end..].trim_ascii_start();
        let line = rest.split(|byte| b"\r\n".contains(byte)).next().unwrap_or(rest);
        let mut parts: Vec<&[u8]> = line.split(|&byte| byte == delimiter).collect();
        // The last line of the text is followed by the rest of the row, so it is not checked.
        if line.len() == rest.len() {
            parts.extend(record.iter().skip(field + 1));
        }
        let alike = |at: usize| number(parts[at]).is_some() == number(&record[at]).is_some();
        let numbers = (0..field).filter(|&at| number(&record[at]).is_some()).count();
        let row = parts.len() == width
            && numbers > 0
            && (0..field).all(alike)
            && (place == field || number(parts[place]).is_some());
        if row {
            return Some(format!(
                "field {} is a text in quotes that holds what looks like further rows (`{}`): close the \
                 quote where the text ends",
                field + 1,
                shown(line)
            ));
        }
    }
    None
}
