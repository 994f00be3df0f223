//! Tasks with an error that has to stop the run.

use crate::{alone, tiny};
use bptt::{AnyLayer, AnyState, Engine};
use bptt_zoo::{
    Adding, Error, RunResult, Scores, SequenceModel, SequenceSize, Session, Settings, Task,
    TaskOption, train_task,
};
use burn::Tensor;
use burn::module::{Module, Param};
use burn::tensor::{DType, Device};
use serde::{Deserialize, Serialize};
use std::sync::atomic::AtomicBool;
use tempfile::tempdir;

/// The options of [`Spoilt`].
#[derive(Default, Serialize, Deserialize)]
struct SpoiltOptions {
    length: usize,
    manual: f64,
    nan: Option<u64>,
}

/// The adding problem, spoilt in one place.
struct Spoilt {
    task: Adding,
    /// What the manual engine's loss is multiplied by.
    manual: f64,
    /// The step whose loss is not a number.
    nan: Option<u64>,
}

#[derive(Module, Debug)]
struct SpoiltModel {
    model: bptt_zoo::Adder<AnyLayer>,
    scale: Param<Tensor<1>>,
}

impl SequenceModel for SpoiltModel {
    fn with_engine(self, engine: Engine) -> Self {
        Self { model: self.model.with_engine(engine), ..self }
    }

    fn with_dtype(self, dtype: DType) -> Self {
        Self { model: self.model.with_dtype(dtype), ..self }
    }

    fn with_noise_seed(self, _: u64) -> Self {
        self
    }

    fn with_gradient_probe(self, _: Option<bptt::GradientProbe>) -> Self {
        self
    }
}

impl Task for Spoilt {
    const NAME: &'static str = "spoilt";
    const ABOUT: &'static str = "Stop where something is wrong";
    const LOSS: &'static str = Adding::LOSS;
    const METRIC: &'static str = Adding::METRIC;
    const OPTIONS: &'static [TaskOption] = &[];

    type Options = SpoiltOptions;
    type Model = SpoiltModel;

    fn new(settings: &Settings) -> Result<Self, Error> {
        let SpoiltOptions { length, manual, nan } = settings.options()?;
        let adding = Settings { options: Adding::defaults().options, ..settings.clone() };
        Ok(Self { task: Adding::new(&adding.with_option("length", length))?, manual, nan })
    }

    fn sequence_size(options: &SpoiltOptions) -> SequenceSize {
        SequenceSize { time: options.length, input: 2, input_has_gradients: false }
    }

    fn model(&self, device: &Device) -> Result<SpoiltModel, Error> {
        let scale = Param::from_tensor(Tensor::ones([1], device));
        Ok(SpoiltModel { model: self.task.model(device)?, scale })
    }

    fn loss(
        &self,
        model: &SpoiltModel,
        step: u64,
        state: Option<AnyState>,
        device: &Device,
    ) -> (Tensor<1>, Option<AnyState>) {
        let (loss, state) = self.task.loss(&model.model, step, state, device);
        let manual = model.model.recurrent.engine() == Engine::Manual;
        let factor = if manual { self.manual } else { 1.0 };
        let factor = if self.nan == Some(step) { f64::NAN } else { factor };
        (loss * model.scale.val() * factor, state)
    }

    fn validate(&self, model: &SpoiltModel, device: &Device) -> Scores {
        self.task.validate(&model.model, device)
    }

    fn units(&self) -> (usize, &'static str) {
        self.task.units()
    }

    fn describe(&self) -> String {
        self.task.describe()
    }
}

fn start_spoilt(manual: f64, nan: Option<u64>) -> Result<RunResult, Error> {
    let _alone = alone();
    let settings = tiny::<Spoilt>().with_option("length", 12).with_option("manual", manual);
    let settings = settings.with_option("nan", nan);
    let (folder, stop) = (tempdir().unwrap(), AtomicBool::new(false));
    let session = Session {
        device: Device::flex(),
        out: folder.path().to_path_buf(),
        resume: false,
        warm_start: None,
        stop: &stop,
        probes: Default::default(),
        begun: &mut || {},
        say: &mut |_| {},
        progress: None,
    };
    train_task(&Spoilt::new(&settings)?, &settings, session)
}

#[test]
fn engines_that_differ_stop_the_run() {
    start_spoilt(1.0, None).unwrap();
    let error = start_spoilt(1.001, None).unwrap_err();
    assert!(matches!(&error, Error::Check(message) if message.contains("differ")), "{error}");
}

#[test]
fn a_loss_that_is_not_a_number_stops_the_run() {
    let error = start_spoilt(1.0, Some(3)).unwrap_err();
    assert!(matches!(&error, Error::Check(message) if message.starts_with("step 4:")), "{error}");
}
