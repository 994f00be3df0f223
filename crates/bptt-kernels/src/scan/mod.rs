//! Scans: a linear recurrence `h_t = a_t ⊙ h_{t-1} + b_t` over a whole sequence, whose coefficients a [`ScannedCell`]
//! computes from its gates. In host memory a kernel runs it (`host/scan/`); on other backends, tensor operations do in
//! `log T` rounds (`tensors.rs`). With autodiff it is one node on the tape (`autodiff.rs`), whose backward pass is a scan
//! as well.

mod autodiff;
mod backends;
#[cfg(feature = "host")]
mod host;
mod plan;
mod run;
mod tensor_number;
mod tensors;

pub use plan::{ScanOperands, ScanPlan};

use crate::scan::plan::Checked;
use bptt_cells::scanned::ScannedCell;
use burn::Tensor;

/// Runs a scan over a whole sequence: the manual engine's operation. On a device with autodiff it is one node on the
/// tape, with a gradient for each operand that is tracked.
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
