//! A linear recurrence whose coefficients are given: the gates are `a` and `b`.

use super::cell::{Coefficients, ScannedCell};
use super::number::ScanNumber;

/// The scan itself, `h' = a ⊙ h + b`, for a layer that computes its own coefficients. Gates in the order `a b`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Given;

impl ScannedCell for Given {
    const NAME: &'static str = "linear recurrence";
    type Gates<N: ScanNumber> = [N; 2];
    type Constants<N: ScanNumber> = [N; 0];
    type State<N: ScanNumber> = [N; 1];
    type Saved<N: ScanNumber> = ();

    #[inline(always)]
    fn coefficients<N: ScanNumber>(&self, [a, b]: [N; 2], []: &[N; 0]) -> Coefficients<Self, N> {
        Coefficients { a: [a], b: [b], saved: () }
    }

    #[inline(always)]
    fn coefficients_backward<N: ScanNumber>(
        &self,
        (): (),
        []: &[N; 0],
        [d_a]: [N; 1],
        [d_b]: [N; 1],
    ) -> ([N; 2], [N; 0]) {
        ([d_a, d_b], [])
    }
}
