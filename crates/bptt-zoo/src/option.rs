//! The options that only one task has, as data. The command makes its arguments from them.

use crate::error::Error;
use serde_json::Value;

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
    /// The path of a data file, or `-` for standard input. When a run is resumed, the file may be at another place,
    /// because the data is recognised by its fingerprint.
    File,
    /// A text, such as the name of a column.
    Text,
    /// Texts: the option may be given several times.
    Texts,
    /// Yes, if the option is there.
    Switch,
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

    /// A data file.
    pub const fn file(name: &'static str, help: &'static str) -> Self {
        Self { name, value: "FILE", help, kind: OptionKind::File, required: false }
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

    /// The same option, but it has to be given.
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// Its name on the command line, without the dashes.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Checks a value against the bounds.
    pub(crate) fn check(&self, value: &Value) -> Result<(), Error> {
        let OptionKind::Size(least, most) = self.kind else { return Ok(()) };
        match value.as_u64() {
            Some(size) if !(least as u64..=most as u64).contains(&size) => {
                let flag = self.flag();
                Err(Error::input(format!("--{flag} {size}: has to be {least} to {most}")))
            }
            _ => Ok(()),
        }
    }
}
