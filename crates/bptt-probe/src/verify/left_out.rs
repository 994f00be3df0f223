//! What a verification left out.

use std::fmt;

/// What was left out, and why. It is shown as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The witness and the device, or what else it is about.
    pub what: String,
    /// The cases by name, if it is about some of them.
    pub cases: Vec<String>,
    /// Why.
    pub why: String,
}

impl From<String> for LeftOut {
    fn from(what: String) -> Self {
        Self { what, cases: Vec::new(), why: String::new() }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, cases, why } = self;
        match cases.len() {
            0 => f.write_str(what),
            count => write!(f, "{what}: {count} cases: {why} ({})", cases.join(", ")),
        }
    }
}

impl LeftOut {
    /// Adds one to a list. The cases that were left out for the same reason are put together.
    pub(super) fn add_to(self, all: &mut Vec<Self>) {
        match all.iter_mut().find(|other| other.what == self.what && other.why == self.why) {
            Some(other) => other.cases.extend(self.cases),
            None => all.push(self),
        }
    }
}
