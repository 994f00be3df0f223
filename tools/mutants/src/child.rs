//! A mutant in a process of its own.
//!
//! The child runs the case table and prints one line: `caught`, the case, the tensor and its error, or
//! `passed`. Whatever else it does is no catch: a signal, a panic, an exit code, a line that is neither,
//! silence until the time is up.

use crate::suite::{Catch, Fate};
use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The line that a child prints for what its suite found.
pub fn line(found: Option<&Catch>) -> String {
    match found {
        Some(Catch { case, tensor, error }) => format!("caught\t{case}\t{tensor}\t{error}"),
        None => "passed".to_string(),
    }
}

/// What a child's line says; `None` if it is no such line.
fn parse(text: &str) -> Option<Fate> {
    let fields: Vec<_> = text.strip_suffix('\n')?.split('\t').collect();
    match fields[..] {
        ["passed"] => Some(Fate::Survived),
        ["caught", case, tensor, error] => {
            let (case, tensor) = (case.to_string(), tensor.to_string());
            Some(Fate::Caught(Catch { case, tensor, error: error.parse().ok()? }))
        }
        _ => None,
    }
}

/// Runs a child to its end, and kills it if that takes longer than `limit`.
///
/// # Errors
///
/// If the child cannot be started: then nothing is known of any mutant.
pub fn run(command: &mut Command, limit: Duration) -> io::Result<Fate> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let Some(status) = wait(&mut child, limit)? else {
        return Ok(Fate::Died(format!("no result after {} s", limit.as_secs_f64())));
    };
    if !status.success() {
        return Ok(Fate::Died(status.to_string()));
    }
    // One short line: it fits in the pipe's buffer, so the child never waits for its reader.
    let mut text = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut text)?;
    }
    Ok(parse(&text).unwrap_or_else(|| Fate::Died(format!("it printed {text:?}"))))
}

/// How the child ended; `None` if it had to be killed.
fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(Duration::from_millis(10));
    }
}
