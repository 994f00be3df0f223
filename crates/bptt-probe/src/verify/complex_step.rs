//! The scalar layer on complex numbers, at every entry of the tiny cases, in f64.

use crate::scalar;
use crate::setting::DType;
use crate::verify::session::{Session, Verification, outcome};
use crate::verify::witness::{Comparison, Request, Witness};

/// `Im loss(x + 1e-20 i) / 1e-20`
pub struct ComplexStep;

impl Witness for ComplexStep {
    fn name(&self) -> &'static str {
        "complex-step"
    }

    fn help(&self) -> &'static str {
        "Complex numbers: a step of 1e-20 i at every entry of the tiny cases with analytic cells"
    }

    fn description(&self) -> &'static str {
        "Im loss(x + 1e-20 i) / 1e-20, one run for each entry"
    }

    fn tolerance(&self, dtype: DType, _: &str) -> f64 {
        match dtype {
            DType::F64 => 1e-13,
            _ => 2e-6,
        }
    }

    fn begin(&self, _: &Request, _: &mut Verification) -> Result<Comparison, String> {
        Ok(Box::new(compare))
    }
}

fn compare(session: &mut Session<'_>) -> Result<(), String> {
    if !session.only_f64("it is exact in f64; double-double measures the other types") {
        return Ok(());
    }
    let (tiny, larger) = session.tiny_and_larger();
    let mut kinks = Vec::new();
    for case in tiny {
        let Some(cell) = scalar::analytic(&case.options) else {
            kinks.push(case);
            continue;
        };
        let problem = case.problem();
        let expected = outcome(&problem, &scalar::complex_step(&*cell, &problem));
        session.compare_all(&problem, &expected)?;
    }
    session.say_left_out(
        &kinks,
        "with a rectifier, a bound or a candidate that is made positive, they are not analytic; dual checks them",
    );
    session.say_left_out(&larger, "it takes a run for every entry; dual checks them");
    Ok(())
}
