//! Gradients through time: how large the gradient of the state is at every step, by the path on which it came.

use crate::dynamics::draw::{log10, panels, row_of};
use crate::dynamics::options::DynamicsProgress;
use crate::dynamics::section::Section;
use crate::dynamics::trained::Trained;
use crate::error::Error;
use bptt_probe::dynamics::{LayerGradients, PathNorms, Trajectory};
use bptt_probe::picture::{Axis, Figure, Plot, SERIES, sparkline};
use serde::Serialize;

/// How many validation sequences the norms are of.
const SEQUENCES: usize = 64;

/// The norms of the gradient of the state, as root mean squares over validation sequences. Each sequence has its own
/// loss: the mean over its answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GradientsThroughTime {
    /// The number of sequences.
    pub gradient_sequences: usize,
    /// For each step, each layer and each part of its state.
    pub gradient_norms: Vec<GradientNorm>,
}

/// A part of a layer's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StatePart {
    /// `h`
    Hidden,
    /// What a cell carries besides `h`, with the `h` of the same step held fixed.
    Memory,
}

/// The gradient of a part of the state after one step, over the sequences that have this step. The gradients of the
/// three paths add up to the whole; their norms do not. See [`PathNorms`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GradientNorm {
    /// The step, counted from 0.
    pub step: usize,
    /// The layer, counted from the input.
    pub layer: usize,
    /// The part.
    pub part: StatePart,
    /// All paths together.
    pub norm: f64,
    /// From the output of the same step: from the loss, or from the layer above.
    pub output: f64,
    /// From the step after it, through the gates: to `h` through the products with `U`, to the memory through `h`.
    pub gates: f64,
    /// From the step after it, along what the cell keeps without a product: the memory, or the kept share of `h`.
    pub along: f64,
}

/// The sums of squares of one step: the number of sequences, the whole, and the three paths.
type Squares = [f64; 5];

impl GradientsThroughTime {
    pub(super) fn measure(
        trained: &Trained,
        progress: &mut dyn FnMut(DynamicsProgress),
    ) -> Result<Self, Error> {
        let cases = trained.cases(SEQUENCES);
        let mut network = trained.network(None)?;
        // Of each layer and part, for each step.
        let mut sums: Vec<[Vec<Squares>; 2]> = Vec::new();
        for (done, case) in cases.iter().enumerate() {
            progress(DynamicsProgress { stage: "gradients", done, total: cases.len() });
            network.set_input(&case.input);
            let way = Trajectory::new(&network, &case.state, case.input.rows());
            let found = way.gradients(&case.d_outputs);
            sums.resize(found.len(), Default::default());
            for (to, LayerGradients { hidden, memory }) in sums.iter_mut().zip(&found) {
                add(&mut to[0], hidden);
                add(&mut to[1], memory);
            }
        }
        let parts = [StatePart::Hidden, StatePart::Memory];
        let mut gradient_norms = Vec::new();
        for (layer, of_layer) in sums.iter().enumerate() {
            for (part, steps) in parts.into_iter().zip(of_layer) {
                for (step, [count, squares @ ..]) in steps.iter().enumerate() {
                    let [norm, output, gates, along] = squares.map(|sum| (sum / count).sqrt());
                    let norms = GradientNorm { step, layer, part, norm, output, gates, along };
                    gradient_norms.push(norms);
                }
            }
        }
        Ok(Self { gradient_sequences: cases.len(), gradient_norms })
    }

    /// The norms of one layer's part.
    fn of(&self, layer: usize, part: StatePart) -> impl Iterator<Item = &GradientNorm> + Clone {
        self.gradient_norms.iter().filter(move |x| x.layer == layer && x.part == part)
    }

    fn layers(&self) -> usize {
        self.gradient_norms.iter().map(|x| x.layer + 1).max().unwrap_or(0)
    }

    /// The norm of the gradient of the whole state at each step.
    fn of_state(&self) -> Vec<f64> {
        let steps = self.gradient_norms.iter().map(|x| x.step + 1).max().unwrap_or(0);
        let mut squares = vec![0.0; steps];
        self.gradient_norms.iter().for_each(|x| squares[x.step] += x.norm * x.norm);
        squares.into_iter().map(f64::sqrt).collect()
    }
}

fn add(to: &mut Vec<Squares>, PathNorms { norm, output, gates, along }: &PathNorms) {
    to.resize(to.len().max(norm.len()), Default::default());
    for (t, to) in to.iter_mut().enumerate().take(norm.len()) {
        let all = [1.0, norm[t], output[t], gates[t], along[t]];
        to.iter_mut().zip(all).for_each(|(to, x)| *to += x * x);
    }
}

impl Section for GradientsThroughTime {
    fn lines(&self) -> Vec<String> {
        let line = |layer: usize, part: StatePart, name: &str| {
            let norms: Vec<_> = self.of(layer, part).map(|x| x.norm).collect();
            let (first, last) = (norms.first()?, norms.last()?);
            let logs: Vec<_> = norms.iter().map(|x| x.log10()).collect();
            let what = match self.layers() {
                1 => format!("‖dL/d{name}‖"),
                _ => format!("‖dL/d{name}‖, layer {layer}"),
            };
            Some(format!(
                "{what:18}{}  {first:.1e} at the first step, {last:.1e} at the last",
                sparkline(&logs)
            ))
        };
        let parts = [(StatePart::Hidden, "h"), (StatePart::Memory, "c")];
        let all =
            (0..self.layers()).flat_map(|layer| parts.map(|(part, name)| (layer, part, name)));
        all.filter_map(|(layer, part, name)| line(layer, part, name)).collect()
    }

    fn figures(runs: &[(&str, &Self)]) -> Vec<Figure> {
        vec![of_states(runs), of_paths(runs)]
    }
}

/// The whole gradient of all runs in one plot.
fn of_states(runs: &[(&str, &GradientsThroughTime)]) -> Figure {
    let states: Vec<_> = runs.iter().map(|(_, found)| found.of_state()).collect();
    let points = |norms: &Vec<f64>| -> Vec<(f64, f64)> {
        norms.iter().enumerate().map(|(t, x)| ((t + 1) as f64, log10(*x))).collect()
    };
    let all: Vec<_> = states.iter().flat_map(points).collect();
    let mut plot = Plot::new(all.iter().copied(), 300.0);
    for (norms, (class, (name, _))) in states.iter().zip(row_of(runs)) {
        plot.line(points(norms).into_iter(), class);
        plot.legend(class, name);
    }
    plot.figure(
        "Gradients through time",
        "step of the sequence",
        "log₁₀ ‖dL/d(state)‖",
        "How large the derivative of the loss with respect to the state is at each step of a sequence, as a root mean \
         square over validation sequences. If the loss is that of the last step, gradients flow from right to left. A \
         line that stays level carries the error back to the first step, so what happened there can be learned. A line \
         that falls by one for each unit loses nine tenths of the gradient: after a fall of 7, rounding in single \
         precision has as much to say as the beginning of the sequence.",
    )
}

/// The paths of the last layer of each run, side by side.
fn of_paths(runs: &[(&str, &GradientsThroughTime)]) -> Figure {
    type Path = (&'static str, fn(&GradientNorm) -> f64);
    let parts = |found: &GradientsThroughTime| -> (usize, Vec<(StatePart, Path)>) {
        let layer = found.layers().saturating_sub(1);
        let has = |part, of: fn(&GradientNorm) -> f64| found.of(layer, part).any(|x| of(x) > 0.0);
        let all: [(StatePart, Path); 4] = [
            (StatePart::Hidden, ("to h, through the gates", |x| x.gates)),
            (StatePart::Hidden, ("to h, along the kept h", |x| x.along)),
            (StatePart::Memory, ("to c, along the memory", |x| x.along)),
            (StatePart::Memory, ("to c, through h", |x| x.gates)),
        ];
        (layer, all.into_iter().filter(|(part, (_, of))| has(*part, *of)).collect())
    };
    let curve = |found: &GradientsThroughTime, layer, part, of: fn(&GradientNorm) -> f64| {
        let point = |x: &GradientNorm| ((x.step + 1) as f64, log10(of(x)));
        found.of(layer, part).map(point).collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    for (_, found) in runs {
        let (layer, parts) = parts(found);
        parts.iter().for_each(|(part, (_, of))| all.extend(curve(found, layer, *part, *of)));
    }
    let x = Axis::of(all.iter().map(|point| point.0)).with_space(0.04, 0.04);
    let y = Axis::of(all.iter().map(|point| point.1)).with_space(0.04, 0.04);
    let svg = panels(runs, |_, found, size| {
        let mut plot = Plot::with_axes(x, y, [size, 240.0]);
        let (layer, parts) = parts(found);
        for (class, (part, (name, of))) in SERIES.into_iter().zip(parts) {
            plot.line(curve(found, layer, part, of).into_iter(), class);
            plot.legend(class, name);
        }
        plot.svg("The gradient by path", "step of the sequence", "log₁₀ of the norm")
    });
    Figure {
        heading: "The paths".into(),
        svg,
        reading: "What comes back to the last layer's state from the step after it, by path. Through the gates, a \
                  gradient is multiplied with the recurrent weights and with slopes of σ and tanh, at every step. Along \
                  the memory it is multiplied with the forget gate only (of an LSTM; with the update gate, along the h \
                  of a GRU), which the network can hold near 1. A plain RNN has no such path."
            .into(),
    }
}
