//! A batch of sequences of different lengths, one or several in a row, and how much of it is padding.

use crate::sequence_options::SequenceOptions;
use burn::Tensor;
use burn::tensor::{Bool, Device, TensorData};
use std::cmp::Reverse;
use std::iter::Sum;
use std::ops::{Add, Range};

/// How much of one or more batches is padding.
///
/// ```
/// use bptt::Padding;
///
/// let batches = [Padding::of(&[3, 5]), Padding::of(&[1, 1, 1])];
/// let all: Padding = batches.into_iter().sum();
/// assert_eq!(all, Padding { valid: 11, total: 13 });
/// assert!((all.share() - 2.0 / 13.0).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Padding {
    /// How many steps belong to a sequence.
    pub valid: usize,
    /// How many steps there are, with the padding of the short rows.
    pub total: usize,
}

impl Padding {
    /// The padding of a batch with these lengths, padded to the longest one.
    pub fn of(lengths: &[usize]) -> Self {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        Self { valid: lengths.iter().sum(), total: longest * lengths.len() }
    }

    /// The share of the steps that is padding, from 0 to 1; 0 if there are none.
    pub fn share(&self) -> f64 {
        match self.total {
            0 => 0.0,
            total => 1.0 - self.valid as f64 / total as f64,
        }
    }
}

impl Add for Padding {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { valid: self.valid + other.valid, total: self.total + other.total }
    }
}

impl Sum for Padding {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// Sequences of different lengths, padded with zeros to the longest row. A row has one sequence, or several
/// ([`pack`](Self::pack)).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RaggedBatch {
    /// `[B, T, I]`
    pub input: Tensor<3>,
    /// The length of each row.
    pub lengths: Vec<usize>,
    /// Where the sequences begin, `[B, T]`, if a row has several.
    pub resets: Option<Tensor<2, Bool>>,
    /// Where each sequence is, in the order in which they came: its row and its steps.
    pub places: Vec<(usize, Range<usize>)>,
}

impl RaggedBatch {
    /// Pads sequences.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use bptt::RaggedBatch;
    ///
    /// let rows = [vec![1.0, 2.0, 3.0, 4.0], vec![5.0, 6.0]];
    /// let batch = RaggedBatch::pad(&rows, 2, &burn::tensor::Device::flex());
    /// assert_eq!(batch.input.dims(), [2, 2, 2]);
    /// assert_eq!(batch.lengths, [2, 1]);
    /// assert_eq!(batch.padding().share(), 0.25);
    /// # }
    /// ```
    ///
    /// # Arguments
    ///
    /// - `rows`: for each sequence, the numbers of its steps, `[T_b · I]`
    /// - `d_input`: `I`
    ///
    /// # Panics
    ///
    /// If `d_input` is zero, or if a sequence does not consist of whole steps.
    pub fn pad(rows: &[impl AsRef<[f32]>], d_input: usize, device: &Device) -> Self {
        let lengths: Vec<usize> = rows.iter().map(|row| steps(row.as_ref(), d_input)).collect();
        let time = lengths.iter().copied().max().unwrap_or(0);
        let mut values = Vec::with_capacity(rows.len() * time * d_input);
        for (index, row) in rows.iter().enumerate() {
            values.extend_from_slice(row.as_ref());
            values.resize((index + 1) * time * d_input, 0.0);
        }
        let data = TensorData::new(values, [rows.len(), time, d_input]);
        let places = lengths.iter().enumerate().map(|(row, &length)| (row, 0..length)).collect();
        Self { input: Tensor::from_data(data, device), lengths, resets: None, places }
    }

    /// Packs sequences into as few rows as it finds, one behind the other, with a reset where each begins. So less of
    /// the batch is padding. The longest sequence comes first, and each goes to the first row that has room (first fit,
    /// decreasing; D. S. Johnson, "Near-optimal bin packing algorithms", 1973).
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use bptt::RaggedBatch;
    ///
    /// let documents = [vec![1.0, 2.0], vec![3.0, 4.0, 5.0], vec![6.0]];
    /// let batch = RaggedBatch::pack(&documents, 1, 4, &burn::tensor::Device::flex());
    /// assert_eq!(batch.input.dims(), [2, 4, 1]);
    /// assert_eq!(batch.places, [(1, 0..2), (0, 0..3), (0, 3..4)]);
    /// # }
    /// ```
    ///
    /// # Arguments
    ///
    /// - `sequences`: for each sequence, the numbers of its steps, `[T_b · I]`
    /// - `d_input`: `I`
    /// - `time`: how many steps a row may have. A longer sequence has a row of its own
    ///
    /// # Panics
    ///
    /// As [`pad`](Self::pad).
    pub fn pack(
        sequences: &[impl AsRef<[f32]>],
        d_input: usize,
        time: usize,
        device: &Device,
    ) -> Self {
        let length = |index: usize| steps(sequences[index].as_ref(), d_input);
        let mut order: Vec<usize> = (0..sequences.len()).collect();
        // Stable: sequences of one length keep their order.
        order.sort_by_key(|&index| Reverse(length(index)));
        let mut rows: Vec<Vec<f32>> = Vec::new();
        let mut places = vec![(0, 0..0); sequences.len()];
        for index in order {
            let ends = rows.iter().map(|row| row.len() / d_input);
            let has_room = |end: usize| end + length(index) <= time;
            let row = ends.clone().position(has_room).unwrap_or(rows.len());
            if row == rows.len() {
                rows.push(Vec::new());
            }
            let start = rows[row].len() / d_input;
            rows[row].extend_from_slice(sequences[index].as_ref());
            places[index] = (row, start..start + length(index));
        }
        let mut batch = Self::pad(&rows, d_input, device);
        let [count, longest, _] = batch.input.dims();
        let mut resets = vec![false; count * longest];
        for (row, steps) in places.iter().filter(|(_, steps)| !steps.is_empty()) {
            resets[row * longest + steps.start] = true;
        }
        let resets = TensorData::new(resets, [count, longest]);
        batch.resets = Some(Tensor::from_data(resets, device));
        batch.places = places;
        batch
    }

    /// Its lengths and resets, for [`forward_with`](crate::Recurrent::forward_with).
    pub fn options<S>(&self) -> SequenceOptions<S> {
        let options = SequenceOptions::new().with_lengths(&self.lengths);
        match &self.resets {
            Some(resets) => options.with_resets(resets.clone()),
            None => options,
        }
    }

    /// How much of the batch is padding.
    pub fn padding(&self) -> Padding {
        Padding::of(&self.lengths)
    }
}

/// How many steps a sequence has.
fn steps(row: &[f32], d_input: usize) -> usize {
    assert!(
        d_input > 0 && row.len().is_multiple_of(d_input),
        "a sequence of {} numbers with I = {d_input}: expected whole steps",
        row.len(),
    );
    row.len() / d_input
}
