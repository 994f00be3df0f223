//! Layers in heads: block-diagonal recurrent weights.

use super::*;
use bptt::cells::GateRole;
use bptt::{
    AnyRecurrent, AnyState, RecurrentState, RecurrentWeight, Rtrl, SequenceCell, WeightInitializer,
    block_diagonal, cast, diagonal_blocks,
};
use burn::tensor::{DType, Gradients};

const HIDDEN: usize = 6;

/// The cells that have recurrent matrices, with their options that choose other equations.
fn configs() -> Vec<AnyRecurrentConfig> {
    let has_matrix = |kind: &CellKind| kind.default_cell().layout().has_recurrent_weights();
    let kinds = CellKind::ALL.into_iter().filter(has_matrix);
    let config = |kind| AnyRecurrentConfig::new(kind, 3, HIDDEN);
    let other = [
        config(CellKind::Gru).with_reset_after(false),
        config(CellKind::Lstm).with_input_forget(true),
        config(CellKind::Rnn).with_nonlinearity(Nonlinearity::Relu),
    ];
    kinds.map(config).chain(other).collect()
}

/// The layer without heads whose recurrent matrices have the same blocks.
fn whole(layer: &AnyRecurrent, config: &AnyRecurrentConfig) -> AnyRecurrent {
    let mut whole = config.clone().with_num_heads(1).init(&plain());
    for (to, from) in whole.weights.iter_mut().zip(&layer.weights) {
        *to = from.clone();
        to.weight_hh = Param::from_tensor(from.weight_hh.whole()).into();
    }
    whole
}

/// Outputs, state and all gradients, the recurrent weights' in heads.
fn all(layer: &AnyRecurrent, input: &Tensor<3>, state: &AnyState, heads: usize) -> Vec<TensorData> {
    let input = input.clone().require_grad();
    let hidden = state.hidden.clone().require_grad();
    let memory = state.memory.clone().map(|memory| memory.require_grad());
    let state = AnyState::from_parts(hidden.clone(), memory.clone());
    let (output, last) = layer.forward_lengths(input.clone(), &[5, 2, 4], Some(state));
    let (last_hidden, last_memory) = last.into_parts();
    let mut loss = output.clone().powi_scalar(2).sum() + last_hidden.clone().sum();
    if let Some(memory) = &last_memory {
        loss = loss + memory.clone().powi_scalar(2).sum();
    }
    let d = loss.backward();
    let mut all = vec![output.into_data(), last_hidden.into_data()];
    all.extend(last_memory.map(Tensor::into_data));
    let tracked = "tracked";
    all.extend([&input, &hidden].map(|x| x.grad(&d).expect(tracked).into_data()));
    all.extend(memory.map(|x| x.grad(&d).expect(tracked).into_data()));
    for weights in &layer.weights {
        all.push(weights.weight_ih.grad(&d).expect(tracked).into_data());
        all.push(blocks_of(&weights.weight_hh, &d, heads).into_data());
        for bias in [&weights.bias_ih, &weights.bias_hh] {
            let bias = bias.as_ref().expect("the default");
            all.push(bias.grad(&d).expect(tracked).into_data());
        }
    }
    all
}

fn blocks_of(weight: &RecurrentWeight, d: &Gradients, heads: usize) -> Tensor<3> {
    match weight {
        RecurrentWeight::Heads(weight) => weight.grad(d).expect("tracked"),
        RecurrentWeight::Whole(weight) => diagonal_blocks(weight.grad(d).expect("tracked"), heads),
    }
}

#[test]
fn a_layer_in_heads_is_the_dense_layer_with_its_blocks() {
    let noise = |shape| Tensor::<3>::from_inner(noise(shape, &plain()).cast(DType::F64));
    // The normaliser of an sLSTM is positive.
    let about_one = |x: Tensor<3>| noise(x.dims()).mul_scalar(0.1).add_scalar(1.0);
    for config in configs() {
        for heads in [2, 3, HIDDEN] {
            let config = config.clone().with_num_heads(heads).with_bidirectional(true);
            let config = config.with_num_layers(2);
            // The parameters are leaves of the tape, in f64.
            let layer = cast(config.init(&plain()), DType::F64);
            let dense = whole(&layer, &config).train().with_engine(Engine::Autograd);
            let layer = layer.train();
            let input = noise([3, 5, 3]);
            let zero = layer.zero_state(3, &input);
            let state = AnyState::from_parts(about_one(zero.hidden), zero.memory.map(about_one));
            let expected = all(&dense, &input, &state, heads);
            let by = [
                layer.clone(),
                layer.clone().with_kernel(Kernel::Reference),
                layer.clone().with_engine(Engine::Autograd),
                layer.clone().with_engine(Engine::Rtrl),
            ];
            for (nth, layer) in by.iter().enumerate() {
                let found = all(layer, &input, &state, heads);
                assert_eq!(found.len(), expected.len());
                for (k, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let name = config.kind.name();
                    assert_eq!(found.shape(), expected.shape(), "{name} {heads} {nth}: {k}");
                    let pairs = found.iter::<f64>().zip(expected.iter::<f64>());
                    let [off, size] = pairs.fold([0.0, 0.0], |[off, size], (a, b)| {
                        [off + (a - b) * (a - b), size + b * b]
                    });
                    let error = (off / size.max(1e-30)).sqrt();
                    assert!(error < 1e-11, "{name}, {heads} heads, {nth}: {k} is {error:e} off");
                }
            }
        }
    }
}

#[test]
fn blocks_make_a_matrix_and_a_matrix_has_blocks() {
    let device = plain();
    // Two heads, two gates, three units each.
    let blocks = noise([2, 6, 3], &device);
    let matrix = block_diagonal(blocks.clone());
    assert_eq!(matrix.dims(), [12, 6]);
    let (numbers, values): (Vec<f32>, Vec<f32>) =
        (matrix.to_data().iter().collect(), blocks.to_data().iter().collect());
    for (row, column) in (0..12).flat_map(|row| (0..6).map(move |column| (row, column))) {
        let (gate, unit) = (row / 6, row % 6);
        let expected = match unit / 3 == column / 3 {
            true => values[((unit / 3) * 6 + gate * 3 + unit % 3) * 3 + column % 3],
            false => 0.0,
        };
        assert_eq!(numbers[row * 6 + column], expected, "{row} {column}");
    }
    diagonal_blocks(matrix, 2).into_data().assert_eq(&blocks.into_data(), true);
    let wrong = complaint(|| block_diagonal(noise([2, 5, 3], &device)));
    assert!(
        wrong.contains("[2, 5, 3]") && wrong.contains("[heads, G·H/heads, H/heads]"),
        "{wrong}"
    );
    let wrong = complaint(|| diagonal_blocks(Tensor::zeros([8, 4], &device), 3));
    assert!(wrong.contains("[8, 4] in 3 heads"), "{wrong}");
}

#[test]
fn parameters_in_heads_are_named_shaped_counted_and_kept() {
    let device = plain();
    let config = LstmConfig::new(3, 6).with_num_heads(3).with_num_layers(2);
    let layer = config.init(&device);
    let mut paths = Paths::default();
    layer.visit(&mut paths);
    let of =
        |name: &str| paths.found.iter().find(|(found, _)| found == name).expect(name).1.clone();
    assert_eq!(of("weight_hh_l0"), [3, 8, 2]);
    assert_eq!(of("weight_hh_l1"), [3, 8, 2]);
    assert_eq!(of("weight_ih_l1"), [24, 6]);
    assert_eq!(Module::num_params(&layer), 24 * (3 + 2 + 2) + 24 * (6 + 2 + 2));
    assert!(layer.to_string().contains("num_heads: 3"), "{layer}");
    assert_eq!(layer.num_heads(), 3);

    // A record of the layer, read into another one.
    let other = config.init(&device).load_record(layer.clone().into_record());
    let input = noise([2, 4, 3], &device);
    let [a, b] = [&layer, &other].map(|layer| layer.forward(input.clone(), None).0.into_data());
    a.assert_eq(&b, true);
    // On the tape and back.
    let back = layer.clone().train().valid();
    back.forward(input.clone(), None).0.into_data().assert_eq(&a, true);
    // Burn's optimisers look for the gradients in this way.
    struct Found<'a>(&'a Gradients, Vec<Vec<usize>>);
    impl ModuleVisitor for Found<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.1.extend(param.grad(self.0).map(|d| d.dims().to_vec()));
        }
    }
    let trained = layer.train();
    let gradients = trained.forward(Tensor::from_inner(input), None).0.sum().backward();
    let mut found = Found(&gradients, vec![]);
    trained.visit(&mut found);
    assert_eq!(found.1.len(), 8);
    assert_eq!(found.1[1], [3, 8, 2]);
}

#[test]
fn one_head_is_a_whole_matrix() {
    let one = GruConfig::new(3, 4).with_num_heads(1).init(&plain());
    assert_eq!(one.weights[0].weight_hh.val().dims(), [12, 4]);
    assert!(one.weights[0].weight_hh.as_whole().is_some());
}

#[test]
fn heads_that_no_layer_can_have_are_refused() {
    let refused =
        |config: AnyRecurrentConfig| config.try_init(&plain()).expect_err("refused").to_string();
    let lstm = || AnyRecurrentConfig::new(CellKind::Lstm, 3, 6);
    assert_eq!(refused(lstm().with_num_heads(0)), "lstm: num_heads is 0, and has to be at least 1");
    assert_eq!(
        refused(lstm().with_num_heads(4)),
        "lstm: num_heads is 4, and has to divide d_hidden = 6"
    );
    assert!(refused(lstm().with_num_heads(2).with_proj_size(4)).contains("projection (proj_size)"));
    let diagonal = |kind: &CellKind| !kind.default_cell().layout().has_recurrent_weights();
    for kind in CellKind::ALL.into_iter().filter(diagonal) {
        let message = refused(AnyRecurrentConfig::new(kind, 3, 6).with_num_heads(2));
        assert!(message.contains("no recurrent matrix"), "{message}");
    }

    // Weights that are replaced by others.
    let mut layer = GruConfig::new(3, 6).with_num_heads(2).init(&plain());
    let of = |heads| GruConfig::new(3, 6).with_num_heads(heads).init(&plain());
    let run = |layer: &bptt::Gru| complaint(|| layer.forward(noise([1, 2, 3], &plain()), None));
    layer.weights[0].weight_hh = of(3).weights[0].weight_hh.clone();
    assert!(run(&layer).contains("`weight_hh` is in 3 heads, and the layer in 2"));
    let blocks = Param::from_tensor(noise([2, 9, 4], &plain()));
    layer.weights[0].weight_hh = blocks.into();
    assert!(run(&layer).contains("`weight_hh` has shape [2, 9, 4], expected [2, 9, 3]"));

    // burn::nn has no such layer.
    let message = burn::nn::Gru::try_from(of(2)).expect_err("refused").to_string();
    assert!(message.contains("2 heads") && message.contains("burn::nn::Gru"), "{message}");
}

#[test]
fn each_block_is_initialised_by_itself() {
    let init = |initializer: WeightInitializer| {
        let config = GruConfig::new(3, 8).with_num_heads(2).with_recurrent_initializer(initializer);
        let RecurrentWeight::Heads(weight) = config.init(&plain()).weights[0].weight_hh.clone()
        else {
            panic!("in heads")
        };
        // Of each head and gate.
        weight.val().reshape([6, 4, 4])
    };
    let identity = Tensor::<2>::eye(4, &plain()).unsqueeze::<3>();
    let orthogonal = init(WeightInitializer::Orthogonal { gain: 1.0 });
    let squares = orthogonal.clone().matmul(orthogonal.clone().swap_dims(1, 2));
    close(squares, identity.clone().repeat_dim(0, 6));
    // They are not all the same.
    let first = orthogonal.clone().slice([0..1]).into_data();
    let second = orthogonal.slice([1..2]).into_data();
    assert!(first.iter::<f32>().zip(second.iter::<f32>()).any(|(a, b)| (a - b).abs() > 1e-3));
    close(init(WeightInitializer::Identity { scale: 0.5 }), identity.repeat_dim(0, 6) * 0.5);
    // PyTorch's bound, of a layer of H/heads units.
    let torch: Vec<f32> = init(WeightInitializer::Torch).into_data().iter().collect();
    let most = torch.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    assert!(most <= 0.5 && most > 0.4, "{most}");
    // The radius of each block, by its 64th power.
    let mut power = init(WeightInitializer::SpectralRadius { radius: 0.5 });
    for _ in 0..6 {
        power = power.clone().matmul(power);
    }
    for block in power.split(1, 0) {
        let radius = block.abs().max().into_scalar::<f32>().powf(1.0 / 64.0);
        assert!((0.45..0.55).contains(&radius), "{radius}");
    }
}

#[test]
fn steps_and_budgets_in_heads_have_the_same_bits() {
    let device = plain();
    let config = LstmConfig::new(3, 12).with_num_heads(3);
    let layer = config.init(&device);
    let input = noise([2, 7, 3], &device);
    let (whole, last) = layer.forward(input.clone(), None);
    let mut state = None;
    for (t, x) in input.clone().split(1, 1).into_iter().enumerate() {
        let (out, next) = layer.step(x.squeeze_dim(1), state);
        let expected = whole.clone().slice([0..2, t..t + 1]).squeeze_dim::<2>(1);
        out.into_data().assert_eq(&expected.into_data(), true);
        state = Some(next);
    }
    let state = state.expect("there were steps");
    state.hidden.into_data().assert_eq(&last.hidden.into_data(), true);

    let on_tape = layer.train();
    let gradient = |layer: bptt::Lstm| {
        let output = layer.forward(Tensor::from_inner(input.clone()), None).0;
        let d = output.powi_scalar(2).sum().backward();
        layer.weights[0].weight_hh.grad(&d).expect("tracked").into_data()
    };
    let cost = on_tape.trace_cost(2, 7, DType::F32).expect("it fits");
    let budget = cost.whole * 6 / 10;
    assert!(on_tape.clone().with_trace_budget(Some(budget)).trace_cost(2, 7, DType::F32).is_ok());
    let expected = gradient(on_tape.clone());
    gradient(on_tape.with_trace_budget(Some(budget))).assert_eq(&expected, true);
}

#[test]
fn layers_in_heads_run_in_sixteen_bits() {
    let device = plain();
    let layer = GruConfig::new(3, 8).with_num_heads(2).init(&device);
    let input = noise([2, 5, 3], &device).cast(DType::BF16);
    let half = cast(layer, DType::BF16);
    let exact = cast(half.clone(), DType::F32);
    let found = half.forward(input.clone(), None).0.cast(DType::F32);
    let expected = exact.forward(input.cast(DType::F32), None).0;
    found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-2));
}

#[test]
fn a_stream_in_heads_learns_in_real_time() {
    let device = plain();
    let layer = GruConfig::new(2, 4).with_num_heads(2).init(&device);
    let input = noise([1, 5, 2], &device);
    let mut online = Rtrl::new(&layer, layer.zero_state(1, &input)).expect("small");
    let mut sum = None;
    for x in input.clone().split(1, 1) {
        let out = online.step(x.squeeze_dim(1));
        let gradient = online.gradients(out.ones_like()).remove(0).weight_hh;
        sum = Some(match sum {
            None => gradient,
            Some(sum) => sum + gradient,
        });
        online.update(&layer);
    }
    let on_tape = layer.train();
    let d = on_tape.forward(Tensor::from_inner(input), None).0.sum().backward();
    let expected = on_tape.weights[0].weight_hh.grad(&d).expect("tracked");
    assert_eq!(expected.dims(), [12, 2]);
    let sum: Tensor<2> = sum.expect("there were steps");
    sum.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
}

#[test]
fn gates_of_the_memory_are_initialised_as_without_heads() {
    let lstm =
        LstmConfig::new(3, 4).with_num_heads(2).with_bias_initializer("forget:2".parse().unwrap());
    let bias = lstm.init(&plain()).weights[0].bias_ih.clone().expect("biases").val();
    let values: Vec<f32> = bias.into_data().iter().collect();
    let roles = bptt::LstmCell::default().layout().gate_roles;
    for (gate, role) in roles.iter().enumerate() {
        let expected = if *role == GateRole::Forget { 2.0 } else { 0.0 };
        assert!(values[gate * 4..(gate + 1) * 4].iter().all(|&b| b == expected), "{values:?}");
    }
}
