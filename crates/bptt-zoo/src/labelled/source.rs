//! Where labelled sequences come from.

use crate::error::Error;
use crate::labelled::characters::{Expected, parse_lines};
use crate::labelled::json_lines;
use crate::labelled::long_form::{self, Columns};
use crate::labelled::sequence::{Answer, Kind, Sequences};
use crate::option::TaskOption;
use crate::read;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Where labelled sequences come from: options of [`Classify`](crate::Classify), [`Tag`](crate::Tag) and
/// [`Regress`](crate::Regress).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelledSource {
    /// The file with the sequences.
    pub data: Option<String>,
    /// The column with the name of each row's sequence. If it is given, the file is a table; else it has JSON lines.
    pub id: Option<String>,
    /// The column with the labels.
    pub label: Option<String>,
    /// The column by which the rows of a sequence are sorted.
    pub time_column: Option<String>,
}

impl LabelledSource {
    /// The options, for the command line.
    pub(crate) const OPTIONS: [TaskOption; 4] = [
        TaskOption::file(
            "data",
            "labelled sequences (`-`: standard input): JSON lines {\"x\": [[…]…], \"y\": …}, or with --id \
             and --label a CSV table with a row for each step, or a .txt with a label, a tab and a text on \
             each line",
        )
        .required(),
        TaskOption::text("id", "NAME", "the column of a table that names each row's sequence"),
        TaskOption::text("label", "NAME", "the column of a table with what is learned"),
        TaskOption::text(
            "time_column",
            "NAME",
            "the column of a table that sorts the rows of a sequence; without it they stay in order",
        ),
    ];

    /// Refuses options that do not go together.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let wrong = |why: String| Err(Error::input(why));
        let Self { data, id, label, time_column } = self;
        match (id, label, time_column) {
            (Some(id), None, _) => wrong(format!("--id {id}: a table needs --label NAME too")),
            (None, Some(label), _) => {
                wrong(format!("--label {label}: a table needs --id NAME too"))
            }
            (None, None, Some(time)) => {
                wrong(format!("--time-column {time}: it is for tables, with --id and --label"))
            }
            (Some(id), Some(label), time)
                if id == label || time.as_ref().is_some_and(|time| time == id || time == label) =>
            {
                wrong(format!("--id {id}: each of the columns has to be another one"))
            }
            (None, None, None) => match data {
                Some(data) if has_ending(data, &["csv"]) => wrong(format!(
                    "--data {data}: a table needs --id NAME and --label NAME, the columns with the name \
                     of each row's sequence and with its label"
                )),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The sequences of the file, each with its label.
    pub(crate) fn read(&self, kind: Kind) -> Result<Sequences, Error> {
        let Some(data) = &self.data else { return Err(Error::input("no --data FILE")) };
        self.read_file(Path::new(data), kind, true, None)
    }

    /// The sequences of a new file for a model. They need not have labels. A file that is called `.jsonl`, `.ndjson` or
    /// `.json` has JSON lines; any other has the form of the training data.
    pub(crate) fn read_new(
        &self,
        file: &Path,
        kind: Kind,
        features: Option<&[String]>,
    ) -> Result<Sequences, Error> {
        self.read_file(file, kind, false, features)
    }

    /// What a file may hold: for training anything; for a model what it learned from. Without a table, only characters have
    /// names.
    fn expected<'a>(&self, is_labelled: bool, features: Option<&'a [String]>) -> Expected<'a> {
        match (is_labelled, &self.id, features) {
            (true, ..) => Expected::Either,
            (false, None, Some(characters)) => Expected::Texts(characters),
            _ => Expected::Numbers,
        }
    }

    fn read_file(
        &self,
        file: &Path,
        kind: Kind,
        is_labelled: bool,
        features: Option<&[String]>,
    ) -> Result<Sequences, Error> {
        let path = file.display().to_string();
        let name = read::data_name(&path);
        let is_json = !is_labelled && has_ending(&path, &["jsonl", "ndjson", "json"]);
        let bytes = match self.id.is_some() && !is_json {
            true => read::table(file)?,
            false => read::data(file)?,
        };
        match (&self.id, &self.label) {
            (Some(id), Some(label)) if !is_json => {
                let columns = Columns { id, label, time: self.time_column.as_deref() };
                long_form::parse(&bytes, name, &columns, kind, is_labelled, features)
            }
            _ if has_ending(&path, &["txt", "tsv"]) => {
                let answer = |text: &str| answer(text, kind);
                parse_lines(
                    &bytes,
                    name,
                    is_labelled,
                    &answer,
                    self.expected(is_labelled, features),
                )
            }
            _ => {
                let expected = self.expected(is_labelled, features);
                json_lines::parse(&bytes, name, kind, is_labelled, expected)
            }
        }
    }
}

/// What is learned about a text, as a file of lines has it.
fn answer(text: &str, kind: Kind) -> Result<Answer, String> {
    match kind {
        Kind::Class if !text.is_empty() => Ok(Answer::Labels(vec![text.to_string()])),
        Kind::Class => Err("no label before the tab".to_string()),
        Kind::Tags => {
            Err("a label for each character needs JSON lines: {\"x\": \"ab\", \"y\": [1, 2]}"
                .to_string())
        }
        Kind::Number => match text.trim().parse::<f64>().ok().filter(|number| number.is_finite()) {
            Some(number) => Ok(Answer::Number(number)),
            None => Err(format!("`{}` before the tab, expected a number", text.escape_debug())),
        },
    }
}

fn has_ending(path: &str, endings: &[&str]) -> bool {
    let ending = Path::new(path).extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| endings.iter().any(|known| ending.eq_ignore_ascii_case(known)))
}
