//! Compares with the other engine: Burn's autograd of the same layer, on the same device in the same type.

use crate::setting::DType;
use crate::verify::session::{Session, Verification};
use crate::verify::witness::{Comparison, Request, Witness};
use bptt::Engine;

/// How many epsilons of a type with 16 bits two implementations may differ, of which one rounds each of its operations.
pub(super) const COARSE: f64 = 32.0;

/// Why the cases of rectifiers, and stacks of sLSTMs, are left out for some implementations.
pub(super) const WHY_NO_RECTIFIER: &str = "where each operation is rounded to 16 bits, a rectifier that is shut may \
     open, and exponentials enlarge errors";

/// The manual engine against the autograd engine.
pub struct Engines;

impl Witness for Engines {
    fn name(&self) -> &'static str {
        "engines"
    }

    fn help(&self) -> &'static str {
        "The other engine, on the same device"
    }

    fn description(&self) -> &'static str {
        "the other engine: the manual backward pass against Burn's autograd, same device"
    }

    fn tolerance(&self, dtype: DType, _: &str) -> f64 {
        match dtype {
            DType::F64 => 1e-12,
            DType::F32 => 2e-6,
            // The autograd engine rounds each of its operations to 16 bits.
            DType::Bf16 | DType::F16 => COARSE * dtype.epsilon(),
        }
    }

    fn begin(&self, _: &Request, _: &mut Verification) -> Result<Comparison, String> {
        Ok(Box::new(compare))
    }
}

fn compare(session: &mut Session<'_>) -> Result<(), String> {
    for case in session.well_conditioned_cases() {
        let problem = case.problem();
        let autograd = session.measure(&problem, Engine::Autograd)?;
        let first = session.row_count();
        for kernel in session.kernels_here() {
            let manual = session.measure(&problem, kernel)?;
            session.compare(&problem, kernel, (&manual, &autograd));
        }
        session.judge_by_condition(&problem, Some(&autograd), first)?;
    }
    Ok(())
}
