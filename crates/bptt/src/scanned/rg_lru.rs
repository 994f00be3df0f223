//! A layer of RG-LRU.

use super::layer::{Gates, LayerOperands, ScannedLayer, or_zeros, product, run_scan};
use crate::engine::Engine;
use bptt_cells::scanned as cells;
use bptt_kernels::ScanPlan;
use burn::Tensor;
use burn::module::{Module, Param};
use burn::tensor::{DType, activation};

/// `c`: the gate `r` is between 0 and 1, and `a` is `e^(-c softplus(Λ) r)`.
pub(super) const C: f64 = 8.0;

/// One layer of an [`RgLru`](super::RgLru) in one direction.
#[derive(Module, Debug)]
pub struct RgLruLayer {
    /// A projection of the input, `[H, I]`, if the input does not have the size of the state.
    pub weight_in: Option<Param<Tensor<2>>>,
    /// `W`, `[2·H, H]`, its rows in the order `r i`.
    pub weight_ih: Param<Tensor<2>>,
    /// `b`, `[2·H]`.
    pub bias_ih: Option<Param<Tensor<1>>>,
    /// `Λ`, `[H]`.
    pub lambda: Param<Tensor<1>>,
}

impl ScannedLayer for RgLruLayer {
    fn name(&self) -> &'static str {
        "rg-lru"
    }

    fn d_input(&self) -> usize {
        self.weight_in.as_ref().unwrap_or(&self.weight_ih).dims()[1]
    }

    fn d_state(&self) -> usize {
        self.lambda.dims()[0]
    }

    fn d_output(&self) -> usize {
        self.d_state()
    }

    fn d_gates(&self) -> usize {
        3 * self.d_state()
    }

    fn dtype(&self) -> DType {
        self.weight_ih.dtype()
    }

    fn gates(&self, input: Tensor<3>) -> (Gates, Option<Tensor<1>>) {
        let x = match &self.weight_in {
            Some(weight) => product(input, weight.val()),
            None => input,
        };
        let weight = self.weight_ih.val();
        let bias = or_zeros(&self.bias_ih, &weight);
        let decay = softplus(self.lambda.val()).mul_scalar(C);
        // The last gate is `x` itself.
        let gates = Gates::Product { input: x, weight };
        (gates, Some(Tensor::cat(vec![decay, bias], 0)))
    }

    fn scan(&self, engine: Engine, operands: LayerOperands, plan: &ScanPlan) -> Tensor<3> {
        run_scan(cells::RgLru, engine, operands, plan)
    }
}

/// `log(1 + e^x)`, without overflow: `max(x, 0) + log(1 + e^-|x|)`. The absolute value is made of the rectifier, such that
/// their slopes at zero add up to that of the function, 1/2.
fn softplus(x: Tensor<1>) -> Tensor<1> {
    let above = activation::relu(x.clone());
    let minus_abs = x - above.clone().mul_scalar(2.0);
    above + minus_abs.exp().log1p()
}
