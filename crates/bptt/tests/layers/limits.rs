//! The smallest sequences, empty sequences, and sequences that are too large.

use super::{close, complaint, noise, plain, tracked};
use bptt::{
    AnyRecurrent, AnyRecurrentConfig, CellKind, Engine, GruConfig, Kernel, LstmConfig,
    MaskedOutput, PackedSequence, RecurrentState, Rtrl, SequenceCell, StreamPoolConfig, Truncated,
    cast,
};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Bool, DType, Device, TensorData};
use std::time::{Duration, Instant};

/// Every cell with every engine, with this many units.
fn layers(d_hidden: usize, device: &Device) -> Vec<AnyRecurrent> {
    let all = CellKind::ALL.into_iter().flat_map(|kind| {
        Engine::ALL.map(|engine| {
            AnyRecurrentConfig::new(kind, 3, d_hidden).with_num_layers(2).with_engine(engine)
        })
    });
    all.map(|config| config.init(device)).collect()
}

#[test]
fn no_step_and_no_row_are_refused_by_all_alike() {
    for device in [plain(), tracked()] {
        for layer in layers(4, &device) {
            for [batch, time] in [[2, 0], [0, 2], [0, 0]] {
                let input = || {
                    Tensor::<3>::from_data(
                        TensorData::new(Vec::<f32>::new(), [batch, time, 3]),
                        &device,
                    )
                };
                let mask = Tensor::<2, Bool>::from_data(
                    TensorData::new(Vec::<bool>::new(), [batch, time]),
                    &device,
                );
                let lengths = vec![time; batch];
                let messages = [
                    complaint(|| layer.forward(input(), None)),
                    complaint(|| layer.forward_lengths(input(), &lengths, None)),
                    complaint(|| layer.forward_masked(input(), mask, MaskedOutput::Hold, None)),
                ];
                let name = layer.to_string();
                let name = name.split(' ').next().expect("the cell's");
                let expected = format!(
                    "{name}: the input has shape [{batch}, {time}, 3], expected [B, T, I] with at \
                     least one row, at least one step and I = 3"
                );
                assert_eq!(messages, std::array::from_fn(|_| expected.clone()));
            }
            let none = TensorData::new(Vec::<f32>::new(), [0, 3]);
            let message = complaint(|| layer.step(Tensor::from_data(none, &device), None));
            let expected =
                "the input has shape [0, 3], expected [B, I] with at least one row and I = 3";
            assert!(message.ends_with(expected), "{message}");
        }
    }
}

#[test]
fn one_step_is_a_step() {
    for layer in layers(4, &plain()) {
        let layer = cast(layer, DType::F64);
        let input = noise([5, 1, 3], &plain()).cast(DType::F64);
        let (outputs, end) = layer.forward(input.clone(), None);
        let (output, after) = layer.step(input.clone().reshape([5, 3]), None);
        close(outputs.clone(), output.unsqueeze_dim(1));
        close(end.hidden.clone(), after.hidden);
        let (same, _) = layer.forward_lengths(input, &[1; 5], None);
        close(same, outputs);
    }
}

#[test]
fn a_row_of_length_one_is_its_first_step() {
    for layer in layers(4, &plain()) {
        let layer = cast(layer, DType::F64);
        let input = noise([3, 6, 3], &plain()).cast(DType::F64);
        let (outputs, end) = layer.forward_lengths(input.clone(), &[6, 1, 0], None);
        let (alone, after) = layer.forward(input.narrow(0, 1, 1).narrow(1, 0, 1), None);
        close(outputs.clone().narrow(0, 1, 1).narrow(1, 0, 1), alone);
        close(end.hidden.clone().narrow(1, 1, 1), after.hidden);
        let rest = outputs.slice([1..3, 1..6]).abs().max().into_scalar::<f64>();
        assert_eq!(rest, 0.0);
        assert_eq!(end.hidden.narrow(1, 2, 1).abs().max().into_scalar::<f64>(), 0.0);
    }
}

#[test]
fn one_unit_one_row_one_step_have_the_same_gradient_by_all_engines() {
    for [batch, time] in [[1, 1], [1, 7], [3, 1]] {
        for same_cell in layers(1, &plain()).chunks(Engine::ALL.len()) {
            // In f64: a normalised cell divides by the deviation of its one number, so f32's rounding is 300 times as large.
            let layer = cast(same_cell[0].clone(), DType::F64).train();
            let input = noise([batch, time, 3], &plain()).cast(DType::F64);
            let gradients = Engine::ALL.map(|engine| {
                let layer = layer.clone().with_engine(engine);
                let x = Tensor::from_inner(input.clone()).require_grad();
                let (outputs, state) = layer.forward(x.clone(), None);
                let (hidden, memory) = state.into_parts();
                let loss = outputs.powf_scalar(2.0).sum() + hidden.sin().sum();
                let loss = memory.map_or(loss.clone(), |memory| loss + memory.sum());
                let gradients = loss.backward();
                let weight = layer.weights[0].weight_hh.grad(&gradients).expect("tracked");
                [x.grad(&gradients).expect("tracked"), weight.unsqueeze()]
            });
            let [manual, autograd, rtrl] = gradients;
            for ((manual, autograd), rtrl) in manual.into_iter().zip(autograd).zip(rtrl) {
                close(manual, autograd.clone());
                close(rtrl, autograd);
            }
        }
    }
}

#[test]
fn there_is_nothing_to_pack_in_an_empty_batch() {
    let device = tracked();
    for rows in [1, 3] {
        let input = noise([rows, 4, 3], &device);
        let message = complaint(|| PackedSequence::pack(input.clone(), &vec![0; rows], true));
        assert!(message.contains("are all zero: there is nothing to pack"), "{message}");
        let message = complaint(|| PackedSequence::pack(input.clone(), &vec![5; rows], true));
        assert!(message.contains("none over the number of steps"), "{message}");
    }
}

#[test]
fn what_cannot_fit_is_refused_before_anything_is_allocated() {
    // One number, viewed as a sequence of this many steps.
    let long =
        |time: usize, device: &Device| Tensor::<3>::zeros([1, 1, 3], device).expand([1, time, 3]);
    let device = tracked();
    for layer in layers(64, &device) {
        // Both engines refuse more bytes than there are addresses.
        let message = complaint(|| layer.forward(long(1 << 55, &device), None));
        assert!(message.contains("more memory than there are addresses"), "{message}");
    }
    let layer = AnyRecurrentConfig::new(CellKind::Lstm, 3, 64).init(&device);
    // Petabytes, more than any machine has.
    let time = 10_000_000_000_000;
    for budget in [None, Some(1 << 20)] {
        let layer = layer.clone().with_trace_budget(budget);
        let message = complaint(|| layer.forward(long(time, &device), None));
        let start = "lstm: 10000000000000 steps of 1 rows would take ";
        assert!(message.starts_with(start), "{message}");
        assert!(message.contains("no trace budget would do"), "{message}");
    }
    // The reference kernel keeps the whole trace, so it refuses too.
    let reference = layer.clone().with_kernel(Kernel::Reference);
    let message = complaint(|| reference.forward(long(time, &device), None));
    assert!(message.contains("no trace budget would do"), "{message}");
    // A budget that is too small for any schedule, and the budget that the message names.
    let small = layer.clone().with_trace_budget(Some(1000));
    let input = || noise([1, 3000, 3], &device);
    let message = complaint(|| small.forward(input(), None));
    let least = message.split("expected at least ").nth(1).expect("it is named");
    let least: usize = least.split(',').next().and_then(|n| n.parse().ok()).expect("a number");
    let with = |budget| layer.clone().with_trace_budget(Some(budget)).forward(input(), None);
    with(least);
    let message = complaint(|| with(least - 1));
    assert!(message.contains("each layer and direction has an equal part"), "{message}");

    // The cost is known before anything runs, and is refused in the same way.
    let cost = |budget| layer.clone().with_trace_budget(budget).trace_cost(1, 3000, DType::F32);
    let error = cost(Some(least - 1)).expect_err("too small").to_string();
    assert!(message.starts_with(&error), "{message} beside {error}");
    let [tight, ample, whole] =
        [Some(least), Some(10 * least), None].map(|budget| cost(budget).expect("it fits"));
    assert!(tight.bytes <= least && ample.bytes <= 10 * least && whole.bytes == whole.whole);
    assert!(tight.ratio() > ample.ratio() && ample.ratio() > 1.0 && whole.ratio() == 1.0);
    // For each unit: four saved values and the memory.
    assert_eq!(whole.whole, 4 * 64 * (3000 * 5 + 1));
}

#[test]
fn sizes_that_no_machine_has_are_an_error() {
    let device = plain();
    for kind in CellKind::ALL {
        for (input, hidden, layers) in [
            (3, usize::MAX, 1),
            (3, usize::MAX / 2, 2),
            (3, 1 << 40, 1),
            (usize::MAX, 4, 1),
            (usize::MAX, usize::MAX, usize::MAX),
            (3, 1 << 24, 1),
            (3, 4096, 1 << 40),
        ] {
            // Without a matrix of hidden units, so many are only large.
            let is_dense = kind.default_cell().layout().has_recurrent_weights();
            if hidden == 1 << 24 && !is_dense {
                continue;
            }
            let config = AnyRecurrentConfig::new(kind, input, hidden).with_num_layers(layers);
            for both in [false, true] {
                let made = config.clone().with_bidirectional(both).try_init(&device);
                let error = made.expect_err("it cannot be had").to_string();
                assert!(error.contains("d_hidden") && !error.contains('\n'), "{error}");
            }
        }
        let none = AnyRecurrentConfig::new(kind, 3, 0).try_init(&device);
        assert!(none.is_err_and(|error| error.to_string().contains("d_hidden is 0")));
    }
    let lstm = LstmConfig::new(3, 4).init(&device);
    for (batch, time) in [(usize::MAX, 1), (1 << 60, 1 << 60), (usize::MAX, usize::MAX), (0, 1)] {
        for layer in [lstm.clone(), lstm.clone().with_trace_budget(Some(1 << 20))] {
            let error = layer.trace_cost(batch, time, DType::F32).expect_err("it cannot be had");
            assert!(error.to_string().starts_with("lstm: "), "{error}");
        }
    }
    // This fits no memory, but the cost is still a number.
    let cost = lstm.trace_cost(1 << 20, usize::MAX, DType::F64).expect("a cost");
    assert_eq!(cost.whole, usize::MAX);
}

#[test]
fn a_window_may_be_as_long_as_a_number_can_say() {
    let device = tracked();
    let gru = GruConfig::new(3, 4).init(&device);
    let input = noise([1, 7, 3], &device);
    let mut truncated = Truncated::new(7, usize::MAX, usize::MAX, None);
    let window = truncated.next(&gru, |steps| input.clone().slice([0..1, steps])).expect("one");
    assert_eq!((window.steps, window.reach), (0..7, 0));
    assert!(truncated.next(&gru, |_| unreachable!("it is done")).is_none());
    let mut truncated = Truncated::new(7, 3, usize::MAX, None);
    let mut ends = Vec::new();
    while let Some(window) = truncated.next(&gru, |steps| input.clone().slice([0..1, steps])) {
        ends.push(window.steps.end);
    }
    assert_eq!(ends, [3, 6, 7]);
}

#[test]
fn inputs_may_wait_for_ever() {
    let gru = GruConfig::new(2, 3).init(&plain());
    let config = StreamPoolConfig {
        max_wait: Duration::MAX,
        max_idle: Some(Duration::MAX),
        max_streams: usize::MAX,
        max_batch: usize::MAX,
    };
    let mut pool = config.init(&gru).expect("a pool");
    let now = Instant::now();
    pool.add(1, now).expect("room");
    pool.feed(&1, &[1.0, 2.0], now).expect("it waits");
    assert_eq!(pool.due(), None);
    assert!(pool.poll(now + Duration::from_secs(1 << 30)).is_empty());
    assert!(pool.evict_idle(now).is_empty());
    assert_eq!(pool.flush().len(), 1);
}

#[test]
fn learning_in_real_time_that_cannot_fit_is_refused_beforehand() {
    // 64 units, 20,000 rows: 1.7 TB of influence.
    let device = tracked();
    let gru = GruConfig::new(3, 64).with_engine(Engine::Rtrl).init(&device);
    let message = complaint(|| gru.forward(Tensor::zeros([20_000, 1, 3], &device), None));
    assert!(
        message.starts_with("gru: real-time recurrent learning of 13")
            && message.contains(" bytes, and "),
        "{message}"
    );
    assert!(message.ends_with("expected fewer units or rows, or `Engine::Manual`"), "{message}");
    let error = Rtrl::new(&gru, gru.zero_state(20_000, &Tensor::<1>::zeros([1], &plain())));
    let error = error.expect_err("it cannot fit").to_string();
    assert!(error.contains("expected fewer units, layers or rows"), "{error}");
    // If no gradient is wanted, no influence is carried.
    let plain = GruConfig::new(3, 64).with_engine(Engine::Rtrl).init(&plain());
    let _ = plain.forward(Tensor::zeros([1000, 1, 3], &super::plain()), None);
}
