//! Fixed points and slow points of the network.

mod picture;
mod visited;

use crate::dynamics::options::{ConstantInput, DynamicsOptions, DynamicsProgress};
use crate::dynamics::section::Section;
use crate::dynamics::trained::Trained;
use crate::error::Error;
use bptt_probe::dynamics::PrincipalPlane;
use bptt_probe::dynamics::fixed_points::{Found, Kind, Point, Settings, find};
use bptt_probe::picture::Figure;
use bptt_probe::readout::Target;
use burn::Tensor;
use serde::Serialize;
use visited::Visited;

/// How many trajectories are in the report, and how many steps of each.
const TRAJECTORIES: usize = 24;
const STEPS: usize = 256;

/// Where the network stays, or nearly, if its input does not change; and where it goes on its validation data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FixedPoints {
    /// The input at each step.
    pub fixed_point_input: ConstantInput,
    /// From how many states they were searched.
    pub fixed_point_starts: usize,
    /// How many of these searches ended at neither a fixed point nor a slow one.
    pub fixed_point_neither: usize,
    /// The spread of the visited states: the root mean square of their distances from their mean.
    pub state_spread: f64,
    /// The shares of the first two principal components in the variance of the visited states.
    pub principal_shares: [f64; 2],
    /// The fixed points, those with the fewest unstable directions first.
    pub fixed_points: Vec<FixedPoint>,
    /// The slow points, in the same order.
    pub slow_points: Vec<FixedPoint>,
    /// Some trajectories on the validation data, each from a state of zeros, in the plane of the first two principal
    /// components.
    pub trajectories: Vec<Vec<[f64; 2]>>,
    /// Whether the outputs of the network are values, and not scores of classes.
    #[serde(skip)]
    pub(super) outputs_are_values: bool,
}

/// A fixed point or a slow point.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FixedPoint {
    /// `q = ½ ‖F(s) - s‖²`
    pub speed: f64,
    /// What it is.
    pub kind: Kind,
    /// The number of unstable directions: of eigenvalues with a modulus above 1.
    pub unstable: usize,
    /// The number of eigenvalues with a modulus of 1, within a thousandth.
    pub marginal: usize,
    /// How many searches ended here.
    pub found: usize,
    /// The distance to the nearest visited state, in units of the spread.
    pub distance: f64,
    /// `[re, im]` of the eigenvalues of the Jacobian, the largest first.
    pub eigenvalues: Vec<(f64, f64)>,
    /// `-1 / ln |λ|` of each, in steps; negative for those that grow.
    pub time_constants: Vec<f64>,
    /// Where it is on the plane of the principal components.
    pub projection: [f64; 2],
    /// What the linear layer makes of it.
    pub output: Vec<f64>,
    /// The state: for each layer `h`, then its memories.
    pub state: Vec<f64>,
}

impl FixedPoints {
    /// Finds them from so many states.
    pub(super) fn measure(
        trained: &Trained,
        starts: usize,
        options: &DynamicsOptions,
        progress: &mut dyn FnMut(DynamicsProgress),
    ) -> Result<Self, Error> {
        let visited = Visited::of(trained)?;
        let (input, constant) = visited.constant_input(options.input);
        let mut network = trained.network(Some(trained.row(constant)))?;
        let settings = Settings { starts, seed: options.seed, ..Settings::default() };
        let mut tell =
            |done| progress(DynamicsProgress { stage: "fixed points", done, total: starts });
        let found = find(&mut network, &visited.states, &settings, &trained.device, &mut tell);
        let found = found.map_err(|why| Error::input(format!("{}: {why}", trained.run)))?;
        let Found { fixed, slow, neither, spread } = found;
        let plane = PrincipalPlane::of(&visited.states);
        let linear = Linear::of(trained);
        let list = |points: Vec<Point>| {
            points.into_iter().map(|point| FixedPoint::new(point, &plane, &linear)).collect()
        };
        let project = |state: &[f64]| <[f64; 2]>::from(plane.project(state));
        Ok(Self {
            fixed_point_input: input,
            fixed_point_starts: starts,
            fixed_point_neither: neither,
            state_spread: spread,
            principal_shares: plane.shares,
            fixed_points: list(fixed),
            slow_points: list(slow),
            trajectories: visited
                .sequences()
                .take(TRAJECTORIES)
                .map(|rows| rows.take(STEPS).map(|row| project(visited.states.row(row))).collect())
                .collect(),
            outputs_are_values: matches!(trained.batches[0].target, Target::Values(_)),
        })
    }

    /// How many fixed points there are of each kind: `8 stable, 12 with 1 unstable direction, 6 with 2`.
    fn counts(&self) -> String {
        let name = |point: &FixedPoint| match (point.kind, point.unstable) {
            (Kind::Stable | Kind::Marginal, _) => point.kind.name().to_string(),
            (_, 1) => "with 1 unstable direction".to_string(),
            (_, unstable) => format!("with {unstable} unstable directions"),
        };
        let mut names = Vec::<(String, usize)>::new();
        for name in self.fixed_points.iter().map(name) {
            match names.iter_mut().find(|(other, _)| *other == name) {
                Some((_, count)) => *count += 1,
                None => names.push((name, 1)),
            }
        }
        let texts = names.iter().map(|(name, count)| format!("{count} {name}"));
        texts.collect::<Vec<_>>().join(", ")
    }
}

impl FixedPoint {
    fn new(point: Point, plane: &PrincipalPlane, linear: &Linear) -> Self {
        Self {
            time_constants: point.time_constants(),
            projection: plane.project(&point.state).into(),
            output: linear.output(&point.state),
            speed: point.speed,
            kind: point.kind,
            unstable: point.unstable,
            marginal: point.marginal,
            found: point.found,
            distance: point.distance,
            eigenvalues: point.eigenvalues,
            state: point.state,
        }
    }
}

/// The linear layer on the hidden state of the last layer.
struct Linear {
    /// `[P, O]`, row by row
    weight: Vec<f64>,
    bias: Vec<f64>,
    layers: usize,
}

impl Linear {
    fn of(trained: &Trained) -> Self {
        let numbers = |tensor: Tensor<2>| -> Vec<f64> { tensor.into_data().iter().collect() };
        let [_, outputs] = trained.readout.weight.dims();
        let bias = trained.readout.bias.clone();
        Self {
            weight: numbers(trained.readout.weight.clone()),
            bias: bias.map_or_else(|| vec![0.0; outputs], |bias| numbers(bias.unsqueeze())),
            layers: trained.settings.layers,
        }
    }

    fn output(&self, state: &[f64]) -> Vec<f64> {
        let last = &state[state.len() - state.len() / self.layers..];
        let mut output = self.bias.clone();
        // `h` comes first, and there are as many rows as it has numbers.
        for (h, weights) in last.iter().zip(self.weight.chunks(output.len())) {
            output.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += h * weight);
        }
        output
    }
}

impl Section for FixedPoints {
    fn lines(&self) -> Vec<String> {
        let input = self.fixed_point_input.name();
        let count = self.fixed_points.len();
        let counts = if count == 0 { "none found".into() } else { self.counts() };
        let mut lines = vec![format!("fixed points      {count} for the input {input}: {counts}")];
        let stable = self.fixed_points.iter().filter(|point| point.kind == Kind::Stable);
        let slowest = stable.map(|point| point.time_constants[0]);
        let (low, high) = slowest
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        if low <= high {
            lines.push(format!(
                "stable points     a small push is gone by 1/e after {low:.1} to {high:.1} steps"
            ));
        }
        lines.push(format!(
            "slow points       {}; {} of {} searches ended at neither",
            self.slow_points.len(),
            self.fixed_point_neither,
            self.fixed_point_starts,
        ));
        lines
    }

    fn figures(runs: &[(&str, &Self)]) -> Vec<Figure> {
        // Each run has a plane of its own, so the pictures have no axes in common.
        let name = |name: &str| if runs.len() == 1 { String::new() } else { format!(", {name}") };
        runs.iter().flat_map(|(run, found)| found.pictures(&name(run))).collect()
    }
}
