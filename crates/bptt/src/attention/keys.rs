//! What attention is over.

use crate::attention::padding::without_padding;
use burn::tensor::{Bool, Int, Tensor};

/// A batch of sequences to attend to: keys, values, and where the padding is.
///
/// [`Attention::keys`](crate::attention::Attention::keys) makes them once for a sequence; each query then reads them.
#[derive(Clone, Debug)]
pub struct Keys {
    /// `[B, Tk, A]`
    pub(super) keys: Tensor<3>,
    /// `[B, Tk, V]`
    pub(super) values: Tensor<3>,
    /// `[B, Tk]`, true at the padding.
    pub(super) padding: Option<Tensor<2, Bool>>,
}

impl Keys {
    /// From states `[B, Tk, K]`, which are the values. The keys are a function of them.
    pub(super) fn new(
        states: Tensor<3>,
        lengths: Option<&[usize]>,
        keys: impl FnOnce(Tensor<3>) -> Tensor<3>,
    ) -> Self {
        let (values, padding) = without_padding(states, lengths);
        Self { keys: keys(values.clone()), values, padding }
    }

    /// How many rows and steps there are, `[B, Tk]`.
    pub fn dims(&self) -> [usize; 2] {
        let [batch, time, _] = self.values.dims();
        [batch, time]
    }

    /// These rows of the batch, in this order. A row may occur several times, as for the hypotheses of a beam.
    pub fn select_rows(&self, rows: Tensor<1, Int>) -> Self {
        Self {
            keys: self.keys.clone().select(0, rows.clone()),
            values: self.values.clone().select(0, rows.clone()),
            padding: self.padding.clone().map(|padding| padding.select(0, rows)),
        }
    }
}
