//! A character model of one chapter of the book.
//!
//! Shows: truncated back-propagation through time. The text is cut into parallel streams, the
//! streams into chunks; the state is carried from chunk to chunk, and detached in between, because
//! the tape of a chunk is gone after its backward pass. Then the model writes, one step at a time.
//!
//! Command: `cargo run --release --example char_model`
//! (`--features wgpu` trains on another backend)
//!
//! What to expect:
//!
//! ```text
//! 7734 characters, 85 of them different
//! epoch   1  3.456 nats per character
//! epoch  10  1.392 nats per character
//! epoch  20  0.798 nats per character
//! epoch  30  0.430 nats per character
//! epoch  40  0.248 nats per character
//! ---
//! The dos, and needs at end of `U` the hidden state, `he; the step `T`, and a sing in lart what the path
//! from `werside thes hrom step, `Uᵀ d_a_t`, which no rearranges `d_a_r` and the sumo `T` sum hout r
//! ```

use bptt::prelude::*;
use bptt_examples::Random;
use burn::Tensor;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Int, TensorData, activation};

const TEXT: &str = include_str!("../../docs/src/bptt.md");
const BATCH: usize = 16;
const TIME: usize = 32;
const EPOCHS: usize = 40;

#[derive(Module, Debug)]
struct CharModel {
    embedding: Embedding,
    gru: Gru,
    head: Linear,
}

impl CharModel {
    fn new(vocabulary: usize, device: &Device) -> Self {
        Self {
            embedding: EmbeddingConfig::new(vocabulary, 32).init(device),
            gru: GruConfig::new(32, 128).init(device),
            head: LinearConfig::new(128, vocabulary).init(device),
        }
    }

    /// Characters `[B, T]` to scores of the next one, `[B, T, V]`.
    fn forward(&self, x: Tensor<2, Int>, state: Option<GruState>) -> (Tensor<3>, GruState) {
        let (hidden, state) = self.gru.forward(self.embedding.forward(x), state);
        (self.head.forward(hidden), state)
    }
}

fn main() {
    let device = bptt_examples::device().autodiff();
    device.seed(1);
    let mut vocabulary: Vec<char> = TEXT.chars().collect();
    vocabulary.sort_unstable();
    vocabulary.dedup();
    let text: Vec<i32> = TEXT
        .chars()
        .map(|c| vocabulary.binary_search(&c).expect("it is in there") as i32)
        .collect();

    // Row b reads text[b·length ..]; each target is the character after.
    let length = (text.len() - 1) / BATCH;
    let chunk = |t: usize, offset: usize| -> Tensor<2, Int> {
        let rows = (0..BATCH).flat_map(|b| &text[b * length + t + offset..][..TIME]);
        let rows: Vec<i32> = rows.copied().collect();
        Tensor::from_data(TensorData::new(rows, [BATCH, TIME]), &device)
    };

    let mut model = CharModel::new(vocabulary.len(), &device);
    let mut optimizer = AdamConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    println!("{} characters, {} of them different", text.len(), vocabulary.len());
    for epoch in 1..=EPOCHS {
        let (mut state, mut sum, mut chunks) = (None, 0.0, 0);
        for t in (0..length - TIME).step_by(TIME) {
            let (scores, after) = model.forward(chunk(t, 0), state);
            state = Some(after.detach());
            let scores = scores.reshape([(BATCH * TIME) as i32, -1]);
            let loss = cross_entropy.forward(scores, chunk(t, 1).reshape([-1]));
            sum += loss.clone().into_scalar::<f32>();
            chunks += 1;
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(5e-3, model, grads);
        }
        if epoch == 1 || epoch % 10 == 0 {
            println!("epoch {epoch:3}  {:.3} nats per character", sum / chunks as f32);
        }
    }
    println!("---\n{}", sample(&model.valid(), &vocabulary, "The ", 200));
}

/// The prompt, and what the model writes after it.
fn sample(model: &CharModel, vocabulary: &[char], prompt: &str, length: usize) -> String {
    let device = model.head.weight.val().device();
    let mut random = Random::new(1);
    let (mut written, mut state) = (String::new(), None);
    let mut prompt = prompt.chars();
    let mut scores: Vec<f32> = vec![0.0; vocabulary.len()];
    while written.chars().count() < length {
        let index = match prompt.next() {
            Some(c) => {
                vocabulary.binary_search(&c).expect("the prompt is of the text's characters")
            }
            None => draw(&scores, random.uniform()),
        };
        written.push(vocabulary[index]);
        let x: Tensor<2, Int> = Tensor::from_data([[index as i32]], &device);
        let (next, after) = model.forward(x, state);
        state = Some(after);
        // A little colder than the model is.
        let next = activation::softmax(next.reshape([-1]) * 1.5, 0);
        scores = next.into_data().iter::<f32>().collect();
    }
    written
}

/// The index at which the running sum of the probabilities passes `at`.
fn draw(probabilities: &[f32], mut at: f32) -> usize {
    probabilities
        .iter()
        .position(|p| {
            at -= p;
            at < 0.0
        })
        .unwrap_or(probabilities.len() - 1)
}
