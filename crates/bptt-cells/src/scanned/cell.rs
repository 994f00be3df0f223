//! What a scanned cell is.

use super::linear::Linear;
use super::number::ScanNumber;
use crate::components::Components;
use std::fmt::Debug;

/// A cell whose state follows a linear recurrence.
///
/// The gates of a step are planes of `H` numbers each. The constants of a unit are the same at all steps: biases and
/// decay rates, for example.
pub trait ScannedCell: Copy + Debug + Default + Send + Sync + 'static {
    /// The name in tables and messages.
    const NAME: &'static str;

    /// `G`, how many gates there are.
    const GATES: usize = <Self::Gates<f64> as Components<f64>>::LEN;

    /// `K`, how many constants a unit has.
    const CONSTANTS: usize = <Self::Constants<f64> as Components<f64>>::LEN;

    /// `S`, how many numbers the state of a unit has: 1, or 2 for a complex number.
    const PARTS: usize = <Self::State<f64> as Components<f64>>::LEN;

    /// What a step reads, `[G]`.
    type Gates<N: ScanNumber>: Components<N> + Clone;

    /// What is the same at all steps, `[K]`.
    type Constants<N: ScanNumber>: Components<N> + Clone;

    /// The state of a unit, and each coefficient, `[S]`.
    type State<N: ScanNumber>: Linear<N>;

    /// What the backward step reads.
    type Saved<N: ScanNumber>: Clone;

    /// The coefficients `a` and `b` of a step.
    fn coefficients<N: ScanNumber>(
        &self,
        gates: Self::Gates<N>,
        constants: &Self::Constants<N>,
    ) -> Coefficients<Self, N>;

    /// dLoss/d(gates) and dLoss/d(constants) of a step, from dLoss/da and dLoss/db.
    fn coefficients_backward<N: ScanNumber>(
        &self,
        saved: Self::Saved<N>,
        constants: &Self::Constants<N>,
        d_a: Self::State<N>,
        d_b: Self::State<N>,
    ) -> (Self::Gates<N>, Self::Constants<N>);
}

/// The coefficients of a step, `h' = a ⊙ h + b`.
pub struct Coefficients<C: ScannedCell, N: ScanNumber> {
    /// The factor of the state.
    pub a: C::State<N>,
    /// What is added.
    pub b: C::State<N>,
    /// What the backward step reads.
    pub saved: C::Saved<N>,
}
