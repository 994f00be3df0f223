//! The options that a task has besides those of every run, as data. The command makes its arguments of them.

use crate::error::Error;
use serde_json::Value;

/// An option of one task.
#[derive(Clone, Copy, Debug)]
pub struct TaskOption {
    /// Its name in the task's [`Options`](crate::Task::Options) and in JSON. On the command line it is `--name`,
    /// with `-` for each `_`.
    pub name: &'static str,
    /// What stands for its value in help texts, such as `T` or `FILE`.
    pub value: &'static str,
    /// What it means for this task, in a few words.
    pub help: &'static str,
    /// What its values are.
    pub kind: OptionKind,
    /// Whether it has to be given.
    pub required: bool,
}

/// What the values of an option are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// A whole number from the one bound to the other.
    Size(usize, usize),
    /// The path of a data file, or `-` for standard input. A run may be resumed with the file at another place,
    /// because the data is known by its fingerprint.
    File,
    /// A text, such as the name of a column.
    Text,
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

    /// The same option, which has to be given.
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
