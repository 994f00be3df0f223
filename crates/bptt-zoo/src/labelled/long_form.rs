//! Labelled sequences as a table in long form: a row for each step, with the id of its sequence and its label.

use crate::error::Error;
use crate::frame::encoding::utf8;
use crate::frame::format::called;
use crate::frame::marks::Marks;
use crate::frame::time::{Moment, TimeEvidence};
use crate::labelled::sequence::{Answer, Kind, Sequence, Sequences};
use crate::table::field::number;
use crate::table::{Table, field_number};
use csv::ByteRecord;
use std::collections::HashMap;

/// Which columns are what. All others are the numbers of a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns<'a> {
    pub(crate) id: &'a str,
    pub(crate) label: &'a str,
    /// The column by which the rows of a sequence are sorted; `None`: they stay in the order of the file.
    pub(crate) time: Option<&'a str>,
}

/// The places of the columns.
struct Places {
    id: usize,
    label: Option<usize>,
    time: Option<usize>,
    features: Vec<usize>,
}

/// The rows of one sequence.
struct Group {
    name: String,
    line: usize,
    rows: Vec<Row>,
    /// Whether rows of other sequences lie between its rows.
    is_scattered: bool,
}

struct Row {
    line: usize,
    time: String,
    label: String,
    values: Vec<f64>,
}

/// Reads sequences.
///
/// # Arguments
///
/// - `file`: the name for messages
/// - `is_labelled`: whether every sequence has to have a label
/// - `features`: the names of the numbers that a model reads, in its order; `None`: all other columns, in the order of the
///   file
///
/// # Errors
///
/// The first column, row or sequence that is wrong.
pub(crate) fn parse(
    bytes: &[u8],
    file: &str,
    columns: &Columns<'_>,
    kind: Kind,
    is_labelled: bool,
    features: Option<&[String]>,
) -> Result<Sequences, Error> {
    let (bytes, encoding) = utf8(bytes).map_err(|why| Error::input(format!("{file}: {why}")))?;
    let label = is_labelled.then_some(columns.label);
    let wanted: Vec<&str> = [columns.id].into_iter().chain(columns.time).chain(label).collect();
    let mut table = Table::open(&bytes, file, &wanted)?;
    let places = places(&table, file, columns, is_labelled, features)?;
    let names: Vec<String> = places.features.iter().map(|&k| table.columns[k].clone()).collect();
    let answers = places.label.filter(|_| kind == Kind::Number);
    let numbers: Vec<usize> =
        places.features.iter().copied().chain(places.time).chain(answers).collect();
    let (marks, how) = table.marks(&numbers)?;
    let mut groups = groups(&mut table, file, columns, &places, &names, &marks)?;
    if groups.is_empty() {
        return Err(Error::input(format!("{file}: no row but the columns' names")));
    }
    let delimiter = table.delimiter();
    let separator =
        (delimiter != b',').then(|| format!("fields separated by {}", called(delimiter)));
    let mut notes: Vec<String> = encoding.into_iter().chain(separator).chain(how).collect();
    match columns.time {
        Some(time) => notes.extend(sort(&mut groups, file, time)?),
        None => notes.push("steps in the order of the rows".to_string()),
    }
    let scattered = groups.iter().filter(|group| group.is_scattered).count();
    if scattered > 0 {
        notes.push(format!("the rows of {scattered} sequences are in several places of the file"));
    }
    let sequence = |group: Group| sequence(group, file, columns.label, kind, is_labelled, &marks);
    let all = groups.into_iter().map(sequence).collect::<Result<_, _>>()?;
    let (width, file) = (names.len(), file.to_string());
    Ok(Sequences { file, width, features: Some(names), is_text: false, all, notes })
}

fn places(
    table: &Table<'_>,
    file: &str,
    columns: &Columns<'_>,
    is_labelled: bool,
    features: Option<&[String]>,
) -> Result<Places, Error> {
    let id = table.place(columns.id)?;
    let time = columns.time.map(|time| table.place(time)).transpose()?;
    let has_label = table.columns.iter().any(|name| name == columns.label);
    let label = (is_labelled || has_label).then(|| table.place(columns.label)).transpose()?;
    let special = [Some(id), label, time];
    let others = (0..table.columns.len()).filter(|&place| !special.contains(&Some(place)));
    let others: Vec<usize> = others.collect();
    let Some(names) = features else {
        if others.is_empty() {
            return Err(Error::input(format!(
                "{file}, line 1: no column with numbers besides `{}`",
                columns.id
            )));
        }
        return Ok(Places { id, label, time, features: others });
    };
    let features = names.iter().map(|name| table.place(name)).collect::<Result<Vec<_>, _>>()?;
    match others.iter().find(|place| !features.contains(place)) {
        Some(&place) => Err(Error::input(format!(
            "{file}, line 1: the column `{}` is none that the model learned from; it has {}",
            table.columns[place],
            names.join(", ")
        ))),
        None => Ok(Places { id, label, time, features }),
    }
}

/// The rows of each sequence, in the order of the file.
fn groups(
    table: &mut Table<'_>,
    file: &str,
    columns: &Columns<'_>,
    places: &Places,
    names: &[String],
    marks: &Marks,
) -> Result<Vec<Group>, Error> {
    let mut groups: Vec<Group> = Vec::new();
    let mut index = HashMap::<String, usize>::new();
    let mut last = None;
    while let Some((line, record)) = table.next(places.features[0])? {
        let wrong = |why: String| Error::input(format!("{file}, line {line}: {why}"));
        let text = |place: usize, column: &str| text(record, place, column).map_err(wrong);
        let name = text(places.id, columns.id)?;
        if name.is_empty() {
            return Err(wrong(format!("`{}` is empty: each row names its sequence", columns.id)));
        }
        let time = match (places.time, columns.time) {
            (Some(place), Some(column)) => {
                let text = text(place, column)?;
                // A number with a decimal comma is one with a point from here on.
                let is_plain = number(text.as_bytes()).is_some();
                let other = marks.number(text.as_bytes()).filter(|_| !is_plain);
                other.map_or(text, |number| number.to_string())
            }
            _ => String::new(),
        };
        let label = places.label.map(|place| text(place, columns.label)).transpose()?;
        let numbers = places.features.iter().zip(names);
        let values = numbers.map(|(&place, name)| field_number(&record[place], name, marks));
        let values = values.collect::<Result<Vec<f64>, _>>().map_err(wrong)?;
        let at = *index.entry(name.clone()).or_insert_with(|| {
            groups.push(Group { name, line, rows: Vec::new(), is_scattered: false });
            groups.len() - 1
        });
        let group = &mut groups[at];
        group.is_scattered |= !group.rows.is_empty() && last != Some(at);
        group.rows.push(Row { line, time, label: label.unwrap_or_default(), values });
        last = Some(at);
    }
    Ok(groups)
}

fn text(record: &ByteRecord, place: usize, column: &str) -> Result<String, String> {
    match std::str::from_utf8(record[place].trim_ascii()) {
        Ok(text) => Ok(text.to_string()),
        Err(_) => Err(format!("`{column}` is not UTF-8: convert the file to UTF-8")),
    }
}

/// Sorts the rows of each sequence by time: by numbers or dates, in the form that they have. Returns a note on the form of
/// dates.
fn sort(groups: &mut [Group], file: &str, column: &str) -> Result<Option<String>, Error> {
    let mut evidence = TimeEvidence::new(None);
    groups.iter().flat_map(|group| &group.rows).for_each(|row| evidence.look(row.time.as_bytes()));
    let form = evidence.form(column).map_err(|why| {
        // There is no such option here.
        let why = why.split_once(" give --time-format").map_or(why.as_str(), |(why, _)| why);
        let why = why.trim_end_matches([';', ':']);
        Error::input(format!("{file}: {why}; write dates such as 2024-12-31"))
    })?;
    for Group { name, rows, .. } in groups {
        let mut timed = Vec::with_capacity(rows.len());
        for row in std::mem::take(rows) {
            let Some(time) = form.parse(row.time.as_bytes()) else {
                return Err(Error::input(format!(
                    "{file}, line {}: `{column}` is `{}`, expected a time as in the other rows ({})",
                    row.line,
                    row.time.escape_debug(),
                    form.name()
                )));
            };
            timed.push((time, row));
        }
        timed.sort_by(|a, b| a.0.order(&b.0));
        if let Some(pair) = timed.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let (a, b) = (&pair[0].1, &pair[1].1);
            return Err(Error::input(format!(
                "{file}, line {}: `{}` has the time `{}` twice, first in line {}",
                b.line.max(a.line),
                name.escape_debug(),
                b.time.escape_debug(),
                b.line.min(a.line),
            )));
        }
        rows.extend(timed.into_iter().map(|(_, row)| row));
    }
    let is_dates = matches!(form.parse(evidence.first().as_bytes()), Some(Moment::Date(_)));
    Ok(is_dates.then(|| format!("times read as {}", form.name())))
}

fn sequence(
    group: Group,
    file: &str,
    column: &str,
    kind: Kind,
    is_labelled: bool,
    marks: &Marks,
) -> Result<Sequence, Error> {
    let Group { name, line, rows, .. } = group;
    let wrong = |line: usize, why: String| Error::input(format!("{file}, line {line}: {why}"));
    let first = &rows[0];
    let shown = name.escape_debug();
    if kind != Kind::Tags
        && let Some(other) = rows.iter().find(|row| row.label != first.label)
    {
        let hint =
            if kind == Kind::Class { "; `train tag` learns a label for each row" } else { "" };
        return Err(wrong(
            other.line,
            format!(
                "`{shown}` has `{column}` `{}` here and `{}` in line {}{hint}",
                other.label.escape_debug(),
                first.label.escape_debug(),
                first.line
            ),
        ));
    }
    let bare = rows.iter().filter(|row| row.label.is_empty()).count();
    let answer = if bare == rows.len() && !is_labelled {
        None
    } else if let Some(row) = rows.iter().find(|row| row.label.is_empty()) {
        return Err(wrong(row.line, format!("`{column}` is empty, and it is what is learned")));
    } else {
        Some(match kind {
            Kind::Class => Answer::Labels(vec![first.label.clone()]),
            Kind::Tags => Answer::Labels(rows.iter().map(|row| row.label.clone()).collect()),
            Kind::Number => Answer::Number(
                field_number(first.label.as_bytes(), column, marks)
                    .map_err(|why| wrong(first.line, why))?,
            ),
        })
    };
    let values = rows.into_iter().flat_map(|row| row.values).collect();
    Ok(Sequence { name, line, values, answer })
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns<'_> = Columns { id: "id", label: "y", time: None };

    fn read(text: &str, columns: &Columns<'_>, kind: Kind) -> Result<Sequences, Error> {
        parse(text.as_bytes(), "f.csv", columns, kind, true, None)
    }

    #[test]
    fn rows_become_sequences() {
        let text = "a,id,y,b\n1,s,u,2\n3,s,u,4\n\n5,t,v,6\n7,s,u,8\n";
        let found = read(text, &COLUMNS, Kind::Class).unwrap();
        assert_eq!(found.features.as_deref().unwrap(), ["a", "b"]);
        assert_eq!(found.all.len(), 2);
        assert_eq!(found.all[0].values, [1.0, 2.0, 3.0, 4.0, 7.0, 8.0]);
        assert_eq!((found.all[1].name.as_str(), found.all[1].line), ("t", 5));
        assert_eq!(found.notes.len(), 2, "{:?}", found.notes);
        // The features of a model, in its order, from a file without labels.
        let names = ["b", "a"].map(str::to_string);
        let bare = "id,a,b\ns,1,2\n".as_bytes();
        let found = parse(bare, "f", &COLUMNS, Kind::Class, false, Some(&names)).unwrap();
        assert_eq!((&found.all[0].values, &found.all[0].answer), (&vec![2.0, 1.0], &None));
        let more = "id,a,b,c\ns,1,2,3\n".as_bytes();
        let message = parse(more, "f", &COLUMNS, Kind::Class, false, Some(&names)).unwrap_err();
        assert!(message.to_string().contains("the column `c` is none"), "{message}");
        let less = "id,a\ns,1\n".as_bytes();
        let message = parse(less, "f", &COLUMNS, Kind::Class, false, Some(&names)).unwrap_err();
        assert!(message.to_string().contains("no column `b`"), "{message}");
    }

    #[test]
    fn a_time_column_sorts_the_steps() {
        let timed = Columns { time: Some("t"), ..COLUMNS };
        let numbers = "id,t,y,a\ns,10,u,1\ns,9,v,2\n";
        let found = read(numbers, &timed, Kind::Tags).unwrap();
        assert_eq!(found.all[0].values, [2.0, 1.0]);
        let labels = ["v", "u"].map(str::to_string).to_vec();
        assert_eq!(found.all[0].answer, Some(Answer::Labels(labels)));
        let dates = "id,t,y,a\ns,2024-02-01,u,1\ns,2024-01-31,u,2\n";
        assert_eq!(read(dates, &timed, Kind::Class).unwrap().all[0].values, [2.0, 1.0]);
        // As a person in Germany has it.
        let other = "id;t;y;a\ns;01.02.2024 08:00;u;1,5\ns;31.01.2024 09:00;u;2,25\n";
        let found = read(other, &timed, Kind::Class).unwrap();
        assert_eq!(found.all[0].values, [2.25, 1.5]);
        assert_eq!(
            found.notes,
            [
                "fields separated by `;`",
                "numbers with decimal commas (`1,5`)",
                "times read as %d.%m.%Y %H:%M"
            ]
        );
        let other = "id;t;y;a\ns;0,5;u;1,5\ns;0,25;u;2\n";
        assert_eq!(read(other, &timed, Kind::Class).unwrap().all[0].values, [2.0, 1.5]);
        let numbers = read("id;y;a\ns;2,5;1\n", &COLUMNS, Kind::Number).unwrap();
        assert_eq!(numbers.all[0].answer, Some(Answer::Number(2.5)));
        for (text, expected) in [
            ("id,t,y,a\ns,1,u,1\ns,1.0,u,2\n", "line 3: `s` has the time `1.0` twice"),
            ("id,t,y,a\ns,noon,u,1\n", "`t` is `noon` first, which is no time"),
            ("id,t,y,a\ns,01/02/2024,u,1\n", "the day or the month may come first; write dates"),
            ("id,t,y,a\ns,2024-01-01,u,1\ns,5,u,2\n", "line 3: `t` is `5`, expected a time as in"),
        ] {
            let message = read(text, &timed, Kind::Class).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (kind, text, expected) in [
            (
                Kind::Class,
                "id,y,a\ns,u,1\ns,v,2\n",
                "line 3: `s` has `y` `v` here and `u` in line 2",
            ),
            (Kind::Class, "id,y,a\ns,u,\n", "line 2: `a` is empty, expected a number"),
            (Kind::Class, "id,y,a\ns,u,NaN\n", "line 2: `a` is `NaN`"),
            (Kind::Class, "id,y,a\n,u,1\n", "line 2: `id` is empty"),
            (Kind::Class, "id,y,a\ns,,1\n", "line 2: `y` is empty"),
            (Kind::Class, "id,y,a\ns,u,1,2\n", "line 2: 4 fields, expected 3"),
            (Kind::Class, "id,y\ns,u\n", "no column with numbers"),
            (Kind::Class, "id,y,a\n", "no row but"),
            (
                Kind::Class,
                "id,y,a\ns,u,\"1,234\"\n",
                "line 2: `1,234` may be a number with a decimal comma",
            ),
            (Kind::Class, "name;y;a\ns;u;1\n", "no column `id`; there are: name, y, a"),
            (Kind::Class, "", "the file is empty"),
            (Kind::Number, "id,y,a\ns,u,1\n", "line 2: `y` is `u`, expected a number"),
        ] {
            let message = read(text, &COLUMNS, kind).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
