//! A recurrent layer as a dynamical system.

use crate::dynamics::matrix::{Factor, Matrix};
use crate::dynamics::system::System;
use crate::dynamics::units::{Function, Inputs, Units};
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
    /// `U`, `[G·H, P]`; for a cell without recurrent products its diagonal weights, `[V, H]`
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
}

/// A stack of recurrent layers, in one direction, as a [`System`].
///
/// The state is that of all layers: for each layer `h`, then each memory. A step computes the products of `U` with `h`
/// and with all directions at once, and multiplies them with the elementwise derivatives of the cell. These come from
/// the cell's own `step` in dual numbers, so they are exact, and no derivative is written a second time. Jacobians are
/// never formed.
pub struct Network {
    layers: Vec<Layer>,
    /// The first layer's `W x_t + b`, for each step; one row if there is no input, or if it is always the same.
    drive: Matrix,
}

/// One layer.
struct Layer {
    units: Units,
    /// Width of `h`: `P`, or `H` without a projection.
    width: usize,
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
    /// One line, if the layer has a backward direction.
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
                weight_hh: Matrix::from_tensor(weights.weight_hh.val()),
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
        let first = layers.first().expect("a network has a layer");
        let bias = &first.bias_ih;
        let mut drive = match input {
            Some(input) => Factor::new(&first.weight_ih, device).times(input.clone()),
            None => Matrix::zeros(1, bias.len()),
        };
        for row in 0..drive.rows() {
            drive.row_mut(row).iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
        }
        let layer = |(l, numbers)| Layer::new(cell, numbers, l > 0, device);
        Self { layers: layers.iter().enumerate().map(layer).collect(), drive }
    }

    /// A network with [`random_weights`], and without input and biases.
    pub fn random(cell: CellKind, hidden: usize, gain: f64, seed: u64, device: &Device) -> Self {
        let rows = cell.default_cell().gates() * hidden;
        let numbers = LayerNumbers {
            weight_ih: Matrix::zeros(rows, 0),
            bias_ih: vec![0.0; rows],
            bias_hh: vec![0.0; rows],
            ..LayerNumbers::autonomous(random_weights(cell, hidden, gain, seed))
        };
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
        let time = if self.drive.rows() == 1 { 0 } else { time };
        let mut below: Option<Matrix> = None;
        let mut first = 0;
        for (l, layer) in self.layers.iter().enumerate() {
            let before = bundle.columns_of(first..first + layer.size());
            let from_below = layer.input.as_ref().zip(below).map(|(input, below)| {
                let mut products = input.times(below);
                let values = products.row_mut(0).iter_mut().zip(&layer.bias_ih);
                values.for_each(|(x, bias)| *x += bias);
                products
            });
            let after = match &from_below {
                None => layer.step(self.drive.row(time), None, &before),
                Some(products) => layer.step(products.row(0), Some(products), &before),
            };
            bundle.set_columns(first, &after);
            first += layer.size();
            let is_last = l + 1 == self.layers.len();
            below = (!is_last).then(|| after.columns_of(0..layer.width));
        }
    }
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

    fn size(&self) -> usize {
        self.width + self.units.memories() * self.units.hidden()
    }

    /// The state and the directions after a step. `input` is `W x + b`, and `below` the products of `W` with the
    /// directions of the layer below, in its rows from 1 on.
    fn step(&self, input: &[f64], below: Option<&Matrix>, before: &Matrix) -> Matrix {
        let recurrent = match &self.recurrent {
            Some(factor) => factor.times(before.columns_of(0..self.width)),
            None => Matrix::zeros(before.rows(), 0),
        };
        let mut inputs = Inputs { input, below, before, recurrent, gated: None };
        if let Some(factor) = &self.gated {
            let gated = self.units.apply(Function::GatedHidden, &inputs);
            inputs.gated = Some(factor.times(gated));
        }
        let after = self.units.apply(Function::Step, &inputs);
        match &self.projection {
            None => after,
            Some(projection) => {
                let hidden = self.units.hidden();
                let mut projected = Matrix::zeros(after.rows(), self.size());
                projected.set_columns(0, &projection.times(after.columns_of(0..hidden)));
                let memories = after.columns_of(hidden..after.columns());
                projected.set_columns(self.width, &memories);
                projected
            }
        }
    }
}
