//! Fixed points of systems for which they are known.

use crate::dynamics::{normal, random_matrix};
use bptt::CellKind;
use bptt_probe::dynamics::fixed_points::{
    Found, Kind, Settings, find, speed_and_gradient, time_constant,
};
use bptt_probe::dynamics::{
    LayerNumbers, Matrix, Network, System, eigenvalues, jacobian, random_weights,
};
use burn::tensor::Device;
use rand::SeedableRng;
use rand::rngs::StdRng;

fn found(system: &mut dyn System, visited: &Matrix, settings: &Settings) -> Found {
    let mut told = 0;
    let found = find(system, visited, settings, &Device::flex(), &mut |done| told = done);
    assert_eq!(told, settings.starts);
    let found = found.expect("a system that fits");
    // What is called fixed is fixed, to rounding.
    for point in &found.fixed {
        let (speed, _) = speed_and_gradient(system, &point.state);
        assert!(speed < 1e-20 && speed == point.speed, "{speed} {}", point.speed);
    }
    found
}

/// `h' = tanh(U h + b)`
fn network(weight_hh: Matrix, bias: &[f64]) -> Network {
    let mut numbers = LayerNumbers::autonomous(weight_hh);
    numbers.bias_ih = bias.to_vec();
    Network::from_numbers(&CellKind::Rnn.default_cell(), &[numbers], None, &Device::flex())
}

fn kinds(found: &Found) -> Vec<(Kind, usize)> {
    found.fixed.iter().map(|point| (point.kind, point.unstable)).collect()
}

fn assert_close(found: f64, expected: f64, allowed: f64) {
    assert!((found - expected).abs() <= allowed, "{found}, not {expected}");
}

#[test]
fn one_unit_has_one_point_or_three() {
    let visited = Matrix::from_values(4, 1, vec![-1.0, -0.2, 0.3, 1.0]);
    // With this weight, h = 1/2 is a point.
    let weight = 0.5_f64.atanh() / 0.5;
    let mut unit = network(Matrix::from_values(1, 1, vec![weight]), &[0.0]);
    let three = found(&mut unit, &visited, &Settings::default());
    assert_eq!(kinds(&three), [(Kind::Stable, 0), (Kind::Stable, 0), (Kind::Unstable, 1)]);
    let mut points: Vec<_> = three.fixed.iter().map(|p| (p.state[0], p.eigenvalues[0])).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    for ((h, z), expected) in points.into_iter().zip([-0.5, 0.0, 0.5]) {
        assert_close(h, expected, 1e-9);
        assert_close(z.0, weight * (1.0 - expected * expected), 1e-9);
        assert_eq!(z.1, 0.0);
    }
    let constant = three.fixed[0].time_constants()[0];
    assert_close(constant, -1.0 / (weight * 0.75).ln(), 1e-7);
    assert_eq!((three.slow.len(), three.neither), (0, 0));
    assert_eq!(three.fixed.iter().map(|point| point.found).sum::<usize>(), 512);

    let mut unit = network(Matrix::from_values(1, 1, vec![0.5]), &[0.0]);
    let one = found(&mut unit, &visited, &Settings::default());
    assert_eq!(kinds(&one), [(Kind::Stable, 0)]);
    assert_close(one.fixed[0].state[0], 0.0, 1e-11);
    assert_close(one.fixed[0].time_constants()[0], 1.0 / 2.0_f64.ln(), 1e-9);

    // Where the three points meet, the linear part does not decide.
    let mut unit = network(Matrix::from_values(1, 1, vec![1.0]), &[0.0]);
    let meeting = found(&mut unit, &visited, &Settings::default());
    assert!(meeting.fixed.iter().all(|point| point.kind == Kind::Marginal && point.marginal == 1));
    assert!(!meeting.fixed.is_empty());
    // h - tanh h is h³/3, so q is as small as this within 0.001 of zero.
    assert!(meeting.fixed.iter().all(|point| point.state[0].abs() < 1e-3));
}

/// Units with two memories each: `2^k` stable points, and `C(k, m) 2^(k-m)` with `m` unstable directions, where `m` units
/// are at zero. The coordinates are mixed, so that no unit of the network is one of these.
#[test]
fn independent_memories_have_saddles_between_them_known_in_number() {
    for (k, expected) in [(2, vec![4, 4, 1]), (3, vec![8, 12, 6, 1])] {
        /// The units in other coordinates: `s = M u`.
        struct Mixed {
            units: Network,
            mix: Matrix,
            back: Matrix,
        }
        fn times(matrix: &Matrix, rows: &Matrix) -> Matrix {
            Matrix::from_fn(rows.rows(), matrix.rows(), |r, i| {
                matrix.row(i).iter().zip(rows.row(r)).map(|(a, b)| a * b).sum()
            })
        }
        impl System for Mixed {
            fn size(&self) -> usize {
                self.units.size()
            }
            fn step(&mut self, time: usize, bundle: &mut Matrix) {
                let mut units = times(&self.back, bundle);
                self.units.step(time, &mut units);
                *bundle = times(&self.mix, &units);
            }
        }
        let weights = [1.5, 1.7, 2.0];
        let diagonal = Matrix::from_fn(k, k, |i, j| if i == j { weights[i] } else { 0.0 });
        // A shear and its inverse.
        let mix = Matrix::from_fn(k, k, |i, j| match j {
            _ if i == j => 1.0,
            0 => 0.4,
            _ => 0.0,
        });
        let back = Matrix::from_fn(k, k, |i, j| match j {
            _ if i == j => 1.0,
            0 => -0.4,
            _ => 0.0,
        });
        let mut system = Mixed { units: network(diagonal, &vec![0.0; k]), mix, back };
        // Near the memories alone, as a trained network is.
        let visited = Matrix::from_fn(1 << k, k, |row, i| {
            let sign = |i: usize| if row >> i & 1 == 1 { 0.9 } else { -0.9 };
            if i == 0 { sign(0) } else { sign(i) + 0.4 * sign(0) }
        });
        let settings = Settings { starts: 600, ..Settings::default() };
        let all = found(&mut system, &visited, &settings);
        let mut counts = vec![0; k + 1];
        all.fixed.iter().for_each(|point| counts[point.unstable] += 1);
        assert_eq!(counts, expected);
        for point in &all.fixed {
            let kind = match point.unstable {
                0 => Kind::Stable,
                m if m == k => Kind::Unstable,
                _ => Kind::Saddle,
            };
            assert_eq!(point.kind, kind);
            // At zero, the eigenvalue of a unit is its weight.
            let units = times(&system.back, &Matrix::from_values(1, k, point.state.clone()));
            let at_zero = (0..k).filter(|i| units.row(0)[*i].abs() < 1e-9);
            let mut expected: Vec<_> = at_zero.map(|i| weights[i]).collect();
            expected.sort_by(|a, b| b.total_cmp(a));
            for (z, weight) in point.eigenvalues.iter().zip(&expected) {
                assert_close(z.0, *weight, 1e-7);
            }
        }
    }
}

/// `s' = A s + c`
struct Affine {
    matrix: Matrix,
    constant: Vec<f64>,
}

impl System for Affine {
    fn size(&self) -> usize {
        self.constant.len()
    }

    fn step(&mut self, _time: usize, bundle: &mut Matrix) {
        *bundle = Matrix::from_fn(bundle.rows(), self.size(), |row, i| {
            let product: f64 =
                self.matrix.row(i).iter().zip(bundle.row(row)).map(|(a, s)| a * s).sum();
            product + if row == 0 { self.constant[i] } else { 0.0 }
        });
    }
}

#[test]
fn a_linear_system_has_one_point_with_the_eigenvalues_of_its_matrix() {
    let size = 12;
    let matrix = random_matrix(size, size, 0.3, 5);
    let point: Vec<f64> = (0..size).map(|k| k as f64 / 4.0 - 1.0).collect();
    let mut system = Affine { matrix: matrix.clone(), constant: vec![0.0; size] };
    let mut moved = Matrix::from_values(1, size, point.clone());
    system.step(0, &mut moved);
    let constant = point.iter().zip(moved.row(0)).map(|(s, moved)| s - moved).collect();
    let mut system = Affine { constant, ..system };
    let settings = Settings { starts: 20, ..Settings::default() };
    let all = found(&mut system, &random_matrix(30, size, 2.0, 6), &settings);
    assert_eq!((all.fixed.len(), all.fixed[0].found, all.neither), (1, 20, 0));
    for (found, expected) in all.fixed[0].state.iter().zip(&point) {
        assert_close(*found, *expected, 1e-9);
    }
    let expected = eigenvalues(&matrix).unwrap();
    for (found, expected) in all.fixed[0].eigenvalues.iter().zip(&expected) {
        assert_close(found.0, expected.0, 1e-9);
        assert_close(found.1, expected.1, 1e-9);
    }
    let outside = expected.iter().filter(|(re, im)| re.hypot(*im) > 1.001).count();
    assert_eq!(all.fixed[0].unstable, outside);
}

/// `x' = x`, `y' = y / 2`: all points with `y = 0` are fixed, and each start goes to the nearest one.
#[test]
fn a_line_of_fixed_points_is_marginal() {
    let matrix = Matrix::from_values(2, 2, vec![1.0, 0.0, 0.0, 0.5]);
    let mut system = Affine { matrix, constant: vec![0.0; 2] };
    let settings = Settings { starts: 30, ..Settings::default() };
    let visited = random_matrix(15, 2, 1.0, 8);
    let line = found(&mut system, &visited, &settings);
    assert!(line.fixed.len() > 20, "{}", line.fixed.len());
    for point in &line.fixed {
        assert_eq!((point.kind, point.marginal, point.unstable), (Kind::Marginal, 1, 0));
        assert!(point.state[1].abs() < 1e-9 && point.time_constants()[0] == f64::INFINITY);
    }
    for row in 0..visited.rows() {
        let near = |state: &[f64]| (state[0] - visited.row(row)[0]).abs() < 1e-3 * line.spread;
        assert!(line.fixed.iter().any(|point| near(&point.state)), "{row}");
    }
}

/// A bias a little beyond the one where a stable point and an unstable one meet leaves a slow point: with
/// `u = w h + b`, the speed `tanh u - (u - b) / w` is smallest where `w (1 - tanh² u) = 1`, whatever `b` is. There it is
/// what the bias is beyond, divided by `w`.
#[test]
fn past_the_meeting_of_two_points_there_is_a_slow_one() {
    let weight = 1.5_f64;
    let h = -(1.0 - 1.0 / weight).sqrt();
    let meeting = h.atanh() - weight * h;
    let beyond = 1e-3;
    let matrix = Matrix::from_values(1, 1, vec![weight]);
    let mut unit = network(matrix.clone(), &[meeting + beyond]);
    let visited = Matrix::from_fn(21, 1, |row, _| row as f64 / 10.0 - 1.0);
    let all = found(&mut unit, &visited, &Settings::default());
    assert_eq!((kinds(&all), all.slow.len(), all.neither), (vec![(Kind::Stable, 0)], 1, 0));
    let slow = &all.slow[0];
    let speed = 0.5 * (beyond / weight).powi(2);
    assert_close(slow.speed, speed, 1e-6 * speed);
    assert_close(slow.state[0], h - beyond / weight, 1e-5);
    assert_close(slow.eigenvalues[0].0, 1.0, 1e-5);
    // If nothing counts as slow, these starts end nowhere.
    let strict = Settings { slow: 0.0, ..Settings::default() };
    let fewer = found(&mut unit, &visited, &strict);
    assert_eq!((fewer.fixed.len(), fewer.slow.len(), fewer.neither), (1, 0, slow.found));
    // Before the meeting, there are two more points instead.
    let mut unit = network(matrix, &[meeting - beyond]);
    let all = found(&mut unit, &visited, &Settings::default());
    assert_eq!(kinds(&all), [(Kind::Stable, 0), (Kind::Stable, 0), (Kind::Unstable, 1)]);
}

/// At rest, the state of a GRU moves by `½ + ¼ U_n`, and the memory of an LSTM by `½ + ¼ U_g`.
#[test]
fn gated_networks_at_rest_have_the_eigenvalues_that_their_weights_say() {
    let hidden = 10;
    for (cell, size) in [(CellKind::Gru, hidden), (CellKind::Lstm, 2 * hidden)] {
        let weights = random_weights(cell, hidden, 1.2, 3);
        let rest = weights.rows_of(2 * hidden..3 * hidden);
        let half = |i: usize, j: usize| if i == j { 0.5 } else { 0.0 };
        let expected = Matrix::from_fn(hidden, hidden, |i, j| half(i, j) + 0.25 * rest.row(i)[j]);
        let expected = eigenvalues(&expected).unwrap();
        let numbers = [LayerNumbers::autonomous(weights)];
        let device = Device::flex();
        let mut network = Network::from_numbers(&cell.default_cell(), &numbers, None, &device);
        let settings = Settings { starts: 10, ..Settings::default() };
        let all = found(&mut network, &random_matrix(10, size, 0.1, 4), &settings);
        let rest = all.fixed.iter().find(|point| point.state.iter().all(|x| x.abs() < 1e-8));
        let rest = rest.unwrap_or_else(|| panic!("{}: no point at rest", cell.name()));
        assert_eq!(rest.kind, Kind::Stable);
        for (found, expected) in rest.eigenvalues.iter().zip(&expected) {
            assert_close(found.0.hypot(found.1), expected.0.hypot(expected.1), 1e-7);
        }
        assert!(rest.eigenvalues[hidden..].iter().all(|(re, im)| re.hypot(*im) < 1e-7));
    }
}

#[test]
fn the_gradient_is_the_derivative_of_the_speed() {
    let mut rng = StdRng::seed_from_u64(2);
    // The normaliser of an sLSTM is positive, and a random state is not one of its states.
    for cell in CellKind::ALL.into_iter().filter(|cell| cell.name() != "slstm") {
        let mut network = Network::random(cell, 6, 1.5, 1, &Device::flex());
        let state: Vec<f64> = (0..network.size()).map(|_| 0.5 * normal(&mut rng)).collect();
        let (_, gradient) = speed_and_gradient(&mut network, &state);
        for k in 0..state.len() {
            let mut at = |by: f64| {
                let mut state = state.clone();
                state[k] += by;
                speed_and_gradient(&mut network, &state).0
            };
            let difference = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert_close(gradient[k], difference, 1e-8);
        }
        // It is the transposed product.
        let matrix = jacobian(&mut network, 0, &state);
        let mut after = Matrix::from_values(1, state.len(), state.clone());
        network.step(0, &mut after);
        let r: Vec<f64> = after.row(0).iter().zip(&state).map(|(a, b)| a - b).collect();
        for k in 0..state.len() {
            let sum: f64 = (0..state.len()).map(|i| matrix.row(i)[k] * r[i]).sum();
            assert_close(gradient[k], sum - r[k], 1e-12);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let visited = random_matrix(40, 8, 0.5, 3);
    let states = |seed: u64| -> Vec<Vec<f64>> {
        let mut network = Network::random(CellKind::Rnn, 8, 2.0, 7, &Device::flex());
        let settings = Settings { starts: 30, seed, ..Settings::default() };
        let all = found(&mut network, &visited, &settings);
        all.fixed.into_iter().map(|point| point.state).collect()
    };
    assert_eq!(states(1), states(1));
    assert_ne!(states(1), states(2));
}

#[test]
fn time_constants_are_positive_for_what_shrinks() {
    assert_close(time_constant((0.0, (-0.1_f64).exp())), 10.0, 1e-12);
    assert_close(time_constant((-(0.5_f64).exp(), 0.0)), -2.0, 1e-12);
    assert_eq!(time_constant((1.0, 0.0)), f64::INFINITY);
    assert_eq!(time_constant((0.0, 0.0)), 0.0);
}

#[test]
fn what_does_not_fit_is_one_line() {
    let mut network = Network::random(CellKind::Rnn, 3, 1.0, 1, &Device::flex());
    let mut refused = |visited: &Matrix, settings: &Settings| {
        find(&mut network, visited, settings, &Device::flex(), &mut |_| ()).unwrap_err()
    };
    let usual = Settings::default();
    let none = Settings { starts: 0, ..Settings::default() };
    assert_eq!(refused(&Matrix::zeros(2, 3), &none), "0 starts: expected at least 1");
    let message = "visited states [2, 4]: expected at least one, of 3 numbers";
    assert_eq!(refused(&Matrix::zeros(2, 4), &usual), message);
    assert!(refused(&Matrix::zeros(0, 3), &usual).starts_with("visited states [0, 3]"));
    let broken = Matrix::from_values(1, 3, vec![0.0, f64::NAN, 0.0]);
    assert_eq!(refused(&broken, &usual), "a visited state is not finite");
}
