//! `bptt train`

use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::output;
use crate::train_args::TrainArgs;
use bptt_probe::device;
use bptt_zoo::{AnyTask, CharLm, Error, RunResult, Session, Task, figure};
use std::path::{Path, absolute};

/// Trains a model, and prints progress and a summary.
pub fn run(args: TrainArgs) -> Result<(), Failure> {
    let interrupts = Interrupts::listen()?;
    let json = args.shared.json.as_ref();
    let out = args.out();
    output::check(&[json.filter(|json| !is_made_by_run(json, &out))])?;
    let settings = args.settings(&out)?;
    // The settings are checked first, because opening a device may take a while.
    args.task.check(&settings)?;
    let device = device::open(&settings.device).map_err(Failure::usage)?;

    let result = args.task.train(
        &settings,
        Session {
            device,
            out,
            resume: args.shared.resume,
            stop: interrupts.stop(),
            probes: args.shared.probes(),
            begun: &mut || interrupts.begin(),
            say: &mut |line| output::say(json, line),
        },
    )?;
    let ended = interrupts.end();
    output::say(json, &summary(&result, args.task, ended.is_err()));
    json.map_or(Ok(()), |path| output::write_json(path, &result))?;
    ended
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Input(message) => Self::usage(message),
            Error::Check(message) => Self::check(message),
        }
    }
}

/// Whether a file is in a folder that does not exist yet, and that the run makes.
fn is_made_by_run(file: &Path, out: &Path) -> bool {
    let (Ok(file), Ok(out)) = (absolute(file), absolute(out)) else { return false };
    file.parent().is_some_and(|folder| !folder.exists() && out.starts_with(folder))
}

fn summary(result: &RunResult, task: &AnyTask, interrupted: bool) -> String {
    let how = if interrupted { "stopped" } else { "done" };
    let RunResult { steps, seconds, valid_loss, best_step, metric, metric_name, out, .. } = result;
    let what = task.loss;
    let next = match task.name == CharLm::NAME {
        true => format!("; bptt sample --run {out}"),
        false => String::new(),
    };
    format!(
        "{how}: {steps} steps in {seconds:.1} s; validation {} {what} at step {best_step} \
         ({metric_name} {}); run folder {out}{next}",
        figure(*valid_loss),
        figure(*metric),
    )
}
