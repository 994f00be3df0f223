//! Labelled sequences, ready to train on: parts, scaled numbers, numbered labels, batches.

use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::folder_files::LabelledInfo;
use crate::labelled::scaling::Scaling;
use crate::labelled::sequence::{Answer, Kind, Sequence, Sequences};
use crate::memory;
use crate::random::{Purpose, generator};
use crate::settings::Settings;
use crate::task::SequenceSize;
use bptt::{Bucketing, Buckets, Engine, RaggedBatch};
use burn::data::dataloader::BatchStrategy;
use burn::tensor::Device;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// How many batches are sorted by length together.
const WINDOW: usize = 16;

/// With fewer sequences there is nothing to validate or to test on.
const FEWEST: usize = 10;

/// A sequence, as a network reads it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// `[T · I]`
    pub(crate) values: Vec<f32>,
    /// The numbers of its labels: one, or one for each step; none if a number is learned.
    pub(crate) classes: Vec<i32>,
    /// The scaled number that is learned; 0 if labels are.
    pub(crate) number: f32,
}

/// The indices of the sequences of each part.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Parts {
    pub(crate) train: Vec<usize>,
    pub(crate) valid: Vec<usize>,
    pub(crate) test: Vec<usize>,
}

/// Labelled sequences, ready to train on.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) rows: Vec<Row>,
    /// Numbers at each step, `I`.
    pub(crate) width: usize,
    pub(crate) parts: Parts,
    /// The labels, sorted; none if a number is learned.
    pub(crate) labels: Vec<String>,
    /// How much an answer with each label counts in the loss.
    pub(crate) weights: Vec<f32>,
    /// What a person should know about the data.
    pub(crate) notes: Vec<String>,
    features: Option<Vec<String>>,
    is_text: bool,
    scaling: Scaling,
    /// The scaling of the number that is learned.
    answers: Option<Scaling>,
    fingerprint: u64,
    batch: usize,
    seed: u64,
    /// An epoch and its batches.
    epoch: Mutex<(u64, Arc<Vec<Vec<usize>>>)>,
    batches: usize,
}

impl Prepared {
    /// Divides, scales and numbers the sequences of a file.
    ///
    /// # Arguments
    ///
    /// - `balanced`: whether all labels have the same weight in the loss, and not all answers
    ///
    /// # Errors
    ///
    /// If there are too few sequences, only one label, numbers that cannot be scaled, or sequences too long for the memory.
    pub(crate) fn new(
        settings: &Settings,
        sequences: Sequences,
        kind: Kind,
        balanced: bool,
    ) -> Result<Self, Error> {
        let Sequences { file, width, features, is_text, all, mut notes } = sequences;
        let wrong = |why: String| Error::input(format!("{file}: {why}"));
        if all.len() < FEWEST {
            let why = format!("{} sequences are too few: at least {FEWEST} are needed", all.len());
            return Err(wrong(why));
        }
        let labels = labels(&all);
        if kind != Kind::Number && labels.len() < 2 {
            let only = labels.first().map_or("", String::as_str).escape_debug();
            return Err(wrong(format!("all labels are `{only}`: there is nothing to learn")));
        }
        let time = all.iter().map(|sequence| sequence.steps(width)).max().unwrap_or(0);
        let size = SequenceSize { time, input: width, input_has_gradients: false };
        memory::check(settings, size)?;
        if settings.engine == Engine::Rtrl {
            notes.extend(memory::check_rtrl(settings, size)?);
        }
        let parts = divide(&all, kind, settings.seed);
        if parts.valid.is_empty() || parts.test.is_empty() {
            return Err(wrong(format!(
                "{} sequences of {} labels are too few for a validation part and a test part",
                all.len(),
                labels.len()
            )));
        }
        let name = |k: usize| match &features {
            Some(names) => format!("the column `{}`", names[k].escape_debug()),
            None => format!("number {} of the steps", k + 1),
        };
        let scaling = match is_text {
            true => Scaling::none(width),
            false => scaling(&all, &parts.train, width, &name, &mut notes).map_err(wrong)?,
        };
        let answers = answers(&all, &parts.train, kind).map_err(wrong)?;
        let fingerprint = fingerprint(&all);
        let row = |sequence: Sequence| row(sequence, &labels, &scaling, answers.as_ref());
        let rows: Vec<Row> = all.into_iter().map(row).collect();
        let weights = weights(&rows, &parts.train, labels.len(), balanced);
        let mut prepared = Self {
            rows,
            width,
            parts,
            labels,
            weights,
            notes,
            features,
            is_text,
            scaling,
            answers,
            fingerprint,
            batch: settings.batch,
            seed: settings.seed,
            epoch: Mutex::default(),
            batches: 0,
        };
        let first = prepared.batches_of(0);
        prepared.batches = first.len();
        prepared.epoch = Mutex::new((0, Arc::new(first)));
        Ok(prepared)
    }

    /// How many steps a sequence has.
    pub(crate) fn steps(&self, index: usize) -> usize {
        self.rows[index].values.len() / self.width
    }

    /// The training sequences of a step.
    pub(crate) fn trained(&self, step: u64) -> Vec<usize> {
        let count = self.batches as u64;
        let wanted = step / count;
        let mut epoch = self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        if epoch.0 != wanted {
            *epoch = (wanted, Arc::new(self.batches_of(wanted)));
        }
        epoch.1[(step % count) as usize].clone()
    }

    /// The batches of an epoch: sequences of similar lengths, in an order that depends on the seed and the epoch. How many
    /// there are depends on the number of sequences only.
    fn batches_of(&self, epoch: u64) -> Vec<Vec<usize>> {
        let mut order = self.parts.train.clone();
        order.shuffle(&mut generator(self.seed, Purpose::Training, epoch));
        let shuffle = Some(self.seed.wrapping_add(epoch));
        let bucketing = Bucketing { window: WINDOW, shuffle, ..Bucketing::new(self.batch) };
        let lengths: Vec<usize> = (0..self.rows.len()).map(|index| self.steps(index)).collect();
        let mut buckets = Buckets::new(&bucketing, move |&index: &usize| lengths[index]);
        let mut batches = Vec::new();
        for index in order {
            buckets.add(index);
            batches.extend(buckets.batch(false));
        }
        while let Some(batch) = buckets.batch(true) {
            batches.push(batch);
        }
        batches
    }

    /// The inputs of some sequences, padded.
    pub(crate) fn input(&self, indices: &[usize], device: &Device) -> RaggedBatch {
        let rows: Vec<&[f32]> = indices.iter().map(|&i| self.rows[i].values.as_slice()).collect();
        RaggedBatch::pad(&rows, self.width, device)
    }

    /// Some sequences in batches: the shortest first, so that there is little padding.
    pub(crate) fn in_batches(&self, indices: &[usize]) -> Vec<Vec<usize>> {
        let mut indices = indices.to_vec();
        indices.sort_by_key(|&index| self.steps(index));
        indices.chunks(self.batch).map(<[usize]>::to_vec).collect()
    }

    /// How large the unit of the number that is learned is, in its own unit.
    pub(crate) fn unit(&self) -> f64 {
        self.answers.as_ref().map_or(1.0, |scaling| scaling.deviation[0])
    }

    /// The data in a few words.
    pub(crate) fn describe(&self) -> String {
        let lengths = (0..self.rows.len()).map(|index| self.steps(index));
        let (shortest, longest) =
            lengths.fold((usize::MAX, 0), |(low, high), t| (low.min(t), high.max(t)));
        let steps = match shortest == longest {
            true => longest.to_string(),
            false => format!("{shortest} to {longest}"),
        };
        let Parts { train, valid, test } = &self.parts;
        let numbers = match (self.is_text, self.width) {
            (true, _) => "kinds of characters",
            (false, 1) => "number each",
            (false, _) => "numbers each",
        };
        format!(
            "{} sequences of {steps} steps with {} {numbers}: {} for training, {} for validation, {} \
             for the test",
            self.rows.len(),
            self.width,
            train.len(),
            valid.len(),
            test.len(),
        )
    }

    /// How often each label occurs in some sequences.
    pub(crate) fn counts(&self, indices: &[usize]) -> Vec<u64> {
        counts(&self.rows, indices, self.labels.len())
    }

    /// What the run folder keeps.
    pub(crate) fn info(&self) -> LabelledInfo {
        LabelledInfo {
            sequences: self.rows.len(),
            fingerprint: format!("{:016x}", self.fingerprint),
            features: self.features.clone(),
            labels: self.labels.clone(),
            scaling: self.scaling.clone(),
            answers: self.answers.clone(),
        }
    }
}

/// All labels, sorted.
fn labels(all: &[Sequence]) -> Vec<String> {
    let mut labels = BTreeSet::new();
    for sequence in all {
        if let Some(Answer::Labels(own)) = &sequence.answer {
            labels.extend(own.iter().cloned());
        }
    }
    labels.into_iter().collect()
}

/// Divides the sequences: eight tenths for training, a tenth each for validation and test. Sequences with one label are
/// divided label by label, so that each part has about the same share of each, and training has one of each at least.
fn divide(all: &[Sequence], kind: Kind, seed: u64) -> Parts {
    let mut random = generator(seed, Purpose::Split, 0);
    let mut groups = BTreeMap::<&str, Vec<usize>>::new();
    for (index, sequence) in all.iter().enumerate() {
        let group = match &sequence.answer {
            Some(Answer::Labels(labels)) if kind == Kind::Class => labels[0].as_str(),
            _ => "",
        };
        groups.entry(group).or_default().push(index);
    }
    let mut parts = Parts::default();
    let mut place = 0;
    for mut group in groups.into_values() {
        group.shuffle(&mut random);
        for (k, index) in group.into_iter().enumerate() {
            let part = match place % 10 {
                4 if k > 0 => &mut parts.valid,
                9 if k > 0 => &mut parts.test,
                // The first of a label is for training; the next one takes its place.
                4 | 9 => {
                    parts.train.push(index);
                    continue;
                }
                _ => &mut parts.train,
            };
            part.push(index);
            place += 1;
        }
    }
    for part in [&mut parts.train, &mut parts.valid, &mut parts.test] {
        part.sort_unstable();
    }
    parts
}

/// The scaling of the steps, by the training part.
fn scaling(
    all: &[Sequence],
    train: &[usize],
    width: usize,
    name: &dyn Fn(usize) -> String,
    notes: &mut Vec<String>,
) -> Result<Scaling, String> {
    let rows: Vec<&[f64]> = train.iter().map(|&index| all[index].values.as_slice()).collect();
    let (scaling, constant) = Scaling::of(&rows, width).map_err(|k| {
        format!("the values of {} are further apart than numbers of f64 can be", name(k))
    })?;
    if constant.len() == width {
        return Err("all steps are the same in training: there is nothing to learn".to_string());
    }
    notes.extend(constant.into_iter().map(|k| format!("{} never changes in training", name(k))));
    Ok(scaling)
}

/// The scaling of the number that is learned, by the training part.
fn answers(all: &[Sequence], train: &[usize], kind: Kind) -> Result<Option<Scaling>, String> {
    if kind != Kind::Number {
        return Ok(None);
    }
    let number = |&index: &usize| match all[index].answer {
        Some(Answer::Number(number)) => number,
        _ => 0.0,
    };
    let numbers: Vec<f64> = train.iter().map(number).collect();
    match Scaling::of(&[&numbers], 1) {
        Ok((scaling, constant)) if constant.is_empty() => Ok(Some(scaling)),
        Ok(_) => Err("all numbers to learn are the same in training".to_string()),
        Err(_) => Err("the numbers to learn are further apart than f64 can be".to_string()),
    }
}

fn row(sequence: Sequence, labels: &[String], scaling: &Scaling, answers: Option<&Scaling>) -> Row {
    let values = scaling.apply(&sequence.values);
    let number_of = |label: &String| labels.binary_search(label).unwrap_or(0) as i32;
    let (classes, number) = match (&sequence.answer, answers) {
        (Some(Answer::Labels(own)), _) => (own.iter().map(number_of).collect(), 0.0),
        (Some(Answer::Number(number)), Some(answers)) => (Vec::new(), answers.apply(&[*number])[0]),
        _ => (Vec::new(), 0.0),
    };
    Row { values, classes, number }
}

fn counts(rows: &[Row], indices: &[usize], labels: usize) -> Vec<u64> {
    let mut counts = vec![0; labels];
    for class in indices.iter().flat_map(|&index| &rows[index].classes) {
        counts[*class as usize] += 1;
    }
    counts
}

/// How much an answer with each label counts. Balanced weights are inverse to how often a label occurs in training, and
/// their mean over all training answers is one; a label that does not occur there has weight one.
fn weights(rows: &[Row], train: &[usize], labels: usize, balanced: bool) -> Vec<f32> {
    if !balanced {
        return vec![1.0; labels];
    }
    let counts = counts(rows, train, labels);
    let present = counts.iter().filter(|&&count| count > 0).count() as f64;
    let all = counts.iter().sum::<u64>() as f64;
    let weight = |&count: &u64| if count > 0 { all / (present * count as f64) } else { 1.0 };
    counts.iter().map(|count| weight(count) as f32).collect()
}

/// A hash of the sequences and their answers (FNV-1a).
fn fingerprint(all: &[Sequence]) -> u64 {
    let mut hash = Fingerprint::new();
    let mut add = |bytes: &[u8]| hash.add(bytes.iter().copied());
    for Sequence { values, answer, .. } in all {
        add(&(values.len() as u64).to_le_bytes());
        values.iter().for_each(|value| add(&value.to_bits().to_le_bytes()));
        match answer {
            Some(Answer::Labels(labels)) => labels.iter().for_each(|label| {
                add(label.as_bytes());
                add(&[0xff]);
            }),
            Some(Answer::Number(number)) => add(&number.to_bits().to_le_bytes()),
            None => {}
        }
    }
    hash.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequences(count: usize, label: impl Fn(usize) -> String) -> Sequences {
        let sequence = |k: usize| Sequence {
            name: k.to_string(),
            line: k + 1,
            values: (0..1 + k * 7 % 13).map(|t| (k + t) as f64).collect(),
            answer: Some(Answer::Labels(vec![label(k)])),
        };
        let all = (0..count).map(sequence).collect();
        let (file, notes) = ("f".to_string(), Vec::new());
        Sequences { file, width: 1, features: None, is_text: false, all, notes }
    }

    fn prepared(sequences: Sequences, seed: u64, balanced: bool) -> Result<Prepared, Error> {
        let none = serde_json::Map::new();
        let settings = Settings { batch: 4, seed, ..Settings::new("mine", &none) };
        Prepared::new(&settings, sequences, Kind::Class, balanced)
    }

    #[test]
    fn parts_are_apart_and_have_each_label_in_its_share() {
        let label = |k: usize| if k.is_multiple_of(4) { "rare" } else { "usual" }.to_string();
        let data = prepared(sequences(200, label), 1, false).unwrap();
        let Parts { train, valid, test } = data.parts.clone();
        assert_eq!((train.len(), valid.len(), test.len()), (160, 20, 20));
        let mut all = [train.clone(), valid.clone(), test.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..200).collect::<Vec<_>>());
        assert_eq!([&train, &valid, &test].map(|part| data.counts(part)[0]), [40, 5, 5]);
        assert_eq!(data.parts, prepared(sequences(200, label), 1, false).unwrap().parts);
        assert_ne!(data.parts, prepared(sequences(200, label), 2, false).unwrap().parts);
        // Each of many labels has a sequence in training.
        let data = prepared(sequences(60, |k| (k % 30).to_string()), 1, false).unwrap();
        assert!(data.counts(&data.parts.train).iter().all(|&count| count > 0));
        assert!(!data.parts.valid.is_empty() && !data.parts.test.is_empty());
    }

    #[test]
    fn every_epoch_has_each_sequence_once_in_another_order() {
        let data = prepared(sequences(103, |k| (k % 2).to_string()), 1, false).unwrap();
        let epoch = |epoch: u64| {
            let steps = epoch * data.batches as u64..(epoch + 1) * data.batches as u64;
            steps.map(|step| data.trained(step)).collect::<Vec<_>>()
        };
        let (first, second) = (epoch(0), epoch(1));
        assert_ne!(first, second);
        for batches in [&first, &second, &epoch(7)] {
            let mut all = batches.concat();
            all.sort_unstable();
            assert_eq!(all, data.parts.train);
        }
        // A step depends on nothing but its number.
        assert_eq!(first, epoch(0));
        let padding = |batch: &Vec<usize>| {
            bptt::Padding::of(&batch.iter().map(|&index| data.steps(index)).collect::<Vec<_>>())
        };
        let share = first.iter().map(padding).sum::<bptt::Padding>().share();
        assert!(share < 0.2, "{share}");
    }

    #[test]
    fn balanced_weights_give_each_label_the_same_sum() {
        let label = |k: usize| if k.is_multiple_of(5) { "rare" } else { "usual" }.to_string();
        let data = prepared(sequences(100, label), 1, true).unwrap();
        let counts = data.counts(&data.parts.train);
        let sums: Vec<f64> = counts
            .iter()
            .zip(&data.weights)
            .map(|(&count, &weight)| count as f64 * f64::from(weight))
            .collect();
        assert!((sums[0] - sums[1]).abs() < 1e-4 && (sums[0] - 40.0).abs() < 1e-4, "{sums:?}");
    }

    #[test]
    fn data_that_teaches_nothing_is_one_line() {
        let message = |data: Sequences| prepared(data, 1, false).unwrap_err().to_string();
        let found = message(sequences(9, |k| k.to_string()));
        assert_eq!(found, "f: 9 sequences are too few: at least 10 are needed");
        let found = message(sequences(20, |_| "a".to_string()));
        assert!(found.contains("all labels are `a`"), "{found}");
        let mut same = sequences(20, |k| (k % 2).to_string());
        same.all.iter_mut().for_each(|sequence| sequence.values.fill(1.0));
        let found = message(same);
        assert!(found.contains("all steps are the same"), "{found}");
    }

    #[test]
    fn the_fingerprint_follows_values_and_labels() {
        let mut data = sequences(10, |k| (k % 2).to_string());
        let before = fingerprint(&data.all);
        data.all[3].answer = Some(Answer::Labels(vec!["x".to_string()]));
        let other = fingerprint(&data.all);
        data.all[0].values[0] += 1.0;
        assert!(before != other && other != fingerprint(&data.all));
    }
}
