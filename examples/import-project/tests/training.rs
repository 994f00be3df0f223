//! The project works: training lowers the loss, and what is saved is what was trained.

use burn::data::dataloader::batcher::Batcher;
use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, Tolerance};
use import_project::{
    Classifier, ClassifierConfig, TrainingConfig, WaveBatch, WaveBatcher, load, train, waves,
};

/// Waves that are neither trained nor validated with.
fn unheard(device: &Device) -> WaveBatch {
    WaveBatcher.batch(waves(90, 77), device)
}

fn loss(model: &Classifier, device: &Device) -> f32 {
    model.evaluate(unheard(device)).loss.into_scalar()
}

#[test]
fn training_lowers_the_loss_and_the_loaded_model_is_the_saved_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let device = Device::default();
    let config = TrainingConfig::new(ClassifierConfig::new());
    let before = loss(&config.model.init(&device).expect("made"), &device);
    let trained = train(&config, folder.path(), &device).expect("trained");
    let after = loss(&trained, &device);
    // ln 3 = 1.1 is what guessing costs.
    assert!(before > 0.9 && after < 0.5 * before, "loss {before} before and {after} after");

    let batch = unheard(&device);
    let expected = trained.forward(batch.samples.clone(), &batch.lengths);
    let loaded = load(folder.path(), &device).expect("loaded");
    let found = loaded.forward(batch.samples.clone(), &batch.lengths);
    found.into_data().assert_eq(&expected.to_data(), true);

    // Burn's checkpoint of the last epoch is the same model again.
    let checkpoint = folder.path().join("checkpoint/model-20.bpk");
    let fresh = config.model.init(&device).expect("made");
    let resumed = fresh.try_load_file(checkpoint).expect("a checkpoint that loads");
    let found = resumed.forward(batch.samples.clone(), &batch.lengths);
    found.into_data().assert_eq(&expected.to_data(), true);

    // And so is the loaded one as it listens, wave by wave, to the end of the shortest.
    let shortest = *batch.lengths.iter().min().expect("ninety");
    let mut heard = None;
    for t in 0..shortest {
        let samples: Tensor<2> = batch.samples.clone().narrow(1, t, 1).squeeze_dim(1);
        heard = Some(loaded.listen(samples, heard.map(|(_, state)| state)));
    }
    let (found, _) = heard.expect("twenty samples at least");
    let expected = trained.forward(batch.samples.narrow(1, 0, shortest), &[shortest; 90]);
    let expected = softmax(expected, 1).into_data();
    found.into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
}
