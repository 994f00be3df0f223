//! A task of one's own: what to learn in forty lines, and the trainer does the rest.
//!
//! Shows: [`Task`], with a model, batches and losses. The trainer compares the two engines' gradients, takes the steps,
//! validates, and writes a run folder, from which the run can be resumed. The task: which of two notes is played more
//! often in a melody? Guessing has a loss of ln 2 = 0.693.
//!
//! Command: `cargo run --release --example own_task`
//!
//! What to expect: the line of the check, the lines of the run, and at the end a loss below 0.1 and an accuracy above 0.95.

use bptt::{AnyLayer, AnyState};
use bptt_examples::{Random, device};
use bptt_zoo::{
    AnyTask, Classifier, ClassifierConfig, Error, ModelConfig, Probes, Scores, SequenceSize,
    Session, Settings, Task, TaskOption,
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
struct Melody(Settings);

impl Melody {
    /// The loss and the accuracy on a batch of melodies, which depend on nothing but this seed.
    fn scores(&self, model: &Classifier<AnyLayer>, seed: u64, device: &Device) -> (Tensor<1>, f64) {
        let (mut random, batch) = (Random::new(seed), self.0.batch);
        let notes: Vec<f32> = (0..batch * NOTES).map(|_| random.below(2) as f32).collect();
        let is_more = |melody: &[f32]| i32::from(melody.iter().sum::<f32>() > NOTES as f32 / 2.0);
        let classes: Vec<i32> = notes.chunks(NOTES).map(is_more).collect();
        let classes = Tensor::<1, Int>::from_data(&classes[..], device);
        let input = Tensor::from_data(TensorData::new(notes, [batch, NOTES, 1]), device);
        let scores = model.forward(input, None);
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
    const OPTIONS: &'static [TaskOption] = &[];
    type Options = MelodyOptions;
    type Model = Classifier<AnyLayer>;

    fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self(settings.clone()))
    }
    fn sequence_size(_: &MelodyOptions) -> SequenceSize {
        SequenceSize { time: NOTES, input: 1, input_has_gradients: false }
    }
    fn model(&self, device: &Device) -> Result<Self::Model, Error> {
        ClassifierConfig::new(self.0.layer_config(1), 2).try_init(device)
    }
    fn loss(
        &self,
        model: &Self::Model,
        step: u64,
        _: Option<AnyState>,
        device: &Device,
    ) -> (Tensor<1>, Option<AnyState>) {
        (self.scores(model, step, device).0, None)
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
}
// ANCHOR_END: task

fn main() -> Result<(), Error> {
    let settings = Settings { hidden: 16, steps: Some(400), batch: 128, ..Melody::defaults() };
    let session = Session {
        device: device(),
        out: std::env::temp_dir().join("bptt-melody"),
        resume: false,
        warm_start: None,
        stop: &AtomicBool::new(false),
        probes: Probes::default(),
        begun: &mut || {},
        say: &mut |line| println!("{line}"),
        progress: None,
    };
    let result = AnyTask::of::<Melody>().train(&settings, session)?;
    println!("loss {:.3}, accuracy {:.3}", result.valid_loss, result.metric);
    Ok(())
}
