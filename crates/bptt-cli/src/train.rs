//! `bptt train`

use crate::confusion_page::confusion_page;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::output;
use crate::status_line::StatusLine;
use crate::train_args::TrainArgs;
use bptt_probe::device;
use bptt_zoo::{
    AnyTask, CharLm, Classify, Error, Regress, RunResult, Session, Tag, Task, TestScores,
    TrainProgress, figure, write_whole,
};
use std::path::{Path, absolute};

/// Trains a model, and prints progress and a summary.
pub fn run(args: TrainArgs) -> Result<(), Failure> {
    let interrupts = Interrupts::listen()?;
    let json = args.shared.json.as_ref();
    let out = args.out();
    let html = args.shared.html.as_ref();
    if html.is_some() && ![Classify::NAME, Tag::NAME].contains(&args.task.name) {
        return Err(Failure::usage(format!(
            "--html belongs to classify, tag, and this is {}: leave it out",
            args.task.name
        )));
    }
    output::check(&[json, html].map(|file| file.filter(|file| !is_made_by_run(file, &out))))?;
    let settings = args.settings(&out)?;
    // The settings are checked first, because opening a device may take a while.
    args.task.check(&settings)?;
    let device = device::open(&settings.device).map_err(Failure::usage)?;

    let quiet = args.shared.quiet;
    let line = StatusLine::new();
    let drawn = line.is_terminal() || quiet;
    let draw = &mut |at: &TrainProgress| {
        if !quiet {
            line.say_share(at.share, &at.to_string());
        }
    };
    let result = args.task.train(
        &settings,
        Session {
            device,
            out,
            resume: args.shared.resume,
            stop: interrupts.stop(),
            probes: args.shared.probes(),
            begun: &mut || interrupts.begin(),
            say: &mut |line| {
                if !quiet {
                    output::say(json, line);
                }
            },
            progress: drawn.then_some(draw as _),
        },
    )?;
    line.end();
    let ended = interrupts.end();
    let loss = args.task.loss_name(&settings);
    output::say(json, &summary(&result, args.task, loss, ended.is_err()));
    if let Some(test) = &result.test {
        output::say(json, &tested(test, loss, result.metric_name));
        if let (Some(path), Some(confusion)) = (html, &test.confusion) {
            let title = format!("{}: {}", result.task, result.out);
            let what = "on the test part of the data, which neither training nor validation used";
            write_whole(path, confusion_page(&title, what, confusion).as_bytes())?;
        }
    }
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

fn summary(result: &RunResult, task: &AnyTask, what: &str, interrupted: bool) -> String {
    let how = if interrupted { "stopped" } else { "done" };
    let RunResult { steps, seconds, valid_loss, best_step, metric, metric_name, out, .. } = result;
    let next = if task.name == CharLm::NAME {
        format!("; bptt sample --run {out}")
    } else if [Classify::NAME, Regress::NAME, Tag::NAME].contains(&task.name) {
        format!("; bptt predict --run {out} --data NEW")
    } else {
        String::new()
    };
    format!(
        "{how}: {steps} steps in {seconds:.1} s; validation {} {what} at step {best_step} \
         ({metric_name} {}); run folder {out}{next}",
        figure(*valid_loss),
        figure(*metric),
    )
}

/// The line on the test part.
fn tested(test: &TestScores, what: &str, metric_name: &str) -> String {
    let TestScores { test_sequences, test_loss, test_metric, test_macro_f1, .. } = test;
    let f1 = test_macro_f1.map_or_else(String::new, |f1| format!(", macro F1 {}", figure(f1)));
    format!(
        "test: {test_sequences} sequences that the run had not used: {} {} ({metric_name} {}{f1})",
        figure(*test_loss),
        what,
        figure(*test_metric),
    )
}
