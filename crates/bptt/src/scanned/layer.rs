//! What a layer of one cell computes besides the scan.

use crate::engine::Engine;
use bptt_cells::scanned::ScannedCell;
use bptt_kernels::{
    InputOperands, ScanOperands, ScanPlan, scan, scan_by_tensors, scan_of_input,
    scan_of_input_by_tensors,
};
use burn::Tensor;
use burn::module::{Module, ModuleDisplay, Param};
use burn::tensor::DType;

/// One layer in one direction, with its parameters. [`Scanned`](super::Scanned) stacks them. Implement it for a scanned
/// cell of your own.
///
/// Sequences are `[B, T, …]` or `[T, B, …]`; what is computed here does not depend on it.
pub trait ScannedLayer: Module + ModuleDisplay {
    /// The name in tables and messages.
    fn name(&self) -> &'static str;

    /// The size of its input, `I`.
    fn d_input(&self) -> usize;

    /// The size of its state, `S·H`.
    fn d_state(&self) -> usize;

    /// The size of its output, `O`.
    fn d_output(&self) -> usize;

    /// The size of its gates, `G·H`.
    fn d_gates(&self) -> usize;

    /// The type of the parameters.
    fn dtype(&self) -> DType;

    /// The gates of all steps, and the constants, `[K·H]`.
    fn gates(&self, input: Tensor<3>) -> (Gates, Option<Tensor<1>>);

    /// Runs the scan: [`run_scan`] with the layer's cell. A layer says it itself, so that the kernel is compiled where
    /// the layer is.
    fn scan(&self, engine: Engine, operands: LayerOperands, plan: &ScanPlan) -> Tensor<3>;

    /// The outputs `[B, T, O]`, from the states `[B, T, S·H]` and the input.
    fn outputs(&self, states: Tensor<3>, _input: Tensor<3>) -> Tensor<3> {
        states
    }

    /// Whether the outputs are the states.
    fn output_is_state(&self) -> bool {
        true
    }
}

/// The gates of all steps.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one for each layer, and it lives for a call"
)]
pub enum Gates {
    /// A product of an input, `x Wᵀ`, which is computed together with the scan.
    Product {
        /// `x`, `[B, T, I]`.
        input: Tensor<3>,
        /// `W`, `[G·H, I]`; `[(G - 1)·H, H]` if the last gate is the input itself.
        weight: Tensor<2>,
    },
    /// `[B, T, G·H]`.
    Given(Tensor<3>),
}

/// What goes into the scan of a layer.
#[derive(Clone, Debug)]
pub struct LayerOperands {
    /// The gates of all steps.
    pub gates: Gates,
    /// What is the same at all steps, `[K·H]`; `None` if the cell has no constants.
    pub constants: Option<Tensor<1>>,
    /// The state to start from, `[B, S·H]`.
    pub initial: Tensor<2>,
    /// The state that a reset sets, `[B, S·H]`; `None`: zeros.
    pub reset: Option<Tensor<2>>,
}

/// Runs a scan by an engine: one operation with a backward pass by hand, or tensor operations that Burn records.
///
/// # Panics
///
/// If the operands do not fit each other, or with [`Engine::Rtrl`].
pub fn run_scan<C: ScannedCell>(
    cell: C,
    engine: Engine,
    operands: LayerOperands,
    plan: &ScanPlan,
) -> Tensor<3> {
    let LayerOperands { gates, constants, initial, reset } = operands;
    match gates {
        Gates::Product { input, weight } => {
            let operands = InputOperands { input, weight, constants, initial, reset };
            match engine {
                Engine::Manual => scan_of_input(cell, operands, plan),
                Engine::Autograd => scan_of_input_by_tensors(cell, operands, plan),
                Engine::Rtrl => unreachable!("refused by `Scanned`"),
            }
        }
        Gates::Given(gates) => {
            let operands = ScanOperands { gates, constants, initial, reset };
            match engine {
                Engine::Manual => scan(cell, operands, plan),
                Engine::Autograd => scan_by_tensors(cell, operands, plan),
                Engine::Rtrl => unreachable!("refused by `Scanned`"),
            }
        }
    }
}

/// `x Wᵀ` of all steps, one product, for a weight `[n, I]`.
pub(super) fn product(input: Tensor<3>, weight: Tensor<2>) -> Tensor<3> {
    let [outer, inner, width] = input.dims();
    let [rows, _] = weight.dims();
    let product = input.reshape([outer * inner, width]).matmul(weight.transpose());
    product.reshape([outer, inner, rows])
}

/// A bias, or zeros for a layer without one.
pub(super) fn or_zeros(bias: &Option<Param<Tensor<1>>>, weight: &Tensor<2>) -> Tensor<1> {
    match bias {
        Some(bias) => bias.val(),
        None => Tensor::zeros([weight.dims()[0]], (&weight.device(), weight.dtype())),
    }
}
