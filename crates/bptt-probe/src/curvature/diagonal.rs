//! Diagonal weights among the operands of a layer: memories that do not change.

use crate::curvature::stacking::{Matrix, tangent};
use bptt::Recorded;
use bptt::cells::Dual;
use burn::Tensor;

/// The memories of a layer, and the state that a reset sets.
pub(super) struct States<'a> {
    /// `[B, P]`
    pub(super) hidden: &'a Matrix,
    /// `[B, H]` each.
    pub(super) memory: &'a mut Vec<Matrix>,
    pub(super) reset_hidden: &'a mut Option<Matrix>,
    pub(super) reset_memory: &'a mut Vec<Matrix>,
}

/// How the diagonal weights, `[V, H]`, were added to the memories of a layer.
pub(super) struct Diagonal {
    count: usize,
    /// One of the memories, `[B, H]`, as zeros.
    zero: Option<Matrix>,
    /// Whether the state that a reset sets was zero and not given.
    sets_reset: bool,
}

impl Diagonal {
    /// Adds the weights behind the memories, for each row, and behind those that a reset sets.
    pub(super) fn add(weight: Option<Matrix>, resets: bool, states: States<'_>) -> Self {
        let Some(weight) = weight else {
            return Self { count: 0, zero: None, sets_reset: false };
        };
        let ([count, width], [batch, _]) = (weight.value.0.dims(), states.hidden.value.0.dims());
        let plane = |v: usize| {
            weight.linear(|w| Recorded(w.0.clone().slice([v..v + 1]).repeat_dim(0, batch)))
        };
        let planes: Vec<_> = (0..count).map(plane).collect();
        let zeros = |like: &Matrix| Dual::constant(Recorded(like.value.0.zeros_like()));
        let is_given = states.reset_hidden.is_some();
        if resets && !is_given {
            *states.reset_hidden = Some(zeros(states.hidden));
            *states.reset_memory = states.memory.iter().map(zeros).collect();
        }
        if states.reset_hidden.is_some() {
            states.reset_memory.extend(planes.iter().cloned());
        }
        let zero = planes.first().map(zeros);
        debug_assert!(zero.as_ref().is_some_and(|zero| zero.value.0.dims() == [batch, width]));
        states.memory.extend(planes);
        Self { count, zero, sets_reset: resets && !is_given }
    }

    /// The final memories without the weights.
    pub(super) fn without(&self, mut memory: Vec<Matrix>) -> Vec<Matrix> {
        memory.truncate(memory.len() - self.count);
        memory
    }

    /// dLoss/d(final memories), with zeros for the weights.
    pub(super) fn with_zeros(&self, mut memory: Vec<Matrix>) -> Vec<Matrix> {
        memory.extend(self.zero.iter().cycle().take(self.count).cloned());
        memory
    }

    /// Takes the gradient of the weights, `[V, H]`, from those of the memories: the sum over the rows, from the
    /// beginning and after resets.
    pub(super) fn take(&self, states: States<'_>) -> Option<Matrix> {
        let first = states.memory.len() - self.count;
        let mut planes = states.memory.split_off(first);
        if states.reset_memory.len() > first {
            let after_resets = states.reset_memory.split_off(first);
            planes = planes.into_iter().zip(after_resets).map(|(a, b)| a + b).collect();
        }
        if self.sets_reset {
            *states.reset_hidden = None;
            states.reset_memory.clear();
        }
        if planes.is_empty() {
            return None;
        }
        let sums = |part: &dyn Fn(&Matrix) -> Tensor<2>| {
            Recorded(Tensor::cat(planes.iter().map(|x| part(x).sum_dim(0)).collect(), 0))
        };
        Some(Dual::new(sums(&|x| x.value.0.clone()), Some(sums(&tangent))))
    }
}
