//! A tensor as the number of a scanned cell.

use crate::operation::recorded::Recorded;
use bptt_cells::scanned::{ScanNumber, TINY};
use burn::tensor::DType;

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
        // In f16 the least number above zero is larger.
        let tiny = if self.0.dtype() == DType::F16 { 6e-8 } else { TINY };
        Self(self.0.clone().clamp_min(tiny).sqrt())
    }
}
