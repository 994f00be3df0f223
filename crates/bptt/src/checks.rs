//! The checks that a layer makes of its input, its state and its weights. Each message names both shapes.

use crate::cell::SequenceCell;
use crate::recurrent::Recurrent;
use burn::Tensor;

impl<C: SequenceCell> Recurrent<C> {
    /// `[B, T]`
    pub(crate) fn check_input(&self, input: &Tensor<3>) -> [usize; 2] {
        let name = self.cell.name();
        let dims = input.dims();
        let (layout, batch, time) = match self.options.batch_first {
            true => ("[B, T, I]", dims[0], dims[1]),
            false => ("[T, B, I]", dims[1], dims[0]),
        };
        assert!(
            dims[2] == self.options.d_input && batch > 0 && time > 0,
            "{name}: the input has shape {dims:?}, expected {layout} with at least one row, at \
             least one step and I = {}",
            self.options.d_input,
        );
        [batch, time]
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

    pub(crate) fn check_lengths(
        &self,
        lengths: &[usize],
        input: &Tensor<3>,
        batch: usize,
        time: usize,
    ) {
        let (name, dims) = (self.cell.name(), input.dims());
        let layout = if self.options.batch_first { "[B, T, I]" } else { "[T, B, I]" };
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

    /// Checks a state, which is called `what` in messages.
    pub(crate) fn check_state(
        &self,
        what: &str,
        hidden: &Tensor<3>,
        memory: Option<&Tensor<3>>,
        batch: usize,
    ) {
        let name = self.cell.name();
        let rows = self.parts();
        let expected = [rows, batch, self.d_state()];
        assert!(
            hidden.dims() == expected,
            "{name}: the {what}'s `hidden` has shape {:?}, expected [L·D, B, P] = {expected:?}",
            hidden.dims(),
        );
        let memories = self.cell.memories();
        let expected = (memories > 0).then_some([rows * memories, batch, self.options.d_hidden]);
        let found = memory.map(|memory| memory.dims());
        assert!(
            found == expected,
            "{name}: the {what}'s `cell` has shape {found:?}, expected [L·D, B, H] = {expected:?}",
        );
    }
}
