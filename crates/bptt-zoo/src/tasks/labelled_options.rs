//! The options of the tasks that learn the labels of a user's own sequences.

use crate::labelled::source::LabelledSource;
use crate::option::TaskOption;
use serde::{Deserialize, Serialize};

/// The options of [`Classify`](crate::Classify) and [`Tag`](crate::Tag).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelledOptions {
    /// Where the sequences come from. In JSON it is in the same object as the others.
    #[serde(flatten)]
    pub source: LabelledSource,
    /// How much each label counts in the loss.
    pub class_weights: ClassWeights,
}

/// How much each label counts in the loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// Every answer counts the same, so frequent labels count more.
    #[default]
    None,
    /// Every label counts the same: an answer is weighted inversely to how often its label occurs in training.
    Balanced,
}

impl LabelledOptions {
    /// The options, for the command line.
    pub(crate) const OPTIONS: [TaskOption; 5] = {
        let [data, id, label, time] = LabelledSource::OPTIONS;
        let weights = TaskOption::choice(
            "class_weights",
            "HOW",
            "none, or balanced: rare labels count as much as frequent ones",
            &["none", "balanced"],
        );
        [data, id, label, time, weights]
    };

    /// Whether all labels count the same.
    pub(crate) fn is_balanced(&self) -> bool {
        self.class_weights == ClassWeights::Balanced
    }
}
