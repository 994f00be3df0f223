//! The arguments of `bptt train`: those of every run, and those of single tasks. The latter get their names, help texts
//! and defaults from the list of tasks.

use crate::failure::Failure;
use crate::kernel_arg::KernelArg;
use crate::noise_args::NoiseArgs;
use crate::recipe_args::RecipeArgs;
use crate::verify::{CellArg, DTypeArg};
use bptt::{BiasInitializer, Engine, WeightInitializer};
use bptt_probe::device;
use bptt_zoo::{
    AnyTask, OptionKind, Probes, RunFolder, Schedule, Settings, TASKS, TaskOption, data_folder,
    data_path, read_settings,
};
use clap::builder::{PossibleValue, PossibleValuesParser, ValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueEnum, value_parser};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Arguments of `bptt train`.
pub struct TrainArgs {
    /// What to learn.
    pub task: &'static AnyTask,
    /// The arguments of every run.
    pub shared: SharedArgs,
    /// The given options of tasks, by name.
    given: Vec<(&'static str, Given)>,
}

/// The arguments of every run. Defaults are added to the help texts.
#[derive(Args)]
// So that `-3` is a bad number, and not an unknown option.
// An option that is given twice has its last value.
#[command(allow_negative_numbers = true, args_override_self = true)]
pub struct SharedArgs {
    /// The recurrent cell
    #[arg(long, value_enum)]
    pub cell: Option<CellArg>,
    /// How the recurrent layers are differentiated
    #[arg(long, value_enum)]
    engine: Option<EngineArg>,
    /// Which kernel the manual engine runs; steps and rows are for GPUs
    #[arg(long, value_enum)]
    kernel: Option<KernelArg>,
    /// Where to run, see `bptt devices` [default: the first of this build]
    #[arg(long, value_name = "D")]
    device: Option<String>,
    /// In which type the recurrent layers compute; the parameters that are trained are f32
    #[arg(long, value_enum)]
    dtype: Option<DTypeArg>,
    /// Size of the hidden state
    #[arg(long, value_name = "H")]
    hidden: Option<usize>,
    /// Heads of the recurrent weights: blocks on the diagonals of their matrices
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
    /// Recurrent layers, one on top of the other
    #[arg(long, value_name = "L")]
    layers: Option<usize>,
    /// Read each sequence backward as well
    #[arg(long)]
    pub bidirectional: bool,
    /// Train until step N, counted from the run's very beginning
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    steps: Option<u64>,
    /// Train for S seconds instead; a last validation comes on top
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Sequences, or streams of text, side by side
    #[arg(long, value_name = "B")]
    batch: Option<usize>,
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Learning rate
    #[arg(long, value_name = "X")]
    lr: Option<f64>,
    /// Scale gradients down to this global norm; `inf` for never
    #[arg(long, value_name = "X")]
    clip: Option<f64>,
    /// Probability of dropping a value between two layers while training
    #[arg(long, value_name = "P")]
    dropout: Option<f64>,
    #[command(flatten)]
    noise: NoiseArgs,
    /// First values of the input weights: torch, xavier-uniform, xavier-normal, kaiming-uniform,
    /// kaiming-normal, orthogonal, identity, normal (all with a gain or scale as in orthogonal:0.5),
    /// uniform:BOUND, constant:VALUE, zeros
    #[arg(long, value_name = "NAME")]
    init: Option<WeightInitializer>,
    /// First values of the recurrent weights: the same names, and radius:R, the spectral radius; for
    /// each gate by itself
    #[arg(long, value_name = "NAME")]
    recurrent_init: Option<WeightInitializer>,
    /// First values of the biases: torch, zeros, constant:VALUE, uniform:BOUND; for cells with gates
    /// that hold a memory, forget[:VALUE] and chrono:T_MAX, with the longest dependence in steps
    #[arg(long, value_name = "NAME")]
    bias_init: Option<BiasInitializer>,
    /// Fixes everything random
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Steps between two validations; each also saves
    #[arg(long, value_name = "N")]
    validate_every: Option<u64>,
    /// Write what probes read into the run folder, while the model is trained; several with commas
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    probe: Vec<ProbeArg>,
    /// Training steps between two readings of a probe [default: 20 for gradients, 200 for jacobians,
    /// 100 for sharpness]
    #[arg(long, value_name = "N", requires = "probe")]
    every: Option<u64>,
    /// The run folder: config, metrics, model and learning curve; a new run takes the place of an
    /// old one, and a folder that is neither a run's nor empty is refused [default:
    /// runs/TASK-CELL-ENGINE]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Take settings from FILE, TOML or JSON, by their names in the config.json of a run folder, which is such a file;
    /// options on the command line win over it
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Continue the run in the run folder; model and data stay as they were
    #[arg(long)]
    pub resume: bool,
    /// Begin with the weights of the run in DIR, and scale the data as it did: for data with new rows
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub warm_start: Option<PathBuf>,
    /// For forecast, a backtest: train and test N times, each time one test part later, the last time on all data; the
    /// earlier runs go to DIR-fold-1, DIR-fold-2, …
    #[arg(long, value_name = "N", conflicts_with_all = ["resume", "hold_back"], value_parser = value_parser!(u16).range(2..=20))]
    pub folds: Option<u16>,
    /// Show the run in Burn's interface for terminals; Ctrl-C, or `q` and then `s`, ends and saves it. The command has to
    /// be built with `--features tui`
    #[arg(long, conflicts_with = "quiet")]
    pub tui: bool,
    /// Print the result and nothing before it: no progress and no notes on the data
    #[arg(long, short)]
    pub quiet: bool,
    /// Write the result as JSON to FILE (`-`: standard output, and nothing else there)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page about the test to FILE: the confusion matrix, for classify, digits and tag; the returns, for control; the
    /// attention, for translate
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
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

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum ProbeArg {
    /// How large the gradient of the state is at every step of a sequence: gradients.jsonl
    Gradients,
    /// How large the Jacobians of each layer are along a validation sequence: jacobians.jsonl
    Jacobians,
    /// The largest eigenvalue of the Hessian of one training batch, beside 2 / lr: sharpness.jsonl
    Sharpness,
}

impl SharedArgs {
    /// What is read while the model is trained, and how often.
    pub fn probes(&self) -> Probes {
        let every = |what: ProbeArg, usual: u64| {
            self.probe.contains(&what).then(|| self.every.unwrap_or(usual))
        };
        Probes {
            gradients: every(ProbeArg::Gradients, 20),
            jacobians: every(ProbeArg::Jacobians, 200),
            sharpness: every(ProbeArg::Sharpness, 100),
        }
    }
}

/// The value of a task's option.
enum Given {
    Size(usize),
    Probability(f64),
    File(PathBuf),
    Folder(PathBuf),
    Text(String),
    Texts(Vec<String>),
    Switch,
}

impl TrainArgs {
    fn engine(&self) -> Option<Engine> {
        self.shared.engine.map(|engine| match engine {
            EngineArg::Manual => Engine::Manual,
            EngineArg::Autograd => Engine::Autograd,
            EngineArg::Rtrl => Engine::Rtrl,
        })
    }

    /// The run folder.
    pub fn out(&self) -> PathBuf {
        let defaults = self.defaults().unwrap_or_else(|_| self.task.defaults());
        let cell = self.task.model_name(&defaults).unwrap_or(defaults.cell.name());
        let engine = defaults.engine.name();
        let name = format!("{}-{cell}-{engine}", self.task.name);
        self.shared.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(name))
    }

    /// The task's defaults, or the stored settings of the run to resume. Options that are given replace them.
    pub fn settings(&self, out: &Path) -> Result<Settings, Failure> {
        self.settings_of(out, self.gives("seconds")?)
    }

    /// The same. If runs end by the clock, nobody knows the step at which a preset's schedule could end: they have a constant
    /// rate, unless the command line or the file says otherwise.
    pub fn settings_of(&self, out: &Path, by_clock: bool) -> Result<Settings, Failure> {
        self.check_task()?;
        let mut settings = match self.shared.resume {
            true => self.task.resumed(&RunFolder::new(out))?,
            false => {
                let device = device::default_name().to_string();
                let mut adapted = self.task.adapted(self.defaults()?);
                let has_end = adapted.recipe.schedule.has_end();
                if by_clock && has_end && self.shared.recipe.schedule_steps.is_none() {
                    adapted.recipe.schedule = Schedule::Constant;
                }
                self.with_file(Settings { device, ..adapted })?
            }
        };
        macro_rules! put {
            ($($option:ident)*) => {
                $(if let Some(value) = self.shared.$option.clone() { settings.$option = value.into(); })*
            };
        }
        if let Some(optimizer) = self.shared.recipe.optimizer {
            settings.optimizer = optimizer.into();
        }
        self.shared.recipe.put(&mut settings.recipe);
        put!(cell kernel device dtype hidden heads layers batch lr clip dropout seed validate_every);
        put!(init recurrent_init bias_init);
        let NoiseArgs { zoneout, variational_dropout, recurrent_dropout, weight_drop } =
            self.shared.noise;
        let noise = &mut settings.noise;
        noise.zoneout = zoneout.unwrap_or(noise.zoneout);
        noise.variational_dropout = variational_dropout.unwrap_or(noise.variational_dropout);
        noise.recurrent_dropout = recurrent_dropout.unwrap_or(noise.recurrent_dropout);
        noise.weight_drop = weight_drop.unwrap_or(noise.weight_drop);
        settings.bidirectional |= self.shared.bidirectional;
        settings.engine = self.engine().unwrap_or(settings.engine);
        if self.shared.steps.is_some() || self.shared.seconds.is_some() {
            (settings.steps, settings.seconds) = (self.shared.steps, self.shared.seconds);
        }
        let settings = self.with_own(settings)?;
        match (self.shared.cell, self.task.model_name(&settings)) {
            (Some(_), Some(model)) => Err(Failure::usage(format!(
                "--cell: --model {model} is not made of layers of one cell; leave one of them out"
            ))),
            _ => Ok(settings),
        }
    }

    /// The task's defaults with what a file and the command line say. What is adapted to them may depend on the cell, on the
    /// engine and on the task's own options.
    fn defaults(&self) -> Result<Settings, Failure> {
        let mut defaults = self.with_own(self.with_file(self.task.defaults())?)?;
        defaults.cell = self.shared.cell.map_or(defaults.cell, Into::into);
        defaults.engine = self.engine().unwrap_or(defaults.engine);
        Ok(defaults)
    }

    /// Whether the command line or the file gives a setting that is not the task's own, by its name in JSON.
    pub fn gives(&self, name: &str) -> Result<bool, Failure> {
        let shared = &self.shared;
        let on_the_line = match name {
            "hidden" => shared.hidden.is_some(),
            "steps" => shared.steps.is_some(),
            "seconds" => shared.seconds.is_some(),
            "validate_every" => shared.validate_every.is_some(),
            other => unreachable!("`{other}` is not asked for"),
        };
        let file = shared.config.as_ref().filter(|_| !on_the_line);
        let in_file = file.map(|path| read_settings(path)).transpose()?;
        Ok(on_the_line
            || in_file.is_some_and(|given| given.get(name).is_some_and(|v| !v.is_null())))
    }

    /// The settings with those of the file that `--config` names.
    fn with_file(&self, settings: Settings) -> Result<Settings, Failure> {
        let Some(path) = &self.shared.config else { return Ok(settings) };
        let mut given = read_settings(path)?;
        for option in self.task.options {
            match (option.kind, given.get_mut(option.name)) {
                (OptionKind::File, Some(Value::String(at))) => *at = data_path(Path::new(at))?,
                (OptionKind::Folder, Some(Value::String(at))) => *at = data_folder(Path::new(at))?,
                _ => {}
            }
        }
        let with = settings.with_fields(&given);
        with.map_err(|why| Failure::usage(format!("{}: {why}", path.display())))
    }

    /// The settings with the given options of the task.
    fn with_own(&self, mut settings: Settings) -> Result<Settings, Failure> {
        for (name, given) in &self.given {
            settings = match given {
                Given::Size(size) => settings.with_option(name, *size),
                Given::Probability(share) => settings.with_option(name, *share),
                Given::File(file) => settings.with_option(name, data_path(file)?),
                Given::Folder(folder) => settings.with_option(name, data_folder(folder)?),
                Given::Text(text) => settings.with_option(name, text.as_str()),
                Given::Texts(texts) => settings.with_option(name, texts.clone()),
                Given::Switch => settings.with_option(name, true),
            };
        }
        Ok(settings)
    }

    /// Refuses options that the task does not have.
    fn check_task(&self) -> Result<(), Failure> {
        let belongs = |flag: &str, has: &dyn Fn(&AnyTask) -> bool| match has(self.task) {
            true => Ok(()),
            false => Err(Failure::usage(format!(
                "--{flag} belongs to {}, and this is {}: leave it out",
                TASKS
                    .iter()
                    .filter(|task| has(task))
                    .map(|task| task.name)
                    .collect::<Vec<_>>()
                    .join(", "),
                self.task.name
            ))),
        };
        for (name, _) in &self.given {
            belongs(&name.replace('_', "-"), &|task| option_of(task, name).is_some())?;
        }
        match self.shared.bidirectional {
            true => belongs("bidirectional", &|task| task.one_direction.is_none()),
            false => Ok(()),
        }
    }
}

impl Args for TrainArgs {
    fn augment_args(command: Command) -> Command {
        let tasks = TASKS.iter().map(|task| PossibleValue::new(task.name).help(task.about));
        let task = Arg::new("task")
            .value_name("TASK")
            .help("What to learn")
            .required(true)
            .value_parser(PossibleValuesParser::new(tasks));
        let command = SharedArgs::augment_args(command).mut_args(with_defaults).arg(task);
        own_options().into_iter().fold(command, |command, option| command.arg(own_argument(option)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for TrainArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let name: &String = matches.get_one("task").expect("clap asks for it");
        let task = TASKS.iter().find(|task| task.name == name).expect("clap knows the names");
        let given = own_options().into_iter().filter_map(|option| {
            let value = match option.kind {
                OptionKind::Size(..) => matches.get_one(option.name).copied().map(Given::Size),
                OptionKind::Probability => {
                    matches.get_one(option.name).copied().map(Given::Probability)
                }
                OptionKind::File => matches.get_one(option.name).cloned().map(Given::File),
                OptionKind::Folder => matches.get_one(option.name).cloned().map(Given::Folder),
                OptionKind::Text | OptionKind::Choice(_) => {
                    matches.get_one(option.name).cloned().map(Given::Text)
                }
                OptionKind::Texts => matches
                    .get_many(option.name)
                    .map(|texts| Given::Texts(texts.cloned().collect())),
                OptionKind::Switch => matches.get_flag(option.name).then_some(Given::Switch),
            };
            value.map(|value| (option.name, value))
        });
        Ok(Self { task, shared: SharedArgs::from_arg_matches(matches)?, given: given.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// One option for each name that tasks have, in the order of the list.
fn own_options() -> Vec<&'static TaskOption> {
    let mut options = Vec::<&TaskOption>::new();
    for option in TASKS.iter().flat_map(|task| task.options) {
        if options.iter().all(|other| other.name != option.name) {
            options.push(option);
        }
    }
    options
}

fn option_of(task: &AnyTask, name: &str) -> Option<&'static TaskOption> {
    task.options.iter().find(|option| option.name == name)
}

/// The argument for the options with one name.
fn own_argument(option: &'static TaskOption) -> Arg {
    let tasks = TASKS.iter().filter_map(|task| Some((task, option_of(task, option.name)?)));
    let help = tasks.map(|(task, option)| format!("{}: {}", task.name, option.help));
    let help = help.collect::<Vec<_>>().join("; ") + &default_of(option.name);
    let parser: ValueParser = match option.kind {
        OptionKind::Size(..) => value_parser!(usize).into(),
        OptionKind::Probability => value_parser!(f64).into(),
        OptionKind::File | OptionKind::Folder => value_parser!(PathBuf),
        OptionKind::Text | OptionKind::Texts => value_parser!(String),
        OptionKind::Switch => value_parser!(bool),
        OptionKind::Choice(words) => PossibleValuesParser::new(words).into(),
    };
    // Clap needs `'static` names. The name is leaked once for each argument of the process.
    let flag: &'static str = option.flag().leak();
    let action = match option.kind {
        OptionKind::Texts => ArgAction::Append,
        OptionKind::Switch => ArgAction::SetTrue,
        _ => ArgAction::Set,
    };
    Arg::new(option.name)
        .action(action)
        .long(flag)
        .value_name(option.value)
        .value_parser(parser)
        .help(help)
        .help_heading("Options of one task or some")
}

/// An argument of every run, with its defaults in the help text.
fn with_defaults(arg: Arg) -> Arg {
    let name = arg.get_id().as_str();
    let more = match name {
        "bidirectional" => {
            let without = TASKS.iter().filter(|task| task.one_direction.is_some());
            let names: Vec<_> = without.map(|task| task.name).collect();
            format!(" [not for {}]", names.join(", "))
        }
        _ => default_of(name),
    };
    match arg.get_help() {
        Some(help) if !more.is_empty() => {
            let help = format!("{help}{more}");
            arg.help(help)
        }
        _ => arg,
    }
}

/// The defaults of an option, such as ` [default: 64; char-lm and copy 128]`. The default of most tasks comes first.
/// Empty, if there is no default.
fn default_of(name: &str) -> String {
    let mut values = Vec::<(String, Vec<&str>)>::new();
    for task in TASKS {
        let defaults = serde_json::to_value(task.defaults()).expect("plain data");
        let text = match &defaults[name] {
            serde_json::Value::Number(number) => number.as_f64().unwrap_or(f64::NAN).to_string(),
            serde_json::Value::String(text) if !text.is_empty() => text.clone(),
            _ => continue,
        };
        match values.iter_mut().find(|(value, _)| *value == text) {
            Some((_, tasks)) => tasks.push(task.name),
            None => values.push((text, vec![task.name])),
        }
    }
    // The value that most tasks have; if there are several, the first one.
    let Some(most) = values.iter().map(|(_, tasks)| tasks.len()).max() else {
        return String::new();
    };
    let first = values.iter().position(|(_, tasks)| tasks.len() == most).unwrap_or(0);
    let (common, _) = values.remove(first);
    let others = values.iter().map(|(value, tasks)| format!("{} {value}", tasks.join(" and ")));
    let others: Vec<_> = others.collect();
    match others.is_empty() {
        true => format!(" [default: {common}]"),
        false => format!(" [default: {common}; {}]", others.join(", ")),
    }
}
