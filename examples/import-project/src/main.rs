//! Trains the classifier, loads what was saved, and lets it listen to a wave that it has not heard.
//!
//! Command: `cargo run --release --manifest-path examples/import-project/Cargo.toml [FOLDER]`
//! (`--features wgpu` or `--features cuda` runs on another backend, see README.md)
//!
//! What to expect: Burn's metrics, drawn on a terminal and printed elsewhere; then on how many of 96
//! new waves the loaded model is right, and what it thinks of a square wave, sample by sample.

use burn::data::dataloader::batcher::Batcher;
use burn::tensor::Tensor;
use import_project::{
    ClassifierConfig, Error, Shape, TrainingConfig, WaveBatcher, device, load, train, waves,
};

fn main() -> Result<(), Error> {
    let temporary = tempfile::tempdir()?;
    let folder = match std::env::args_os().nth(1) {
        Some(folder) => folder.into(),
        None => temporary.path().to_path_buf(),
    };
    let device = device();
    let config = TrainingConfig::new(ClassifierConfig::new());
    train(&config, &folder, &device)?;

    // Another program would begin here.
    let model = load(&folder, &device)?;
    println!("{model}");
    let unheard = waves(96, 1000);
    let batch = WaveBatcher.batch(unheard.clone(), &device);
    let scores = model.forward(&batch);
    let right = scores.argmax(1).squeeze_dim::<1>(1).equal(batch.shapes).int().sum();
    println!("right on {} of 96 waves that it has not heard", right.into_scalar::<i32>());

    // As a stream: it makes up its mind sample by sample.
    let wave = &unheard[1];
    let mut state = None;
    for (t, sample) in wave.samples[wave.start..].iter().enumerate() {
        let (probabilities, after) = model.listen(Tensor::from_data([[*sample]], &device), state);
        state = Some(after);
        if t % 6 == 0 {
            let probabilities = probabilities.into_data();
            let guesses = Shape::ALL.iter().zip(probabilities.iter::<f32>());
            let guesses: Vec<_> = guesses.map(|(shape, p)| format!("{shape:?} {p:.2}")).collect();
            println!("after {:2} samples: {}", t + 1, guesses.join("  "));
        }
    }
    println!("it was a {:?}", wave.shape);
    Ok(())
}
