//! How another Burn project uses these layers.
//!
//! Shows: a model generic over the recurrent layer, sequences of different lengths, a training
//! step, saving and loading, and prediction without gradients. The task: did more of the numbers
//! lie above zero, or below?
//!
//! A project of its own has these lines in its `Cargo.toml`, and nothing else:
//!
//! ```toml
//! bptt = { path = "WHERE THIS REPOSITORY IS/crates/bptt", features = ["flex"] }
//! burn = { version = "~0.22.1", default-features = false, features = ["std", "autodiff", "optim"] }
//! ```
//!
//! `examples/import-project` is a whole project of that kind, with Burn's own training loop.
//!
//! Command: `cargo run --release --example import_layer`
//! (`--features wgpu` runs on another backend)
//!
//! What to expect:
//!
//! ```text
//! Classifier {
//!   recurrent: lstm {d_input: 1, d_hidden: 16, num_layers: 1, bidirectional: true, bias: true, batch_first: true, dropout: 0, engine: Manual, params: 2432}
//!   head: Linear {d_input: 32, d_output: 2, bias: true, params: 66}
//!   params: 2498
//! }
//! step  50  cross-entropy 0.397
//! step 100  cross-entropy 0.373
//! step 150  cross-entropy 0.256
//! step 200  cross-entropy 0.183
//! the loaded model predicts what the saved one does: true
//! right on 31 of 32 sequences that it has not seen
//! with a GRU: 946 parameters
//! ```

use bptt::prelude::*;
use bptt_examples::Random;
use burn::Tensor;
use burn::module::{Module, ModuleDisplay};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Int, TensorData};
use std::error::Error;

const BATCH: usize = 32;
const TIME: usize = 12;

#[derive(Module, Debug)]
struct Classifier<L: RecurrentLayer + ModuleDisplay> {
    recurrent: L,
    head: Linear,
}

/// Sequences `[B, T, 1]` with their lengths, and the class of each, `[B]`.
struct Batch {
    input: Tensor<3>,
    lengths: Vec<usize>,
    target: Tensor<1, Int>,
}

impl<L: RecurrentLayer + ModuleDisplay> Classifier<L> {
    fn new(recurrent: L, device: &Device) -> Self {
        let head = LinearConfig::new(recurrent.d_output(), 2).init(device);
        Self { recurrent, head }
    }

    /// `[B, 2]`
    fn forward(&self, batch: &Batch) -> Tensor<2> {
        let input = batch.input.clone();
        let (_, state) = self.recurrent.forward_lengths(input, &batch.lengths, None);
        // [D, B, H], after each row's own last step: the directions side by side, [B, D·H].
        let (hidden, _memory) = state.into_parts();
        let rows = batch.lengths.len() as i32;
        self.head.forward(hidden.swap_dims(0, 1).reshape([rows, -1]))
    }

    fn train_step(self, batch: &Batch, optimizer: &mut ModuleOptimizer) -> (Self, f32) {
        let cross_entropy = CrossEntropyLossConfig::new().init(&batch.input.device());
        let loss = cross_entropy.forward(self.forward(batch), batch.target.clone());
        let value = loss.clone().into_scalar::<f32>();
        let grads = GradientsParams::from_grads(loss.backward(), &self);
        (optimizer.step(1e-2, self, grads), value)
    }

    fn predict(&self, batch: &Batch) -> Tensor<1, Int> {
        self.forward(batch).argmax(1).reshape([-1])
    }
}

fn batch(random: &mut Random, device: &Device) -> Batch {
    let (mut input, mut lengths, mut target) = (vec![0.0f32; BATCH * TIME], vec![], vec![]);
    for row in input.chunks_mut(TIME) {
        let length = 2 * random.below(TIME / 2) + 1;
        row[..length].fill_with(|| 2.0 * random.uniform() - 1.0);
        let above = row[..length].iter().filter(|&&x| x > 0.0).count();
        target.push(i32::from(2 * above > length));
        lengths.push(length);
    }
    Batch {
        input: Tensor::from_data(TensorData::new(input, [BATCH, TIME, 1]), device),
        lengths,
        target: Tensor::from_data(TensorData::new(target, [BATCH]), device),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = bptt_examples::device().autodiff();
    device.seed(1);
    let mut random = Random::new(1);

    let config = LstmConfig::new(1, 16).with_bidirectional(true);
    let mut model = Classifier::new(config.try_init(&device)?, &device);
    println!("{model}");
    let mut optimizer = AdamConfig::new().init();
    for step in 1..=200 {
        let loss;
        (model, loss) = model.train_step(&batch(&mut random, &device), &mut optimizer);
        if step % 50 == 0 {
            println!("step {step:3}  cross-entropy {loss:.3}");
        }
    }

    // Another program would begin here: the same model, with the values from the file.
    let path = std::env::temp_dir().join(format!("bptt-import-{}.bpk", std::process::id()));
    model.clone().save_file(&path)?;
    let loaded = Classifier::new(config.try_init(&device)?, &device).try_load_file(&path)?;
    let (before, after) = (model.valid(), loaded.valid());

    let unseen = batch(&mut random, &device.clone().inner());
    let predicted = after.predict(&unseen);
    let same = predicted.clone().equal(before.predict(&unseen)).all().into_scalar::<bool>();
    println!("the loaded model predicts what the saved one does: {same}");
    let right = predicted.equal(unseen.target.clone()).int().sum().into_scalar::<i32>();
    println!("right on {right} of {BATCH} sequences that it has not seen");
    // Not before: Burn reads a file's values when they are first used.
    std::fs::remove_file(&path)?;

    // Another cell is another type, and the model is the same text.
    let gru = Classifier::new(GruConfig::new(1, 16).try_init(&device)?, &device);
    println!("with a GRU: {} parameters", gru.num_params());
    Ok(())
}
