//! `bptt train`

use crate::confusion_page::confusion_page;
use crate::control_page::control_page;
use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::output;
use crate::status_line::StatusLine;
use crate::train_args::TrainArgs;
use crate::translate_page::translate_page;
use crate::tui::Screen;
use bptt_probe::device;
use bptt_zoo::{
    AnyTask, CharLm, Classify, Control, Digits, Error, FoldResult, Forecast, ForecastScores,
    Regress, RunFolder, RunResult, Session, Settings, Tag, Task, TestScores, TrainProgress,
    Translate, figure, write_whole,
};
use std::cell::RefCell;
use std::path::{Path, PathBuf, absolute};

/// The tasks with a page about their test.
const WITH_PAGE: [&str; 5] =
    [Classify::NAME, Control::NAME, Digits::NAME, Tag::NAME, Translate::NAME];

/// Trains a model, and prints progress and a summary.
pub fn run(args: TrainArgs) -> Result<(), Failure> {
    let interrupts = Interrupts::listen()?;
    let json = args.shared.json.as_ref();
    let out = args.out();
    let html = args.shared.html.as_ref();
    if html.is_some() && !WITH_PAGE.contains(&args.task.name) {
        return Err(Failure::usage(format!(
            "--html belongs to {}, and this is {}: leave it out",
            WITH_PAGE.join(", "),
            args.task.name
        )));
    }
    if args.shared.folds.is_some() && args.task.name != Forecast::NAME {
        let why =
            format!("--folds belongs to forecast, and this is {}: leave it out", args.task.name);
        return Err(Failure::usage(why));
    }
    output::check(&[json, html].map(|file| file.filter(|file| !is_made_by_run(file, &out))))?;
    let screen = args.shared.tui.then(|| Screen::new(args.task.metric, &interrupts)).transpose()?;
    let screen = RefCell::new(screen);
    let settings = args.settings(&out)?;
    // The settings are checked first, because opening a device may take a while.
    args.task.check(&settings)?;
    let device = device::open(&settings.device).map_err(Failure::usage)?;

    let quiet = args.shared.quiet;
    let line = StatusLine::new();
    let drawn = line.is_terminal() || quiet || args.shared.tui;
    let train = |settings: &Settings, out: PathBuf| {
        let draw = &mut |at: &TrainProgress| match &mut *screen.borrow_mut() {
            Some(screen) => screen.show(at),
            None if quiet => {}
            None => line.say_share(at.share, &at.to_string()),
        };
        let session = Session {
            device: device.clone(),
            out,
            resume: args.shared.resume,
            warm_start: args.shared.warm_start.clone(),
            stop: interrupts.stop(),
            probes: args.shared.probes(),
            begun: &mut || interrupts.begin(),
            say: &mut |line| {
                let kept = |screen: &mut Screen| screen.keeps(line);
                if !quiet && !screen.borrow_mut().as_mut().is_some_and(kept) {
                    output::say(json, line);
                }
            },
            progress: drawn.then_some(draw as _),
        };
        args.task.train(settings, session)
    };
    let trained = in_folds(&args, &settings, out, &train);
    line.end();
    let kept = screen.borrow_mut().as_mut().map(Screen::close).unwrap_or_default();
    kept.iter().for_each(|line| output::say(json, line));
    let Some(result) = trained? else { return interrupts.end() };
    let ended = interrupts.end();
    let loss = args.task.loss_name(&settings);
    output::say(json, &summary(&result, args.task, loss, ended.is_err()));
    if let Some(test) = &result.test {
        output::say(json, &tested(test, loss, result.metric_name));
        let lines = test.forecast.iter().flat_map(ForecastScores::lines);
        lines.for_each(|line| output::say(json, &line));
        if let (Some(path), Some(page)) = (html, page(&result, test)?) {
            write_whole(path, page.as_bytes())?;
        }
    }
    backtest(&result.folds).iter().for_each(|line| output::say(json, line));
    json.map_or(Ok(()), |path| output::write_json(path, &result))?;
    ended
}

/// The page about a test, if there is one.
fn page(result: &RunResult, test: &TestScores) -> Result<Option<String>, Error> {
    let title = format!("{}: {}", result.task, result.out);
    if let Some(others) = &test.control {
        let points = RunFolder::new(&result.out).metrics()?;
        return Ok(Some(control_page(result, test, others, &points)));
    }
    if let Some(scores) = &test.translate {
        return Ok(Some(translate_page(&title, test.test_metric, scores)));
    }
    let what = "on the test part of the data, which neither training nor validation used";
    Ok(test.confusion.as_ref().map(|confusion| confusion_page(&title, what, confusion)))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Input(message) => Self::usage(message),
            Error::Check(message) => Self::check(message),
        }
    }
}

/// Trains once, or by `--folds` several times, each time with a later origin. `None`: it was interrupted before the last
/// fold.
fn in_folds(
    args: &TrainArgs,
    settings: &Settings,
    out: PathBuf,
    train: &dyn Fn(&Settings, PathBuf) -> Result<RunResult, Error>,
) -> Result<Option<RunResult>, Failure> {
    let Some(count) = args.shared.folds.map(usize::from) else {
        return Ok(Some(train(settings, out)?));
    };
    // The first fold leaves out the most, and a message about it would name --hold-back.
    let first = settings.clone().with_option("hold_back", count - 1);
    args.task
        .check(&first)
        .map_err(|why| Failure::usage(format!("--folds {count}: the first of them has {why}")))?;
    let json = args.shared.json.as_ref();
    let say = |fold: usize| output::say(json, &format!("fold {fold} of {count}"));
    let mut folds = Vec::new();
    for hold_back in (1..count).rev() {
        let fold = count - hold_back;
        say(fold);
        let mut name = out.clone().into_os_string();
        name.push(format!("-fold-{fold}"));
        let settings = settings.clone().with_option("hold_back", hold_back);
        let result = train(&settings, PathBuf::from(name))?;
        let Some(fold) = FoldResult::of(&result, hold_back) else {
            let why = "a backtest cannot be resumed: begin it anew, with --folds";
            output::note(&format!("bptt: ended in fold {fold} of {count}; {why}"));
            return Ok(None);
        };
        folds.push(fold);
    }
    say(count);
    let result = train(settings, out)?;
    folds.extend(FoldResult::of(&result, 0));
    Ok(Some(RunResult { folds, ..result }))
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
    } else if task.name == Forecast::NAME {
        format!("; bptt predict --run {out} --csv NEW.csv --html forecast.html")
    } else if task.name == Translate::NAME {
        format!("; bptt predict --run {out} --data DATES.txt")
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
    let TestScores { test_sequences, test_loss, test_metric, test_macro_f1, test_baseline, .. } =
        test;
    let of = match test {
        TestScores { forecast: Some(_), .. } => "windows",
        TestScores { control: Some(_), .. } => "episodes",
        _ => "sequences",
    };
    let f1 = test_macro_f1.map_or_else(String::new, |f1| format!(", macro F1 {}", figure(f1)));
    let same = test_baseline.map_or_else(String::new, |baseline| {
        format!("; always the same answer: {}", figure(baseline))
    });
    let others = test.control.map_or_else(String::new, |others| {
        let [random, best] = [others.random_return, others.memoryless_return].map(figure);
        format!("; random actions {random}, without memory {best}")
    });
    format!(
        "test: {test_sequences} {of} that the run had not used: {} {} ({metric_name} {}{f1}{same}{others})",
        figure(*test_loss),
        what,
        figure(*test_metric),
    )
}

/// The table of a backtest: a line for each fold, and the means.
fn backtest(folds: &[FoldResult]) -> Vec<String> {
    if folds.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "{:8} {:>11} {:>8} {:>9}  best without a network",
        "backtest", "rmse", "mase", "coverage"
    )];
    for (k, fold) in folds.iter().enumerate() {
        let (rmse, name) = best_baseline(fold);
        lines.push(format!(
            "fold {:<3} {:>11} {:>8.4} {:>8.1}%  {} ({name})",
            k + 1,
            figure(fold.errors.rmse),
            fold.errors.mase,
            100.0 * fold.coverage,
            figure(rmse)
        ));
    }
    let mean =
        |of: &dyn Fn(&FoldResult) -> f64| folds.iter().map(of).sum::<f64>() / folds.len() as f64;
    lines.push(format!(
        "{:8} {:>11} {:>8.4} {:>8.1}%  {}",
        "mean",
        figure(mean(&|fold| fold.errors.rmse)),
        mean(&|fold| fold.errors.mase),
        100.0 * mean(&|fold| fold.coverage),
        figure(mean(&|fold| best_baseline(fold).0))
    ));
    lines
}

/// The error of the best forecast without a network, and which it is.
fn best_baseline(fold: &FoldResult) -> (f64, &str) {
    let baselines = fold.baselines.iter().min_by(|a, b| a.rmse.total_cmp(&b.rmse));
    baselines.map_or((f64::NAN, ""), |one| (one.rmse, one.name.as_str()))
}
