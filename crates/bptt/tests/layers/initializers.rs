//! The first values have the properties that their names promise, for every gate, layer and direction by itself.

use crate::{plain, tracked};
use bptt::cells::{DiagonalRole, GateRole};
use bptt::{
    AnyCell, AnyRecurrentConfig, BiasInitializer, CellKind, GruConfig, LstmConfig, Recurrent,
    RnnConfig, SequenceCell, WeightInitializer, Weights,
};
use burn::Tensor;
use burn::config::Config;
use burn::module::{Initializer, Param};
use burn::tensor::{Device, Distribution};

const INPUT: usize = 7;
const HIDDEN: usize = 24;

fn weights(name: &str) -> WeightInitializer {
    name.parse().expect("a name")
}

fn biases(name: &str) -> BiasInitializer {
    name.parse().expect("a name")
}

fn values<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f64> {
    param.val().into_data().iter().collect()
}

/// The matrices of all gates of a weight, row by row, with their number of columns.
fn gates(weight: &Param<Tensor<2>>, rows: usize) -> (Vec<Vec<f64>>, usize) {
    let columns = weight.dims()[1];
    let all = values(weight);
    (all.chunks(rows * columns).map(<[f64]>::to_vec).collect(), columns)
}

/// The largest entry of `A Aᵀ - s² I`, or of `Aᵀ A - s² I` if there are fewer columns than rows.
fn far_from_orthogonal(matrix: &[f64], columns: usize, scale: f64) -> f64 {
    let rows = matrix.len() / columns;
    let entry = |i: usize, k: usize| matrix[i * columns + k];
    let (count, length) = (rows.min(columns), rows.max(columns));
    let at = |vector, k| if rows <= columns { entry(vector, k) } else { entry(k, vector) };
    let mut worst = 0.0_f64;
    for i in 0..count {
        for j in 0..count {
            let product: f64 = (0..length).map(|k| at(i, k) * at(j, k)).sum();
            let expected = if i == j { scale * scale } else { 0.0 };
            worst = worst.max((product - expected).abs());
        }
    }
    worst
}

/// A stacked LSTM in both directions with a projection, whose recurrent weights are `[4 · 24, 10]`.
fn projected(input: &str, recurrent: &str) -> Recurrent<bptt::LstmCell> {
    LstmConfig::new(INPUT, HIDDEN)
        .with_num_layers(2)
        .with_bidirectional(true)
        .with_proj_size(10)
        .with_input_initializer(weights(input))
        .with_recurrent_initializer(weights(recurrent))
        .init(&tracked())
}

#[test]
fn orthogonal_weights_are_orthogonal_gate_by_gate() {
    let check = |weights: &Weights, gain: f64| {
        let mut matrices = vec![
            (&weights.weight_ih, HIDDEN),
            (weights.weight_hh.as_whole().expect("no heads"), HIDDEN),
        ];
        matrices.extend(weights.weight_hr.as_ref().map(|weight| (weight, 10)));
        for (weight, rows) in matrices {
            let (gates, columns) = gates(weight, rows);
            for gate in &gates {
                let error = far_from_orthogonal(gate, columns, gain);
                assert!(error < 1e-6 * gain * gain, "[{rows}, {columns}]: {error:e}");
            }
            // No two gates have the same numbers.
            assert!(gates.windows(2).all(|pair| pair[0] != pair[1]));
        }
    };
    projected("orthogonal", "orthogonal").weights.iter().for_each(|w| check(w, 1.0));
    projected("orthogonal:1.5", "orthogonal:1.5").weights.iter().for_each(|w| check(w, 1.5));
    let of_burn = Initializer::Orthogonal { gain: 2.0 };
    let gru = GruConfig::new(INPUT, HIDDEN)
        .with_num_layers(2)
        .with_input_initializer(of_burn.clone().into())
        .with_recurrent_initializer(WeightInitializer::Burn(of_burn))
        .init(&plain());
    gru.weights.iter().for_each(|w| check(w, 2.0));
}

/// The determinant of a random orthogonal matrix is 1 as often as -1, which it is not if signs are not random.
#[test]
fn all_orthogonal_matrices_are_equally_likely() {
    let config = RnnConfig::new(1, 2).with_recurrent_initializer(weights("orthogonal"));
    let draws = 400;
    let mut turns = 0;
    let mut angles = [0.0; 2];
    for _ in 0..draws {
        let u = values(config.init(&plain()).weights[0].weight_hh.as_whole().expect("no heads"));
        turns += u32::from(u[0] * u[3] - u[1] * u[2] > 0.0);
        angles[0] += u[0];
        angles[1] += u[1];
    }
    // Six standard deviations: √(n / 4) of the count, √(n / 2) of the sums of a cosine.
    assert!((f64::from(turns) - 200.0).abs() < 6.0 * 10.0, "{turns} of {draws}");
    assert!(angles.iter().all(|sum| sum.abs() < 6.0 * 200f64.sqrt()), "{angles:?}");
}

#[test]
fn an_identity_is_one_exactly() {
    let check = |weight: &Param<Tensor<2>>, rows: usize, scale: f64| {
        let (gates, columns) = gates(weight, rows);
        for gate in gates {
            for (index, value) in gate.iter().enumerate() {
                let on_diagonal = index / columns == index % columns;
                assert_eq!(*value, if on_diagonal { scale } else { 0.0 }, "entry {index}");
            }
        }
    };
    for w in &projected("identity:0.5", "identity").weights {
        check(&w.weight_ih, HIDDEN, 0.5);
        check(w.weight_hh.as_whole().expect("no heads"), HIDDEN, 1.0);
        check(w.weight_hr.as_ref().expect("a projection"), 10, 1.0);
    }
    let rnn = RnnConfig::new(2, 6).with_recurrent_initializer(weights("identity:0.25"));
    check(rnn.init(&plain()).weights[0].weight_hh.as_whole().expect("no heads"), 6, 0.25);
}

/// How far the variance of the numbers is from the expected one, in standard errors; the fourth moment is that of the
/// distribution, 3 for normal and 9/5 for uniform numbers. And the mean, likewise.
fn errors(numbers: &[f64], variance: f64, fourth: f64) -> [f64; 2] {
    let n = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let square = numbers.iter().map(|x| x * x).sum::<f64>() / n;
    [mean / (variance / n).sqrt(), (square / variance - 1.0) / ((fourth - 1.0) / n).sqrt()]
}

#[test]
fn variances_are_those_of_one_gate() {
    let (input, hidden) = (40, 60);
    let normal = 3.0;
    let uniform = 1.8;
    let (i, h) = (input as f64, hidden as f64);
    // Of input and recurrent weights; the fans are those of one gate.
    let cases = [
        ("torch", uniform, 1.0 / (3.0 * h), 1.0 / (3.0 * h)),
        ("xavier-uniform", uniform, 2.0 / (i + h), 1.0 / h),
        ("glorot-normal", normal, 2.0 / (i + h), 1.0 / h),
        ("xavier-normal:3", normal, 18.0 / (i + h), 9.0 / h),
        ("he", uniform, 2.0 / i, 2.0 / h),
        ("kaiming-normal", normal, 2.0 / i, 2.0 / h),
        ("kaiming-normal:1", normal, 1.0 / i, 1.0 / h),
        ("normal:1.5", normal, 2.25 / i, 2.25 / h),
        ("uniform:0.3", uniform, 0.03, 0.03),
    ];
    for (name, fourth, of_input, of_recurrent) in cases {
        let gru = GruConfig::new(input, hidden)
            .with_input_initializer(weights(name))
            .with_recurrent_initializer(weights(name))
            .init(&plain());
        let w = &gru.weights[0];
        for (weight, variance) in
            [(&w.weight_ih, of_input), (w.weight_hh.as_whole().expect("no heads"), of_recurrent)]
        {
            let errors = errors(&values(weight), variance, fourth);
            // 7200 and 10800 numbers: a wrong fan is more than 25 standard errors away.
            assert!(errors.iter().all(|error| error.abs() < 6.0), "{name}: {errors:?}");
        }
    }
    let config = GruConfig::new(2, 3).with_input_initializer(weights("constant:-0.5"));
    let gru = config.with_recurrent_initializer(weights("zeros")).init(&plain());
    assert!(values(&gru.weights[0].weight_ih).iter().all(|&x| x == -0.5));
    assert!(
        values(gru.weights[0].weight_hh.as_whole().expect("no heads")).iter().all(|&x| x == 0.0)
    );
}

#[test]
fn chrono_biases_forget_slowly_and_write_little() {
    let check = |bias: &[f64], forget: Option<usize>, input: Option<usize>, gates: usize| {
        let hidden = bias.len() / gates;
        let gate = |g: usize| &bias[g * hidden..(g + 1) * hidden];
        for g in (0..gates).filter(|g| ![forget, input].contains(&Some(*g))) {
            assert!(gate(g).iter().all(|&b| b == 0.0), "gate {g}");
        }
        let sign = if forget.is_some() { 1.0 } else { -1.0 };
        let times: Vec<_> =
            gate(forget.or(input).expect("one of them")).iter().map(|b| (sign * b).exp()).collect();
        assert!(times.iter().all(|time| (0.999..=399.001).contains(time)), "{times:?}");
        // Uniform in [1, 399]: six standard errors of the mean, 398 / √12 / √H each.
        let mean = times.iter().sum::<f64>() / hidden as f64;
        let error = 398.0 / 12f64.sqrt() / (hidden as f64).sqrt();
        assert!((mean - 200.0).abs() < 6.0 * error, "{mean} +- {error}");
        if let (Some(forget), Some(input)) = (forget, input) {
            assert!(gate(forget).iter().zip(gate(input)).all(|(f, i)| *i == -f));
        }
    };
    let of = |kind, coupled, before: bool| {
        AnyRecurrentConfig::new(kind, 2, 400)
            .with_input_forget(coupled)
            .with_reset_after(!before)
            .with_bias_initializer(biases("chrono:400"))
            .init(&tracked())
    };
    // Gates `i f g o`, `i g o` with f = 1 - i, and `r z n`, where an open z keeps the state.
    let cells = [
        (of(CellKind::Lstm, false, false), Some(1), Some(0), 4),
        (of(CellKind::Lstm, true, false), None, Some(0), 3),
        (of(CellKind::Gru, false, false), Some(1), None, 3),
        (of(CellKind::Gru, false, true), Some(1), None, 3),
    ];
    for (layer, forget, input, gates) in &cells {
        let w = &layer.weights[0];
        check(&values(w.bias_ih.as_ref().expect("biases")), *forget, *input, *gates);
        assert!(values(w.bias_hh.as_ref().expect("biases")).iter().all(|&b| b == 0.0));
    }
}

#[test]
fn a_forget_bias_is_that_of_the_gate_that_forgets() {
    let of = |kind, coupled| {
        let config = AnyRecurrentConfig::new(kind, 2, 3).with_input_forget(coupled);
        let layer = config.with_bias_initializer(biases("forget:1.5")).init(&plain());
        values(layer.weights[0].bias_ih.as_ref().expect("biases"))
    };
    let of_gates = |gates: &[f64]| gates.iter().flat_map(|&b| [b; 3]).collect::<Vec<_>>();
    assert_eq!(of(CellKind::Lstm, false), of_gates(&[0.0, 1.5, 0.0, 0.0]));
    assert_eq!(of(CellKind::Lstm, true), of_gates(&[-1.5, 0.0, 0.0]));
    assert_eq!(of(CellKind::Gru, false), of_gates(&[0.0, 1.5, 0.0]));
}

/// PyTorch's order, and one draw for each parameter. Other tests draw from the same generator at the same time, so it is
/// tried until they do not.
#[test]
fn a_seed_gives_the_numbers_that_it_always_gave() {
    let device = plain();
    let bound = 1.0 / 6f64.sqrt();
    let uniform = Distribution::Uniform(-bound, bound);
    let same = || {
        device.seed(5);
        let lstm = LstmConfig::new(3, 6).with_proj_size(2).init(&device);
        device.seed(5);
        let matrix =
            |rows, columns| Tensor::<2>::random([rows, columns], uniform, &device).into_data();
        let vector = || Tensor::<1>::random([24], uniform, &device).into_data();
        let w = &lstm.weights[0];
        let bias = |bias: &Option<Param<Tensor<1>>>| bias.as_ref().expect("biases").to_data();
        matrix(24, 3) == w.weight_ih.to_data()
            && matrix(24, 2) == w.weight_hh.val().to_data()
            && vector() == bias(&w.bias_ih)
            && vector() == bias(&w.bias_hh)
            && Some(matrix(2, 6)) == w.weight_hr.as_ref().map(|weight| weight.to_data())
    };
    assert!((0..1000).any(|_| same()));
}

#[test]
fn a_seed_fixes_every_initializer() {
    let device = plain();
    for name in ["orthogonal", "radius:0.9", "normal", "xavier-normal"] {
        let config = GruConfig::new(3, 6).with_recurrent_initializer(weights(name));
        let config = config.with_bias_initializer(biases("chrono:9"));
        let draw = || {
            device.seed(5);
            let w = config.init(&device).weights[0].clone();
            (w.weight_hh.val().to_data(), w.bias_ih.expect("biases").to_data())
        };
        // Other tests draw from the same generator at the same time.
        assert!((0..1000).any(|_| draw() == draw()), "{name}");
    }
}

#[test]
fn names_are_read_and_written() {
    let same = [
        "torch",
        "xavier-uniform",
        "xavier-normal:2",
        "kaiming-uniform",
        "kaiming-normal:1",
        "orthogonal",
        "orthogonal:0.5",
        "identity:0.9",
        "radius:0.95",
        "normal:1.5",
        "uniform:0.1",
        "zeros",
        "constant:-1",
    ];
    for name in same {
        assert_eq!(weights(name).to_string(), name);
        assert_eq!(serde_json::to_value(weights(name)).expect("JSON"), name);
    }
    for name in ["torch", "zeros", "constant:1", "uniform:0.1", "forget", "forget:2", "chrono:400"]
    {
        assert_eq!(biases(name).to_string(), name);
    }
    assert_eq!(weights("he-normal"), weights("kaiming-normal:1.4142135623730951"));
    assert_eq!(weights("orthogonal"), Initializer::Orthogonal { gain: 1.0 }.into());
    let mistakes = [
        (
            "orthonormal",
            "no initializer of weights is called `orthonormal`: expected one of torch, ",
        ),
        ("identity:big", "identity:big: `big` is no number: expected identity[:SCALE]"),
        ("identity:", "identity:: `` is no number"),
        ("identity:inf", "`inf` is no number"),
        ("radius", "radius: expected radius:RADIUS"),
        ("radius:-1", "a spectral radius of -1: expected a positive number"),
        ("torch:1", "torch:1: expected torch"),
        ("chrono:400", "no initializer of weights is called `chrono`"),
    ];
    for (text, expected) in mistakes {
        let message = text.parse::<WeightInitializer>().expect_err(text).to_string();
        assert!(message.contains(expected) && !message.contains('\n'), "{text}: {message}");
    }
    for (text, expected) in [
        ("chrono", "chrono: expected chrono:T_MAX"),
        ("chrono:2", "a longest time of 2: expected a number of steps above 2"),
        ("orthogonal", "no initializer of biases is called `orthogonal`"),
    ] {
        let message = text.parse::<BiasInitializer>().expect_err(text).to_string();
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let refused =
        |config: AnyRecurrentConfig| config.try_init(&plain()).expect_err("refused").to_string();
    let of = |kind| AnyRecurrentConfig::new(kind, 3, 4);
    let message = refused(of(CellKind::Rnn).with_bias_initializer(biases("chrono:40")));
    let expected = "rnn-tanh: bias_initializer is chrono:40: it sets the gates that hold the memory, and \
                    rnn-tanh has none: expected torch, zeros, constant:VALUE or uniform:BOUND";
    assert_eq!(message, expected);
    let lstm = of(CellKind::Lstm);
    let message = refused(lstm.clone().with_bias(false).with_bias_initializer(biases("forget")));
    assert_eq!(message, "lstm: bias_initializer is forget, and bias is false: expected biases");
    let message = refused(lstm.clone().with_input_initializer(weights("radius:0.9")));
    assert!(message.contains("input_initializer is radius:0.9: input weights are not square"));
    let radius = lstm.clone().with_recurrent_initializer(weights("radius:0.9"));
    radius.clone().init(&plain());
    let message = refused(radius.with_proj_size(2));
    assert!(
        message.contains("recurrent_initializer is radius:0.9: with a projection"),
        "{message}"
    );
    let message =
        refused(lstm.clone().with_bias_initializer(Initializer::XavierNormal { gain: 1.0 }.into()));
    assert!(message.contains("a bias is no matrix"), "{message}");
    let nan = WeightInitializer::Normal { gain: f64::NAN };
    let message = refused(lstm.with_recurrent_initializer(nan));
    assert!(message.contains("a gain of NaN: expected a positive number"), "{message}");
}

#[test]
fn configs_keep_their_initializers() {
    let config = LstmConfig::new(3, 4)
        .with_input_initializer(Initializer::Normal { mean: 0.5, std: 2.0 }.into())
        .with_recurrent_initializer(weights("orthogonal:0.5"))
        .with_bias_initializer(biases("chrono:400"));
    let json = serde_json::to_value(&config).expect("JSON");
    assert_eq!(json["recurrent_initializer"], "orthogonal:0.5");
    assert_eq!(json["bias_initializer"], "chrono:400");
    let read: LstmConfig = serde_json::from_value(json).expect("the same config");
    assert_eq!(read.input_initializer, config.input_initializer);
    assert_eq!(read.recurrent_initializer, config.recurrent_initializer);
    assert_eq!(read.bias_initializer, config.bias_initializer);

    // Configs from before there were names: nothing, or what Burn writes.
    let mut older = serde_json::to_value(LstmConfig::new(3, 4)).expect("JSON");
    older["input_initializer"] = serde_json::Value::Null;
    older["recurrent_initializer"] = serde_json::json!({ "XavierNormal": { "gain": 2.0 } });
    older["bias_initializer"] = "Zeros".into();
    let read: LstmConfig = serde_json::from_value(older).expect("a config");
    assert_eq!(read.input_initializer, WeightInitializer::Torch);
    assert_eq!(read.recurrent_initializer, weights("xavier-normal:2"));
    assert_eq!(read.bias_initializer, biases("zeros"));
    let wrong = LstmConfig::load_binary(b"{\"d_input\": 3, \"input_initializer\": \"x\"}");
    assert!(wrong.is_err());
}

/// Every cell of the list takes all names of weights. If its recurrent weights are one number a unit, it refuses those
/// that are made of whole matrices.
#[test]
fn all_cells_take_all_weights() {
    for kind in CellKind::ALL {
        let device = device_of(kind);
        for name in ["torch", "orthogonal", "identity", "radius:2", "normal", "he", "zeros"] {
            let config =
                AnyRecurrentConfig::new(kind, 2, 5).with_num_layers(2).with_bidirectional(true);
            let layer = config.with_recurrent_initializer(weights(name)).try_init(&device);
            let is_dense = kind.default_cell().layout().has_recurrent_weights();
            if !is_dense && !["torch", "identity", "zeros"].contains(&name) {
                let error = layer.expect_err("not for diagonals").to_string();
                assert!(error.contains("one number a unit"), "{error}");
                continue;
            }
            let layer = layer.expect("it fits");
            let values = values(layer.weights[3].weight_hh.as_whole().expect("no heads"));
            assert!(values.iter().all(|x| x.is_finite()), "{name}");
            let cell = layer.cell();
            let rows = if is_dense { cell.gates() * 5 } else { cell.diagonal_weights() };
            assert_eq!(layer.weights[3].weight_hh.val().dims(), [rows, 5]);
            if !is_dense && name == "identity" {
                assert_eq!(values, vec![1.0; rows * 5]);
            }
        }
    }
}

/// Behind a normalisation, gains are 1, and shifts 0; those of gates that hold the memory have the forget bias, also
/// without other biases.
#[test]
fn gains_begin_at_one_and_shifts_take_the_forget_bias() {
    let all = CellKind::ALL.into_iter().map(|kind| (kind, kind.default_cell().layout()));
    let mut count = 0;
    for (kind, layout) in all.filter(|(_, layout)| !layout.diagonal_roles.is_empty()) {
        let config = AnyRecurrentConfig::new(kind, 2, 5).with_bias(false);
        let diagonals = |layer: &Recurrent<AnyCell>| {
            values(layer.weights[0].weight_diag.as_ref().expect("the cell has some"))
        };
        let plainly = diagonals(&config.clone().init(&tracked()));
        let forgetful = config.with_bias_initializer(biases("forget:2")).init(&tracked());
        let has_forget = layout.diagonal_roles.contains(&DiagonalRole::Shift(GateRole::Forget));
        for (k, role) in layout.diagonal_roles.iter().enumerate() {
            let (begin, bias) = match role {
                DiagonalRole::Gain => (1.0, 1.0),
                DiagonalRole::Shift(GateRole::Forget) => (0.0, 2.0),
                DiagonalRole::Shift(GateRole::Input) if !has_forget => (0.0, -2.0),
                _ => (0.0, 0.0),
            };
            assert_eq!(plainly[k * 5..(k + 1) * 5], [begin; 5], "{kind:?} {k}");
            assert_eq!(diagonals(&forgetful)[k * 5..(k + 1) * 5], [bias; 5], "{kind:?} {k}");
        }
        count += 1;
    }
    assert!(count >= 3 || CellKind::ALL.len() < 10, "cells with layer normalisation");
}

/// With and without autodiff.
fn device_of(kind: CellKind) -> Device {
    if kind == CellKind::Rnn { plain() } else { tracked() }
}
