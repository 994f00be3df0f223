//! Layers in types of 16 bits: the kernels for host memory compute in f32, and round each result once.

use super::{complaint, noise, plain, tracked};
use bptt::{
    AnyRecurrent, AnyRecurrentConfig, AnyState, CellKind, Engine, Kernel, RecurrentState, cast,
};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{DType, TensorData};

const HALF: [DType; 2] = [DType::BF16, DType::F16];

/// A layer with 16 bits, and the same layer in f32, with the same numbers.
fn pair(config: &AnyRecurrentConfig, dtype: DType) -> (AnyRecurrent, AnyRecurrent) {
    let narrow = cast(config.init(&tracked()).valid(), dtype);
    let wide = cast(narrow.clone(), DType::F32);
    (narrow.train(), wide.train())
}

/// Numbers of a type, without a tape.
fn numbers(shape: [usize; 3], dtype: DType) -> Tensor<3> {
    noise(shape, &plain()).cast(dtype)
}

/// Tensors, rounded to a type, as bits.
struct Rounded(DType, Vec<Vec<u64>>);

impl Rounded {
    fn add<const D: usize>(&mut self, x: Tensor<D>) {
        let data = x.inner().cast(self.0).into_data();
        self.1.push(data.iter::<f64>().map(f64::to_bits).collect());
    }
}

/// What goes into a layer besides its weights, in a type with 16 bits. The cotangent of the outputs is that of `outputs`,
/// and those of the final state are the initial state.
struct Given {
    dtype: DType,
    input: Tensor<3>,
    d_outputs: Tensor<3>,
    hidden: Tensor<3>,
    memory: Option<Tensor<3>>,
    lengths: Vec<usize>,
}

/// Outputs, final states and all gradients, rounded to the type with 16 bits.
fn outcome(layer: &AnyRecurrent, given: &Given) -> Vec<Vec<u64>> {
    let constant = |x: &Tensor<3>| Tensor::from_inner(x.clone().cast(layer.dtype()));
    let leaf = |x: &Tensor<3>| constant(x).require_grad();
    let (x, h) = (leaf(&given.input), leaf(&given.hidden));
    let c = given.memory.as_ref().map(leaf);
    let state = AnyState::from_parts(h.clone(), c.clone());
    let (outputs, end) = layer.forward_lengths(x.clone(), &given.lengths, Some(state));
    let (h_n, c_n) = end.into_parts();
    let part = |y: &Tensor<3>, d: &Tensor<3>| (y.clone() * constant(d)).sum();
    let mut loss = part(&outputs, &given.d_outputs) + part(&h_n, &given.hidden);
    if let (Some(c_n), Some(d)) = (&c_n, &given.memory) {
        loss = loss + part(c_n, d);
    }
    let gradients = loss.backward();

    let mut all = Rounded(given.dtype, Vec::new());
    all.add(outputs);
    all.add(h_n);
    c_n.into_iter().for_each(|c_n| all.add(c_n));
    for x in [x, h].into_iter().chain(c) {
        all.add(Tensor::<3>::from_inner(x.grad(&gradients).expect("a leaf")));
    }
    let weights = &layer.weights[0];
    let others = weights.weight_hr.iter().chain(&weights.weight_diag);
    for weight in [&weights.weight_ih, weights.weight_hh.as_whole().expect("no heads")]
        .into_iter()
        .chain(others)
    {
        all.add(Tensor::<2>::from_inner(weight.grad(&gradients).expect("a parameter")));
    }
    for bias in weights.bias_ih.iter().chain(&weights.bias_hh) {
        all.add(Tensor::<1>::from_inner(bias.grad(&gradients).expect("a parameter")));
    }
    all.1
}

#[test]
fn a_layer_is_the_f32_layer_rounded_once_to_the_bit() {
    let (batch, time) = (3, 40);
    for kind in CellKind::ALL {
        for dtype in HALF {
            for (budget, batch_first) in [(None, true), (None, false), (Some(6 << 10), true)] {
                let config = AnyRecurrentConfig::new(kind, 5, 9).with_trace_budget(budget);
                let (narrow, wide) = pair(&config.with_batch_first(batch_first), dtype);
                let sequence = |width| match batch_first {
                    true => numbers([batch, time, width], dtype),
                    false => numbers([time, batch, width], dtype),
                };
                let like = wide.zero_state(batch, &numbers([1, 1, 1], DType::F32));
                let memory = like.into_parts().1.map(|memory| numbers(memory.dims(), dtype));
                let given = Given {
                    dtype,
                    input: sequence(5),
                    d_outputs: sequence(9),
                    hidden: numbers([1, batch, 9], dtype),
                    memory,
                    lengths: vec![40, 17, 0],
                };
                let (found, expected) = (outcome(&narrow, &given), outcome(&wide, &given));
                assert!(found.iter().flatten().any(|&bits| bits != 0));
                assert!(found == expected, "{kind:?} {dtype:?} {budget:?} {batch_first}");
            }
        }
    }
}

/// The packed weights of a stream are kept in f32. Its state has 16 bits between the calls.
#[test]
fn a_step_is_the_f32_step_rounded_once_to_the_bit() {
    for kind in CellKind::ALL {
        for dtype in HALF {
            let (narrow, wide) = pair(&AnyRecurrentConfig::new(kind, 5, 70), dtype);
            let (narrow, wide) = (narrow.valid(), wide.valid());
            let mut state = narrow.zero_state(2, &numbers([1, 1, 1], dtype));
            for _ in 0..4 {
                let x = numbers([1, 2, 5], dtype).reshape([2, 5]);
                let (hidden, memory) = state.clone().into_parts();
                let widen = |x: Tensor<3>| x.cast(DType::F32);
                let before = AnyState::from_parts(widen(hidden), memory.map(widen));
                let (expected, end) = wide.step(x.clone().cast(DType::F32), Some(before));
                let (y, after) = narrow.step(x, Some(state));
                y.into_data().assert_eq(&expected.cast(dtype).into_data(), true);
                let hidden = after.clone().into_parts().0.into_data();
                hidden.assert_eq(&end.into_parts().0.cast(dtype).into_data(), true);
                state = after;
            }
        }
    }
}

#[test]
fn the_trace_is_that_of_f32() {
    let config = AnyRecurrentConfig::new(CellKind::Lstm, 5, 9);
    for budget in [None, Some(20 << 10)] {
        let lstm = config.clone().with_trace_budget(budget).init(&plain());
        let cost = |dtype| lstm.trace_cost(3, 200, dtype).expect("it fits");
        for dtype in HALF {
            assert_eq!(cost(dtype), cost(DType::F32));
        }
    }
}

#[test]
fn layers_with_other_types_are_refused() {
    for engine in Engine::ALL {
        for kernel in [Kernel::Auto, Kernel::Reference] {
            let config = AnyRecurrentConfig::new(CellKind::Lstm, 2, 3).with_engine(engine);
            let lstm = cast(config.with_kernel(kernel).init(&plain()), DType::BF16);
            assert_eq!(lstm.dtype(), DType::BF16);
            let x = |dtype| numbers([1, 2, 2], dtype);
            assert_eq!(lstm.forward(x(DType::BF16), None).0.dtype(), DType::BF16);
            for dtype in [DType::F16, DType::F32] {
                let message = complaint(|| lstm.forward(x(dtype), None));
                let expected = format!("lstm: `input` is {dtype:?} and `weight_ih` is BF16: ");
                assert!(message.starts_with(&expected), "{message}");
            }
            let state = lstm.zero_state(1, &x(DType::F32));
            let message = complaint(|| lstm.forward(x(DType::BF16), Some(state)));
            assert!(
                message.starts_with("lstm: `h_0` is F32 and `weight_ih` is BF16: "),
                "{message}"
            );
        }
    }
}

/// f16 has subnormal numbers, and none above 65,504.
#[test]
fn small_gradients_of_f16_are_subnormal_and_large_ones_infinite() {
    let (narrow, _) = pair(&AnyRecurrentConfig::new(CellKind::Gru, 2, 3), DType::F16);
    let gradient = |size: f32| {
        let x = Tensor::from_inner(numbers([1, 64, 2], DType::F16));
        let d = TensorData::new(vec![size; 3], [1, 1, 3]);
        let d = Tensor::<3>::from_data(d, &tracked()).cast(DType::F16);
        let loss = (narrow.forward(x, None).0 * d).sum();
        let of_bias = narrow.weights[0].bias_ih.as_ref().expect("a bias");
        let gradient = of_bias.grad(&loss.backward()).expect("a parameter").into_data();
        gradient.iter::<f64>().map(f64::abs).fold(0.0, f64::max)
    };
    assert!(gradient(1.0) > 1e-3);
    // All numbers with all their digits are above 6.1e-5.
    assert!((1e-8..6e-5).contains(&gradient(1e-7)));
    assert_eq!(gradient(1e-9), 0.0);
    assert_eq!(gradient(65_504.0), f64::INFINITY);
}
