//! The arguments of `bptt compare`: those of `bptt train`, and a few of its own.

use crate::failure::Failure;
use crate::train_args::TrainArgs;
use crate::verify::CellArg;
use bptt::{CellKind, LayerKind};
use bptt_zoo::{CompareOptions, Equal};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, ValueEnum};
use std::path::PathBuf;

/// The hidden size of the first cell, the steps and how often they are validated, if they are not given: a comparison has
/// many runs.
const HIDDEN: usize = 32;
const STEPS: u64 = 600;
const VALIDATIONS: u64 = 12;

/// Arguments of `bptt compare`.
pub struct CompareArgs {
    /// The settings of each run.
    pub train: TrainArgs,
    own: OwnArgs,
}

#[derive(Args)]
struct OwnArgs {
    /// The cells, with commas in between [default: rnn,lstm,gru, and mingru where it is compiled in]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "A,B,...")]
    cells: Vec<CellArg>,
    /// What is the same for all cells
    #[arg(long, value_enum, default_value = "parameters", alias = "by")]
    equal: EqualArg,
    /// How many seeds each cell has, from --seed on
    #[arg(long, value_name = "N", default_value_t = 3)]
    seeds: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum EqualArg {
    /// The parameters of the first cell with the size --hidden, as near as a size of another cell comes to them
    Parameters,
    /// The size --hidden, and --seconds; without them, the seconds that the first run takes for --steps
    Time,
    /// The size --hidden
    #[value(alias = "hidden")]
    Width,
}

impl CompareArgs {
    /// Where the run folders are.
    pub fn out(&self) -> PathBuf {
        let name = format!("compare-{}", self.train.task.name);
        self.train.shared.out.clone().unwrap_or_else(|| PathBuf::from("runs").join(name))
    }

    /// What is compared.
    pub fn options(&self) -> Result<CompareOptions, Failure> {
        let shared = &self.train.shared;
        let needless = [
            ("cell", shared.cell.is_some(), "give --cells"),
            ("resume", shared.resume, "leave it out"),
            ("warm-start", shared.warm_start.is_some(), "leave it out"),
            ("folds", shared.folds.is_some(), "leave it out"),
            ("probe", !shared.probes().is_none(), "leave it out"),
            ("bidirectional", shared.bidirectional, "leave it out"),
        ];
        if let Some((name, _, instead)) = needless.iter().find(|(_, given, _)| *given) {
            return Err(Failure::usage(format!("--{name}: not for compare; {instead}")));
        }
        let by_clock = matches!(self.own.equal, EqualArg::Time);
        let by_clock = by_clock || self.train.gives("seconds")?;
        let mut settings = self.train.settings_of(&self.out(), by_clock)?;
        if !self.train.gives("hidden")? {
            settings.hidden = HIDDEN;
        }
        if !self.train.gives("steps")? && !self.train.gives("seconds")? {
            settings.steps = Some(STEPS);
        }
        if !self.train.gives("validate_every")? {
            let usual = settings.validate_every.min(STEPS / VALIDATIONS);
            let of = |steps: u64| (steps / VALIDATIONS).max(1);
            settings.validate_every = settings.steps.map_or(usual, of);
        }
        let usual = [CellKind::Rnn, CellKind::Lstm, CellKind::Gru].map(LayerKind::from);
        let usual = usual
            .into_iter()
            .chain(LayerKind::all().into_iter().filter(|kind| kind.name() == "mingru"));
        let cells = match self.own.cells.is_empty() {
            true => usual.collect(),
            false => self.own.cells.iter().map(|cell| (*cell).into()).collect(),
        };
        let equal = match self.own.equal {
            EqualArg::Parameters => Equal::Parameters,
            EqualArg::Time => Equal::Time,
            EqualArg::Width => Equal::Width,
        };
        Ok(CompareOptions { settings, cells, equal, seeds: self.own.seeds })
    }
}

impl Args for CompareArgs {
    fn augment_args(command: Command) -> Command {
        let command = TrainArgs::augment_args(OwnArgs::augment_args(command));
        let hidden = |arg: Arg| arg.hide(true);
        let command = ["cell", "resume", "warm_start", "folds", "probe", "every", "bidirectional"]
            .into_iter()
            .fold(command, |command, name| command.mut_arg(name, hidden));
        command
            .mut_arg("html", |arg| arg.help("Write the comparison as a page to FILE"))
            .mut_arg("out", |arg| {
                arg.help("Where the run folders go, CELL-SEED each [default: runs/compare-TASK]")
            })
            .mut_arg("hidden", |arg| {
                arg.help("Size of the hidden state, of the first cell [default: 32]")
            })
            .mut_arg("steps", |arg| arg.help("Training steps of each run [default: 600]"))
            .mut_arg("validate_every", |arg| {
                arg.help("Steps between two validations [default: a twelfth of --steps]")
            })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for CompareArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let train = TrainArgs::from_arg_matches(matches)?;
        Ok(Self { train, own: OwnArgs::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
