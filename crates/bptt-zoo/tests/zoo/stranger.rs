//! A task that is not part of this crate, in one file. The trainer trains it with its own options, writes a run folder,
//! and resumes it.

use crate::alone;
use crate::folders::timeless;
use bptt::{AnyLayer, AnyState};
use bptt_zoo::{
    AnyTask, Error, FolderInfo, ModelConfig, Purpose, RunFolder, RunResult, Scores, SequenceSize,
    Session, Settings, Tagger, TaggerConfig, Task, TaskOption, generator,
};
use burn::Tensor;
use burn::tensor::{Device, Int, TensorData};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tempfile::tempdir;

/// How many symbols there are.
const SYMBOLS: usize = 4;

// ANCHOR: options
/// The network has to repeat each symbol, some steps later.
struct Echo {
    settings: Settings,
    options: EchoOptions,
}

#[derive(Serialize, Deserialize)]
struct EchoOptions {
    length: usize,
    delay: usize,
    shift: f64,
}

impl Default for EchoOptions {
    fn default() -> Self {
        Self { length: 12, delay: 3, shift: 1.0 / 3.0 }
    }
}
// ANCHOR_END: options

// ANCHOR: data
impl Echo {
    fn config(&self) -> TaggerConfig {
        TaggerConfig::new(self.settings.layer_config(SYMBOLS), SYMBOLS)
    }

    /// The loss of a batch, and how many of the symbols are right.
    fn run(
        &self,
        model: &Tagger<AnyLayer>,
        (purpose, index): (Purpose, u64),
        device: &Device,
    ) -> (Tensor<1>, f64) {
        let mut random = generator(self.settings.seed, purpose, index);
        let shape = [self.settings.batch, self.options.length];
        let symbols: Vec<usize> =
            (0..shape[0] * shape[1]).map(|_| random.random_range(0..SYMBOLS)).collect();
        let mut input = vec![self.options.shift as f32; symbols.len() * SYMBOLS];
        for (step, &symbol) in symbols.iter().enumerate() {
            input[step * SYMBOLS + symbol] += 1.0;
        }
        let label = |step: usize| match step % shape[1] < self.options.delay {
            true => 0,
            false => symbols[step - self.options.delay] as i32,
        };
        let labels: Vec<i32> = (0..symbols.len()).map(label).collect();
        let input = TensorData::new(input, [shape[0], shape[1], SYMBOLS]);
        let labels = Tensor::<2, Int>::from_data(TensorData::new(labels, shape), device);
        let scores = model.forward(Tensor::from_data(input, device), None);
        let found = scores.clone().argmax(2).reshape(shape);
        let right = found.equal(labels.clone()).int().sum().into_scalar::<i32>();
        (model.loss(scores, labels, None), f64::from(right) / symbols.len() as f64)
    }
}
// ANCHOR_END: data

// ANCHOR: task
impl Task for Echo {
    const NAME: &'static str = "echo";
    const ABOUT: &'static str = "Say each symbol again, some steps later";
    const LOSS: &'static str = "nats per step";
    const METRIC: &'static str = "accuracy";
    const OPTIONS: &'static [TaskOption] = &[
        TaskOption::size("length", "T", "symbols in a sequence", 1, 1000),
        TaskOption::size("delay", "N", "steps until the answer", 0, 100),
    ];

    type Options = EchoOptions;
    type Model = Tagger<AnyLayer>;

    fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self { settings: settings.clone(), options: settings.options()? })
    }

    fn sequence_size(options: &EchoOptions) -> SequenceSize {
        SequenceSize { time: options.length, input: SYMBOLS, input_has_gradients: false }
    }

    fn model(&self, device: &Device) -> Result<Self::Model, Error> {
        self.config().try_init(device)
    }

    fn loss(
        &self,
        model: &Self::Model,
        step: u64,
        _state: Option<AnyState>,
        device: &Device,
    ) -> (Tensor<1>, Option<AnyState>) {
        (self.run(model, (Purpose::Training, step), device).0, None)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        let (loss, metric) = self.run(model, (Purpose::Validation, 0), device);
        Scores { loss: loss.into_scalar::<f32>().into(), metric }
    }

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "sequences")
    }

    fn describe(&self) -> String {
        format!("an echo after {} steps", self.options.delay)
    }

    fn info(&self) -> FolderInfo {
        FolderInfo::of_model(&self.config())
    }
}
// ANCHOR_END: task

fn settings(steps: u64) -> Settings {
    let small = Settings { hidden: 8, layers: 2, batch: 4, dropout: 0.2, ..Echo::defaults() };
    Settings { steps: Some(steps), validate_every: 5, ..small }.with_option("delay", 2)
}

fn start(settings: &Settings, out: &Path, resume: bool) -> Result<(RunResult, Vec<String>), Error> {
    let (stop, mut lines) = (AtomicBool::new(false), Vec::new());
    let session = Session {
        device: Device::flex(),
        out: out.to_path_buf(),
        resume,
        warm_start: None,
        stop: &stop,
        probes: Default::default(),
        begun: &mut || {},
        say: &mut |line| lines.push(line.to_string()),
        progress: None,
    };
    AnyTask::of::<Echo>().train(settings, session).map(|result| (result, lines))
}

#[test]
fn a_strangers_task_is_resumed_to_the_bit() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let (result, lines) = start(&settings(20), &whole, false).unwrap();
    assert_eq!((result.task, result.metric_name), ("echo", "accuracy"));
    assert!(lines[1].starts_with("echo lstm, ") && lines[1].ends_with("an echo after 2 steps"));
    for steps in (5..=20).step_by(5) {
        start(&settings(steps), &parts, steps > 5).unwrap();
    }
    let (whole, parts) = (timeless(&whole), timeless(&parts));
    assert!(whole.len() > 6, "{:?}", whole.keys());
    for (name, bytes) in &whole {
        assert!(*bytes == parts[name], "{name} differs");
    }
    assert_eq!(whole.len(), parts.len());
}

#[test]
fn a_strangers_options_belong_to_its_run() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    start(&settings(3), folder.path(), false).unwrap();
    let run = RunFolder::new(folder.path());
    let stored: EchoOptions = run.settings().unwrap().options().unwrap();
    assert_eq!((stored.length, stored.delay, stored.shift), (12, 2, 1.0 / 3.0));
    let model = run.load::<TaggerConfig>(&Device::flex()).unwrap();
    assert_eq!(
        model.forward(Tensor::zeros([1, 5, SYMBOLS], &Device::flex()), None).dims(),
        [1, 5, 4]
    );

    let refused = |settings: Settings, resume| {
        let message = start(&settings, folder.path(), resume).unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    };
    let message = refused(settings(6).with_option("delay", 4), true);
    assert!(message.starts_with("--delay 4: the run to resume has 2;"), "{message}");
    let message = refused(settings(6).with_option("delay", 101), false);
    assert!(message.starts_with("--delay 101: has to be 0 to 100"), "{message}");
    let message = refused(settings(6).with_option("delai", 4), false);
    assert!(message.contains("`delai`") && message.contains("delay, length, shift"), "{message}");
    // An error about the folder, whose config has been edited.
    let config = folder.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"delay\"", "\"delai\"")).unwrap();
    let message = refused(settings(6), true);
    assert!(message.contains("config.json") && message.contains("`delai`"), "{message}");
    // A task of the list does not resume the run of another task.
    let adding = AnyTask::of::<bptt_zoo::Adding>().resumed(&run).unwrap_err().to_string();
    assert!(adding.starts_with("adding: the run to resume is one of echo;"), "{adding}");
}
