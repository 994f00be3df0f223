//! Which character comes next.

use crate::error::Error;

/// How a character is chosen from the scores of all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The scores are divided by this number. Below 1, likely characters become more likely. At 0, the most likely
    /// character is always taken.
    pub temperature: f64,
    /// Only the `K` most likely characters are considered (A. Fan, M. Lewis and Y. Dauphin, "Hierarchical neural story
    /// generation", ACL 2018).
    pub top_k: Option<usize>,
    /// Only the most likely characters are considered, as few as have this probability together (A. Holtzman et al., "The
    /// curious case of neural text degeneration", ICLR 2020). The probabilities are those at the temperature, after `top_k`.
    pub top_p: Option<f64>,
}

impl Choice {
    /// Refuses numbers that make no sense.
    pub(super) fn check(&self) -> Result<(), Error> {
        let Self { temperature, top_k, top_p } = *self;
        if !(temperature >= 0.0 && temperature.is_finite()) {
            return Err(Error::input(format!("--temperature {temperature}: has to be 0 or above")));
        }
        if top_k == Some(0) {
            return Err(Error::input("--top-k 0: has to be 1 or above".to_string()));
        }
        match top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            Some(p) => Err(Error::input(format!("--top-p {p}: has to be above 0 and at most 1"))),
            None => Ok(()),
        }
    }

    /// Draws a number from the softmax of `scores / temperature`, by a uniform random number in [0, 1).
    pub(super) fn choose(&self, scores: &[f64], uniform: f64) -> usize {
        let best =
            (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best });
        if self.temperature == 0.0 {
            return best;
        }
        let mut weights: Vec<f64> =
            scores.iter().map(|score| ((score - scores[best]) / self.temperature).exp()).collect();
        self.leave_out(scores, &mut weights);
        let mut left = uniform * weights.iter().sum::<f64>();
        for (number, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return number;
            }
        }
        // This is reached only if rounding made the sum of the weights slightly too small.
        best
    }

    /// Sets the weights of what is not considered to zero.
    fn leave_out(&self, scores: &[f64], weights: &mut [f64]) {
        if self.top_k.is_none() && self.top_p.is_none() {
            return;
        }
        let mut by_score: Vec<usize> = (0..scores.len()).collect();
        // The sort is stable: of equal scores, the first number is taken first.
        by_score.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut kept = self.top_k.unwrap_or(usize::MAX).min(by_score.len());
        if let Some(p) = self.top_p {
            let enough = p * by_score[..kept].iter().map(|&i| weights[i]).sum::<f64>();
            let mut sum = 0.0;
            let reaches = |&i: &usize| {
                sum += weights[i];
                sum >= enough
            };
            // Rounding may keep the sum below what is asked for; then all are kept.
            kept = by_score[..kept].iter().position(reaches).map_or(kept, |last| last + 1);
        }
        by_score[kept..].iter().for_each(|&i| weights[i] = 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(temperature: f64) -> Choice {
        Choice { temperature, top_k: None, top_p: None }
    }

    #[test]
    fn choices_follow_the_softmax() {
        // Probabilities 1/4 and 3/4.
        let scores = [0.0, 3.0f64.ln()];
        assert_eq!(at(1.0).choose(&scores, 0.24), 0);
        assert_eq!(at(1.0).choose(&scores, 0.26), 1);
        // At temperature 1/2 they are 1/10 and 9/10.
        assert_eq!(at(0.5).choose(&scores, 0.09), 0);
        assert_eq!(at(0.5).choose(&scores, 0.11), 1);
        assert_eq!(at(0.0).choose(&scores, 0.0), 1);
        assert_eq!(at(0.0).choose(&[5.0, 5.0], 0.9), 0);
        // A very small temperature does not overflow.
        assert_eq!(at(1e-300).choose(&[-800.0, 900.0], 0.5), 1);
    }

    /// Probabilities 0.1, 0.4, 0.2, 0.3.
    const SCORES: [f64; 4] = [
        -std::f64::consts::LN_10,
        -0.916_290_731_874_155,
        -1.609_437_912_434_1,
        -1.203_972_804_325_936,
    ];

    /// What is drawn by many evenly spaced random numbers, as shares.
    fn shares(choice: Choice) -> [f64; 4] {
        let mut counts = [0.0; 4];
        (0..1000).for_each(|i| {
            counts[choice.choose(&SCORES, (f64::from(i) + 0.5) / 1000.0)] += 0.001;
        });
        counts
    }

    fn near(found: [f64; 4], expected: [f64; 4]) {
        let far = found.iter().zip(expected).any(|(a, b)| (a - b).abs() > 2e-3);
        assert!(!far, "{found:?}, not {expected:?}");
    }

    #[test]
    fn top_k_and_top_p_leave_out_the_least_likely() {
        near(shares(at(1.0)), [0.1, 0.4, 0.2, 0.3]);
        near(shares(Choice { top_k: Some(2), ..at(1.0) }), [0.0, 4.0 / 7.0, 0.0, 3.0 / 7.0]);
        near(shares(Choice { top_k: Some(9), ..at(1.0) }), [0.1, 0.4, 0.2, 0.3]);
        // 0.4 + 0.3 reach 0.6, 0.4 alone does not.
        near(shares(Choice { top_p: Some(0.6), ..at(1.0) }), [0.0, 4.0 / 7.0, 0.0, 3.0 / 7.0]);
        near(shares(Choice { top_p: Some(1e-9), ..at(1.0) }), [0.0, 1.0, 0.0, 0.0]);
        near(shares(Choice { top_p: Some(1.0), ..at(1.0) }), [0.1, 0.4, 0.2, 0.3]);
        // Of the first three, 0.4 and 0.3 have 7/9 together.
        let both = Choice { top_k: Some(3), top_p: Some(0.75), ..at(1.0) };
        near(shares(both), [0.0, 4.0 / 7.0, 0.0, 3.0 / 7.0]);
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        let message = |choice: Choice| choice.check().unwrap_err().to_string();
        assert!(message(at(-1.0)).contains("-1"));
        assert!(message(at(f64::NAN)).contains("NaN"));
        assert!(message(Choice { top_k: Some(0), ..at(1.0) }).contains("--top-k 0"));
        for p in [0.0, 1.5, f64::NAN] {
            assert!(message(Choice { top_p: Some(p), ..at(1.0) }).contains("--top-p"));
        }
        assert!(Choice { top_k: Some(1), top_p: Some(1.0), ..at(0.0) }.check().is_ok());
    }
}
