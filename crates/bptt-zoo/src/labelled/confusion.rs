//! Which label a model says where which one is right.

use serde::Serialize;

/// How often a model says each label where each label is right.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Confusion {
    /// The labels, in the order of rows and columns.
    pub labels: Vec<String>,
    /// A row for each label that is right, with a count for each label that the model says.
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// A matrix of zeros.
    pub(crate) fn new(labels: &[String]) -> Self {
        let counts = vec![vec![0; labels.len()]; labels.len()];
        Self { labels: labels.to_vec(), counts }
    }

    /// Counts an answer.
    pub(crate) fn add(&mut self, right: usize, said: usize) {
        self.counts[right][said] += 1;
    }

    /// How many answers there are.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// The share of right answers; NaN without answers.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.labels.len()).map(|k| self.counts[k][k]).sum();
        right as f64 / self.total() as f64
    }

    /// F1 of each label, `2 TP / (2 TP + FP + FN)`; `None` for a label that occurs neither as a right one nor as one that is
    /// said.
    pub fn f1(&self) -> Vec<Option<f64>> {
        let of = |k: usize| {
            let right: u64 = self.counts[k].iter().sum();
            let said: u64 = self.counts.iter().map(|row| row[k]).sum();
            (right + said > 0).then(|| 2.0 * self.counts[k][k] as f64 / (right + said) as f64)
        };
        (0..self.labels.len()).map(of).collect()
    }

    /// The mean of F1 over the labels that occur. A rare label counts as much as a frequent one (C. J. van Rijsbergen,
    /// "Information retrieval", 1979). NaN without answers.
    pub fn macro_f1(&self) -> f64 {
        let f1 = self.f1().into_iter().flatten();
        let (sum, count) = f1.fold((0.0, 0.0), |(sum, count), f1| (sum + f1, count + 1.0));
        sum / count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_the_definition() {
        let labels = ["a", "b", "c"].map(str::to_string);
        let mut found = Confusion::new(&labels);
        assert!(found.accuracy().is_nan() && found.macro_f1().is_nan());
        for (right, said) in [(0, 0), (0, 0), (0, 1), (1, 1)] {
            found.add(right, said);
        }
        assert_eq!((found.total(), found.accuracy()), (4, 0.75));
        // a: precision 1, recall 2/3; b: precision 1/2, recall 1; c does not occur.
        let f1 = |precision: f64, recall: f64| 2.0 * precision * recall / (precision + recall);
        let expected = (f1(1.0, 2.0 / 3.0) + f1(0.5, 1.0)) / 2.0;
        assert!((found.macro_f1() - expected).abs() < 1e-12);
        assert_eq!(found.f1().iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false]);
        assert!((found.f1()[0].unwrap() - f1(1.0, 2.0 / 3.0)).abs() < 1e-12);
    }
}
