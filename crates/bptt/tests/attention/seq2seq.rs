//! Encoder and decoder in training: engines, padding, teaching, bridges.

use super::parameters::{filled, gradients};
use super::{complaint, differ, numbers, plain, tracked};
use bptt::attention::Score;
use bptt::seq2seq::{
    BridgeKind, Feeding, Scored, Seq2Seq, Seq2SeqConfig, Teaching, TeachingSchedule, cross_entropy,
};
use bptt::{
    AnyRecurrent, AnyRecurrentConfig, CellKind, Engine, GruConfig, LstmConfig, RecurrentLayer,
    RecurrentState, cast,
};
use burn::module::{Module, ModuleDisplay};
use burn::tensor::{DType, Device, Int, Tensor};

pub(super) const SYMBOLS: usize = 5;

pub(super) fn config() -> Seq2SeqConfig {
    Seq2SeqConfig::new(4, SYMBOLS, 3)
}

/// A small model in f64: an encoder in two directions, and a decoder of another cell.
pub(super) fn model(
    config: &Seq2SeqConfig,
    cells: [CellKind; 2],
    device: &Device,
    seed: u64,
) -> Seq2Seq<AnyRecurrent, AnyRecurrent> {
    let encoder = AnyRecurrentConfig::new(cells[0], 2, 3).with_bidirectional(true);
    let decoder = |d_input| {
        let config = AnyRecurrentConfig::new(cells[1], d_input, 6).with_num_layers(2);
        cast(config.init(device), DType::F64)
    };
    filled(config.init(cast(encoder.init(device), DType::F64), decoder, device), seed)
}

pub(super) fn source(device: &Device) -> Tensor<2, Int> {
    Tensor::from_data([[1, 2, 3, 0], [3, 1, 0, 0], [0, 0, 0, 0]], device)
}

pub(super) const LENGTHS: [usize; 3] = [4, 2, 0];

fn target(device: &Device) -> Tensor<2, Int> {
    Tensor::from_data([[2, 3, 1], [4, 1, 0], [1, 0, 0]], device)
}

const TARGET_LENGTHS: [usize; 3] = [3, 2, 1];

/// All options that change the equations.
fn variants() -> Vec<Seq2SeqConfig> {
    let mut all = Vec::new();
    for feeding in [Feeding::Attentional, Feeding::Context] {
        all.push(config().with_feeding(feeding));
        all.push(config().with_feeding(feeding).with_score(Score::General));
        // Both have six units: the encoder's output and the decoder's.
        all.push(config().with_feeding(feeding).with_score(Score::ScaledDot));
        all.push(config().with_feeding(feeding).with_bridge(BridgeKind::Zeros));
    }
    all.push(config().with_d_attentional(Some(7)).with_d_attention(Some(2)));
    all
}

#[test]
fn both_engines_give_the_same_gradients() {
    let device = tracked();
    let cells = [
        [CellKind::Gru, CellKind::Lstm],
        [CellKind::Lstm, CellKind::Gru],
        [CellKind::Lstm, CellKind::Lstm],
    ];
    for config in variants() {
        for cells in cells {
            let run = |engine: Engine| {
                let model = model(&config, cells, &device, 1).with_engine(engine);
                let teaching = Teaching::Forced;
                let scored =
                    model.forward(source(&device), Some(&LENGTHS), target(&device), &teaching);
                let loss = cross_entropy(scored.scores, target(&device), Some(&TARGET_LENGTHS));
                let value = numbers(&loss)[0];
                (value, gradients(&model, &loss.backward()))
            };
            let ((manual, d_manual), (autograd, d_autograd)) =
                (run(Engine::Manual), run(Engine::Autograd));
            assert!((manual - autograd).abs() < 1e-12, "{config:?}");
            let off = differ(&d_manual, &d_autograd);
            assert!(off < 1e-12, "{cells:?} {config:?}: the gradients are off by {off:e}");
            assert!(d_manual.iter().any(|d| d.abs() > 0.01), "{cells:?} {config:?}");
        }
    }
}

#[test]
fn every_parameter_has_a_gradient() {
    let device = tracked();
    for feeding in [Feeding::Attentional, Feeding::Context] {
        let model = model(&config().with_feeding(feeding), [CellKind::Lstm; 2], &device, 1);
        let scored =
            model.forward(source(&device), Some(&LENGTHS), target(&device), &Teaching::Forced);
        let grads = cross_entropy(scored.scores, target(&device), None).backward();
        let embedding = model.source_embedding.weight.grad(&grads).expect("tracked");
        assert!(numbers(&embedding).iter().any(|d| d.abs() > 1e-6));
        let of = |linear: &Option<burn::nn::Linear>| {
            let linear = linear.as_ref().expect("a linear bridge to an LSTM");
            numbers(&linear.weight.grad(&grads).expect("tracked"))
        };
        for gradient in [of(&model.bridge.hidden), of(&model.bridge.memory)] {
            assert!(gradient.iter().any(|d| d.abs() > 1e-6), "{gradient:?}");
        }
    }
}

fn scored(
    model: &Seq2Seq<AnyRecurrent, AnyRecurrent>,
    source: Tensor<2, Int>,
    lengths: &[usize],
) -> Scored {
    let device = source.device();
    model.forward(source, Some(lengths), target(&device), &Teaching::Forced)
}

#[test]
fn the_padding_of_a_source_changes_nothing() {
    let device = plain();
    for config in variants() {
        let model = model(&config, [CellKind::Lstm; 2], &device, 2);
        let Scored { scores, weights } = scored(&model, source(&device), &LENGTHS);
        // Other symbols in the padding.
        let other = Tensor::from_data([[1, 2, 3, 0], [3, 1, 2, 3], [1, 2, 3, 1]], &device);
        let with_other = scored_scores(&model, other, &LENGTHS);
        assert_eq!(numbers(&scores), with_other, "{config:?}");
        // More padding: sums over more numbers, rounded in another order.
        let longer = Tensor::cat(vec![source(&device), source(&device)], 1);
        let off = differ(&numbers(&scores), &scored_scores(&model, longer, &LENGTHS));
        assert!(off < 1e-13, "{config:?}: off by {off:e}");
        // The second row alone.
        let alone = source(&device).slice([1..2, 0..2]);
        let its_target = target(&device).slice([1..2]);
        let alone = model.forward(alone, None, its_target, &Teaching::Forced);
        let off = differ(&numbers(&scores.slice([1..2])), &numbers(&alone.scores));
        assert!(off < 1e-13, "{config:?}: off by {off:e}");
        let off = differ(&numbers(&weights.slice([1..2, 0..3, 0..2])), &numbers(&alone.weights));
        assert!(off < 1e-13, "{config:?}: off by {off:e}");
    }
}

fn scored_scores(
    model: &Seq2Seq<AnyRecurrent, AnyRecurrent>,
    source: Tensor<2, Int>,
    lengths: &[usize],
) -> Vec<f64> {
    numbers(&scored(model, source, lengths).scores)
}

#[test]
fn a_sequence_is_its_steps() {
    let device = plain();
    for config in variants() {
        let model = model(&config, [CellKind::Gru, CellKind::Lstm], &device, 3);
        let whole = scored(&model, source(&device), &LENGTHS);
        let (keys, mut state) = model.encode(source(&device), Some(&LENGTHS));
        let mut symbols = Tensor::<1, Int>::zeros([3], &device);
        for t in 0..3 {
            let step = model.step(symbols, state, &keys);
            let at = |x: Tensor<3>| numbers(&x.slice([0..3, t..t + 1]));
            let off = differ(&numbers(&step.scores), &at(whole.scores.clone()));
            assert!(off < 1e-13, "{config:?}, step {t}: off by {off:e}");
            assert_eq!(numbers(&step.weights), at(whole.weights.clone()), "{config:?}, step {t}");
            symbols = target(&device).slice([0..3, t..t + 1]).reshape([3]);
            state = step.state;
        }
    }
}

#[test]
fn an_encoder_may_be_time_first() {
    let device = plain();
    let of = |batch_first| {
        let encoder = GruConfig::new(2, 3).with_batch_first(batch_first).init(&device);
        let decoder = |d_input| cast(GruConfig::new(d_input, 6).init(&device), DType::F64);
        let model = config().init(cast(encoder, DType::F64), decoder, &device);
        let model = filled(model, 4);
        let teaching = Teaching::Forced;
        numbers(&model.forward(source(&device), Some(&LENGTHS), target(&device), &teaching).scores)
    };
    assert!(differ(&of(true), &of(false)) < 1e-13);
}

#[test]
fn the_layers_may_have_another_type_than_the_rest() {
    let device = tracked();
    for feeding in [Feeding::Attentional, Feeding::Context] {
        let model = model(&config().with_feeding(feeding), [CellKind::Lstm; 2], &device, 4);
        let scores = |model: &Seq2Seq<AnyRecurrent, AnyRecurrent>| {
            model
                .forward(source(&device), Some(&LENGTHS), target(&device), &Teaching::Forced)
                .scores
        };
        let expected = scores(&model);
        let mut single = model.clone();
        single.encoder = cast(model.encoder, DType::F32);
        single.decoder = cast(model.decoder, DType::F32);
        let found = scores(&single);
        assert_eq!(found.dtype(), DType::F64);
        let off = differ(&numbers(&found), &numbers(&expected));
        assert!(off > 1e-12 && off < 1e-5, "{feeding:?}: off by {off:e}");
        let grads = cross_entropy(found, target(&device), None).backward();
        let d_weight = single.bridge.hidden.as_ref().expect("linear").weight.grad(&grads);
        assert!(numbers(&d_weight.expect("tracked")).iter().any(|d| d.abs() > 1e-6));
    }
}

#[test]
fn with_forced_teaching_the_truth_matters_and_without_it_does_not() {
    let device = plain();
    let model = model(&config(), [CellKind::Gru; 2], &device, 5);
    let other = || Tensor::<2, Int>::from_data([[4, 4, 4], [3, 3, 3], [2, 2, 2]], &device);
    let run = |target: Tensor<2, Int>, teaching: Teaching| {
        numbers(&model.forward(source(&device), Some(&LENGTHS), target, &teaching).scores)
    };
    let scheduled = |truth, seed| Teaching::Scheduled { truth, seed };
    let forced = run(target(&device), Teaching::Forced);
    assert!(differ(&forced, &run(target(&device), scheduled(1.0, 1))) < 1e-13);
    assert!(differ(&forced, &run(other(), Teaching::Forced)) > 0.01);
    let own = run(target(&device), scheduled(0.0, 1));
    assert_eq!(own, run(other(), scheduled(0.0, 1)));
    // The seed decides, and nothing else.
    assert_eq!(own, run(target(&device), scheduled(0.0, 1)));
    assert!((2..20).any(|seed| run(target(&device), scheduled(0.0, seed)) != own));
    let message = complaint(|| run(target(&device), scheduled(1.5, 1)));
    assert!(message.contains("is 1.5"), "{message}");
}

#[test]
fn schedules_are_those_of_the_paper() {
    let linear = TeachingSchedule::Linear { start: 0.9, slope: 0.1, floor: 0.25 };
    assert!((linear.truth(3) - 0.6).abs() < 1e-12);
    assert_eq!(linear.truth(1000), 0.25);
    assert_eq!(TeachingSchedule::Constant(0.5).truth(7), 0.5);
    assert_eq!(TeachingSchedule::Exponential { k: 0.5 }.truth(2), 0.25);
    let sigmoid = TeachingSchedule::InverseSigmoid { k: 100.0 };
    assert!((sigmoid.truth(0) - 100.0 / 101.0).abs() < 1e-12);
    // Half where exp(step / k) = k.
    let half = 100.0 * 100f64.ln();
    assert!((sigmoid.truth(half.round() as u64) - 0.5).abs() < 2e-3);
    assert_eq!(sigmoid.truth(u64::MAX), 0.0);
    let text = serde_json::to_string(&linear).expect("JSON");
    assert_eq!(text, r#"{"linear":{"start":0.9,"slope":0.1,"floor":0.25}}"#);
}

#[test]
fn a_bridge_may_pass_both_directions_on_side_by_side() {
    let device = plain();
    let encoder = LstmConfig::new(2, 3).with_num_layers(2).with_bidirectional(true);
    let encoder = cast(encoder.init(&device), DType::F64);
    let decoder = |width: usize| {
        let device = device.clone();
        move |d_input| {
            let decoder = LstmConfig::new(d_input, width).with_num_layers(2).init(&device);
            cast(decoder, DType::F64)
        }
    };
    let same = config().with_bridge(BridgeKind::Same);
    let model = filled(same.init(encoder.clone(), decoder(6), &device), 6);
    let (_, start) = model.encode(source(&device), Some(&LENGTHS));
    let input = model.source_embedding.forward(source(&device));
    let (_, end) = model.encoder.forward_lengths(input, &LENGTHS, None);
    let (hidden, cell) = start.layers.into_parts();
    let both = |x: &Tensor<3>, layer: usize| {
        let part = |k: usize| x.clone().slice([k..k + 1]);
        numbers(&Tensor::cat(vec![part(2 * layer), part(2 * layer + 1)], 2))
    };
    for layer in 0..2 {
        let of = |x: &Tensor<3>| numbers(&x.clone().slice([layer..layer + 1]));
        assert_eq!(of(&hidden), both(&end.hidden, layer));
        assert_eq!(of(cell.as_ref().expect("an LSTM")), both(&end.cell, layer));
    }
    let message = same.try_init(encoder, decoder(5), &device).expect_err("too narrow").to_string();
    assert!(message.contains("[2, 6]") && message.contains("[2, 5]"), "{message}");
}

#[test]
fn options_that_do_not_go_together_are_one_line() {
    let device = plain();
    let error = |config: Seq2SeqConfig| {
        let encoder = GruConfig::new(2, 3).init(&device);
        let made = config.try_init(encoder, |d| GruConfig::new(d, 6).init(&device), &device);
        made.expect_err("refused").to_string()
    };
    assert!(error(Seq2SeqConfig::new(0, 5, 3)).contains("source_symbols is 0"));
    assert!(error(config().with_end(5)).contains("end is 5"));
    assert!(error(config().with_dropout(1.0)).contains("dropout is 1"));
    assert!(error(config().with_score(Score::ScaledDot)).contains("d_query is 6 and d_key is 3"));
    let encoder = GruConfig::new(2, 3).init(&device);
    let made = config().try_init(encoder, |_| GruConfig::new(4, 6).init(&device), &device);
    let message = made.expect_err("refused").to_string();
    assert!(message.contains("d_input = 4, expected 6"), "{message}");
    let model = model(&config(), [CellKind::Gru; 2], &device, 1);
    let two = target(&device).slice([0..2]);
    let message = complaint(|| model.forward(source(&device), None, two, &Teaching::Forced));
    assert!(message.contains("[2, 3]") && message.contains("[3, 4]"), "{message}");
    let scores = Tensor::<3>::zeros([3, 3, SYMBOLS], &device);
    let message = complaint(|| cross_entropy(scores, target(&device), Some(&[1])));
    assert!(message.contains("1 lengths"), "{message}");
}

#[test]
fn the_loss_is_over_the_symbols_within_the_lengths() {
    let device = plain();
    let scores = Tensor::<3>::from_data([[[0.0, 3f64.ln()], [7.0, -7.0]]], (&device, DType::F64));
    let target = Tensor::<2, Int>::from_data([[1, 1]], &device);
    let loss = cross_entropy(scores, target, Some(&[1]));
    assert!((numbers(&loss)[0] - (4.0f64 / 3.0).ln()).abs() < 1e-12);
}

/// A model that is generic over its layers.
fn parameters<E, D>(model: &Seq2Seq<E, D>) -> usize
where
    E: RecurrentLayer + ModuleDisplay,
    D: RecurrentLayer + ModuleDisplay,
{
    model.num_params()
}

#[test]
fn a_model_has_the_parameters_of_the_equations() {
    let device = plain();
    let model = model(&config(), [CellKind::Gru; 2], &device, 1);
    let encoder = 2 * 3 * (3 * 2 + 3 * 3 + 2 * 3);
    let decoder = 3 * (6 * 6 + 6 * 6 + 2 * 6) + 3 * (6 * 6 + 6 * 6 + 2 * 6);
    let bridge = 6 * 12 + 12;
    let attention = 6 * 6 + 6 * 6 + 6 + 6;
    let output = 12 * 3 + 3 * SYMBOLS + SYMBOLS;
    let embeddings = 4 * 2 + SYMBOLS * 3;
    let all = encoder + decoder + bridge + attention + output + embeddings;
    assert_eq!(parameters(&model), all);
}
