//! Compares with the reference kernel: the same engine by the reference body, on the same device in the same type.

use crate::setting::DType;
use crate::verify::engines::COARSE;
use crate::verify::session::{Session, Verification};
use crate::verify::witness::{Comparison, Request, Witness};
use bptt::Kernel;

/// The fast kernel against the reference body.
pub struct Kernels;

impl Witness for Kernels {
    fn name(&self) -> &'static str {
        "kernels"
    }

    fn help(&self) -> &'static str {
        "The manual engine's reference kernel, on the same device"
    }

    fn description(&self) -> &'static str {
        "the fast kernel against the reference body in plain tensor operations"
    }

    fn tolerance(&self, dtype: DType, _: &str) -> f64 {
        match dtype {
            DType::F64 => 1e-13,
            DType::F32 => 1e-5,
            // The reference body rounds each of its operations to 16 bits.
            DType::Bf16 | DType::F16 => COARSE * dtype.epsilon(),
        }
    }

    fn begin(&self, _: &Request, _: &mut Verification) -> Result<Comparison, String> {
        Ok(Box::new(compare))
    }
}

fn compare(session: &mut Session<'_>) -> Result<(), String> {
    if session.kernels_here().len() < 2 {
        session.skip("it has the reference alone");
        return Ok(());
    }
    for case in session.well_conditioned_cases() {
        let problem = case.problem();
        let fast = session.measure(&problem, Kernel::Auto)?;
        let reference = session.measure(&problem, Kernel::Reference)?;
        let first = session.row_count();
        session.compare(&problem, Kernel::Auto, (&fast, &reference));
        session.judge_by_condition(&problem, Some(&reference), first)?;
    }
    Ok(())
}
