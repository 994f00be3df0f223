//! Burn's own training loop, and a folder with what it leaves.

use crate::Error;
use crate::data::{WaveBatcher, waves};
use crate::model::{Classifier, ClassifierConfig};
use burn::config::Config;
use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataset::InMemDataset;
use burn::grad_clipping::GradientClippingConfig;
use burn::module::Module;
use burn::optim::AdamConfig;
use burn::optim::lr_scheduler::constant::ConstantLr;
use burn::tensor::Device;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{Learner, SupervisedTraining};
use std::path::Path;

/// How a [`Classifier`] is trained.
#[derive(Config, Debug)]
pub struct TrainingConfig {
    /// What is trained.
    pub model: ClassifierConfig,
    /// How the parameters are changed. Recurrent layers want their gradients clipped.
    #[config(
        default = "AdamConfig::new().with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))"
    )]
    pub optimizer: AdamConfig,
    /// How many times over all waves.
    #[config(default = 20)]
    pub epochs: usize,
    /// `B`
    #[config(default = 32)]
    pub batch_size: usize,
    /// How many waves to learn from; a quarter as many validate.
    #[config(default = 1536)]
    pub waves: usize,
    /// The size of a step.
    #[config(default = 3e-3)]
    pub learning_rate: f64,
    /// Of everything random.
    #[config(default = 1)]
    pub seed: u64,
}

/// Trains, and saves model and config in `folder`, where Burn adds metrics, logs and checkpoints.
///
/// On a terminal Burn draws its metrics, and elsewhere it prints how far it is.
///
/// # Returns
///
/// The model for inference, on `device` without autodiff.
///
/// # Errors
///
/// If the training does not come to its end, or the folder cannot be written.
pub fn train(config: &TrainingConfig, folder: &Path, device: &Device) -> Result<Classifier, Error> {
    std::fs::create_dir_all(folder)?;
    config.save(folder.join("config.json"))?;
    let device = device.clone().autodiff();
    device.seed(config.seed);
    let loader = |waves| {
        DataLoaderBuilder::new(WaveBatcher)
            .batch_size(config.batch_size)
            .shuffle(config.seed)
            .build(InMemDataset::new(waves))
    };
    let learn_from = loader(waves(config.waves, config.seed));
    let validate_with = loader(waves(config.waves / 4, config.seed + 1));

    let learner = Learner::new(
        config.model.init(&device)?,
        config.optimizer.init(),
        ConstantLr::new(config.learning_rate),
    );
    let result = SupervisedTraining::new(folder, learn_from, validate_with)
        .metrics((LossMetric::new(), AccuracyMetric::new()))
        .with_default_checkpointers()
        .num_epochs(config.epochs)
        .summary()
        .launch(learner);
    if let Some(error) = result.error {
        return Err(format!("the training stopped: {error}").into());
    }
    result.model.clone().save_file(folder.join("model.bpk"))?;
    Ok(result.model)
}

/// The model that [`train`] left in `folder`, for inference on `device`.
///
/// # Errors
///
/// If the folder's config or model cannot be read, or do not fit each other.
pub fn load(folder: &Path, device: &Device) -> Result<Classifier, Error> {
    let config = TrainingConfig::load(folder.join("config.json"))?;
    let model = config.model.init(device)?;
    Ok(model.try_load_file(folder.join("model.bpk"))?)
}
