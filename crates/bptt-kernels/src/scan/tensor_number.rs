//! A tensor as the number of a scanned cell.

use crate::operation::recorded::Recorded;
use bptt_cells::scanned::ScanNumber;

/// A plane of all steps, or of a constant, which is broadcast.
pub(super) type Plane = Recorded<3>;

impl ScanNumber for Plane {
    fn exp_negative(&self) -> Self {
        Self(self.0.clone().exp())
    }

    fn one_minus_exp(&self) -> Self {
        // With t = tanh(x / 2): 1 - e^x = -2 t / (1 - t).
        let t = self.0.clone().mul_scalar(0.5).tanh();
        Self(t.clone().mul_scalar(-2.0) / t.neg().add_scalar(1.0))
    }

    fn sqrt(&self) -> Self {
        Self(self.0.clone().sqrt())
    }
}
