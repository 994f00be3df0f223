//! All parameters of a module as one vector.

use burn::Tensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::TensorData;

/// All float parameters, in the order of the module.
pub(crate) fn parameters<M: Module>(model: &M) -> Vec<f64> {
    struct Read(Vec<f64>);
    impl ModuleVisitor for Read {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.val().to_data().iter::<f64>());
        }
    }
    let mut read = Read(Vec::new());
    model.visit(&mut read);
    read.0
}

/// The same module with other parameters, which are rounded to the type of each.
pub(crate) fn with_parameters<M: Module>(model: M, values: &[f64]) -> M {
    struct Write<'a>(&'a [f64]);
    impl ModuleMapper for Write<'_> {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (id, tensor, mapper) = param.consume();
            let shape = tensor.dims();
            let (these, left) = self.0.split_at(shape.iter().product());
            self.0 = left;
            let data = TensorData::new(these.to_vec(), shape);
            let tensor = Tensor::from_data(data, (&tensor.device(), tensor.dtype()));
            Param::from_mapped_value(id, tensor, mapper)
        }
    }
    model.map(&mut Write(values))
}
