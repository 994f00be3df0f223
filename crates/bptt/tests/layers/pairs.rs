//! Stacks whose layers run beside each other in training (with two or three threads) have the bits of layer after layer.

use bptt::{AnyRecurrentConfig, CellKind};
use burn::tensor::{Device, Distribution, Tensor, TensorData};

/// Outputs, final states and gradients of a stack of three layers.
fn found(cell: CellKind, budget: Option<usize>) -> Vec<TensorData> {
    let device = Device::flex().autodiff();
    device.seed(7);
    let layer = AnyRecurrentConfig::new(cell, 40, 72).with_num_layers(3).init(&device);
    let layer = layer.with_trace_budget(budget);
    let input = Tensor::<3>::random([1, 120, 40], Distribution::Default, &device);
    let input = input.detach().require_grad();
    let (outputs, state) = layer.forward(input.clone(), None);
    let mut all = vec![outputs.clone().into_data(), state.hidden.clone().into_data()];
    all.extend(state.memory.clone().map(Tensor::into_data));
    let sum = (outputs.clone() * outputs).sum() + state.hidden.sum();
    let gradients = sum.backward();
    all.push(input.grad(&gradients).expect("a leaf").into_data());
    for weights in &layer.weights {
        let weight = weights.weight_ih.val().grad(&gradients).expect("a parameter");
        all.push(weight.into_data());
    }
    all
}

#[test]
fn layers_beside_each_other_have_the_bits_of_layer_after_layer() {
    for cell in [CellKind::Lstm, CellKind::Gru] {
        // With a budget, however large, layers run one after the other.
        let expected = found(cell, Some(usize::MAX));
        assert!(found(cell, None) == expected, "{}", cell.name());
    }
}
