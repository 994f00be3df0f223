//! A line at the end of a terminal that is drawn again and again, on standard error. What the command prints meanwhile goes
//! above it.

use crate::output;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::sync::{Mutex, PoisonError};

/// The line that is drawn now.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// The steps of a bar.
const FINE: u64 = 1000;

/// A line on standard error that says what is done now. On a terminal, each text takes the place of the one before.
/// Elsewhere each is a line. A failure to write cannot be reported.
pub struct StatusLine {
    /// `None`: standard error is no terminal, or one that cannot move its cursor.
    drawn: Option<ProgressBar>,
}

impl StatusLine {
    /// Nothing is said yet.
    pub fn new() -> Self {
        Self::with_style("{wide_msg}")
    }

    /// The same, with a bar before the text.
    pub fn with_bar() -> Self {
        Self::with_style("[{bar:20.cyan}] {wide_msg}")
    }

    fn with_style(template: &str) -> Self {
        let style = ProgressStyle::with_template(template).expect("a template of ours");
        let bar = ProgressBar::new(FINE).with_style(style.progress_chars("=> "));
        let drawn = (stderr().is_terminal() && !bar.is_hidden()).then_some(bar);
        Self { drawn }
    }

    /// Whether texts replace each other.
    pub fn is_terminal(&self) -> bool {
        self.drawn.is_some()
    }

    /// Says a text.
    pub fn say(&self, text: &str) {
        match &self.drawn {
            Some(bar) => draw(bar, text),
            None => output::note(text),
        }
    }

    /// Says a text, and draws the share that is done, 0 to 1.
    pub fn say_share(&self, share: f64, text: &str) {
        if let Some(bar) = &self.drawn {
            bar.set_position((share * FINE as f64) as u64);
        }
        self.say(text);
    }

    /// The work is done: the line on the terminal goes.
    pub fn end(&self) {
        if let Some(bar) = &self.drawn {
            *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
            bar.finish_and_clear();
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.end();
    }
}

fn draw(bar: &ProgressBar, text: &str) {
    bar.set_message(text.to_string());
    *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
}

/// Prints something where the line is, and draws the line again below it.
pub fn above<R>(print: impl FnOnce() -> R) -> R {
    let drawn = DRAWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match drawn {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}
