//! An initial state that is learned: its gradient, and that it is a module like others.

use crate::{noise, plain, tracked};
use bptt::{
    AnyRecurrentConfig, AnyState, CellKind, Engine, InitialState, LstmConfig, LstmState,
    RecurrentState, SequenceOptions, cast,
};
use burn::Tensor;
use burn::module::{Module, Param};
use burn::tensor::{Bool, DType, Distribution, TensorData, Tolerance};

fn random_like(state: AnyState) -> AnyState {
    let normal = Distribution::Normal(0.0, 1.0);
    let (hidden, memory) = state.into_parts();
    AnyState::from_parts(hidden.random_like(normal), memory.map(|m| m.random_like(normal)))
}

fn gradient(param: &Param<Tensor<3>>, gradients: &burn::tensor::Gradients) -> TensorData {
    param.grad(gradients).expect("it is learned").into_data()
}

#[test]
fn the_gradient_is_the_sum_over_the_rows() {
    let batch = 5;
    for kind in CellKind::ALL {
        for engine in Engine::ALL {
            let config = AnyRecurrentConfig::new(kind, 3, 4)
                .with_num_layers(2)
                .with_bidirectional(true)
                .with_engine(engine);
            // In f64, since roundings grow where a normalised cell divides by a small deviation.
            let layer = cast(config.init(&plain()), DType::F64).train();
            let noise = |shape| Tensor::from_inner(noise(shape, &plain()).cast(DType::F64));
            let initial = InitialState::new(random_like(layer.zero_state(1, &noise([1, 1, 1]))));
            let input = noise([batch, 6, 3]);
            let weight = noise([batch, 6, 8]);
            let loss = |state| (layer.forward(input.clone(), Some(state)).0 * weight.clone()).sum();
            let learned = loss(initial.state(batch)).backward();

            // The same values, a row each.
            let (hidden, memory) = initial.state::<AnyState>(batch).detach().into_parts();
            let (hidden, memory) = (hidden.require_grad(), memory.map(Tensor::require_grad));
            let state = AnyState::from_parts(hidden.clone(), memory.clone());
            let rows = loss(state).backward();
            let sum = |of: &Tensor<3>| of.grad(&rows).expect("tracked").sum_dim(1).into_data();
            let close = |a: TensorData, b: TensorData| {
                assert_eq!(a.shape(), b.shape());
                assert_eq!(a.dtype(), DType::F64);
                a.assert_approx_eq::<f64>(&b, Tolerance::absolute(1e-12));
            };
            close(gradient(&initial.hidden, &learned), sum(&hidden));
            assert_eq!(initial.memory.is_some(), memory.is_some());
            if let (Some(initial), Some(memory)) = (&initial.memory, &memory) {
                close(gradient(initial, &learned), sum(memory));
            }
        }
    }
}

#[test]
fn zeros_are_what_layers_begin_with() {
    let lstm = LstmConfig::new(3, 5).with_proj_size(2).with_num_layers(2).init(&plain());
    let initial = lstm.initial_state();
    assert_eq!((initial.hidden.dims(), initial.num_params()), ([2, 1, 2], 2 * 2 + 2 * 5));
    let input = noise([4, 6, 3], &plain());
    let (expected, _) = lstm.forward(input.clone(), None);
    let (output, _) = lstm.forward(input, Some(initial.state(4)));
    output.into_data().assert_eq(&expected.into_data(), true);
}

/// One row is enough for the reset state, and its gradient is that of all resets.
#[test]
fn it_is_a_reset_state_as_well() {
    let device = tracked();
    let lstm = LstmConfig::new(3, 4).init(&device);
    let initial =
        InitialState::new(LstmState::new(noise([1, 1, 4], &device), noise([1, 1, 4], &device)));
    let input = noise([2, 6, 3], &device);
    let flags =
        Tensor::<2, Bool>::from_data([[false, false, false, true, false, false]; 2], &device);
    let options = SequenceOptions::new().with_resets(flags).with_reset_state(initial.state(1));
    let (output, _) = lstm.forward_with(input.clone(), &options, Some(initial.state(2)));
    let whole = output.clone().sum().backward();

    // Both halves from the same state are the same sequence.
    let half = |steps: std::ops::Range<usize>| {
        lstm.forward(input.clone().slice([0..2, steps]), Some(initial.state(2))).0
    };
    let halves = Tensor::cat(vec![half(0..3), half(3..6)], 1);
    let tolerance = Tolerance::absolute(1e-5);
    output.into_data().assert_approx_eq::<f32>(&halves.to_data(), tolerance);
    let halves = halves.sum().backward();
    let (a, b) = (gradient(&initial.hidden, &whole), gradient(&initial.hidden, &halves));
    a.assert_approx_eq::<f32>(&b, tolerance);
}

#[test]
fn it_is_of_one_row() {
    let lstm = LstmConfig::new(3, 4).init(&plain());
    let state = lstm.zero_state(2, &noise([1, 1, 1], &plain()));
    let message = crate::complaint(|| InitialState::new(state));
    assert_eq!(message, "an initial state of 2 rows: expected one row, which all rows share");
}
