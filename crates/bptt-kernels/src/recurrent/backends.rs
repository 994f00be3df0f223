//! Which backends run the operation, and how.
//!
//! The only file that names the deprecated ndarray backend: it stays as long as 0.22 is what
//! people run.
#![allow(deprecated, reason = "burn-ndarray is deprecated in Burn 0.22 and gone in 0.23")]

use super::{Plan, RecurrentOperands, SequenceKernel};
use bptt_cells::Cell;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

/// The operation as Burn dispatches it: on a plain backend the forward pass, on an autodiff
/// backend one node with a hand-written backward.
#[backend_extension(
    Autodiff,
    Cube: cfg(feature = "cube"),
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray")
)]
pub trait RecurrentBackend: Backend {
    /// Runs the sequence.
    ///
    /// Returns, packed into one vector (a node has one output):
    /// the outputs `[T, B, P]`, the final hidden state `[B, P]`, the final memory `[M, B, H]`.
    /// [`recurrent`](super::recurrent) takes it apart.
    fn recurrent<C: Cell>(
        #[extension_type] operands: RecurrentOperands<Self>,
        plan: Plan<C>,
    ) -> FloatTensor<Self>;
}

/// A plain backend's operation is its forward pass, keeping nothing.
#[allow(unused_macros, reason = "without any backend feature there is nothing to implement")]
macro_rules! plain {
    ($Backend:ty $(, $($generics:tt)*)?) => {
        impl $($($generics)*)? RecurrentBackend for $Backend {
            fn recurrent<C: Cell>(
                operands: RecurrentOperands<Self>,
                plan: Plan<C>,
            ) -> FloatTensor<Self> {
                Self::sequence_forward::<C>(&plan, &operands.0, false).0
            }
        }
    };
}

#[cfg(feature = "flex")]
mod flex {
    use super::*;

    impl SequenceKernel for burn::backend::Flex {}
    plain!(burn::backend::Flex);
}

#[cfg(feature = "ndarray")]
mod ndarray {
    use super::*;

    impl SequenceKernel for burn::backend::NdArray {}
    plain!(burn::backend::NdArray);
}

#[cfg(feature = "cube")]
mod cube {
    use super::*;
    use burn_cubecl::CubeBackend;
    use burn_fusion::{Fusion, FusionBackend};

    impl SequenceKernel for CubeBackend {}
    plain!(CubeBackend);

    // With fusion the reference body is recorded operation by operation, and fused.
    impl<B: FusionBackend> SequenceKernel for Fusion<B> {}
    plain!(Fusion<B>, <B: FusionBackend>);
}
