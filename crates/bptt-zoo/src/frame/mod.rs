//! Several columns of a table over time: one series or several, on a grid of equal steps.

pub(crate) mod encoding;
pub(crate) mod format;
pub(crate) mod marks;
mod outlier;
mod rows;
pub(crate) mod step;
pub(crate) mod time;
mod unused;

use crate::error::Error;
use crate::frame::format::TableFormat;
use crate::frame::rows::{Read, Wanted, rows};
use crate::frame::step::Grid;
use crate::frame::time::Moment;
use crate::read;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Which columns of a table are what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Columns {
    /// What is forecast.
    pub(crate) targets: Vec<String>,
    /// Known up to now, as the targets are.
    pub(crate) past: Vec<String>,
    /// Known ahead, such as holidays or prices.
    pub(crate) ahead: Vec<String>,
    pub(crate) time: Option<String>,
    pub(crate) time_form: Option<String>,
    pub(crate) group: Option<String>,
}

/// Several columns over time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frame {
    pub(crate) series: Vec<FrameSeries>,
    /// The times of the places; `None`: there is no column with times, and rows follow each other.
    pub(crate) grid: Option<Grid>,
    /// What a person should know about how the file was read.
    pub(crate) notes: Vec<String>,
}

/// One series: a value or a gap for each column and each step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FrameSeries {
    /// Empty, if there is only one.
    pub(crate) name: String,
    /// The place of the first step on the grid.
    pub(crate) start: i64,
    /// Targets, past and ahead, in the order of [`Columns`].
    pub(crate) columns: Vec<Vec<Option<f64>>>,
}

/// A table may have so many steps without a row for each row.
const SPARSEST: usize = 20;

impl Frame {
    /// Reads a file, or standard input for `-`.
    pub(crate) fn load(
        path: &Path,
        columns: &Columns,
        format: &TableFormat,
        grid: Option<&Grid>,
    ) -> Result<Self, Error> {
        let bytes = read::table(path)?;
        Self::parse(&bytes, read::data_name(&path.display().to_string()), columns, format, grid)
    }

    /// The same from bytes; `name` is for messages. With a grid, the steps are those of this grid.
    pub(crate) fn parse(
        bytes: &[u8],
        name: &str,
        columns: &Columns,
        format: &TableFormat,
        grid: Option<&Grid>,
    ) -> Result<Self, Error> {
        let Columns { targets, past, ahead, time, time_form, group } = columns;
        let numbers = targets.iter().chain(past).chain(ahead).map(String::as_str).collect();
        let wanted = Wanted {
            numbers,
            time: time.as_deref(),
            time_form: time_form.as_deref(),
            group: group.as_deref(),
        };
        let mut read = rows(bytes, name, &wanted, format)?;
        let named = |why: String| Error::input(format!("{name}{why}"));
        let outliers = targets.iter().zip(&read.numbers);
        let outliers = outliers.filter_map(|(column, values)| {
            outlier::note(column, values, &read.lines, &read.groups)
        });
        let outliers: Vec<String> = outliers.collect();
        let mut notes = std::mem::take(&mut read.notes);
        notes.extend(outliers);
        let groups = groups(&read);
        let (grid, series) = match time {
            None => (None, groups.iter().map(|rows| (0, in_order(&read, rows))).collect()),
            Some(column) => placed(&read, &groups, column, grid, &mut notes).map_err(named)?,
        };
        let name_of = |group: usize| read.names.get(group).cloned().unwrap_or_default();
        let series = series.into_iter().enumerate().map(|(group, (start, columns))| FrameSeries {
            name: name_of(group),
            start,
            columns,
        });
        Ok(Self { series: series.collect(), grid, notes })
    }
}

/// The rows of each series.
fn groups(read: &Read) -> Vec<Vec<usize>> {
    if read.groups.is_empty() {
        return vec![(0..read.lines.len()).collect()];
    }
    let mut groups = vec![Vec::new(); read.names.len()];
    read.groups.iter().enumerate().for_each(|(row, &group)| groups[group].push(row));
    groups
}

/// The columns of a series whose rows follow each other.
fn in_order(read: &Read, rows: &[usize]) -> Vec<Vec<Option<f64>>> {
    read.numbers.iter().map(|column| rows.iter().map(|&row| column[row]).collect()).collect()
}

/// Checks that no two rows of a series have the same time. The rows are sorted by time.
fn once_each(read: &Read, sorted: &[Vec<usize>], column: &str) -> Result<(), String> {
    let is_same = |pair: &&[usize]| read.times[pair[0]] == read.times[pair[1]];
    let twice: Vec<_> = sorted.iter().flat_map(|rows| rows.windows(2)).filter(is_same).collect();
    if let Some(pair) = twice.first() {
        let lines = [read.lines[pair[0]], read.lines[pair[1]]];
        let more = match twice.len() {
            1 => String::new(),
            count => format!(", and {} more times", count - 1),
        };
        let hint = match read.groups.is_empty() {
            true => {
                "; keep one row for each time, or name the column of the series by --group-column"
            }
            false => "; keep one row for each time of a series",
        };
        return Err(format!(
            ", line {}: `{column}` is the same as in line {}{more}{hint}",
            lines[1], lines[0]
        ));
    }
    Ok(())
}

/// The grid that is given, if the steps of the file's own one are its, or else the own one.
fn chosen(own: Grid, given: Option<&Grid>, column: &str) -> Result<Grid, String> {
    match given {
        Some(given) if !given.step.may_be(own.step) => Err(format!(
            ": the usual step of `{column}` is {}, and the model learned steps of {}: give rows of that \
             step",
            own.step.name(),
            given.step.name()
        )),
        Some(given) => Ok(*given),
        None => Ok(own),
    }
}

/// The columns of each series on the grid of their times.
fn placed(
    read: &Read,
    groups: &[Vec<usize>],
    column: &str,
    given: Option<&Grid>,
    notes: &mut Vec<String>,
) -> Result<(Option<Grid>, Vec<(i64, Vec<Vec<Option<f64>>>)>), String> {
    let mut sorted = groups.to_vec();
    let time = |row: usize| read.times[row];
    let mut moved = 0;
    for rows in &mut sorted {
        moved += rows.windows(2).filter(|pair| time(pair[1]) < time(pair[0])).count();
        rows.sort_by(|&a, &b| time(a).order(&time(b)));
    }
    if moved > 0 {
        let were = if moved == 1 {
            "was before the one above it"
        } else {
            "were before the one above them"
        };
        notes.push(format!("rows sorted by `{column}`: {moved} {were}"));
    }
    once_each(read, &sorted, column)?;
    let times: Vec<Vec<Moment>> =
        sorted.iter().map(|rows| rows.iter().map(|&row| time(row)).collect()).collect();
    let Some(own) = Grid::of(&times) else {
        return Err(format!(": `{column}` has to have two times at least"));
    };
    let grid = chosen(own, given, column)?;
    let origin = grid.moment(0);
    let (mut all, mut odd, mut empty) = (Vec::new(), Vec::new(), (0, None));
    for (rows, times) in sorted.iter().zip(&times) {
        let mut places = Vec::with_capacity(rows.len());
        for (k, &moment) in times.iter().enumerate() {
            // From row to row, so that rounded times do not add up; but the first one from the origin.
            let place = match k {
                0 => grid.steps(origin, moment),
                _ => grid
                    .steps(times[k - 1], moment)
                    .zip(places.last())
                    .map(|(a, b): (i64, &i64)| a + b),
            };
            match place {
                Some(place) => places.push(place),
                None => {
                    odd.push((read.lines[rows[k]], moment));
                    places.push(places.last().copied().unwrap_or(0));
                }
            }
        }
        let (Some(&first), Some(&last)) = (places.first(), places.last()) else {
            all.push((0, vec![Vec::new(); read.numbers.len()]));
            continue;
        };
        let length = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
        if odd.is_empty() && length > SPARSEST * rows.len() + 1000 {
            return Err(format!(
                ": the usual step of `{column}` is {}, and only {} of {length} steps have a row: give \
                 another column, or rows of one step",
                grid.step.name(),
                rows.len()
            ));
        }
        if !odd.is_empty() {
            continue;
        }
        if let Some(pair) = places.windows(2).find(|pair| pair[1] > pair[0] + 1) {
            empty.1.get_or_insert_with(|| grid.text(grid.moment(pair[0])));
        }
        empty.0 += length - rows.len();
        let on_grid = |column: &Vec<Option<f64>>| {
            let mut values = vec![None; length];
            for (&row, place) in rows.iter().zip(&places) {
                values[(place - first) as usize] = column[row];
            }
            values
        };
        all.push((first, read.numbers.iter().map(on_grid).collect()));
    }
    if let Some((line, moment)) = odd.first() {
        let step = grid.step.name();
        return Err(format!(
            ", line {line}: `{column}` is {}, no whole number of steps of {step} from the others ({} such \
             rows of {}): take rows of one step",
            grid.text(*moment),
            odd.len(),
            read.lines.len()
        ));
    }
    let gaps = match empty {
        (0, _) => String::new(),
        (count, after) => {
            let steps = if count == 1 { "step" } else { "steps" };
            let after = after.unwrap_or_default();
            format!(", {count} {steps} without a row, the first after {after}")
        }
    };
    notes.push(format!("{}{gaps}", grid.step.rows()));
    Ok((Some(grid), all))
}

#[cfg(test)]
mod tests;
