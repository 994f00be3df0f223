//! How a table is written: what separates its fields, how its numbers look, which words stand for no value.

use crate::error::Error;
use crate::frame::marks::Mark;
use crate::option::TaskOption;
use serde::{Deserialize, Serialize};

/// How a table is written. What is not given is found out where that is sure, and said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFormat {
    /// What separates the fields: one character, or `tab`.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// The decimal mark, `.` or `,`.
    #[serde(default)]
    pub decimal: Option<String>,
    /// The mark between thousands.
    #[serde(default)]
    pub thousands: Option<String>,
    /// Words that stand for no value, besides nothing.
    #[serde(default)]
    pub na: Vec<String>,
}

/// Words that mean no value in the files of most programs.
const KNOWN: [&str; 11] =
    ["nan", "na", "n/a", "#n/a", "null", "none", "nil", "-", ".", "?", "missing"];

impl TableFormat {
    /// The options, for the command line.
    pub(crate) const OPTIONS: [TaskOption; 4] = [
        TaskOption::text(
            "delimiter",
            "C",
            "what separates the fields of the table, one character or `tab`; without it, it is found out and said",
        ),
        TaskOption::text(
            "decimal",
            "C",
            "the decimal mark, `.` or `,`; without it, it is found out where that is sure",
        ),
        TaskOption::text(
            "thousands",
            "C",
            "the mark between thousands: `.`, `,`, a space or an apostrophe",
        ),
        TaskOption::texts(
            "na",
            "WORD",
            "a word that stands for no value, such as -99.99; several times for several",
        ),
    ];

    /// Checks the options.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.given_delimiter()?;
        let (decimal, thousands) = (self.decimal_mark()?, self.thousands_mark()?);
        if decimal.is_some() && decimal == thousands {
            return Err(Error::input("--thousands: it is the decimal mark already; leave one out"));
        }
        Ok(())
    }

    pub(super) fn given_delimiter(&self) -> Result<Option<u8>, Error> {
        let Some(text) = &self.delimiter else { return Ok(None) };
        match text.as_bytes() {
            b"tab" | b"\\t" => Ok(Some(b'\t')),
            [byte]
                if byte.is_ascii()
                    && !byte.is_ascii_alphanumeric()
                    && !b"\"\r\n".contains(byte) =>
            {
                Ok(Some(*byte))
            }
            _ => Err(Error::input(format!(
                "--delimiter {}: has to be one character such as `;`, or `tab`",
                text.escape_debug()
            ))),
        }
    }

    pub(super) fn decimal_mark(&self) -> Result<Option<Mark>, Error> {
        mark("decimal", self.decimal.as_deref(), true)
    }

    pub(super) fn thousands_mark(&self) -> Result<Option<Mark>, Error> {
        mark("thousands", self.thousands.as_deref(), false)
    }

    /// Whether a field, which is no number, stands for no value: as the user says, or as is known.
    pub(super) fn is_gap(&self, field: &[u8]) -> Option<Gap> {
        if field.is_empty() {
            return Some(Gap::Empty);
        }
        let same = |word: &str| field.eq_ignore_ascii_case(word.trim().as_bytes());
        if self.na.iter().any(|word| same(word)) {
            return Some(Gap::Given);
        }
        KNOWN.iter().any(|word| same(word)).then_some(Gap::Known)
    }
}

/// Why a field is a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gap {
    Empty,
    Given,
    Known,
}

fn mark(option: &str, text: Option<&str>, decimal: bool) -> Result<Option<Mark>, Error> {
    let Some(text) = text else { return Ok(None) };
    Mark::named(text, decimal)
        .map(Some)
        .map_err(|why| Error::input(format!("--{option} {}: {why}", text.escape_debug())))
}

/// What separates the fields, by the first line of a file and the columns that are wanted: commas, or the one other mark
/// by which all wanted columns are found. If no mark finds all, that which finds or separates most, so that a message names
/// the columns.
///
/// # Errors
///
/// If several marks are possible.
pub(crate) fn detect(line: &[u8], wanted: &[&str]) -> Result<u8, String> {
    const MARKS: [u8; 4] = [b',', b';', b'\t', b'|'];
    let finds = |mark: &u8| {
        let names: Vec<&[u8]> = line.split(|byte| byte == mark).map(bare).collect();
        wanted.iter().filter(|wanted| names.contains(&wanted.trim().as_bytes())).count()
    };
    let found: Vec<u8> = MARKS.into_iter().filter(|mark| finds(mark) == wanted.len()).collect();
    match found[..] {
        [mark] => Ok(mark),
        [] => {
            // Of equally many, that which separates the most, and then the first one.
            let separated = |mark: &u8| line.iter().filter(|byte| *byte == mark).count();
            let best = MARKS.into_iter().rev().max_by_key(|mark| (finds(mark), separated(mark)));
            Ok(best.unwrap_or(b','))
        }
        // A single column is found by every mark that does not occur.
        [_, ..] if line.iter().all(|byte| !MARKS.contains(byte)) => Ok(b','),
        [b',', ..] if !wanted.iter().all(|wanted| wanted.contains([';', '\t', '|'])) => {
            let others = found[1..].iter().filter(|mark| line.contains(mark));
            match others.count() {
                0 => Ok(b','),
                _ => {
                    Err("commas and other marks may separate the fields: give --delimiter"
                        .to_string())
                }
            }
        }
        _ => Ok(b','),
    }
}

/// The first line of a table that is not blank.
pub(crate) fn first_line(bytes: &[u8]) -> &[u8] {
    let begin = bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(bytes.len());
    let end = bytes[begin..].iter().position(|byte| b"\r\n".contains(byte));
    &bytes[begin..end.map_or(bytes.len(), |end| begin + end)]
}

/// A name without spaces and quotes around it.
fn bare(part: &[u8]) -> &[u8] {
    let part = part.trim_ascii();
    let inner = part.strip_prefix(b"\"").and_then(|part| part.strip_suffix(b"\""));
    inner.unwrap_or(part).trim_ascii()
}

/// The name of a delimiter in notes.
pub(crate) fn called(delimiter: u8) -> String {
    match delimiter {
        b'\t' => "tabs".to_string(),
        other => format!("`{}`", char::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delimiters_are_found_by_the_columns() {
        let of = |line: &str, wanted: &[&str]| detect(line.as_bytes(), wanted);
        assert_eq!(of("t,x", &["x"]), Ok(b','));
        assert_eq!(of("t;x", &["x"]), Ok(b';'));
        assert_eq!(of("\"t, in s\";\"x\"", &["x"]), Ok(b';'));
        assert_eq!(of("t\tx\ty", &["x", "t"]), Ok(b'\t'));
        assert_eq!(of("t|x", &["x"]), Ok(b'|'));
        assert_eq!(of("x", &["x"]), Ok(b','));
        assert_eq!(of("a;b", &["x"]), Ok(b';'));
        assert_eq!(of("ab", &["x"]), Ok(b','));
        assert_eq!(of("a;b,x", &["x"]), Ok(b','));
        assert_eq!(of("a;b", &["b", "x"]), Ok(b';'));
        assert!(of("x,a;x", &["x"]).is_err());
    }

    #[test]
    fn options_that_make_no_sense_are_named() {
        let wrong = |format: TableFormat| format.check().unwrap_err().to_string();
        let some = |text: &str| Some(text.to_string());
        assert!(wrong(TableFormat { delimiter: some("xy"), ..Default::default() }).contains("tab"));
        assert!(wrong(TableFormat { decimal: some("x"), ..Default::default() }).contains("`,`"));
        let both = TableFormat { decimal: some(","), thousands: some(","), ..Default::default() };
        assert!(wrong(both).contains("leave one out"));
        TableFormat { delimiter: some("tab"), ..Default::default() }.check().unwrap();
    }
}
