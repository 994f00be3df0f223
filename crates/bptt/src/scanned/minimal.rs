//! Layers of minGRU and minLSTM.

use super::layer::{Gates, LayerOperands, ScannedLayer, or_zeros, run_scan};
use crate::engine::Engine;
use bptt_cells::scanned as cells;
use bptt_kernels::ScanPlan;
use burn::Tensor;
use burn::module::{Module, Param};
use burn::tensor::DType;

/// Declares a layer with one weight and one bias.
macro_rules! layer {
    ($(#[$meta:meta])* $Layer:ident, $gates:literal, $name:literal, $Cell:ident, $rows:literal) => {
        $(#[$meta])*
        #[derive(Module, Debug)]
        pub struct $Layer {
            #[doc = concat!("`W`, `[", $gates, "·H, I]`, its rows in the order `", $rows, "`.")]
            pub weight_ih: Param<Tensor<2>>,
            #[doc = concat!("`b`, `[", $gates, "·H]`.")]
            pub bias_ih: Option<Param<Tensor<1>>>,
            pub(super) log_space: bool,
        }

        impl $Layer {
            /// Whether the candidate is made positive.
            pub fn is_log_space(&self) -> bool {
                self.log_space
            }
        }

        impl ScannedLayer for $Layer {
            fn name(&self) -> &'static str {
                $name
            }

            fn d_input(&self) -> usize {
                self.weight_ih.dims()[1]
            }

            fn d_state(&self) -> usize {
                self.weight_ih.dims()[0] / $gates
            }

            fn d_output(&self) -> usize {
                self.d_state()
            }

            fn d_gates(&self) -> usize {
                self.weight_ih.dims()[0]
            }

            fn dtype(&self) -> DType {
                self.weight_ih.dtype()
            }

            fn gates(&self, input: Tensor<3>) -> (Gates, Option<Tensor<1>>) {
                let weight = self.weight_ih.val();
                let bias = or_zeros(&self.bias_ih, &weight);
                (Gates::Product { input, weight }, Some(bias))
            }

            fn scan(&self, engine: Engine, operands: LayerOperands, plan: &ScanPlan) -> Tensor<3> {
                match self.log_space {
                    false => run_scan(cells::$Cell::<false>, engine, operands, plan),
                    true => run_scan(cells::$Cell::<true>, engine, operands, plan),
                }
            }
        }
    };
}

layer! {
    /// One layer of a [`MinGru`](super::MinGru) in one direction.
    MinGruLayer, 2, "mingru", MinGru, "h z"
}

layer! {
    /// One layer of a [`MinLstm`](super::MinLstm) in one direction.
    MinLstmLayer, 3, "minlstm", MinLstm, "h f i"
}
