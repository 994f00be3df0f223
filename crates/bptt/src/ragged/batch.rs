//! A batch of sequences of different lengths, and how much of it is padding.

use burn::Tensor;
use burn::tensor::{Device, TensorData};
use std::iter::Sum;
use std::ops::Add;

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

/// Sequences of different lengths, padded with zeros to the longest of them.
#[derive(Clone, Debug)]
pub struct RaggedBatch {
    /// `[B, T, I]`
    pub input: Tensor<3>,
    /// The length of each row, for [`forward_lengths`](crate::Recurrent::forward_lengths).
    pub lengths: Vec<usize>,
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
        Self { input: Tensor::from_data(data, device), lengths }
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
