//! What is to be done with the operands.

use crate::operation::any_tensor::AnyTensor;
use crate::operation::operands::{Operand, Operands};
use crate::operation::weight_cache::WeightCache;
use bptt_cells::{Cell, Components};
use burn::tensor::{DType, Shape};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How one backend runs a whole sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kernel {
    /// The fastest that the backend has for this cell.
    #[default]
    Auto,
    /// The reference body in tensor operations, whatever else there is.
    Reference,
}

impl Kernel {
    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Reference => "reference",
        }
    }
}

/// Which steps of which rows are valid. A masked step computes nothing: it copies the state on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequenceMask {
    /// The number of valid steps of each row, its first ones.
    Lengths(Arc<[usize]>),
    /// One flag for each step and row, `[T, B]`: true where the step is valid.
    Steps(Arc<[bool]>),
}

impl SequenceMask {
    /// Whether step `t` of row `b`, of `batch` rows, is valid.
    #[inline]
    pub fn is_valid(&self, t: usize, b: usize, batch: usize) -> bool {
        match self {
            Self::Lengths(lengths) => t < lengths[b],
            Self::Steps(mask) => mask[t * batch + b],
        }
    }

    /// How many of the `time` steps are valid, all rows together.
    #[cfg(feature = "host")]
    pub(crate) fn count(&self, time: usize) -> usize {
        match self {
            Self::Lengths(lengths) => lengths.iter().map(|&length| length.min(time)).sum(),
            Self::Steps(mask) => mask.iter().filter(|&&valid| valid).count(),
        }
    }

    /// Which rows are masked at step `t`; `None` if none is.
    pub fn masked_rows(&self, t: usize, batch: usize) -> Option<Vec<bool>> {
        let masked: Vec<bool> = (0..batch).map(|b| !self.is_valid(t, b, batch)).collect();
        masked.contains(&true).then_some(masked)
    }
}

/// What the output is at a masked step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MaskedOutput {
    /// Zero.
    #[default]
    Zero,
    /// The hidden state as it stands.
    #[serde(rename = "Held")]
    Hold,
}

/// The cell, the direction, the mask, the kernel, the order of the outputs.
#[derive(Clone, Debug)]
pub struct Plan<C> {
    pub(crate) cell: C,
    pub(crate) reverse: bool,
    pub(crate) mask: Option<SequenceMask>,
    pub(crate) masked_output: MaskedOutput,
    pub(crate) kernel: Kernel,
    pub(crate) batch_first: bool,
    pub(crate) trace_budget: Option<usize>,
    pub(crate) real_time: bool,
    pub(crate) weight_cache: Option<WeightCache>,
}

/// The sizes of a sequence, read off its operands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// `T`
    pub time: usize,
    /// `B`
    pub batch: usize,
    /// `I`
    pub input: usize,
    /// `H`
    pub hidden: usize,
    /// `P`
    pub output: usize,
    /// `M`
    pub memories: usize,
}

impl<C: Cell> Plan<C> {
    /// Forward in time, all rows of full length, the fastest kernel, outputs time first.
    pub fn new(cell: C) -> Self {
        Self {
            cell,
            reverse: false,
            mask: None,
            masked_output: MaskedOutput::Zero,
            kernel: Kernel::Auto,
            batch_first: false,
            trace_budget: None,
            real_time: false,
            weight_cache: None,
        }
    }

    /// From the last step to the first.
    pub fn with_reverse(mut self, reverse: bool) -> Self {
        self.reverse = reverse;
        self
    }

    /// Which steps of which rows are valid; `None`: all. With lengths each row ends (in
    /// reverse: starts) at its own. What the input has elsewhere, be it a NaN, matters to nothing.
    pub fn with_mask(mut self, mask: Option<SequenceMask>) -> Self {
        self.mask = mask;
        self
    }

    /// What the output is at masked steps.
    pub fn with_masked_output(mut self, masked_output: MaskedOutput) -> Self {
        self.masked_output = masked_output;
        self
    }

    /// Which kernel.
    pub fn with_kernel(mut self, kernel: Kernel) -> Self {
        self.kernel = kernel;
        self
    }

    /// Whether the outputs come as `[B, T, P]`, without a transposition after the sequence and one of
    /// their gradient before it. (The input is `[T, B, I]` all the same; it may be a view.)
    pub fn with_batch_first(mut self, batch_first: bool) -> Self {
        self.batch_first = batch_first;
        self
    }

    /// How much memory the trace may take, in bytes; what it does not hold is computed again, for the
    /// same bits. The kernels for host memory keep to it; others keep all.
    pub fn with_trace_budget(mut self, bytes: Option<usize>) -> Self {
        self.trace_budget = bytes;
        self
    }

    /// Whether gradients come by real-time recurrent learning: in the backward pass the sequence is run
    /// forward once more with the influence of its operands carried along, and no derivative that
    /// somebody wrote is reached. Nothing is kept from the forward pass.
    pub fn with_real_time(mut self, real_time: bool) -> Self {
        self.real_time = real_time;
        self
    }

    /// Where packed weights may be kept from one call to the next. The kernels for host memory do so in
    /// short calls (up to 128 rows of all steps together) whose gradients nobody wants; other calls and
    /// kernels neither read it nor write to it.
    ///
    /// The tensors that were packed are kept with them. Nobody can change those where they are while they
    /// are held, or put others in their place, so that to be the same tensor, memory, shape, strides and
    /// type, is to have the same numbers. Calls with other weights take the entry's place.
    pub fn with_weight_cache(mut self, cache: Option<WeightCache>) -> Self {
        self.weight_cache = cache;
        self
    }

    /// Which kernel was asked for.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The time steps in the order in which they are worked.
    pub(crate) fn order(&self, time: usize) -> impl DoubleEndedIterator<Item = usize> + use<C> {
        let reverse = self.reverse;
        (0..time).map(move |k| if reverse { time - 1 - k } else { k })
    }

    /// Which rows are valid at step `t`; `None` if all are.
    pub(crate) fn active(&self, t: usize, batch: usize) -> Option<Vec<bool>> {
        let masked = self.mask.as_ref()?.masked_rows(t, batch)?;
        Some(masked.into_iter().map(|masked| !masked).collect())
    }

    /// Whether the operands fit each other: before anything is computed, and whatever computes it.
    ///
    /// # Panics
    ///
    /// If they do not. The message names the operand, its shape and the shape expected, or both types
    /// where operands are of different ones: nothing is converted silently.
    pub fn check(&self, operands: &Operands<AnyTensor>) {
        self.check_types(&operands.map_ref(AnyTensor::dtype));
        self.check_shapes(&operands.map_ref(AnyTensor::shape));
    }

    /// Whether all operands are of one type.
    ///
    /// # Panics
    ///
    /// If they are not.
    pub(crate) fn check_types(&self, types: &Operands<DType>) {
        let expected = *types.need(Operand::WeightIh);
        let Some((operand, found)) = types.iter().find(|(_, dtype)| **dtype != expected) else {
            return;
        };
        panic!(
            "{}: `{}` is {found:?} and `weight_ih` is {expected:?}: expected one type; cast the one \
             (`tensor.cast(DType::{expected:?})`) or make the layer in {found:?}",
            C::NAME,
            operand.name(),
        );
    }

    /// Whether all shapes fit.
    ///
    /// # Panics
    ///
    /// If they do not.
    pub(crate) fn check_shapes(&self, shapes: &Operands<Shape>) {
        let shape = |operand: Operand| shapes.need(operand).clone();
        let sizes = Sizes::of::<C>(shape);
        let Sizes { batch, input, hidden, output, memories, .. } = sizes;
        assert!(
            sizes.time > 0 && batch > 0,
            "{}: an input of shape {:?}: expected at least one step and one row",
            C::NAME,
            &shape(Operand::Input)[..],
        );
        assert!(
            hidden > 0 && output > 0,
            "{}: `weight_ih` of shape {:?} and `h_0` of shape {:?}: expected at least one unit",
            C::NAME,
            &shape(Operand::WeightIh)[..],
            &shape(Operand::Hidden)[..],
        );
        let rows = C::GATES * hidden;
        let expected = [
            (Operand::WeightIh, Shape::new([rows, input])),
            (Operand::WeightHh, Shape::new([rows, output])),
            (Operand::BiasIh, Shape::new([rows])),
            (Operand::BiasHh, Shape::new([rows])),
            (Operand::WeightHr, Shape::new([output, hidden])),
            (Operand::Hidden, Shape::new([batch, output])),
            (Operand::Memory, Shape::new([memories, batch, hidden])),
        ];
        for (operand, expected) in expected {
            if let Some(shape_is) = shapes.get(operand) {
                assert!(
                    *shape_is == expected,
                    "{}: `{}` has shape {:?}, expected {:?} beside an input of shape {:?}",
                    C::NAME,
                    operand.name(),
                    &shape_is[..],
                    &expected[..],
                    &shape(Operand::Input)[..],
                );
            }
        }
        assert_eq!(
            shapes.has(Operand::Memory),
            memories > 0,
            "{}: `c_0` goes with cells that have a memory, and only with those",
            C::NAME,
        );
        assert!(
            output == hidden || (shapes.has(Operand::WeightHr) && C::PROJECTABLE),
            "{}: a hidden state of size {output} beside gates of size {hidden} needs `weight_hr` \
             and a cell that can be projected",
            C::NAME,
        );
        // As in PyTorch; nothing that is laid out for `H` units has room for more of `P`.
        assert!(
            output <= hidden,
            "{}: a hidden state of size P = {output} beside gates of size H = {hidden}: expected a \
             projection to at most H",
            C::NAME,
        );
        if let Some(SequenceMask::Steps(mask)) = &self.mask {
            assert!(
                mask.len() == sizes.time * batch,
                "{}: a mask of {} flags for an input of shape {:?}: one for each step and row",
                C::NAME,
                mask.len(),
                &shape(Operand::Input)[..],
            );
        }
        if let Some(SequenceMask::Lengths(lengths)) = &self.mask {
            assert!(
                lengths.len() == batch && lengths.iter().all(|&length| length <= sizes.time),
                "{}: lengths {lengths:?} for an input of shape {:?}: one for each row, none over \
                 the number of steps",
                C::NAME,
                &shape(Operand::Input)[..],
            );
        }
    }

    /// The shape of the outputs.
    pub(crate) fn outputs_shape(&self, [time, batch, output]: [usize; 3]) -> Shape {
        Shape::new(if self.batch_first { [batch, time, output] } else { [time, batch, output] })
    }
}

impl Sizes {
    /// Read off the operands' shapes.
    pub(crate) fn of<C: Cell>(shape: impl Fn(Operand) -> Shape) -> Self {
        let input = shape(Operand::Input);
        Self {
            time: input[0],
            batch: input[1],
            input: input[2],
            hidden: shape(Operand::WeightIh)[0] / C::GATES,
            output: shape(Operand::Hidden)[1],
            memories: C::Memory::<f64>::LEN,
        }
    }
}
