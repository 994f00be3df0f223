//! The options that only one task has, as data. The command makes its arguments from them.

use crate::error::Error;
use serde_json::Value;

/// The longest sequence that a user can ask for. A separate check says whether it fits the memory.
pub(crate) const LONGEST: usize = 1 << 24;

/// An option of one task.
#[derive(Clone, Copy, Debug)]
pub struct TaskOption {
    /// Its name in the task's [`Options`](crate::Task::Options) and in JSON. On the command line it is `--name`,
    /// with `-` for each `_`.
    pub name: &'static str,
    /// The placeholder for its value in help texts, such as `T` or `FILE`.
    pub value: &'static str,
    /// What it means for this task, in a few words.
    pub help: &'static str,
    /// The type of its values.
    pub kind: OptionKind,
    /// Whether it has to be given.
    pub required: bool,
}

/// The type of an option's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// A whole number between the two bounds, both included.
    Size(usize, usize),
    /// A probability of dropping something: from 0 to below 1.
    Probability,
    /// The path of a folder with data files. When a run is resumed, it may be at another place, as a file may.
    Folder,
    /// The path of a data file, or `-` for standard input. When a run is resumed, the file may be at another place,
    /// because the data is recognised by its fingerprint.
    File,
    /// A text, such as the name of a column.
    Text,
    /// Texts: the option may be given several times.
    Texts,
    /// Yes, if the option is there.
    Switch,
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl OptionKind {
    /// Whether it is a place of data.
    pub fn is_path(self) -> bool {
        matches!(self, Self::File | Self::Folder)
    }
}

impl TaskOption {
    /// A whole number from `least` to `most`.
    pub const fn size(
        name: &'static str,
        value: &'static str,
        help: &'static str,
        least: usize,
        most: usize,
    ) -> Self {
        Self { name, value, help, kind: OptionKind::Size(least, most), required: false }
    }

    /// A probability of dropping something.
    pub const fn probability(name: &'static str, help: &'static str) -> Self {
        Self { name, value: "P", help, kind: OptionKind::Probability, required: false }
    }

    /// A data file.
    pub const fn file(name: &'static str, help: &'static str) -> Self {
        Self { name, value: "FILE", help, kind: OptionKind::File, required: false }
    }

    /// A folder with data files.
    pub const fn folder(name: &'static str, help: &'static str) -> Self {
        Self { name, value: "DIR", help, kind: OptionKind::Folder, required: false }
    }

    /// A text.
    pub const fn text(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self { name, value, help, kind: OptionKind::Text, required: false }
    }

    /// Texts, one each time that the option is given.
    pub const fn texts(name: &'static str, value: &'static str, help: &'static str) -> Self {
        Self { name, value, help, kind: OptionKind::Texts, required: false }
    }

    /// Yes or no.
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self { name, value: "", help, kind: OptionKind::Switch, required: false }
    }

    /// One of some words.
    pub const fn choice(
        name: &'static str,
        value: &'static str,
        help: &'static str,
        words: &'static [&'static str],
    ) -> Self {
        Self { name, value, help, kind: OptionKind::Choice(words), required: false }
    }

    /// The same option, but it has to be given.
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Its name on the command line, without the dashes.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Checks a value against the bounds, or that it is one of the words. Nothing is said about values of other types.
    pub(crate) fn check(&self, value: &Value) -> Result<(), Error> {
        let flag = self.flag();
        match (self.kind, value.as_u64(), value.as_str()) {
            (OptionKind::Size(least, most), Some(size), _)
                if !(least as u64..=most as u64).contains(&size) =>
            {
                Err(Error::input(format!("--{flag} {size}: has to be {least} to {most}")))
            }
            (OptionKind::Probability, ..)
                if value.as_f64().is_some_and(|share| !(0.0..1.0).contains(&share)) =>
            {
                Err(Error::input(format!("--{flag} {value}: has to be 0 or more, and less than 1")))
            }
            (OptionKind::Choice(words), _, Some(word)) if !words.contains(&word) => {
                Err(Error::input(format!(
                    "--{flag} {}: has to be {}",
                    word.escape_debug(),
                    listed(words)
                )))
            }
            _ => Ok(()),
        }
    }
}

/// Words as in a sentence: `a, b or c`.
pub(crate) fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_string(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_possible_is_named_with_its_option() {
        let head = TaskOption::choice("the_head", "HEAD", "", &["a", "b", "c"]);
        let said = |option: TaskOption, value: Value| option.check(&value).unwrap_err().to_string();
        assert_eq!(said(head, json!("d")), "--the-head d: has to be a, b or c");
        let size = TaskOption::size("length", "T", "", 2, 5);
        assert_eq!(said(size, json!(6)), "--length 6: has to be 2 to 5");
        let dropped = TaskOption::probability("drop", "");
        assert_eq!(said(dropped, json!(1.0)), "--drop 1.0: has to be 0 or more, and less than 1");
        for (option, value) in
            [(dropped, json!(0.5)), (head, json!("b")), (head, Value::Null), (size, json!(5))]
        {
            option.check(&value).unwrap();
        }
    }
}
