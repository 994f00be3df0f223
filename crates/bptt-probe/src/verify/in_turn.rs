//! One cell after the other.

use crate::device;
use crate::setting::DType;
use crate::verify::session::{Session, Target, Verification};
use crate::verify::witness::Request;
use bptt::LayerKind;

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

/// Runs the witnesses of a request, one after the other.
pub(super) fn verify(
    request: &Request,
    progress: &mut dyn FnMut(&str, Progress),
) -> Result<Verification, String> {
    let mut found = Verification::default();
    let mut comparisons = Vec::new();
    for &witness in &request.witnesses {
        comparisons.push((witness, witness.begin(request, &mut found)?));
    }
    for (nth_device, name) in request.devices.iter().enumerate() {
        device::check_kernel(name, request.kernel)?;
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
                    kernel: request.kernel,
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
