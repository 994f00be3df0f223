//! Writes results to standard output and to files.
//!
//! Writing to standard output may fail, for instance on a full disk. The failure is stored, and the command fails at
//! its end. Until then it continues, so that a run can still be saved. It is not a failure if the reader of a pipe ends
//! (`bptt verify | head`).

use crate::failure::Failure;
use crate::status_line::above;
use serde::Serialize;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The first failure to write to standard output.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// Writes the result as JSON: to a file, whole or not at all, or to standard output for `-`.
pub fn write_json(to: &Path, result: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(result)
        .map_err(|error| Failure::usage(format!("cannot write the result as JSON: {error}")))?;
    text.push('\n');
    if to == Path::new("-") {
        print(&text);
        return Ok(());
    }
    Ok(bptt_zoo::write_whole(to, text.as_bytes())?)
}

/// Checks before the work begins that the files for the results can be written.
pub fn check(files: &[Option<&PathBuf>]) -> Result<(), Failure> {
    let files = files.iter().flatten().filter(|file| file.as_path() != Path::new("-"));
    for file in files {
        bptt_zoo::check_writable(file)?;
    }
    Ok(())
}

/// Whether only the JSON may go to standard output.
pub fn takes_stdout(json: Option<&PathBuf>) -> bool {
    json.is_some_and(|path| path == Path::new("-"))
}

/// Prints a line to standard output, or to standard error if only the JSON may go to standard output.
pub fn say(json: Option<&PathBuf>, text: &str) {
    match takes_stdout(json) {
        true => note(text),
        false => print(&format!("{text}\n")),
    }
}

/// Prints to standard output.
fn print(text: &str) {
    write(text.as_bytes());
}

/// Writes bytes to standard output.
pub fn write(bytes: &[u8]) {
    remember(above(|| io::stdout().write_all(bytes)));
}

/// Prints a line to standard error. A failure to write there cannot be reported.
pub fn note(text: &str) {
    let _ = above(|| writeln!(io::stderr(), "{text}"));
}

/// Stores the failure if standard output could not be written.
pub fn remember(done: io::Result<()>) {
    if let Err(error) = done
        && error.kind() != ErrorKind::BrokenPipe
    {
        // Only the first is kept; the others follow from it.
        let _ = FAILED.set(error);
    }
}

/// Checks that everything that was printed could be written.
pub fn finish() -> Result<(), Failure> {
    remember(io::stdout().flush());
    match FAILED.get() {
        Some(error) => Err(Failure::usage(format!("cannot write to standard output: {error}"))),
        None => Ok(()),
    }
}
