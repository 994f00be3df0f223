//! Gradient clipping by the global norm.

use burn::Tensor;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;

/// Scales all gradients of a module by one factor, so that their norm is at most `max`:
/// `g ← g · min(1, max / ‖g‖)`, where `‖g‖` is over all parameters at once.
///
/// Burn clips each tensor by itself, which changes the direction of the step. Recurrent networks are trained with
/// the norm of all together (R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent
/// neural networks", ICML 2013).
///
/// # Arguments
///
/// - `module`: whose gradients they are
/// - `gradients`: are scaled in place
/// - `max`: the largest norm; infinity scales nothing
///
/// # Returns
///
/// The norm before clipping. If it is not finite, nothing is scaled.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::{LstmConfig, clip_global_norm};
/// use burn::optim::{AdamConfig, GradientsParams};
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex().autodiff();
/// let (lstm, mut optimizer) = (LstmConfig::new(3, 8).init(&device), AdamConfig::new().init());
/// let (output, _) = lstm.forward(Tensor::ones([2, 5, 3], &device), None);
/// let mut gradients = GradientsParams::from_grads(output.sum().backward(), &lstm);
/// let norm = clip_global_norm(&lstm, &mut gradients, 1.0);
/// assert!(norm > 1.0);
/// let lstm = optimizer.step(1e-3, lstm, gradients);
/// # }
/// ```
pub fn clip_global_norm<M: Module>(module: &M, gradients: &mut GradientsParams, max: f64) -> f64 {
    let mut squares = Squares { gradients, sum: None };
    module.visit(&mut squares);
    let norm = squares.sum.map_or(0.0, |sum| f64::from(sum.into_scalar::<f32>()).sqrt());
    if norm.is_finite() && norm > max {
        scale_gradients(module, gradients, max / norm);
    }
    norm
}

/// Multiplies all gradients of a module by a factor, in place.
pub fn scale_gradients<M: Module>(module: &M, gradients: &mut GradientsParams, factor: f64) {
    module.visit(&mut Scale { gradients, factor });
}

/// `Σ g²`. It is added up on the device, so that only one number is read back.
struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        let square = gradient.clone().mul(gradient).sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + square,
            None => square,
        });
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient.mul_scalar(self.factor));
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    /// A linear layer whose weight has the gradient [[3, 0], [0, 0]] and whose bias has [0, 4]:
    /// norms 3 and 4, together 5.
    fn gradients() -> (Linear, GradientsParams) {
        let device = Device::flex().autodiff();
        let layer = LinearConfig::new(2, 2).init(&device);
        let weight = Tensor::<2>::from_floats([[3.0, 0.0], [0.0, 0.0]], &device);
        let bias = Tensor::<1>::from_floats([0.0, 4.0], &device);
        let loss =
            (layer.weight.val() * weight).sum() + (layer.bias.as_ref().unwrap().val() * bias).sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &layer);
        (layer, gradients)
    }

    fn values(layer: &Linear, gradients: &GradientsParams) -> Vec<f32> {
        let weight = gradients.get::<2>(layer.weight.id).unwrap().into_data();
        let bias = gradients.get::<1>(layer.bias.as_ref().unwrap().id).unwrap().into_data();
        weight.iter::<f32>().chain(bias.iter::<f32>()).collect()
    }

    #[test]
    fn the_norm_is_that_of_all_parameters_together() {
        let (layer, mut gradients) = gradients();
        let norm = clip_global_norm(&layer, &mut gradients, 2.5);
        assert!((norm - 5.0).abs() < 1e-6, "{norm}");
        // One factor for all, 2.5 / 5. If each tensor was clipped by itself, 3 and 4 would both become 2.5.
        let clipped = values(&layer, &gradients);
        for (found, expected) in clipped.iter().zip([1.5, 0.0, 0.0, 0.0, 0.0, 2.0]) {
            assert!((found - expected).abs() < 1e-6, "{clipped:?}");
        }
    }

    #[test]
    fn a_short_gradient_stays_as_it_is() {
        let (layer, mut gradients) = gradients();
        let before = values(&layer, &gradients);
        clip_global_norm(&layer, &mut gradients, 5.1);
        assert_eq!(values(&layer, &gradients), before);
    }
}
