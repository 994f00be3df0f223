//! `bptt compare`

use crate::compare_args::CompareArgs;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::output;
use crate::status_line::StatusLine;
use bptt_probe::device;
use bptt_zoo::{CompareProgress, compare, write_whole};
use std::time::{Duration, Instant};

/// The least time between two lines about the progress, where they do not replace each other.
const PAUSE: Duration = Duration::from_secs(10);

/// Trains the cells, and prints a table.
pub fn run(args: CompareArgs) -> Result<(), Failure> {
    let interrupts = Interrupts::listen()?;
    let (json, html) = (args.train.shared.json.as_ref(), args.train.shared.html.as_ref());
    output::check(&[json, html])?;
    let options = args.options()?;
    let device = device::open(&options.settings.device).map_err(Failure::usage)?;
    let line = StatusLine::new();
    let (mut told, mut last) = (None::<Instant>, 0);
    let found = compare(
        &options,
        &device,
        &args.out(),
        interrupts.stop(),
        &mut || interrupts.begin(),
        &mut |at: &CompareProgress| {
            let is_due = told.is_none_or(|told| told.elapsed() >= PAUSE) || at.run.0 != last;
            if !args.train.shared.quiet && (line.is_terminal() || is_due) {
                line.say_share(at.share(), &at.to_string());
                (told, last) = (Some(Instant::now()), at.run.0);
            }
        },
    );
    line.end();
    let found = found?;
    let ended = interrupts.end();
    if ended.is_err() && found.cells.is_empty() {
        return ended;
    }
    found.lines().iter().for_each(|line| output::say(json, line));
    if let Some(path) = html {
        write_whole(path, found.html().as_bytes())?;
    }
    json.map_or(Ok(()), |path| output::write_json(path, &found))?;
    ended
}
