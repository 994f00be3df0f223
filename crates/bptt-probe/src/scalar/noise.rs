//! The noise of a layer on its first call, for one row and step after the other.

use crate::problem::LayerOptions;
use crate::scalar::number::Scalar;
use bptt::cells::State;
use bptt::{NoiseKind, RecurrentNoise};
use std::sync::Arc;

/// The noise of one layer in one direction.
pub struct Noise {
    noise: RecurrentNoise,
    /// Whether there is no mask, and zoneout is its expectation.
    evaluates: bool,
    part: usize,
    batch: usize,
    /// `[B, P]`
    mask: Option<Arc<[f32]>>,
    /// `[T, B, P]` and `[T, B, H]`
    kept_hidden: Option<Arc<[f32]>>,
    kept_memory: Option<Arc<[f32]>>,
    /// `[T, B, H]`, or `[B, H]`
    candidate: Option<Arc<[f32]>>,
    /// `P` and `H`
    widths: [usize; 2],
}

/// The noise of one row at one step.
pub struct StepNoise<'a> {
    mask: Option<&'a [f32]>,
    kept_hidden: Kept<'a>,
    kept_memory: Kept<'a>,
    candidate: Option<&'a [f32]>,
}

/// Which share of the state before a step is kept.
enum Kept<'a> {
    Nothing,
    OfAll(f64),
    OfEach(&'a [f32]),
}

impl Kept<'_> {
    fn mixed<N: Scalar>(&self, after: Vec<N>, before: &[N]) -> Vec<N> {
        let mixed = |(j, after): (usize, N)| {
            let kept = match self {
                Self::Nothing => return after,
                Self::OfAll(kept) => *kept,
                Self::OfEach(kept) => f64::from(kept[j]),
            };
            &before[j] * N::constant(kept) + after * N::constant(1.0 - kept)
        };
        after.into_iter().enumerate().map(mixed).collect()
    }
}

impl Noise {
    pub(super) fn of(options: &LayerOptions, part: usize) -> Self {
        let LayerOptions { batch, time, hidden_size, evaluates, .. } = *options;
        let noise = options.noise.unwrap_or_default();
        let size = options.state_size();
        let mut all = Self {
            noise,
            evaluates,
            part,
            batch,
            mask: None,
            kept_hidden: None,
            kept_memory: None,
            candidate: None,
            widths: [size, hidden_size],
        };
        all.mask = all.draw(NoiseKind::State, batch * size);
        all.kept_hidden = all.draw(NoiseKind::KeptHidden, time * batch * size);
        all.kept_memory = all.draw(NoiseKind::KeptMemory, time * batch * hidden_size);
        let steps = if noise.dropout_per_sequence { 1 } else { time };
        all.candidate = all.draw(NoiseKind::Candidate, steps * batch * hidden_size);
        all
    }

    fn draw(&self, kind: NoiseKind, count: usize) -> Option<Arc<[f32]>> {
        if self.evaluates { None } else { self.noise.draw(kind, 0, self.part, count) }
    }

    /// Variational dropout of the inputs of all rows at one step.
    pub(super) fn drop_inputs<N: Scalar>(&self, rows: &mut [Vec<N>]) {
        let width = rows[0].len();
        let Some(mask) = self.draw(NoiseKind::Input, rows.len() * width) else { return };
        let numbers = rows.iter_mut().flatten().zip(mask.iter());
        numbers.for_each(|(x, &m)| *x = &*x * N::constant(f64::from(m)));
    }

    /// The mask of the recurrent weights.
    pub(super) fn weight(&self, count: usize) -> Option<Arc<[f32]>> {
        self.draw(NoiseKind::Weight, count)
    }

    pub(super) fn at(&self, t: usize, b: usize) -> StepNoise<'_> {
        let [size, hidden] = self.widths;
        let row = t * self.batch + b;
        let RecurrentNoise { zoneout_hidden, zoneout_memory, .. } = self.noise;
        StepNoise {
            mask: self.mask.as_ref().map(|mask| &mask[b * size..][..size]),
            kept_hidden: self.kept(&self.kept_hidden, zoneout_hidden, [row, size]),
            kept_memory: self.kept(&self.kept_memory, zoneout_memory, [row, hidden]),
            candidate: self.candidate.as_ref().map(|mask| {
                let row = if self.noise.dropout_per_sequence { b } else { row };
                &mask[row * hidden..][..hidden]
            }),
        }
    }

    fn kept<'a>(
        &self,
        drawn: &'a Option<Arc<[f32]>>,
        probability: f64,
        [row, width]: [usize; 2],
    ) -> Kept<'a> {
        match drawn {
            Some(drawn) => Kept::OfEach(&drawn[row * width..][..width]),
            None if self.evaluates && probability > 0.0 => Kept::OfAll(probability),
            None => Kept::Nothing,
        }
    }
}

impl StepNoise<'_> {
    /// What enters a recurrent product.
    pub(super) fn masked<N: Scalar>(&self, h: &[N]) -> Vec<N> {
        match self.mask {
            Some(mask) => h.iter().zip(mask).map(|(h, &m)| h * N::constant(f64::from(m))).collect(),
            None => h.to_vec(),
        }
    }

    /// The mask of the candidate, if there is one, as a memory.
    pub(super) fn candidate<N: Scalar>(&self) -> Option<Vec<N>> {
        self.candidate.map(|mask| mask.iter().map(|&m| N::constant(f64::from(m))).collect())
    }

    /// Zoneout of a state after a step.
    pub(super) fn zoned_out<N: Scalar>(
        &self,
        after: State<Vec<N>, Vec<Vec<N>>>,
        before: &State<Vec<N>, Vec<Vec<N>>>,
    ) -> State<Vec<N>, Vec<Vec<N>>> {
        let memory = after.memory.into_iter().zip(&before.memory);
        State {
            hidden: self.kept_hidden.mixed(after.hidden, &before.hidden),
            memory: memory.map(|(after, before)| self.kept_memory.mixed(after, before)).collect(),
        }
    }
}
