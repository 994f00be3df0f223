//! The rows of a table with the columns that are wanted: numbers, times and the names of series.

use crate::error::Error;
use crate::frame::encoding::utf8;
use crate::frame::format::{Gap, TableFormat, called, detect, first_line};
use crate::frame::marks::{MarkEvidence, Marks};
use crate::frame::time::{Moment, TimeEvidence, TimeForm};
use crate::frame::unused;
use crate::read;
use crate::table::fault;
use crate::table::field::{Wrong, shown};
use crate::table::summary::Summaries;
use crate::table::{Rows, line_of};
use std::collections::HashMap;

/// The columns that are wanted, by name.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    /// The columns of numbers. The first one is a target.
    pub(crate) numbers: Vec<&'a str>,
    pub(crate) time: Option<&'a str>,
    pub(crate) time_form: Option<&'a str>,
    pub(crate) group: Option<&'a str>,
}

/// The rows of a table.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// By column, row by row; `None` is a gap.
    pub(crate) numbers: Vec<Vec<Option<f64>>>,
    /// The time of each row; empty if no time is wanted.
    pub(crate) times: Vec<Moment>,
    /// The series of each row, by its place in `names`; empty if there is one series.
    pub(crate) groups: Vec<usize>,
    pub(crate) names: Vec<String>,
    /// The line of each row.
    pub(crate) lines: Vec<usize>,
    pub(crate) notes: Vec<String>,
}

/// Reads a table.
///
/// # Arguments
///
/// - `name`: of the file, for messages
///
/// # Errors
///
/// The first row that is wrong or ambiguous, with its line.
pub(crate) fn rows(
    bytes: &[u8],
    name: &str,
    wanted: &Wanted<'_>,
    format: &TableFormat,
) -> Result<Read, Error> {
    let named = |why: String| Error::input(format!("{name}: {why}"));
    let (bytes, encoding) = utf8(bytes).map_err(named)?;
    read::no_text(&bytes, 0).map_err(named)?;
    let table = Table::open(&bytes, name, wanted, format)?;
    let at =
        |(at, why): Wrong| Error::input(format!("{name}, line {}: {why}", line_of(&bytes, at)));
    let (marks, form) = table.look().map_err(at)?;
    let mut read = table.take(&marks.0, form.as_ref()).map_err(at)?;
    let delimiter = (table.delimiter != b',' && format.delimiter.is_none())
        .then(|| format!("fields separated by {}", called(table.delimiter)));
    let form = form.filter(|form| *form != TimeForm::Numbers);
    let form = form.map(|form| format!("times read as {}", form.name()));
    let unused = match table.time {
        Some(_) => None,
        None => table.unused_times().map_err(at)?,
    };
    let notes = encoding.into_iter().chain(delimiter).chain(marks.1).chain(form).chain(unused);
    read.notes = notes.chain(std::mem::take(&mut read.notes)).collect();
    Ok(read)
}

/// A table whose columns are found.
struct Table<'a> {
    bytes: &'a [u8],
    wanted: &'a Wanted<'a>,
    format: &'a TableFormat,
    delimiter: u8,
    width: usize,
    numbers: Vec<usize>,
    time: Option<usize>,
    group: Option<usize>,
}

impl<'a> Table<'a> {
    fn open(
        bytes: &'a [u8],
        name: &str,
        wanted: &'a Wanted<'a>,
        format: &'a TableFormat,
    ) -> Result<Self, Error> {
        let first = |why: String| Error::input(format!("{name}, line 1: {why}"));
        let all = || wanted.numbers.iter().copied().chain(wanted.time).chain(wanted.group);
        let delimiter = match format.given_delimiter()? {
            Some(delimiter) => delimiter,
            None => detect(first_line(bytes), &all().collect::<Vec<_>>()).map_err(first)?,
        };
        let mut rows = Rows::new(bytes, delimiter);
        let wrong =
            |(at, why): Wrong| Error::input(format!("{name}, line {}: {why}", line_of(bytes, at)));
        if !rows.next().map_err(wrong)? {
            let column = wanted.numbers.first().copied().unwrap_or_default();
            return Err(first(format!("no column `{column}`: the file is empty")));
        }
        let start = rows.start;
        let place = |column: &str| {
            fault::place(&rows.record, rows.raw(), column).map_err(|why| wrong((start, why)))
        };
        let numbers = wanted.numbers.iter().map(|column| place(column));
        let numbers = numbers.collect::<Result<_, _>>()?;
        let (time, group) =
            (wanted.time.map(place).transpose()?, wanted.group.map(place).transpose()?);
        let width = rows.record.len();
        Ok(Self { bytes, wanted, format, delimiter, width, numbers, time, group })
    }

    /// The rows after the first one.
    fn rows(&self) -> Result<Rows<'a>, Wrong> {
        let mut rows = Rows::new(self.bytes, self.delimiter);
        rows.next()?;
        Ok(rows)
    }

    /// Finds out how numbers and times are written; and checks that every row has all fields.
    #[allow(clippy::type_complexity, reason = "both have a note or none")]
    fn look(&self) -> Result<((Marks, Option<String>), Option<TimeForm>), Wrong> {
        let mut rows = self.rows()?;
        let mut evidence = MarkEvidence::default();
        let mut times = TimeEvidence::new(self.wanted.time_form);
        let begin = rows.start;
        while rows.next()? {
            let (record, start) = (&rows.record, rows.start);
            let place = self.numbers[0];
            if let Some(why) = fault::swallowed_rows(record, self.width, place, self.delimiter) {
                return Err((start, why));
            }
            if record.len() != self.width {
                return Err((start, fault::width(record.len(), self.width)));
            }
            for &place in &self.numbers {
                let field = record[place].trim_ascii();
                if self.format.is_gap(field).is_none() {
                    evidence.look(field, start);
                }
            }
            if let Some(place) = self.time {
                times.look(record[place].trim_ascii());
            }
        }
        let wrong = |why: Error| (begin, why.to_string());
        let decimal = self.format.decimal_mark().map_err(wrong)?;
        let thousands = self.format.thousands_mark().map_err(wrong)?;
        let marks = evidence.marks(decimal, thousands)?;
        let form = match self.wanted.time {
            Some(column) => Some(times.form(column).map_err(|why| (begin, why))?),
            None => None,
        };
        Ok((marks, form))
    }

    /// Reads the rows.
    fn take(&self, marks: &Marks, form: Option<&TimeForm>) -> Result<Read, Wrong> {
        let mut rows = self.rows()?;
        let mut read = Read { numbers: vec![Vec::new(); self.numbers.len()], ..Read::default() };
        let mut summaries = Summaries::new(self.numbers[0]);
        let mut names = HashMap::<Vec<u8>, usize>::new();
        let no_value =
            self.format.na.iter().filter_map(|word| marks.number(word.trim().as_bytes()));
        let no_value: Vec<f64> = no_value.collect();
        let mut known = HashMap::<String, (usize, usize)>::new();
        let (mut left_out, mut held) = (0, None);
        let mut starts = Vec::new();
        while rows.next()? {
            let (record, start) = (&rows.record, rows.start);
            if self.width == 1 {
                // If there is only one column, a blank line is a row with an empty field.
                read.numbers[0].extend(std::iter::repeat_n(None, rows.blank));
                starts.extend(std::iter::repeat_n(start, rows.blank));
            } else {
                left_out += rows.blank;
            }
            let mut first = None;
            for (k, &place) in self.numbers.iter().enumerate() {
                let field = record[place].trim_ascii();
                let value = match self.format.is_gap(field) {
                    Some(gap) => {
                        if gap == Gap::Known {
                            known.entry(shown(field)).or_insert((0, start)).0 += 1;
                        }
                        None
                    }
                    None => match marks.number(field) {
                        Some(value) => Some(value).filter(|value| !no_value.contains(value)),
                        None => {
                            return Err((start, fault::no_number(field, self.wanted.numbers[k])));
                        }
                    },
                };
                read.numbers[k].push(value);
                first = if k == 0 { value } else { first };
            }
            summaries.look(record, start, first);
            if let (Some(place), Some(form)) = (self.time, form) {
                let field = record[place].trim_ascii();
                // A row that sums up others has no time either, and the message about it is better.
                if let Some(time) = form.parse(field) {
                    read.times.push(time);
                } else {
                    read.times.push(Moment::Number(f64::NAN));
                    held.get_or_insert_with(|| (start, self.no_time(field, form)));
                }
            }
            if let Some(place) = self.group {
                let field = record[place].trim_ascii();
                let next = names.len();
                let group = *names.entry(field.to_vec()).or_insert(next);
                if group == next {
                    read.names.push(String::from_utf8_lossy(field).into_owned());
                }
                read.groups.push(group);
            }
            starts.push(start);
        }
        summaries.refuse()?;
        if let Some(held) = held {
            return Err(held);
        }
        let total = summaries.last_is_sum().map(|at| {
            let line = line_of(self.bytes, at);
            format!("the last value, line {line}, is the sum of all before: is it a total?")
        });
        let unit = if left_out == 1 { "line" } else { "lines" };
        let blank = (left_out > 0).then(|| format!("{left_out} blank {unit} left out"));
        let mut known: Vec<_> = known.into_iter().collect();
        known.sort_by_key(|(_, (_, start))| *start);
        let known = known.into_iter().map(|(word, (count, start))| {
            let line = line_of(self.bytes, start);
            match count {
                1 => format!("`{word}` in line {line} read as no value"),
                _ => format!("`{word}` read as no value, {count} times, first in line {line}"),
            }
        });
        read.lines = lines(self.bytes, &starts);
        read.notes = known.chain(blank).chain(total).collect();
        Ok(read)
    }

    /// A note about times that are not used.
    fn unused_times(&self) -> Result<Option<String>, Wrong> {
        let used: Vec<usize> = self.numbers.iter().copied().chain(self.group).collect();
        unused::note(self.bytes, self.delimiter, &used, self.group)
    }

    fn no_time(&self, field: &[u8], form: &TimeForm) -> String {
        let column = self.wanted.time.unwrap_or_default();
        format!(
            "`{column}` is `{}`, expected a time as in the other rows ({})",
            shown(field),
            form.name()
        )
    }
}

/// The lines of bytes in ascending order.
fn lines(bytes: &[u8], starts: &[usize]) -> Vec<usize> {
    let (mut line, mut at) = (1, 0);
    let mut next = |start: usize| {
        line += line_of(&bytes[at..], start - at) - 1;
        at = start;
        line
    };
    starts.iter().map(|&start| next(start)).collect()
}
