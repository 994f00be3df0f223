//! The instruction set of the machine.

use crate::host::simd::real::Real;
use pulp::{Arch, Simd, WithSimd};

/// The instruction set that the kernels run on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Isa {
    /// The best one that the machine has, which is detected at run time.
    Native(Arch),
    /// Plain Rust, for machines whose instruction set `pulp` does not know.
    #[allow(dead_code, reason = "used where `pulp::Arch` finds nothing, and in tests")]
    Portable,
}

impl Isa {
    pub(crate) fn detect() -> Self {
        match Arch::new() {
            Arch::Scalar => Self::Portable,
            arch => Self::Native(arch),
        }
    }

    #[inline(always)]
    pub(crate) fn dispatch<Op: WithSimd>(self, op: Op) -> Op::Output {
        match self {
            Self::Native(arch) => arch.dispatch(op),
            Self::Portable => pulp::Scalar128b.vectorize(op),
        }
    }

    /// How many elements a SIMD vector has.
    pub(crate) fn lanes<T: Real>(self) -> usize {
        struct Lanes<T>(std::marker::PhantomData<T>);
        impl<T: Real> WithSimd for Lanes<T> {
            type Output = usize;
            #[inline(always)]
            fn with_simd<S: Simd>(self, _simd: S) -> usize {
                T::lanes::<S>()
            }
        }
        self.dispatch(Lanes::<T>(std::marker::PhantomData))
    }
}
