//! The true value to 30 digits: the scalar layer on dual numbers of double-doubles, at every entry of the
//! tiny cases.

use crate::problem::{Array, Problem};
use crate::report::kernel_name;
use crate::scalar::{self, DoubleDouble, Dual, Scalar, Values};
use crate::setting::DType;
use crate::ulp::{Ulps, ulp};
use crate::verify::engines::{COARSE, WHY_NO_RECTIFIER};
use crate::verify::pytorch::Pytorch;
use crate::verify::session::{Implementation, Session, Verification};
use crate::verify::witness::{Comparison, Request, Witness};
use bptt::LayerKind;
use std::collections::BTreeMap;

/// Compares each engine, kernel and type with the true value, computed from exactly the numbers that the device is
/// given.
pub struct TrueValue;

/// How many derivatives are computed at once.
const COLUMNS: usize = 16;

/// True gradients by case and type. They are kept because they are the same for all devices.
type Truths = BTreeMap<(String, &'static str), Values<DoubleDouble>>;

impl Witness for TrueValue {
    fn name(&self) -> &'static str {
        "double-double"
    }

    fn help(&self) -> &'static str {
        "The true value to 30 digits, at every entry of the tiny cases; gives errors in ulp"
    }

    fn description(&self) -> &'static str {
        "the true value to 30 digits: dual numbers over double-doubles"
    }

    fn tolerance(&self, dtype: DType, device: &str) -> f64 {
        match dtype {
            DType::F64 => 1e-13,
            // The same tolerance as for PyTorch in f64, whose values are exact enough to count as true in f32.
            DType::F32 => Pytorch.tolerance(dtype, device),
            // Half an epsilon for a result that is rounded once. The gradient of an input that both directions read
            // is a sum of two rounded gradients, which is rounded again.
            DType::Bf16 | DType::F16 => dtype.epsilon(),
        }
    }

    fn begin(&self, _: &Request, _: &mut Verification) -> Result<Comparison, String> {
        let mut truths = Truths::new();
        Ok(Box::new(move |session| compare(session, &mut truths)))
    }
}

fn compare(session: &mut Session<'_>, truths: &mut Truths) -> Result<(), String> {
    let (tiny, larger) = session.tiny_and_larger();
    let dtype = session.dtype();
    let mut rectified = Vec::new();
    for case in tiny {
        let mut problem = case.problem();
        problem.round_to(dtype);
        let truth = truths.entry((case.name.clone(), dtype.name())).or_insert_with(|| {
            let cell = scalar::real::<Dual<DoubleDouble, COLUMNS>>(&case.options);
            scalar::columns(&*cell, &problem)
        });
        let first = session.row_count();
        for by in session.all_implementations() {
            if !session.can_compare(&case, by) {
                rectified.push(case.clone());
                continue;
            }
            session.tolerance = tolerance(session, case.options.cell, by);
            let measured = session.measure(&problem, by)?;
            for (tensor, truth) in truth.iter() {
                let error = in_ulps(session, &problem, by, tensor, (&measured[tensor], truth));
                session.add_row(&problem, by, (tensor.clone(), error, truth.len()));
            }
        }
        if dtype != DType::F64 {
            session.judge_by_condition(&case.problem(), None, first)?;
        }
    }
    rectified.dedup_by(|a, b| a.name == b.name);
    session.say_left_out(&rectified, WHY_NO_RECTIFIER);
    session.say_left_out(&larger, "it takes too long; dual checks them in f64");
    Ok(())
}

/// The tolerance of an implementation.
fn tolerance(session: &Session<'_>, cell: LayerKind, by: Implementation) -> f64 {
    let dtype = session.dtype();
    match session.rounds_each_operation(cell, by) {
        true => COARSE * dtype.epsilon(),
        false => TrueValue.tolerance(dtype, session.device_name()),
    }
}

/// Records the error of each entry in units in the last place. Returns the norm-relative error.
fn in_ulps(
    session: &mut Session<'_>,
    problem: &Problem,
    Implementation { engine, kernel }: Implementation,
    tensor: &str,
    (measured, truth): (&Array, &[DoubleDouble]),
) -> f64 {
    let (device, dtype) = (session.device_name().to_string(), session.dtype());
    let ulps = Ulps::of(
        session.ulps(),
        [&device, dtype.name(), engine.name(), kernel_name(engine, kernel)],
    );
    let norm = |all: &[f64]| all.iter().map(|x| x * x).sum::<f64>().sqrt();
    let values: Vec<f64> = truth.iter().map(Scalar::value).collect();
    let floor = norm(&values) / (values.len() as f64).sqrt();
    let off: Vec<f64> = (measured.values.iter().zip(truth))
        .map(|(&measured, truth)| (DoubleDouble::new(measured) - truth).value())
        .collect();
    for (i, (off, value)) in off.iter().zip(&values).enumerate() {
        let unit = ulp(dtype, value.abs().max(floor));
        ulps.add(off.abs() / unit, || format!("{} {tensor}[{i}]", problem.name));
    }
    let error = norm(&off) / norm(&values).max(1e-30);
    if error.is_nan() || measured.values.len() != truth.len() { f64::INFINITY } else { error }
}
