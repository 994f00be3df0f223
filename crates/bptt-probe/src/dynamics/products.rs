//! Products of Jacobians along a trajectory, over spans of steps.

use crate::dynamics::matrix::Matrix;
use crate::dynamics::singular::singular_values;
use crate::dynamics::system::System;

/// The product of the Jacobians of some steps.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanProduct {
    /// How many steps.
    pub span: usize,
    /// `log10` of its singular values, descending. NaN for those that are smaller than 1e-14 of the largest: they are
    /// rounding.
    pub log10_singular_values: Vec<f64>,
}

/// Singular values below this share of the largest are rounding.
const ROUNDING: f64 = 1e-14;

/// The products over 1, 2, 4, … steps, as far as there are steps, and over all steps, from one state on. The largest
/// singular value of a product is how much it can lengthen a gradient on its way back over these steps.
///
/// `time` is the time of the first step.
///
/// # Errors
///
/// One line, if a product is not finite.
pub fn span_products(
    system: &mut dyn System,
    time: usize,
    state: &[f64],
    steps: usize,
) -> Result<Vec<SpanProduct>, String> {
    let size = state.len();
    let mut bundle = Matrix::from_fn(1 + size, size, |row, column| match row {
        0 => state[column],
        _ if row == column + 1 => 1.0,
        _ => 0.0,
    });
    let mut log = 0.0;
    let mut products = Vec::new();
    for span in 1..=steps {
        system.step(time + span - 1, &mut bundle);
        let largest = bundle.values()[size..].iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        // So no product gets too large or too small for a number.
        if largest > 0.0 && largest.is_finite() {
            log += largest.log10();
            bundle.values_mut()[size..].iter_mut().for_each(|x| *x /= largest);
        }
        if span.is_power_of_two() || span == steps {
            let values = singular_values(&bundle.rows_of(1..1 + size))?;
            let kept = |x: &f64| if *x > ROUNDING * values[0] { x.log10() + log } else { f64::NAN };
            products.push(SpanProduct {
                span,
                log10_singular_values: values.iter().map(kept).collect(),
            });
        }
    }
    Ok(products)
}

/// How much a number of the state depends on itself some steps before: `∂s_i(t + k) / ∂s_i(t)` for `k = 0, 1, …, steps`
/// and each of the given places `i`, `[steps + 1][places]`. All paths count: those along the memory, and those through
/// other units.
///
/// `time` is the time of the first step.
pub fn own_derivatives(
    system: &mut dyn System,
    time: usize,
    state: &[f64],
    places: &[usize],
    steps: usize,
) -> Vec<Vec<f64>> {
    let mut bundle = Matrix::from_fn(1 + places.len(), state.len(), |row, column| match row {
        0 => state[column],
        _ if places[row - 1] == column => 1.0,
        _ => 0.0,
    });
    let own = |bundle: &Matrix| -> Vec<f64> {
        places.iter().enumerate().map(|(k, place)| bundle.row(1 + k)[*place]).collect()
    };
    let mut all = vec![own(&bundle)];
    for step in 0..steps {
        system.step(time + step, &mut bundle);
        all.push(own(&bundle));
    }
    all
}
