//! `bptt dynamics --sweep`

use crate::failure::Failure;
use crate::output;
use crate::time_left::TimeLeft;
use crate::verify::StepCellArg;
use bptt_probe::dynamics::sweep::{Parameter, Sweep, page, sweep};
use burn::tensor::Device;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// The values of a sweep: with the usual ranges, steps of 0.1 of a gain and a radius, and of 0.25 of a bias.
const POINTS: usize = 29;

/// Arguments of `bptt dynamics --sweep`.
#[derive(Args)]
pub struct SweepArgs {
    /// Measure many random networks, side by side for several cells; the page has a slider
    #[arg(long, value_name = "WHAT", value_enum, conflicts_with_all = ["run", "random", "cell"])]
    sweep: Option<ParameterArg>,
    /// The cells of a sweep, with commas in between [default: rnn,lstm,gru]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "CELLS")]
    cells: Vec<StepCellArg>,
    /// The first value of a sweep [default: 0.2; of forget-bias: -3]
    #[arg(long, value_name = "X")]
    from: Option<f64>,
    /// The last value of a sweep [default: 3; of forget-bias: 4]
    #[arg(long, value_name = "X")]
    to: Option<f64>,
    /// How many values a sweep has, evenly spaced [default: 29]
    #[arg(long, value_name = "N")]
    points: Option<usize>,
}

/// A parameter by its name.
#[derive(Clone, Copy)]
struct ParameterArg(Parameter);

impl ValueEnum for ParameterArg {
    fn value_variants<'a>() -> &'a [Self] {
        const { &[Self(Parameter::Gain), Self(Parameter::Radius), Self(Parameter::ForgetBias)] }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Parameter::Gain => "The gain g: recurrent weights from N(0, g²/N) in every gate",
            Parameter::Radius => "The spectral radius of the recurrent weights of every gate",
            Parameter::ForgetBias => {
                "The bias of an LSTM's forget gate and of a GRU's update gate; --gain G is that of the weights [default: 1]"
            }
        };
        Some(PossibleValue::new(self.0.name()).help(help))
    }
}

impl SweepArgs {
    /// An option that only a sweep has, if there is one.
    fn rest(&self) -> Option<&'static str> {
        let Self { cells, from, to, points, .. } = self;
        let given = [
            ("--cells", !cells.is_empty()),
            ("--from", from.is_some()),
            ("--to", to.is_some()),
            ("--points", points.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }

    /// The sweep, if there is to be one; without what all of `bptt dynamics` has in common.
    pub fn wanted(&self, gain: Option<f64>) -> Result<Option<Sweep>, Failure> {
        let Some(ParameterArg(parameter)) = self.sweep else {
            return self.rest().map_or(Ok(None), |name| {
                Err(Failure::usage(format!(
                    "{name} without --sweep: expected --sweep gain, --sweep radius or --sweep forget-bias"
                )))
            });
        };
        if gain.is_some() && parameter != Parameter::ForgetBias {
            return Err(Failure::usage(format!(
                "--gain with --sweep {}: the sweep itself sets the size of the weights; expected --from and --to, or \
                 --sweep forget-bias",
                parameter.name()
            )));
        }
        let [from, to] = parameter.range();
        let range = [self.from.unwrap_or(from), self.to.unwrap_or(to)];
        let values = parameter.values(range, self.points.unwrap_or(POINTS));
        let mut wanted = Sweep::new(parameter, values);
        if !self.cells.is_empty() {
            wanted.cells = self.cells.iter().map(|cell| (*cell).into()).collect();
        }
        wanted.gain = gain.unwrap_or(wanted.gain);
        Ok(Some(wanted))
    }
}

/// Measures the networks of a sweep, and prints a summary.
pub fn run(
    wanted: &Sweep,
    device: &Device,
    json: Option<&PathBuf>,
    html: Option<&PathBuf>,
) -> Result<(), Failure> {
    let mut time_left = TimeLeft::new();
    let report = sweep(wanted, device, &mut |progress| {
        time_left.tell(progress.done, progress.total);
    });
    time_left.end();
    let report = report.map_err(Failure::usage)?;
    output::say(json, &report.summary());
    if let Some(path) = html {
        bptt_zoo::write_whole(path, page(&report).as_bytes())?;
    }
    json.map_or(Ok(()), |path| output::write_json(path, &report))
}
