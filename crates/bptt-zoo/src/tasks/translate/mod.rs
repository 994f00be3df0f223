//! Dates in words to ISO dates, by an encoder and a decoder with attention.
//!
//! A well-known exercise for attention: a date as people write it, in one of twelve forms, is read character by character, and
//! written as `1970-09-10`. The days are those of the years 1950 to 2049, in a fixed random order: eight tenths are for training, a
//! tenth for validation, a tenth for the test. So the dates that a model is judged on are none that it has learned from, in any form. A
//! translation counts as right if it is right as a whole. The attention is that of D. Bahdanau, K. Cho and Y. Bengio, "Neural
//! machine translation by jointly learning to align and translate", ICLR 2015, with input feeding ([`bptt::seq2seq`]).

pub(crate) mod dates;
mod model;
pub(crate) mod score;

use crate::error::Error;
use crate::option::TaskOption;
use crate::random::{Purpose, generator};
use crate::settings::Settings;
use crate::task::{Scores, SequenceSize, StepLoss, Task, TestScores};
use crate::tasks::parts::{VALIDATION, smoothed_cross_entropy};
use bptt::AnyState;
use bptt::seq2seq::{Decoded, Teaching};
use burn::Tensor;
use burn::tensor::{Device, Int, TensorData};
use chrono::NaiveDate;
use dates::{FORMS, LONGEST_DATE, TARGET_LENGTH, TARGET_SYMBOLS};
pub use model::Translator;
use rand::RngExt;
use rand::seq::SliceRandom;
use score::{TranslateScores, Translation};
use serde::{Deserialize, Serialize};

/// What divides the days, whatever the seed of a run is.
const FIXED: u64 = 1;
/// How many dates are judged at once.
const JUDGED: usize = 256;
/// How many translations of the test are kept with their attention.
const EXAMPLES: usize = 6;

/// The options of [`Translate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TranslateOptions {
    /// The size of a character's vector.
    pub embedding: usize,
}

impl Default for TranslateOptions {
    fn default() -> Self {
        Self { embedding: 32 }
    }
}

/// Dates to translate.
#[derive(Debug)]
pub struct Translate {
    settings: Settings,
    options: TranslateOptions,
    train: Vec<NaiveDate>,
    valid: Vec<NaiveDate>,
    test: Vec<NaiveDate>,
}

/// A date in a form.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Dated {
    date: NaiveDate,
    form: usize,
}

impl Dated {
    fn source(self) -> String {
        dates::written(self.date, self.form)
    }
}

impl Translate {
    fn draw(&self, purpose: Purpose, index: u64, batch: usize) -> Vec<Dated> {
        let days = match purpose {
            Purpose::Validation => &self.valid,
            Purpose::Test => &self.test,
            _ => &self.train,
        };
        let mut random = generator(self.settings.seed, purpose, index);
        let mut one = || Dated {
            date: days[random.random_range(0..days.len())],
            form: random.random_range(0..FORMS.len()),
        };
        (0..batch).map(|_| one()).collect()
    }

    /// The cross entropy of each character of the right translations, `[B · 11]`.
    fn losses(
        &self,
        model: &Translator,
        drawn: &[Dated],
        smoothing: f64,
        device: &Device,
    ) -> Tensor<1> {
        let sources: Vec<_> = drawn.iter().map(|dated| dated.source()).collect();
        let (source, lengths) = encoded(&sources, device).expect("dates have known characters");
        let target = drawn.iter().flat_map(|dated| dates::target_symbols(&dates::iso(dated.date)));
        let target = target.map(|symbol| symbol as i32).collect();
        let target = TensorData::new::<i32, _>(target, [drawn.len(), TARGET_LENGTH]);
        let target = Tensor::<2, Int>::from_data(target, device);
        let scored = model.forward(source, Some(&lengths), target.clone(), &Teaching::Forced);
        let scores = scored.scores.reshape([drawn.len() * TARGET_LENGTH, TARGET_SYMBOLS]);
        smoothed_cross_entropy(scores, target.flatten(0, 1), smoothing)
    }

    /// The mean loss on some dates, and whether each translation is right.
    fn judged(&self, model: &Translator, drawn: &[Dated], device: &Device) -> (f64, Vec<bool>) {
        let (mut sum, mut right) = (0.0, Vec::with_capacity(drawn.len()));
        for dates in drawn.chunks(JUDGED) {
            let loss = self.losses(model, dates, 0.0, device).sum().into_scalar::<f32>();
            sum += f64::from(loss);
            let sources: Vec<_> = dates.iter().map(|dated| dated.source()).collect();
            let said = translated(model, &sources, device).expect("dates have known characters");
            right.extend(said.iter().zip(dates).map(|(a, b)| a.said == dates::iso(b.date)));
        }
        (sum / (drawn.len() * TARGET_LENGTH) as f64, right)
    }
}

/// The symbols of some texts, `[B, Ts]`, and their lengths.
fn encoded(sources: &[String], device: &Device) -> Result<(Tensor<2, Int>, Vec<usize>), Error> {
    let symbols = |text: &String| {
        dates::source_symbols(text).map_err(|c| {
            Error::input(format!("{text:?}: no date of the training has the character {c:?}"))
        })
    };
    let rows = sources.iter().map(symbols).collect::<Result<Vec<_>, _>>()?;
    let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
    let time = lengths.iter().copied().max().unwrap_or(0).max(1);
    let mut padded = vec![0i32; rows.len() * time];
    for (to, row) in padded.chunks_mut(time).zip(rows) {
        to.iter_mut().zip(row).for_each(|(to, symbol)| *to = symbol as i32);
    }
    let source = Tensor::from_data(TensorData::new(padded, [lengths.len(), time]), device);
    Ok((source, lengths))
}

/// The model's translations of some texts, by the likeliest character at each step.
///
/// # Errors
///
/// If a text has a character that no date has.
pub(crate) fn translated(
    model: &Translator,
    sources: &[String],
    device: &Device,
) -> Result<Vec<Translation>, Error> {
    let (source, lengths) = encoded(sources, device)?;
    let decoded = model.greedy(source, Some(&lengths), TARGET_LENGTH);
    let said = decoded.into_iter().zip(sources).zip(lengths).map(|((decoded, source), length)| {
        let Decoded { symbols, log_probability, weights, .. } = decoded;
        let weights = weights.into_iter().map(|row| row[..length].to_vec());
        Translation {
            source: source.clone(),
            said: dates::target_text(&symbols),
            probability: log_probability.exp(),
            weights: weights.collect(),
        }
    });
    Ok(said.collect())
}

/// The share of what is right.
fn share(right: impl Iterator<Item = bool> + Clone) -> f64 {
    right.clone().filter(|right| *right).count() as f64 / right.count() as f64
}

impl Task for Translate {
    const NAME: &'static str = "translate";
    const ABOUT: &'static str = "Write dates in words as ISO dates: encoder, attention, decoder";
    const LOSS: &'static str = "nats per character";
    const METRIC: &'static str = "exact_match";
    const LEARNS_LABELS: bool = true;
    const HAS_TEST: bool = true;
    const OPTIONS: &'static [TaskOption] =
        &[TaskOption::size("embedding", "E", "size of a character's vector", 1, 1 << 16)];

    type Options = TranslateOptions;
    type Model = Translator;

    fn defaults() -> Settings {
        let common = Settings::new(Self::NAME, &TranslateOptions::default());
        Settings { lr: 5e-3, steps: Some(500), validate_every: 100, ..common }
    }

    fn new(settings: &Settings) -> Result<Self, Error> {
        let mut train = dates::days();
        train.shuffle(&mut generator(FIXED, Purpose::Split, 0));
        let held = train.len() / 10;
        let test = train.split_off(train.len() - held);
        let valid = train.split_off(train.len() - held);
        Ok(Self { settings: settings.clone(), options: settings.options()?, train, valid, test })
    }

    fn sequence_size(options: &TranslateOptions) -> SequenceSize {
        let time = LONGEST_DATE + TARGET_LENGTH;
        SequenceSize { time, input: options.embedding, input_has_gradients: true }
    }

    fn model(&self, device: &Device) -> Result<Self::Model, Error> {
        model::translator(&self.settings, self.options.embedding, device)
    }

    fn loss(
        &self,
        model: &Self::Model,
        step: u64,
        _state: Option<AnyState>,
        device: &Device,
    ) -> StepLoss {
        let drawn = self.draw(Purpose::Training, step, self.settings.batch);
        let smoothing = self.settings.recipe.label_smoothing;
        (self.losses(model, &drawn, smoothing, device).mean(), None)
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        let (loss, right) =
            self.judged(model, &self.draw(Purpose::Validation, 0, VALIDATION), device);
        Scores { loss, metric: share(right.into_iter()) }
    }

    fn test(&self, model: &Self::Model, device: &Device) -> Option<TestScores> {
        let drawn = self.draw(Purpose::Test, 0, VALIDATION);
        let (loss, right) = self.judged(model, &drawn, device);
        let of_form = |form: usize| {
            let judged = drawn.iter().zip(&right).filter(move |(dated, _)| dated.form == form);
            share(judged.map(|(_, right)| *right))
        };
        let forms = FORMS.iter().enumerate().map(|(k, form)| (*form, of_form(k))).collect();
        let sources: Vec<_> = drawn.iter().take(EXAMPLES).map(|dated| dated.source()).collect();
        let examples = translated(model, &sources, device).expect("dates have known characters");
        let scores = Scores { loss, metric: share(right.iter().copied()) };
        let translate = Some(TranslateScores { forms, examples });
        Some(TestScores { translate, ..TestScores::new(drawn.len(), scores) })
    }

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch, "dates")
    }

    fn describe(&self) -> String {
        format!(
            "dates of 1950 to 2049 in {} forms, such as `{}`; {} days for training, {} for validation, {} for the test",
            FORMS.len(),
            FORMS[9],
            self.train.len(),
            self.valid.len(),
            self.test.len(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn days_of_the_test_are_not_learned() {
        let task = Translate::new(&Translate::defaults()).unwrap();
        let of = |days: &[NaiveDate]| days.iter().copied().collect::<HashSet<_>>();
        let [train, valid, test] = [&task.train, &task.valid, &task.test].map(|days| of(days));
        assert_eq!((train.len(), valid.len(), test.len()), (29_221, 3652, 3652));
        assert!(train.is_disjoint(&valid) && train.is_disjoint(&test) && valid.is_disjoint(&test));
        // Whatever the seed is.
        let other = Translate::new(&Settings { seed: 2, ..Translate::defaults() }).unwrap();
        assert_eq!(task.test, other.test);
        let drawn = task.draw(Purpose::Training, 3, 500);
        assert_eq!(drawn, task.draw(Purpose::Training, 3, 500));
        assert_ne!(drawn, other.draw(Purpose::Training, 3, 500));
        for (purpose, days) in
            [(Purpose::Training, train), (Purpose::Validation, valid), (Purpose::Test, test)]
        {
            let drawn = task.draw(purpose, 0, 500);
            assert!(drawn.iter().all(|dated| days.contains(&dated.date)));
            let forms: HashSet<_> = drawn.iter().map(|dated| dated.form).collect();
            assert_eq!(forms.len(), FORMS.len());
        }
    }
}
