//! The adding problem, learned by an LSTM.
//!
//! Shows: a model with a recurrent layer in a plain training loop. Each sequence has two channels,
//! a random number and a marker; two steps are marked, and the answer is the sum of their numbers.
//! Answering 1 always has an error of 1/6 = 0.167, so whoever gets below has to remember.
//!
//! S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997).
//!
//! Command: `cargo run --release --example adding`
//! (`--features wgpu` trains on another backend)
//!
//! What to expect:
//!
//! ```text
//! adding, T = 20: mean squared error (answering 1 always: 0.167)
//! step   100  0.19164
//! step   200  0.16619
//! step   300  0.16199
//! step   400  0.15849
//! step   500  0.12405
//! step   600  0.01570
//! step   700  0.00628
//! step   800  0.00423
//! unseen      0.00345
//! ```

use bptt::prelude::*;
use bptt_examples::Random;
use burn::Tensor;
use burn::module::Module;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, TensorData};

const TIME: usize = 20;
const BATCH: usize = 64;
const STEPS: usize = 800;

#[derive(Module, Debug)]
struct Adder {
    lstm: Lstm,
    head: Linear,
}

impl Adder {
    fn new(device: &Device) -> Self {
        Self {
            lstm: LstmConfig::new(2, 64).init(device),
            head: LinearConfig::new(64, 1).init(device),
        }
    }

    /// `[B, T, 2]` to `[B, 1]`
    fn forward(&self, input: Tensor<3>) -> Tensor<2> {
        let (_, state) = self.lstm.forward(input, None);
        // The state is [L·D, B, H], here with one layer and one direction.
        self.head.forward(state.hidden.squeeze_dim(0))
    }

    fn loss(&self, (input, target): (Tensor<3>, Tensor<2>)) -> Tensor<1> {
        MseLoss::new().forward(self.forward(input), target, Reduction::Mean)
    }
}

/// Sequences `[B, T, 2]` and their answers `[B, 1]`.
fn batch(random: &mut Random, device: &Device) -> (Tensor<3>, Tensor<2>) {
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let numbers: Vec<f32> = (0..TIME).map(|_| random.uniform()).collect();
        // One marker in each half.
        let marked = [random.below(TIME / 2), TIME / 2 + random.below(TIME / 2)];
        targets.push(marked.iter().map(|&t| numbers[t]).sum::<f32>());
        for (t, number) in numbers.into_iter().enumerate() {
            inputs.extend([number, if marked.contains(&t) { 1.0 } else { 0.0 }]);
        }
    }
    (
        Tensor::from_data(TensorData::new(inputs, [BATCH, TIME, 2]), device),
        Tensor::from_data(TensorData::new(targets, [BATCH, 1]), device),
    )
}

fn main() {
    let device = bptt_examples::device().autodiff();
    device.seed(1);
    let mut random = Random::new(1);
    let mut model = Adder::new(&device);
    let mut optimizer = AdamConfig::new().init();
    println!("adding, T = {TIME}: mean squared error (answering 1 always: 0.167)");

    let mut recent = 0.0;
    for step in 1..=STEPS {
        let loss = model.loss(batch(&mut random, &device));
        recent += loss.clone().into_scalar::<f32>();
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-3, model, grads);
        if step % 100 == 0 {
            println!("step {step:5}  {:.5}", recent / 100.0);
            recent = 0.0;
        }
    }

    // Without gradients, on sequences it has not seen: the device of the inner backend.
    let unseen = model.valid().loss(batch(&mut random, &device.inner())).into_scalar::<f32>();
    println!("unseen      {unseen:.5}");
}
