//! Compares all devices with one: each device and type, by both engines, with flex in f64 on the same numbers.

use crate::device;
use crate::measure::{Outcome, measure};
use crate::problem::Problem;
use crate::report::DEVICES;
use crate::setting::{DType, Setting};
use crate::verify::engines::{COARSE, WHY_NO_RECTIFIER};
use crate::verify::pytorch::Pytorch;
use crate::verify::session::{Session, Verification};
use crate::verify::witness::{Comparison, Request, Witness};
use bptt::{Engine, Kernel};
use burn::tensor::Device;
use std::collections::BTreeMap;

/// A link between the CPU and the GPU. On a device without f64, most other witnesses compare nothing, or compare within
/// the device.
pub struct Devices;

/// The device that all are compared with.
const REFERENCE: &str = "flex";

/// What the reference computes, by case and type. It is kept because it is the same for all devices.
type References = BTreeMap<(String, &'static str), Outcome>;

impl Witness for Devices {
    fn name(&self) -> &'static str {
        DEVICES
    }

    fn help(&self) -> &'static str {
        "Flex in f64 on the same numbers, for each device and type: links the CPU and the GPU"
    }

    fn description(&self) -> &'static str {
        "flex in f64 on the same numbers: each device and type, by both engines"
    }

    fn tolerance(&self, dtype: DType, device: &str) -> f64 {
        match dtype {
            DType::F64 => 1e-12,
            // As for PyTorch in f64. Both have values that are exact enough to count as true in f32.
            DType::F32 => Pytorch.tolerance(dtype, device),
            // The autograd engine rounds each of its operations to 16 bits.
            DType::Bf16 | DType::F16 => COARSE * dtype.epsilon(),
        }
    }

    fn begin(&self, _: &Request, found: &mut Verification) -> Result<Comparison, String> {
        let reference = match device::open(REFERENCE) {
            Ok(device) => device,
            Err(why) => {
                found.skipped.push(format!("{}: {why}", self.name()).into());
                return Ok(Box::new(|_| Ok(())));
            }
        };
        let mut kept = References::new();
        Ok(Box::new(move |session| compare(session, &reference, &mut kept)))
    }
}

fn compare(
    session: &mut Session<'_>,
    reference: &Device,
    kept: &mut References,
) -> Result<(), String> {
    let dtype = session.dtype();
    let mut rectified = Vec::new();
    for case in session.cases() {
        let mut problem = case.problem();
        if dtype != DType::F64 {
            problem.round_to(dtype);
        }
        let key = (case.name.clone(), dtype.name());
        if !kept.contains_key(&key) {
            kept.insert(key.clone(), of_reference(&problem, reference)?);
        }
        let expected = &kept[&key];
        let first = session.row_count();
        for engine in Engine::BACKWARD {
            if !session.can_compare(&case, engine) {
                rectified.push(case.clone());
                continue;
            }
            // The manual engine on flex in f64 is the reference. Beside itself it would show nothing.
            let is_reference = session.device_name() == REFERENCE
                && (dtype, engine) == (DType::F64, Engine::Manual)
                && !session.is_sabotaged();
            if !is_reference {
                let measured = session.measure(&problem, engine)?;
                session.compare(&problem, engine, (&measured, expected));
            }
        }
        if dtype != DType::F64 {
            // The device may have no f64, and the condition number is the same on each.
            session.judge_by_condition_on(reference, &case.problem(), None, first)?;
        }
    }
    rectified.dedup_by(|a, b| a.name == b.name);
    session.say_left_out(&rectified, WHY_NO_RECTIFIER);
    Ok(())
}

/// Outputs, final states and every gradient, by the manual engine in f64. Its cells are never sabotaged.
fn of_reference(problem: &Problem, device: &Device) -> Result<Outcome, String> {
    let (engine, kernel, device) = (Engine::Manual, Kernel::Auto, device.clone());
    measure(problem, &Setting { engine, kernel, device, dtype: DType::F64 })
}
