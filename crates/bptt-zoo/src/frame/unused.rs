//! A column of times that nobody has asked for: without it, rows that are missing or out of order are not seen.

use crate::frame::step::Grid;
use crate::frame::time::{Moment, TimeEvidence, TimeForm};
use crate::table::Rows;
use crate::table::field::{Wrong, number, shown};
use std::collections::HashMap;

/// A note about the first column that has dates in all rows and is not used.
///
/// # Arguments
///
/// - `used`: the places of the columns that are used
/// - `group`: the place of the column with the names of the series
pub(super) fn note(
    bytes: &[u8],
    delimiter: u8,
    used: &[usize],
    group: Option<usize>,
) -> Result<Option<String>, Wrong> {
    let mut rows = Rows::new(bytes, delimiter);
    rows.next()?;
    let names = rows.record.clone();
    let Some((place, form)) = column(rows, used)? else { return Ok(None) };
    let name = shown(names[place].trim_ascii());
    let hint = format!("--time-column {name} sorts the rows and finds those that are missing");
    let Some(form) = form else {
        return Ok(Some(format!("`{name}` looks like times, and is not used; {hint}")));
    };
    let mut series = HashMap::<Vec<u8>, Vec<Moment>>::new();
    let mut rows = Rows::new(bytes, delimiter);
    rows.next()?;
    while rows.next()? {
        let of = group.map(|group| rows.record[group].trim_ascii().to_vec()).unwrap_or_default();
        let Some(time) = form.parse(rows.record[place].trim_ascii()) else { return Ok(None) };
        series.entry(of).or_default().push(time);
    }
    let series: Vec<_> = series.into_values().collect();
    let Some(grid) = Grid::of(&series) else { return Ok(None) };
    let pairs = series.iter().flat_map(|times| times.windows(2));
    let odd = pairs.filter(|pair| grid.steps(pair[0], pair[1]) != Some(1)).count();
    let what = match odd {
        0 => format!("`{name}` looks like times, {} apart, and is not used", grid.step.name()),
        odd => format!(
            "`{name}` looks like times, and {odd} of its rows {} not {} after the row above",
            if odd == 1 { "is" } else { "are" },
            grid.step.name()
        ),
    };
    Ok(Some(format!("{what}; {hint}")))
}

/// The first column that is not used and has dates, and their form, if it is sure. `rows` stands at the columns' names.
fn column(mut rows: Rows<'_>, used: &[usize]) -> Result<Option<(usize, Option<TimeForm>)>, Wrong> {
    let mut found: Option<(usize, TimeEvidence)> = None;
    while rows.next()? {
        if found.is_none() {
            let is_date = |place: &usize| {
                let field = rows.record[*place].trim_ascii();
                // 1.2345 may be a month of a far year, and is a number.
                let is_number = number(field).is_some() && field.len() != "20240131".len();
                let mut one = TimeEvidence::new(None);
                one.look(field);
                !is_number && !matches!(one.form(""), Ok(TimeForm::Numbers)) && one.has_form()
            };
            let mut places = (0..rows.record.len()).filter(|place| !used.contains(place));
            let Some(place) = places.find(is_date) else { return Ok(None) };
            found = Some((place, TimeEvidence::new(None)));
        }
        if let Some((place, evidence)) = &mut found {
            evidence.look(rows.record[*place].trim_ascii());
        }
    }
    Ok(found.and_then(|(place, evidence)| match evidence.form("") {
        Ok(TimeForm::Numbers) => None,
        Ok(form) => Some((place, Some(form))),
        Err(_) => evidence.has_form().then_some((place, None)),
    }))
}
