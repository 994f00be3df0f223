//! The scalar layer on dual numbers, in f64: at every entry of the tiny cases, and in random directions for the others.

use crate::case::Case;
use crate::problem::Problem;
use crate::scalar::{self, Dual, Values};
use crate::setting::DType;
use crate::verify::session::{Session, Verification, outcome};
use crate::verify::witness::{Comparison, Request, Witness};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, StandardNormal};

/// `x + d ε` with `ε² = 0`
pub struct DualNumbers;

/// How many derivatives are computed at once.
const COLUMNS: usize = 16;

/// How many random directions are used for a tensor with too many entries.
const DIRECTIONS: usize = 4;

impl Witness for DualNumbers {
    fn name(&self) -> &'static str {
        "dual"
    }

    fn help(&self) -> &'static str {
        "Dual numbers: every entry of the tiny cases, random directions in the others"
    }

    fn description(&self) -> &'static str {
        "dual numbers: each column of the Jacobian, or random directions where they are many"
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
    for case in tiny {
        let problem = case.problem();
        let cell = scalar::real::<Dual<f64, COLUMNS>>(&case.options);
        let expected = outcome(&problem, &scalar::columns(&*cell, &problem));
        session.compare_all(&problem, &expected)?;
    }
    // The tolerance is for moderate inputs, because `s (1 - s)` of a saturated gate loses digits in f64 in every
    // implementation.
    let is_saturated = |case: &Case| case.gain > 1.0;
    let (saturated, larger): (Vec<_>, Vec<_>) = larger.into_iter().partition(is_saturated);
    for case in larger {
        let first = session.row_count();
        let problem = case.problem();
        directions(session, &problem)?;
        // Only long cases may have a tolerance that is widened by their condition number.
        if case.options.time >= 400 {
            session.judge_by_condition(&problem, None, first)?;
        }
    }
    session.say_left_out(&saturated, "its tolerance is for gates that do not saturate");
    Ok(())
}

/// `⟨u, J v⟩ = ⟨Jᵀ u, v⟩`, tensor by tensor, for random normal `v`.
///
/// The mean of `⟨g − g*, v⟩²` over normal `v` is `‖g − g*‖²`, so the reported number estimates the norm-relative error.
fn directions(session: &mut Session<'_>, problem: &Problem) -> Result<(), String> {
    let all = session.all_implementations();
    let measured =
        all.iter().map(|&by| session.measure(problem, by)).collect::<Result<Vec<_>, _>>()?;
    let cell = scalar::real::<Dual<f64, DIRECTIONS>>(&problem.options);
    let mut rng = StdRng::seed_from_u64(1);
    for (name, array) in problem.given.iter().filter(|(n, _)| !n.starts_with("cotangent.")) {
        let directions: [Values<f64>; DIRECTIONS] = std::array::from_fn(|_| {
            let v = array.values.iter().map(|_| StandardNormal.sample(&mut rng)).collect();
            Values::from([(name.clone(), v)])
        });
        let forwards = scalar::directions(&*cell, problem, &directions);
        for (&by, measured) in all.iter().zip(&measured) {
            let tensor = format!("grad.{name}");
            let gradient = &measured[&tensor].values;
            let off =
                |(v, forwards): (&Values<f64>, f64)| (dot(gradient, &v[name]) - forwards).powi(2);
            let off = directions.iter().zip(forwards).map(off).sum::<f64>();
            let off = (off / DIRECTIONS as f64).sqrt();
            let error = off / dot(gradient, gradient).sqrt().max(f64::MIN_POSITIVE);
            let error = if error.is_nan() { f64::INFINITY } else { error };
            session.add_row(problem, by, (tensor, error, array.values.len()));
        }
    }
    Ok(())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
