//! Vanishing and exploding gradients, seen and predicted.
//!
//! Shows: how large the gradient of a loss at the last step is at every step before it, in an RNN with a small and a
//! large gain, and in an LSTM without and with a bias of its forget gate. A `GradientProbe` reads the norms in the
//! backward pass. The largest Lyapunov exponent λ₁, measured without a backward pass, predicts their slope.
//!
//! Command: `cargo run --release --example vanishing_gradients`
//! (the backend needs f64 in host memory: flex or ndarray)
//!
//! What to expect: the bar of the last step, `▅`, stands for 1, and each bar more or less for a factor of 50.
//!
//! ```text
//!                          step 1 → 100                               step 1 / 100  nats a step        λ₁
//! rnn,  g = 0.5            ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▂▂▃▃▃▄▅        4.7e-29       -0.659    -0.646
//! rnn,  g = 1              ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▅         4.3e-1       -0.009    -0.000
//! rnn,  g = 2              ████████▇▇▇▇▇▇▇▇▇▆▆▆▆▆▆▆▆▆▆▆▆▆▅▅▅▅▅▅▅▅▅▅          1.9e7        0.169     0.128
//! lstm, g = 1              ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▂▂▂▂▂▃▃▃▃▃▄▄▅        2.7e-15       -0.339    -0.320
//! lstm, g = 1, bias 1      ▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▅         1.2e-3       -0.068    -0.045
//! ```
//!
//! `bptt dynamics --sweep gain --hidden 64 --time 400 --html FILE` writes a page with a slider for the gain.

use bptt::{AnyRecurrentConfig, CellKind, GradientProbe};
use bptt_probe::dynamics::{Network, Settings, System, lyapunov, random_weights};
use bptt_probe::picture::sparkline_between;
use burn::Tensor;
use burn::module::Param;
use burn::tensor::{Device, FloatDType};

const HIDDEN: usize = 64;
const TIME: usize = 100;

fn main() {
    let mut device = bptt_examples::device();
    device.configure(FloatDType::F64).expect("a device with f64 that was not used yet");
    println!(
        "{:24} {:40} {:>14} {:>12} {:>9}",
        "", "step 1 → 100", "step 1 / 100", "nats a step", "λ₁"
    );
    for (cell, name, gain, forget_bias) in [
        (CellKind::Rnn, "rnn,  g = 0.5", 0.5, 0.0),
        (CellKind::Rnn, "rnn,  g = 1", 1.0, 0.0),
        (CellKind::Rnn, "rnn,  g = 2", 2.0, 0.0),
        (CellKind::Lstm, "lstm, g = 1", 1.0, 0.0),
        (CellKind::Lstm, "lstm, g = 1, bias 1", 1.0, 1.0),
    ] {
        let (norms, exponent) = measure(cell, gain, forget_bias, &device);
        let logs: Vec<_> =
            norms.iter().map(|norm| (norm / norms[norms.len() - 1]).log10()).collect();
        let steps = (norms.len() - 1) as f64;
        let line = sparkline_between(&logs, -6.0..=6.0);
        let slope = logs[0] * std::f64::consts::LN_10 / steps;
        println!(
            "{name:24} {line} {:>14.1e} {slope:>12.3} {exponent:>9.3}",
            norms[0] / norms[norms.len() - 1]
        );
    }
}

/// The norms of the gradient at every step, and the largest exponent, of a random network with recurrent weights from
/// `N(0, gain² / N)` and no biases but that of the forget gate.
fn measure(cell: CellKind, gain: f64, forget_bias: f64, device: &Device) -> (Vec<f64>, f64) {
    let tape = device.clone().autodiff();
    // The input weights are the layer's own; the same in every run.
    tape.seed(1);
    let probe = GradientProbe::default();
    let mut layer = AnyRecurrentConfig::new(cell, 1, HIDDEN)
        .init(&tape)
        .with_gradient_probe(Some(probe.clone()));
    let weights = &mut layer.weights[0];
    let recurrent = random_weights(cell, HIDDEN, gain, 1);
    let rows = recurrent.rows();
    let flat = Tensor::<1>::from_floats(recurrent.values(), &tape);
    weights.weight_hh = Param::from_tensor(flat.reshape([rows, HIDDEN])).into();
    // The forget gate is the second of four.
    let bias: Vec<_> =
        (0..rows).map(|row| if row / HIDDEN == 1 { forget_bias } else { 0.0 }).collect();
    weights.bias_ih = Some(Param::from_tensor(Tensor::from_floats(bias.as_slice(), &tape)));
    weights.bias_hh = Some(Param::from_tensor(Tensor::zeros([rows], &tape)));

    // A push at the first step, and no input from then on.
    let input = Tensor::zeros([1, TIME, 1], &tape).slice_fill([0..1, 0..1, 0..1], 1.0);
    let (output, _) = layer.forward(input, None);
    let _ = output.slice([0..1, TIME - 1..TIME, 0..HIDDEN]).sum().backward();
    let norms = probe.take()[0].norms.hidden.clone();

    let mut network = Network::new(&layer, None, device).expect("it has one direction");
    let state = vec![0.1; network.size()];
    let settings = Settings::new(1, 2000, 1);
    let spectrum =
        lyapunov(&mut network, &state, &settings, device, &mut |_| ()).expect("it stays finite");
    (norms, spectrum.exponents[0])
}
