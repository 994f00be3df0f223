//! Layers with a complex diagonal recurrence: the linear recurrent unit, and a discretised state-space model.

use super::diagonal::{Readout, complex_weight};
use super::layer::{Gates, LayerOperands, ScannedLayer, run_scan};
use crate::engine::Engine;
use bptt_cells::scanned as cells;
use bptt_kernels::ScanPlan;
use burn::Tensor;
use burn::module::{Module, Param};
use burn::tensor::DType;

/// One layer of an [`Lru`](super::Lru) in one direction.
///
/// ```text
/// λ = exp(-exp(ν) + i exp(θ))
/// h' = λ h + exp(γ) B x
/// y = Re(C h) + D x
/// ```
#[derive(Module, Debug)]
pub struct LruLayer {
    /// `ν`, `[H]`: the logarithm of the decay rate.
    pub nu_log: Param<Tensor<1>>,
    /// `θ`, `[H]`: the logarithm of the phase.
    pub theta_log: Param<Tensor<1>>,
    /// `γ`, `[H]`: the logarithm of the normalisation.
    pub gamma_log: Param<Tensor<1>>,
    /// The real part of `B`, `[H, I]`.
    pub weight_re: Param<Tensor<2>>,
    /// The imaginary part of `B`, `[H, I]`.
    pub weight_im: Param<Tensor<2>>,
    /// `C` and `D`.
    pub readout: Readout,
}

/// One layer of an [`S5`](super::S5) in one direction.
///
/// ```text
/// Λ = -exp(ρ) + i ω,  Δ = exp(δ)
/// λ = exp(Λ Δ)                             a zero-order hold over the step Δ
/// h' = λ h + Λ⁻¹ (λ - 1) B x
/// y = Re(C h) + D x
/// ```
#[derive(Module, Debug)]
pub struct S5Layer {
    /// `ρ`, `[H]`: the logarithm of the decay rate.
    pub rate_log: Param<Tensor<1>>,
    /// `ω`, `[H]`: the frequency.
    pub frequency: Param<Tensor<1>>,
    /// `δ`, `[H]`: the logarithm of the length of a step.
    pub step_log: Param<Tensor<1>>,
    /// The real part of `B`, `[H, I]`.
    pub weight_re: Param<Tensor<2>>,
    /// The imaginary part of `B`, `[H, I]`.
    pub weight_im: Param<Tensor<2>>,
    /// `C` and `D`.
    pub readout: Readout,
}

impl LruLayer {
    /// `λ_re λ_im γ_re γ_im`, `[4·H]`.
    fn constants(&self) -> Tensor<1> {
        let radius = self.nu_log.val().exp().neg().exp();
        let phase = self.theta_log.val().exp();
        let gamma = self.gamma_log.val().exp();
        let none = gamma.clone().detach().zeros_like();
        Tensor::cat(
            vec![radius.clone() * phase.clone().cos(), radius * phase.sin(), gamma, none],
            0,
        )
    }
}

impl S5Layer {
    /// `λ_re λ_im γ_re γ_im`, `[4·H]`, with `γ = (λ - 1) / Λ`.
    fn constants(&self) -> Tensor<1> {
        let (re, im) = (self.rate_log.val().exp().neg(), self.frequency.val());
        let step = self.step_log.val().exp();
        let radius = (re.clone() * step.clone()).exp();
        let phase = im.clone() * step;
        let (l_re, l_im) = (radius.clone() * phase.clone().cos(), radius * phase.sin());
        let from_one = l_re.clone().sub_scalar(1.0);
        let square = re.clone().powf_scalar(2.0) + im.clone().powf_scalar(2.0);
        let g_re = (from_one.clone() * re.clone() + l_im.clone() * im.clone()) / square.clone();
        let g_im = (l_im.clone() * re - from_one * im) / square;
        Tensor::cat(vec![l_re, l_im, g_re, g_im], 0)
    }
}

/// What both layers say in the same words.
macro_rules! scanned_layer {
    ($Layer:ident, $name:literal) => {
        impl ScannedLayer for $Layer {
            fn name(&self) -> &'static str {
                $name
            }

            fn d_input(&self) -> usize {
                self.weight_re.dims()[1]
            }

            fn d_state(&self) -> usize {
                2 * self.weight_re.dims()[0]
            }

            fn d_output(&self) -> usize {
                self.readout.d_output()
            }

            fn d_gates(&self) -> usize {
                self.d_state()
            }

            fn dtype(&self) -> DType {
                self.weight_re.dtype()
            }

            fn gates(&self, input: Tensor<3>) -> (Gates, Option<Tensor<1>>) {
                let weight = complex_weight(&self.weight_re, &self.weight_im);
                (Gates::Product { input, weight }, Some(self.constants()))
            }

            fn scan(&self, engine: Engine, operands: LayerOperands, plan: &ScanPlan) -> Tensor<3> {
                run_scan(cells::Diagonal, engine, operands, plan)
            }

            fn outputs(&self, states: Tensor<3>, input: Tensor<3>) -> Tensor<3> {
                self.readout.outputs(states, input)
            }

            fn output_is_state(&self) -> bool {
                false
            }
        }
    };
}
scanned_layer!(LruLayer, "lru");
scanned_layer!(S5Layer, "s5");
