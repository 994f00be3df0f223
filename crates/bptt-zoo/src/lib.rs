//! Tasks, models and trainers built on [`bptt`].
//!
//! [`Settings`] say everything about a run; a [`Task`] makes its model, its batches and its losses
//! out of them ([`Adding`], [`CharLm`]). [`compare_engines`] compares the two engines' gradients
//! on a model and batch, and a [`RunFolder`] keeps what a run leaves behind.

mod check;
mod clip;
mod curve;
mod error;
mod folder;
mod progress;
mod random;
pub mod sample;
mod settings;
mod tasks;
mod text;
mod trainer;

pub use check::{GradientCheck, TOLERANCE, compare_engines};
pub use clip::clip_global_norm;
pub use error::Error;
pub use folder::{Point, RunFolder, TextInfo};
pub use settings::{Settings, TaskKind};
pub use tasks::adding::{Adder, Adding};
pub use tasks::char_lm::{CharLm, CharModel};
pub use tasks::{Scores, SequenceModel, Task};
pub use text::Text;
