//! The noise of a layer, drawn for one call.

use crate::recurrent_noise::{NoiseKind, RecurrentNoise};
use crate::recurrent_weight::RecurrentWeight;
use bptt_kernels::{AnyTensor, Kept, StepNoise};
use burn::Tensor;
use burn::tensor::TensorData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The noise of a layer, and how many sequences it has been drawn for. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct LayerNoise {
    pub(crate) noise: RecurrentNoise,
    calls: Arc<AtomicU64>,
}

/// The noise of one call.
pub(crate) struct CallNoise {
    noise: RecurrentNoise,
    /// Which call it is; `None` in evaluation.
    call: Option<u64>,
}

impl LayerNoise {
    pub(crate) fn new(noise: RecurrentNoise) -> Self {
        Self { noise, calls: Arc::default() }
    }

    /// The noise of the next call. In evaluation, no call is counted.
    pub(crate) fn next(&self, is_training: bool) -> CallNoise {
        let call = is_training.then(|| self.calls.fetch_add(1, Ordering::Relaxed));
        CallNoise { noise: self.noise, call }
    }
}

impl CallNoise {
    fn draw(&self, kind: NoiseKind, part: usize, count: usize) -> Option<Arc<[f32]>> {
        self.noise.draw(kind, self.call?, part, count)
    }

    /// The input of a layer, `[T, B, I]`, with variational dropout.
    pub(crate) fn input(&self, input: Tensor<3>, part: usize) -> Tensor<3> {
        let [_, batch, width] = input.dims();
        match self.draw(NoiseKind::Input, part, batch * width) {
            Some(mask) => {
                let mask = tensor(&mask, [1, batch, width], &input);
                input * mask
            }
            None => input,
        }
    }

    /// The recurrent weights with weight drop.
    pub(crate) fn weight(&self, weight: &RecurrentWeight, part: usize) -> AnyTensor {
        fn dropped<const D: usize>(weight: Tensor<D>, mask: &[f32]) -> AnyTensor
        where
            AnyTensor: From<Tensor<D>>,
        {
            let mask: Tensor<D> = tensor(mask, weight.dims(), &weight);
            (weight * mask).into()
        }
        let value = weight.any();
        let count = value.shape().num_elements();
        match (self.draw(NoiseKind::Weight, part, count), weight) {
            (Some(mask), RecurrentWeight::Whole(weight)) => dropped(weight.val(), &mask),
            (Some(mask), RecurrentWeight::Heads(weight)) => dropped(weight.val(), &mask),
            (None, _) => value,
        }
    }

    /// What is done around the steps of `T` steps of `B` rows; `H` and `P` are the sizes of a memory and of the state.
    pub(crate) fn steps(
        &self,
        part: usize,
        [time, batch]: [usize; 2],
        [hidden, output]: [usize; 2],
    ) -> Option<StepNoise> {
        let steps = if self.noise.dropout_per_sequence { 1 } else { time };
        let kept = |kind, p: f64, width: usize| match self.call {
            Some(_) => self.draw(kind, part, time * batch * width).map(Kept::Steps),
            None => (p > 0.0).then_some(Kept::Constant(p)),
        };
        let noise = StepNoise::new()
            .with_state_mask(self.draw(NoiseKind::State, part, batch * output))
            .with_kept_hidden(kept(NoiseKind::KeptHidden, self.noise.zoneout_hidden, output))
            .with_kept_memory(kept(NoiseKind::KeptMemory, self.noise.zoneout_memory, hidden))
            .with_candidate_mask(self.draw(NoiseKind::Candidate, part, steps * batch * hidden));
        (!noise.is_none()).then_some(noise)
    }
}

/// The numbers as a tensor, of the type and on the device of another one.
fn tensor<const D: usize, const L: usize>(
    numbers: &[f32],
    shape: [usize; D],
    like: &Tensor<L>,
) -> Tensor<D> {
    let data = TensorData::new(numbers.to_vec(), shape).convert_dtype(like.dtype());
    Tensor::from_data(data, (&like.device(), like.dtype()))
}
