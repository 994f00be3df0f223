//! Parameters that are drawn when a module is made.

use burn::Tensor;
use burn::module::{Module, ModuleVisitor, Param};

/// Draws all parameters of a module now, in their order. Burn draws each of them at its first use, and then a seed
/// would give other numbers when another one is used first.
pub(crate) fn drawn<M: Module>(module: M) -> M {
    struct Draw;
    impl ModuleVisitor for Draw {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let _ = param.val();
        }
    }
    module.visit(&mut Draw);
    module
}
