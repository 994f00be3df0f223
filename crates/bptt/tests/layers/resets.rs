//! Resets inside a sequence: a row with resets is its parts, run one by one.

use super::{close, complaint, noise, plain, tracked};
use bptt::{
    AnyRecurrentConfig, AnyState, CellKind, Engine, GruConfig, Kernel, LstmConfig, LstmState,
    MaskedOutput, PackedSequence, RaggedBatch, RecurrentState, SequenceOptions, StreamPool,
    StreamPoolConfig, Truncated,
};
use burn::Tensor;
use burn::tensor::{Bool, Device, TensorData};
use std::time::Instant;

fn flags(rows: &[&str], device: &Device) -> Tensor<2, Bool> {
    let all: Vec<bool> = rows.iter().flat_map(|row| row.bytes().map(|c| c == b'x')).collect();
    Tensor::from_data(TensorData::new(all, [rows.len(), rows[0].len()]), device)
}

/// Sequences of several numbers a step, of these lengths.
fn documents(lengths: &[usize], width: usize) -> Vec<Vec<f32>> {
    let number = |k: usize, i: usize| ((k * 31 + i * 7) as f32).sin();
    let document = |(k, &length): (usize, &usize)| -> Vec<f32> {
        (0..length * width).map(|i| number(k, i)).collect()
    };
    lengths.iter().enumerate().map(document).collect()
}

#[test]
fn documents_packed_into_rows_have_the_bits_of_each_alone() {
    let lengths = [5, 9, 1, 0, 12, 3, 3, 7];
    let documents = documents(&lengths, 3);
    let batch = RaggedBatch::pack(&documents, 3, 12, &plain());
    assert_eq!(batch.input.dims(), [4, 12, 3], "40 steps in rows of 12");
    assert_eq!(batch.padding().valid, 40);
    for kind in CellKind::ALL {
        for (layers, both) in [(1, false), (2, true)] {
            let config = AnyRecurrentConfig::new(kind, 3, 17);
            let layer = config.with_num_layers(layers).with_bidirectional(both).init(&plain());
            let (outputs, _) = layer.forward_with(batch.input.clone(), &batch.options(), None);
            for (document, (row, steps)) in documents.iter().zip(&batch.places) {
                if steps.is_empty() {
                    continue;
                }
                let data = TensorData::new(document.clone(), [1, steps.len(), 3]);
                let (alone, _) = layer.forward(Tensor::from_data(data, &plain()), None);
                let here = outputs.clone().slice([*row..row + 1, steps.clone()]);
                assert!(here.into_data() == alone.into_data(), "{kind:?}: {row}, {steps:?}");
            }
        }
    }
}

#[test]
fn nothing_crosses_a_reset_in_either_direction() {
    for engine in Engine::ALL {
        let device = tracked();
        let config = LstmConfig::new(2, 3).with_bidirectional(true).with_engine(engine);
        let lstm = config.init(&device);
        let resets = || SequenceOptions::new().with_resets(flags(&["...x..", "x...x."], &device));
        let run = |steps: std::ops::Range<usize>| {
            let input = Tensor::from_inner(noise([2, 6, 2], &plain())).require_grad();
            let (output, _) = lstm.forward_with(input.clone(), &resets(), None);
            let grads = output.slice([0..1, steps]).sum().backward();
            input.grad(&grads).expect("tracked").to_data().try_to_vec::<f32>().expect("f32")
        };
        let (first, second) = (run(0..3), run(3..6));
        assert!(first[..6].iter().all(|&d| d != 0.0), "{engine:?}: {first:?}");
        assert!(first[6..].iter().all(|&d| d == 0.0), "{engine:?}: {first:?}");
        assert!(second[..6].iter().all(|&d| d == 0.0), "{engine:?}: {second:?}");
        assert!(second[6..12].iter().all(|&d| d != 0.0), "{engine:?}: {second:?}");
    }
}

#[test]
fn a_nan_stays_on_its_side_of_a_reset() {
    for engine in Engine::ALL {
        for reverse in [false, true] {
            let device = tracked();
            let gru = GruConfig::new(1, 4).with_reverse(reverse).with_engine(engine).init(&device);
            let mut values = vec![0.5_f32; 6];
            values[1] = f32::NAN;
            let input = Tensor::<3>::from_data(TensorData::new(values, [1, 6, 1]), &device);
            let input = input.require_grad();
            let options = SequenceOptions::new().with_resets(flags(&["x..x.."], &device));
            let (output, _) = gru.forward_with(input.clone(), &options, None);
            let outputs: Vec<f32> = output.to_data().iter().collect();
            assert!(outputs[4].is_nan(), "{engine:?}: the NaN is read");
            assert!(outputs[12..].iter().all(|x| x.is_finite()), "{engine:?}: {outputs:?}");
            // Real-time learning multiplies the influence at each step with a gradient, and zero times NaN is NaN.
            if engine == Engine::Rtrl {
                continue;
            }
            let grads = output.slice([0..1, 3..6]).sum().backward();
            let d: Vec<f32> = input.grad(&grads).expect("tracked").to_data().iter().collect();
            assert!(d[3..].iter().all(|d| d.is_finite() && *d != 0.0), "{engine:?}: {d:?}");
        }
    }
}

#[test]
fn the_gradient_of_padding_is_zero_even_behind_a_nan() {
    let device = tracked();
    for (engine, kernel) in [
        (Engine::Manual, Kernel::Auto),
        (Engine::Manual, Kernel::Reference),
        (Engine::Autograd, Kernel::Auto),
    ] {
        let gru = GruConfig::new(1, 3).with_engine(engine).init(&device).with_kernel(kernel);
        let input = Tensor::<3>::from_data([[[f32::NAN], [0.5], [0.5]]], &device).require_grad();
        let (output, state) = gru.forward_lengths(input.clone(), &[1], None);
        let grads = (output.sum() + state.hidden.sum()).backward();
        let d: Vec<f32> = input.grad(&grads).expect("tracked").to_data().iter().collect();
        assert_eq!(d[1..], [0.0, 0.0], "{engine:?}, {kernel:?}");
    }
}

#[test]
fn a_reset_at_the_first_step_replaces_the_initial_state() {
    for engine in Engine::ALL {
        let device = tracked();
        let lstm = LstmConfig::new(2, 3).with_num_layers(2).with_engine(engine).init(&device);
        let part = || Tensor::from_inner(noise([2, 2, 3], &plain())).require_grad();
        let (h_0, c_0, h_r, c_r) = (part(), part(), part(), part());
        let options = SequenceOptions::new()
            .with_resets(flags(&["x...", "..x."], &device))
            .with_reset_state(LstmState::new(h_r.clone(), c_r.clone()));
        let input = noise([2, 4, 2], &device);
        let state = LstmState::new(h_0.clone(), c_0.clone());
        let (output, _) = lstm.forward_with(input.clone(), &options, Some(state));
        let grads = output.sum().backward();
        let row = |x: &Tensor<3>, b: usize| -> Vec<f32> {
            let d = x.grad(&grads).expect("tracked");
            d.slice([0..2, b..b + 1]).to_data().iter().collect()
        };
        for (given, reset) in [(&h_0, &h_r), (&c_0, &c_r)] {
            assert!(row(given, 0).iter().all(|&d| d == 0.0), "{engine:?}");
            assert!(row(given, 1).iter().all(|&d| d != 0.0), "{engine:?}");
            assert!(row(reset, 0).iter().all(|&d| d != 0.0), "{engine:?}");
            assert!(row(reset, 1).iter().all(|&d| d != 0.0), "{engine:?}");
        }
        // Row 0 is a sequence that begins from the reset state.
        let begin = LstmState::new(h_r, c_r);
        let alone = lstm.forward(input.clone().slice([0..1, 0..4]), Some(rows(begin, 0)));
        let both = lstm.forward_with(input, &options, None).0;
        close(both.slice([0..1, 0..4]), alone.0);
    }
}

fn rows(state: LstmState, row: usize) -> LstmState {
    let device = state.hidden.device();
    state.select_rows(Tensor::from_data([row as i64], &device))
}

#[test]
fn one_reset_state_is_for_all_rows_and_is_learned() {
    let device = tracked();
    let gru = AnyRecurrentConfig::new(CellKind::Gru, 2, 3).init(&device);
    let learned = Tensor::from_inner(noise([1, 1, 3], &plain())).require_grad();
    let options = |hidden: Tensor<3>| {
        SequenceOptions::new()
            .with_resets(flags(&[".x.x", "..x."], &device))
            .with_reset_state(AnyState { hidden, memory: None })
    };
    let input = noise([2, 4, 2], &device);
    let of = |hidden: Tensor<3>| gru.forward_with(input.clone(), &options(hidden), None).0;
    let grads = of(learned.clone()).sum().backward();
    let one = learned.grad(&grads).expect("tracked");
    let expanded = Tensor::from_inner(learned.clone().inner().repeat_dim(1, 2)).require_grad();
    let grads = of(expanded.clone()).sum().backward();
    close(one, expanded.grad(&grads).expect("tracked").sum_dim(1));
}

#[test]
fn a_masked_step_resets_the_state_that_is_held() {
    for engine in Engine::ALL {
        let gru = GruConfig::new(2, 3).with_engine(engine).init(&plain());
        let input = noise([1, 5, 2], &plain());
        let options = SequenceOptions::new()
            .with_mask(flags(&["xx..x"], &plain()))
            .with_masked_output(MaskedOutput::Hold)
            .with_resets(flags(&["...x."], &plain()));
        let (output, _) = gru.forward_with(input.clone(), &options, None);
        let step = |t: usize| output.clone().slice([0..1, t..t + 1]);
        close(step(2), step(1));
        close(step(3), step(3).zeros_like());
        close(step(4), gru.forward(input.slice([0..1, 4..5]), None).0);
        // Past a row's length, nothing is reset.
        let options = SequenceOptions::new()
            .with_lengths(&[2])
            .with_masked_output(MaskedOutput::Hold)
            .with_resets(flags(&["..xx."], &plain()));
        let (output, state) = gru.forward_with(noise([1, 5, 2], &plain()), &options, None);
        close(output.clone().slice([0..1, 4..5]), output.slice([0..1, 1..2]));
        assert!(state.hidden.abs().sum().into_scalar::<f32>() > 0.0);
    }
}

#[test]
fn windows_packed_sequences_and_streams_have_resets_too() {
    let lstm = LstmConfig::new(2, 5).init(&plain());
    let input = noise([2, 7, 2], &plain());
    let all = flags(&["..x...x", "...x..."], &plain());
    let options = SequenceOptions::new().with_resets(all.clone());
    let (whole, end) = lstm.forward_with(input.clone(), &options, None);

    let mut truncated = Truncated::new(7, 2, 3, None);
    let mut windows = Vec::new();
    while let Some(window) = truncated.next_with(&lstm, |steps| {
        let resets = all.clone().slice([0..2, steps.clone()]);
        let options = SequenceOptions::new().with_resets(resets);
        (input.clone().slice([0..2, steps]), options)
    }) {
        windows.push(window.outputs);
    }
    assert!(Tensor::cat(windows, 1).into_data() == whole.to_data());

    let packed = PackedSequence::pack(input.clone(), &[7, 4], true);
    let (outputs, _) = lstm.forward_packed_with(&packed, &options, None);
    let lengths = options.clone().with_lengths(&[7, 4]);
    let (ragged, _) = lstm.forward_with(input.clone(), &lengths, None);
    assert!(outputs.pad(true).0.into_data() == ragged.into_data());

    let mut pool: StreamPool<_, usize> =
        StreamPoolConfig::default().init(&lstm).expect("it runs forward, in f32");
    let now = Instant::now();
    (0..2).for_each(|b| drop(pool.add(b, now).expect("there is room")));
    let x: Vec<f32> = input.to_data().iter().collect();
    let is_reset: Vec<bool> = all.to_data().iter().collect();
    for t in 0..7 {
        for b in 0..2 {
            pool.feed(&b, &x[(b * 7 + t) * 2..][..2], now).expect("it is there");
            // The input that waits reads the new state.
            if is_reset[b * 7 + t] {
                pool.reset(&b).expect("it is there");
            }
        }
        let _ = pool.flush();
    }
    let hidden: Vec<f32> = end.hidden.to_data().iter().collect();
    let of_pool: Vec<f32> = (0..2).flat_map(|b| pool.state(&b).expect("there").hidden).collect();
    assert_eq!(hidden, of_pool);
    assert!(pool.reset(&9).is_err_and(|error| error.to_string().contains("no stream 9")));
}

#[test]
fn what_does_not_go_together_is_one_line() {
    let gru = GruConfig::new(2, 3).init(&plain());
    let say = |options: SequenceOptions<_>| {
        complaint(|| gru.forward_with(noise([2, 4, 2], &plain()), &options, None))
    };
    let resets = flags(&["...x", "x..."], &plain());
    let wrong = flags(&["...x"], &plain());
    let message = say(SequenceOptions::new().with_resets(wrong));
    assert!(message.contains("resets has shape [1, 4]") && message.contains("[2, 4]"), "{message}");
    let mask = SequenceOptions::new().with_mask(resets.clone());
    let message = say(mask.clone().with_lengths(&[4, 4]));
    assert!(message.contains("lengths and a mask: expected one"), "{message}");
    let state = || gru.zero_state(2, &noise([1, 1, 1], &plain()));
    let message = say(SequenceOptions::new().with_reset_state(state()));
    assert!(message.contains("expected `with_resets`"), "{message}");
    let larger = gru.zero_state(3, &noise([1, 1, 1], &plain()));
    let message = say(SequenceOptions::new().with_resets(resets).with_reset_state(larger));
    assert!(message.contains("the reset state's `hidden`"), "{message}");
    let packed = PackedSequence::pack(noise([2, 4, 2], &plain()), &[4, 2], true);
    let message = complaint(|| gru.forward_packed_with(&packed, &mask, None));
    assert!(message.contains("beside its own lengths"), "{message}");
}
