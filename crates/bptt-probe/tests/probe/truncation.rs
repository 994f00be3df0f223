//! Truncated gradients against `Truncated` and Burn's own differentiation, and against closed forms.

use bptt::{
    AnyCell, AnyRecurrentConfig, CellKind, Engine, Nonlinearity, RnnCell, RnnConfig, Truncated,
};
use bptt_probe::readout::{Batch, Input, Readout, Reads, Target};
use bptt_probe::truncation::{Cut, doubling, joined, truncation};
use burn::Tensor;
use burn::module::Param;
use burn::tensor::{DType, Device, TensorData};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const ROWS: usize = 3;
const TIME: usize = 10;
const INPUT: usize = 2;
const ANSWERS: usize = 2;

fn random<const D: usize>(shape: [usize; D], rng: &mut StdRng) -> Tensor<D> {
    let count = shape.iter().product();
    let values: Vec<f64> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), DType::F64))
}

/// Two layers, with random weights in f64.
fn model(cell: CellKind, reads: Reads) -> Readout<AnyCell> {
    let mut rng = StdRng::seed_from_u64(1);
    let config = AnyRecurrentConfig::new(cell, INPUT, 4).with_num_layers(2);
    let mut recurrent = config.init(&Device::flex());
    for weights in &mut recurrent.weights {
        let [of_input, of_hidden] = [weights.weight_ih.val(), weights.weight_hh.val()];
        weights.weight_ih = Param::from_tensor(random(of_input.dims(), &mut rng));
        weights.weight_hh = Param::from_tensor(random(of_hidden.dims(), &mut rng)).into();
        for bias in [&mut weights.bias_ih, &mut weights.bias_hh].into_iter().flatten() {
            *bias = Param::from_tensor(random(bias.val().dims(), &mut rng));
        }
    }
    Readout {
        embedding: None,
        weight: random([4, ANSWERS], &mut rng),
        bias: Some(random([ANSWERS], &mut rng)),
        recurrent,
        reads,
    }
}

fn batch(reads: Reads, rng: &mut StdRng) -> Batch {
    let rows = if reads == Reads::EveryStep { ROWS * TIME } else { ROWS };
    let input = Input::Values(random([ROWS, TIME, INPUT], rng));
    Batch::new(input, Target::Values(random([rows, ANSWERS], rng)))
}

fn error(a: &[f64], b: &[f64]) -> f64 {
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}

fn entries<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.into_data().iter::<f64>().collect()
}

/// The gradients of the recurrent weights, by Burn, with windows of `Truncated` or with a state that is detached before
/// the last `window` steps.
fn by_autograd(model: &Readout<AnyCell>, batch: &Batch, window: usize) -> Vec<f64> {
    let mut layer = model.recurrent.clone().with_engine(Engine::Autograd);
    for weights in &mut layer.weights {
        let tracked =
            |x: &Tensor<2>| Param::from_tensor(Tensor::from_inner(x.clone()).require_grad());
        weights.weight_ih = tracked(&weights.weight_ih.val());
        weights.weight_hh = tracked(&weights.weight_hh.val()).into();
        for bias in [&mut weights.bias_ih, &mut weights.bias_hh].into_iter().flatten() {
            *bias = Param::from_tensor(Tensor::from_inner(bias.val()).require_grad());
        }
    }
    let on = |x: &Tensor<2>| Tensor::<2>::from_inner(x.clone());
    let (weight, bias) = (on(&model.weight), Tensor::from_inner(model.bias.clone().unwrap()));
    let (Input::Values(input), Target::Values(target)) = (&batch.input, &batch.target) else {
        unreachable!("values only")
    };
    let input = Tensor::<3>::from_inner(input.clone());
    let rows = target.dims()[0];
    let mut sum: Vec<f64> = Vec::new();
    let mut add = |read: Tensor<2>, target: Tensor<2>| {
        let answer = read.matmul(weight.clone()) + bias.clone().unsqueeze::<2>();
        let off = answer - Tensor::from_inner(target);
        // The mean is taken below: the gradient of Burn's division has the rounding of f32.
        let gradients = off.clone().mul(off).sum().backward();
        let mut all = Vec::new();
        for w in &layer.weights {
            all.extend(entries(w.weight_ih.val().grad(&gradients).unwrap()));
            all.extend(entries(w.weight_hh.val().grad(&gradients).unwrap()));
            for bias in [&w.bias_ih, &w.bias_hh].into_iter().flatten() {
                all.extend(entries(bias.val().grad(&gradients).unwrap()));
            }
        }
        sum.resize(all.len(), 0.0);
        sum.iter_mut().zip(all).for_each(|(sum, one)| *sum += one);
    };
    let part = |steps: std::ops::Range<usize>| input.clone().slice([0..ROWS, steps]);
    match model.reads {
        Reads::EveryStep => {
            let mut truncated = Truncated::new(TIME, window, window, None);
            while let Some(found) = truncated.next(&layer, part) {
                let steps = found.steps;
                let count = ROWS * steps.len();
                let target = target.clone().reshape([ROWS, TIME, ANSWERS]).slice([0..ROWS, steps]);
                add(found.outputs.reshape([count, 4]), target.reshape([count, ANSWERS]));
            }
        }
        Reads::LastHidden => {
            let cut = TIME - window;
            let state = (cut > 0).then(|| layer.forward(part(0..cut), None).1.detach());
            let (output, _) = layer.forward(part(cut..TIME), state);
            let last = output.slice([0..ROWS, window - 1..window]).reshape([ROWS, 4]);
            add(last, target.clone());
        }
    }
    sum.iter().map(|sum| sum / (rows * ANSWERS) as f64).collect()
}

#[test]
fn windows_are_those_of_truncated_and_burn_agrees() {
    for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
        for reads in [Reads::EveryStep, Reads::LastHidden] {
            let model = model(cell, reads);
            let batch = batch(reads, &mut StdRng::seed_from_u64(2));
            let cut = Cut::new(&model, &batch);
            let whole = model.derivatives(std::slice::from_ref(&batch), None);
            let readout = model.blocks()[model.blocks().len() - 2].range.start;
            for window in [1, 3, 4, 9, 10] {
                let found = cut.derivatives(window);
                let expected = by_autograd(&model, &batch, window);
                let off = error(&found.gradient[..readout], &expected);
                assert!(off < 1e-13, "{cell:?} {reads:?} {window}: {off:.1e}");
                // Forward nothing is cut, nor in the linear layer.
                assert!(
                    (found.loss / whole.loss - 1.0).abs() < 1e-13,
                    "{cell:?} {reads:?} {window}"
                );
                let off = error(&found.gradient[readout..], &whole.gradient[readout..]);
                assert!(off < 1e-13, "{cell:?} {reads:?} {window}: {off:.1e}");
                // What is cut is no rounding.
                let off = error(&found.gradient, &whole.gradient);
                assert!(
                    (off < 1e-14) == (window == TIME) && (window == TIME || off > 1e-6),
                    "{off}"
                );
            }
        }
    }
}

/// Rows of different lengths are the rows alone.
#[test]
fn lengths_are_cut_row_by_row() {
    for reads in [Reads::EveryStep, Reads::LastHidden] {
        let model = model(CellKind::Lstm, reads);
        let whole = batch(reads, &mut StdRng::seed_from_u64(3));
        // The first has a rest behind the windows of three steps, the others have none.
        let lengths = [TIME, 2, 6];
        let ragged = Batch { lengths: Some(lengths.to_vec()), ..whole.clone() };
        for window in [1, 3, 10] {
            let found = Cut::new(&model, &ragged).derivatives(window).gradient;
            let mut expected = vec![0.0; found.len()];
            for (row, length) in lengths.into_iter().enumerate() {
                let (Input::Values(input), Target::Values(target)) = (&whole.input, &whole.target)
                else {
                    unreachable!("values only")
                };
                let input = input.clone().slice([row..row + 1, 0..length]);
                let rows = match reads {
                    Reads::EveryStep => row * TIME..row * TIME + length,
                    Reads::LastHidden => row..row + 1,
                };
                let target = target.clone().slice([rows]);
                let share = match reads {
                    Reads::EveryStep => length as f64 / lengths.iter().sum::<usize>() as f64,
                    Reads::LastHidden => 1.0 / ROWS as f64,
                };
                let one =
                    Batch { share, ..Batch::new(Input::Values(input), Target::Values(target)) };
                let one = Cut::new(&model, &one).derivatives(window).gradient;
                expected.iter_mut().zip(one).for_each(|(sum, one)| *sum += one);
            }
            assert!(error(&found, &expected) < 1e-13, "{reads:?} {window}");
        }
    }
}

/// `h' = a h + x` with a constant `x`, from where it stays: the fixed point `h = x / (1 - a)`. Then
/// `dh/da = h (1 + a + … + a^(k-1))` over `k` steps, and the same factor is in every recurrent parameter.
fn linear(reads: Reads, a: f64, time: usize) -> (Readout<RnnCell>, Batch) {
    let one = |value: f64| {
        let data = TensorData::new(vec![value], [1, 1]);
        Tensor::<2>::from_data(data, (&Device::flex(), DType::F64))
    };
    let config = RnnConfig::new(1, 1).with_nonlinearity(Nonlinearity::Relu);
    let mut recurrent = config.init(&Device::flex());
    let weights = &mut recurrent.weights[0];
    weights.weight_ih = Param::from_tensor(one(1.0));
    weights.weight_hh = Param::from_tensor(one(a)).into();
    for bias in [&mut weights.bias_ih, &mut weights.bias_hh].into_iter().flatten() {
        *bias = Param::from_tensor(one(0.0).reshape([1]));
    }
    let readout = Readout { embedding: None, recurrent, weight: one(1.0), bias: None, reads };
    let rows = if reads == Reads::EveryStep { time } else { 1 };
    let input = one(0.5).reshape([1, 1, 1]).expand([1, time, 1]);
    let batch = Batch {
        hidden: Some(one(0.5 / (1.0 - a)).reshape([1, 1, 1])),
        ..Batch::new(Input::Values(input), Target::Values(one(0.0).expand([rows, 1])))
    };
    (readout, batch)
}

#[test]
fn a_linear_network_has_the_bias_of_a_geometric_sum() {
    let (a, time) = (0.9f64, 64);
    let power = |k: usize| a.powi(k as i32);
    for reads in [Reads::EveryStep, Reads::LastHidden] {
        // What is left of the gradient, but for a factor.
        let left = |k: usize| match reads {
            Reads::LastHidden => 1.0 - power(k),
            // The mean over the places in a window.
            Reads::EveryStep => 1.0 - a * (1.0 - power(k)) / (k as f64 * (1.0 - a)),
        };
        let (readout, batch) = linear(reads, a, time);
        // A second batch of the same: nothing varies.
        let found = truncation(&readout, &[batch.clone(), batch], &doubling(time), &mut |_, _| ());
        let found = found.unwrap();
        assert_eq!(found.truncation.len(), 7);
        let mut last = f64::INFINITY;
        for of in &found.truncation {
            let expected = 1.0 - left(of.window) / left(time);
            assert!(of.figures.variance < 1e-24 && of.figures.bias_error < 1e-12, "{of:?}");
            for group in &of.groups {
                let expected = if group.group == "readout" { 0.0 } else { expected };
                let bias = group.figures.bias;
                assert!(
                    (bias - expected).abs() < 1e-12,
                    "{reads:?} {} {}: {bias}",
                    of.window,
                    group.group
                );
            }
            assert!(of.figures.bias < last, "it falls with the window");
            last = of.figures.bias;
        }
        let names: Vec<_> = found.truncation[0].groups.iter().map(|g| g.group.as_str()).collect();
        assert_eq!(names, ["recurrent", "weight_ih_l0", "weight_hh_l0", "bias_l0", "readout"]);
        // With 0.9^k below 1 % from k = 44 on, it takes all 64 steps, of these windows.
        let within = (found.window_within_1_percent, found.window_within_1_percent_recurrent);
        assert_eq!(within, (Some(64), Some(64)));
    }
    // 0.5^k is below 1 % from k = 7 on.
    let (readout, batch) = linear(Reads::LastHidden, 0.5, 64);
    let found = truncation(&readout, &[batch], &[6, 7, 8, 64], &mut |_, _| ()).unwrap();
    assert_eq!(found.window_within_1_percent, Some(7), "{found:?}");
}

/// Chunks with the state of the chunk before are the sequence that they were cut from.
#[test]
fn joined_chunks_are_the_whole_sequence() {
    let model = model(CellKind::Gru, Reads::EveryStep);
    let whole = batch(Reads::EveryStep, &mut StdRng::seed_from_u64(4));
    let cut = Cut::new(&model, &whole).batches(5);
    // The windows are rows; as chunks they follow each other.
    let (Input::Values(input), Target::Values(target)) = (&whole.input, &whole.target) else {
        unreachable!("values only")
    };
    let chunk = |n: usize| {
        let steps = 5 * n..5 * n + 5;
        let input = input.clone().slice([0..ROWS, steps.clone()]);
        let target = target.clone().reshape([ROWS, TIME, ANSWERS]).slice([0..ROWS, steps]);
        let target = target.reshape([ROWS * 5, ANSWERS]);
        let hidden = cut[0].hidden.clone().unwrap().reshape([2, ROWS, 2, 4]);
        let hidden = hidden.slice([0..2, 0..ROWS, n..n + 1]).reshape([2, ROWS, 4]);
        let batch = Batch::new(Input::Values(input), Target::Values(target));
        Batch { hidden: (n > 0).then_some(hidden), share: 0.5, ..batch }
    };
    let chunks = [chunk(0), chunk(1)];
    let again = joined(&chunks, 2);
    let of = |batches: &[Batch]| model.derivatives(batches, None);
    assert_eq!((again.len(), again[0].share), (1, 1.0));
    assert_eq!(of(&again).gradient, of(std::slice::from_ref(&whole)).gradient);
    // The chunks themselves are its truncated gradient.
    let truncated = Cut::new(&model, &whole).derivatives(5).gradient;
    assert!(error(&of(&chunks).gradient, &truncated) < 1e-13);
    assert_eq!(joined(&chunks, 1).len(), 2);
    // Three do not make two groups of two, and those without a state do not go on with each other.
    assert_eq!(joined(&[chunk(0), chunk(1), chunk(1)], 2).len(), 1);
    assert_eq!(joined(&[chunk(0), chunk(0)], 2).len(), 2);
}

#[test]
fn what_cannot_be_cut_is_one_line() {
    let mut model = model(CellKind::Rnn, Reads::LastHidden);
    let batch = batch(Reads::LastHidden, &mut StdRng::seed_from_u64(5));
    let one = std::slice::from_ref(&batch);
    let refused = |model: &Readout<AnyCell>, batches: &[Batch], windows: &[usize]| {
        truncation(model, batches, windows, &mut |_, _| ()).unwrap_err()
    };
    assert!(refused(&model, &[], &[1]).contains("at least one batch"));
    assert!(refused(&model, one, &[0, 1]).contains("1 or more"));
    assert!(refused(&model, one, &[2, 2]).contains("ascending"));
    let both = AnyRecurrentConfig::new(CellKind::Rnn, INPUT, 4).with_bidirectional(true);
    model.recurrent = both.init(&Device::flex());
    assert!(refused(&model, one, &[1]).contains("forward only"));
}
