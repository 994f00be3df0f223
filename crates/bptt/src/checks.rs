//! The checks that a layer makes of its input, its state and its weights. Each message names both shapes.

use crate::cell::SequenceCell;
use crate::recurrent::Recurrent;
use burn::Tensor;
use burn::tensor::Bool;
use std::sync::Arc;

/// What the checks of all layers know of a layer.
pub(crate) struct LayerShape {
    pub(crate) name: &'static str,
    pub(crate) batch_first: bool,
    /// `I`
    pub(crate) d_input: usize,
    /// `L·D`
    pub(crate) parts: usize,
    /// `P`, the size of the hidden state.
    pub(crate) d_state: usize,
    /// `M`
    pub(crate) memories: usize,
    /// `H`, the size of a memory.
    pub(crate) d_hidden: usize,
}

impl LayerShape {
    fn layout(&self) -> &'static str {
        if self.batch_first { "[B, T, I]" } else { "[T, B, I]" }
    }

    /// `[B, T]`
    pub(crate) fn check_input(&self, input: &Tensor<3>) -> [usize; 2] {
        let (name, dims) = (self.name, input.dims());
        let [batch, time] = if self.batch_first { [dims[0], dims[1]] } else { [dims[1], dims[0]] };
        assert!(
            dims[2] == self.d_input && batch > 0 && time > 0,
            "{name}: the input has shape {dims:?}, expected {} with at least one row, at \
             least one step and I = {}",
            self.layout(),
            self.d_input,
        );
        [batch, time]
    }

    pub(crate) fn check_lengths(&self, lengths: &[usize], input: &Tensor<3>) {
        let [batch, time] = self.check_input(input);
        let (name, dims, layout) = (self.name, input.dims(), self.layout());
        assert!(
            lengths.len() == batch,
            "{name}: {} lengths for an input of shape {dims:?} ({layout}): expected {batch}",
            lengths.len(),
        );
        if let Some(row) = lengths.iter().position(|&length| length > time) {
            panic!(
                "{name}: row {row} has length {}, and the input of shape {dims:?} ({layout}) has \
                 {time} steps",
                lengths[row],
            );
        }
    }

    /// Flags `[B, T]` in the order of time, `[T, B]`.
    pub(crate) fn flags_by_time(
        &self,
        flags: &Tensor<2, Bool>,
        what: &str,
        input: &Tensor<3>,
    ) -> Arc<[bool]> {
        let [batch, time] = self.check_input(input);
        assert!(
            flags.dims() == [batch, time],
            "{}: the {what} has shape {:?} for an input of shape {:?}: expected [B, T] = {:?}",
            self.name,
            flags.dims(),
            input.dims(),
            [batch, time],
        );
        let data = flags.to_data();
        let flags: Vec<bool> = data.iter::<bool>().collect();
        let by_time = (0..time).flat_map(|t| (0..batch).map(move |b| (b, t)));
        by_time.map(|(b, t)| flags[b * time + t]).collect()
    }

    /// Checks a state, which is called `what` in messages.
    pub(crate) fn check_state(
        &self,
        what: &str,
        hidden: &Tensor<3>,
        memory: Option<&Tensor<3>>,
        batch: usize,
    ) {
        let (name, rows) = (self.name, self.parts);
        let expected = [rows, batch, self.d_state];
        assert!(
            hidden.dims() == expected,
            "{name}: the {what}'s `hidden` has shape {:?}, expected [L·D, B, P] = {expected:?}",
            hidden.dims(),
        );
        let memories = self.memories;
        let expected = (memories > 0).then_some([rows * memories, batch, self.d_hidden]);
        let found = memory.map(|memory| memory.dims());
        assert!(
            found == expected,
            "{name}: the {what}'s `cell` has shape {found:?}, expected [L·D, B, H] = {expected:?}",
        );
    }
}

impl<C: SequenceCell> Recurrent<C> {
    pub(crate) fn shape(&self) -> LayerShape {
        LayerShape {
            name: self.cell.name(),
            batch_first: self.options.batch_first,
            d_input: self.options.d_input,
            parts: self.parts(),
            d_state: self.d_state(),
            memories: self.cell.memories(),
            d_hidden: self.options.d_hidden,
        }
    }

    /// `[B, T]`
    pub(crate) fn check_input(&self, input: &Tensor<3>) -> [usize; 2] {
        self.shape().check_input(input)
    }

    /// Checks the weights' shapes, because the field is public and anybody can replace them.
    pub(crate) fn check_weights(&self) {
        let expected = self.parts();
        assert!(
            self.weights.len() == expected,
            "{}: the layer has {} sets of `weights`, expected L·D = {expected}",
            self.cell.name(),
            self.weights.len(),
        );
        let heads = self.options.num_heads;
        if let Some(other) = self.weights.iter().find(|weights| weights.weight_hh.heads() != heads)
        {
            panic!(
                "{}: `weight_hh` is in {} heads, and the layer in {heads}: expected the same number",
                self.cell.name(),
                other.weight_hh.heads(),
            );
        }
    }

    /// Checks that the bytes of all tensors can be addressed.
    pub(crate) fn check_sizes(&self, batch: usize, time: usize) {
        // The check is for the widest type. The kernel checks the available memory.
        let gates = self.cell.gates().saturating_mul(self.options.d_hidden);
        let sizes = [batch, time, gates, size_of::<f64>()];
        let bytes = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        assert!(
            bytes.is_some_and(|bytes| isize::try_from(bytes).is_ok()),
            "{}: the input has T = {time} steps of B = {batch} rows: with G·H = {gates} its gates take \
             more memory than there are addresses; expected fewer steps at a time (`Truncated`), or \
             fewer rows",
            self.cell.name(),
        );
    }

    /// See [`LayerShape::check_state`].
    pub(crate) fn check_state(
        &self,
        what: &str,
        hidden: &Tensor<3>,
        memory: Option<&Tensor<3>>,
        batch: usize,
    ) {
        self.shape().check_state(what, hidden, memory, batch);
    }
}
