//! Where results go.

use crate::Failure;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes the result as JSON: to a file, whole or not at all, or to standard output for `-`.
pub fn write_json(to: &Path, result: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(result)
        .map_err(|error| Failure::usage(format!("cannot write the result as JSON: {error}")))?;
    text.push('\n');
    if to == Path::new("-") {
        let _ = std::io::stdout().write_all(text.as_bytes());
        return Ok(());
    }
    Ok(bptt_zoo::write_whole(to, text.as_bytes())?)
}

/// Whether standard output belongs to the JSON alone.
pub fn takes_stdout(json: Option<&PathBuf>) -> bool {
    json.is_some_and(|path| path == Path::new("-"))
}

/// Prints to standard output, or to standard error where that belongs to the JSON.
pub fn say(json: Option<&PathBuf>, text: &str) {
    // A reader that went away (`bptt verify | head`) is no mistake of ours.
    let _ = match takes_stdout(json) {
        true => writeln!(std::io::stderr(), "{text}"),
        false => writeln!(std::io::stdout(), "{text}"),
    };
}
