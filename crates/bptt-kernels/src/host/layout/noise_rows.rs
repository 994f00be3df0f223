//! The noise around the steps, in rows of the kernels' type.

use crate::host::layout::sizes::Layer;
use crate::host::simd::real::Real;
use crate::operation::step_noise::{Kept, StepNoise};
use std::ops::Deref;

/// [`StepNoise`] in rows. In dual numbers, a row of values and that of its tangents have the same row of noise.
pub(crate) struct NoiseRows<'a, T> {
    /// `m`, `[B, P]`
    mask: Option<Numbers<'a, T>>,
    hidden: Option<KeptRows<'a, T>>,
    memory: Option<KeptRows<'a, T>>,
    candidate: Option<KeptRows<'a, T>>,
    parts: usize,
    /// `H` and `P`
    widths: [usize; 2],
}

/// `k` or `d`: of all steps, `[T, B, width]`; or for all steps, `[B, width]` or one row for all.
struct KeptRows<'a, T> {
    rows: Numbers<'a, T>,
    /// How many numbers there are from one step to the next, and from one row to the next.
    strides: [usize; 2],
}

impl<'a, T: Real> NoiseRows<'a, T> {
    pub(crate) fn new(layer: &Layer, noise: Option<&'a StepNoise>) -> Self {
        let Layer { parts, batch, hidden, output, .. } = *layer;
        let kept = |kept: &'a Kept, width: usize| match kept {
            Kept::Constant(kept) => {
                KeptRows { rows: Numbers::Owned(vec![T::of(*kept); width]), strides: [0, 0] }
            }
            Kept::Steps(kept) => {
                KeptRows { rows: converted(kept), strides: [batch / parts * width, width] }
            }
        };
        let candidate = noise.and_then(StepNoise::candidate_mask).map(|mask| {
            let rows = batch / parts * hidden;
            let step = if mask.len() == rows { 0 } else { rows };
            KeptRows { rows: converted(mask), strides: [step, hidden] }
        });
        Self {
            candidate,
            mask: noise.and_then(StepNoise::state_mask).map(converted),
            hidden: noise.and_then(StepNoise::kept_hidden).map(|k| kept(k, output)),
            memory: noise.and_then(StepNoise::kept_memory).map(|k| kept(k, hidden)),
            parts,
            widths: [hidden, output],
        }
    }

    /// `m` of a row of the batch, `[P]`.
    pub(crate) fn mask(&self, b: usize) -> Option<&[T]> {
        let width = self.widths[1];
        Some(&self.mask.as_ref()?[b / self.parts * width..][..width])
    }

    /// `k` of the hidden state of a row after the step at time `t`, `[P]`.
    pub(crate) fn hidden(&self, t: usize, b: usize) -> Option<&[T]> {
        Some(self.kept(self.hidden.as_ref()?, t, b, self.widths[1]))
    }

    /// `k` of each of the memories of a row after the step at time `t`, `[H]`.
    pub(crate) fn memory(&self, t: usize, b: usize) -> Option<&[T]> {
        Some(self.kept(self.memory.as_ref()?, t, b, self.widths[0]))
    }

    /// `d` of a row at the step at time `t`, `[H]`.
    pub(crate) fn candidate(&self, t: usize, b: usize) -> Option<&[T]> {
        Some(self.kept(self.candidate.as_ref()?, t, b, self.widths[0]))
    }

    fn kept<'s>(&'s self, of: &'s KeptRows<'a, T>, t: usize, b: usize, width: usize) -> &'s [T] {
        let [step, row] = of.strides;
        &of.rows[t * step + b / self.parts * row..][..width]
    }
}

/// Numbers, in place if they have the type already.
enum Numbers<'a, T> {
    Borrowed(&'a [T]),
    Owned(Vec<T>),
}

impl<T> Deref for Numbers<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Borrowed(numbers) => numbers,
            Self::Owned(numbers) => numbers,
        }
    }
}

/// The same numbers in another type.
fn converted<T: Real>(numbers: &[f32]) -> Numbers<'_, T> {
    match size_of::<T>() == size_of::<f32>() {
        true => Numbers::Borrowed(bytemuck::cast_slice(numbers)),
        false => Numbers::Owned(numbers.iter().map(|&x| T::of(f64::from(x))).collect()),
    }
}
