//! Second derivatives: exact Hessian-vector products by the hand-written backward pass.
//!
//! The R-operator is `R{f}(θ) = d/dε f(θ + ε v)` at `ε = 0`. Applied to the gradient, it gives `H v`. So the forward
//! and the backward pass run once, on dual numbers whose parts are tensors ([`Dual`]). The resulting values are the
//! gradient of the loss, and the tangents are its Hessian times the direction. In host memory the parts are the
//! kernels' registers, and a product costs about two to four gradients. The passes call the cells' own `step` and
//! `step_backward`, so no second derivative is derived by hand. There is no difference quotient and no step size: the
//! product is as exact as the gradient.
//!
//! B. Pearlmutter, "Fast exact multiplication by the Hessian", Neural Computation 6 (1), 1994,
//! 147–160.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use bptt::{GruConfig, SequenceCell};
//! use bptt_probe::curvature::{Dual, Point, Variables, hessian_vector_product};
//! use burn::Tensor;
//! use burn::tensor::{Device, Distribution};
//!
//! let device = Device::flex();
//! let gru = GruConfig::new(3, 4).init(&device);
//! let normal = |shape: [usize; 3]| Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device);
//! let (input, target) = (normal([2, 5, 3]), normal([2, 5, 4]));
//!
//! // Along which the loss's slope shall be known: here, along the weights of one matrix.
//! let mut direction = Variables::none(&gru);
//! direction.weights[0].weight_hh = Some(gru.weights[0].weight_hh.val());
//!
//! // loss = Σ (y - target)² / 2; what is wanted of it is dLoss/dy, in dual numbers.
//! let curvature = hessian_vector_product(&gru, &Point::new(input), &direction, |results| {
//!     let y = &results.output;
//!     let mut d_results = results.zeros();
//!     d_results.output = Dual::new(y.value.clone() - target.clone(), y.tangent.clone());
//!     d_results
//! });
//! assert_eq!(curvature.product.weights[0].weight_hh.as_ref().unwrap().dims(), [12, 4]);
//! # }
//! ```

mod diagonal;
mod sequence;
mod stacking;

pub use bptt::cells::Dual;

use crate::curvature::sequence::{
    ForwardPass, Operands, Results, SequenceSpec, forward, have_kernels,
};
use crate::curvature::stacking::{Matrix, stacked, tangent};
use bptt::cells::Cell;
use bptt::{CellVisitor, Kernel, MaskedOutput, Recorded, Recurrent, SequenceCell, SequenceMask};
use burn::Tensor;
use std::sync::Arc;

/// The point at which the derivatives are taken: what a layer is given besides its parameters.
#[derive(Clone, Debug)]
pub struct Point {
    /// `[B, T, I]`, or `[T, B, I]` without `batch_first`.
    pub input: Tensor<3>,
    /// The initial hidden states, `[L·D, B, P]`; `None` for zeros.
    pub hidden: Option<Tensor<3>>,
    /// The initial memories, `[L·D·M, B, H]`; `None` for zeros.
    pub memory: Option<Tensor<3>>,
    /// Which steps of which rows are valid; `None`: all.
    pub mask: Option<SequenceMask>,
    /// What the output is at masked steps.
    pub masked_output: MaskedOutput,
    /// Before which steps of which rows the state is set back, `[T, B]`; `None`: nowhere.
    pub resets: Option<Arc<[bool]>>,
    /// The hidden states that a reset sets, `[L·D, B, P]`; `None` for zeros.
    pub reset_hidden: Option<Tensor<3>>,
    /// The memories that a reset sets, `[L·D·M, B, H]`; `None` for zeros.
    pub reset_memory: Option<Tensor<3>>,
}

impl Point {
    /// Whole sequences from a state of zeros.
    pub fn new(input: Tensor<3>) -> Self {
        Self {
            input,
            hidden: None,
            memory: None,
            mask: None,
            masked_output: MaskedOutput::Zero,
            resets: None,
            reset_hidden: None,
            reset_memory: None,
        }
    }
}

/// A value for each variable that a loss of a layer depends on: a direction, in which `None` is zero, or a gradient.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// In the shape of the input.
    pub input: Option<Tensor<3>>,
    /// In the shape of the initial hidden states, `[L·D, B, P]`.
    pub hidden: Option<Tensor<3>>,
    /// In the shape of the initial memories, `[L·D·M, B, H]`.
    pub memory: Option<Tensor<3>>,
    /// In the shape of the hidden states that a reset sets. A gradient has it only if they are given.
    pub reset_hidden: Option<Tensor<3>>,
    /// In the shape of the memories that a reset sets. A gradient has it only if they are given.
    pub reset_memory: Option<Tensor<3>>,
    /// For each entry of [`Recurrent::weights`].
    pub weights: Vec<WeightVariables>,
}

/// A value for each parameter of one layer in one direction, in the shapes of
/// [`Weights`](bptt::Weights).
#[derive(Clone, Debug, Default)]
pub struct WeightVariables {
    /// `[G·H, I]`
    pub weight_ih: Option<Tensor<2>>,
    /// `[G·H, P]`; in heads `[G·H, H/heads]`, the blocks of all heads under each other
    pub weight_hh: Option<Tensor<2>>,
    /// `[G·H]`
    pub bias_ih: Option<Tensor<1>>,
    /// `[G·H]`
    pub bias_hh: Option<Tensor<1>>,
    /// `[P, H]`
    pub weight_hr: Option<Tensor<2>>,
    /// `[V, H]`
    pub weight_diag: Option<Tensor<2>>,
}

impl Variables {
    /// The direction of zeros.
    pub fn none<C: SequenceCell>(layer: &Recurrent<C>) -> Self {
        Self { weights: vec![WeightVariables::default(); layer.weights.len()], ..Self::default() }
    }

    /// The dot product, over all variables that both have.
    pub fn dot(&self, other: &Self) -> f64 {
        fn dot<const D: usize>(a: &Option<Tensor<D>>, b: &Option<Tensor<D>>) -> f64 {
            let (Some(a), Some(b)) = (a, b) else { return 0.0 };
            let numbers = |x: &Tensor<D>| x.to_data().convert::<f64>();
            let (a, b) = (numbers(a), numbers(b));
            a.iter::<f64>().zip(b.iter::<f64>()).map(|(a, b)| a * b).sum()
        }
        let weights = self.weights.iter().zip(&other.weights).map(|(a, b)| {
            dot(&a.weight_ih, &b.weight_ih)
                + dot(&a.weight_hh, &b.weight_hh)
                + dot(&a.bias_ih, &b.bias_ih)
                + dot(&a.bias_hh, &b.bias_hh)
                + dot(&a.weight_hr, &b.weight_hr)
                + dot(&a.weight_diag, &b.weight_diag)
        });
        dot(&self.input, &other.input)
            + dot(&self.hidden, &other.hidden)
            + dot(&self.memory, &other.memory)
            + dot(&self.reset_hidden, &other.reset_hidden)
            + dot(&self.reset_memory, &other.reset_memory)
            + weights.sum::<f64>()
    }
}

/// The results of a layer with their tangents, or dLoss/d(results).
#[derive(Clone, Debug)]
pub struct LayerResults {
    /// `[B, T, D·P]`, or `[T, B, D·P]` without `batch_first`.
    pub output: Dual<Tensor<3>>,
    /// The final hidden states, `[L·D, B, P]`.
    pub hidden: Dual<Tensor<3>>,
    /// The final memories, `[L·D·M, B, H]`, for cells that have one.
    pub memory: Option<Dual<Tensor<3>>>,
}

impl LayerResults {
    /// Zeros of the same shapes. The caller replaces those on which the loss depends.
    pub fn zeros(&self) -> Self {
        let zeros = |x: &Dual<Tensor<3>>| Dual::constant(x.value.zeros_like());
        Self {
            output: zeros(&self.output),
            hidden: zeros(&self.hidden),
            memory: self.memory.as_ref().map(zeros),
        }
    }
}

/// What [`hessian_vector_product`] returns.
#[derive(Clone, Debug)]
pub struct Curvature {
    /// The results of the layer, and their derivative along the direction, `J v`.
    pub results: LayerResults,
    /// dLoss/d(variable) for all variables.
    pub gradient: Variables,
    /// `H v` for all variables.
    pub product: Variables,
}

/// Computes the Hessian of a loss of the layer's results times a direction, and the gradient.
///
/// Dropout is off, and zoneout is its expectation. The layer's engine and trace budget do not matter. In host memory the
/// kernels run, in `f32` and `f64`. Elsewhere, and with [`Kernel::Reference`], the reference body runs on the layer's
/// device without autodiff. Both keep a trace of all steps, twice as large as for the gradient alone.
///
/// # Arguments
///
/// - `layer`: any layer of any cell
/// - `at`: input, initial state, mask, resets
/// - `direction`: `v`; `None` is zero
/// - `loss`: returns dLoss/d(result) for the results, in dual numbers. If the loss is linear in the results, their
///   tangents are zero. Otherwise their tangents are the second derivative of the loss times the tangents of the
///   results.
///
/// # Panics
///
/// If shapes do not fit. The message of Burn names them.
pub fn hessian_vector_product<C: SequenceCell>(
    layer: &Recurrent<C>,
    at: &Point,
    direction: &Variables,
    loss: impl FnOnce(&LayerResults) -> LayerResults,
) -> Curvature {
    let by_kernels = layer.kernel() == Kernel::Auto && have_kernels(&at.input);
    let stack = Stack::new(layer, at, by_kernels);
    let Stack { time, batch, directions, memories, .. } = stack;
    let hidden = stack.state(&at.hidden, &direction.hidden, layer.weights.len(), stack.output);
    let rows = layer.weights.len() * memories;
    let memory = stack.state(&at.memory, &direction.memory, rows, layer.d_hidden());
    let reset_hidden = given_planes(&at.reset_hidden, &direction.reset_hidden);
    let reset_memory = given_planes(&at.reset_memory, &direction.reset_memory);

    // Forward, layer by layer.
    let input = Dual::new(at.input.clone(), direction.input.clone());
    let mut x = Some(stack.sequence_in(&input));
    let mut passes = Vec::new();
    let (mut hidden_n, mut memory_n) = (Vec::new(), Vec::new());
    for first in (0..layer.weights.len()).step_by(directions) {
        let mut outputs = Vec::new();
        for k in first..first + directions {
            let last = k + 1 == first + directions;
            let input = if last { x.take() } else { x.clone() };
            let operands = Operands {
                input: input.expect("there is one until the last direction has it"),
                hidden: hidden[k].clone(),
                memory: memory[k * memories..(k + 1) * memories].to_vec(),
                reset_hidden: reset_hidden.get(k).cloned(),
                reset_memory: (k * memories..(k + 1) * memories)
                    .filter_map(|m| reset_memory.get(m).cloned())
                    .collect(),
                ..parameters(layer, direction, k)
            };
            let spec = SequenceSpec {
                time,
                batch,
                batch_first: stack.batch_first && !stack.swaps,
                reverse: (k > first) != layer.is_reverse(),
                mask: at.mask.clone(),
                masked_output: at.masked_output,
                resets: at.resets.clone(),
                heads: layer.num_heads(),
                noise: layer.evaluation_noise(),
                by_kernels,
            };
            let (results, pass) = layer.cell().accept(Forward { spec, operands });
            outputs.push(results.outputs);
            hidden_n.push(results.hidden);
            memory_n.extend(results.memory);
            passes.push(pass);
        }
        x = Some(side_by_side(outputs));
    }
    let x = x.expect("the last layer's outputs");
    let results = LayerResults {
        output: stack.sequence_out(&x),
        hidden: stacked(&hidden_n),
        memory: (memories > 0).then(|| stacked(&memory_n)),
    };

    // Backward.
    let d_results = loss(&results);
    let mut d_x = stack.sequence_in(&d_results.output);
    let d_hidden_n = planes(&d_results.hidden);
    let d_memory_n = d_results.memory.as_ref().map(planes).unwrap_or_default();
    let mut d_all = Vec::new();
    while !passes.is_empty() {
        let first = passes.len() - directions;
        let mut d_below: Option<Matrix> = None;
        for (direction, pass) in passes.drain(first..).enumerate() {
            let k = first + direction;
            let d = pass.backward(Results {
                outputs: stack.outputs_of(&d_x, direction),
                hidden: d_hidden_n[k].clone(),
                memory: d_memory_n[k * memories..(k + 1) * memories].to_vec(),
            });
            d_below = Some(match d_below {
                Some(below) => below + &d.input,
                None => d.input.clone(),
            });
            d_all.insert(direction, d);
        }
        d_x = d_below.expect("a layer has a direction");
    }
    let d_input = stack.sequence_out(&d_x);
    let (gradient, product) = collected(&d_input, &d_all, memories);
    Curvature { results, gradient, product }
}

/// Runs one layer in one direction forward.
struct Forward {
    spec: SequenceSpec,
    operands: Operands,
}

impl CellVisitor for Forward {
    type Output = (Results, ForwardPass);

    fn visit<C: Cell>(self, cell: C) -> Self::Output {
        forward(cell, self.spec, self.operands)
    }
}

/// The same tensor, off the tape.
fn plain<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    if x.device().is_autodiff() { x.clone().inner() } else { x.clone() }
}

fn matrix(value: Tensor<2>, tangent: Option<Tensor<2>>) -> Matrix {
    Dual::new(Recorded(value), tangent.map(Recorded))
}

/// The parameters of one layer in one direction. The other operands are empty.
fn parameters<C: SequenceCell>(layer: &Recurrent<C>, direction: &Variables, k: usize) -> Operands {
    let (weights, along) = (&layer.weights[k], &direction.weights[k]);
    let weight = |value: &Tensor<2>, tangent: &Option<Tensor<2>>| {
        matrix(plain(value), tangent.as_ref().map(plain))
    };
    let bias = |value: &Tensor<1>, tangent: &Option<Tensor<1>>| {
        let row = |x: &Tensor<1>| plain(x).unsqueeze::<2>();
        matrix(row(value), tangent.as_ref().map(row))
    };
    let none = || matrix(plain(&weights.weight_ih.val()).slice([0..1, 0..1]), None);
    Operands {
        input: none(),
        weight_ih: weight(&weights.weight_ih.val(), &along.weight_ih),
        weight_hh: weight(&weights.weight_hh.val(), &along.weight_hh),
        bias_ih: weights.bias_ih.as_ref().map(|b| bias(&b.val(), &along.bias_ih)),
        bias_hh: weights.bias_hh.as_ref().map(|b| bias(&b.val(), &along.bias_hh)),
        weight_hr: weights.weight_hr.as_ref().map(|w| weight(&w.val(), &along.weight_hr)),
        weight_diag: weights.weight_diag.as_ref().map(|w| weight(&w.val(), &along.weight_diag)),
        hidden: none(),
        memory: vec![],
        reset_hidden: None,
        reset_memory: vec![],
    }
}

/// The planes of a state; none if it is not given.
fn given_planes(value: &Option<Tensor<3>>, tangent: &Option<Tensor<3>>) -> Vec<Matrix> {
    value.as_ref().map_or_else(Vec::new, |value| {
        planes(&Dual::new(plain(value), tangent.as_ref().map(plain)))
    })
}

/// The sizes of a stack, and how sequences go in and out of it.
struct Stack {
    time: usize,
    batch: usize,
    directions: usize,
    memories: usize,
    /// `P`
    output: usize,
    batch_first: bool,
    /// Whether sequences are transposed to be time first.
    swaps: bool,
    /// Gives zeros their device and type.
    like: Tensor<3>,
}

impl Stack {
    fn new<C: SequenceCell>(layer: &Recurrent<C>, at: &Point, by_kernels: bool) -> Self {
        let directions = if layer.is_bidirectional() { 2 } else { 1 };
        let batch_first = layer.is_batch_first();
        let like = plain(&at.input);
        let [a, b, _] = like.dims();
        let (batch, time) = if batch_first { (a, b) } else { (b, a) };
        // The kernels take both orders.
        let swaps = batch_first && !by_kernels;
        Self {
            time,
            batch,
            directions,
            memories: layer.cell().memories(),
            output: layer.d_output() / directions,
            batch_first,
            swaps,
            like,
        }
    }

    /// Planes of a state, `rows` times `[B, width]`.
    fn state(
        &self,
        value: &Option<Tensor<3>>,
        tangent: &Option<Tensor<3>>,
        rows: usize,
        width: usize,
    ) -> Vec<Matrix> {
        if rows == 0 {
            return vec![];
        }
        let options = (&self.like.device(), self.like.dtype());
        let zeros = || Tensor::zeros([rows, self.batch, width], options);
        planes(&Dual::new(value.as_ref().map_or_else(zeros, plain), tangent.as_ref().map(plain)))
    }

    /// Converts the layer's layout to `[T·B, width]`.
    fn sequence_in(&self, x: &Dual<Tensor<3>>) -> Matrix {
        x.linear(|x| {
            let x = plain(x);
            let x = if self.swaps { x.swap_dims(0, 1) } else { x };
            let width = x.dims()[2];
            Recorded(x.reshape([self.time * self.batch, width]))
        })
    }

    fn sequence_out(&self, x: &Matrix) -> Dual<Tensor<3>> {
        x.linear(|x| {
            let width = x.0.dims()[1];
            let rows = match self.batch_first && !self.swaps {
                true => [self.batch, self.time],
                false => [self.time, self.batch],
            };
            let x = x.0.clone().reshape([rows[0], rows[1], width]);
            if self.swaps { x.swap_dims(0, 1) } else { x }
        })
    }

    /// The part of one direction, `[T·B, P]`, of a sequence `[T·B, D·P]`.
    fn outputs_of(&self, x: &Matrix, direction: usize) -> Matrix {
        if self.directions == 1 {
            return x.clone();
        }
        let columns = direction * self.output..(direction + 1) * self.output;
        let rows = 0..self.time * self.batch;
        x.linear(|x| Recorded(x.0.clone().slice([rows.clone(), columns.clone()])))
    }
}

/// `[B, n]` matrices, from `[rows, B, n]`.
fn planes(x: &Dual<Tensor<3>>) -> Vec<Matrix> {
    let [rows, batch, width] = x.value.dims();
    let plane =
        |k: usize| x.linear(|x| Recorded(plain(x).slice([k..k + 1]).reshape([batch, width])));
    (0..rows).map(plane).collect()
}

/// The outputs of all directions, `[T·B, D·P]`.
fn side_by_side(outputs: Vec<Matrix>) -> Matrix {
    if let [one] = outputs.as_slice() {
        return one.clone();
    }
    let join =
        |part: &dyn Fn(&Matrix) -> Tensor<2>| Tensor::cat(outputs.iter().map(part).collect(), 1);
    let is_there = outputs.iter().any(|x| x.tangent.is_some());
    let value = join(&|x| x.value.0.clone());
    matrix(value, is_there.then(|| join(&tangent)))
}

/// Splits gradients into their values and their tangents.
fn collected(
    d_input: &Dual<Tensor<3>>,
    d_all: &[Operands],
    memories: usize,
) -> (Variables, Variables) {
    let whole = |part: &dyn Fn(&Matrix) -> Tensor<2>, input: Tensor<3>| {
        let stack = |planes: Vec<Tensor<2>>| Tensor::stack::<3>(planes, 0);
        let bias = |bias: &Option<Matrix>| {
            bias.as_ref().map(|bias| {
                let row = part(bias);
                let [_, width] = row.dims();
                row.reshape([width])
            })
        };
        let weights = d_all.iter().map(|d| WeightVariables {
            weight_ih: Some(part(&d.weight_ih)),
            weight_hh: Some(part(&d.weight_hh)),
            bias_ih: bias(&d.bias_ih),
            bias_hh: bias(&d.bias_hh),
            weight_hr: d.weight_hr.as_ref().map(part),
            weight_diag: d.weight_diag.as_ref().map(part),
        });
        let memory = d_all.iter().flat_map(|d| &d.memory).map(part);
        let reset_hidden: Vec<_> = d_all.iter().flat_map(|d| &d.reset_hidden).map(part).collect();
        let reset_memory: Vec<_> = d_all.iter().flat_map(|d| &d.reset_memory).map(part).collect();
        Variables {
            input: Some(input),
            hidden: Some(stack(d_all.iter().map(|d| part(&d.hidden)).collect())),
            memory: (memories > 0).then(|| stack(memory.collect())),
            reset_hidden: (!reset_hidden.is_empty()).then(|| stack(reset_hidden)),
            reset_memory: (!reset_memory.is_empty()).then(|| stack(reset_memory)),
            weights: weights.collect(),
        }
    };
    let d_tangent = d_input.tangent.clone().unwrap_or_else(|| d_input.value.zeros_like());
    let gradient = whole(&|x| x.value.0.clone(), d_input.value.clone());
    (gradient, whole(&tangent, d_tangent))
}
