//! The project works: training lowers the loss, and what is saved is what was trained.

use burn::data::dataloader::batcher::Batcher;
use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, Tolerance};
use import_project::{
    Classifier, ClassifierConfig, TrainingConfig, WaveBatch, WaveBatcher, device, load, train,
    waves,
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
    let device = device();
    let config = TrainingConfig::new(ClassifierConfig::new());
    let before = loss(&config.model.init(&device).expect("made"), &device);
    let trained = train(&config, folder.path(), &device).expect("trained");
    let after = loss(&trained, &device);
    // ln 3 = 1.1 is what guessing costs.
    assert!(before > 0.9 && after < 0.5 * before, "loss {before} before and {after} after");

    let batch = unheard(&device);
    let expected = trained.forward(&batch);
    let loaded = load(folder.path(), &device).expect("loaded");
    let found = loaded.forward(&batch);
    found.into_data().assert_eq(&expected.to_data(), true);

    // Burn's checkpoint of the last epoch is the same model again.
    let checkpoint = folder.path().join("checkpoint/model-20.bpk");
    let fresh = config.model.init(&device).expect("made");
    let resumed = fresh.try_load_file(checkpoint).expect("a checkpoint that loads");
    let found = resumed.forward(&batch);
    found.into_data().assert_eq(&expected.to_data(), true);

    // And so is the loaded one as it listens, sample by sample, from where a wave begins.
    let expected = softmax(expected, 1);
    for (row, wave) in waves(90, 77).iter().enumerate().take(10) {
        let mut heard = None;
        for sample in &wave.samples[wave.start..] {
            let sample = Tensor::from_data([[*sample]], &device);
            heard = Some(loaded.listen(sample, heard.map(|(_, state)| state)));
        }
        let (found, _) = heard.expect("twenty samples at least");
        let expected = expected.clone().narrow(0, row, 1).into_data();
        found.into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-6));
    }
}

#[test]
fn what_was_before_a_wave_changes_nothing() {
    let device = device();
    device.seed(1);
    let model = ClassifierConfig::new().init(&device).expect("made");
    let recordings = waves(30, 5);
    assert!(recordings.iter().any(|wave| wave.start == 0));
    let mut others = recordings.clone();
    for wave in &mut others {
        wave.samples[..wave.start].fill(7.0);
    }
    let scores = |waves| model.forward(&WaveBatcher.batch(waves, &device)).into_data();
    scores(others).assert_eq(&scores(recordings), true);
}
