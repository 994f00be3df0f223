//! How a backend runs a scan.

use crate::recurrent::dispatch::DispatchBackend;
use crate::scan::plan::{Checked, ScanOperands};
use crate::scan::tensors;
use bptt_cells::scanned::ScannedCell;
use burn::Tensor;
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use std::fmt::Debug;

/// Gates, constants, initial and reset state. What is not given is a tensor of one number, which nothing reads.
pub(super) type Four<X> = [X; 4];

/// The states of a scan, and what the backward pass reads.
pub(super) struct Done<B: Backend> {
    pub(super) states: FloatTensor<B>,
    /// In the type that the kernel computes in.
    pub(super) kept: Vec<FloatTensor<B>>,
}

/// A scan of `N` operands with its cell and its kernel, as a trait object: so the node on the tape is compiled once.
pub(super) trait ScanRun<B: Backend, const N: usize>: Debug + Send + Sync {
    /// The states; if a backward pass will follow, with what it reads.
    fn forward(&self, operands: &[FloatTensor<B>; N], is_tracked: bool) -> Done<B>;

    /// The gradients of those operands that are wanted.
    fn backward(
        &self,
        operands: &[FloatTensor<B>; N],
        kept: Vec<FloatTensor<B>>,
        d_states: FloatTensor<B>,
        wanted: [bool; N],
    ) -> [Option<FloatTensor<B>>; N];
}

/// A scan by tensor operations, on any backend.
#[derive(Debug)]
pub(super) struct TensorRun<C> {
    pub(super) cell: C,
    pub(super) plan: Checked,
}

impl<C: ScannedCell> TensorRun<C> {
    fn operands<B: DispatchBackend>(&self, operands: &Four<FloatTensor<B>>) -> ScanOperands {
        fn tensor<const D: usize, B: DispatchBackend>(of: &FloatTensor<B>) -> Tensor<D> {
            Tensor::from_dispatch(B::into_dispatch(of.clone()))
        }
        let [gates, constants, initial, reset] = operands;
        ScanOperands {
            gates: tensor::<3, B>(gates),
            constants: (C::CONSTANTS > 0).then(|| tensor::<1, B>(constants)),
            initial: tensor::<2, B>(initial),
            reset: self.plan.has_reset_state.then(|| tensor::<2, B>(reset)),
        }
    }
}

impl<B: DispatchBackend, C: ScannedCell> ScanRun<B, 4> for TensorRun<C> {
    fn forward(&self, operands: &Four<FloatTensor<B>>, _is_tracked: bool) -> Done<B> {
        let states = tensors::forward(&self.cell, &self.operands::<B>(operands), &self.plan);
        let states = B::from_dispatch(states.into_dispatch());
        Done { kept: vec![states.clone()], states }
    }

    fn backward(
        &self,
        operands: &Four<FloatTensor<B>>,
        mut kept: Vec<FloatTensor<B>>,
        d_states: FloatTensor<B>,
        wanted: Four<bool>,
    ) -> Four<Option<FloatTensor<B>>> {
        let [states, d_states] =
            [kept.remove(0), d_states].map(|x| Tensor::<3>::from_dispatch(B::into_dispatch(x)));
        let operands = self.operands::<B>(operands);
        let d = tensors::backward(&self.cell, &operands, &self.plan, states, d_states);
        let all = [
            Some(d.gates.into_dispatch()),
            d.constants.map(Tensor::into_dispatch),
            Some(d.initial.into_dispatch()),
            d.reset.map(Tensor::into_dispatch),
        ];
        let mut wanted = wanted.into_iter();
        all.map(|d| {
            let is_wanted = wanted.next().is_some_and(|wanted| wanted);
            d.filter(|_| is_wanted).map(B::from_dispatch)
        })
    }
}
