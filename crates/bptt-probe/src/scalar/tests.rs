//! Compares the scalar layer with PyTorch, and its numbers with each other.

use super::*;
use crate::{case, reference};

/// `‖a − b‖ / ‖b‖`
fn error(a: impl Iterator<Item = f64>, b: &[f64]) -> f64 {
    let (mut off, mut norm) = (0.0, 0.0);
    for (a, b) in a.zip(b) {
        off += (a - b).powi(2);
        norm += b.powi(2);
    }
    (off / norm.max(1e-300)).sqrt()
}

#[test]
fn forward_is_pytorchs() {
    for problem in reference::built_in() {
        let options = &problem.options;
        let results = forward(&*real::<f64>(options), options, &constants(&problem));
        for (name, values) in results {
            let expected = &problem.expected[&name].values;
            assert_eq!(values.len(), expected.len(), "{} {name}", problem.name);
            let error = error(values.into_iter(), expected);
            assert!(error < 1e-14, "{} {name}: {error:e}", problem.name);
        }
    }
}

/// Forward, for the whole table: the real part of a complex number and the high half of a double-double are equal to
/// f64.
#[test]
fn all_numbers_give_the_same_outputs() {
    for case in case::table().into_iter().filter(|case| case.options.hidden_size < 10) {
        let problem = case.problem();
        let options = &problem.options;
        let plain = forward(&*real::<f64>(options), options, &constants(&problem));
        let same = |results: Vec<(String, Vec<f64>)>| {
            for (name, values) in results {
                let error = error(values.into_iter(), &plain[&name]);
                assert!(error < 1e-13, "{} {name}: {error:e}", problem.name);
            }
        };
        fn values<N: Scalar>(results: Values<N>) -> Vec<(String, Vec<f64>)> {
            let list = |all: Vec<N>| all.iter().map(Scalar::value).collect();
            results.into_iter().map(|(name, all)| (name, list(all))).collect()
        }
        let wide = real::<DoubleDouble>(options);
        same(values(forward(&*wide, options, &constants(&problem))));
        if let Some(complex) = analytic::<Complex>(options) {
            same(values(forward(&*complex, options, &constants(&problem))));
        }
        same(values(forward(&*real::<Dual<f64, 1>>(options), options, &constants(&problem))));
    }
}

/// The forward pass alone gives PyTorch's gradients.
#[test]
fn gradients_are_pytorchs() {
    for problem in reference::built_in() {
        let columns = columns(&*real::<Dual<f64, 8>>(&problem.options), &problem);
        for (name, expected) in &problem.expected {
            let error = error(columns[name].iter().copied(), &expected.values);
            assert!(error < 1e-13, "{} {name}: {error:e}", problem.name);
        }
    }
}

/// The derivative in a direction is the weighted sum of the columns. The complex step gives the same columns.
#[test]
fn complex_step_columns_and_directions_agree() {
    let problem = case::find("gru-reset-before-mask-held").expect("a case").problem();
    let options = &problem.options;
    let columns = columns(&*real::<Dual<f64, 5>>(options), &problem);
    let complex = complex_step(&*analytic(options).expect("a GRU is analytic"), &problem);
    let mut sum = 0.0;
    let mut direction = Values::new();
    for (name, values) in &columns {
        let error = error(complex[name].iter().copied(), values);
        assert!(error < 1e-14, "{name}: {error:e}");
        if let Some(name) = name.strip_prefix("grad.") {
            let v: Vec<f64> = (0..values.len()).map(|i| (i as f64 * 1.7).sin()).collect();
            sum += values.iter().zip(&v).map(|(g, v)| g * v).sum::<f64>();
            direction.insert(name.to_string(), v);
        }
    }
    let [along] = directions(&*real::<Dual<f64, 1>>(options), &problem, &[direction]);
    assert!((along - sum).abs() < 1e-13 * sum.abs(), "{along:e} is not {sum:e}");
}

#[test]
fn what_has_a_kink_is_not_analytic() {
    let analytic = |name: &str| {
        let case = case::find(name).expect("a case of the table");
        analytic::<Complex>(&case.options).is_some()
    };
    assert!(analytic("lstm-plain") && analytic("gru-plain") && analytic("rnn-tanh-plain"));
    assert!(!analytic("lstm-clip") && !analytic("rnn-relu-plain"));
}
