//! The layers as Burn modules: what users rely on, besides the gradients that the probe checks.
#![cfg(feature = "flex")]

mod gradient_probe;
mod half;
mod heads;
mod initial_state;
mod initializers;
mod limits;
mod pairs;
#[cfg(feature = "dataset")]
mod ragged;
mod recurrent_noise;
mod resets;
mod residual;
mod sequences;
mod shared_parts;
mod stream_pool;

use bptt::{
    AnyRecurrentConfig, CellKind, Engine, GruConfig, Kernel, Lstm, LstmConfig, Nonlinearity,
    RecurrentLayer, RnnConfig,
};
use burn::Tensor;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Distribution, TensorData, Tolerance};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn plain() -> Device {
    Device::flex()
}

fn tracked() -> Device {
    Device::flex().autodiff()
}

fn noise(shape: [usize; 3], device: &Device) -> Tensor<3> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Numbers that two ways of computing them agree on, up to rounding in their type.
fn close(a: Tensor<3>, b: Tensor<3>) {
    let (a, b) = (a.into_data(), b.into_data());
    match a.dtype() {
        DType::F64 => a.assert_approx_eq::<f64>(&b, Tolerance::absolute(1e-12)),
        _ => a.assert_approx_eq::<f32>(&b, Tolerance::absolute(1e-6)),
    }
}

/// The message of an expected panic.
fn complaint<T>(act: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(act)).err().expect("should panic");
    let literal = || panic.downcast_ref::<&str>().map(|message| message.to_string());
    panic.downcast_ref::<String>().cloned().or_else(literal).expect("a message")
}

/// A lock for tests that measure the memory of this process: only one runs at a time.
#[cfg(target_os = "linux")]
static MEMORY: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// How much memory this process uses, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("on Linux");
    let pages: usize = pages.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    pages * 4096
}

#[derive(Default)]
struct Paths {
    stack: Vec<String>,
    found: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Paths {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push((self.stack.join("."), param.val().dims().to_vec()));
    }

    fn enter_module(&mut self, name: &str, _: &str) {
        self.stack.push(name.to_string());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.stack.pop();
    }
}

#[test]
fn parameters_are_named_and_shaped_as_in_pytorch() {
    let config = LstmConfig::new(3, 5).with_num_layers(2).with_bidirectional(true);
    let mut paths = Paths::default();
    config.with_proj_size(2).init(&plain()).visit(&mut paths);
    let expected = [
        ("weight_ih_l0", vec![20, 3]),
        ("weight_hh_l0", vec![20, 2]),
        ("bias_ih_l0", vec![20]),
        ("bias_hh_l0", vec![20]),
        ("weight_hr_l0", vec![2, 5]),
        ("weight_ih_l0_reverse", vec![20, 3]),
    ];
    for (found, (name, shape)) in paths.found.iter().zip(expected) {
        assert_eq!(found, &(name.to_string(), shape));
    }
    assert_eq!(paths.found.len(), 20);
    let last = paths.found.last().expect("twenty");
    assert_eq!(last, &("weight_hr_l1_reverse".to_string(), vec![2, 5]));
    let above = ("weight_ih_l1".to_string(), vec![20, 4]);
    assert!(paths.found.contains(&above), "{:?}", paths.found);
}

#[test]
fn a_saved_layer_loads_into_another() {
    let file = tempfile::tempdir().expect("a folder").path().join("layer");
    std::fs::create_dir_all(file.parent().expect("a parent")).expect("the folder again");
    let config = GruConfig::new(3, 4).with_num_layers(2);
    let (saved, other) = (config.init(&plain()), config.init(&plain()));
    let input = noise([2, 5, 3], &plain());
    let expected = saved.forward(input.clone(), None).0;
    assert!(other.forward(input.clone(), None).0.into_data() != expected.to_data());
    saved.into_record().save(&file).expect("saved");
    let record = burn::store::ModuleRecord::load(&file).expect("read");
    let loaded = other.try_load_record(record).expect("loaded");
    loaded.forward(input, None).0.into_data().assert_eq(&expected.into_data(), true);
}

#[test]
fn steps_and_chunks_are_the_sequence() {
    for engine in Engine::ALL {
        let lstm = LstmConfig::new(3, 4).with_num_layers(2).with_engine(engine).init(&plain());
        let input = noise([2, 7, 3], &plain());
        let (whole, end) = lstm.forward(input.clone(), None);

        let mut state = None;
        let mut outputs = Vec::new();
        for x_t in input.clone().split(1, 1) {
            let (y_t, after) = lstm.step(x_t.reshape([2, 3]), state);
            outputs.push(y_t.reshape([2, 1, 4]));
            state = Some(after);
        }
        close(Tensor::cat(outputs, 1), whole.clone());

        let (first, state) = lstm.forward(input.clone().slice([0..2, 0..3]), None);
        let (rest, state) = lstm.forward(input.slice([0..2, 3..7]), Some(state.detach()));
        close(Tensor::cat(vec![first, rest], 1), whole);
        close(state.cell, end.cell);
    }
}

#[test]
fn the_padding_changes_nothing_even_if_it_is_not_a_number() {
    for engine in Engine::ALL {
        for bidirectional in [false, true] {
            let device = tracked();
            let lstm = LstmConfig::new(2, 3)
                .with_bidirectional(bidirectional)
                .with_engine(engine)
                .init(&device);
            let clean = noise([2, 4, 2], &plain());
            let lengths = [4, 2];
            let run = |padding: f32| {
                let mut values = clean.to_data().try_to_vec::<f32>().expect("f32");
                values[12..].fill(padding);
                let input = Tensor::<3>::from_data(TensorData::new(values, [2, 4, 2]), &device);
                let input = input.require_grad();
                let (output, state) = lstm.forward_lengths(input.clone(), &lengths, None);
                let loss = output.clone().sum() + state.cell.sum();
                let grads = loss.backward();
                let d_input = input.grad(&grads).expect("tracked").into_data();
                let d_weight = lstm.weights[0].weight_ih.grad(&grads).expect("tracked");
                (output.into_data(), d_input, d_weight.into_data())
            };
            let (zero, nan) = (run(0.0), run(f32::NAN));
            zero.0.assert_eq(&nan.0, true);
            zero.1.assert_eq(&nan.1, true);
            zero.2.assert_eq(&nan.2, true);
            let d_input = zero.1.try_to_vec::<f32>().expect("f32");
            assert!(d_input[12..].iter().all(|&d| d == 0.0), "{d_input:?}");
            assert!(d_input[..12].iter().all(|&d| d != 0.0), "{d_input:?}");
        }
    }
}

#[test]
fn a_row_of_a_ragged_batch_is_the_row_alone() {
    let gru = GruConfig::new(2, 3).with_bidirectional(true).init(&plain());
    let input = noise([3, 5, 2], &plain());
    let lengths = [2, 5, 3];
    let (output, state) = gru.forward_lengths(input.clone(), &lengths, None);
    for (row, length) in lengths.into_iter().enumerate() {
        let alone = input.clone().slice([row..row + 1, 0..length]);
        let (expected, end) = gru.forward(alone, None);
        close(output.clone().slice([row..row + 1, 0..length]), expected);
        close(state.hidden.clone().slice([0..2, row..row + 1]), end.hidden);
    }
}

#[test]
fn wrong_shapes_are_named_with_what_was_expected() {
    let lstm = LstmConfig::new(3, 4).init(&plain());
    let message = complaint(|| lstm.forward(noise([2, 5, 7], &plain()), None));
    assert!(message.contains("[2, 5, 7]") && message.contains("I = 3"), "{message}");
    let state = lstm.zero_state(9, &noise([1, 1, 1], &plain()));
    let message = complaint(|| lstm.forward(noise([2, 5, 3], &plain()), Some(state)));
    assert!(message.contains("[1, 9, 4]") && message.contains("[1, 2, 4]"), "{message}");
    let input = noise([2, 5, 3], &plain());
    let message = complaint(|| lstm.forward_lengths(input.clone(), &[5], None));
    assert!(message.contains("1 lengths") && message.contains("expected 2"), "{message}");
    let message = complaint(|| lstm.forward_lengths(input, &[5, 6], None));
    assert!(message.contains("row 1 has length 6"), "{message}");
    let both = LstmConfig::new(3, 4).with_bidirectional(true).init(&plain());
    let message = complaint(|| both.step(Tensor::zeros([2, 3], &plain()), None));
    assert!(message.contains("forward only"), "{message}");
}

#[test]
fn options_that_do_not_go_together_are_one_line() {
    let device = plain();
    let error = |config: LstmConfig| config.try_init(&device).expect_err("refused").to_string();
    assert!(error(LstmConfig::new(3, 0)).contains("d_hidden is 0"));
    assert!(error(LstmConfig::new(3, 4).with_proj_size(4)).contains("smaller than d_hidden = 4"));
    assert!(error(LstmConfig::new(3, 4).with_dropout(1.0)).contains("dropout is 1"));
    let both = LstmConfig::new(3, 4).with_bidirectional(true).with_reverse(true);
    assert!(error(both).contains("exclude each other"));
    let gru = AnyRecurrentConfig::new(CellKind::Gru, 3, 4).with_proj_size(2);
    assert!(gru.try_init(&device).is_err());
}

#[test]
fn an_option_that_the_cell_does_not_have_is_refused() {
    let error = |config: AnyRecurrentConfig| {
        config.try_init(&plain()).expect_err("it has no such option").to_string()
    };
    let [rnn, lstm, gru] = [CellKind::Rnn, CellKind::Lstm, CellKind::Gru]
        .map(|kind| AnyRecurrentConfig::new(kind, 3, 4));
    assert!(error(rnn.clone().with_clip(Some(0.5))).contains("clip is 0.5"));
    assert!(error(lstm.clone().with_reset_after(false)).starts_with("lstm: reset_after is false"));
    assert!(error(lstm.with_nonlinearity(Nonlinearity::Relu)).contains("nonlinearity is Relu"));
    assert!(error(gru.with_input_forget(true)).contains("input_forget is true"));
    assert!(rnn.with_nonlinearity(Nonlinearity::Relu).try_init(&plain()).is_ok());
}

#[test]
fn dropout_acts_between_layers_and_only_while_training() {
    let config = RnnConfig::new(3, 16).with_num_layers(2).with_dropout(0.5);
    let rnn = config.init(&tracked());
    let input = noise([2, 5, 3], &tracked());
    let run = |input| rnn.forward(input, None).0.into_data();
    assert!(run(input.clone()) != run(input.clone()));
    let valid = Module::valid(&rnn);
    let run = |input| valid.forward(input, None).0.into_data();
    assert!(run(input.clone().inner()) == run(input.inner()));
}

#[test]
fn only_what_is_tracked_gets_a_gradient() {
    let lstm = LstmConfig::new(3, 4).init(&tracked()).no_grad();
    let input = noise([2, 5, 3], &tracked()).require_grad();
    let grads = lstm.forward(input.clone(), None).0.sum().backward();
    assert!(input.grad(&grads).is_some());
    assert!(lstm.weights[0].weight_ih.grad(&grads).is_none());
}

#[test]
fn a_loss_may_depend_on_any_part_of_the_results() {
    // If the loss does not depend on the outputs, their gradient must be neither missing nor counted twice. If the
    // outputs are a single number, the single zero in place of this gradient has the same shape as the outputs.
    for [time, batch, width] in [[4, 3, 5], [1, 1, 1]] {
        let device = tracked();
        let config = LstmConfig::new(2, width).with_num_layers(2).with_batch_first(false);
        let lstm = config.init(&device);
        let input = noise([time, batch, 2], &device);
        for parts in 1..8 {
            let gradients = Engine::ALL.map(|engine| {
                let lstm = lstm.clone().with_engine(engine);
                let input = Tensor::from_inner(input.clone().inner()).require_grad();
                let (outputs, state) = lstm.forward(input.clone(), None);
                let loss = [outputs.powf_scalar(2.0), state.hidden.sin(), state.cell.cos()]
                    .into_iter()
                    .enumerate()
                    .filter(|(part, _)| parts >> part & 1 == 1)
                    .map(|(_, part)| part.sum())
                    .reduce(|a, b| a + b);
                let grads = loss.expect("some part").backward();
                let weight = lstm.weights[0].weight_hh.grad(&grads).expect("tracked");
                [input.grad(&grads).expect("tracked"), weight.unsqueeze()]
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
#[allow(deprecated, reason = "burn-ndarray is deprecated in Burn 0.22 and gone in 0.23")]
fn steps_and_chunks_are_the_sequence_bit_by_bit() {
    let devices = [
        Device::flex(),
        #[cfg(feature = "ndarray")]
        Device::ndarray(),
    ];
    for device in devices {
        for kind in CellKind::ALL {
            for (batch, d_input, d_hidden) in [(1, 3, 5), (3, 17, 33), (1, 300, 40), (70, 2, 3)] {
                let layer = AnyRecurrentConfig::new(kind, d_input, d_hidden).with_num_layers(2);
                let layer = layer.init(&device);
                let input = noise([batch, 37, d_input], &device);
                let whole = layer.forward(input.clone(), None).0.into_data();
                for chunk in [1, 2, 5, 30] {
                    let mut state = None;
                    let mut outputs = Vec::new();
                    for part in input.clone().split(chunk, 1) {
                        let (output, after) = layer.forward(part, state);
                        outputs.push(output);
                        state = Some(after);
                    }
                    let parts = Tensor::cat(outputs, 1).into_data();
                    assert!(parts == whole, "{kind:?} on {device:?}, in chunks of {chunk}");
                }
            }
        }
    }
}

#[test]
fn a_stream_sees_that_its_weights_have_changed() {
    // Packed weights are kept from step to step. A change of the weights in place must be noticed.
    let device = plain();
    let mut layer = RnnConfig::new(3, 4).init(&device);
    let x = Tensor::<2>::ones([1, 3], &device);
    let mut seen: Vec<TensorData> = Vec::new();
    for round in 0..4 {
        let fresh = layer.clone().load_record(layer.clone().into_record());
        let stepped = layer.step(x.clone(), None).0.into_data();
        let expected = fresh.forward(x.clone().unsqueeze_dim(1), None).0.into_data();
        assert_eq!(
            stepped.iter::<f32>().collect::<Vec<_>>(),
            expected.iter().collect::<Vec<f32>>()
        );
        assert!(!seen.contains(&stepped), "round {round}");
        seen.push(stepped);
        let weights = &mut layer.weights[0];
        weights.weight_ih = weights.weight_ih.clone().map(|weight| weight.mul_scalar(0.5));
        let weight_hh = weights.weight_hh.val().add_scalar(0.5);
        weights.weight_hh = weights.weight_hh.with_values(weight_hh);
    }
}

#[test]
fn a_stream_does_not_take_the_copy_of_a_weight_for_that_of_another() {
    // Transposed weights are copied before they are packed. The next copy may get the memory of a freed copy.
    let device = plain();
    let mut layer = RnnConfig::new(3, 4).init(&device);
    let x = Tensor::<2>::ones([1, 3], &device);
    for round in 0..8 {
        let weights = &mut layer.weights[0];
        let of = |inputs| noise([inputs, 4, 1], &device).squeeze_dim::<2>(2).transpose();
        weights.weight_ih = weights.weight_ih.clone().map(|_| of(3));
        weights.weight_hh = weights.weight_hh.with_values(of(4));
        let by_reference = layer.clone().with_kernel(Kernel::Reference);
        let found = layer.step(x.clone(), None).0.into_data();
        let expected = by_reference.step(x.clone(), None).0.into_data();
        for (found, expected) in found.iter::<f32>().zip(expected.iter::<f32>()) {
            assert!((found - expected).abs() < 1e-5, "round {round}: {found} for {expected}");
        }
    }
}

/// A model that is generic over the cell.
fn last_output<R: RecurrentLayer>(layer: &R, input: Tensor<3>) -> [usize; 3] {
    assert_eq!(layer.d_input(), 3);
    layer.forward(input, None).0.dims()
}

#[test]
fn a_model_can_be_generic_over_the_cell_and_print_it() {
    let input = noise([2, 5, 3], &plain());
    assert_eq!(last_output(&RnnConfig::new(3, 4).init(&plain()), input.clone()), [2, 5, 4]);
    assert_eq!(last_output(&GruConfig::new(3, 4).init(&plain()), input.clone()), [2, 5, 4]);
    let lstm: Lstm = LstmConfig::new(3, 4).with_bidirectional(true).init(&plain());
    assert_eq!(last_output(&lstm, input), [2, 5, 8]);
    let text = lstm.to_string();
    for part in ["lstm", "d_input: 3", "d_hidden: 4", "Manual"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(lstm.num_params(), 2 * (16 * 3 + 16 * 4 + 32));
}
