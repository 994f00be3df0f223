//! Modules in another float type.

use burn::Tensor;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::DType;

/// The same module with all its float parameters in another type.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::{LstmConfig, cast};
/// use burn::Tensor;
/// use burn::module::Module;
/// use burn::tensor::{DType, Device};
///
/// let device = Device::flex().autodiff();
/// let input = Tensor::<3>::ones([2, 5, 3], &device).cast(DType::BF16);
/// let master = LstmConfig::new(3, 4).init(&device);
///
/// // The gradients are those of the f32 parameters, in f32.
/// let (output, _) = cast(master.clone(), DType::BF16).forward(input.clone(), None);
/// let gradients = output.sum().backward();
/// let of_weight = master.weights[0].weight_hh.grad(&gradients).expect("a gradient");
/// assert_eq!(of_weight.dtype(), DType::F32);
///
/// // A layer whose own parameters are bf16.
/// let lstm = cast(master.valid(), DType::BF16).train();
/// let gradients = lstm.forward(input, None).0.sum().backward();
/// let of_weight = lstm.weights[0].weight_hh.grad(&gradients).expect("a gradient");
/// assert_eq!(of_weight.dtype(), DType::BF16);
/// # }
/// ```
///
/// On a device with autodiff the new parameters depend on the old ones, so a backward pass gives the gradients of the
/// old parameters, in their type. That is how training in 16 bits keeps its parameters in `f32`: a step of the
/// optimizer is often smaller than half the distance between two numbers of 16 bits, and would be lost.
pub fn cast<M: Module>(module: M, dtype: DType) -> M {
    struct Cast(DType);
    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.cast(self.0))
        }
    }
    module.map(&mut Cast(dtype))
}
