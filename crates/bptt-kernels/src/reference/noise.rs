//! The noise around the steps, as tensors.

use crate::operation::step_noise::{Kept, StepNoise};
use crate::reference::tensor_number::TensorNumber;
use bptt_cells::State;

/// [`StepNoise`] as tensors.
pub(crate) struct NoiseTensors<N> {
    /// `m`, `[B, P]`
    mask: Option<N>,
    hidden: Option<KeptTensor<N>>,
    memory: Option<KeptTensor<N>>,
    /// `d`
    candidate: Option<KeptTensor<N>>,
}

/// `k` or `d`: of all steps, `[T·B, width]`, or the same in each step, `[B, width]`.
struct KeptTensor<N> {
    all: N,
    is_constant: bool,
}

impl<N: TensorNumber> KeptTensor<N> {
    fn of(kept: &Kept, [time, batch, width]: [usize; 3], like: &N) -> Self {
        match kept {
            Kept::Constant(kept) => Self {
                all: like.constant(&vec![*kept; batch * width], [batch, width]),
                is_constant: true,
            },
            Kept::Steps(kept) => {
                let kept: Vec<f64> = kept.iter().map(|&k| f64::from(k)).collect();
                Self { all: like.constant(&kept, [time * batch, width]), is_constant: false }
            }
        }
    }

    fn at(&self, t: usize, batch: usize) -> N {
        if self.is_constant { self.all.clone() } else { self.all.rows(t * batch, (t + 1) * batch) }
    }
}

impl<N: TensorNumber> NoiseTensors<N> {
    /// `like` is a tensor of the type and on the device of the state.
    pub(crate) fn new(
        noise: Option<&StepNoise>,
        [time, batch]: [usize; 2],
        [hidden, output]: [usize; 2],
        like: &N,
    ) -> Self {
        let mask = noise.and_then(StepNoise::state_mask).map(|mask| {
            let mask: Vec<f64> = mask.iter().map(|&m| f64::from(m)).collect();
            like.constant(&mask, [batch, output])
        });
        let kept = |kept: Option<&Kept>, width| {
            kept.map(|kept| KeptTensor::of(kept, [time, batch, width], like))
        };
        let candidate = noise.and_then(StepNoise::candidate_mask).map(|mask| {
            let rows = mask.len() / hidden;
            let mask: Vec<f64> = mask.iter().map(|&m| f64::from(m)).collect();
            KeptTensor { all: like.constant(&mask, [rows, hidden]), is_constant: rows == batch }
        });
        Self {
            mask,
            candidate,
            hidden: kept(noise.and_then(StepNoise::kept_hidden), output),
            memory: kept(noise.and_then(StepNoise::kept_memory), hidden),
        }
    }

    /// The noise of step `t`.
    pub(crate) fn at(&self, t: usize, batch: usize) -> NoiseOfStep<'_, N> {
        NoiseOfStep {
            mask: self.mask.as_ref(),
            hidden: self.hidden.as_ref().map(|kept| kept.at(t, batch)),
            memory: self.memory.as_ref().map(|kept| kept.at(t, batch)),
            candidate: self.candidate.as_ref().map(|mask| mask.at(t, batch)),
        }
    }
}

/// The noise of one step.
pub(crate) struct NoiseOfStep<'a, N> {
    /// `m`, `[B, P]`
    pub(crate) mask: Option<&'a N>,
    /// `k` of the hidden state, `[B, P]`
    pub(crate) hidden: Option<N>,
    /// `k` of each of the memories, `[B, H]`
    pub(crate) memory: Option<N>,
    /// `d`, `[B, H]`
    pub(crate) candidate: Option<N>,
}

impl<N: TensorNumber> NoiseOfStep<'_, N> {
    /// An operand of a recurrent product, `m ⊙ h`; or the gradient of `h` from that of the operand.
    pub(crate) fn masked(&self, h: N) -> N {
        match self.mask {
            Some(mask) => h * mask,
            None => h,
        }
    }

    /// Zoneout: `k ⊙ before + (1 - k) ⊙ after`. The first `states` memories are a state.
    pub(crate) fn zoned_out(
        &self,
        after: State<N, Vec<N>>,
        before: &State<N, Vec<N>>,
        states: usize,
    ) -> State<N, Vec<N>> {
        let mixed = |k: &Option<N>, after: N, before: &N| match k {
            Some(k) => before * k + after * k.one_minus(),
            None => after,
        };
        let memory = after.memory.into_iter().zip(&before.memory).enumerate();
        State {
            hidden: mixed(&self.hidden, after.hidden, &before.hidden),
            memory: memory
                .map(|(m, (after, before))| match m < states {
                    true => mixed(&self.memory, after, before),
                    false => after,
                })
                .collect(),
        }
    }

    /// Zoneout backward, from the gradient of the state after the step: the gradient of what the cell computed, and
    /// that of the state before the step, which did not go through the cell (`None`: zero).
    pub(crate) fn zoned_out_backward(
        &self,
        d: State<N, Vec<N>>,
        states: usize,
    ) -> (State<N, Vec<N>>, State<Option<N>, Vec<Option<N>>>) {
        let split = |k: &Option<N>, d: N| match k {
            Some(k) => (d.clone() * k.one_minus(), Some(d * k)),
            None => (d, None),
        };
        let (hidden, kept_hidden) = split(&self.hidden, d.hidden);
        let memory = d.memory.into_iter().enumerate();
        let memory = memory.map(|(m, d)| match m < states {
            true => split(&self.memory, d),
            false => (d, None),
        });
        let (memory, kept_memory) = memory.unzip();
        (State { hidden, memory }, State { hidden: kept_hidden, memory: kept_memory })
    }
}
