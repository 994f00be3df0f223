//! What a trained model says about new sequences.
//!
//! [`predict`] reads a file with the model of a run of [`Classify`](crate::Classify), [`Tag`](crate::Tag) or
//! [`Regress`](crate::Regress); [`forecast`] reads series with that of a run of [`Forecast`](crate::Forecast), and [`translate`] dates with that of a run of
//! [`Translate`](crate::Translate). Where the file has labels, the answers are judged too.

mod forecast;
mod known;
mod model;
mod predictions;
mod run;
mod translate;

pub use forecast::{ForecastLine, ForecastPoint, Forecasts, KnownScores, forecast};
pub use predictions::{Answers, PredictedSequence, PredictionScores, Predictions};
pub use run::predict;
pub use translate::{translate, translate_texts};
