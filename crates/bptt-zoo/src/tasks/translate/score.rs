//! What is said about translations.

use serde::Serialize;

/// A translation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Translation {
    /// What was translated.
    pub source: String,
    /// What the model says.
    pub said: String,
    /// The probability that it gives to it.
    pub probability: f64,
    /// How much each of its characters attended to each one of the source: a row for each.
    #[serde(skip)]
    pub weights: Vec<Vec<f32>>,
}

/// How often translations of each form are right.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TranslateScores {
    /// The forms, each by the tenth of September 1970, with the share of its dates that are right as a whole.
    pub forms: Vec<(&'static str, f64)>,
    /// Some translations.
    pub examples: Vec<Translation>,
}
