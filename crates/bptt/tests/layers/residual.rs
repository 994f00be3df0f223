//! Stacks with residual and highway connections.

use crate::{close, complaint, noise, plain, tracked};
use bptt::{
    AnyRecurrent, AnyRecurrentConfig, AnyState, CellKind, Engine, RecurrentLayer, RecurrentState,
    ResidualStack, SequenceOptions, SkipConnection, WeightInitializer,
};
use burn::Tensor;
use burn::module::{Initializer, Module};
use burn::tensor::{Bool, Device, TensorData, Tolerance};

const HIGHWAY: SkipConnection = SkipConnection::Highway { bias: -1.0 };

/// Three layers, the lowest without a connection.
fn stack(
    kind: CellKind,
    connection: SkipConnection,
    device: &Device,
) -> ResidualStack<AnyRecurrent> {
    let layer = |d_input| AnyRecurrentConfig::new(kind, d_input, 4).init(device);
    ResidualStack::new([3, 4, 4].map(layer).into(), connection).expect("layers that fit")
}

#[test]
fn connections_are_their_equations() {
    for kind in CellKind::ALL {
        for connection in [SkipConnection::Residual, HIGHWAY] {
            let stack = stack(kind, connection, &plain());
            let input = noise([2, 5, 3], &plain());
            let (output, state) = stack.forward(input.clone(), None);
            let mut states = Vec::new();
            let mut x = input;
            for (k, layer) in stack.layers.iter().enumerate() {
                let (y, end) = layer.forward(x.clone(), None);
                states.push(end.hidden);
                x = match (k, connection) {
                    (0, _) => y,
                    (_, SkipConnection::Residual) => x + y,
                    _ => {
                        let Gate { weight, bias } = Gate::of(&stack, k - 1);
                        assert_eq!(bias, [-1.0; 4]);
                        let product = x.clone().matmul(weight.unsqueeze());
                        let gate = (product - 1.0).neg().exp().add_scalar(1.0).recip();
                        gate.clone() * y + (1.0 - gate) * x
                    }
                };
            }
            close(output, x);
            close(state.hidden, Tensor::cat(states, 0));
        }
    }
}

struct Gate {
    weight: Tensor<2>,
    bias: Vec<f32>,
}

impl Gate {
    fn of(stack: &ResidualStack<AnyRecurrent>, k: usize) -> Self {
        let gate = &stack.gates[k];
        let bias = gate.bias.as_ref().expect("a bias").to_data();
        Self { weight: gate.weight.val(), bias: bias.try_to_vec().expect("f32") }
    }
}

#[test]
fn both_engines_have_the_same_gradients() {
    for connection in [SkipConnection::Residual, HIGHWAY] {
        let device = tracked();
        let stack = stack(CellKind::Lstm, connection, &device);
        let input = noise([2, 6, 3], &device);
        let gradients = [Engine::Manual, Engine::Autograd].map(|engine| {
            let x = input.clone().require_grad();
            let (output, state) = stack.clone().with_engine(engine).forward(x.clone(), None);
            let loss = output.powf_scalar(2.0).sum() + state.hidden.sum();
            let gradients = loss.backward();
            let weights = &stack.layers[0].weights[0].weight_hh;
            let weights = weights.grad(&gradients).expect("tracked");
            let input = x.grad(&gradients).expect("tracked");
            (input, weights.unsqueeze())
        });
        let [(a, b), (c, d)] = gradients;
        close(a, c);
        let tolerance = Tolerance::absolute(1e-5);
        let (b, d): (Tensor<3>, Tensor<3>) = (b, d);
        b.into_data().assert_approx_eq::<f32>(&d.into_data(), tolerance);
    }
}

#[test]
fn a_layer_that_says_nothing_is_passed_by() {
    let zeros = || WeightInitializer::from(Initializer::Zeros);
    let config = AnyRecurrentConfig::new(CellKind::Rnn, 4, 4)
        .with_bias(false)
        .with_input_initializer(zeros())
        .with_recurrent_initializer(zeros());
    let layers = vec![config.init(&plain()), config.init(&plain())];
    let stack = ResidualStack::new(layers, SkipConnection::Residual).expect("layers that fit");
    let input = noise([2, 5, 4], &plain());
    close(stack.forward(input.clone(), None).0, input);
}

#[test]
fn steps_chunks_and_rows_are_the_sequence() {
    for (kind, connection) in [(CellKind::Lstm, HIGHWAY), (CellKind::Gru, SkipConnection::Residual)]
    {
        let stack = stack(kind, connection, &plain());
        let input = noise([2, 6, 3], &plain());
        let (whole, end) = stack.forward(input.clone(), None);
        let (first, state) = stack.forward(input.clone().slice([0..2, 0..3]), None);
        let (mut outputs, mut state) = (vec![first], state);
        for x in input.clone().slice([0..2, 3..6]).split(1, 1) {
            let (y, after) = stack.step(x.reshape([2, 3]), Some(state));
            outputs.push(y.reshape([2, 1, 4]));
            state = after;
        }
        close(Tensor::cat(outputs, 1), whole);
        close(state.hidden, end.hidden);
        assert_eq!(state.memory.is_some(), kind == CellKind::Lstm);

        // Padding that is no number changes nothing.
        let mut values = input.to_data().try_to_vec::<f32>().expect("f32");
        values[18 + 6..].fill(f32::NAN);
        let padded = Tensor::<3>::from_data(TensorData::new(values, [2, 6, 3]), &plain());
        let (ragged, end) = stack.forward_lengths(padded, &[6, 2], None);
        let (alone, end_alone) = stack.forward(input.slice([1..2, 0..2]), None);
        close(ragged.clone().slice([1..2, 0..2]), alone);
        close(ragged.slice([1..2, 2..6]), Tensor::zeros([1, 4, 4], &plain()));
        close(end.hidden.slice([0..3, 1..2]), end_alone.hidden);
    }
}

#[test]
fn resets_give_each_layer_its_part_of_the_state() {
    let stack = stack(CellKind::Lstm, SkipConnection::Residual, &plain());
    let input = noise([1, 4, 3], &plain());
    let state = AnyState::from_parts(noise([3, 1, 4], &plain()), Some(noise([3, 1, 4], &plain())));
    let flags = Tensor::<2, Bool>::from_data([[false, false, true, false]], &plain());
    let options = SequenceOptions::new().with_resets(flags).with_reset_state(state.clone());
    let (output, end) = stack.forward_with(input.clone(), &options, None);
    let (expected, end_alone) = stack.forward(input.slice([0..1, 2..4]), Some(state));
    close(output.slice([0..1, 2..4]), expected);
    close(end.hidden, end_alone.hidden);
}

#[test]
fn layers_that_do_not_fit_are_named() {
    let layer = |d_input, d_hidden| {
        AnyRecurrentConfig::new(CellKind::Gru, d_input, d_hidden).init(&plain())
    };
    let refused = |layers: Vec<AnyRecurrent>| {
        ResidualStack::new(layers, SkipConnection::Residual).expect_err("refused").to_string()
    };
    let start = "a residual stack: ";
    assert_eq!(refused(vec![]), format!("{start}no layers: expected at least one"));
    let sizes = "layer 0 has outputs of size 4, and layer 1 inputs of size 5: expected equal sizes";
    assert_eq!(refused(vec![layer(4, 4), layer(5, 4)]), format!("{start}{sizes}"));
    let shapes = refused(vec![layer(4, 4), layer(4, 5)]);
    assert!(shapes.contains("expected one shape"), "{shapes}");
    let none = "no layer has an input as large as its output: expected one";
    assert_eq!(refused(vec![layer(3, 4)]), format!("{start}{none}"));
    let stack = stack(CellKind::Gru, SkipConnection::Residual, &plain());
    let state = AnyState::from_parts(Tensor::zeros([2, 1, 4], &plain()), None);
    let message = complaint(|| stack.forward(noise([1, 2, 3], &plain()), Some(state)));
    assert_eq!(
        message,
        "a residual stack: the state has 2 planes, expected 3, those of all layers"
    );
    assert_eq!(stack.num_params(), stack.layers.iter().map(Module::num_params).sum::<usize>());
}
