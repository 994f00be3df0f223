//! The parameters of any module, as numbers.

use super::{noise, numbers};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};

/// The module in f64, with parameters that depend on the seed only.
pub(super) fn filled<M: Module>(module: M, seed: u64) -> M {
    struct Fill(u64);
    impl ModuleMapper for Fill {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.0 += 1;
            param.map(|x| {
                let values = noise::<D>(self.0, x.dims(), &x.device());
                values.set_require_grad(x.is_autodiff())
            })
        }
    }
    module.map(&mut Fill(seed * 1000))
}

/// The module with one number more at one place, counted over all parameters.
pub(super) fn nudged<M: Module>(module: M, place: usize, by: f64) -> M {
    struct Nudge(usize, f64);
    impl ModuleMapper for Nudge {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|x| {
                let (mut values, dims) = (numbers(&x), x.dims());
                match values.get_mut(self.0) {
                    Some(value) => {
                        *value += self.1;
                        self.0 = usize::MAX;
                    }
                    // The place that was found is in no other parameter.
                    None if self.0 != usize::MAX => self.0 -= values.len(),
                    None => {}
                }
                let data = TensorData::new(values, dims);
                let values = Tensor::from_data(data, (&x.device(), x.dtype()));
                values.set_require_grad(x.is_autodiff())
            })
        }
    }
    module.map(&mut Nudge(place, by))
}

/// The gradients of all parameters, one after the other; zeros for those without a gradient.
pub(super) fn gradients<M: Module>(module: &M, gradients: &Gradients) -> Vec<f64> {
    struct Collect<'a>(&'a Gradients, Vec<f64>);
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let count = param.val().dims().iter().product();
            match param.grad(self.0) {
                Some(gradient) => self.1.extend(numbers(&gradient)),
                None => self.1.extend(std::iter::repeat_n(0.0, count)),
            }
        }
    }
    let mut collect = Collect(gradients, Vec::new());
    module.visit(&mut collect);
    collect.1
}
