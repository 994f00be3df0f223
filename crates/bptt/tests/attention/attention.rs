//! Attention and pooling against plain loops, finite differences, and rows without padding.

use super::parameters::{filled, gradients, nudged};
use super::{complaint, differ, noise, numbers, plain, tracked};
use bptt::attention::{
    Attended, Attention, AttentionConfig, AttentionPoolingConfig, Score, padding_mask,
};
use burn::module::Module;
use burn::nn::attention::{MhaInput, MultiHeadAttentionConfig};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

const SCORES: [Score; 3] = [Score::Additive, Score::General, Score::ScaledDot];

/// `[B, Tk, K]`, and of each row the length; a row may have no step.
const STATES: [usize; 3] = [3, 4, 3];
const LENGTHS: [usize; 3] = [4, 2, 0];
/// `[B, Tq, Q]`
const QUERIES: [usize; 3] = [3, 2, 3];

fn attention(score: Score, device: &Device) -> Attention {
    let units = (score == Score::Additive).then_some(5);
    let config = AttentionConfig::new(3, 3).with_score(score).with_d_attention(units);
    filled(config.init(device), 7)
}

/// States with a number in place of their padding.
fn padded(with: f64, device: &Device) -> Tensor<3> {
    let [batch, time, width] = STATES;
    let mut values = numbers(&noise(1, STATES, &plain()));
    for (row, length) in LENGTHS.into_iter().enumerate() {
        values[(row * time + length) * width..(row + 1) * time * width].fill(with);
    }
    let data = TensorData::new(values, [batch, time, width]);
    Tensor::from_data(data, (device, DType::F64))
}

/// A number that depends on all of the results, and differently on each.
fn loss(attended: Attended) -> Tensor<1> {
    let Attended { context, weights } = attended;
    let device = context.device();
    let (of_context, of_weights) = (context.dims(), weights.dims());
    (context * noise(3, of_context, &device)).sum()
        + (weights * noise(4, of_weights, &device)).sum()
}

/// Row by row of a matrix in Burn's layout, `[I, O]`.
fn times(x: &[f64], matrix: &[f64]) -> Vec<f64> {
    let width = matrix.len() / x.len();
    (0..width).map(|o| x.iter().enumerate().map(|(i, x)| x * matrix[i * width + o]).sum()).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The score of a query and a key, from the equations of the documentation.
fn by_hand(attention: &Attention, q: &[f64], k: &[f64]) -> f64 {
    match attention {
        Attention::Additive(additive) => {
            let query = times(q, &numbers(&additive.query.weight.val()));
            let key = times(k, &numbers(&additive.key.weight.val()));
            let bias = numbers(&additive.key.bias.as_ref().expect("by default").val());
            let v = numbers(&additive.score.weight.val());
            let units = query.iter().zip(key).zip(bias).map(|((q, k), b)| (q + k + b).tanh());
            dot(&units.collect::<Vec<_>>(), &v)
        }
        Attention::Dot(general) => match &general.key {
            Some(key) => dot(q, &times(k, &numbers(&key.weight.val()))),
            None => dot(q, k) / (q.len() as f64).sqrt(),
        },
    }
}

#[test]
fn scores_weights_and_contexts_are_those_of_the_equations() {
    let [batch, time, width] = STATES;
    let queries = QUERIES[1];
    let (states, query) = (padded(f64::NAN, &plain()), noise(2, QUERIES, &plain()));
    for score in SCORES {
        let attention = attention(score, &plain());
        let keys = attention.keys(states.clone(), Some(&LENGTHS));
        assert_eq!(keys.dims(), [batch, time]);
        let Attended { context, weights } = attention.forward(query.clone(), &keys);
        let (context, weights) = (numbers(&context), numbers(&weights));
        let (states, query) = (numbers(&states), numbers(&query));
        for b in 0..batch {
            let key = |t: usize| &states[(b * time + t) * width..][..width];
            for q in 0..queries {
                let row = b * queries + q;
                let query = &query[row * width..][..width];
                let scores = (0..LENGTHS[b]).map(|t| by_hand(&attention, query, key(t)).exp());
                let scores: Vec<f64> = scores.collect();
                let sum: f64 = scores.iter().sum();
                let mut expected: Vec<f64> = scores.iter().map(|score| score / sum).collect();
                let of_unit = |i: usize| (0..LENGTHS[b]).map(|t| expected[t] * key(t)[i]).sum();
                let sums: Vec<f64> = (0..width).map(of_unit).collect();
                expected.resize(time, 0.0);
                let off = differ(&weights[row * time..][..time], &expected);
                assert!(off < 1e-14, "{score:?}: the weights are off by {off:e}");
                let off = differ(&context[row * width..][..width], &sums);
                assert!(off < 1e-14, "{score:?}: the context is off by {off:e}");
            }
        }
    }
}

#[test]
fn gradients_are_those_of_central_differences() {
    const STEP: f64 = 1e-5;
    let device = tracked();
    for score in SCORES {
        let attention = attention(score, &device);
        let run = |attention: &Attention, states: &Tensor<3>, query: &Tensor<3>| {
            let keys = attention.keys(states.clone(), Some(&LENGTHS));
            loss(attention.forward(query.clone(), &keys))
        };
        let states = padded(0.5, &device).require_grad();
        let query = noise(2, QUERIES, &device).require_grad();
        let grads = run(&attention, &states, &query).backward();
        let value = |x: Tensor<1>| numbers(&x)[0];
        let slope = |at: &dyn Fn(f64) -> f64| (at(STEP) - at(-STEP)) / (2.0 * STEP);

        let found = gradients(&attention, &grads);
        let moved = |place, by| value(run(&nudged(attention.clone(), place, by), &states, &query));
        let of = |place| slope(&|by| moved(place, by));
        let expected: Vec<f64> = (0..found.len()).map(of).collect();
        let off = differ(&found, &expected);
        assert!(off < 1e-9, "{score:?}: the parameters' gradients are off by {off:e}");
        assert!(found.is_empty() || found.iter().any(|d| d.abs() > 0.01), "{score:?}: {found:?}");

        let nudge = |x: &Tensor<3>, place: usize, by: f64| {
            let mut values = numbers(x);
            values[place] += by;
            Tensor::<3>::from_data(TensorData::new(values, x.dims()), (&device, DType::F64))
        };
        let inputs = [(&states, "states"), (&query, "queries")];
        for (which, (input, what)) in inputs.into_iter().enumerate() {
            let found = numbers(&input.grad(&grads).expect("tracked"));
            let moved = |place, by| {
                let input = nudge(input, place, by);
                let (states, query) = if which == 0 { (&input, &query) } else { (&states, &input) };
                value(run(&attention, states, query))
            };
            let of = |place| slope(&|by| moved(place, by));
            let expected: Vec<f64> = (0..found.len()).map(of).collect();
            let off = differ(&found, &expected);
            assert!(off < 1e-9, "{score:?}: the {what}' gradients are off by {off:e}");
        }
    }
}

#[test]
fn the_padding_changes_nothing_even_if_it_is_not_a_number() {
    let device = tracked();
    for score in SCORES {
        let attention = attention(score, &device);
        let run = |padding: f64| {
            let states = padded(padding, &device).require_grad();
            let query = noise(2, QUERIES, &device).require_grad();
            let keys = attention.keys(states.clone(), Some(&LENGTHS));
            let attended = attention.forward(query.clone(), &keys);
            let mut all = [numbers(&attended.context), numbers(&attended.weights)].concat();
            let grads = loss(attended).backward();
            let d_states = numbers(&states.grad(&grads).expect("tracked"));
            assert!(d_states[4 * 3 + 2 * 3..].iter().all(|&d| d == 0.0), "{d_states:?}");
            all.extend(d_states);
            all.extend(numbers(&query.grad(&grads).expect("tracked")));
            all.extend(gradients(&attention, &grads));
            all
        };
        let clean = run(0.0);
        assert!(clean.iter().all(|x| x.is_finite()), "{score:?}: {clean:?}");
        assert_eq!(clean, run(f64::NAN), "{score:?}");
        assert_eq!(clean, run(f64::INFINITY), "{score:?}");
    }
}

#[test]
fn a_context_without_weights_is_the_same() {
    // On a plain device by the backend's own attention, on the other one by operations on the tape.
    for device in [plain(), tracked()] {
        for score in SCORES {
            let attention = attention(score, &device);
            for lengths in [None, Some(&LENGTHS[..])] {
                let states = if lengths.is_some() { f64::NAN } else { 0.5 };
                let keys = attention.keys(padded(states, &device), lengths);
                let query = noise(2, QUERIES, &device);
                let expected = attention.forward(query.clone(), &keys).context;
                let found = attention.context(query, &keys);
                assert_eq!(found.dims(), expected.dims());
                let off = differ(&numbers(&found), &numbers(&expected));
                assert!(off < 1e-14, "{score:?} on {device:?}: off by {off:e}");
            }
        }
    }
}

#[test]
fn weights_stay_finite_in_every_type() {
    // Large scores, of which the softmax takes the highest one.
    for dtype in [DType::F32, DType::F16, DType::BF16] {
        let attention = AttentionConfig::new(1, 1).with_score(Score::ScaledDot).init(&plain());
        let states = [[[90.0], [-90.0], [f32::NAN]], [[f32::NAN]; 3]];
        let states = Tensor::<3>::from_data(states, &plain()).cast(dtype);
        let query = Tensor::<3>::full([2, 1, 1], 90.0, (&plain(), dtype));
        let attended = attention.forward(query, &attention.keys(states, Some(&[2, 0])));
        assert_eq!(numbers(&attended.weights), [1.0, 0.0, 0.0, 0.0, 0.0, 0.0], "{dtype:?}");
        assert_eq!(numbers(&attended.context), [90.0, 0.0], "{dtype:?}");
    }
}

#[test]
fn selected_rows_are_attended_to_as_before() {
    let attention = attention(Score::Additive, &plain());
    let keys = attention.keys(padded(f64::NAN, &plain()), Some(&LENGTHS));
    let query = noise(2, QUERIES, &plain());
    let all = attention.forward(query.clone(), &keys).context;
    let rows = || Tensor::<1, Int>::from_data([1, 0, 1, 2], &plain());
    let selected = attention.forward(query.select(0, rows()), &keys.select_rows(rows())).context;
    assert_eq!(numbers(&selected), numbers(&all.select(0, rows())));
}

#[test]
fn pooling_is_attention_by_one_learned_query() {
    let device = tracked();
    let pooling = filled(AttentionPoolingConfig::new(3).with_d_attention(Some(5)).init(&device), 9);
    let run = |padding: f64| {
        let states = padded(padding, &device).require_grad();
        let pooled = pooling.forward(states.clone(), Some(&LENGTHS));
        assert_eq!((pooled.output.dims(), pooled.weights.dims()), ([3, 3], [3, 4]));
        let mut all = [numbers(&pooled.output), numbers(&pooled.weights)].concat();
        let grads = (pooled.output * noise(3, [3, 3], &device)).sum().backward();
        all.extend(numbers(&states.grad(&grads).expect("tracked")));
        all.extend(gradients(&pooling, &grads));
        all
    };
    let clean = run(0.0);
    assert!(clean.iter().all(|x| x.is_finite()), "{clean:?}");
    assert_eq!(clean, run(f64::NAN));

    // Additive attention with a query of zeros has the same equations.
    let additive = match attention(Score::Additive, &device) {
        Attention::Additive(mut additive) => {
            additive.key = pooling.key.clone();
            additive.score = pooling.score.clone();
            Attention::Additive(additive)
        }
        Attention::Dot(_) => unreachable!("it is additive"),
    };
    let keys = additive.keys(padded(0.0, &device), Some(&LENGTHS));
    let zeros = Tensor::zeros([3, 1, 3], (&device, DType::F64));
    let attended = additive.forward(zeros, &keys);
    let pooled = pooling.forward(padded(0.0, &device), Some(&LENGTHS));
    assert_eq!(numbers(&attended.context), numbers(&pooled.output));
    assert_eq!(numbers(&attended.weights), numbers(&pooled.weights));
    assert!(numbers(&pooled.output)[6..].iter().all(|&x| x == 0.0));
}

#[test]
fn lengths_make_the_mask_of_burns_own_attention() {
    let device = plain();
    let attention = filled(MultiHeadAttentionConfig::new(4, 2).with_dropout(0.0).init(&device), 3);
    let (states, query) = (noise(5, [2, 4, 4], &device), noise(6, [2, 1, 4], &device));
    let input = |states: &Tensor<3>, query: &Tensor<3>| {
        MhaInput::new(query.clone(), states.clone(), states.clone())
    };
    let mask = padding_mask(&[4, 2], 4, &device);
    let found = attention.forward(input(&states, &query).mask_pad(mask)).context;
    let (short, its_query) = (states.slice([1..2, 0..2]), query.slice([1..2]));
    let alone = attention.forward(input(&short, &its_query)).context;
    let off = differ(&numbers(&found.slice([1..2])), &numbers(&alone));
    assert!(off < 1e-14, "off by {off:e}");
}

#[test]
fn what_does_not_fit_is_one_line() {
    let error =
        |config: AttentionConfig| config.try_init(&plain()).expect_err("refused").to_string();
    let scaled = AttentionConfig::new(3, 4).with_score(Score::ScaledDot);
    assert!(error(scaled).contains("d_query is 3 and d_key is 4"));
    let general = AttentionConfig::new(3, 4).with_score(Score::General);
    assert!(error(general.with_d_attention(Some(2))).contains("d_attention is 2"));
    assert!(error(AttentionConfig::new(0, 4)).contains("d_query is 0"));
    let pooling = AttentionPoolingConfig::new(3).with_d_attention(Some(0)).try_init(&plain());
    assert!(pooling.expect_err("refused").to_string().contains("d_attention is 0"));

    let attention = attention(Score::Additive, &plain());
    let states = noise(1, STATES, &plain());
    let message = complaint(|| attention.keys(states.clone(), Some(&[4, 5, 1])));
    assert!(message.contains("row 1 has length 5"), "{message}");
    let message = complaint(|| attention.keys(states.clone(), Some(&[4])));
    assert!(message.contains("1 lengths") && message.contains("expected 3"), "{message}");
    let keys = attention.keys(states, None);
    let message = complaint(|| attention.forward(noise(2, [2, 1, 3], &plain()), &keys));
    assert!(message.contains("[2, 1, 3]") && message.contains("expected B = 3"), "{message}");
}

#[test]
fn attention_is_a_module_with_named_parameters() {
    let attention = AttentionConfig::new(3, 4).with_d_attention(Some(5)).init(&plain());
    assert_eq!(attention.num_params(), 3 * 5 + 4 * 5 + 5 + 5);
    let Attention::Additive(additive) = &attention else { panic!("the default is additive") };
    assert!(additive.score.weight.is_initialized(), "drawn when the module is made");
}
