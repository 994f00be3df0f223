//! Comparison of gradients with independent witnesses.

mod complex_step;
mod devices;
mod double_double;
mod dual;
mod engines;
mod finite_difference;
mod in_turn;
mod kernels;
mod left_out;
mod parts;
mod pytorch;
mod rtrl;
pub(crate) mod session;
pub(crate) mod witness;

pub use devices::Devices;
pub use engines::Engines;
pub use in_turn::Progress;
pub use left_out::LeftOut;
pub use session::{Implementation, Session, Verification};
pub use witness::{Comparison, Request, Witness};

use crate::device;

/// All witnesses, in the order in which they run. A new one is a file and a line here.
pub static WITNESSES: &[&dyn Witness] = &[
    &engines::Engines,
    &kernels::Kernels,
    &finite_difference::FiniteDifference,
    &pytorch::Pytorch,
    &complex_step::ComplexStep,
    &dual::DualNumbers,
    &double_double::TrueValue,
    &rtrl::RealTime,
    &devices::Devices,
];

/// The witness with this name.
pub fn find(name: &str) -> Option<&'static dyn Witness> {
    WITNESSES.iter().copied().find(|witness| witness.name() == name)
}

/// Runs the witnesses of a request.
///
/// # Errors
///
/// One line, if a device or the reference folder cannot be used.
pub fn verify(request: &Request) -> Result<Verification, String> {
    verify_with(request, &mut |_, _| ())
}

/// As [`verify`], and says how far it is before each witness begins.
///
/// If all devices are in host memory, several cells are verified at the same time, one on each core. The results are those
/// of one after the other, in the same order.
///
/// # Errors
///
/// As [`verify`].
pub fn verify_with(
    request: &Request,
    progress: &mut dyn FnMut(&str, Progress),
) -> Result<Verification, String> {
    let on_host = request.devices.iter().all(|name| device::is_host(name));
    // The files of a folder are read once, for all cells.
    match on_host && request.cell.is_none() && request.reference.is_none() {
        true => parts::verify(request, progress),
        false => in_turn::verify(request, progress),
    }
}
