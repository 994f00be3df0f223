//! Elementwise operations on rows of a state.

use crate::host::simd::isa::Isa;
use crate::host::simd::real::Real;
use crate::host::step::planes::{load_row, store_row};
use pulp::{Simd, WithSimd};

/// An elementwise operation on rows `a`, `b` and `to`, all of the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elementwise {
    /// `to = a ⊙ to + (1 - a) ⊙ b`
    Mix,
    /// `to = (1 - a) ⊙ to + a ⊙ b`
    MixInto,
    /// `to = a ⊙ b`
    Multiply,
    /// `to = (1 - a) ⊙ b`
    MultiplyRest,
    /// `to = to + a ⊙ b`
    AddProduct,
    /// `to = a ⊙ to`, for any `b`
    Scale,
    /// `to = (1 - a) ⊙ to`, for any `b`
    ScaleRest,
}

impl Elementwise {
    /// Runs it. Each element has the same bits wherever it lies in a row.
    pub(crate) fn run<T: Real>(self, isa: Isa, a: &[T], b: &[T], to: &mut [T]) {
        assert!(a.len() == to.len() && b.len() == to.len(), "rows of different lengths");
        isa.dispatch(OnRows { operation: self, a, b, to });
    }
}

struct OnRows<'a, T> {
    operation: Elementwise,
    a: &'a [T],
    b: &'a [T],
    to: &'a mut [T],
}

impl<T: Real> WithSimd for OnRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { operation, a, b, to } = self;
        let one = T::splat(simd, T::ONE);
        for at in (0..to.len()).step_by(T::lanes::<S>()) {
            let (a, b, now) =
                (load_row(simd, a, at), load_row(simd, b, at), load_row(simd, to, at));
            let rest = T::sub(simd, one, a);
            let x = match operation {
                Elementwise::Mix => T::mul_add(simd, a, now, T::mul(simd, rest, b)),
                Elementwise::MixInto => T::mul_add(simd, a, b, T::mul(simd, rest, now)),
                Elementwise::Multiply => T::mul(simd, a, b),
                Elementwise::MultiplyRest => T::mul(simd, rest, b),
                Elementwise::AddProduct => T::mul_add(simd, a, b, now),
                Elementwise::Scale => T::mul(simd, a, now),
                Elementwise::ScaleRest => T::mul(simd, rest, now),
            };
            store_row(simd, to, at, x);
        }
    }
}
