//! All errors of a file in one message.

use crate::weights::contents::Tensors;

/// How many errors one message has at most.
const MOST_ERRORS: usize = 100;

/// How many characters of a name from a file a message shows.
const LONGEST_NAME: usize = 80;

/// A name from a file, shortened and escaped for a message.
pub(super) fn shown(name: &str) -> String {
    let mut text: String = name.escape_debug().take(LONGEST_NAME).collect();
    if text.chars().count() == LONGEST_NAME {
        text.push('…');
    }
    format!("`{text}`")
}

/// A few names, for a message.
pub(super) fn names(tensors: &Tensors) -> String {
    const MOST: usize = 6;
    let mut names: Vec<_> = tensors.keys().take(MOST).map(|name| shown(name)).collect();
    if tensors.len() > MOST {
        names.push(format!("and {} more", tensors.len() - MOST));
    }
    names.join(", ")
}

/// A list of errors that becomes one line.
#[derive(Default)]
pub(super) struct ErrorList {
    lines: Vec<String>,
    pub(super) count: usize,
}

impl ErrorList {
    pub(super) fn add(&mut self, line: String) {
        self.count += 1;
        if self.lines.len() < MOST_ERRORS {
            self.lines.push(line);
        }
    }

    pub(super) fn message(&self) -> String {
        let mut message = self.lines.join("; ");
        if self.count > self.lines.len() {
            message += &format!("; and {} more", self.count - self.lines.len());
        }
        message
    }
}
