//! Gradients of the scalar layer, by forward passes only.

use crate::problem::{Array, Problem};
use crate::scalar::complex::Complex;
use crate::scalar::dual::Dual;
use crate::scalar::layer::{ScalarLayer, Values, forward, loss};
use crate::scalar::number::Scalar;
use std::thread::{available_parallelism, scope};

/// The size of the complex step. Its square is far below the last digit of any value.
const STEP: f64 = 1e-20;

/// The inputs as constants.
pub fn constants<N: Scalar>(problem: &Problem) -> Values<N> {
    let list = |array: &Array| array.values.iter().copied().map(N::constant).collect();
    problem.given.iter().map(|(name, array)| (name.clone(), list(array))).collect()
}

/// The name and the index of every entry that has a gradient.
fn entries(problem: &Problem) -> Vec<(&str, usize)> {
    let given = problem.given.iter().filter(|(name, _)| !name.starts_with("cotangent."));
    given.flat_map(|(name, array)| (0..array.values.len()).map(|i| (name.as_str(), i))).collect()
}

/// `grad.NAME` for each input, from the derivatives in the order of [`entries`].
fn by_name<N>(problem: &Problem, derivatives: Vec<N>) -> Values<N> {
    let mut values = Values::new();
    for ((name, _), derivative) in entries(problem).into_iter().zip(derivatives) {
        values.entry(format!("grad.{name}")).or_insert_with(Vec::new).push(derivative);
    }
    values
}

// ANCHOR: complex
/// All results and all gradients. For each entry there is one run with a step of `1e-20 i`.
pub fn complex_step(cell: &dyn ScalarLayer<Complex>, problem: &Problem) -> Values<f64> {
    let run = |given: &Values<Complex>| forward(cell, &problem.options, given);
    let mut given = constants::<Complex>(problem);
    let derivative = |(name, i): (&str, usize)| {
        given.get_mut(name).expect("an entry of the problem")[i].0.im = STEP;
        let slope = loss(&run(&given), &given).0.im / STEP;
        given.get_mut(name).expect("an entry of the problem")[i].0.im = 0.0;
        slope
    };
    let derivatives = entries(problem).into_iter().map(derivative).collect();
    let results = run(&constants(problem)).into_iter();
    let real = |all: Vec<Complex>| all.iter().map(|x| x.0.re).collect();
    let mut all = by_name(problem, derivatives);
    all.extend(results.map(|(name, values)| (name, real(values))));
    all
}
// ANCHOR_END: complex

// ANCHOR: dual
/// All results and all gradients by dual numbers. Each run gives `K` columns of the Jacobian.
pub fn columns<N: Scalar + Send + Sync, const K: usize>(
    cell: &dyn ScalarLayer<Dual<N, K>>,
    problem: &Problem,
) -> Values<N> {
    let given = constants::<Dual<N, K>>(problem);
    let slopes = |chunk: &[(&str, usize)]| {
        let mut given = given.clone();
        for (k, &(name, i)) in chunk.iter().enumerate() {
            given.get_mut(name).expect("an entry of the problem")[i].slopes[k] = N::constant(1.0);
        }
        let results = forward(cell, &problem.options, &given);
        loss(&results, &given).slopes.into_iter().take(chunk.len()).collect::<Vec<_>>()
    };
    let entries = entries(problem);
    let chunks: Vec<_> = entries.chunks(K).collect();
    // The chunks are independent, so threads share them. The results stay in order.
    let threads = available_parallelism().map_or(1, usize::from);
    let share = chunks.len().div_ceil(threads).max(1);
    let derivatives = scope(|scope| {
        let parts: Vec<_> = chunks
            .chunks(share)
            .map(|part| scope.spawn(|| part.iter().flat_map(|c| slopes(c)).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("no panic in arithmetic")).collect()
    });
    let mut all = by_name(problem, derivatives);
    for (name, values) in forward(cell, &problem.options, &given) {
        all.insert(name, values.into_iter().map(|dual| dual.value).collect());
    }
    all
}
// ANCHOR_END: dual

/// `⟨gradient, v_k⟩` in `K` directions at once, for layers with too many columns.
pub fn directions<const K: usize>(
    cell: &dyn ScalarLayer<Dual<f64, K>>,
    problem: &Problem,
    directions: &[Values<f64>; K],
) -> [f64; K] {
    let mut given = constants::<Dual<f64, K>>(problem);
    for (k, direction) in directions.iter().enumerate() {
        for (name, values) in direction {
            let numbers = given.get_mut(name).expect("a tensor of the problem");
            numbers.iter_mut().zip(values).for_each(|(number, v)| number.slopes[k] = *v);
        }
    }
    loss(&forward(cell, &problem.options, &given), &given).slopes
}
