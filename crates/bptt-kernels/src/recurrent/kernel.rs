//! How a backend runs a sequence.

use crate::operation::operands::{Cotangents, Operands, Results};
use crate::operation::plan::Plan;
use crate::reference::body::StepTrace;
use crate::reference::run;
use bptt_cells::Cell;
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use std::fmt::Debug;

/// A kernel: how the backend `B` runs a whole sequence, forward and backward.
///
/// Implement it for a type of your own, and give that to a layer's `with_kernel` (or to
/// [`recurrent_by`](crate::recurrent_by)). You write neither the checks nor the node on the tape: the layer checks the
/// operands, and the node calls the kernel. A kernel computes the same results as [`ReferenceKernel`]; compare them.
///
/// The operands have the shapes of [`Operand`](crate::Operand), with any strides. The kernel has to follow these parts
/// of the [`Plan`]: the [order](Plan::order) of the steps, the [mask](Plan::mask), the [output of masked
/// steps](Plan::masked_output), and the [shape of the outputs](Plan::outputs_shape). It may ignore the [budget of the
/// trace](Plan::trace_budget); if it follows the [noise](Plan::noise), it [says so](Self::carries_noise). The cell's equations are [`Plan::cell`]; they run on any [`Number`](bptt_cells::Number):
/// on plain `f64` as well as on whole tensors ([`Primitive`](crate::Primitive)).
pub trait SequenceKernel<B: Backend>: Clone + Debug + Send + Sync + 'static {
    /// What the forward pass keeps for the backward pass.
    type Trace: Clone + Debug + Send + 'static;

    /// Runs forward.
    ///
    /// # Returns
    ///
    /// The results; with `keep`, also the trace that [`backward`](Self::backward) needs.
    fn forward<C: Cell>(
        &self,
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<B>>,
        keep: bool,
    ) -> (Results<FloatTensor<B>>, Option<Self::Trace>);

    /// Runs backward.
    ///
    /// # Arguments
    ///
    /// - `d_results`: dLoss/d(result), in the result's shape; `None` is zero
    /// - `wanted`: the operands whose gradient is wanted
    ///
    /// # Returns
    ///
    /// dLoss/d(operand) for each operand that is `wanted`, in its shape.
    fn backward<C: Cell>(
        &self,
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<B>>,
        trace: Self::Trace,
        d_results: Cotangents<FloatTensor<B>>,
        wanted: &Operands<()>,
    ) -> Operands<FloatTensor<B>>;

    /// Whether it follows the [noise](Plan::noise) of a plan. A kernel that does not is never given such a plan: the
    /// operation panics with a line that says so.
    fn carries_noise(&self) -> bool {
        false
    }

    /// How many bytes are available to a caller that needs `need` bytes, if that is known.
    fn available_memory(&self, _need: u128) -> Option<usize> {
        None
    }
}

/// The reference body: back-propagation through time in tensor operations, on every backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReferenceKernel;

impl<B: Backend> SequenceKernel<B> for ReferenceKernel {
    /// One entry for each step, in the order in which the steps ran.
    ///
    /// Beyond the outputs: `T · B · (K + M) · H` numbers, with `K` the number of values that the cell saves (LSTM 4,
    /// GRU 4 or 3, RNN 0) and `M` its memories (LSTM 1); with a projection, another `T · B · H` for the hidden states
    /// before it. The hidden states share memory with the output if the backend shares slices; otherwise they take
    /// `T · B · P` more.
    type Trace = Vec<StepTrace<FloatTensor<B>>>;

    fn forward<C: Cell>(
        &self,
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<B>>,
        keep: bool,
    ) -> (Results<FloatTensor<B>>, Option<Self::Trace>) {
        run::forward::<B, C>(plan, operands, keep)
    }

    fn backward<C: Cell>(
        &self,
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<B>>,
        trace: Self::Trace,
        d_results: Cotangents<FloatTensor<B>>,
        wanted: &Operands<()>,
    ) -> Operands<FloatTensor<B>> {
        run::backward::<B, C>(plan, operands, trace, d_results, wanted)
    }

    fn carries_noise(&self) -> bool {
        true
    }
}
