//! Tasks, models and trainers built on [`bptt`].
//!
//! The central types: [`Settings`] say everything about a run. A [`Task`] makes its model, its batches and its losses
//! from the settings; [`TASKS`] lists the tasks of this crate. [`train`] is the one loop for all tasks. It compares the
//! two engines' gradients on the run's own model and first batch, then trains, and keeps a [`RunFolder`]. From this
//! folder [`sample`](sample::sample) writes text, and a later run continues.
//!
//! A task of your own runs in the same loop: implement [`Task`], and train it by [`AnyTask::of`].
//!
//! ```no_run
//! # #[cfg(feature = "flex")] {
//! use bptt_zoo::{Adding, Session, Settings, Task, train};
//! use burn::tensor::Device;
//!
//! let settings = Settings { hidden: 32, steps: Some(200), ..Adding::defaults() };
//! let stop = std::sync::atomic::AtomicBool::new(false);
//! let result = train(
//!     &settings,
//!     Session {
//!         device: Device::flex(),
//!         out: "runs/adding".into(),
//!         resume: false,
//!         warm_start: None,
//!         stop: &stop,
//!         probes: Default::default(),
//!         begun: &mut || {},
//!         say: &mut |line| println!("{line}"),
//!         progress: None,
//!     },
//! )
//! .unwrap();
//! println!("mean squared error {}", result.valid_loss);
//! # }
//! ```
//!
//! Nothing here prints, parses arguments or ends the process; lines for a person go through
//! [`Session::say`].
#![cfg_attr(docsrs, feature(doc_cfg))]

mod any_char_model;
mod any_task;
mod average;
mod check;
mod compare;
mod curve;
mod dynamics;
mod error;
mod figure;
mod fingerprint;
mod folder;
mod folder_files;
mod frame;
mod gradient_log;
#[cfg(feature = "scanned-cells")]
mod hybrid;
mod jacobian_log;
mod labelled;
mod landscape;
mod learning_rates;
mod loss_scale;
mod marker;
mod median;
mod memory;
mod model_config;
mod models;
mod noise_settings;
mod optimizer;
mod option;
pub mod predict;
mod progress;
mod random;
mod read;
mod recipe;
pub mod sample;
mod schedule;
mod series;
mod session;
mod settings;
mod sharpness_log;
mod store;
mod stream_layer;
mod table;
mod task;
mod task_settings;
mod tasks;
mod text;
mod tokenizer;
mod trainer;
mod vector;
pub mod weights;
mod whole;

pub use any_char_model::AnyCharModel;
pub use any_task::AnyTask;
pub use average::Average;
pub use bptt::clip_global_norm;
pub use check::{GradientCheck, TOLERANCE, compare_engines};
pub use compare::{
    CompareOptions, CompareProgress, ComparedCell, Comparison, CurvePoint, Equal, compare,
};
pub use dynamics::{
    AutonomousSpectrum, ConstantInput, Curvature, DrivenSpectrum, DynamicsOptions,
    DynamicsProgress, FixedPoint, FixedPoints, GradientNorm, GradientsThroughTime, HeldUnit,
    Holding, JacobianBound, JacobianProduct, Jacobians, NamedGate, RunDynamics, StatePart,
    StepJacobian, dynamics_page,
};
pub use error::Error;
pub use figure::figure;
pub use folder::RunFolder;
pub use folder_files::{
    FolderInfo, ForecastInfo, LabelledInfo, Point, SeriesInfo, StoredModel, TextInfo,
};
pub use frame::format::TableFormat;
pub use frame::step::TimeStep;
pub use gradient_log::GradientPoint;
#[cfg(feature = "scanned-cells")]
pub use hybrid::{
    CausalConv, GatedMlp, Hybrid, HybridBlock, HybridConfig, LocalAttention, RecurrentMix,
    TemporalMix,
};
pub use jacobian_log::JacobianPoint;
pub use labelled::confusion::Confusion;
pub use labelled::scaling::Scaling;
pub use labelled::source::LabelledSource;
pub use landscape::{
    DensityCurve, Landscape, LandscapeOptions, LineBetween, PlaneKind, PlanePoint,
};
pub use model_config::ModelConfig;
pub use noise_settings::NoiseSettings;
pub use optimizer::OptimizerKind;
pub use option::{OptionKind, TaskOption};
pub use progress::{TrainProgress, TrainValidation};
pub use random::{Purpose, generator};
pub use read::{data_folder, data_path};
pub use recipe::Recipe;
pub use schedule::Schedule;
pub use series::{Series, Standardization};
pub use session::{FoldResult, Probes, RunResult, Session};
pub use settings::Settings;
pub use settings::file::read_settings;
pub use sharpness_log::SharpnessPoint;
pub use stream_layer::StreamLayer;
pub use task::{Scores, SequenceModel, SequenceSize, StepLoss, Task, TestScores};
pub use tasks::adding::{Adder, Adding, AddingOptions};
pub use tasks::char_lm::{CharLm, CharModel};
pub use tasks::char_lm_options::{CharLmOptions, ModelKind};
pub use tasks::chorales::{Chorales, ChoralesOptions};
pub use tasks::classify::Classify;
pub use tasks::control::score::ControlScores;
pub use tasks::control::{Control, ControlOptions, EnvironmentKind};
pub use tasks::copy::{CopyOptions, Copying, Tagger, TaggerConfig};
pub use tasks::digits::{Digits, DigitsOptions, ReadBy};
pub use tasks::flip_flop::{FlipFlop, FlipFlopOptions, Regressor, RegressorConfig};
pub use tasks::forecast::Forecast;
pub use tasks::forecast::combination::Combination;
pub use tasks::forecast::head::{Head, LEVELS};
pub use tasks::forecast::linear::{LinearBase, LinearForecast};
pub use tasks::forecast::model::{ForecastShape, Forecaster, ForecasterConfig};
pub use tasks::forecast::options::{Combine, ForecastOptions, Names, Strategy};
pub use tasks::forecast::score::{Calibration, ErrorScores, ForecastScores, HorizonError};
pub use tasks::labelled_options::{ClassWeights, LabelledOptions};
pub use tasks::parity::{Classifier, ClassifierConfig, Parity, ParityOptions};
pub use tasks::reber::{Reber, ReberOptions};
pub use tasks::regress::Regress;
pub use tasks::tag::Tag;
pub use tasks::temporal_order::{TemporalOrder, TemporalOrderOptions};
pub use tasks::translate::score::{TranslateScores, Translation};
pub use tasks::translate::{Translate, TranslateOptions, Translator};
pub use tasks::{TASKS, dynamics, landscape, train};
pub use text::Text;
pub use tokenizer::{Encoded, StoredTokenizer, Tokenizer, TokenizerKind};
pub use trainer::train_task;
pub use whole::{check_writable, write_whole};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
