//! Comparison of gradients with independent witnesses.

mod complex_step;
mod devices;
mod double_double;
mod dual;
mod engines;
mod finite_difference;
mod kernels;
mod left_out;
mod parts;
mod pytorch;
mod rtrl;
pub(crate) mod session;
pub(crate) mod witness;

pub use devices::Devices;
pub use engines::Engines;
pub use left_out::LeftOut;
pub use session::{Implementation, Session, Verification};
pub use witness::{Comparison, Request, Witness};

use crate::device;
use crate::setting::DType;
use crate::verify::session::Target;
use bptt::LayerKind;

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

/// How far a verification is: one witness on one device in one type is about to compare.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The type.
    pub dtype: DType,
    /// The witness.
    pub witness: &'static str,
    /// The cell; `None`: all of the request, one after the other.
    pub cell: Option<LayerKind>,
    /// How many comparisons there are so far.
    pub compared: usize,
    /// How many parts are done: a device in one type, and if cells are verified side by side, one of them.
    pub done: usize,
    /// How many parts there are.
    pub total: usize,
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
        false => in_turn(request, progress),
    }
}

/// One cell after the other.
fn in_turn(
    request: &Request,
    progress: &mut dyn FnMut(&str, Progress),
) -> Result<Verification, String> {
    let mut found = Verification::default();
    let mut comparisons = Vec::new();
    for &witness in &request.witnesses {
        comparisons.push((witness, witness.begin(request, &mut found)?));
    }
    for (nth_device, name) in request.devices.iter().enumerate() {
        let device = device::open(name)?;
        for (nth_dtype, &dtype) in request.dtypes.iter().enumerate() {
            let target = Target { name: name.clone(), device: device.clone(), dtype };
            if !dtype.works_on(name, &device) {
                let text = format!("{} on {name}: it has no such type", dtype.name());
                found.skipped.push(text.into());
                continue;
            }
            for (witness, compare) in &mut comparisons {
                let done = Progress {
                    dtype,
                    witness: witness.name(),
                    cell: request.cell,
                    compared: found.rows.len(),
                    done: nth_device * request.dtypes.len() + nth_dtype,
                    total: request.devices.len() * request.dtypes.len(),
                };
                progress(name, done);
                compare(&mut Session {
                    cell: request.cell,
                    sabotage: request.sabotage,
                    witness: witness.name(),
                    tolerance: witness.tolerance(dtype, name),
                    target: &target,
                    found: &mut found,
                })?;
            }
        }
    }
    Ok(found)
}
