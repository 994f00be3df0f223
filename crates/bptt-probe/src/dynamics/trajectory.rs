//! A network's way along a sequence, with the derivatives of every step: gradients by path, what units keep, gates.

use crate::dynamics::matrix::{Matrix, dot};
use crate::dynamics::recurrent::{Layer, LayerStep, Network};
use crate::dynamics::system::System;
use crate::dynamics::traced::GateKind;
use serde::Serialize;

/// The way of a network along its input, with the derivatives of the cell's equations at every step.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::CellKind;
/// use bptt_probe::dynamics::{Matrix, Network, Trajectory};
/// use burn::tensor::Device;
///
/// let network = Network::random(CellKind::Lstm, 8, 1.0, 1, &Device::flex());
/// let way = Trajectory::new(&network, &[0.1; 16], 20);
/// // A loss that reads the last output only: dLoss/dh_t is 1 for all units at the last step.
/// let d_outputs = Matrix::from_fn(20, 8, |step, _| if step == 19 { 1.0 } else { 0.0 });
/// let gradients = &way.gradients(&d_outputs)[0];
/// // At rest every gate is 1/2, and the memory halves the gradient in each step.
/// assert!(gradients.memory.norm[0] < gradients.memory.norm[18]);
/// # }
/// ```
pub struct Trajectory<'a> {
    network: &'a Network,
    /// `[T + 1]`
    states: Vec<Vec<f64>>,
    /// `[T]`, of each layer.
    steps: Vec<Vec<LayerStep>>,
}

/// Norms of the gradient of `h` or of the memory at every step of one layer, by path. Each list is in the order of time,
/// `[T]`, or empty for the memory of a cell without one. The gradients of all paths add up to the whole gradient; their
/// norms do not.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PathNorms {
    /// The gradient, of all paths together.
    pub norm: Vec<f64>,
    /// From the output of the step: what the loss, or the layer above, says at this step.
    pub output: Vec<f64>,
    /// From the step after it. To `h`, through the products with `U`: through the gates. To the memory, through the `h`
    /// after that step.
    pub gates: Vec<f64>,
    /// From the step after it, along what the cell keeps without a product: to the memory from the memory (`f ⊙ d_c` of
    /// an LSTM), and to `h` from `h` (`z ⊙ d_h` of a GRU).
    pub along: Vec<f64>,
}

/// The gradients of one layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerGradients {
    /// Of `h`.
    pub hidden: PathNorms,
    /// Of the memory, with the `h` of the same step held fixed. Empty for a cell without one.
    pub memory: PathNorms,
}

/// How far the units of one gate were at its bounds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GateUse {
    /// The layer, counted from the input.
    pub layer: usize,
    /// The gate, counted in the order of the weights' rows.
    pub gate: usize,
    /// The function that bounds it.
    pub kind: GateKind,
    /// The mean over steps and units.
    pub mean: f64,
    /// The share of steps and units at the lower bound: below 0.1 for a sigmoid, below -0.9 for a tanh, 0 for a
    /// rectifier.
    pub low: f64,
    /// The share of steps and units at the upper bound: above 0.9. 0 for a rectifier, which has none.
    pub high: f64,
}

impl<'a> Trajectory<'a> {
    /// Follows the network from a state for so many steps of its input.
    ///
    /// # Panics
    ///
    /// If the state has another size, or if the input is shorter.
    pub fn new(network: &'a Network, state: &[f64], steps: usize) -> Self {
        assert_eq!(state.len(), network.size(), "a state of the network");
        let mut states = vec![state.to_vec()];
        let mut bundle = Matrix::from_values(1, state.len(), state.to_vec());
        let step = |time| {
            let step = network.move_on(time, &mut bundle);
            states.push(bundle.row(0).to_vec());
            step
        };
        let steps = (0..steps).map(step).collect();
        Self { network, states, steps }
    }

    /// The states before the first step and after each step, `[T + 1]`.
    pub fn states(&self) -> &[Vec<f64>] {
        &self.states
    }

    /// The gradient of the state at every step, for a loss that reads the outputs of the last layer.
    ///
    /// The paths come from the cell's own `step` in dual numbers, transposed. The manual engine's backward pass, which is
    /// derived by hand, has the same norms ([`bptt::GradientProbe`]).
    ///
    /// # Arguments
    ///
    /// - `d_outputs`: dLoss/d(output) of each step, `[T, P]`
    ///
    /// # Panics
    ///
    /// If it has another shape.
    pub fn gradients(&self, d_outputs: &Matrix) -> Vec<LayerGradients> {
        let layers = &self.network.layers;
        assert_eq!(d_outputs.rows(), self.steps.len(), "a row for each step");
        let mut found = vec![LayerGradients::default(); layers.len()];
        let zeros = |count: usize| vec![0.0; count];
        // What comes back from the step after, by path: to `h`, and to the memory.
        let mut back: Vec<[Vec<f64>; 4]> = layers
            .iter()
            .map(|layer| {
                let memory = layer.size() - layer.width;
                [zeros(layer.width), zeros(layer.width), zeros(memory), zeros(memory)]
            })
            .collect();
        for (t, step) in self.steps.iter().enumerate().rev() {
            let mut output = d_outputs.row(t).to_vec();
            for (l, layer) in layers.iter().enumerate().rev() {
                let [hidden_gates, hidden_along, memory_gates, memory_along] = &back[l];
                let d_hidden = sum(&[&output, hidden_gates, hidden_along]);
                let d_memory = sum(&[memory_gates, memory_along]);
                found[l].hidden.push([&d_hidden, &output, hidden_gates, hidden_along]);
                if !d_memory.is_empty() {
                    found[l].memory.push([&d_memory, &[], memory_gates, memory_along]);
                }
                let came = layer.back(&step[l], &d_hidden, &d_memory);
                back[l] =
                    [came.hidden_gates, came.hidden_along, came.memory_gates, came.memory_along];
                output = came.below.unwrap_or_default();
            }
        }
        for LayerGradients { hidden, memory } in &mut found {
            hidden.reverse();
            memory.reverse();
        }
        found
    }

    /// For each step and each unit of all layers, how much the unit keeps of its memory without any product: `∂c'/∂c`,
    /// which is the forget gate of an LSTM. For a cell without a memory, `∂h'/∂h`: the update gate of a GRU, and 0 for an
    /// RNN. `[T][units]`, in the order of [`held`](Self::held).
    pub fn kept(&self) -> Vec<Vec<f64>> {
        let of = |(layer, step): (&Layer, &LayerStep)| layer.units.kept(&step.step);
        let all = |steps: &Vec<LayerStep>| {
            self.network.layers.iter().zip(steps).flat_map(of).collect::<Vec<_>>()
        };
        self.steps.iter().map(all).collect()
    }

    /// The numbers of the state that units keep: for each, the layer and its place in the state. These are the memories,
    /// or `h` for a cell without one.
    pub fn held(network: &Network) -> Vec<(usize, usize)> {
        let parts = network.parts().into_iter().zip(&network.layers).enumerate();
        let of = |(l, (part, layer)): (usize, (std::ops::Range<usize>, &Layer))| {
            let first =
                if layer.units.memories() > 0 { part.start + layer.width } else { part.start };
            (first..part.end).map(move |place| (l, place)).collect::<Vec<_>>()
        };
        parts.flat_map(of).collect()
    }

    /// How far each gate was at its bounds, over all steps and units. A gate is found by following the numbers through
    /// the cell's own `step`, so no list of gates is needed; one that no bounded function has is left out.
    pub fn gates(&self) -> Vec<GateUse> {
        let mut all = Vec::new();
        for (l, layer) in self.network.layers.iter().enumerate() {
            let mut values: Vec<(Option<GateKind>, Vec<f64>)> = Vec::new();
            for step in &self.steps {
                for unit in 0..layer.units.hidden() {
                    let gates = layer.units.gates(&step[l].step, unit);
                    values.resize(gates.len(), (None, Vec::new()));
                    for (to, gate) in
                        values.iter_mut().zip(gates).filter_map(|(to, gate)| Some((to, gate?)))
                    {
                        to.0 = Some(gate.kind);
                        to.1.push(gate.value);
                    }
                }
            }
            for (gate, (kind, values)) in values.into_iter().enumerate() {
                all.extend(kind.map(|kind| GateUse::of(l, gate, kind, &values)));
            }
        }
        all
    }
}

impl GateUse {
    fn of(layer: usize, gate: usize, kind: GateKind, values: &[f64]) -> Self {
        let share = |at_bound: &dyn Fn(f64) -> bool| {
            values.iter().filter(|x| at_bound(**x)).count() as f64 / values.len() as f64
        };
        let (low, high) = match kind {
            GateKind::Sigmoid => (share(&|x| x < 0.1), share(&|x| x > 0.9)),
            GateKind::Tanh => (share(&|x| x < -0.9), share(&|x| x > 0.9)),
            GateKind::Relu => (share(&|x| x == 0.0), 0.0),
        };
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Self { layer, gate, kind, mean, low, high }
    }
}

impl PathNorms {
    /// The next step, with the gradient and its parts.
    fn push(&mut self, [whole, output, gates, along]: [&[f64]; 4]) {
        let norm = |x: &[f64]| dot(x, x).sqrt();
        self.norm.push(norm(whole));
        self.output.push(norm(output));
        self.gates.push(norm(gates));
        self.along.push(norm(along));
    }

    fn reverse(&mut self) {
        [&mut self.norm, &mut self.output, &mut self.gates, &mut self.along]
            .into_iter()
            .for_each(|norms| norms.reverse());
    }
}

fn sum(parts: &[&[f64]]) -> Vec<f64> {
    let mut sum = parts[0].to_vec();
    for part in &parts[1..] {
        sum.iter_mut().zip(*part).for_each(|(sum, x)| *sum += x);
    }
    sum
}
