//! A task of one's own: what to learn in forty lines, and the trainer does the rest.
//!
//! Shows: [`Task`], with a model, batches and losses. The trainer compares the two engines' gradients, takes the steps,
//! validates, and writes a run folder, from which the run is resumed and its model is loaded. The task: which of two
//! notes is played more often in a melody? Guessing has a loss of ln 2 = 0.693.
//!
//! Command: `cargo run --release --example own_task`
//!
//! What to expect: the lines of a run of 200 steps and of the same run up to step 400, then a loss below 0.1 and an accuracy
//! above 0.95, and what the loaded model says about two melodies.

use bptt::{AnyLayer, AnyState};
use bptt_examples::{Random, device};
use bptt_zoo::{
    AnyTask, Classifier, ClassifierConfig, Error, FolderInfo, ModelConfig, Probes, RunFolder,
    Scores, SequenceSize, Session, Settings, StepLoss, Task,
};
use burn::Tensor;
use burn::tensor::{Device, Int, TensorData};
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;

/// The options of this task alone.
#[derive(Default, Serialize, Deserialize)]
struct MelodyOptions {}

/// How many notes a melody has: an odd number, so that one of the two is played more often.
const NOTES: usize = 15;

// ANCHOR: task
struct Melody(Settings, ClassifierConfig);

impl Melody {
    /// The loss and the accuracy on a batch of melodies, which depend on nothing but this seed.
    fn scores(&self, model: &Classifier<AnyLayer>, seed: u64, device: &Device) -> (Tensor<1>, f64) {
        let (mut random, batch) = (Random::new(seed), self.0.batch);
        let notes: Vec<f32> = (0..batch * NOTES).map(|_| random.below(2) as f32).collect();
        let is_more = |melody: &[f32]| i32::from(melody.iter().sum::<f32>() > NOTES as f32 / 2.0);
        let classes: Vec<i32> = notes.chunks(NOTES).map(is_more).collect();
        let classes = Tensor::<1, Int>::from_data(&classes[..], device);
        let scores = model.forward(tensor(notes, device), None);
        let said = scores.clone().argmax(1).reshape([batch]);
        let right = said.equal(classes.clone()).int().sum().into_scalar::<i32>();
        (model.loss(scores, classes), f64::from(right) / batch as f64)
    }
}

impl Task for Melody {
    const NAME: &'static str = "melody";
    const ABOUT: &'static str = "Say which of two notes is played more often";
    const LOSS: &'static str = "nats per melody";
    const METRIC: &'static str = "accuracy";
    type Options = MelodyOptions;
    type Model = Classifier<AnyLayer>;

    fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self(settings.clone(), ClassifierConfig::new(settings.layer_config(1), 2)))
    }
    fn sequence_size(_: &MelodyOptions) -> SequenceSize {
        SequenceSize { time: NOTES, input: 1, input_has_gradients: false }
    }
    fn model(&self, device: &Device) -> Result<Self::Model, Error> {
        self.1.try_init(device)
    }
    fn loss(&self, m: &Self::Model, step: u64, _: Option<AnyState>, device: &Device) -> StepLoss {
        (self.scores(m, step, device).0, None)
    }
    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        let (loss, metric) = self.scores(model, u64::MAX, device);
        Scores { loss: loss.into_scalar::<f32>().into(), metric }
    }
    fn units(&self) -> (usize, &'static str) {
        (self.0.batch, "melodies")
    }
    fn describe(&self) -> String {
        format!("melodies of {NOTES} notes; guessing has loss 0.693")
    }
    fn info(&self) -> FolderInfo {
        FolderInfo::of_model(&self.1)
    }
}
// ANCHOR_END: task

/// Melodies, one after the other, as `[B, T, 1]`.
fn tensor(notes: Vec<f32>, device: &Device) -> Tensor<3> {
    let shape = [notes.len() / NOTES, NOTES, 1];
    Tensor::from_data(TensorData::new(notes, shape), device)
}

fn main() -> Result<(), Error> {
    let out = std::env::temp_dir().join(format!("bptt-melody-{}", std::process::id()));
    let run = |steps: u64, resume: bool| {
        let steps = Some(steps);
        let settings = Settings { hidden: 16, steps, batch: 128, ..Melody::defaults() };
        let session = Session {
            device: device(),
            out: out.clone(),
            resume,
            warm_start: None,
            stop: &AtomicBool::new(false),
            probes: Probes::default(),
            begun: &mut || {},
            say: &mut |line| println!("{line}"),
            progress: None,
        };
        AnyTask::of::<Melody>().train(&settings, session)
    };
    run(200, false)?;
    let result = run(400, true)?;
    println!("loss {:.3}, accuracy {:.3}", result.valid_loss, result.metric);

    // The best model of the folder says how likely it is that the note 1 is played more often.
    let model = RunFolder::new(&out).load::<ClassifierConfig>(&device())?;
    let melodies = [[1.0_f32; NOTES], [0.0; NOTES]].concat();
    let scores = model.forward(tensor(melodies, &device()), None);
    let said: Vec<f32> = burn::tensor::activation::softmax(scores, 1).into_data().iter().collect();
    println!("only ones: {:.3}, only zeros: {:.3}", said[1], said[3]);
    std::fs::remove_dir_all(&out)
        .map_err(|error| Error::Input(format!("{}: {error}", out.display())))
}
