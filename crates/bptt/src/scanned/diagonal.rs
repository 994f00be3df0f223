//! What the layers with a complex diagonal recurrence have in common: the real output, and complex matrices.

use super::layer::product;
use burn::Tensor;
use burn::module::{Module, Param};

/// The real output of a complex state: `y = Re(C h) + D x`.
#[derive(Module, Debug)]
pub struct Readout {
    /// The real part of `C`, `[O, H]`.
    pub weight_re: Param<Tensor<2>>,
    /// The imaginary part of `C`, `[O, H]`.
    pub weight_im: Param<Tensor<2>>,
    /// `D`, `[O, I]`.
    pub weight_skip: Param<Tensor<2>>,
}

impl Readout {
    /// The outputs `[B, T, O]`, from the states `[B, T, 2·H]` (real parts first) and the input.
    pub(super) fn outputs(&self, states: Tensor<3>, input: Tensor<3>) -> Tensor<3> {
        // Re(C h) = C_re h_re - C_im h_im
        let weight = Tensor::cat(vec![self.weight_re.val(), self.weight_im.val().neg()], 1);
        product(states, weight) + product(input, self.weight_skip.val())
    }

    pub(super) fn d_output(&self) -> usize {
        self.weight_re.dims()[0]
    }
}

/// `B` for a product `[B, T, 2·H]`, real parts first.
pub(super) fn complex_weight(
    weight_re: &Param<Tensor<2>>,
    weight_im: &Param<Tensor<2>>,
) -> Tensor<2> {
    Tensor::cat(vec![weight_re.val(), weight_im.val()], 0)
}
