//! A recurrent layer as a dynamical system.

use crate::dynamics::matrix::{Factor, Matrix};
use crate::dynamics::system::System;
use crate::dynamics::units::{Evaluated, Function, Inputs, Operand, Units};
use bptt::cells::DiagonalRole;
use bptt::{CellKind, Recurrent, SequenceCell};
use burn::Tensor;
use burn::tensor::Device;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

/// The numbers of one layer, in f64, with PyTorch's names and shapes.
#[derive(Clone, Debug)]
pub struct LayerNumbers {
    /// `W`, `[G·H, I]`
    pub weight_ih: Matrix,
    /// `U`, `[G·H, P]`, also of a layer in heads, with the zeros beside the blocks; for a cell without recurrent products
    /// its diagonal weights, `[V, H]`
    pub weight_hh: Matrix,
    /// `b`, `[G·H]`
    pub bias_ih: Vec<f64>,
    /// `b_h`, `[G·H]`
    pub bias_hh: Vec<f64>,
    /// The projection, `[P, H]`
    pub weight_hr: Option<Matrix>,
    /// The diagonal weights, `[V, H]`; `None` for zeros.
    pub weight_diag: Option<Matrix>,
}

impl LayerNumbers {
    /// A layer without input, with biases and diagonal weights of zero.
    pub fn autonomous(weight_hh: Matrix) -> Self {
        let rows = weight_hh.rows();
        let (bias_ih, bias_hh) = (vec![0.0; rows], vec![0.0; rows]);
        let weight_ih = Matrix::zeros(rows, 0);
        Self { weight_ih, weight_hh, bias_ih, bias_hh, weight_hr: None, weight_diag: None }
    }

    /// The same of a cell, which may have no recurrent products, and then has more biases than rows of weights. Gains
    /// behind a normalisation are 1.
    pub(super) fn of_cell(cell: CellKind, hidden: usize, weight_hh: Matrix) -> Self {
        let layout = cell.default_cell().layout();
        let rows = layout.gates() * hidden;
        let (bias_ih, bias_hh) = (vec![0.0; rows], vec![0.0; rows]);
        let gains = layout.diagonal_roles.iter().map(|role| *role == DiagonalRole::Gain);
        let gains: Vec<f64> = gains.map(|is_gain| f64::from(u8::from(is_gain))).collect();
        let weight_diag =
            (!gains.is_empty()).then(|| Matrix::from_fn(gains.len(), hidden, |row, _| gains[row]));
        let weight_ih = Matrix::zeros(rows, 0);
        Self { weight_ih, bias_ih, bias_hh, weight_diag, ..Self::autonomous(weight_hh) }
    }
}

/// A stack of recurrent layers, in one direction, as a [`System`].
///
/// The state is that of all layers: for each layer `h`, then each memory. A step computes the products of `U` with `h`
/// and with all directions at once, and multiplies them with the elementwise derivatives of the cell. These come from
/// the cell's own `step` in dual numbers, so they are exact, and no derivative is written a second time. Jacobians are
/// never formed.
pub struct Network {
    pub(super) layers: Vec<Layer>,
    /// The first layer's `W`, and its `b`.
    first: (Factor, Vec<f64>),
    /// The first layer's `W x_t + b`, for each step; one row if there is no input, or if it is always the same.
    drive: Matrix,
}

/// One layer.
pub(super) struct Layer {
    pub(super) units: Units,
    /// Width of `h`: `P`, or `H` without a projection.
    pub(super) width: usize,
    /// The rows of `U` whose product is with `h`; `None` if there is no `U`.
    recurrent: Option<Factor>,
    /// The rows of `U` whose product is with the gated hidden state.
    gated: Option<Factor>,
    /// `W`, for a layer above another.
    input: Option<Factor>,
    projection: Option<Factor>,
    bias_ih: Vec<f64>,
}

impl Network {
    /// A layer's equations and weights. `input` is `[T, I]`; without it, the input is zero.
    ///
    /// # Errors
    ///
    /// One line, if the layer has a backward direction or zoneout.
    pub fn new<C: SequenceCell>(
        layer: &Recurrent<C>,
        input: Option<Tensor<2>>,
        device: &Device,
    ) -> Result<Self, String> {
        if layer.is_bidirectional() || layer.is_reverse() {
            return Err(
                "a layer with a backward direction is no dynamical system: its state at a \
                 step depends on later inputs"
                    .into(),
            );
        }
        if layer.evaluation_noise().is_some() {
            return Err(
                "a layer with zoneout: the map of its state is not the cell's alone, expected none"
                    .into(),
            );
        }
        let numbers = |weights: &bptt::Weights| {
            let weight_ih = Matrix::from_tensor(weights.weight_ih.val());
            let bias = |bias: &Option<burn::module::Param<Tensor<1>>>| match bias {
                Some(bias) => Matrix::from_tensor(bias.val().unsqueeze::<2>()).values().to_vec(),
                None => vec![0.0; weight_ih.rows()],
            };
            LayerNumbers {
                bias_ih: bias(&weights.bias_ih),
                bias_hh: bias(&weights.bias_hh),
                weight_hr: weights.weight_hr.as_ref().map(|w| Matrix::from_tensor(w.val())),
                weight_diag: weights.weight_diag.as_ref().map(|w| Matrix::from_tensor(w.val())),
                weight_hh: Matrix::from_tensor(weights.weight_hh.whole()),
                weight_ih,
            }
        };
        let layers: Vec<_> = layer.weights.iter().map(numbers).collect();
        let input = input.map(Matrix::from_tensor);
        Ok(Self::from_numbers(layer.cell(), &layers, input.as_ref(), device))
    }

    /// As [`new`](Self::new), from the numbers of each layer.
    ///
    /// # Panics
    ///
    /// If shapes do not fit.
    pub fn from_numbers<C: SequenceCell>(
        cell: &C,
        layers: &[LayerNumbers],
        input: Option<&Matrix>,
        device: &Device,
    ) -> Self {
        let bottom = layers.first().expect("a network has a layer");
        let first = (Factor::new(&bottom.weight_ih, device), bottom.bias_ih.clone());
        let drive = Matrix::from_values(1, first.1.len(), first.1.clone());
        let layer = |(l, numbers)| Layer::new(cell, numbers, l > 0, device);
        let mut network =
            Self { layers: layers.iter().enumerate().map(layer).collect(), first, drive };
        if let Some(input) = input {
            network.set_input(input);
        }
        network
    }

    /// Drives the network by another input, `[T, I]`.
    ///
    /// # Panics
    ///
    /// If it has another width.
    pub fn set_input(&mut self, input: &Matrix) {
        let (weight, bias) = &self.first;
        self.drive = weight.times(input.clone());
        for row in 0..self.drive.rows() {
            self.drive.row_mut(row).iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
        }
    }

    /// Takes the input away: it is zero from now on.
    pub fn clear_input(&mut self) {
        self.drive = Matrix::from_values(1, self.first.1.len(), self.first.1.clone());
    }

    /// A network with [`random_weights`], and without input and biases.
    pub fn random(cell: CellKind, hidden: usize, gain: f64, seed: u64, device: &Device) -> Self {
        let weights = random_weights(cell, hidden, gain, seed);
        let numbers = LayerNumbers::of_cell(cell, hidden, weights);
        Self::from_numbers(&cell.default_cell(), &[numbers], None, device)
    }
}

/// Random recurrent weights, `[G·N, N]`: the rows of every gate are drawn from `N(0, gain² / N)`. For a cell without
/// recurrent products these are its diagonal weights, `[V, N]`.
pub fn random_weights(cell: CellKind, hidden: usize, gain: f64, seed: u64) -> Matrix {
    let mut rng = StdRng::seed_from_u64(seed);
    let scale = gain / (hidden as f64).sqrt();
    let layout = cell.default_cell().layout();
    let rows = match layout.has_recurrent_weights() {
        true => layout.gates() * hidden,
        false => layout.diagonal_weights,
    };
    Matrix::from_fn(rows, hidden, |_, _| {
        let number: f64 = StandardNormal.sample(&mut rng);
        scale * number
    })
}

impl System for Network {
    fn size(&self) -> usize {
        self.layers.iter().map(Layer::size).sum()
    }

    /// # Panics
    ///
    /// If there is an input, and it is shorter.
    fn step(&mut self, time: usize, bundle: &mut Matrix) {
        self.move_on(time, bundle);
    }
}

impl Network {
    /// A step of the state and the directions in a bundle. It returns what was computed of each layer for it.
    pub(super) fn move_on(&self, time: usize, bundle: &mut Matrix) -> Vec<LayerStep> {
        let time = if self.drive.rows() == 1 { 0 } else { time };
        let mut below: Option<Matrix> = None;
        let mut first = 0;
        let mut steps = Vec::with_capacity(self.layers.len());
        for (l, layer) in self.layers.iter().enumerate() {
            let before = bundle.columns_of(first..first + layer.size());
            let from_below = layer.input.as_ref().zip(below).map(|(input, below)| {
                let mut products = input.times(below);
                let values = products.row_mut(0).iter_mut().zip(&layer.bias_ih);
                values.for_each(|(x, bias)| *x += bias);
                products
            });
            let (after, step) = match &from_below {
                None => layer.step(self.drive.row(time), None, &before),
                Some(products) => layer.step(products.row(0), Some(products), &before),
            };
            steps.push(step);
            bundle.set_columns(first, &after);
            first += layer.size();
            let is_last = l + 1 == self.layers.len();
            below = (!is_last).then(|| after.columns_of(0..layer.width));
        }
        steps
    }

    /// Of a Jacobian of the network, the part of each layer alone: `∂s_t / ∂s_{t-1}` of its own state, with its input held
    /// fixed. These are the blocks on the diagonal, and the Jacobian has no block above it.
    pub fn own_blocks(&self, jacobian: &Matrix) -> Vec<Matrix> {
        let block = |part: std::ops::Range<usize>| jacobian.rows_of(part.clone()).columns_of(part);
        self.parts().into_iter().map(block).collect()
    }

    /// Where the state of each layer is in the state of the network.
    pub(super) fn parts(&self) -> Vec<std::ops::Range<usize>> {
        let mut end = 0;
        let part = |layer: &Layer| {
            end += layer.size();
            end - layer.size()..end
        };
        self.layers.iter().map(part).collect()
    }
}

/// What was computed of a layer's cell in a step.
pub(super) struct LayerStep {
    gated: Option<Evaluated>,
    pub(super) step: Evaluated,
}

/// What comes back from a step of a layer to the state before it, by path, and to the layer below.
pub(super) struct Back {
    /// To `h`, through the products with `U`.
    pub(super) hidden_gates: Vec<f64>,
    /// To `h`, along the part of it that the step keeps without a product.
    pub(super) hidden_along: Vec<f64>,
    /// To the memories, through the `h` after the step.
    pub(super) memory_gates: Vec<f64>,
    /// To the memories, from the memories after the step.
    pub(super) memory_along: Vec<f64>,
    /// To the `h` of the layer below, after the same step.
    pub(super) below: Option<Vec<f64>>,
}

impl Layer {
    fn new<C: SequenceCell>(
        cell: &C,
        numbers: &LayerNumbers,
        above: bool,
        device: &Device,
    ) -> Self {
        let LayerNumbers { weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, weight_diag } =
            numbers;
        let hidden = weight_ih.rows() / cell.gates();
        let width = weight_hh.columns();
        let is_projected = weight_hr.is_some();
        let is_recurrent = cell.layout().has_recurrent_weights();
        let diagonal = if is_recurrent { weight_diag.as_ref() } else { Some(weight_hh) };
        let units = Units::new(cell, width, is_projected, bias_hh.clone(), diagonal);
        // The last gate is the only one that may be gated.
        let rows = weight_hh.rows();
        let with_h = if units.has_gated() { rows - hidden } else { rows };
        let gated =
            units.has_gated().then(|| Factor::new(&weight_hh.rows_of(with_h..rows), device));
        Self {
            units,
            width,
            recurrent: is_recurrent.then(|| Factor::new(&weight_hh.rows_of(0..with_h), device)),
            gated,
            input: above.then(|| Factor::new(weight_ih, device)),
            projection: weight_hr.as_ref().map(|weight| Factor::new(weight, device)),
            bias_ih: bias_ih.clone(),
        }
    }

    pub(super) fn size(&self) -> usize {
        self.width + self.units.memories() * self.units.hidden()
    }

    /// The state and the directions after a step. `input` is `W x + b`, and `below` the products of `W` with the
    /// directions of the layer below, in its rows from 1 on.
    fn step(&self, input: &[f64], below: Option<&Matrix>, before: &Matrix) -> (Matrix, LayerStep) {
        let recurrent = match &self.recurrent {
            Some(factor) => factor.times(before.columns_of(0..self.width)),
            None => Matrix::zeros(before.rows(), 0),
        };
        let mut inputs = Inputs { input, below, before, recurrent, gated: None };
        let gated = self.gated.as_ref().map(|factor| {
            let evaluated = self.units.evaluate(Function::GatedHidden, &inputs);
            inputs.gated = Some(factor.times(self.units.moved(&evaluated, &inputs)));
            evaluated
        });
        let step = self.units.evaluate(Function::Step, &inputs);
        let after = self.units.moved(&step, &inputs);
        let after = match &self.projection {
            None => after,
            Some(projection) => {
                let hidden = self.units.hidden();
                let mut projected = Matrix::zeros(after.rows(), self.size());
                projected.set_columns(0, &projection.times(after.columns_of(0..hidden)));
                let memories = after.columns_of(hidden..after.columns());
                projected.set_columns(self.width, &memories);
                projected
            }
        };
        (after, LayerStep { gated, step })
    }

    /// The transposed Jacobian of a step, by path, times dLoss/d(state after): `[P]` and `[M·H]`.
    pub(super) fn back(&self, step: &LayerStep, d_hidden: &[f64], d_memory: &[f64]) -> Back {
        let hidden = self.units.hidden();
        let row = |values: &[f64]| Matrix::from_values(1, values.len(), values.to_vec());
        let d_own = match &self.projection {
            None => d_hidden.to_vec(),
            Some(projection) => projection.back(row(d_hidden)).row(0).to_vec(),
        };
        // The two products that a gate is made of: with the input, and with `h`.
        let mut d_input = vec![0.0; self.bias_ih.len()];
        let mut d_recurrent = d_input.clone();
        let mut back = Back {
            hidden_gates: vec![0.0; self.width],
            hidden_along: vec![0.0; self.width],
            memory_gates: vec![0.0; d_memory.len()],
            memory_along: vec![0.0; d_memory.len()],
            below: None,
        };
        let part = |k: usize| k * hidden..(k + 1) * hidden;
        let results = [&d_own[..]].into_iter().chain(d_memory.chunks_exact(hidden));
        for (result, d_result) in results.enumerate() {
            for (operand, d) in self.units.back(&step.step, result, d_result) {
                match operand {
                    Operand::Gate(gate) => {
                        add(&mut d_input[part(gate)], &d);
                        if self.units.is_added(gate) {
                            add(&mut d_recurrent[part(gate)], &d);
                        }
                    }
                    Operand::Separate(gate) => add(&mut d_recurrent[part(gate)], &d),
                    Operand::Memory(k) if result == 0 => add(&mut back.memory_gates[part(k)], &d),
                    Operand::Memory(k) => add(&mut back.memory_along[part(k)], &d),
                    Operand::Hidden => add(&mut back.hidden_along, &d),
                    // A weight, and no state.
                    Operand::Diagonal(_) => {}
                }
            }
        }
        let with_h = d_recurrent.len() - if self.gated.is_some() { hidden } else { 0 };
        if let (Some(factor), Some(gated)) = (&self.gated, &step.gated) {
            let d_gated = factor.back(row(&d_recurrent[with_h..]));
            for (operand, d) in self.units.back(gated, 0, d_gated.row(0)) {
                match operand {
                    Operand::Gate(gate) => {
                        add(&mut d_input[part(gate)], &d);
                        if self.units.is_added(gate) {
                            add(&mut d_recurrent[part(gate)], &d);
                        }
                    }
                    Operand::Separate(gate) => add(&mut d_recurrent[part(gate)], &d),
                    Operand::Memory(k) => add(&mut back.memory_gates[part(k)], &d),
                    Operand::Hidden => add(&mut back.hidden_gates, &d),
                    Operand::Diagonal(_) => {}
                }
            }
        }
        if let Some(recurrent) = &self.recurrent {
            let through = recurrent.back(row(&d_recurrent[..with_h]));
            add(&mut back.hidden_gates, through.row(0));
        }
        let below = self.input.as_ref().map(|input| input.back(row(&d_input)));
        back.below = below.map(|below| below.row(0).to_vec());
        back
    }
}

fn add(to: &mut [f64], from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}
