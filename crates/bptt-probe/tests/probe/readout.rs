//! The derivatives of whole models, and their spectra, against differences, against Burn's own forward pass, and against
//! a Hessian that is formed column by column.

use bptt::{AnyCell, AnyRecurrentConfig, CellKind};
use bptt_probe::readout::{Batch, Derivatives, Filters, Input, Readout, Reads, Target};
use bptt_probe::spectrum::{EndOptions, density, ends, trace};
use burn::Tensor;
use burn::module::Param;
use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Device, TensorData};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const BATCH: usize = 3;
const TIME: usize = 4;
const INPUT: usize = 2;
const TOKENS: usize = 5;
const ANSWERS: usize = 3;

fn random<const D: usize>(shape: [usize; D], rng: &mut StdRng) -> Tensor<D> {
    let count = shape.iter().product();
    let values: Vec<f64> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), DType::F64))
}

fn model(
    cell: CellKind,
    layers: usize,
    both: bool,
    reads: Reads,
    tokens: bool,
) -> Readout<AnyCell> {
    let mut rng = StdRng::seed_from_u64(1);
    let config = AnyRecurrentConfig::new(cell, INPUT, 3);
    let config = config.with_num_layers(layers).with_bidirectional(both);
    let mut recurrent = config.init(&Device::flex());
    for weights in &mut recurrent.weights {
        let matrix = |old: &Param<Tensor<2>>, rng: &mut StdRng| {
            Param::from_tensor(random(old.val().dims(), rng))
        };
        weights.weight_ih = matrix(&weights.weight_ih, &mut rng);
        weights.weight_hh =
            matrix(weights.weight_hh.as_whole().expect("no heads"), &mut rng).into();
        for bias in [&mut weights.bias_ih, &mut weights.bias_hh].into_iter().flatten() {
            *bias = Param::from_tensor(random(bias.val().dims(), &mut rng));
        }
        if let Some(weight) = &mut weights.weight_diag {
            *weight = matrix(weight, &mut rng);
        }
    }
    Readout {
        embedding: tokens.then(|| random([TOKENS, INPUT], &mut rng)),
        weight: random([recurrent.d_output(), ANSWERS], &mut rng),
        bias: Some(random([ANSWERS], &mut rng)),
        recurrent,
        reads,
    }
}

/// Two batches with unequal shares, of which the second has lengths or a state.
fn batches(model: &Readout<AnyCell>, classes: bool, lengths: bool) -> Vec<Batch> {
    let mut rng = StdRng::seed_from_u64(2);
    let rows = if model.reads == Reads::EveryStep { BATCH * TIME } else { BATCH };
    let numbers = |count: usize, below: i32, rng: &mut StdRng| -> Vec<i32> {
        (0..count).map(|_| rng.random_range(0..below)).collect()
    };
    [0.25, 0.75]
        .into_iter()
        .map(|share| {
            let input = match model.embedding {
                Some(_) => {
                    let tokens = numbers(BATCH * TIME, TOKENS as i32, &mut rng);
                    let data = TensorData::new(tokens, [BATCH, TIME]);
                    Input::Tokens(Tensor::from_data(data, &Device::flex()))
                }
                None => Input::Values(random([BATCH, TIME, INPUT], &mut rng)),
            };
            let target = match classes {
                true => {
                    let numbers = numbers(rows, ANSWERS as i32, &mut rng);
                    Target::Classes(Tensor::from_data(&numbers[..], &Device::flex()))
                }
                false => Target::Values(random([rows, ANSWERS], &mut rng)),
            };
            let planes = model.recurrent.weights.len();
            let hidden = (share > 0.5).then(|| random([planes, BATCH, 3], &mut rng));
            let lengths = lengths.then(|| vec![TIME, 1, TIME - 1]);
            Batch { share, hidden, lengths, ..Batch::new(input, target) }
        })
        .collect()
}

/// The loss by the layer's own forward pass and Burn's functions.
fn plain_loss(model: &Readout<AnyCell>, batch: &Batch) -> f64 {
    let input = match (&batch.input, &model.embedding) {
        (Input::Tokens(tokens), Some(table)) => {
            let flat = tokens.clone().reshape([BATCH * TIME]);
            table.clone().select(0, flat).reshape([BATCH, TIME, INPUT])
        }
        (Input::Values(values), _) => values.clone(),
        _ => unreachable!("tokens have an embedding"),
    };
    let zero = model.recurrent.zero_state(BATCH, &input);
    let (hidden, memory) = bptt::RecurrentState::into_parts(zero);
    let hidden = batch.hidden.clone().unwrap_or(hidden);
    let state = Some(bptt::RecurrentState::from_parts(hidden, memory));
    let lengths = batch.lengths.clone().unwrap_or_else(|| vec![TIME; BATCH]);
    let (output, state) = model.recurrent.forward_lengths(input, &lengths, state);
    let width = model.recurrent.d_output();
    let (read, valid): (Tensor<2>, Vec<bool>) = match model.reads {
        Reads::EveryStep => {
            let valid = |&length: &usize| (0..TIME).map(move |t| t < length);
            let valid = lengths.iter().flat_map(valid).collect();
            (output.reshape([BATCH * TIME, width]), valid)
        }
        Reads::LastHidden => {
            let (hidden, _) = bptt::RecurrentState::into_parts(state);
            let [all, _, size] = hidden.dims();
            let last = hidden.slice([all - width / size..all]).swap_dims(0, 1);
            (last.reshape([BATCH, width]), vec![true; BATCH])
        }
    };
    let z = read.matmul(model.weight.clone()) + model.bias.clone().unwrap().unsqueeze::<2>();
    let rows = valid.len();
    let losses = match &batch.target {
        Target::Values(target) => {
            let error = z - target.clone();
            error.clone().mul(error).mean_dim(1).reshape([rows])
        }
        Target::Classes(classes) => {
            log_softmax(z, 1).gather(1, classes.clone().reshape([rows, 1])).neg().reshape([rows])
        }
    };
    let losses: Vec<f64> = losses.into_data().iter::<f64>().collect();
    let kept = losses.iter().zip(&valid).filter(|(_, valid)| **valid).map(|(loss, _)| loss);
    kept.sum::<f64>() / valid.iter().filter(|valid| **valid).count() as f64 * batch.share
}

fn relative(a: &[f64], b: &[f64]) -> f64 {
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}

/// Every cell and form of model, with every loss.
fn models() -> Vec<(String, Readout<AnyCell>, Vec<Batch>)> {
    let mut all = Vec::new();
    for cell in CellKind::ALL {
        for (layers, both) in [(1, false), (2, true)] {
            for reads in [Reads::EveryStep, Reads::LastHidden] {
                for (classes, lengths, tokens) in
                    [(false, false, false), (true, true, false), (true, false, true)]
                {
                    let model = model(cell, layers, both, reads, tokens);
                    let batches = batches(&model, classes, lengths);
                    let name = format!("{cell:?} {layers} {both} {reads:?} {classes} {lengths}");
                    all.push((name, model, batches));
                }
            }
        }
    }
    all
}

#[test]
fn losses_are_those_of_the_forward_pass() {
    for (name, model, batches) in models() {
        let found = model.derivatives(&batches, None).loss;
        let expected: f64 = batches.iter().map(|batch| plain_loss(&model, batch)).sum();
        assert!((found - expected).abs() < 1e-13 * expected.abs(), "{name}: {found} {expected}");
    }
}

/// The derivative of each row's own loss with respect to each output, by central differences of the linear layer and the
/// loss.
#[test]
fn gradients_of_outputs_are_differences() {
    const STEP: f64 = 1e-5;
    let one_direction = |(_, model, _): &(String, Readout<AnyCell>, Vec<Batch>)| {
        !model.recurrent.is_bidirectional()
    };
    for (name, model, batches) in models().into_iter().filter(one_direction) {
        let batch = &batches[1];
        let input = match (&batch.input, &model.embedding) {
            (Input::Tokens(tokens), Some(table)) => {
                let flat = tokens.clone().reshape([BATCH * TIME]);
                table.clone().select(0, flat).reshape([BATCH, TIME, INPUT])
            }
            (Input::Values(values), _) => values.clone(),
            _ => unreachable!("tokens have an embedding"),
        };
        let zero = model.recurrent.zero_state(BATCH, &input);
        let (hidden, memory) = bptt::RecurrentState::into_parts(zero);
        let hidden = batch.hidden.clone().unwrap_or(hidden);
        let state = Some(bptt::RecurrentState::from_parts(hidden, memory));
        let lengths = batch.lengths.clone().unwrap_or_else(|| vec![TIME; BATCH]);
        let (output, _) = model.recurrent.forward_lengths(input, &lengths, state);
        let width = model.recurrent.d_output();
        let numbers = |x: Tensor<2>| x.into_data().iter::<f64>().collect::<Vec<_>>();
        let output = numbers(output.reshape([BATCH * TIME, width]));
        let (weight, bias) = (numbers(model.weight.clone()), model.bias.clone().expect("a bias"));
        let bias = numbers(bias.unsqueeze::<2>());
        // The loss of one answer, from the output that the linear layer reads and the number of the answer.
        let loss = |y: &[f64], answer: usize| -> f64 {
            let score = |k: usize| -> f64 {
                bias[k] + (0..width).map(|unit| y[unit] * weight[unit * ANSWERS + k]).sum::<f64>()
            };
            let scores: Vec<_> = (0..ANSWERS).map(score).collect();
            match &batch.target {
                Target::Values(target) => {
                    let target = numbers(target.clone());
                    let error = |k: usize| scores[k] - target[answer * ANSWERS + k];
                    (0..ANSWERS).map(|k| error(k).powi(2)).sum::<f64>() / ANSWERS as f64
                }
                Target::Classes(classes) => {
                    let class = classes.clone().into_data().iter::<i64>().nth(answer);
                    let class = class.expect("an answer") as usize;
                    scores.iter().map(|s| s.exp()).sum::<f64>().ln() - scores[class]
                }
            }
        };
        for (row, found) in model.output_gradients(batch).into_iter().enumerate() {
            let steps = lengths[row];
            assert_eq!((found.rows(), found.columns()), (steps, width), "{name}");
            for step in 0..steps {
                let at = row * TIME + step;
                let (answer, answers) = match model.reads {
                    Reads::EveryStep => (Some(at), steps),
                    Reads::LastHidden => ((step + 1 == steps).then_some(row), 1),
                };
                for unit in 0..width {
                    let moved = |by: f64| {
                        let mut y = output[at * width..(at + 1) * width].to_vec();
                        y[unit] += by;
                        answer.map_or(0.0, |answer| loss(&y, answer)) / answers as f64
                    };
                    let expected = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
                    let found = found.row(step)[unit];
                    assert!((found - expected).abs() < 1e-8, "{name}: {found} for {expected}");
                }
            }
        }
    }
}

#[test]
fn gradients_and_products_are_differences() {
    const STEP: f64 = 1e-5;
    for (name, model, batches) in models() {
        let at = model.parameters();
        let mut rng = StdRng::seed_from_u64(3);
        let v: Vec<f64> = at.iter().map(|_| rng.random_range(-1.0..1.0)).collect();
        let moved = |step: f64| {
            let at: Vec<f64> = at.iter().zip(&v).map(|(at, v)| at + step * v).collect();
            let moved = model.clone().with_parameters(&at);
            assert_eq!(moved.parameters(), at);
            moved
        };
        let here = model.derivatives(&batches, Some(&v));
        // Differences of fourth order: behind a normalisation of few units, third derivatives are large.
        let mut slope = 0.0;
        let mut expected = vec![0.0; at.len()];
        for (steps, weight) in [(1.0, 8.0), (-1.0, -8.0), (2.0, -1.0), (-2.0, 1.0)] {
            let (model, weight) = (moved(steps * STEP), weight / (12.0 * STEP));
            slope += weight * batches.iter().map(|batch| plain_loss(&model, batch)).sum::<f64>();
            let gradient = model.derivatives(&batches, None).gradient;
            expected.iter_mut().zip(gradient).for_each(|(sum, d)| *sum += weight * d);
        }
        let found: f64 = here.gradient.iter().zip(&v).map(|(g, v)| g * v).sum();
        assert!((found - slope).abs() < 1e-8 * (1.0 + slope.abs()), "{name}: {found} {slope}");
        let error = relative(&here.product, &expected);
        // At the kinks of relu and of clips, differences are no derivatives; none is near.
        assert!(error < 1e-6, "{name}: {error:.1e}");
        let plain = model.derivatives(&batches, None);
        assert_eq!(plain.gradient, here.gradient, "{name}");
        assert!(plain.product.iter().all(|product| *product == 0.0));
    }
}

#[test]
fn blocks_are_all_parameters_in_order() {
    let model = model(CellKind::Lstm, 2, true, Reads::LastHidden, true);
    let (blocks, all) = (model.blocks(), model.parameters());
    assert_eq!(blocks.last().map(|block| block.range.end), Some(all.len()));
    assert!(blocks.windows(2).all(|pair| pair[0].range.end == pair[1].range.start));
    let of = |name: &str| blocks.iter().find(|block| block.name == name).expect("there is one");
    assert_eq!(of("embedding.weight").filters, Filters::Rows { columns: INPUT });
    assert_eq!(of("recurrent.weight_ih_l1").filters, Filters::Rows { columns: 6 });
    assert_eq!(of("head.weight").filters, Filters::Columns { columns: ANSWERS });
    let head = of("head.weight").range.clone();
    let expected: Vec<f64> = model.weight.to_data().iter::<f64>().collect();
    assert_eq!(all[head], expected);
    assert_eq!(of("recurrent.bias_hh_l1_reverse").filters, Filters::Bias);
}

/// In the linear layer alone, the mean squared error is quadratic: its Hessian is `2 / (N O) Yᵀ Y` for each answer.
#[test]
fn the_hessian_of_the_linear_layer_is_known() {
    let mut model = model(CellKind::Gru, 1, false, Reads::LastHidden, false);
    model.bias = None;
    let batch = Batch { share: 1.0, ..batches(&model, false, false).remove(0) };
    let Input::Values(input) = batch.input.clone() else { unreachable!("it has values") };
    let (output, _) = model.recurrent.forward(input, None);
    let y = output.slice([0..BATCH, TIME - 1..TIME, 0..3]).reshape([BATCH, 3]);
    let v = random([3, ANSWERS], &mut StdRng::seed_from_u64(4));
    let expected = y.clone().transpose().matmul(y.matmul(v.clone()));
    let expected = expected.mul_scalar(2.0 / (BATCH * ANSWERS) as f64);
    let head = model.blocks().pop().expect("the linear layer").range;
    let mut along = vec![0.0; head.end];
    along[head.clone()].copy_from_slice(&v.into_data().iter::<f64>().collect::<Vec<_>>());
    let Derivatives { product, .. } = model.derivatives(&[batch], Some(&along));
    let expected: Vec<f64> = expected.into_data().iter::<f64>().collect();
    let error = relative(&product[head], &expected);
    assert!(error < 1e-13, "{error:.1e}");
}

/// The eigenvalues of a symmetric matrix in ascending order, by Jacobi's rotations.
fn eigenvalues(mut a: Vec<Vec<f64>>) -> Vec<f64> {
    let n = a.len();
    for _ in 0..60 {
        for i in 0..n {
            for j in i + 1..n {
                if a[i][j].abs() < 1e-300 {
                    continue;
                }
                let angle = 0.5 * (2.0 * a[i][j]).atan2(a[i][i] - a[j][j]);
                let (sine, cosine) = angle.sin_cos();
                for row in &mut a {
                    (row[i], row[j]) =
                        (cosine * row[i] + sine * row[j], cosine * row[j] - sine * row[i]);
                }
                let (low, high) = a.split_at_mut(j);
                for (x, y) in low[i].iter_mut().zip(&mut high[0]) {
                    (*x, *y) = (cosine * *x + sine * *y, cosine * *y - sine * *x);
                }
            }
        }
    }
    let mut values: Vec<f64> = (0..n).map(|i| a[i][i]).collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The whole Hessian of a tiny model, one column for each parameter, has the ends, the sum and the moments that are
/// found by products along random vectors.
#[test]
fn spectra_are_those_of_the_whole_hessian() {
    for cell in [CellKind::Rnn, CellKind::Lstm, CellKind::Gru] {
        let model = model(cell, 1, false, Reads::LastHidden, false);
        let batches = batches(&model, cell == CellKind::Gru, false);
        let size = model.parameters().len();
        let mut product = |v: &[f64]| model.derivatives(&batches, Some(v)).product;
        let columns: Vec<Vec<f64>> = (0..size)
            .map(|k| product(&(0..size).map(|i| f64::from(i == k)).collect::<Vec<_>>()))
            .collect();
        for (i, column) in columns.iter().enumerate() {
            for (j, entry) in column.iter().enumerate().take(i) {
                assert!((entry - columns[j][i]).abs() < 1e-14, "{cell:?} {i} {j}");
            }
        }
        let values = eigenvalues(columns);
        let mut rng = StdRng::seed_from_u64(5);
        let start: Vec<f64> = (0..size).map(|_| rng.random_range(-1.0..1.0)).collect();
        let options = EndOptions { tolerance: 1e-10, ..EndOptions::default() };
        let found = ends(&start, &mut product, &options);
        assert!(found.converged, "{cell:?}");
        for (pair, expected) in found.top.iter().zip(values.iter().rev()).take(2) {
            assert!((pair.value - expected).abs() < 1e-9, "{cell:?}: {} {expected}", pair.value);
        }
        assert!((found.bottom.value - values[0]).abs() < 1e-9, "{cell:?}: {}", found.bottom.value);

        let whole: f64 = values.iter().sum();
        let by_hutchinson = trace(size, &mut product, &[], 200, &mut rng);
        let off = (by_hutchinson.value - whole).abs();
        assert!(off < 4.0 * by_hutchinson.error, "{cell:?}: {by_hutchinson:?} {whole}");
        let density = density(size, &mut product, &[], 200, 12, &mut rng);
        let off = (density.trace.value - whole).abs();
        assert!(off < 4.0 * density.trace.error, "{cell:?}: {:?} {whole}", density.trace);
        let squares = values.iter().map(|value| value * value).sum::<f64>() / size as f64;
        let found = density.mean(|value| value * value);
        assert!((found / squares - 1.0).abs() < 0.15, "{cell:?}: {found} {squares}");
    }
}
