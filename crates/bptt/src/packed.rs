//! Sequences of different lengths without their padding, as PyTorch packs them.

use burn::Tensor;
use burn::tensor::{Device, Int, TensorData};

/// Sequences of different lengths without their padding: PyTorch's `PackedSequence`.
///
/// The layers do not need it: [`forward_lengths`](crate::Recurrent::forward_lengths) takes padded batches in any order and
/// skips the padding. This type is for programs that come from PyTorch, and for operations on all valid steps
/// at once, such as a linear layer or a loss, which padding should not enter.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::PackedSequence;
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let padded = Tensor::<3>::from_data([[[1.], [0.]], [[2.], [3.]]], &device); // [B, T, I]
/// let packed = PackedSequence::pack(padded.clone(), &[1, 2], true);
/// assert_eq!(packed.batch_sizes(), [2, 1]);
/// packed.data().to_data().assert_eq(&[[2.], [1.], [3.]].into(), false);
/// let (again, lengths) = packed.pad(true);
/// assert_eq!(lengths, [1, 2]);
/// again.into_data().assert_eq(&padded.into_data(), true);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PackedSequence {
    data: Tensor<2>,
    batch_sizes: Vec<usize>,
    /// The length of each row, in the batch's own order.
    lengths: Vec<usize>,
    /// The rows in the order of decreasing length.
    sorted: Vec<usize>,
}

impl PackedSequence {
    /// Packs a padded batch: PyTorch's `pack_padded_sequence` with `enforce_sorted=False`.
    ///
    /// # Arguments
    ///
    /// - `input`: `[B, T, I]`, or `[T, B, I]` without `batch_first`
    /// - `lengths`: one for each row, `0 ..= T`, in any order, at least one of them not zero
    ///
    /// # Panics
    ///
    /// If the lengths do not fit the input, or are all zero.
    pub fn pack(input: Tensor<3>, lengths: &[usize], batch_first: bool) -> Self {
        let input = if batch_first { input.swap_dims(0, 1) } else { input };
        let [time, batch, width] = input.dims();
        assert!(
            lengths.len() == batch && lengths.iter().all(|&length| length <= time),
            "lengths {lengths:?} for {batch} rows of {time} steps: expected one for each row, none \
             over the number of steps",
        );
        let layout = Layout::of(lengths);
        assert!(
            !layout.places.is_empty(),
            "lengths {lengths:?} are all zero: there is nothing to pack",
        );
        let places = layout.places.iter().map(|&(t, b)| t * batch + b);
        let places = indices(places, &input.device());
        let data = input.reshape([time * batch, width]).select(0, places);
        Self {
            data,
            batch_sizes: layout.batch_sizes,
            lengths: lengths.to_vec(),
            sorted: layout.sorted,
        }
    }

    /// The padded batch, with zeros in the padding, and the lengths: PyTorch's `pad_packed_sequence`. The number of
    /// steps is the length of the longest row.
    ///
    /// # Returns
    ///
    /// - `[B, T, I]`, or `[T, B, I]` without `batch_first`
    /// - the lengths, in the batch's own order
    pub fn pad(&self, batch_first: bool) -> (Tensor<3>, Vec<usize>) {
        let [count, width] = self.data.dims();
        let (time, batch) = (self.batch_sizes.len(), self.lengths.len());
        // One row of zeros is added at the end, and is gathered for all padding.
        let zero = Tensor::zeros([1, width], (&self.data.device(), self.data.dtype()));
        let mut from = vec![count; time * batch];
        for (index, (t, b)) in Layout::of(&self.lengths).places.into_iter().enumerate() {
            from[if batch_first { b * time + t } else { t * batch + b }] = index;
        }
        let from = indices(from.into_iter(), &self.data.device());
        let all = Tensor::cat(vec![self.data.clone(), zero], 0).select(0, from);
        let shape = if batch_first { [batch, time, width] } else { [time, batch, width] };
        (all.reshape(shape), self.lengths.clone())
    }

    /// All valid steps, `[Σ lengths, I]`: those of the first time step, the longest row first, then
    /// those of the second, …
    pub fn data(&self) -> &Tensor<2> {
        &self.data
    }

    /// How many rows are valid at each time step.
    pub fn batch_sizes(&self) -> &[usize] {
        &self.batch_sizes
    }

    /// The length of each row, in the batch's own order.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// The rows of the batch by decreasing length: PyTorch's `sorted_indices`.
    pub fn sorted_indices(&self) -> &[usize] {
        &self.sorted
    }

    /// The same sequences with other values, such as the outputs of a linear layer.
    ///
    /// # Panics
    ///
    /// If the number of rows differs.
    pub fn with_data(self, data: Tensor<2>) -> Self {
        assert!(
            data.dims()[0] == self.data.dims()[0],
            "packed data of shape {:?} for {} valid steps",
            data.dims(),
            self.data.dims()[0],
        );
        Self { data, ..self }
    }
}

/// Where the valid steps are.
struct Layout {
    sorted: Vec<usize>,
    batch_sizes: Vec<usize>,
    /// The time step and the row of each valid step.
    places: Vec<(usize, usize)>,
}

impl Layout {
    fn of(lengths: &[usize]) -> Self {
        let mut sorted: Vec<usize> = (0..lengths.len()).collect();
        // Stable: rows of one length keep their order.
        sorted.sort_by_key(|&b| std::cmp::Reverse(lengths[b]));
        let time = lengths.iter().copied().max().unwrap_or(0);
        let (mut batch_sizes, mut places) = (Vec::with_capacity(time), Vec::new());
        for t in 0..time {
            let before = places.len();
            places.extend(sorted.iter().filter(|&&b| t < lengths[b]).map(|&b| (t, b)));
            batch_sizes.push(places.len() - before);
        }
        Self { sorted, batch_sizes, places }
    }
}

fn indices(values: impl ExactSizeIterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let count = values.len();
    let values: Vec<i32> = values.map(|value| value as i32).collect();
    Tensor::from_data(TensorData::new(values, [count]), device)
}
