//! The options of the character model, and which of the other settings go with them.

use crate::error::Error;
use crate::settings::{Settings, fields};
use crate::tokenizer::{NOT_IN_THIS_BUILD, TokenizerKind};
use bptt::Engine;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The options of [`CharLm`](crate::CharLm).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CharLmOptions {
    /// Characters in a chunk of text, `T`: how far gradients go back.
    pub time: usize,
    /// The size of a character's vector, `E`.
    pub embedding: usize,
    /// The text file; `None`: the text that the crate ships.
    pub text: Option<String>,
    /// What reads the characters' vectors.
    pub model: ModelKind,
    /// How many steps the attention of a hybrid reaches, `N`; `None` for other models, and for the default of a hybrid.
    pub window: Option<usize>,
    /// What a token is.
    pub tokenizer: TokenizerKind,
    /// How many tokens there are at most, for the tokenizers that learn them; `None`: their default.
    pub vocab_size: Option<usize>,
    /// Whether the vectors of the characters are the weights of the last layer.
    ///
    /// O. Press and L. Wolf, "Using the output embedding to improve language models", EACL 2017.
    pub tie_embeddings: bool,
    /// The probability of dropping an output of the recurrent layers while training, before the last layer reads it.
    ///
    /// W. Zaremba, I. Sutskever and O. Vinyals, "Recurrent neural network regularization", arXiv:1409.2329, 2014.
    pub output_dropout: f64,
}

/// What reads the characters' vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// Layers of [`Settings::cell`].
    #[default]
    Recurrent,
    /// RG-LRUs and local attention ([`Hybrid`](crate::Hybrid)).
    Hybrid,
}

/// What a hybrid does with settings: these it has, and of the others only their defaults.
const OF_A_HYBRID: [&str; 24] = [
    "task",
    "engine",
    "momentum",
    "weight_decay",
    "schedule",
    "warmup",
    "final_lr",
    "schedule_steps",
    "patience",
    "accumulate",
    "label_smoothing",
    "average",
    "device",
    "hidden",
    "layers",
    "batch",
    "optimizer",
    "lr",
    "clip",
    "dropout",
    "seed",
    "steps",
    "seconds",
    "validate_every",
];

impl Default for CharLmOptions {
    fn default() -> Self {
        Self {
            time: 64,
            embedding: 64,
            text: None,
            model: ModelKind::Recurrent,
            window: None,
            tokenizer: TokenizerKind::Chars,
            vocab_size: None,
            tie_embeddings: false,
            output_dropout: 0.0,
        }
    }
}

/// Checks that the tokenizer can have its size, and is in this build.
pub(crate) fn check_tokenizer(options: &CharLmOptions) -> Result<(), Error> {
    let (kind, name) = (options.tokenizer, options.tokenizer.name());
    if let (Some(size), None) = (options.vocab_size, kind.default_size()) {
        return Err(Error::input(format!(
            "--vocab-size {size}: --tokenizer {name} has no such choice; leave it out, or take --tokenizer words or bpe"
        )));
    }
    if kind == TokenizerKind::Bpe && cfg!(not(feature = "bpe")) {
        return Err(Error::input(NOT_IN_THIS_BUILD));
    }
    Ok(())
}

/// Checks that the settings make the model.
///
/// # Arguments
///
/// - `defaults`: those of the task
pub(crate) fn check_model(
    settings: &Settings,
    defaults: &Settings,
    options: &CharLmOptions,
) -> Result<(), Error> {
    let (embedding, hidden) = (options.embedding, settings.hidden);
    if options.tie_embeddings && embedding != hidden {
        return Err(Error::input(format!(
            "--tie-embeddings: needs --embedding and --hidden of one size, and they are {embedding} and {hidden}"
        )));
    }
    match (options.model, options.window) {
        (ModelKind::Recurrent, None) => Ok(()),
        (ModelKind::Recurrent, Some(window)) => Err(Error::input(format!(
            "--window {window}: recurrent layers have no attention; leave it out, or take --model hybrid"
        ))),
        (ModelKind::Hybrid, _) => check_hybrid(settings, defaults, options),
    }
}

/// Checks that the settings make a hybrid.
fn check_hybrid(
    settings: &Settings,
    defaults: &Settings,
    options: &CharLmOptions,
) -> Result<(), Error> {
    if cfg!(not(feature = "scanned-cells")) {
        return Err(Error::input(
            "--model hybrid: not in this build, which is without the feature scanned-cells",
        ));
    }
    let (given, defaults) = (fields(settings), fields(defaults));
    let own = |name: &str| OF_A_HYBRID.contains(&name) || settings.options.contains_key(name);
    let differs =
        |(name, value): &(&String, &Value)| !own(name) && defaults.get(*name) != Some(*value);
    if let Some((name, value)) = given.iter().find(differs) {
        let (flag, value) = (name.replace('_', "-"), shown(value));
        return Err(Error::input(format!(
            "--{flag} {value}: a hybrid has no such choice; leave it out"
        )));
    }
    if settings.engine == Engine::Rtrl {
        return Err(Error::input("--engine rtrl: not for --model hybrid; take manual or autograd"));
    }
    if !settings.hidden.is_multiple_of(2) {
        return Err(Error::input(format!(
            "--hidden {}: has to be even for --model hybrid, whose positions rotate pairs of units",
            settings.hidden
        )));
    }
    if options.window.is_some() && settings.layers < 3 {
        return Err(Error::input(format!(
            "--layers {}: every third block of a hybrid has attention, so --window needs --layers 3 or more",
            settings.layers
        )));
    }
    Ok(())
}

/// A value as it is on the command line.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}
