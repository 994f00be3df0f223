//! What is to be done with the operands.

use super::{AnyTensor, Operand, Operands};
use bptt_cells::{Cell, Planes};
use burn::tensor::Shape;
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

/// The cell, the direction, the lengths, the kernel, the order of the outputs.
#[derive(Clone, Debug)]
pub struct Plan<C> {
    pub(crate) cell: C,
    pub(crate) reverse: bool,
    pub(crate) lengths: Option<Arc<[usize]>>,
    pub(crate) kernel: Kernel,
    pub(crate) batch_first: bool,
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
        Self { cell, reverse: false, lengths: None, kernel: Kernel::Auto, batch_first: false }
    }

    /// From the last step to the first.
    pub fn with_reverse(mut self, reverse: bool) -> Self {
        self.reverse = reverse;
        self
    }

    /// Each row ends (in reverse: starts) at its own length, in any order.
    pub fn with_lengths(mut self, lengths: Option<Arc<[usize]>>) -> Self {
        self.lengths = lengths;
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

    /// Which kernel was asked for.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// The time steps in the order in which they are worked.
    pub(crate) fn order(&self, time: usize) -> impl DoubleEndedIterator<Item = usize> + use<C> {
        let reverse = self.reverse;
        (0..time).map(move |k| if reverse { time - 1 - k } else { k })
    }

    /// Which rows take part in step `t`; `None` if all do.
    pub(crate) fn active(&self, t: usize) -> Option<Vec<bool>> {
        let lengths = self.lengths.as_ref()?;
        let active: Vec<bool> = lengths.iter().map(|&length| t < length).collect();
        (!active.iter().all(|&on| on)).then_some(active)
    }

    /// The sizes, after a check that everything fits.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub(crate) fn check(&self, operands: &Operands<AnyTensor>) -> Sizes {
        let shape = |operand: Operand| operands.need(operand).shape();
        let sizes = Sizes::of::<C>(shape);
        let Sizes { batch, input, hidden, output, memories, .. } = sizes;
        let rows = C::GATES * hidden;
        let expected = [
            (Operand::WeightIh, vec![rows, input]),
            (Operand::WeightHh, vec![rows, output]),
            (Operand::BiasIh, vec![rows]),
            (Operand::BiasHh, vec![rows]),
            (Operand::WeightHr, vec![output, hidden]),
            (Operand::Hidden, vec![batch, output]),
            (Operand::Memory, vec![memories, batch, hidden]),
        ];
        for (operand, expected) in expected {
            if let Some(tensor) = operands.get(operand) {
                assert!(
                    tensor.shape() == expected,
                    "{}: `{}` has shape {:?}, expected {expected:?} beside an input of shape {:?}",
                    C::NAME,
                    operand.name(),
                    tensor.shape(),
                    shape(Operand::Input),
                );
            }
        }
        assert_eq!(
            operands.has(Operand::Memory),
            memories > 0,
            "{}: `c_0` goes with cells that have a memory, and only with those",
            C::NAME,
        );
        assert!(
            output == hidden || (operands.has(Operand::WeightHr) && C::PROJECTABLE),
            "{}: a hidden state of size {output} beside gates of size {hidden} needs `weight_hr` \
             and a cell that can be projected",
            C::NAME,
        );
        if let Some(lengths) = &self.lengths {
            assert!(
                lengths.len() == batch && lengths.iter().all(|&length| length <= sizes.time),
                "{}: lengths {lengths:?} for an input of shape {:?}: one for each row, none over \
                 the number of steps",
                C::NAME,
                shape(Operand::Input),
            );
        }
        sizes
    }

    /// The shape of the outputs.
    pub(crate) fn outputs_shape(&self, shape: impl Fn(Operand) -> Vec<usize>) -> Shape
    where
        C: Cell,
    {
        let Sizes { time, batch, output, .. } = Sizes::of::<C>(shape);
        Shape::new(if self.batch_first { [batch, time, output] } else { [time, batch, output] })
    }
}

impl Sizes {
    /// Read off the operands' shapes.
    pub(crate) fn of<C: Cell>(shape: impl Fn(Operand) -> Vec<usize>) -> Self {
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
