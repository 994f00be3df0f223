//! Sequences with their targets.

use crate::readout::parameters::matrix;
use burn::Tensor;
use burn::tensor::{DType, Int};

/// What the linear layer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// The output at each step.
    EveryStep,
    /// The last layer's hidden state after the last step of each sequence, in both directions if there are two.
    LastHidden,
}

/// Sequences.
#[derive(Clone, Debug)]
pub enum Input {
    /// `[B, T, I]`
    Values(Tensor<3>),
    /// `[B, T]`, for a model with an embedding.
    Tokens(Tensor<2, Int>),
}

/// What the model should answer, and the loss. There are `N = B` rows for [`Reads::LastHidden`], and `N = B·T` for
/// [`Reads::EveryStep`].
#[derive(Clone, Debug)]
pub enum Target {
    /// `[N, O]`: the mean squared error.
    Values(Tensor<2>),
    /// `[N]`: the cross entropy in nats.
    Classes(Tensor<1, Int>),
}

/// Sequences with their targets.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The sequences.
    pub input: Input,
    /// What the model should answer.
    pub target: Target,
    /// How many steps of each row belong to the sequence; `None`: all. Answers at other steps do not count.
    pub lengths: Option<Vec<usize>>,
    /// The initial hidden states, `[L·D, B, P]`. They are constants, like the memories.
    pub hidden: Option<Tensor<3>>,
    /// The initial memories, `[L·D·M, B, H]`.
    pub memory: Option<Tensor<3>>,
    /// The share of the batch in the whole loss.
    pub share: f64,
}

impl Batch {
    /// Sequences of full length from states of zeros, which are the whole data.
    pub fn new(input: Input, target: Target) -> Self {
        Self { input, target, lengths: None, hidden: None, memory: None, share: 1.0 }
    }

    /// The first batches, as if they were all the data; and their share in it.
    pub fn first(mut all: Vec<Self>, count: usize) -> (Vec<Self>, f64) {
        if count >= all.len() {
            // Without the rounding of a sum.
            return (all, 1.0);
        }
        all.truncate(count);
        let share = all.iter().map(|batch| batch.share).sum();
        all.iter_mut().for_each(|batch| batch.share /= share);
        (all, share)
    }

    /// How many steps all rows have together, `B · T`.
    pub fn steps(&self) -> usize {
        let [rows, time] = match &self.input {
            Input::Values(values) => [values.dims()[0], values.dims()[1]],
            Input::Tokens(tokens) => tokens.dims(),
        };
        rows * time
    }

    /// The same in another float type.
    pub fn cast(self, dtype: DType) -> Self {
        Self {
            input: match self.input {
                Input::Values(values) => Input::Values(values.cast(dtype)),
                tokens => tokens,
            },
            target: match self.target {
                Target::Values(values) => Target::Values(values.cast(dtype)),
                classes => classes,
            },
            hidden: self.hidden.map(|hidden| hidden.cast(dtype)),
            memory: self.memory.map(|memory| memory.cast(dtype)),
            ..self
        }
    }

    /// The weight of each row in the mean, `[N, 1]`.
    pub(super) fn row_weights(
        &self,
        reads: Reads,
        [batch, time]: [usize; 2],
        like: &Tensor<2>,
    ) -> Tensor<2> {
        let weights = match (&self.lengths, reads) {
            (Some(lengths), Reads::EveryStep) => {
                let each = 1.0 / lengths.iter().sum::<usize>() as f64;
                let row =
                    |&length: &usize| (0..time).map(move |t| if t < length { each } else { 0.0 });
                lengths.iter().flat_map(row).collect()
            }
            (None, Reads::EveryStep) => vec![1.0 / (batch * time) as f64; batch * time],
            (_, Reads::LastHidden) => vec![1.0 / batch as f64; batch],
        };
        let weights = weights.into_iter().map(|weight| weight * self.share).collect();
        matrix(weights, 1, like)
    }
}
