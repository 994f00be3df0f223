//! Documents packed into rows: no padding, and no document knows of the one before it.
//!
//! Shows: `RaggedBatch::pack`, and the resets in its `SequenceOptions`. Documents of different lengths would leave much
//! padding in a batch with a row for each. Here several of them lie behind each other in one row, and the state is reset
//! where a document begins. The loss, and its gradients, are those of the documents run one by one, which this program
//! checks.
//!
//! Command: `cargo run --release --example packed_documents`
//! (`--features wgpu` runs on another backend)
//!
//! What to expect, the losses' last digits apart:
//!
//! ```text
//! 10 documents of 28 to 78 characters: 39 % padding in 10 rows, 5 % in 3 packed rows
//! before training: 3.312 nats per character packed, 3.312 one by one
//! after 60 steps:  1.038 nats per character packed, 1.038 one by one
//! ```

use bptt::{Gru, GruConfig, RaggedBatch};
use burn::Tensor;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, TensorData};

/// The most characters of a packed row.
const LONGEST_ROW: usize = 170;

const DOCUMENTS: [&str; 10] = [
    "a row is one sequence of a batch",
    "the state is what a layer carries from one step to the next step",
    "a reset sets the state back to zeros",
    "no gradient crosses a reset, because nothing before it is read any more",
    "lengths say where a row ends",
    "a mask says which steps are valid, and the others copy the state on",
    "short rows wait for long rows",
    "packed rows have little padding",
    "each document begins with a state that knows nothing of the document before it",
    "so the loss is that of the documents alone",
];

/// Reads characters and scores the next one.
#[derive(Module, Debug)]
struct Model {
    gru: Gru,
    head: Linear,
}

/// Documents in rows, and what has to be said after each character.
struct Documents {
    /// Each character as a one-hot vector, `[B, T, V]`, with the rows' lengths and resets.
    rows: RaggedBatch,
    /// The number of the character after each one, `[B, T]`.
    target: Tensor<2, Int>,
    /// One where there is a target, and zero at the last character of each document and in the padding, `[B, T]`.
    weight: Tensor<2>,
}

fn main() {
    let device = bptt_examples::device().autodiff();
    device.seed(1);
    let mut vocabulary: Vec<char> =
        DOCUMENTS.iter().flat_map(|document| document.chars()).collect();
    vocabulary.sort_unstable();
    vocabulary.dedup();
    let number = |c: char| vocabulary.binary_search(&c).expect("it occurs");
    let documents: Vec<Vec<usize>> =
        DOCUMENTS.iter().map(|document| document.chars().map(number).collect()).collect();

    let longest = documents.iter().map(Vec::len).max().expect("there are documents");
    let shortest = documents.iter().map(Vec::len).min().expect("there are documents");
    let all = pack(&documents, LONGEST_ROW, vocabulary.len(), &device);
    // The same documents, each in a row of its own, and each row in a batch of its own.
    let single = |document: &Vec<usize>| {
        pack(std::slice::from_ref(document), longest, vocabulary.len(), &device)
    };
    let one_by_one: Vec<Documents> = documents.iter().map(single).collect();

    let characters: usize = documents.iter().map(Vec::len).sum();
    let padding = |rows: usize, width: usize| 100 - 100 * characters / (rows * width);
    let [rows, width, _] = all.rows.input.dims();
    println!(
        "{} documents of {shortest} to {longest} characters: {} % padding in {} rows, {} % in {rows} packed rows",
        documents.len(),
        padding(documents.len(), longest),
        documents.len(),
        padding(rows, width),
    );

    let gru = GruConfig::new(vocabulary.len(), 64).init(&device);
    let head = LinearConfig::new(64, vocabulary.len()).init(&device);
    let mut model = Model { gru, head };
    compare(&model, &all, &one_by_one, "before training:");
    let mut optimizer = AdamConfig::new().init();
    for _ in 0..60 {
        let gradients = GradientsParams::from_grads(model.loss(&all).backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
    compare(&model, &all, &one_by_one, "after 60 steps: ");
}

/// Puts the documents into rows of at most `time` characters.
fn pack(documents: &[Vec<usize>], time: usize, vocabulary: usize, device: &Device) -> Documents {
    let one_hot = |document: &Vec<usize>| {
        let mut vectors = vec![0.0; document.len() * vocabulary];
        for (place, character) in document.iter().enumerate() {
            vectors[place * vocabulary + character] = 1.0;
        }
        vectors
    };
    let vectors: Vec<Vec<f32>> = documents.iter().map(one_hot).collect();
    let rows = RaggedBatch::pack(&vectors, vocabulary, time, device);
    let [batch, time, _] = rows.input.dims();
    let (mut target, mut weight) = (vec![0_i32; batch * time], vec![0.0_f32; batch * time]);
    for (document, (row, steps)) in documents.iter().zip(&rows.places) {
        // The last character of a document has none after it: what comes next in the row is another document's.
        for (step, &next) in steps.clone().zip(&document[1..]) {
            (target[row * time + step], weight[row * time + step]) = (next as i32, 1.0);
        }
    }
    Documents {
        rows,
        target: Tensor::from_data(TensorData::new(target, [batch, time]), device),
        weight: Tensor::from_data(TensorData::new(weight, [batch, time]), device),
    }
}

impl Model {
    /// The cross entropy, summed over all targets.
    fn sum(&self, documents: &Documents) -> Tensor<1> {
        let Documents { rows, target, weight } = documents;
        // Lengths, and a reset where each document begins.
        let options = rows.options();
        let (hidden, _) = self.gru.forward_with(rows.input.clone(), &options, None);
        let scores = log_softmax(self.head.forward(hidden), 2);
        let [batch, time] = target.dims();
        let chosen = scores.gather(2, target.clone().unsqueeze_dim::<3>(2));
        (chosen.reshape([batch, time]) * weight.clone()).sum().neg()
    }

    /// In nats per character.
    fn loss(&self, documents: &Documents) -> Tensor<1> {
        self.sum(documents) / documents.weight.clone().sum()
    }
}

/// Checks that packing changes neither the loss nor its gradient.
fn compare(model: &Model, all: &Documents, one_by_one: &[Documents], when: &str) {
    let count: f32 = all.weight.clone().sum().into_scalar();
    let packed = model.sum(all) / count;
    let single = one_by_one.iter().map(|document| model.sum(document)).reduce(|a, b| a + b);
    let single = single.expect("there are documents") / count;
    let weight = &model.gru.weights[0].weight_hh;
    let gradient =
        |loss: &Tensor<1>| weight.grad(&loss.backward()).expect("the loss depends on all weights");
    let (ours, theirs) = (gradient(&packed), gradient(&single));
    let error: f32 = (ours - theirs.clone()).powf_scalar(2.0).sum().sqrt().into_scalar();
    let size: f32 = theirs.powf_scalar(2.0).sum().sqrt().into_scalar();
    let [packed, single] = [packed, single].map(|loss| loss.into_scalar::<f32>());
    println!("{when} {packed:.3} nats per character packed, {single:.3} one by one");
    assert!((packed - single).abs() <= 1e-5 * single, "the losses differ: {packed} and {single}");
    assert!(error <= 1e-4 * size, "the gradients differ by {error} of {size}");
}
