//! Zoneout and the kinds of dropout inside of a layer.

use crate::{close, noise, plain, tracked};
use bptt::{
    AnyRecurrent, AnyRecurrentConfig, CellKind, Engine, Gru, GruConfig, Kernel, LstmConfig,
    MaskedOutput, NoiseKind, RecurrentNoise, Rtrl, SequenceCell, SequenceOptions, cast,
};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{DType, Device, TensorData};
use std::sync::Arc;

const KINDS: [NoiseKind; 6] = [
    NoiseKind::Input,
    NoiseKind::State,
    NoiseKind::KeptHidden,
    NoiseKind::KeptMemory,
    NoiseKind::Weight,
    NoiseKind::Candidate,
];

fn all(p: f64) -> RecurrentNoise {
    RecurrentNoise::new()
        .with_zoneout(p, p)
        .with_variational_dropout(p, p)
        .with_recurrent_dropout(p)
        .with_weight_drop(p)
}

/// As much noise as the cell can have.
fn noise_of(kind: CellKind) -> RecurrentNoise {
    let layout = kind.default_cell().layout();
    let memory = if layout.states() > 0 && kind.name() != "slstm" { 0.4 } else { 0.0 };
    let drop = if layout.has_recurrent_weights() { 0.2 } else { 0.0 };
    RecurrentNoise::new()
        .with_zoneout(0.3, memory)
        .with_variational_dropout(0.25, drop)
        .with_weight_drop(drop)
        .with_recurrent_dropout(if can_drop_candidate(kind) { 0.2 } else { 0.0 })
        .with_seed(3)
}

fn can_drop_candidate(kind: CellKind) -> bool {
    cfg!(feature = "recurrent-dropout") && matches!(kind, CellKind::Lstm | CellKind::Gru)
}

fn numbers<const D: usize>(x: &Tensor<D>) -> Vec<f32> {
    x.to_data().iter::<f32>().collect()
}

fn same<const D: usize>(a: &Tensor<D>, b: &Tensor<D>) {
    a.to_data().assert_eq(&b.to_data(), true);
}

#[test]
fn masks_have_their_probability_and_their_scale() {
    const COUNT: usize = 100_000;
    for p in [0.05, 0.3, 0.5, 0.9] {
        for kind in KINDS {
            let drawn = all(p).draw(kind, 2, 1, COUNT).expect("a probability above 0");
            let is_kept = matches!(kind, NoiseKind::KeptHidden | NoiseKind::KeptMemory);
            let [hit, other] = if is_kept { [1.0, 0.0] } else { [0.0, (1.0 / (1.0 - p)) as f32] };
            assert!(drawn.iter().all(|&x| x == hit || x == other), "{kind:?} {p}");
            let share = drawn.iter().filter(|&&x| x == hit).count() as f64 / COUNT as f64;
            let deviation = (p * (1.0 - p) / COUNT as f64).sqrt();
            assert!((share - p).abs() < 5.0 * deviation, "{kind:?} {p}: {share}");
            // Neighbours are independent, also those that come from one random number.
            for distance in [1, 2, 64] {
                let pairs = drawn.iter().zip(&drawn[distance..]);
                let both = pairs.filter(|(a, b)| **a == hit && **b == hit).count() as f64;
                let share = both / (COUNT - distance) as f64;
                let deviation = (p * p * (1.0 - p * p) / COUNT as f64).sqrt();
                assert!((share - p * p).abs() < 6.0 * deviation, "{kind:?} {p} {distance}");
            }
        }
    }
    assert!(RecurrentNoise::new().draw(NoiseKind::Input, 0, 0, 3).is_none());
}

#[test]
fn masks_depend_on_seed_call_part_and_kind_and_on_nothing_else() {
    let draw = |seed, call, part, kind| -> Arc<[f32]> {
        all(0.5).with_seed(seed).draw(kind, call, part, 256).expect("a probability above 0")
    };
    let mut drawn = Vec::new();
    for kind in KINDS {
        for seed in [0, 1] {
            for call in [0, 1] {
                for part in [0, 1] {
                    let numbers = draw(seed, call, part, kind);
                    assert_eq!(numbers, draw(seed, call, part, kind));
                    drawn.push(
                        numbers
                            .iter()
                            .map(|&x| (x > 0.0) == (kind as u8).is_multiple_of(2))
                            .collect::<Vec<_>>(),
                    );
                }
            }
        }
    }
    // Two of them agree in about half of their numbers, whatever differs.
    for (k, a) in drawn.iter().enumerate() {
        for b in &drawn[..k] {
            let agree = a.iter().zip(b).filter(|(a, b)| a == b).count();
            assert!((72..=184).contains(&agree), "{agree} of 256");
        }
    }
    // The first numbers do not depend on how many there are.
    let few = all(0.5).draw(NoiseKind::State, 0, 0, 7).expect("drawn");
    let many = all(0.5).draw(NoiseKind::State, 0, 0, 64).expect("drawn");
    assert_eq!(few[..], many[..7]);
}

fn layer(kind: CellKind, noise: RecurrentNoise, device: &Device) -> AnyRecurrent {
    AnyRecurrentConfig::new(kind, 3, 5)
        .with_num_layers(2)
        .with_bidirectional(true)
        .with_noise(Some(noise))
        .init(device)
}

#[test]
fn all_engines_and_kernels_have_the_same_numbers() {
    for kind in CellKind::ALL {
        // In f64, since roundings grow where lstm-layernorm divides by the deviation of five numbers that are nearly equal.
        let layer = cast(layer(kind, noise_of(kind), &plain()), DType::F64).train();
        let input = Tensor::from_inner(noise([4, 6, 3], &plain()).cast(DType::F64));
        let run = |layer: AnyRecurrent| {
            let layer = layer.with_noise_seed(11);
            let first = layer.forward_lengths(input.clone(), &[6, 2, 5, 0], None).0;
            (first, layer.forward(input.clone(), None).0)
        };
        let manual = run(layer.clone());
        // A sequence has other numbers than the one before, and the same seed the same.
        assert_ne!(manual.0.to_data(), manual.1.to_data());
        same(&manual.0, &run(layer.clone()).0);
        for other in [
            layer.clone().with_engine(Engine::Autograd),
            layer.clone().with_engine(Engine::Rtrl),
            layer.clone().with_kernel(Kernel::Reference),
        ] {
            let other = run(other);
            close(other.0, manual.0.clone());
            close(other.1, manual.1.clone());
        }
    }
}

#[test]
fn clones_count_together_and_evaluation_does_not_count() {
    let layer = layer(CellKind::Lstm, noise_of(CellKind::Lstm).with_seed(0), &tracked());
    let input = noise([2, 4, 3], &tracked());
    let run = |layer: &AnyRecurrent| layer.forward(input.clone(), None).0;
    let again = layer.clone().with_noise_seed(0);
    let (first, second) = (run(&layer), run(&layer.clone()));
    layer.valid().forward(noise([2, 4, 3], &plain()), None);
    let third = run(&layer);
    for expected in [first, second, third] {
        same(&expected, &run(&again));
    }
}

/// Where Burn's dropout is off.
fn evaluated(layer: &AnyRecurrent) -> [AnyRecurrent; 2] {
    [layer.valid(), layer.clone().freeze()]
}

#[test]
fn dropout_is_off_in_evaluation() {
    let noise_only = RecurrentNoise::new().with_variational_dropout(0.5, 0.5).with_weight_drop(0.5);
    let layer = layer(CellKind::Gru, noise_only, &tracked());
    let mut without = layer.valid();
    without = without.with_noise_seed(5);
    let input = noise([2, 4, 3], &plain());
    let expected = without.forward(input.clone(), None).0;
    let [valid, frozen] = evaluated(&layer);
    same(&valid.forward(input.clone(), None).0, &expected);
    let tracked = Tensor::from_inner(input.clone());
    same(&frozen.forward(tracked.clone(), None).0.inner(), &expected);
    // The layer itself is not frozen.
    assert_ne!(layer.forward(tracked, None).0.inner().to_data(), expected.to_data());

    // The same weights in a layer that has no noise.
    let plain_layer = AnyRecurrentConfig::new(CellKind::Gru, 3, 5)
        .with_num_layers(2)
        .with_bidirectional(true)
        .init(&plain());
    let plain_layer = plain_layer.load_record(layer.valid().into_record());
    same(&plain_layer.forward(input, None).0, &expected);
}

#[test]
fn zoneout_is_its_expectation_in_evaluation() {
    let device = plain();
    for kind in CellKind::ALL {
        let memory = noise_of(kind).zoneout_memory;
        let zoneout = RecurrentNoise::new().with_zoneout(0.3, memory);
        let config = AnyRecurrentConfig::new(kind, 3, 4);
        let without = config.clone().init(&device);
        let with = config.with_noise(Some(zoneout)).init(&device);
        let with = with.load_record(without.clone().into_record());
        let before = without.forward(noise([2, 4, 3], &device), None).1;
        let x = noise([2, 1, 3], &device);
        let (_, after) = with.forward(x.clone(), Some(before.clone()));
        let (_, own) = without.forward(x, Some(before.clone()));
        let mixed = |z: f64, own: Tensor<3>, before: Tensor<3>| before * z + own * (1.0 - z);
        close(after.hidden, mixed(0.3, own.hidden, before.hidden));
        if let Some(found) = after.memory {
            let (own, before) = (own.memory.expect("one"), before.memory.expect("one"));
            close(found, mixed(memory, own, before));
        }
    }
}

#[test]
fn steps_and_chunks_give_the_same_bits_in_evaluation() {
    let device = plain();
    for kind in CellKind::ALL {
        let layer = AnyRecurrentConfig::new(kind, 3, 5)
            .with_num_layers(2)
            .with_noise(Some(noise_of(kind)))
            .init(&device);
        let input = noise([3, 7, 3], &device);
        let (whole, _) = layer.forward(input.clone(), None);
        let (mut state, mut steps) = (None, Vec::new());
        for t in 0..7 {
            let x = input.clone().slice([0..3, t..t + 1]).reshape([3, 3]);
            let (y, after) = layer.step(x, state);
            steps.push(y);
            state = Some(after);
        }
        same(&Tensor::stack::<3>(steps, 1), &whole);
        let (first, state) = layer.forward(input.clone().slice([0..3, 0..4]), None);
        let (rest, _) = layer.forward(input.slice([0..3, 4..7]), Some(state));
        same(&Tensor::cat(vec![first, rest], 1), &whole);
    }
}

fn gru(noise: RecurrentNoise) -> Gru {
    GruConfig::new(6, 8).with_noise(Some(noise)).init(&tracked())
}

#[test]
fn a_variational_mask_is_the_same_in_all_steps() {
    let layer = gru(RecurrentNoise::new().with_variational_dropout(0.5, 0.0));
    let input = noise([4, 5, 6], &tracked()).require_grad();
    let gradients = layer.forward(input.clone(), None).0.sum().backward();
    let d = numbers(&input.grad(&gradients).expect("tracked"));
    let mask = layer.noise().expect("it has noise").draw(NoiseKind::Input, 0, 0, 4 * 6);
    let mask = mask.expect("a probability above 0");
    for (n, d) in d.into_iter().enumerate() {
        let (b, i) = (n / 30, n % 6);
        assert_eq!(d == 0.0, mask[b * 6 + i] == 0.0, "row {b}, input {i}");
    }
}

#[test]
fn zoneout_keeps_the_state_of_the_step_before() {
    let layer = gru(RecurrentNoise::new().with_zoneout(0.4, 0.0).with_seed(9));
    let (output, _) = layer.forward(noise([3, 50, 6], &tracked()), None);
    let kept = layer.noise().expect("it has noise").draw(NoiseKind::KeptHidden, 0, 0, 50 * 3 * 8);
    let (y, kept) = (numbers(&output), kept.expect("a probability above 0"));
    for b in 0..3 {
        for t in 1..50 {
            for j in 0..8 {
                let at = |t: usize| (b * 50 + t) * 8 + j;
                let is_kept = kept[(t * 3 + b) * 8 + j] == 1.0;
                assert_eq!(y[at(t)] == y[at(t - 1)], is_kept, "row {b}, step {t}, unit {j}");
            }
        }
    }
}

#[test]
fn weights_that_are_dropped_have_no_gradient() {
    let layer = gru(RecurrentNoise::new().with_weight_drop(0.5));
    let gradients = layer.forward(noise([4, 5, 6], &tracked()), None).0.sum().backward();
    let d = numbers(&layer.weights[0].weight_hh.grad(&gradients).expect("a parameter"));
    let mask = layer.noise().expect("it has noise").draw(NoiseKind::Weight, 0, 0, 24 * 8);
    let mask = mask.expect("a probability above 0");
    for (d, mask) in d.into_iter().zip(mask.iter()) {
        assert_eq!(d == 0.0, *mask == 0.0);
    }
}

/// A candidate that is dropped adds nothing, and the memory loses nothing.
#[cfg(feature = "recurrent-dropout")]
#[test]
fn recurrent_dropout_drops_the_candidate_and_no_memory() {
    let noise_only = RecurrentNoise::new().with_recurrent_dropout(0.5);
    for per_sequence in [false, true] {
        let noise_only = noise_only.with_dropout_per_sequence(per_sequence);
        let layer = LstmConfig::new(6, 8).with_noise(Some(noise_only)).init(&tracked());
        let gradients = layer.forward(noise([1, 1, 6], &tracked()), None).0.sum().backward();
        let d = numbers(
            &layer.weights[0].bias_ih.as_ref().expect("one").grad(&gradients).expect("one"),
        );
        let steps = if per_sequence { 1 } else { 4 };
        let mask = noise_only.draw(NoiseKind::Candidate, 0, 0, steps * 8).expect("drawn");
        for j in 0..8 {
            // Gates are i f g o: without a candidate, neither i nor g has an effect.
            assert_eq!(d[j] == 0.0, mask[j] == 0.0, "unit {j}");
            assert_eq!(d[16 + j] == 0.0, mask[j] == 0.0, "unit {j}");
        }
    }
}

/// A masked step copies the state on, and a reset comes before zoneout.
#[test]
fn masked_steps_and_resets_come_first() {
    let layer = gru(RecurrentNoise::new().with_zoneout(0.5, 0.0));
    let device = tracked();
    let mask = Tensor::from_data(TensorData::from([[true, false, true, true]]), &device);
    let resets = Tensor::from_data(TensorData::from([[false, false, false, true]]), &device);
    let sequence = SequenceOptions::new()
        .with_mask(mask)
        .with_masked_output(MaskedOutput::Hold)
        .with_resets(resets);
    let (output, _) = layer.forward_with(noise([1, 4, 6], &device), &sequence, None);
    let kept = layer.noise().expect("it has noise").draw(NoiseKind::KeptHidden, 0, 0, 4 * 8);
    let (y, kept) = (numbers(&output), kept.expect("a probability above 0"));
    assert_eq!(y[8..16], y[..8]);
    for j in 0..8 {
        // What is kept at step 3 is the reset state, zero.
        assert_eq!(y[24 + j] == 0.0, kept[24 + j] == 1.0, "unit {j}");
    }
}

#[test]
fn what_a_cell_cannot_have_is_refused_in_one_line() {
    let init = |kind, noise: RecurrentNoise| {
        let config = AnyRecurrentConfig::new(kind, 3, 4).with_noise(Some(noise));
        config.try_init(&plain()).map(|_: AnyRecurrent| ()).map_err(|error| error.to_string())
    };
    let none = RecurrentNoise::new();
    let mistakes = [
        (
            CellKind::Gru,
            none.with_zoneout(1.0, 0.0),
            "zoneout of the hidden state is 1, and has to be in [0, 1)",
        ),
        (
            CellKind::Gru,
            none.with_weight_drop(-0.5),
            "weight drop is -0.5, and has to be in [0, 1)",
        ),
        (CellKind::Gru, none.with_zoneout(f64::NAN, 0.0), "zoneout of the hidden state is NaN"),
        (
            CellKind::Gru,
            none.with_zoneout(0.1, 0.1),
            "this cell has no memory beside its hidden state",
        ),
    ];
    for (kind, noise, expected) in mistakes {
        let message = init(kind, noise).expect_err("refused");
        assert!(message.contains(expected) && !message.contains('\n'), "{message}");
    }
    for kind in CellKind::ALL {
        let layout = kind.default_cell().layout();
        let dropped = init(kind, none.with_variational_dropout(0.0, 0.2));
        assert_eq!(dropped.is_ok(), layout.has_recurrent_weights(), "{kind:?}");
        assert_eq!(
            init(kind, none.with_weight_drop(0.2)),
            dropped.map_err(|message| {
                message.replace("variational dropout of the state", "weight drop")
            })
        );
        let zoned = init(kind, none.with_zoneout(0.0, 0.2));
        assert_eq!(zoned.is_ok(), layout.states() > 0 && kind.name() != "slstm", "{kind:?}");
        assert_eq!(init(kind, none.with_zoneout(0.2, 0.0)), Ok(()));
    }
    for kind in CellKind::ALL {
        let dropped = init(kind, none.with_recurrent_dropout(0.2));
        assert_eq!(dropped.is_ok(), can_drop_candidate(kind), "{kind:?}");
    }
    let coupled = LstmConfig::new(3, 4)
        .with_input_forget(true)
        .with_noise(Some(none.with_recurrent_dropout(0.2)))
        .try_init(&plain());
    let message = coupled.map(|_| ()).expect_err("it has no such form").to_string();
    assert!(message.contains("recurrent dropout is 0.2, and this "), "{message}");
    let layer = LstmConfig::new(3, 4).with_noise(Some(none.with_zoneout(0.1, 0.1))).init(&plain());
    let state = layer.zero_state(1, &layer.weights[0].weight_ih.val());
    let refused = Rtrl::new(&layer, state).map(|_| ()).expect_err("it has noise").to_string();
    assert!(refused.contains("needs a layer without noise"), "{refused}");
}

#[test]
fn a_config_keeps_its_noise_and_older_ones_have_none() {
    let config = GruConfig::new(3, 4).with_noise(Some(all(0.25).with_seed(5)));
    let mut json = serde_json::to_value(&config).expect("plain data");
    let read = |json: &serde_json::Value| {
        serde_json::from_value::<GruConfig>(json.clone()).expect("a config").noise
    };
    assert_eq!(read(&json), config.noise);
    json.as_object_mut().expect("a struct").remove("noise");
    assert_eq!(read(&json), None);
}
