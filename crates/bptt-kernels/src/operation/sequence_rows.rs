//! Which steps of which rows are valid, and where the state of a row is reset.

use crate::operation::step_noise::StepNoise;
use std::sync::Arc;

/// Which steps of which rows are valid. A masked step computes nothing: it copies the state on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SequenceMask {
    /// The number of valid steps of each row. These are its first steps.
    Lengths(Arc<[usize]>),
    /// One flag for each step and row, `[T, B]`: true where the step is valid.
    Steps(Arc<[bool]>),
}

impl SequenceMask {
    /// Whether step `t` of row `b`, of `batch` rows, is valid.
    #[inline]
    pub fn is_valid(&self, t: usize, b: usize, batch: usize) -> bool {
        match self {
            Self::Lengths(lengths) => t < lengths[b],
            Self::Steps(mask) => mask[t * batch + b],
        }
    }

    /// How many steps are valid, in all rows together.
    #[cfg(feature = "host")]
    pub(crate) fn count(&self, time: usize) -> usize {
        match self {
            Self::Lengths(lengths) => lengths.iter().map(|&length| length.min(time)).sum(),
            Self::Steps(mask) => mask.iter().filter(|&&valid| valid).count(),
        }
    }

    /// Which rows are masked at step `t`; `None` if none is.
    pub fn masked_rows(&self, t: usize, batch: usize) -> Option<Vec<bool>> {
        let masked: Vec<bool> = (0..batch).map(|b| !self.is_valid(t, b, batch)).collect();
        masked.contains(&true).then_some(masked)
    }
}

/// The rows of a sequence: which of their steps are valid, where their state is reset, and what else is done to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SequenceRows {
    pub(crate) mask: Option<SequenceMask>,
    /// `[T, B]`: true where the state before the step is the reset state. For the direction from the last step to the
    /// first, the flag of step `t` stands between the steps `t` and `t - 1`.
    pub(crate) resets: Option<Arc<[bool]>>,
    pub(crate) noise: Option<StepNoise>,
}

impl SequenceRows {
    /// Whether the state of row `b` is reset before step `t` is computed. `reverse`: whether the steps run from the
    /// last to the first.
    #[inline]
    pub(crate) fn is_reset(
        &self,
        t: usize,
        b: usize,
        [time, batch]: [usize; 2],
        reverse: bool,
    ) -> bool {
        let end = match &self.mask {
            Some(SequenceMask::Lengths(lengths)) => lengths[b],
            _ => time,
        };
        let edge = if reverse { t + 1 } else { t };
        edge < end && self.flags(t, [time, batch], reverse).is_some_and(|flags| flags[b])
    }

    /// The flags of all rows before step `t` is computed, whatever their lengths are; `None` if there are none.
    #[inline]
    pub(crate) fn flags(
        &self,
        t: usize,
        [time, batch]: [usize; 2],
        reverse: bool,
    ) -> Option<&[bool]> {
        // In reverse, the edge between the steps `t` and `t + 1` has the flag of the later one.
        let edge = if reverse { t + 1 } else { t };
        let resets = self.resets.as_ref().filter(|_| edge < time)?;
        Some(&resets[edge * batch..][..batch])
    }

    /// Which rows are reset before step `t` is computed; `None` if none is.
    pub(crate) fn reset_rows(&self, t: usize, batch: usize, reverse: bool) -> Option<Vec<bool>> {
        let time = self.resets.as_ref()?.len() / batch.max(1);
        let is_reset = |b| self.is_reset(t, b, [time, batch], reverse);
        let rows: Vec<bool> = (0..batch).map(is_reset).collect();
        rows.contains(&true).then_some(rows)
    }

    /// The same for a batch in which each row is followed by a row of its tangents.
    #[cfg(feature = "host")]
    pub(crate) fn in_duals(&self) -> Self {
        fn twice<T: Copy>(all: &[T]) -> Arc<[T]> {
            all.iter().flat_map(|&x| [x, x]).collect()
        }
        let mask = self.mask.as_ref().map(|mask| match mask {
            SequenceMask::Lengths(lengths) => SequenceMask::Lengths(twice(lengths)),
            SequenceMask::Steps(mask) => SequenceMask::Steps(twice(mask)),
        });
        // A row of values and that of its tangents have the same noise.
        Self { mask, resets: self.resets.as_deref().map(twice), noise: self.noise.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both directions see the same segments.
    #[test]
    fn a_reset_cuts_a_row_at_the_same_place_in_both_directions() {
        let flags = [true, false, false, true, false, true];
        let mut rows =
            SequenceRows { resets: Some(flags.into_iter().collect()), ..SequenceRows::default() };
        let of = |rows: &SequenceRows, reverse| -> Vec<usize> {
            (0..6).filter(|&t| rows.is_reset(t, 0, [6, 1], reverse)).collect()
        };
        assert_eq!(of(&rows, false), [0, 3, 5]);
        // Before step 2 is read, and before step 4 is.
        assert_eq!(of(&rows, true), [2, 4]);
        // A reset at or behind the length does nothing.
        rows.mask = Some(SequenceMask::Lengths([5].into()));
        assert_eq!(of(&rows, false), [0, 3]);
        assert_eq!(of(&rows, true), [2]);
        rows.mask = Some(SequenceMask::Lengths([3].into()));
        assert_eq!(of(&rows, true), [0; 0]);
        assert_eq!(rows.reset_rows(0, 1, false), Some(vec![true]));
        assert_eq!(rows.reset_rows(1, 1, false), None);
    }
}
