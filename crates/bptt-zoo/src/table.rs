//! CSV files, read strictly: ambiguous content is refused, and the message has its line.

pub(crate) mod fault;
pub(crate) mod field;
pub(crate) mod summary;

use crate::error::Error;
use crate::frame::format::{detect, first_line};
use crate::frame::marks::{MarkEvidence, Marks};
use crate::read;
use crate::table::field::Wrong;
use csv::{ByteRecord, Reader, ReaderBuilder};

/// A whole table, row by row, read as strictly as [`column`].
pub(crate) struct Table<'a> {
    rows: Rows<'a>,
    name: &'a str,
    /// The columns' names.
    pub(crate) columns: Vec<String>,
    /// The bytes of the first row.
    head: std::ops::Range<usize>,
    first: ByteRecord,
    /// The line of the current row, and the byte up to which lines are counted.
    line: usize,
    counted: usize,
}

impl<'a> Table<'a> {
    /// Reads the columns' names.
    ///
    /// # Arguments
    ///
    /// - `bytes`: UTF-8
    /// - `name`: for messages
    /// - `wanted`: columns that have to be there, by which the separator is found
    pub(crate) fn open(bytes: &'a [u8], name: &'a str, wanted: &[&str]) -> Result<Self, Error> {
        read::no_text(bytes, 0).map_err(|why| Error::input(format!("{name}: {why}")))?;
        let delimiter = detect(first_line(bytes), wanted).map_err(|_| {
            let why = "commas and other marks may separate the fields: write only one of them";
            Error::input(format!("{name}, line 1: {why}"))
        })?;
        let mut rows = Rows::new(bytes, delimiter);
        let is_there = rows.next().map_err(|(at, why)| {
            Error::input(format!("{name}, line {}: {why}", line_of(bytes, at)))
        })?;
        if !is_there {
            return Err(Error::input(format!("{name}: the file is empty")));
        }
        let text = |field: &[u8]| String::from_utf8_lossy(field.trim_ascii()).into_owned();
        let columns = rows.record.iter().map(text).collect();
        let head = rows.start..rows.start + rows.raw().len();
        let first = rows.record.clone();
        Ok(Self { rows, name, columns, head, first, line: 1, counted: 0 })
    }

    /// The index of the column with this name.
    pub(crate) fn place(&self, column: &str) -> Result<usize, Error> {
        fault::place(&self.first, &self.rows.bytes[self.head.clone()], column)
            .map_err(|why| Error::input(format!("{}, line 1: {why}", self.name)))
    }

    /// What separates the fields.
    pub(crate) fn delimiter(&self) -> u8 {
        self.rows.delimiter
    }

    /// How the numbers in some columns are written, and a note, if it is not 1234.5. All rows are looked at.
    pub(crate) fn marks(&self, places: &[usize]) -> Result<(Marks, Option<String>), Error> {
        let bytes = self.rows.bytes;
        let mut rows = Rows::new(bytes, self.rows.delimiter);
        let mut evidence = MarkEvidence::default();
        // A row that is wrong is named when it is read.
        let mut is_name = true;
        while let Ok(true) = rows.next() {
            if !is_name {
                let fields = places.iter().filter_map(|&place| rows.record.get(place));
                fields.for_each(|field| evidence.look(field.trim_ascii(), rows.start));
            }
            is_name = false;
        }
        evidence.marks(None, None).map_err(|(at, why)| {
            let why = why.replace(", or give --decimal", "").replace(
                "give --decimal , or --thousands ,",
                "write it with a decimal point and no other mark, such as 1234.5",
            );
            Error::input(format!("{}, line {}: {why}", self.name, line_of(bytes, at)))
        })
    }

    /// Goes to the next row, if there is one, and returns its line and its fields. Blank lines are left out.
    ///
    /// # Arguments
    ///
    /// - `place`: a column of numbers, by which rows in an open quote are recognised
    pub(crate) fn next(&mut self, place: usize) -> Result<Option<(usize, &ByteRecord)>, Error> {
        let more = self.rows.next();
        let more = more.map_err(|(at, why)| {
            Error::input(format!("{}, line {}: {why}", self.name, line_of(self.rows.bytes, at)))
        })?;
        if !more {
            return Ok(None);
        }
        self.line += breaks(&self.rows.bytes[self.counted..self.rows.start]);
        self.counted = self.rows.start;
        let (record, width) = (&self.rows.record, self.columns.len());
        let why = fault::swallowed_rows(record, width, place, self.rows.delimiter)
            .or_else(|| (record.len() != width).then(|| fault::width(record.len(), width)));
        match why {
            Some(why) => Err(Error::input(format!("{}, line {}: {why}", self.name, self.line))),
            None => Ok(Some((self.line, &self.rows.record))),
        }
    }
}

/// A number of a table's field, with marks as in the other fields. An empty field is no number.
///
/// # Errors
///
/// What is wrong with the field.
pub(crate) fn field_number(field: &[u8], column: &str, marks: &Marks) -> Result<f64, String> {
    let field = field.trim_ascii();
    if field.is_empty() {
        return Err(format!("`{column}` is empty, expected a number"));
    }
    // Here, other than in a series, there are no gaps.
    marks
        .number(field)
        .ok_or_else(|| fault::no_number(field, column).replace(", or nothing for a gap", ""))
}

/// The rows of a file, one after the other.
pub(crate) struct Rows<'a> {
    bytes: &'a [u8],
    reader: Reader<&'a [u8]>,
    /// What separates the fields.
    delimiter: u8,
    /// The row.
    pub(crate) record: ByteRecord,
    /// The byte where the row begins.
    pub(crate) start: usize,
    /// The number of blank lines before the row.
    pub(crate) blank: usize,
}

impl<'a> Rows<'a> {
    /// The rows of these bytes, whose fields this byte separates.
    pub(crate) fn new(bytes: &'a [u8], delimiter: u8) -> Self {
        // The reader is configured to accept everything. Errors are found here, where the message can be better.
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(bytes);
        Self { bytes, reader, delimiter, record: ByteRecord::new(), start: 0, blank: 0 }
    }

    /// Goes to the next row, if there is one.
    pub(crate) fn next(&mut self) -> Result<bool, Wrong> {
        let before = self.reader.position().byte() as usize;
        let more = self.reader.read_byte_record(&mut self.record);
        if !more.map_err(|error| (before, error.to_string()))? {
            return Ok(false);
        }
        (self.start, self.blank) = blank_lines(self.bytes, before);
        fault::quotes(self.raw(), self.delimiter).map_err(|(at, opened)| {
            let at = self.start + at;
            let opened = opened.map(|opened| line_of(self.bytes, self.start + opened));
            (at, fault::quote(opened.filter(|&line| line != line_of(self.bytes, at)), opened))
        })?;
        Ok(true)
    }

    /// The bytes of the row in the file.
    pub(crate) fn raw(&self) -> &[u8] {
        &self.bytes[self.start..self.reader.position().byte() as usize]
    }
}

/// Skips blank lines from the byte `before` on. Returns where the next row begins, and how many blank lines come before
/// it.
fn blank_lines(bytes: &[u8], before: usize) -> (usize, usize) {
    // The previous row may end between the two bytes of `\r\n`.
    let rest = usize::from(is_pair(bytes, before));
    let start = bytes[before..].iter().position(|byte| !b"\r\n".contains(byte));
    let start = start.map_or(bytes.len(), |length| before + length);
    (start, breaks(&bytes[(before + rest).min(start)..start]))
}

/// Whether the byte is the second one of `\r\n`.
fn is_pair(bytes: &[u8], at: usize) -> bool {
    at > 0 && bytes[at - 1] == b'\r' && bytes.get(at) == Some(&b'\n')
}

/// How many line ends these bytes have.
fn breaks(bytes: &[u8]) -> usize {
    let ends = |&at: &usize| match bytes[at] {
        b'\n' => !is_pair(bytes, at),
        byte => byte == b'\r',
    };
    (0..bytes.len()).filter(ends).count()
}

/// The number of the line with this byte.
pub(crate) fn line_of(bytes: &[u8], at: usize) -> usize {
    1 + breaks(&bytes[..at.min(bytes.len())])
}
