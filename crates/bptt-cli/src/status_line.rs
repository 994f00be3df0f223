//! A line at the end of a terminal that is drawn again and again, on standard error. What the command prints meanwhile goes
//! above it.
//!
//! It is written on what clap has in the build anyway. indicatif would do the same with four more crates, and with another
//! feature of portable-atomic, on which Burn depends.

use std::io::{IsTerminal, Write, stderr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use terminal_size::terminal_size_of;

/// The line that is drawn now. Whoever draws holds it.
static DRAWN: Mutex<Option<Drawn>> = Mutex::new(None);

/// The cells of a bar.
const BAR: usize = 10;

/// A line on the terminal.
#[derive(Clone)]
struct Drawn {
    /// The share that is done, 0 to 1, if a bar shows it.
    share: Option<f64>,
    text: String,
}

/// A line on standard error that says what is done now. On a terminal, each text takes the place of the one before.
/// Elsewhere each is a line. A failure to write cannot be reported.
pub struct StatusLine {
    terminal: bool,
}

impl StatusLine {
    /// Nothing is said yet.
    pub fn new() -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { terminal: stderr().is_terminal() && !is_dumb }
    }

    /// Whether texts replace each other.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Says a text.
    pub fn say(&self, text: &str) {
        self.tell(Drawn { share: None, text: text.to_string() });
    }

    /// Says a text, with a bar before it where texts replace each other.
    ///
    /// # Arguments
    ///
    /// - `share`: how much is done, 0 to 1
    pub fn say_share(&self, share: f64, text: &str) {
        self.tell(Drawn { share: Some(share), text: text.to_string() });
    }

    fn tell(&self, next: Drawn) {
        if !self.terminal {
            let _ = writeln!(stderr(), "{}", next.text);
            return;
        }
        let mut drawn = drawn();
        next.draw();
        *drawn = Some(next);
    }

    /// The work is done: the line on the terminal goes.
    pub fn end(&self) {
        if self.terminal && drawn().take().is_some() {
            clear();
        }
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.end();
    }
}

impl Drawn {
    fn draw(&self) {
        write(&self.line(columns()));
    }

    /// What is written over the line before: as many columns in any case.
    fn line(&self, columns: usize) -> String {
        let text = match self.share {
            None => self.text.clone(),
            Some(share) => {
                let full = ((share * BAR as f64) as usize).min(BAR);
                format!("[{}{}] {}", "#".repeat(full), ".".repeat(BAR - full), self.text)
            }
        };
        let text: String = text.chars().take(columns).collect();
        let padding = columns - text.chars().count();
        // The colour is not counted, since it takes no columns.
        let text = match self.share.and_then(|_| text.split_once(']')) {
            Some((bar, rest)) => format!("\x1b[36m{bar}]\x1b[0m{rest}"),
            None => text,
        };
        format!("\r{text}{:padding$}", "")
    }
}

/// Prints something where the line is, and draws the line again below it.
pub fn above<R>(print: impl FnOnce() -> R) -> R {
    let drawn = drawn();
    let Some(line) = &*drawn else {
        std::mem::drop(drawn);
        return print();
    };
    clear();
    let printed = print();
    line.draw();
    printed
}

fn drawn() -> MutexGuard<'static, Option<Drawn>> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn clear() {
    write(&format!("\r{:width$}\r", "", width = columns()));
}

/// How wide the line may be. The last column stays empty, because some terminals begin a new line when it is written.
fn columns() -> usize {
    let width = terminal_size_of(stderr()).map_or(80, |(width, _)| usize::from(width.0));
    width.saturating_sub(1).max(1)
}

/// Writes to the terminal, without colours if they are not wanted there (`NO_COLOR`).
fn write(text: &str) {
    let mut stderr = anstream::stderr();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fills_its_columns() {
        let line = |share, text: &str, columns| {
            let line = Drawn { share, text: text.to_string() }.line(columns);
            let plain = line.replace("\x1b[36m", "").replace("\x1b[0m", "");
            assert_eq!(plain.chars().count(), columns + 1, "{line:?}");
            plain.trim_start_matches('\r').trim_end().to_string()
        };
        assert_eq!(line(None, "step 1", 9), "step 1");
        assert_eq!(line(None, "step 1000000", 9), "step 1000");
        assert_eq!(line(Some(0.5), "step 1", 40), "[#####.....] step 1");
        assert_eq!(line(Some(1.0), "step 1", 40), "[##########] step 1");
        // Too narrow for the bar.
        assert_eq!(line(Some(0.5), "step 1", 5), "[####");
        assert_eq!(line(Some(f64::NAN), "\u{e9}", 30), "[..........] \u{e9}");
    }
}
