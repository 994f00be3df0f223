//! `bptt train`

use crate::failure::Failure;
use crate::interrupt::Interrupts;
use crate::output;
use crate::verify::CellArg;
use bptt::Engine;
use bptt_probe::device;
use bptt_zoo::{
    Error, RunFolder, RunResult, Session, Settings, TaskKind, data_path, figure, train,
};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf, absolute};

/// Arguments of `bptt train`.
#[derive(Args)]
// So that `-3` is a bad number, and not an unknown option.
#[command(allow_negative_numbers = true)]
pub struct TrainArgs {
    /// What to learn
    #[arg(value_enum)]
    task: TaskArg,
    /// The recurrent cell [default: lstm; copy gru]
    #[arg(long, value_enum)]
    cell: Option<CellArg>,
    /// How the recurrent layers are differentiated [default: manual]
    #[arg(long, value_enum)]
    engine: Option<EngineArg>,
    /// Where to run, see `bptt devices` [default: the first of this build]
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// Size of the hidden state [default: 64; char-lm and copy 128]
    #[arg(long, value_name = "H")]
    hidden: Option<usize>,
    /// Recurrent layers, one on top of the other [default: 1]
    #[arg(long, value_name = "L")]
    layers: Option<usize>,
    /// Not for char-lm: read each sequence backward as well
    #[arg(long)]
    bidirectional: bool,
    /// Train until step N, counted from the run's very beginning [default: 1500; char-lm 2000]
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    steps: Option<u64>,
    /// Train for S seconds instead; a last validation comes on top
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Sequences, or streams of text (char-lm), side by side [default: 64; char-lm 32]
    #[arg(long, value_name = "B")]
    batch: Option<usize>,
    /// char-lm: characters in a chunk, how far gradients go back [default: 64]
    #[arg(long, value_name = "T")]
    time: Option<usize>,
    /// adding: numbers in a sequence; copy: the pause; forecast: values in a window; parity: bits in
    /// the longest sequence [default: 50; copy 10, parity 20]
    #[arg(long, value_name = "T")]
    length: Option<usize>,
    /// forecast: how many values to say at once [default: 1]
    #[arg(long, value_name = "K")]
    horizon: Option<usize>,
    /// char-lm: size of a character's vector [default: 64]
    #[arg(long, value_name = "E")]
    embedding: Option<usize>,
    /// Learning rate of Adam [default: 0.01; char-lm 0.004]
    #[arg(long, value_name = "X")]
    lr: Option<f64>,
    /// Scale gradients down to this global norm; `inf` for never [default: 1]
    #[arg(long, value_name = "X")]
    clip: Option<f64>,
    /// Probability of dropping a value between two layers while training [default: 0]
    #[arg(long, value_name = "P")]
    dropout: Option<f64>,
    /// Fixes everything random [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Steps between two validations; each also saves [default: 250; char-lm 500]
    #[arg(long, value_name = "N")]
    validate_every: Option<u64>,
    /// char-lm: a UTF-8 text (`-`: standard input) [default: a text about back-propagation through
    /// time that comes with bptt]
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// forecast: a CSV file whose first line has the columns' names (`-`: standard input); an empty
    /// field is a gap
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// forecast: the column with the series
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// The run folder: config, metrics, model and learning curve; a new run takes the place of an
    /// old one, and a folder that is neither a run's nor empty is refused [default:
    /// runs/TASK-CELL-ENGINE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Continue the run in the run folder; model and data stay as they were
    #[arg(long)]
    resume: bool,
    /// Write the result as JSON to FILE (`-`: standard output, and nothing else there)
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum TaskArg {
    /// Remember two marked numbers of a sequence and add them
    Adding,
    /// Predict the next character of a text
    CharLm,
    /// Say ten symbols again after a pause: a tagger
    Copy,
    /// Predict the next values of a series
    Forecast,
    /// Say whether there is an odd number of ones: a classifier
    Parity,
}

#[derive(Clone, Copy, ValueEnum)]
enum EngineArg {
    /// Back-propagation through time derived by hand
    Manual,
    /// Burn's autodiff
    Autograd,
    /// Real-time recurrent learning, gradients carried forwards: for small networks
    Rtrl,
}

/// Trains, prints progress and a summary.
pub fn run(args: TrainArgs) -> Result<(), Failure> {
    let interrupts = Interrupts::listen()?;
    let json = args.json.as_ref();
    let out = args.out();
    output::check(&[json.filter(|json| !is_made_by_run(json, &out))])?;
    let settings = args.settings(&out)?;
    // Wrong sizes are known at once; opening a device may take a while.
    settings.check().map_err(Failure::from)?;
    let device = device::open(&settings.device).map_err(Failure::usage)?;

    let result = train(
        &settings,
        Session {
            device,
            out,
            resume: args.resume,
            stop: interrupts.stop(),
            begun: &mut || interrupts.begin(),
            say: &mut |line| output::say(json, line),
        },
    )?;
    let ended = interrupts.end();
    output::say(json, &summary(&result, settings.task, ended.is_err()));
    json.map_or(Ok(()), |path| output::write_json(path, &result))?;
    ended
}

impl TrainArgs {
    fn task(&self) -> TaskKind {
        match self.task {
            TaskArg::Adding => TaskKind::Adding,
            TaskArg::CharLm => TaskKind::CharLm,
            TaskArg::Copy => TaskKind::Copy,
            TaskArg::Forecast => TaskKind::Forecast,
            TaskArg::Parity => TaskKind::Parity,
        }
    }

    fn engine(&self) -> Option<Engine> {
        self.engine.map(|engine| match engine {
            EngineArg::Manual => Engine::Manual,
            EngineArg::Autograd => Engine::Autograd,
            EngineArg::Rtrl => Engine::Rtrl,
        })
    }

    fn out(&self) -> PathBuf {
        let defaults = Settings::new(self.task());
        let cell = self.cell.map_or(defaults.cell, Into::into).name();
        let engine = self.engine().unwrap_or(defaults.engine).name();
        let name = format!("{}-{cell}-{engine}", self.task().name());
        self.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(name))
    }

    /// The task's defaults, or the stored settings of the run to resume, with the options over
    /// them.
    fn settings(&self, out: &Path) -> Result<Settings, Failure> {
        self.check_task()?;
        let mut settings = match self.resume {
            true => RunFolder::new(out).settings()?,
            false => Settings {
                device: device::default_name().to_string(),
                ..Settings::new(self.task())
            },
        };
        macro_rules! put {
            ($($option:ident)*) => {
                $(if let Some(value) = self.$option.clone() { settings.$option = value.into(); })*
            };
        }
        put!(cell device hidden layers batch time length horizon embedding lr clip dropout seed);
        put!(validate_every);
        settings.bidirectional |= self.bidirectional;
        settings.column = self.column.clone().or(settings.column);
        settings.task = self.task();
        settings.engine = self.engine().unwrap_or(settings.engine);
        if self.steps.is_some() || self.seconds.is_some() {
            (settings.steps, settings.seconds) = (self.steps, self.seconds);
        }
        for (given, of) in [(&self.text, &mut settings.text), (&self.csv, &mut settings.csv)] {
            let Some(file) = given else { continue };
            *of = Some(data_path(file)?);
        }
        Ok(settings)
    }

    /// Options that the task would not look at are mistakes.
    fn check_task(&self) -> Result<(), Failure> {
        use TaskKind::{Adding, CharLm, Copy, Forecast, Parity};
        let options: [(_, _, &[TaskKind]); 8] = [
            ("--time", self.time.is_some(), &[CharLm]),
            ("--embedding", self.embedding.is_some(), &[CharLm]),
            ("--text", self.text.is_some(), &[CharLm]),
            ("--length", self.length.is_some(), &[Adding, Copy, Forecast, Parity]),
            ("--bidirectional", self.bidirectional, &[Adding, Copy, Forecast, Parity]),
            ("--horizon", self.horizon.is_some(), &[Forecast]),
            ("--csv", self.csv.is_some(), &[Forecast]),
            ("--column", self.column.is_some(), &[Forecast]),
        ];
        let fits = |tasks: &[TaskKind]| tasks.contains(&self.task());
        match options.into_iter().find(|(_, given, tasks)| *given && !fits(tasks)) {
            Some((option, _, tasks)) => Err(Failure::usage(format!(
                "{option} belongs to {}, and this is {}: leave it out",
                tasks.iter().map(|task| task.name()).collect::<Vec<_>>().join(", "),
                self.task().name()
            ))),
            None => Ok(()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Input(message) => Self::usage(message),
            Error::Check(message) => Self::check(message),
        }
    }
}

/// Whether a file is to be in a folder that is not there yet, and that the run makes.
fn is_made_by_run(file: &Path, out: &Path) -> bool {
    let (Ok(file), Ok(out)) = (absolute(file), absolute(out)) else { return false };
    file.parent().is_some_and(|folder| !folder.exists() && out.starts_with(folder))
}

fn summary(result: &RunResult, task: TaskKind, interrupted: bool) -> String {
    let how = if interrupted { "stopped" } else { "done" };
    let RunResult { steps, seconds, valid_loss, best_step, metric, metric_name, out, .. } = result;
    let what = task.loss_name();
    let next = match task {
        TaskKind::CharLm => format!("; bptt sample --run {out}"),
        _ => String::new(),
    };
    format!(
        "{how}: {steps} steps in {seconds:.1} s; validation {} {what} at step {best_step} \
         ({metric_name} {}); run folder {out}{next}",
        figure(*valid_loss),
        figure(*metric),
    )
}
