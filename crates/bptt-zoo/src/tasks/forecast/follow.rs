//! Quantiles that follow the errors, as values become known.
//!
//! The validation part says how wide intervals are, and new values may vary more than it, or less. A value that has become known
//! lies below a quantile or not. If more lie below than should, the quantile goes down, and else up: quantile tracking, the
//! first part of the conformal controller of Angelopoulos, Candès and Tibshirani 2023 (adaptive conformal inference, Gibbs
//! and Candès 2021, moves the level in place of the quantile). In the long run the share is right, whatever the series
//! does. No forecast uses a value that is not known yet when it is made.

use crate::tasks::forecast::head::{LEVELS, Said};
use crate::tasks::forecast::score::Calibration;
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

/// How far a quantile goes, for each value: so much of the change that moves the level by 1, if errors were normal. It was chosen by
/// the intervals of linear autoregressions, with series that are not in the guide, and with the parts of the others before their test.
///
/// K steps ahead it is one K-th of that: the errors of K windows that overlap are alike, and each is known K steps later, so
/// that a quantile would go on for K windows after it is far enough.
const PACE: f64 = 0.05;

/// What a model says after a window, before the correction.
#[derive(Clone, Debug)]
pub(crate) struct Ahead {
    /// The first step after the window.
    pub(crate) end: usize,
    /// `[K·M]`.
    pub(crate) said: Vec<Said>,
    /// Whether quantiles follow its errors.
    pub(crate) is_followed: bool,
}

/// The corrections of one series, as they follow its errors.
struct Follower<'a> {
    windows: &'a [Ahead],
    targets: usize,
    /// What is said of the windows so far. Quantiles may cross: each follows the errors as if it were the only one.
    shifted: Vec<Vec<Said>>,
    /// By place of `[K·M]`: an offset for each quantile, and the first window that it has not followed.
    offsets: Vec<[f64; LEVELS.len()]>,
    next: Vec<usize>,
    /// How far each quantile goes.
    paces: Vec<[f64; LEVELS.len()]>,
}

impl Calibration {
    /// What is said after the correction, `[K·M]` for each window, and the offsets after the last value that is known.
    ///
    /// # Arguments
    ///
    /// - `offsets`: by place of `[K·M]`, or one for all: those of the first window
    /// - `windows`: of one series, in order of time
    /// - `targets`: how many columns are forecast
    /// - `known`: the value of a step and a column, if it is known
    pub(crate) fn follow(
        &self,
        offsets: &[[f64; LEVELS.len()]],
        windows: &[Ahead],
        targets: usize,
        known: &dyn Fn(usize, usize) -> Option<f64>,
    ) -> (Vec<Vec<Said>>, Vec<[f64; LEVELS.len()]>) {
        let values = windows.first().map_or(0, |window| window.said.len());
        let of = |at: usize| offsets.get(at).or(offsets.first()).copied().unwrap_or_default();
        let mut follower = Follower {
            windows,
            targets,
            shifted: Vec::with_capacity(windows.len()),
            offsets: (0..values).map(of).collect(),
            next: vec![0; values],
            paces: (0..values).map(|at| self.paces(at, at / targets)).collect(),
        };
        for window in windows {
            follower.learn(window.end, known);
            let said = window.said.iter().zip(&follower.offsets);
            let said = said.map(|(said, offsets)| said.shifted(offsets)).collect();
            follower.shifted.push(said);
        }
        follower.learn(usize::MAX, known);
        let sorted = |said: Vec<Said>| said.into_iter().map(Said::sorted).collect();
        (follower.shifted.into_iter().map(sorted).collect(), follower.offsets)
    }

    /// How far each quantile at this place of `[K·M]` goes, which is of this step ahead, from 0.
    fn paces(&self, at: usize, step: usize) -> [f64; LEVELS.len()] {
        let spread = self.spread.get(at).or(self.spread.first()).copied().unwrap_or(0.0);
        let normal = Normal::standard();
        let pace = PACE * spread / (step + 1) as f64;
        LEVELS.map(|level| pace / normal.pdf(normal.inverse_cdf(level)))
    }
}

impl Follower<'_> {
    /// Follows the errors of what is known before the step `now`.
    fn learn(&mut self, now: usize, known: &dyn Fn(usize, usize) -> Option<f64>) {
        for (at, (offsets, next)) in self.offsets.iter_mut().zip(&mut self.next).enumerate() {
            let (step, column) = (at / self.targets, at % self.targets);
            let paces = &self.paces[at];
            while let Some(said) = self.shifted.get(*next) {
                let window = &self.windows[*next];
                if window.end + step >= now {
                    break;
                }
                *next += 1;
                let Some(truth) = known(window.end + step, column).filter(|_| window.is_followed)
                else {
                    continue;
                };
                for (k, offset) in offsets.iter_mut().enumerate() {
                    let is_below = f64::from(u8::from(truth < said[at].quantiles[k]));
                    *offset += paces[k] * (LEVELS[k] - is_below);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64, from -1 to 1.
    fn noise(t: usize) -> f64 {
        let mut x = (t as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 40) as f64 / f64::from(1 << 23) - 1.0
    }

    /// Of errors that are uniform from -1 to 1, in units of 2.
    fn calibration() -> Calibration {
        let offsets = vec![LEVELS.map(|level| level - 0.5)];
        Calibration { offsets, spread: vec![0.9 / 3.29], latest: Vec::new() }
    }

    fn windows(count: usize, ahead: usize) -> Vec<Ahead> {
        let said = vec![Said { scale: 2.0, ..Said::point(0.0) }; ahead];
        (0..count).map(|end| Ahead { end, said: said.clone(), is_followed: true }).collect()
    }

    fn coverage(said: &[Vec<Said>], truth: impl Fn(usize) -> f64) -> f64 {
        let covers = |(end, said): (usize, &Vec<Said>)| u8::from(said[0].covers(truth(end)));
        said.iter().enumerate().map(covers).map(f64::from).sum::<f64>() / said.len() as f64
    }

    #[test]
    fn intervals_become_wider_and_narrower_with_the_errors() {
        let calibration = calibration();
        for size in [0.8, 1.0, 3.0, 6.0] {
            let truth = |t: usize| size * noise(t);
            let all = windows(2000, 1);
            let known = |step: usize, _| Some(truth(step));
            let said = calibration.follow(&calibration.offsets, &all, 1, &known).0;
            let covered = coverage(&said, truth);
            assert!((covered - 0.9).abs() < 0.02, "{size}: {covered}");
            // Without, they hold too much or too little.
            let fixed: Vec<Vec<Said>> =
                all.iter().map(|one| vec![calibration.apply(0, &one.said[0])]).collect();
            assert_eq!(said[0], fixed[0]);
            let covered = coverage(&fixed, truth);
            assert_eq!((covered - 0.9).abs() > 0.05, size != 1.0, "{size}: {covered}");
        }
    }

    #[test]
    fn nothing_is_followed_before_it_is_known() {
        let calibration = calibration();
        let all = windows(40, 3);
        let of = |changed: usize| {
            let truth = |step: usize| if step == changed { 99.0 } else { noise(step) };
            calibration.follow(&calibration.offsets, &all, 1, &|step, _| Some(truth(step))).0
        };
        let before = of(usize::MAX);
        for changed in [5, 20] {
            let after = of(changed);
            for (end, (a, b)) in before.iter().zip(&after).enumerate() {
                // A window that ends after the step has seen it.
                assert_eq!(a == b, end <= changed, "{changed} {end}");
            }
        }
        // What is not known, and windows that are not followed, change nothing.
        let still: Vec<Ahead> =
            all.iter().map(|one| Ahead { is_followed: false, ..one.clone() }).collect();
        let (a, latest) = calibration.follow(&calibration.offsets, &still, 1, &|_, _| Some(99.0));
        let (b, _) = calibration.follow(&calibration.offsets, &all, 1, &|_, _| None);
        assert_eq!((&a, &latest[2]), (&b, &calibration.offsets[0]));
        assert!(a.iter().all(|said| said == &a[0]));
    }

    #[test]
    fn each_step_and_column_follows_its_own_errors() {
        let calibration = calibration();
        // Two columns, two steps: the second column has large errors.
        let all = windows(500, 4);
        let known =
            |step: usize, column: usize| Some([1.0, 5.0][column] * noise(2 * step + column));
        let latest = calibration.follow(&calibration.offsets, &all, 2, &known).1;
        let width = |at: usize| latest[at][6] - latest[at][0];
        for step in 0..2 {
            assert!(width(2 * step + 1) > 2.0 * width(2 * step), "{latest:?}");
        }
        // Runs of earlier versions say nothing of the size of errors, and stay as they are.
        let old = Calibration { spread: Vec::new(), ..calibration };
        let latest = old.follow(&old.offsets, &all, 2, &known).1;
        assert!(latest.iter().all(|offsets| *offsets == old.offsets[0]));
    }
}
