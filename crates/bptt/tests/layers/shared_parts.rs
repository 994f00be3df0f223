//! Errors that only occur when several parts work together: weights that share memory, packed weights that are kept for
//! the next step, types, layers that are made and dropped, threads.

use super::complaint;
use bptt::{
    AnyCell, AnyRecurrent, AnyRecurrentConfig, AnyState, CellKind, Engine, Gru, GruConfig, Kernel,
    LstmConfig, MaskedOutput, Nonlinearity, RecurrentState, RnnCell, RnnConfig, Sequence,
};
use burn::Tensor;
use burn::module::{Module, Param};
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, DType, Device, Distribution, TensorData};

/// The devices in host memory.
#[allow(deprecated, reason = "ndarray stays as long as people run Burn 0.22")]
pub(super) fn devices() -> Vec<Device> {
    vec![
        Device::flex(),
        #[cfg(feature = "ndarray")]
        Device::ndarray(),
    ]
}

fn bits<const D: usize>(x: &Tensor<D>) -> Vec<u64> {
    x.clone().into_data().iter::<f64>().map(f64::to_bits).collect()
}

fn numbers<const D: usize>(x: &Tensor<D>) -> Vec<f64> {
    x.clone().into_data().iter::<f64>().collect()
}

fn noise<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-0.3, 0.3), device)
}

fn differ<const D: usize>(a: &Tensor<D>, b: &Tensor<D>) -> f64 {
    let pairs = numbers(a).into_iter().zip(numbers(b));
    pairs
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, |worst, d| if d.is_nan() { d } else { worst.max(d) })
}

/// Compares a short call, whose packed weights are kept, with the reference body, which packs nothing.
fn is_right(layer: &Gru, what: &str) {
    let input = noise([1, 10, layer.d_input()], &layer.weights[0].weight_ih.val().device());
    let right = layer.clone().with_kernel(Kernel::Reference).forward(input.clone(), None).0;
    for call in ["first", "second"] {
        let found = layer.forward(input.clone(), None).0;
        assert!(
            differ(&found, &right) < 1e-5,
            "{what}: the {call} call is off by {}",
            differ(&found, &right)
        );
    }
}

#[test]
fn loaded_layers_compute_with_their_own_weights() {
    // Not while other tests measure memory, because this takes tens of megabytes.
    #[cfg(target_os = "linux")]
    let _alone = super::MEMORY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("layer.bpk");
    for device in devices() {
        for (hidden, layers, both) in [(8, 1, false), (8, 1, true), (256, 2, false), (256, 1, true)]
        {
            let input = if layers == 2 { hidden } else { 4 };
            let config =
                GruConfig::new(input, hidden).with_num_layers(layers).with_bidirectional(both);
            let saved = config.init(&device);
            saved.clone().save_file(&file).expect("it is written");
            let bytes = || Bytes::from_bytes_vec(std::fs::read(&file).expect("it is there"));
            let fresh = || config.init(&device);
            let loaded = [
                ("a file", fresh().try_load_file(&file).expect("it fits")),
                (
                    "a record of a file",
                    fresh()
                        .try_load_record(ModuleRecord::load(&file).expect("a record"))
                        .expect("it fits"),
                ),
                (
                    "a record of bytes",
                    fresh()
                        .try_load_record(ModuleRecord::from_bytes(bytes()).expect("a record"))
                        .expect("it fits"),
                ),
            ];
            let x = noise([1, 10, input], &device);
            let expected = bits(&saved.forward(x.clone(), None).0);
            for (from, layer) in &loaded {
                for (call, of) in
                    [("first", layer.clone()), ("second", layer.clone()), ("valid", layer.valid())]
                {
                    let found = bits(&of.forward(x.clone(), None).0);
                    assert!(found == expected, "{device:?}, H = {hidden}, from {from}, {call}");
                }
            }
        }
    }
}

#[test]
fn loaded_layers_that_run_in_turn_keep_to_themselves() {
    let folder = tempfile::tempdir().expect("a folder");
    for device in devices() {
        let config = LstmConfig::new(16, 64);
        let all: Vec<_> = (0..3)
            .map(|k| {
                let file = folder.path().join(format!("{k}.bpk"));
                let saved = config.init(&device);
                saved.clone().save_file(&file).expect("it is written");
                (saved, config.init(&device).try_load_file(&file).expect("it fits"))
            })
            .collect();
        let x = noise([1, 16], &device);
        for round in 0..4 {
            for (k, (saved, loaded)) in all.iter().enumerate() {
                let expected = bits(&saved.step(x.clone(), None).0);
                assert!(
                    bits(&loaded.step(x.clone(), None).0) == expected,
                    "layer {k}, round {round}"
                );
            }
        }
    }
}

/// An LSTM whose weights are views of three vectors.
fn over(storage: &[Tensor<1>; 3], [hidden, output, input]: [usize; 3]) -> bptt::Lstm {
    let device = storage[0].device();
    let config = LstmConfig::new(input, hidden).with_proj_size(output).with_bias(false);
    let mut layer = config.init(&device);
    let [ih, hh, hr] = storage.clone();
    layer.weights[0].weight_ih = Param::from_tensor(ih.reshape([4 * hidden, input]));
    layer.weights[0].weight_hh = Param::from_tensor(hh.reshape([4 * hidden, output])).into();
    layer.weights[0].weight_hr = Some(Param::from_tensor(hr.reshape([output, hidden])));
    layer
}

#[test]
fn the_same_storage_in_other_shapes_is_packed_anew() {
    for device in devices() {
        let sizes = [[128, 16, 3], [64, 32, 6]];
        let [hidden, output, input] = sizes[0];
        let storage = [4 * hidden * input, 4 * hidden * output, hidden * output]
            .map(|count| noise([count], &device));
        for _ in 0..2 {
            for sizes in sizes {
                let layer = over(&storage, sizes);
                let x = noise([1, sizes[2]], &device);
                let right = layer.clone().with_kernel(Kernel::Reference).step(x.clone(), None).0;
                for call in 0..2 {
                    let found = layer.step(x.clone(), None).0;
                    assert!(differ(&found, &right) < 1e-6, "{device:?}, {sizes:?}, call {call}");
                }
            }
        }
        // One layer whose weights are replaced by other views of the same storage.
        let mut layer = over(&storage, sizes[0]);
        let square = noise([128 * 16], &device);
        layer.weights[0].weight_hr = Some(Param::from_tensor(square.clone().reshape([16, 128])));
        let x = noise([1, 3], &device);
        let before = layer.step(x.clone(), None).0;
        let transposed = square.reshape([128, 16]).transpose();
        layer.weights[0].weight_hr = Some(Param::from_tensor(transposed));
        let right = layer.clone().with_kernel(Kernel::Reference).step(x.clone(), None).0;
        for _ in 0..2 {
            let after = layer.step(x.clone(), None).0;
            assert!(differ(&after, &right) < 1e-6 && differ(&after, &before) > 1e-6, "{device:?}");
        }
    }
}

#[test]
fn transposed_and_changing_weights_are_right() {
    for device in devices() {
        let mut gru = GruConfig::new(5, 40).init(&device);
        let views = Tensor::swap_dims(noise([5, 120], &device), 0, 1);
        gru.weights[0].weight_ih = Param::from_tensor(views);
        is_right(&gru, "a transposed weight");
        for k in 0..5 {
            let weight = gru.weights[0].weight_hh.val();
            gru.weights[0].weight_hh = Param::from_tensor(weight * 0.9).into();
            is_right(&gru, &format!("weights after change {k}"));
        }
        // Copies whose weights change independently.
        let mut copy = gru.clone();
        copy.weights[0].weight_hh = Param::from_tensor(noise([120, 40], &device)).into();
        for _ in 0..2 {
            is_right(&gru, "a layer");
            is_right(&copy, "its copy");
        }
        is_right(&gru.clone().to_device(&device), "a mapped one");
    }
}

/// The packed weights of a layer are freed with it, and there is only one copy of them, even if its weights change.
#[test]
#[cfg(target_os = "linux")]
fn packed_weights_do_not_pile_up() {
    const MIB: usize = 1 << 20;
    let _alone = super::MEMORY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for device in devices() {
        let x = noise([1, 256], &device);
        // Packed weights take 1.5 MiB for each layer. The pool keeps up to 64 freed pieces.
        let grown = |what: &str, act: &mut dyn FnMut()| {
            (0..80).for_each(|_| act());
            let before = super::resident();
            (0..320).for_each(|_| act());
            let grown = super::resident().saturating_sub(before) / MIB;
            assert!(grown < 60, "{device:?}, {what}: {grown} MiB more");
        };
        grown("layers that come and go", &mut || {
            let layer = GruConfig::new(256, 256).init(&device);
            let _ = layer.step(x.clone(), None);
        });
        let mut layer = GruConfig::new(256, 256).init(&device);
        grown("weights that change", &mut || {
            let weight = layer.weights[0].weight_hh.val();
            layer.weights[0].weight_hh = Param::from_tensor(weight * 0.999).into();
            let _ = layer.step(x.clone(), None);
        });
    }
}

#[test]
fn threads_that_share_layers_and_weights_get_the_same_bits() {
    for device in devices() {
        let layers: Vec<Gru> = (0..3).map(|_| GruConfig::new(7, 48).init(&device)).collect();
        let x = noise([2, 5, 7], &device);
        let right: Vec<_> =
            layers.iter().map(|layer| bits(&layer.forward(x.clone(), None).0)).collect();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (layers, right, x) = (&layers, &right, &x);
                scope.spawn(move || {
                    for round in 0..60 {
                        let k = (thread + round) % layers.len();
                        // In turn: the layer, a copy of it, and a layer with other weights.
                        let found = match round % 3 {
                            0 => layers[k].forward(x.clone(), None).0,
                            1 => layers[k].clone().forward(x.clone(), None).0,
                            _ => {
                                let mut other = layers[k].clone();
                                let own = other.weights[0].weight_hh.val();
                                other.weights[0].weight_hh =
                                    Param::from_tensor(own.clone() * 2.0).into();
                                let _ = other.forward(x.clone(), None);
                                other.weights[0].weight_hh = Param::from_tensor(own).into();
                                other.forward(x.clone(), None).0
                            }
                        };
                        assert!(bits(&found) == right[k], "thread {thread}, round {round}");
                    }
                });
            }
        });
    }
}

/// A layer in which one operand has another type than the rest.
#[test]
fn types_that_differ_are_refused_by_all_alike() {
    for (k, device) in devices().into_iter().enumerate() {
        for engine in Engine::ALL {
            for kernel in [Kernel::Auto, Kernel::Reference] {
                let gru =
                    GruConfig::new(2, 3).with_engine(engine).with_kernel(kernel).init(&device);
                let x = || Tensor::<3>::ones([1, 2, 2], &device);
                let right = "expected one type; cast the one (`tensor.cast(DType::F32)`) or make the \
                             layer in F64";
                let expected = |operand: &str| {
                    format!("gru: `{operand}` is F64 and `weight_ih` is F32: {right}")
                };
                let wide = || x().cast(DType::F64);
                assert_eq!(complaint(|| gru.forward(wide(), None)), expected("input"));
                let row = Tensor::<2>::ones([1, 2], &device).cast(DType::F64);
                assert_eq!(complaint(|| gru.step(row, None)), expected("input"));
                let state =
                    bptt::GruState::new(Tensor::<3>::ones([1, 1, 3], &device).cast(DType::F64));
                assert_eq!(complaint(|| gru.forward(x(), Some(state))), expected("h_0"));
                let mut mixed = gru.clone();
                let wide = mixed.weights[0].weight_hh.val().cast(DType::F64);
                mixed.weights[0].weight_hh = Param::from_tensor(wide).into();
                assert_eq!(complaint(|| mixed.forward(x(), None)), expected("weight_hh"));
                let mut mixed = gru.clone();
                let bias = mixed.weights[0].bias_hh.take().expect("a bias").val().cast(DType::F64);
                mixed.weights[0].bias_hh = Some(Param::from_tensor(bias));
                assert_eq!(complaint(|| mixed.forward(x(), None)), expected("bias_hh"));
                // A type of half the width is refused too. (Burn's ndarray backend has no such type.)
                if k > 0 {
                    continue;
                }
                let half = complaint(|| gru.forward(x().cast(DType::F16), None));
                assert!(half.starts_with("gru: `input` is F16 and `weight_ih` is F32:"), "{half}");
            }
        }
    }
}

#[test]
fn a_projection_to_more_than_there_is_is_refused() {
    let device = Device::flex();
    let cell = AnyCell::Rnn(RnnCell(Nonlinearity::Tanh));
    for engine in Engine::ALL {
        let sequence = |hidden, output| Sequence {
            input: Tensor::ones([1, 1, 2], &device),
            weight_ih: Tensor::ones([hidden, 2], &device),
            weight_hh: Some(Tensor::<2>::ones([hidden, output], &device).into()),
            bias_ih: None,
            bias_hh: None,
            weight_hr: Some(Tensor::ones([output, hidden], &device)),
            weight_diag: None,
            hidden: Tensor::ones([1, output], &device),
            memory: None,
            reverse: false,
            mask: None,
            masked_output: MaskedOutput::Zero,
            resets: None,
            reset_hidden: None,
            reset_memory: None,
            noise: None,
            kernel: Kernel::Auto,
            trace_budget: None,
            batch_first: false,
            observer: None,
            weight_cache: None,
        };
        use bptt::SequenceCell;
        let message = complaint(|| cell.run(engine, sequence(1, 17)));
        let expected = "rnn-tanh: a hidden state of size P = 17 beside gates of size H = 1: expected a \
                        projection to at most H";
        assert_eq!(message, expected);
        // A projection with `P = H` is unusual, but allowed.
        let same = cell.run(engine, sequence(3, 3)).outputs;
        assert!(numbers(&same).iter().all(|x| x.is_finite()));
        let none = complaint(|| cell.run(engine, sequence(0, 0)));
        assert!(none.contains("expected at least one unit"), "{none}");
    }
}

/// dLoss/d(input, `W`) of Σ (output · cotangent) + Σ (last state · its cotangent).
fn gradients(
    layer: &AnyRecurrent,
    input: &Tensor<3>,
    cotangents: impl Fn(&Tensor<3>, &AnyState) -> Tensor<1>,
) -> [Vec<f64>; 2] {
    let input = input.clone().require_grad();
    let (output, state) = layer.forward(input.clone(), None);
    let gradients = cotangents(&output, &state).backward();
    let d_weight = layer.weights[0].weight_ih.grad(&gradients).expect("tracked");
    [numbers(&input.grad(&gradients).expect("tracked")), numbers(&d_weight)]
}

/// Where a rectifier outputs zero or a clip is at its bound, nothing goes back through it, not even a NaN or an
/// infinity, as in PyTorch. Elsewhere a NaN and an infinity go through.
#[test]
fn what_is_shut_lets_no_nan_back() {
    const BOUND: f64 = 0.3;
    for device in devices().into_iter().map(Device::autodiff) {
        let relu =
            AnyRecurrentConfig::new(CellKind::Rnn, 3, 20).with_nonlinearity(Nonlinearity::Relu);
        let clipped = AnyRecurrentConfig::new(CellKind::Lstm, 3, 20).with_clip(Some(BOUND));
        let coupled = clipped.clone().with_input_forget(true);
        for (name, config) in [("relu", relu), ("clip", clipped), ("coupled, clip", coupled)] {
            let is_shut = |state: &AnyState| {
                let (hidden, memory) = state.clone().into_parts();
                let of = memory.unwrap_or(hidden).detach();
                match name {
                    "relu" => of.lower_equal_elem(0.0),
                    _ => of.abs().greater_equal_elem(BOUND),
                }
            };
            // Some layers and inputs of random numbers have too few units of either kind.
            let drawn = (0..200).map(|_| {
                let input = Tensor::random([2, 4, 3], Distribution::Normal(0.0, 2.0), &device);
                (config.init(&device), input)
            });
            let mut drawn = drawn.filter(|(layer, input)| {
                let (_, state) = layer.forward(Tensor::clone(input), None);
                let share = is_shut(&state).float().mean().into_scalar::<f32>();
                (0.1..0.9).contains(&share)
            });
            let (layer, input) = drawn.next().expect("most draws have enough of both");
            for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                for at_shut in [true, false] {
                    // The cotangent is `bad` in the units where the gradient is blocked at the last step, or in the
                    // others.
                    let loss = |output: &Tensor<3>, state: &AnyState| {
                        let (hidden, memory) = state.clone().into_parts();
                        let of = memory.unwrap_or(hidden);
                        let shut = is_shut(state);
                        let chosen = if at_shut { shut } else { shut.bool_not() };
                        let cotangent =
                            Tensor::<3>::ones(of.dims(), &device).mask_fill(chosen, bad);
                        (of * cotangent).sum() + output.clone().sum()
                    };
                    let all = [
                        (Engine::Autograd, Kernel::Auto),
                        (Engine::Manual, Kernel::Auto),
                        (Engine::Manual, Kernel::Reference),
                    ]
                    .map(|(engine, kernel)| {
                        let layer = layer.clone().with_engine(engine).with_kernel(kernel);
                        gradients(&layer, &input, loss)
                    });
                    let finite = |[d_input, d_weight]: &[Vec<f64>; 2]| {
                        d_input.iter().chain(d_weight).filter(|d| d.is_finite()).count()
                    };
                    let [autograd, others @ ..] = &all;
                    let count = autograd.iter().map(Vec::len).sum::<usize>();
                    if at_shut {
                        assert_eq!(finite(autograd), count, "{name}, {bad}: nothing gets through");
                    } else {
                        assert!(finite(autograd) < count, "{name}, {bad}: it gets through");
                    }
                    for other in others {
                        for (a, b) in autograd.iter().flatten().zip(other.iter().flatten()) {
                            let same = (a - b).abs() <= 1e-4 * a.abs().max(1.0);
                            assert!(same || !(a.is_finite() || b.is_finite()), "{name}: {a} {b}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn weights_that_are_none_of_the_layer_are_refused() {
    let device = Device::flex();
    let mut rnn = RnnConfig::new(2, 3).with_num_layers(2).init(&device);
    rnn.weights = rnn.weights[..1].to_vec().into();
    let message = complaint(|| rnn.forward(Tensor::ones([1, 1, 2], &device), None));
    assert_eq!(message, "rnn-tanh: the layer has 1 sets of `weights`, expected L·D = 2");
    let data = TensorData::new(vec![0.0_f32; 2], [1, 2]);
    assert!(complaint(|| rnn.step(Tensor::from_data(data, &device), None)).contains("L·D = 2"));
}
