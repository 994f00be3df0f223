//! Scans: a linear recurrence `h_t = a_t ⊙ h_{t-1} + b_t` over a whole sequence, whose coefficients a [`ScannedCell`]
//! computes from its gates. In host memory a kernel runs it (`host/scan/`); on other backends, tensor operations do in
//! `log T` rounds (`tensors.rs`). With autodiff it is one node on the tape (`autodiff.rs`), whose backward pass is a scan
//! as well.
//!
//! Where the gates are a product of the input, the product can be a part of the operation (`input.rs`): in host memory, it
//! is computed block by block with the scan (`host/scan/input/`).

mod autodiff;
mod backends;
#[cfg(feature = "host")]
mod host;
#[cfg(feature = "host")]
mod input;
mod plan;
mod run;
mod tensor_number;
mod tensors;

pub use plan::{InputOperands, ScanOperands, ScanPlan};

use crate::scan::plan::Checked;
use bptt_cells::scanned::ScannedCell;
use burn::Tensor;

/// Runs a scan over a whole sequence: the manual engine's operation. On a device with autodiff it is one node on the
/// tape, with a gradient for each operand that is tracked.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt_cells::scanned::Given;
/// use bptt_kernels::{ScanOperands, ScanPlan, scan};
/// use burn::tensor::{Device, Tensor};
///
/// // One row and one unit: the gates are a and b.
/// let device = Device::flex();
/// let gates = Tensor::<3>::from_data([[[0.5, 1.0]], [[0.5, 0.0]], [[1.0, 3.0]]], &device);
/// let initial = Tensor::<2>::from_data([[4.0]], &device);
/// let operands = ScanOperands { gates, constants: None, initial, reset: None };
///
/// let states = scan(Given, operands, &ScanPlan::new());
/// assert_eq!(states.into_data().iter::<f32>().collect::<Vec<_>>(), [3.0, 1.5, 4.5]);
/// # }
/// ```
///
/// # Returns
///
/// The states after all steps, `[T, B, S·H]`, or `[B, T, S·H]` if the plan is batch first. At a masked step it is the
/// state that is held.
///
/// # Panics
///
/// If the operands do not fit each other; the message names the shapes. If they are on a backend whose feature of this
/// crate is off.
pub fn scan<C: ScannedCell>(cell: C, operands: ScanOperands, plan: &ScanPlan) -> Tensor<3> {
    let checked = Checked::of::<C>(&operands, plan);
    backends::run(cell, operands, checked)
}

/// The same by plain tensor operations, which Burn records and differentiates one by one: the autograd engine's form.
/// It takes `O(T log T)` operations on numbers, in `log T` rounds.
///
/// # Panics
///
/// If the operands do not fit each other; the message names the shapes.
pub fn scan_by_tensors<C: ScannedCell>(
    cell: C,
    operands: ScanOperands,
    plan: &ScanPlan,
) -> Tensor<3> {
    let checked = Checked::of::<C>(&operands, plan);
    tensors::forward(&cell, &operands, &checked)
}

/// Runs a scan whose gates are a product of the input, `x Wᵀ`. In host memory, product and scan are one operation and one
/// node on the tape, in which the gates stay in the cache (`host/scan/input/`); in other memory, a product of Burn's and
/// [`scan`].
///
/// # Returns
///
/// The states after all steps, `[T, B, S·H]`, as [`scan`] with those gates, to rounding.
///
/// # Panics
///
/// As [`scan`].
pub fn scan_of_input<C: ScannedCell>(
    cell: C,
    operands: InputOperands,
    plan: &ScanPlan,
) -> Tensor<3> {
    let checked = Checked::of_input::<C>(&operands, plan);
    backends::run_of_input(cell, operands, checked)
}

/// The same by plain tensor operations, as [`scan_by_tensors`].
///
/// # Panics
///
/// As [`scan`].
pub fn scan_of_input_by_tensors<C: ScannedCell>(
    cell: C,
    operands: InputOperands,
    plan: &ScanPlan,
) -> Tensor<3> {
    let checked = Checked::of_input::<C>(&operands, plan);
    let operands = operands.with_gates(C::GATES * checked.hidden);
    tensors::forward(&cell, &operands, &checked)
}
