//! The norms of the state's gradient, held against Burn's autograd, and the kernels against each other.

use super::{noise, plain, tracked};
use bptt::{
    AnyRecurrent, AnyRecurrentConfig, AnyState, CellKind, Engine, GradientProbe, Kernel,
    RecurrentState, SequenceCell, SequenceOptions, StateGradientNorms, StateGradients,
};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::TensorData;

fn close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (t, (found, expected)) in found.iter().zip(expected).enumerate() {
        let off = (found - expected).abs();
        assert!(off <= 2e-4 * expected.abs() + 1e-7, "{what}, step {t}: {found} for {expected}");
    }
}

fn norm(x: Option<Tensor<3>>) -> f64 {
    let squares = |x: Tensor<3>| x.into_data().iter::<f64>().map(|x| x * x).sum::<f64>();
    x.map_or(0.0, |x| squares(x).sqrt())
}

/// dLoss/d(state after step `t`) by Burn's autograd: the state is a leaf, and the rest of the sequence runs from it.
fn by_autograd(layer: &AnyRecurrent, x: &Tensor<3>, d: &Tensor<3>, t: usize) -> [f64; 4] {
    let [batch, time, _] = x.dims();
    let device = tracked();
    let layer = layer.clone().with_engine(Engine::Autograd).with_gradient_probe(None);
    let part = |of: &Tensor<3>, steps: std::ops::Range<usize>| {
        Tensor::from_inner(of.clone().inner().slice([0..batch, steps]))
    };
    let (_, state) = layer.forward(part(x, 0..t + 1), None);
    let (hidden, memory) = state.into_parts();
    let leaf = |x: Tensor<3>| Tensor::from_inner(x.inner()).require_grad();
    let (hidden, memory) = (leaf(hidden), memory.map(leaf));
    let direct = part(d, t..t + 1);
    let output = (hidden.clone().swap_dims(0, 1) * direct.clone()).sum();
    let rest = if t + 1 < time {
        let state = AnyState::from_parts(hidden.clone(), memory.clone());
        let (outputs, _) = layer.forward(part(x, t + 1..time), Some(state));
        (outputs * part(d, t + 1..time)).sum()
    } else {
        Tensor::zeros([1], &device)
    };
    let total = (output + rest).backward();
    let hidden_norm = norm(hidden.grad(&total));
    if t + 1 == time {
        return [norm(Some(direct)), 0.0, hidden_norm, 0.0];
    }
    let memory_norm = norm(memory.as_ref().and_then(|memory| memory.grad(&total)));
    let d_hidden = hidden.grad(&total).expect("tracked");
    let gates = d_hidden - direct.clone().inner().swap_dims(0, 1);
    [norm(Some(direct)), norm(Some(gates)), hidden_norm, memory_norm]
}

#[test]
fn the_norms_are_those_of_autograd() {
    let time = 6;
    for kind in CellKind::ALL {
        let probe = GradientProbe::default();
        let layer = AnyRecurrentConfig::new(kind, 3, 5).init(&tracked());
        let layer = layer.with_gradient_probe(Some(probe.clone()));
        let x = noise([2, time, 3], &tracked());
        let d = noise([2, time, 5], &tracked());
        let (outputs, _) = layer.forward(x.clone(), None);
        let _ = (outputs * d.clone()).sum().backward();
        let found = probe.take();
        assert_eq!(found.len(), 1);
        assert!(probe.take().is_empty(), "what was taken is gone");
        let StateGradientNorms { output, gates, hidden, memory } = &found[0].norms;
        let truth: Vec<_> = (0..time).map(|t| by_autograd(&layer, &x, &d, t)).collect();
        let path = |n: usize| truth.iter().map(|norms| norms[n]).collect::<Vec<_>>();
        close(output, &path(0), "output");
        close(gates, &path(1), "gates");
        close(hidden, &path(2), "hidden");
        // Diagonal weights are no memory, though the kernels have them among the memories.
        match layer.cell().memories() {
            0 => assert!(memory.is_empty()),
            _ => close(memory, &path(3), "memory"),
        }
    }
}

#[test]
fn the_kernels_agree_with_lengths_resets_budgets_and_stacks() {
    for kind in CellKind::ALL {
        let x = noise([5, 40, 3], &tracked());
        let flags = (0..200).map(|i| i * 7 % 31 == 4).collect();
        let flags = TensorData::new::<bool, _>(flags, [5, 40]);
        let options = SequenceOptions::new()
            .with_lengths(&[40, 3, 0, 22, 40])
            .with_resets(Tensor::from_data(flags, &tracked()));
        let config = AnyRecurrentConfig::new(kind, 3, 19).with_num_layers(2);
        let layer = config.with_bidirectional(true).init(&tracked());
        let run = |layer: AnyRecurrent| -> Vec<StateGradients> {
            let probe = GradientProbe::default();
            let layer = layer.with_gradient_probe(Some(probe.clone()));
            let (outputs, state) = layer.forward_with(x.clone(), &options, None);
            let _ = (outputs.powf_scalar(2.0).sum() + state.hidden.sum()).backward();
            probe.take()
        };
        let reference = run(layer.clone().with_kernel(Kernel::Reference));
        let parts: Vec<_> = reference.iter().map(|of| (of.layer, of.direction)).collect();
        assert_eq!(parts.len(), 4, "{parts:?}");
        for layer in [layer.clone(), layer.with_trace_budget(Some(96 << 10))] {
            for (found, expected) in run(layer).iter().zip(&reference) {
                assert_eq!((found.layer, found.direction), (expected.layer, expected.direction));
                let (found, expected) = (&found.norms, &expected.norms);
                close(&found.output, &expected.output, "output");
                close(&found.gates, &expected.gates, "gates");
                close(&found.hidden, &expected.hidden, "hidden");
                close(&found.memory, &expected.memory, "memory");
            }
        }
    }
}

#[test]
fn a_gradient_that_vanishes_is_not_zero() {
    // Squares of such numbers are zero in f32.
    let probe = GradientProbe::default();
    let layer = AnyRecurrentConfig::new(CellKind::Gru, 2, 4).init(&tracked());
    let layer = layer.with_gradient_probe(Some(probe.clone()));
    let (_, state) = layer.forward(noise([1, 3, 2], &tracked()), None);
    let _ = state.hidden.mul_scalar(1e-30).sum().backward();
    let hidden = probe.take().remove(0).norms.hidden;
    assert!(hidden.iter().all(|&norm| norm > 0.0 && norm < 1e-28), "{hidden:?}");
    // Without a tape, there is nothing to read.
    let _ = layer.valid().forward(noise([1, 3, 2], &plain()), None);
    assert!(probe.take().is_empty());
}
