//! A network's way along a sequence: gradients by path, what units keep, gates, products, the numerical range.

use crate::dynamics::{normal, random_matrix};
use crate::jacobians::redrawn;
use bptt::{
    CellKind, GradientProbe, GruConfig, LstmConfig, Nonlinearity, Recurrent, RnnConfig,
    SequenceCell,
};
use bptt_probe::dynamics::{
    GateKind, LayerNumbers, Matrix, Network, System, Trajectory, eigenvalues, jacobian,
    layer_jacobians, numerical_range, orthonormalise, own_derivatives, singular_values,
    span_products,
};
use burn::Tensor;
use burn::tensor::{DType, Device, TensorData};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::f64::consts::PI;

const TIME: usize = 7;

fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (k, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (found - expected).abs();
        assert!(off <= 1e-12 * expected.abs().max(1e-3), "{what}, {k}: {found} for {expected}");
    }
}

/// The norms by path are those that the manual engine's backward pass has on its way, which is derived by hand.
fn assert_gradients<C: SequenceCell>(layer: Recurrent<C>, name: &str, keeps_h: bool) {
    let device = Device::flex().autodiff();
    let probe = GradientProbe::default();
    let layer = redrawn(layer, 3).with_gradient_probe(Some(probe.clone()));
    let input = random_matrix(TIME, layer.d_input(), 1.0, 5);
    let width = layer.d_output();
    let d_outputs = random_matrix(TIME, width, 1.0, 6);
    let tensor = |matrix: &Matrix, shape: [usize; 3]| {
        let data = TensorData::new(matrix.values().to_vec(), shape);
        Tensor::<3>::from_data(data, (&device, DType::F64))
    };
    let x = tensor(&input, [1, TIME, layer.d_input()]).require_grad();
    let (outputs, _) = layer.forward(x, None);
    let _ = (outputs * tensor(&d_outputs, [1, TIME, width])).sum().backward();
    let mut expected = probe.take();
    expected.reverse();

    let plain = Device::flex();
    let mut network = Network::new(&layer, None, &plain).expect("one direction");
    network.set_input(&input);
    let state = vec![0.0; network.size()];
    let found = Trajectory::new(&network, &state, TIME).gradients(&d_outputs);
    assert_eq!(found.len(), expected.len(), "{name}");
    for (found, expected) in found.iter().zip(&expected) {
        let name = format!("{name}, layer {}", expected.layer);
        let (hidden, memory) = (&found.hidden, &found.memory);
        assert_close(&hidden.output, &expected.norms.output, &format!("{name}: output"));
        assert_close(&hidden.norm, &expected.norms.hidden, &format!("{name}: hidden"));
        assert_close(&memory.norm, &expected.norms.memory, &format!("{name}: memory"));
        // The engine has both paths to h in one norm.
        match keeps_h {
            false => {
                assert_close(&hidden.gates, &expected.norms.gates, &format!("{name}: gates"));
                assert!(hidden.along.iter().all(|norm| *norm == 0.0), "{name}");
            }
            true => {
                assert!(hidden.along[0] > 0.0, "{name}");
                let sides = hidden.gates.iter().zip(&hidden.along).zip(&expected.norms.gates);
                for ((gates, along), both) in sides {
                    let range = (gates - along).abs() - 1e-12..=gates + along + 1e-12;
                    assert!(range.contains(both), "{name}: {both} of {gates} and {along}");
                }
            }
        }
        assert_eq!(hidden.gates[TIME - 1], 0.0, "nothing comes back to the last step");
    }
}

#[test]
fn gradients_by_path_are_those_of_the_manual_engine() {
    let device = Device::flex().autodiff();
    let rnn = || RnnConfig::new(3, 4);
    let lstm = || LstmConfig::new(3, 4);
    let gru = || GruConfig::new(3, 4);
    assert_gradients(rnn().init(&device), "rnn", false);
    let relu = rnn().with_nonlinearity(Nonlinearity::Relu).with_num_layers(2);
    assert_gradients(relu.init(&device), "rnn, relu, two layers", false);
    assert_gradients(lstm().init(&device), "lstm", false);
    assert_gradients(lstm().with_num_layers(3).init(&device), "lstm, three layers", false);
    let projected = lstm().with_proj_size(2).with_num_layers(2);
    assert_gradients(projected.init(&device), "lstm, projected, two layers", false);
    assert_gradients(lstm().with_input_forget(true).init(&device), "lstm, coupled", false);
    assert_gradients(lstm().with_clip(Some(1.0)).init(&device), "lstm, clipped", false);
    assert_gradients(gru().with_num_layers(2).init(&device), "gru, two layers", true);
    let before = gru().with_reset_after(false).with_num_layers(2);
    assert_gradients(before.init(&device), "gru, before, two layers", true);
}

#[test]
fn the_gradient_of_a_linear_network_decays_as_its_eigenvalue() {
    // A rectifier with states that stay positive is linear. (1, 1/2) is an eigenvector of Uᵀ.
    let weights = Matrix::from_values(2, 2, vec![0.9, 0.2, 0.0, 0.5]);
    let numbers = [LayerNumbers::autonomous(weights)];
    let cell = bptt::RnnCell(Nonlinearity::Relu);
    let network = Network::from_numbers(&cell, &numbers, None, &Device::flex());
    let way = Trajectory::new(&network, &[1.0, 0.5], 30);
    let d_outputs = Matrix::from_fn(30, 2, |step, unit| match (step, unit) {
        (29, 0) => 1.0,
        (29, _) => 0.5,
        _ => 0.0,
    });
    let norms = &way.gradients(&d_outputs)[0].hidden.norm;
    for (t, norm) in norms.iter().enumerate() {
        let expected = 0.9_f64.powi(29 - t as i32) * 1.25_f64.sqrt();
        assert!((norm - expected).abs() < 1e-14, "step {t}: {norm} for {expected}");
    }
}

/// An LSTM whose gates do not depend on anything: only their biases are not zero.
fn constant_lstm(biases: [f64; 4]) -> Network {
    let mut numbers = LayerNumbers::autonomous(Matrix::zeros(12, 3));
    numbers.bias_hh = biases.iter().flat_map(|bias| [*bias; 3]).collect();
    let cell = CellKind::Lstm.default_cell();
    Network::from_numbers(&cell, &[numbers], None, &Device::flex())
}

#[test]
fn a_constant_forget_gate_has_its_time_constant() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let forget = 3.0;
    let mut network = constant_lstm([0.5, forget, 0.7, 4.0]);
    let state = [0.0, 0.0, 0.0, 0.3, -0.2, 0.1];
    let held = Trajectory::held(&network);
    assert_eq!(held, [(0, 3), (0, 4), (0, 5)], "the memories");
    let kept = Trajectory::new(&network, &state, 20).kept();
    assert!(kept.iter().flatten().all(|kept| (kept - sigmoid(forget)).abs() < 1e-15));
    // No other path leads from a memory to itself.
    let own = own_derivatives(&mut network, 0, &state, &[3, 4, 5], 20);
    for (k, own) in own.iter().enumerate() {
        let expected = sigmoid(forget).powi(k as i32);
        assert!(own.iter().all(|x| (x - expected).abs() < 1e-14), "{k}: {own:?}");
    }
    // Along the memory, a gradient is multiplied with the gate and with nothing else.
    let last = Matrix::from_fn(20, 3, |step, _| if step == 19 { 1.0 } else { 0.0 });
    let gradients = Trajectory::new(&network, &state, 20).gradients(&last).remove(0);
    assert_eq!(gradients.memory.norm[19], 0.0);
    for t in 0..18 {
        let share = gradients.memory.norm[t] / gradients.memory.norm[t + 1];
        assert!((share - sigmoid(forget)).abs() < 1e-14, "step {t}: {share}");
        assert_eq!(gradients.memory.norm[t], gradients.memory.along[t]);
        assert_eq!(gradients.hidden.norm[t], 0.0, "no path through the gates");
    }
}

#[test]
fn gates_are_found_without_their_names() {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let network = constant_lstm([-3.0, 3.0, 2.0, 0.4]);
    let gates = Trajectory::new(&network, &[0.0; 6], 5).gates();
    let expected = [
        (GateKind::Sigmoid, sigmoid(-3.0), 1.0, 0.0),
        (GateKind::Sigmoid, sigmoid(3.0), 0.0, 1.0),
        (GateKind::Tanh, 2.0_f64.tanh(), 0.0, 1.0),
        (GateKind::Sigmoid, sigmoid(0.4), 0.0, 0.0),
    ];
    assert_eq!(gates.len(), 4);
    for (k, (gate, (kind, mean, low, high))) in gates.iter().zip(expected).enumerate() {
        assert_eq!((gate.layer, gate.gate, gate.kind), (0, k, kind));
        assert_eq!((gate.low, gate.high), (low, high));
        assert!((gate.mean - mean).abs() < 1e-14, "{gate:?}");
    }
    let kinds = |kind: CellKind| {
        let network = Network::random(kind, 5, 1.0, 1, &Device::flex());
        let state = vec![0.1; network.size()];
        let gates = Trajectory::new(&network, &state, 4).gates();
        gates.into_iter().map(|gate| (gate.gate, gate.kind)).collect::<Vec<_>>()
    };
    assert_eq!(kinds(CellKind::Rnn), [(0, GateKind::Tanh)]);
    let [sigma, tanh] = [GateKind::Sigmoid, GateKind::Tanh];
    assert_eq!(kinds(CellKind::Gru), [(0, sigma), (1, sigma), (2, tanh)]);
}

#[test]
fn a_gru_keeps_what_its_update_gate_says() {
    let device = Device::flex();
    let numbers = LayerNumbers {
        bias_hh: [0.3, 2.0, -1.0].iter().flat_map(|bias| [*bias; 2]).collect(),
        ..LayerNumbers::autonomous(Matrix::zeros(6, 2))
    };
    let network = Network::from_numbers(&CellKind::Gru.default_cell(), &[numbers], None, &device);
    assert_eq!(Trajectory::held(&network), [(0, 0), (0, 1)]);
    let kept = Trajectory::new(&network, &[0.4, -0.1], 6).kept();
    let update = 1.0 / (1.0 + (-2.0_f64).exp());
    assert!(kept.iter().flatten().all(|kept| (kept - update).abs() < 1e-15), "{kept:?}");
    let rnn = Network::random(CellKind::Rnn, 3, 1.0, 1, &device);
    assert_eq!(Trajectory::new(&rnn, &[0.1; 3], 1).kept(), [[0.0; 3]]);
}

/// The largest `Re(e^{-iφ} z)` of some numbers.
fn support(numbers: &[(f64, f64)], angle: f64) -> f64 {
    let (sine, cosine) = angle.sin_cos();
    numbers.iter().map(|(re, im)| cosine * re + sine * im).fold(f64::NEG_INFINITY, f64::max)
}

#[test]
fn the_numerical_range_of_a_normal_matrix_is_the_hull_of_its_eigenvalues() {
    // Q D Qᵀ with an orthogonal Q, and D of blocks a ± ib, and of single numbers.
    let blocks = [(0.9, 0.3), (-0.4, 0.8), (0.1, 0.2)];
    let single = [-0.7, 0.5];
    let size = 8;
    let mut core = Matrix::zeros(size, size);
    for (k, (a, b)) in blocks.into_iter().enumerate() {
        core.row_mut(2 * k)[2 * k..2 * k + 2].copy_from_slice(&[a, -b]);
        core.row_mut(2 * k + 1)[2 * k..2 * k + 2].copy_from_slice(&[b, a]);
    }
    single.iter().enumerate().for_each(|(k, x)| core.row_mut(6 + k)[6 + k] = *x);
    let mut q = random_matrix(size, size, 1.0, 3);
    orthonormalise(&mut q, &Device::flex());
    let entry = |i: usize, j: usize| -> f64 {
        let term = |(a, b): (usize, usize)| q.row(a)[i] * core.row(a)[b] * q.row(b)[j];
        (0..size).flat_map(|a| (0..size).map(move |b| (a, b))).map(term).sum()
    };
    let matrix = Matrix::from_fn(size, size, entry);
    let values = eigenvalues(&matrix).expect("they converge");
    let found = numerical_range(&matrix, 40).expect("finite");
    assert_eq!(found.boundary.len(), 80);
    for k in 0..80 {
        let angle = PI * f64::from(k) / 40.0;
        let (range, hull) = (support(&found.boundary, angle), support(&values, angle));
        assert!((range - hull).abs() < 1e-9, "at {angle}: {range}, the hull {hull}");
    }
    // The largest modulus is that of a corner, and no direction need point to it.
    let radius = values[0].0.hypot(values[0].1);
    assert!(found.radius <= radius + 1e-12 && found.radius > (1.0 - 8e-4) * radius);
}

#[test]
fn the_numerical_range_of_a_shift_is_a_disc() {
    // A Jordan block of two rows has the radius 1/2; one of n rows cos(π/(n + 1)).
    for size in [2, 3, 7] {
        let shift = Matrix::from_fn(size, size, |i, j| if j == i + 1 { 1.0 } else { 0.0 });
        let found = numerical_range(&shift, 32).expect("finite");
        let radius = (PI / (size + 1) as f64).cos();
        assert!((found.radius - radius).abs() < 1e-12, "{size}: {}", found.radius);
        for (re, im) in &found.boundary {
            assert!((re.hypot(*im) - radius).abs() < 1e-9, "{size}: {re} {im}");
        }
    }
    // One number, and a rotation, whose range is the line between its eigenvalues ±i.
    let one = numerical_range(&Matrix::from_values(1, 1, vec![-3.0]), 8).expect("finite");
    assert!((one.radius - 3.0).abs() < 1e-14);
    let turn = Matrix::from_values(2, 2, vec![0.0, -1.0, 1.0, 0.0]);
    let turn = numerical_range(&turn, 8).expect("finite");
    assert!((turn.radius - 1.0).abs() < 1e-12);
    assert!(turn.boundary.iter().all(|(re, _)| re.abs() < 1e-9), "{turn:?}");
    assert!(numerical_range(&Matrix::from_values(1, 1, vec![f64::NAN]), 8).is_err());
}

#[test]
fn products_over_spans_have_the_singular_values_of_the_formed_products() {
    let device = Device::flex();
    let mut network = Network::random(CellKind::Gru, 6, 2.0, 3, &device);
    let state = random_matrix(1, 6, 1.0, 4);
    let found = span_products(&mut network, 0, state.row(0), 11).expect("finite");
    assert_eq!(found.iter().map(|p| p.span).collect::<Vec<_>>(), [1, 2, 4, 8, 11]);
    let mut at = Matrix::from_values(1, 6, state.row(0).to_vec());
    let mut product = Matrix::identity(6);
    for step in 1..=11 {
        let one = jacobian(&mut network, step - 1, at.row(0));
        let entry = |i: usize, j: usize| (0..6).map(|k| one.row(i)[k] * product.row(k)[j]).sum();
        product = Matrix::from_fn(6, 6, entry);
        network.step(step - 1, &mut at);
        let Some(found) = found.iter().find(|found| found.span == step) else { continue };
        let expected = singular_values(&product).expect("finite");
        // Rounding is that of the largest one.
        let allowed = 1e-13 * expected[0];
        for (log, value) in found.log10_singular_values.iter().zip(&expected) {
            // Below the rounding there is no number.
            let found = if log.is_nan() { 0.0 } else { 10_f64.powf(*log) };
            let off = (found - value).abs();
            assert!(off < allowed, "over {step} steps: {log}, {value}");
        }
    }
    // An orthogonal network at the origin neither grows nor shrinks.
    let mut weights = random_matrix(12, 12, 1.0, 1);
    orthonormalise(&mut weights, &device);
    let cell = CellKind::Rnn.default_cell();
    let numbers = [LayerNumbers::autonomous(weights)];
    let mut turning = Network::from_numbers(&cell, &numbers, None, &device);
    for product in span_products(&mut turning, 0, &[0.0; 12], 1000).expect("finite") {
        let logs = &product.log10_singular_values;
        assert!(logs.iter().all(|log| log.abs() < 1e-12), "{product:?}");
    }
    let glance = layer_jacobians(&mut turning, 50).expect("finite")[0];
    assert!((glance.spectral_radius - 1.0).abs() < 1e-12, "{glance:?}");
    assert!((glance.largest_singular_value - 1.0).abs() < 1e-12, "{glance:?}");
    assert!(glance.log10_product_norm.abs() < 1e-12, "{glance:?}");
}

#[test]
fn a_glance_at_the_layers_is_that_of_their_own_blocks() {
    let device = Device::flex();
    let layer = redrawn(LstmConfig::new(3, 10).with_num_layers(2).init(&device), 8);
    let mut network = Network::new(&layer, None, &device).expect("one direction");
    let mut rng = StdRng::seed_from_u64(2);
    network.set_input(&Matrix::from_fn(12, 3, |_, _| normal(&mut rng)));
    let found = layer_jacobians(&mut network, 12).expect("finite");
    let states = Trajectory::new(&network, &[0.0; 40], 12).states().to_vec();
    let middle = jacobian(&mut network, 6, &states[6]);
    let mut products = vec![Matrix::identity(20); 2];
    for (step, state) in states[..12].iter().enumerate() {
        let whole = jacobian(&mut network, step, state);
        // The lower layer does not depend on the upper one.
        assert!((0..20).all(|row| whole.row(row)[20..].iter().all(|x| *x == 0.0)));
        for (product, own) in products.iter_mut().zip(network.own_blocks(&whole)) {
            let entry =
                |i: usize, j: usize| (0..20).map(|k| own.row(i)[k] * product.row(k)[j]).sum();
            *product = Matrix::from_fn(20, 20, entry);
        }
    }
    for ((found, own), product) in found.iter().zip(network.own_blocks(&middle)).zip(products) {
        let (re, im) = eigenvalues(&own).expect("they converge")[0];
        assert!((found.spectral_radius - re.hypot(im)).abs() < 1e-9, "{found:?}");
        let singular = singular_values(&own).expect("finite")[0];
        assert!((found.largest_singular_value - singular).abs() < 1e-9, "{found:?}");
        // Of 8 directions of 20, in which one singular value stands out: within a factor of 3.
        let squares: f64 = product.values().iter().map(|x| x * x).sum();
        let exact = 0.5 * (squares / 20.0).log10();
        assert!((found.log10_product_norm - exact).abs() < 0.5, "{found:?}, {exact}");
    }
}
