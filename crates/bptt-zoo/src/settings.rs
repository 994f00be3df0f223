//! Everything that a run is made from.

mod check;
pub(crate) mod file;
mod stored;

use crate::error::Error;
use crate::noise_settings::NoiseSettings;
use crate::optimizer::OptimizerKind;
use crate::recipe::Recipe;
use crate::settings::stored::{
    dtype_name, engine_name, kernel_name, number_or_infinity, one, single,
};
use bptt::{
    AnyLayerConfig, AnyRecurrentConfig, BiasInitializer, CellKind, Engine, Kernel, LayerKind,
    WeightInitializer,
};
use bptt_probe::DType;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// All settings of a run. The fields have the names of the options of `bptt train`.
///
/// ```
/// use bptt_zoo::{Adding, Settings, Task};
///
/// let settings = Settings { hidden: 32, ..Adding::defaults() }.with_option("length", 20);
/// settings.check().unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Which task: [`Task::NAME`](crate::Task::NAME).
    pub task: String,
    /// Which cell.
    pub cell: LayerKind,
    /// How the recurrent layers are differentiated.
    #[serde(with = "engine_name")]
    pub engine: Engine,
    /// Which kernel the manual engine runs while the model is trained. A model that is loaded chooses by its device.
    #[serde(with = "kernel_name", default)]
    pub kernel: Kernel,
    /// The name of the device, which is only recorded. The device itself is in the [`Session`](crate::Session).
    pub device: String,
    /// In which type the recurrent layers compute. The parameters that are trained are in `f32` in any case, as are the
    /// rest of the model and the loss.
    #[serde(with = "dtype_name", default = "single")]
    pub dtype: DType,
    /// The size of the hidden state, `H`.
    pub hidden: usize,
    /// How many heads the recurrent weights have; 1 for whole matrices.
    #[serde(default = "one")]
    pub heads: usize,
    /// How many recurrent layers are stacked, `L`.
    pub layers: usize,
    /// Whether there is a backward direction besides the forward one.
    #[serde(default)]
    pub bidirectional: bool,
    /// How many sequences, or streams of text, are processed in parallel, `B`.
    pub batch: usize,
    /// How the parameters follow their gradients.
    #[serde(default)]
    pub optimizer: OptimizerKind,
    /// The learning rate.
    pub lr: f64,
    /// The largest global norm of a gradient. A gradient with a larger norm is scaled down to it.
    #[serde(deserialize_with = "number_or_infinity")]
    pub clip: f64,
    /// How the model is trained besides. In JSON it is in the same object as the others.
    #[serde(flatten)]
    pub recipe: Recipe,
    /// The probability of dropping a value between the layers while training.
    pub dropout: f64,
    /// Noise inside of the recurrent layers, while they are trained. In JSON it is in the same object as the others.
    #[serde(flatten)]
    pub noise: NoiseSettings,
    /// The first values of the recurrent layers' input weights.
    #[serde(default)]
    pub init: WeightInitializer,
    /// The first values of their recurrent weights.
    #[serde(default)]
    pub recurrent_init: WeightInitializer,
    /// The first values of their biases.
    #[serde(default)]
    pub bias_init: BiasInitializer,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Train until this step, counted from the first start of the run.
    pub steps: Option<u64>,
    /// Train for this many seconds.
    pub seconds: Option<f64>,
    /// Steps between two validations.
    pub validate_every: u64,
    /// The options of the task alone, by name: the fields of [`Task::Options`](crate::Task::Options). In JSON they are
    /// in the same object as the others.
    #[serde(flatten)]
    pub options: Map<String, Value>,
}

/// The settings that may change when a run is resumed. All others are fixed.
const FREE: [&str; 9] =
    ["engine", "kernel", "device", "lr", "clip", "steps", "seconds", "validate_every", "patience"];

/// Folders of the first versions have the options of all tasks, not only those of the run's task.
const OF_EVERY_OLDER_FOLDER: [&str; 7] =
    ["time", "length", "horizon", "embedding", "text", "csv", "column"];

impl Settings {
    /// The defaults that fit most tasks, with a task's own options.
    ///
    /// # Panics
    ///
    /// If the options are not a struct of plain data.
    pub fn new(task: &str, options: &impl Serialize) -> Self {
        Self {
            task: task.to_string(),
            cell: CellKind::Lstm.into(),
            engine: Engine::Manual,
            kernel: Kernel::Auto,
            device: String::new(),
            dtype: DType::F32,
            hidden: 64,
            heads: 1,
            layers: 1,
            bidirectional: false,
            batch: 64,
            optimizer: OptimizerKind::Adam,
            lr: 1e-2,
            clip: 1.0,
            recipe: Recipe::default(),
            dropout: 0.0,
            noise: NoiseSettings::default(),
            init: WeightInitializer::Torch,
            recurrent_init: WeightInitializer::Torch,
            bias_init: BiasInitializer::Torch,
            seed: 1,
            steps: Some(1500),
            seconds: None,
            validate_every: 250,
            options: fields(options),
        }
    }

    /// The same settings with another value for one of the task's own options.
    pub fn with_option(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.options.insert(name.to_string(), value.into());
        self
    }

    /// The task's own options. An option that is not given has its default.
    ///
    /// # Errors
    ///
    /// If an option does not belong to the task, or if a value has another type.
    ///
    /// # Panics
    ///
    /// If `O` is not a struct of plain data.
    pub fn options<O: Default + Serialize + DeserializeOwned>(&self) -> Result<O, Error> {
        let mut options = fields(&O::default());
        for (name, value) in &self.options {
            if let Some(option) = options.get_mut(name) {
                option.clone_from(value);
            } else if !OF_EVERY_OLDER_FOLDER.contains(&name.as_str()) {
                let names: Vec<_> = options.keys().map(String::as_str).collect();
                return Err(Error::input(format!(
                    "unknown option `{}`; besides those of every run, {} has {}",
                    name.escape_debug(),
                    self.task.escape_debug(),
                    if names.is_empty() { "none".to_string() } else { names.join(", ") },
                )));
            }
        }
        let task = self.task.escape_debug();
        serde_json::from_value(options.into())
            .map_err(|why| Error::input(format!("the options of {task}: {why}")))
    }

    /// Checks that the settings make sense together. The task's own options are not checked here.
    ///
    /// # Errors
    ///
    /// The first setting that is wrong, by the name of its option.
    pub fn check(&self) -> Result<(), Error> {
        let sizes = [
            ("hidden", self.hidden, 1 << 16),
            ("layers", self.layers, 1 << 8),
            ("batch", self.batch, 1 << 20),
        ];
        for (name, value, most) in sizes {
            if !(1..=most).contains(&value) {
                return input(format!("--{name} {value}: has to be 1 to {most}"));
            }
        }
        let ranges = [
            ("lr", self.lr, self.lr > 0.0 && self.lr <= 10.0, "above 0 and at most 10"),
            ("clip", self.clip, self.clip > 0.0, "above 0 (`inf` clips nothing)"),
            ("dropout", self.dropout, (0.0..1.0).contains(&self.dropout), "in [0, 1)"),
        ];
        for (name, value, fine, right) in ranges {
            if !fine {
                return input(format!("--{name} {value}: has to be {right}"));
            }
        }
        if self.dropout > 0.0 && self.layers == 1 {
            return input(format!(
                "--dropout {}: acts between layers, so it needs --layers 2 or more",
                self.dropout
            ));
        }
        self.check_kernel()?;
        self.check_heads()?;
        self.noise.check(self.cell)?;
        self.check_initializers()?;
        if self.dtype.is_half() && self.engine == Engine::Rtrl {
            return input(format!(
                "--dtype {}: not for --engine rtrl, whose sums run over all steps; take f32",
                self.dtype.name(),
            ));
        }
        if self.validate_every == 0 {
            return input("--validate-every 0: has to be at least 1".to_string());
        }
        match (self.steps, self.seconds) {
            (Some(0), _) => input("--steps 0: has to be at least 1".to_string()),
            (_, Some(s)) if !(s > 0.0 && s <= 1e9) => {
                input(format!("--seconds {s}: has to be above 0 and at most 1e9"))
            }
            (Some(_), Some(_)) | (None, None) => {
                input("give either --steps or --seconds".to_string())
            }
            _ => self.recipe.check(self.optimizer, self.lr, self.steps),
        }
    }

    /// Checks that a run with the `stored` settings can continue with these settings.
    ///
    /// # Arguments
    ///
    /// - `free`: which of the task's own options may differ
    ///
    /// # Errors
    ///
    /// The first option that differs although it must not.
    pub(crate) fn check_resume(&self, stored: &Self, free: &[&str]) -> Result<(), Error> {
        let stored = fields(stored);
        for (name, value) in fields(self) {
            let may_differ = FREE.contains(&name.as_str()) || free.contains(&name.as_str());
            if may_differ || stored.get(&name) == Some(&value) {
                continue;
            }
            let before = stored.get(&name).cloned().unwrap_or_default();
            return input(format!(
                "--{} {value}: the run to resume has {before}; leave the option out, or start a new run \
                 with another --out",
                name.replace('_', "-"),
            ));
        }
        Ok(())
    }

    /// The config of the recurrent layers, for inputs of this size.
    pub fn layer_config(&self, d_input: usize) -> AnyLayerConfig {
        let config = match self.cell.cell() {
            Some(cell) => AnyRecurrentConfig::new(cell, d_input, self.hidden)
                .with_num_heads(self.heads)
                .with_noise(self.noise.of(cell, self.seed))
                .with_input_initializer(self.init.clone())
                .with_recurrent_initializer(self.recurrent_init.clone())
                .with_bias_initializer(self.bias_init.clone())
                .into(),
            None => AnyLayerConfig::new(self.cell, d_input, self.hidden),
        };
        config
            .with_num_layers(self.layers)
            .with_bidirectional(self.bidirectional)
            .with_dropout(self.dropout)
            .with_engine(self.engine)
    }
}

/// A struct's fields as JSON.
pub(crate) fn fields(of: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(of) {
        Ok(Value::Object(fields)) => fields,
        other => panic!("settings and options are structs of plain data, found {other:?}"),
    }
}

fn input(message: String) -> Result<(), Error> {
    Err(Error::Input(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Options {
        length: usize,
        file: Option<String>,
    }

    impl Default for Options {
        fn default() -> Self {
            Self { length: 50, file: None }
        }
    }

    fn settings() -> Settings {
        Settings::new("mine", &Options::default())
    }

    fn complaint(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = settings();
        change(&mut settings);
        settings.check().expect_err("should not pass").to_string()
    }

    #[test]
    fn senseless_values_are_named() {
        settings().check().unwrap();
        assert!(complaint(|s| s.hidden = 0).starts_with("--hidden 0:"));
        assert!(complaint(|s| s.layers = 1000).starts_with("--layers 1000:"));
        assert!(complaint(|s| s.lr = -1.0).starts_with("--lr -1:"));
        assert!(complaint(|s| s.lr = f64::NAN).starts_with("--lr NaN:"));
        assert!(complaint(|s| s.clip = 0.0).starts_with("--clip 0:"));
        assert!(complaint(|s| s.dropout = 1.0).starts_with("--dropout 1:"));
        assert!(complaint(|s| s.dropout = 0.5).contains("--layers 2"));
        let of_autograd = |s: &mut Settings| {
            (s.kernel, s.engine) = (Kernel::Reference, Engine::Autograd);
        };
        assert!(complaint(of_autograd).starts_with("--kernel reference: --engine autograd has no"));
        let by_steps = |s: &mut Settings| (s.kernel, s.device) = (Kernel::Steps, "flex".into());
        assert!(complaint(by_steps).starts_with("--kernel steps: device 'flex' has no kernel"));
        let in_f16 = |s: &mut Settings| (s.dtype, s.engine) = (DType::F16, Engine::Rtrl);
        assert!(complaint(in_f16).starts_with("--dtype f16: not for --engine rtrl"));
        assert!(complaint(|s| s.steps = Some(0)).starts_with("--steps 0:"));
        let chrono = |s: &mut Settings| {
            (s.cell, s.bias_init) = (CellKind::Rnn.into(), "chrono:40".parse().unwrap());
        };
        assert!(
            complaint(chrono).starts_with("--bias-init chrono:40: it sets the gates that hold")
        );
        let radius = |s: &mut Settings| s.init = "radius:1".parse().unwrap();
        assert!(complaint(radius).starts_with("--init radius:1: input weights are not square"));
        assert!(complaint(|s| s.seconds = Some(1.0)).contains("either"));
        assert!(complaint(|s| s.validate_every = 0).starts_with("--validate-every 0:"));
    }

    #[test]
    fn resume_keeps_the_model() {
        let stored = settings();
        let free = Settings { lr: 1e-4, steps: None, seconds: Some(3.0), ..stored.clone() };
        free.check_resume(&stored, &[]).unwrap();
        let other = Settings { hidden: 99, ..stored.clone() };
        let message = other.check_resume(&stored, &[]).unwrap_err().to_string();
        assert!(message.starts_with("--hidden 99: the run to resume has 64;"), "{message}");
        let moved = stored.clone().with_option("file", "elsewhere");
        let message = moved.check_resume(&stored, &[]).unwrap_err().to_string();
        assert!(
            message.starts_with("--file \"elsewhere\": the run to resume has null"),
            "{message}"
        );
        moved.check_resume(&stored, &["file"]).unwrap();
        let other = Settings { recurrent_init: "identity:0.5".parse().unwrap(), ..stored.clone() };
        let message = other.check_resume(&stored, &[]).unwrap_err().to_string();
        let expected = "--recurrent-init \"identity:0.5\": the run to resume has \"torch\";";
        assert!(message.starts_with(expected), "{message}");
    }

    #[test]
    fn the_layers_have_the_initializers() {
        let named = Settings {
            init: "he".parse().unwrap(),
            recurrent_init: "identity:0.5".parse().unwrap(),
            bias_init: "forget:2".parse().unwrap(),
            ..settings()
        };
        let AnyLayerConfig::Recurrent(config) = named.layer_config(3) else {
            panic!("its cell runs step by step");
        };
        assert_eq!(config.input_initializer, named.init);
        assert_eq!(config.recurrent_initializer, named.recurrent_init);
        assert_eq!(config.bias_initializer, named.bias_init);
    }

    #[test]
    fn settings_survive_json() {
        let recurrent_init = "orthogonal:0.5".parse().unwrap();
        let bias_init = "chrono:400".parse().unwrap();
        let engine = Engine::Autograd;
        let settings =
            Settings { engine, lr: 1.0 / 300.0, recurrent_init, bias_init, ..settings() };
        let json = serde_json::to_string(&settings).unwrap();
        assert!(json.contains(r#""task":"mine","cell":"lstm","engine":"autograd""#), "{json}");
        assert!(json.ends_with(r#""validate_every":250,"file":null,"length":50}"#), "{json}");
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
        let never = Settings { clip: f64::INFINITY, ..settings };
        let json = serde_json::to_string(&never).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), never);
    }

    #[test]
    fn options_are_read_strictly_and_completed() {
        let of = |fields: &[(&str, Value)]| {
            let mut settings = Settings { options: Map::new(), ..settings() };
            for (name, value) in fields {
                settings = settings.with_option(name, value.clone());
            }
            settings.options::<Options>()
        };
        assert_eq!(of(&[]).unwrap(), Options::default());
        let given = of(&[("length", json!(3)), ("file", json!("a"))]).unwrap();
        assert_eq!(given, Options { length: 3, file: Some("a".to_string()) });
        // Folders of the first versions have the options of other tasks.
        assert_eq!(
            of(&[("embedding", json!(64)), ("csv", json!(null))]).unwrap(),
            Options::default()
        );
        let message = of(&[("lenght", json!(3))]).unwrap_err().to_string();
        assert!(
            message.contains("`lenght`") && message.ends_with("mine has file, length"),
            "{message}"
        );
        let message = of(&[("length", json!("long"))]).unwrap_err().to_string();
        assert!(message.contains("options of mine") && message.contains("long"), "{message}");
    }

    #[test]
    fn settings_of_older_folders_are_read() {
        let mut older = fields(&settings());
        older.remove("bidirectional").unwrap();
        older.remove("dtype").unwrap();
        fields(&Recipe::default()).keys().for_each(|name| drop(older.remove(name).unwrap()));
        for name in ["optimizer", "init", "recurrent_init", "bias_init"] {
            older.remove(name).unwrap();
        }
        assert_eq!(serde_json::from_value::<Settings>(older.into()).unwrap(), settings());
    }
}
