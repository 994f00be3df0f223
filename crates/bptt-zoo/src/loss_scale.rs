//! Loss scaling, for recurrent layers in `f16`.
//!
//! P. Micikevicius, S. Narang, J. Alben, G. Diamos, E. Elsen and others, "Mixed precision training" (2018). The gradients
//! of a mean over thousands of steps are often below 6e-8, which `f16` rounds to zero. So the loss is multiplied by a
//! factor before the backward pass, and the gradients of the parameters, which are `f32`, are divided by it afterwards.
//! The factor is a power of two, so neither rounds. It is as large as the gradients allow: it doubles from time to time,
//! and where a gradient is not finite, it is halved and the step is left out.
//!
//! `bf16` has the exponents of `f32` and needs none. Burn 0.22.1 has no loss scaling.

use bptt_probe::DType;
use serde::{Deserialize, Serialize};

/// The factor, and when it changes next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossScale {
    /// What the loss is multiplied by.
    pub(crate) factor: f64,
    /// The steps since it has changed.
    steps: u32,
}

impl LossScale {
    const FIRST: f64 = 65_536.0;
    const MOST: f64 = 16_777_216.0;
    /// Steps without a change, after which the factor doubles.
    const EVERY: u32 = 500;

    /// The first factor, for a type that needs one.
    pub(crate) fn new(dtype: DType) -> Option<Self> {
        (dtype == DType::F16).then_some(Self { factor: Self::FIRST, steps: 0 })
    }

    /// After a step.
    pub(crate) fn grow(&mut self) {
        self.steps += 1;
        if self.steps >= Self::EVERY {
            *self = Self { factor: (2.0 * self.factor).min(Self::MOST), steps: 0 };
        }
    }

    /// After a gradient that is not finite. Returns false if the factor was 1, and so not the reason.
    pub(crate) fn shrink(&mut self) -> bool {
        let was_reason = self.factor > 1.0;
        *self = Self { factor: (self.factor / 2.0).max(1.0), steps: 0 };
        was_reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_is_a_power_of_two_within_bounds() {
        let mut scale = LossScale::new(DType::F16).expect("f16 needs one");
        for _ in 0..LossScale::EVERY {
            assert_eq!(scale.factor, LossScale::FIRST);
            scale.grow();
        }
        assert_eq!(scale.factor, 2.0 * LossScale::FIRST);
        for _ in 0..100 * LossScale::EVERY {
            scale.grow();
        }
        assert_eq!(scale.factor, LossScale::MOST);
        let halvings = std::iter::repeat_with(|| scale.shrink()).take_while(|&shrunk| shrunk);
        assert_eq!(halvings.count(), 24);
        assert_eq!(scale.factor, 1.0);
        assert_eq!(LossScale::new(DType::Bf16), None);
    }
}
