//! Everything that a run is made from.

use crate::error::Error;
use bptt::{AnyRecurrent, AnyRecurrentConfig, CellKind, Engine};
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

/// Which task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// [`Adding`](crate::Adding)
    Adding,
    /// [`CharLm`](crate::CharLm)
    CharLm,
    /// [`Copying`](crate::Copying)
    Copy,
    /// [`Forecast`](crate::Forecast)
    Forecast,
    /// [`Parity`](crate::Parity)
    Parity,
}

impl TaskKind {
    /// All tasks.
    pub const ALL: [Self; 5] =
        [Self::Adding, Self::CharLm, Self::Copy, Self::Forecast, Self::Parity];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Adding => "adding",
            Self::CharLm => "char-lm",
            Self::Copy => "copy",
            Self::Forecast => "forecast",
            Self::Parity => "parity",
        }
    }

    /// What the loss is.
    pub fn loss_name(self) -> &'static str {
        match self {
            Self::Adding => "mean squared error",
            Self::CharLm => "nats per character",
            Self::Copy => "nats per step",
            Self::Forecast => "mean squared error in units of the usual change",
            Self::Parity => "nats per sequence",
        }
    }
}

/// Everything that a run is made from. The fields are named as the options of `bptt train`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Which task.
    pub task: TaskKind,
    /// Which cell.
    pub cell: CellKind,
    /// How the recurrent layers are differentiated.
    #[serde(with = "engine_name")]
    pub engine: Engine,
    /// The name of the device, for the record: the device itself is in the
    /// [`Session`](crate::Session).
    pub device: String,
    /// The size of the hidden state, `H`.
    pub hidden: usize,
    /// How many recurrent layers are stacked, `L`.
    pub layers: usize,
    /// Whether there is a backward direction beside the forward one. Not for `char-lm`.
    #[serde(default)]
    pub bidirectional: bool,
    /// Sequences, or streams of text, side by side, `B`.
    pub batch: usize,
    /// Characters in a chunk of text, `T`: how far gradients go back. For `char-lm`.
    pub time: usize,
    /// The length of a sequence, `T`: its numbers for `adding`, its pause for `copy`, of a window for
    /// `forecast`, at most for `parity`.
    pub length: usize,
    /// How many values are said at once. For `forecast`.
    #[serde(default = "one")]
    pub horizon: usize,
    /// The size of a character's vector. For `char-lm`.
    pub embedding: usize,
    /// The learning rate (Adam).
    pub lr: f64,
    /// The largest global norm of a gradient; longer ones are scaled down to it.
    pub clip: f64,
    /// The probability of dropping a value between the layers while training.
    pub dropout: f64,
    /// Where everything random comes from.
    pub seed: u64,
    /// Train until this step (counted from the very beginning).
    pub steps: Option<u64>,
    /// Train for that long.
    pub seconds: Option<f64>,
    /// Steps between two validations.
    pub validate_every: u64,
    /// The text file; `None`: the text that the crate ships.
    pub text: Option<String>,
    /// The file with the series. For `forecast`.
    #[serde(default)]
    pub csv: Option<String>,
    /// The column of it. For `forecast`.
    #[serde(default)]
    pub column: Option<String>,
}

/// The horizon of folders that do not say.
fn one() -> usize {
    1
}

/// How many symbols the task `copy` has to remember.
pub(crate) const REMEMBERED: usize = 10;

/// More memory than this is a mistake in the sizes rather than a wish.
pub(crate) const MOST_GIGABYTES: f64 = 64.0;

/// What `--resume` may change; everything else belongs to the run.
const FREE: [&str; 7] = ["engine", "device", "lr", "clip", "steps", "seconds", "validate_every"];

impl Settings {
    /// The defaults of a task.
    pub fn new(task: TaskKind) -> Self {
        let common = Self {
            task,
            cell: CellKind::Lstm,
            engine: Engine::Manual,
            device: String::new(),
            hidden: 128,
            layers: 1,
            bidirectional: false,
            batch: 32,
            time: 64,
            length: 50,
            horizon: 1,
            embedding: 64,
            lr: 4e-3,
            clip: 1.0,
            dropout: 0.0,
            seed: 1,
            steps: Some(2000),
            seconds: None,
            validate_every: 500,
            text: None,
            csv: None,
            column: None,
        };
        let small = Self {
            hidden: 64,
            batch: 64,
            lr: 1e-2,
            steps: Some(1500),
            validate_every: 250,
            ..common.clone()
        };
        match task {
            TaskKind::CharLm => common,
            TaskKind::Adding => small,
            // An LSTM takes many times as long to find out what to remember.
            TaskKind::Copy => Self { cell: CellKind::Gru, hidden: 128, length: 10, ..small },
            TaskKind::Forecast => small,
            TaskKind::Parity => Self { length: 20, ..small },
        }
    }

    /// Whether the settings make sense together.
    ///
    /// # Errors
    ///
    /// The first one that does not, by the name of its option.
    pub fn check(&self) -> Result<(), Error> {
        let sizes = [
            ("hidden", self.hidden, 1 << 16),
            ("layers", self.layers, 1 << 8),
            ("batch", self.batch, 1 << 20),
            ("time", self.time, 1 << 24),
            ("length", self.length, 1 << 24),
            ("horizon", self.horizon, 1 << 16),
            ("embedding", self.embedding, 1 << 16),
        ];
        for (name, value, most) in sizes {
            let least = if name == "length" { 2 } else { 1 };
            if !(least..=most).contains(&value) {
                return input(format!("--{name} {value}: has to be {least} to {most}"));
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
        if self.bidirectional && self.task == TaskKind::CharLm {
            let why = "the backward direction would read the characters that are to be said";
            return input(format!("--bidirectional: not for char-lm, {why}"));
        }
        if self.task == TaskKind::Forecast && (self.csv.is_none() || self.column.is_none()) {
            return input("forecast: give --csv FILE and --column NAME".to_string());
        }
        if self.validate_every == 0 {
            return input("--validate-every 0: has to be at least 1".to_string());
        }
        match (self.steps, self.seconds) {
            (Some(0), _) => return input("--steps 0: has to be at least 1".to_string()),
            (_, Some(s)) if !(s > 0.0 && s <= 1e9) => {
                return input(format!("--seconds {s}: has to be above 0 and at most 1e9"));
            }
            (Some(_), Some(_)) | (None, None) => {
                return input("give either --steps or --seconds".to_string());
            }
            _ => {}
        }
        self.check_memory()
    }

    /// Sizes that each make sense can still be more than any machine holds together.
    fn check_memory(&self) -> Result<(), Error> {
        let (steps, name) = match self.task {
            TaskKind::CharLm => (self.time, "time"),
            TaskKind::Copy => (self.length + 2 * REMEMBERED, "length"),
            TaskKind::Adding | TaskKind::Forecast | TaskKind::Parity => (self.length, "length"),
        };
        let directions = if self.bidirectional { 2.0 } else { 1.0 };
        let hidden = directions * self.hidden as f64;
        // Weights with their gradients and Adam's two moments; what a step keeps for the backward.
        let weights = 4.0 * 8.0 * hidden * hidden * self.layers as f64;
        let kept = 10.0 * hidden * self.layers as f64 * self.batch as f64 * steps as f64;
        let gigabytes = (weights + kept) * 4.0 / 1e9;
        if gigabytes > MOST_GIGABYTES {
            return input(format!(
                "--hidden {}, --layers {}, --batch {} and --{name} {steps} need about \
                 {gigabytes:.0} GB together: take smaller ones",
                self.hidden, self.layers, self.batch
            ));
        }
        Ok(())
    }

    /// Whether a run made with `stored` settings can go on with these.
    ///
    /// # Errors
    ///
    /// The first option that differs and may not.
    pub fn check_resume(&self, stored: &Self) -> Result<(), Error> {
        let fields = |settings: &Self| match serde_json::to_value(settings) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => serde_json::Map::new(),
        };
        if self.task != stored.task {
            return input(format!(
                "{}: the run to resume is one of {}; name that task, or start a new run with \
                 another --out",
                self.task.name(),
                stored.task.name(),
            ));
        }
        let stored = fields(stored);
        for (name, value) in fields(self) {
            if FREE.contains(&name.as_str()) || stored.get(&name) == Some(&value) {
                continue;
            }
            let before = stored.get(&name).cloned().unwrap_or_default();
            return input(format!(
                "--{name} {value}: the run to resume has {before}; leave the option out, or start \
                 a new run with another --out",
            ));
        }
        Ok(())
    }

    /// The recurrent layers for inputs of a size.
    pub(crate) fn recurrent(&self, d_input: usize, device: &Device) -> Result<AnyRecurrent, Error> {
        let layers = self.recurrent_config(d_input).try_init(device);
        layers.map_err(|error| Error::input(error.to_string()))
    }

    /// What they are made of.
    pub(crate) fn recurrent_config(&self, d_input: usize) -> AnyRecurrentConfig {
        AnyRecurrentConfig::new(self.cell, d_input, self.hidden)
            .with_num_layers(self.layers)
            .with_bidirectional(self.bidirectional)
            .with_dropout(self.dropout)
            .with_engine(self.engine)
    }
}

fn input(message: String) -> Result<(), Error> {
    Err(Error::Input(message))
}

/// Engines by the names that the command line has for them.
mod engine_name {
    use bptt::Engine;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(engine: &Engine, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(engine.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Engine, D::Error> {
        let name = String::deserialize(from)?;
        Engine::ALL
            .into_iter()
            .find(|engine| engine.name() == name)
            .ok_or_else(|| D::Error::custom(format!("no engine is called `{name}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the options that have no default.
    fn complete(task: TaskKind) -> Settings {
        let given = |name: &str| (task == TaskKind::Forecast).then(|| name.to_string());
        Settings { csv: given("a.csv"), column: given("x"), ..Settings::new(task) }
    }

    fn complaint(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = Settings::new(TaskKind::CharLm);
        change(&mut settings);
        settings.check().expect_err("should not pass").to_string()
    }

    #[test]
    fn defaults_pass() {
        for task in TaskKind::ALL {
            complete(task).check().unwrap();
        }
    }

    #[test]
    fn senseless_values_are_named() {
        assert!(complaint(|s| s.hidden = 0).starts_with("--hidden 0:"));
        assert!(complaint(|s| s.layers = 1000).starts_with("--layers 1000:"));
        assert!(complaint(|s| s.length = 1).starts_with("--length 1:"));
        assert!(complaint(|s| s.lr = -1.0).starts_with("--lr -1:"));
        assert!(complaint(|s| s.lr = f64::NAN).starts_with("--lr NaN:"));
        assert!(complaint(|s| s.clip = 0.0).starts_with("--clip 0:"));
        assert!(complaint(|s| s.dropout = 1.0).starts_with("--dropout 1:"));
        assert!(complaint(|s| s.dropout = 0.5).contains("--layers 2"));
        assert!(complaint(|s| s.steps = Some(0)).starts_with("--steps 0:"));
        assert!(complaint(|s| s.seconds = Some(1.0)).contains("either"));
        assert!(complaint(|s| s.bidirectional = true).starts_with("--bidirectional: not for"));
        assert!(complaint(|s| s.horizon = 0).starts_with("--horizon 0:"));
        assert!(complaint(|s| s.task = TaskKind::Forecast).contains("--csv FILE"));
        assert!(complaint(|s| (s.batch, s.time) = (1 << 20, 1 << 12)).contains(" GB "));
    }

    #[test]
    fn resume_keeps_the_model() {
        let stored = Settings::new(TaskKind::CharLm);
        let free = Settings { lr: 1e-4, steps: None, seconds: Some(3.0), ..stored.clone() };
        free.check_resume(&stored).unwrap();
        let other = Settings { hidden: 99, ..stored.clone() };
        let message = other.check_resume(&stored).unwrap_err().to_string();
        assert!(message.starts_with("--hidden 99: the run to resume has 128;"), "{message}");
        let message = Settings::new(TaskKind::Adding).check_resume(&stored).unwrap_err();
        assert!(message.to_string().starts_with("adding: the run to resume is one of char-lm;"));
    }

    #[test]
    fn settings_survive_json() {
        let settings = Settings { engine: Engine::Autograd, ..Settings::new(TaskKind::Adding) };
        let json = serde_json::to_string(&settings).unwrap();
        assert!(json.contains(r#""task":"adding","cell":"lstm","engine":"autograd""#), "{json}");
        assert_eq!(serde_json::from_str::<Settings>(&json).unwrap(), settings);
    }

    #[test]
    fn settings_of_older_folders_are_read() {
        let settings = Settings::new(TaskKind::Adding);
        let serde_json::Value::Object(mut fields) = serde_json::to_value(&settings).unwrap() else {
            panic!("settings are an object");
        };
        for name in ["bidirectional", "horizon", "csv", "column"] {
            fields.remove(name).unwrap();
        }
        assert_eq!(serde_json::from_value::<Settings>(fields.into()).unwrap(), settings);
    }
}
