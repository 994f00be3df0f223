//! What a comparison has found.

use serde::Serialize;

/// Cells side by side on one task. It serialises to what `bptt compare --json` writes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The task's name.
    pub task: String,
    /// What the loss is, with its unit.
    pub loss_name: String,
    /// What the metric is.
    pub metric_name: String,
    /// What is the same for all cells: `parameters`, `time` or `width`.
    pub equal: String,
    /// The data, in a few words, with the loss of who does not learn.
    pub about: String,
    /// The cells, in the order in which they were given. Where the comparison was interrupted, the last ones are missing.
    pub cells: Vec<ComparedCell>,
}

/// One cell, trained with several seeds. Each list has an entry for each seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedCell {
    /// Its name.
    pub cell: String,
    /// The hidden size, `H`.
    pub hidden: usize,
    /// The number of trained parameters.
    pub parameters: usize,
    /// What the manual engine keeps from the forward pass of a batch for its backward pass, in bytes; none for layers that run
    /// as a scan.
    pub trace_bytes: Option<u64>,
    /// Milliseconds of a training step, validations included: the median of the seeds.
    pub step_ms: f64,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The training steps.
    pub steps: Vec<u64>,
    /// The lowest validation losses.
    pub valid_loss: Vec<f64>,
    /// The metric of the models that have them.
    pub metric: Vec<f64>,
    /// The validation loss along the training: for each validation that all seeds have.
    pub curve: Vec<CurvePoint>,
    /// How large the gradient of the last step's loss with respect to the input `k` steps before is, relative to the
    /// largest, for `k` from 0 on: the geometric mean of the seeds. None for models that are more than recurrent layers
    /// and a linear layer.
    pub forgetting: Option<Vec<f64>>,
}

/// The validation loss of all seeds after so many steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// The training steps.
    pub step: u64,
    /// The seconds of training, on average.
    pub seconds: f64,
    /// The mean loss.
    pub mean: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl ComparedCell {
    /// The mean of some numbers, and their standard deviation; that of one number is not known.
    pub(crate) fn mean_of(values: &[f64]) -> (f64, Option<f64>) {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (mean, (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt()))
    }
}

impl Comparison {
    /// A table for people, a line for each cell.
    pub fn lines(&self) -> Vec<String> {
        let spread = |values: &[f64]| {
            let (mean, deviation) = ComparedCell::mean_of(values);
            let mean = crate::figure::figure(mean);
            deviation.map_or(mean.clone(), |deviation| {
                format!("{mean} ± {}", crate::figure::figure(deviation))
            })
        };
        let mut lines = vec![format!(
            "{:14} {:>6} {:>10} {:>12} {:>9}  {:24} {}",
            "cell",
            "hidden",
            "parameters",
            "trace bytes",
            "ms/step",
            self.loss_name,
            self.metric_name
        )];
        lines.extend(self.cells.iter().map(|cell| {
            format!(
                "{:14} {:>6} {:>10} {:>12} {:>9.2}  {:24} {}",
                cell.cell,
                cell.hidden,
                cell.parameters,
                cell.trace_bytes.map_or("-".to_string(), |bytes| bytes.to_string()),
                cell.step_ms,
                spread(&cell.valid_loss),
                spread(&cell.metric),
            )
        }));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_is_that_of_a_sample() {
        assert_eq!(ComparedCell::mean_of(&[2.0]), (2.0, None));
        let (mean, deviation) = ComparedCell::mean_of(&[1.0, 2.0, 6.0]);
        assert_eq!(mean, 3.0);
        assert!((deviation.unwrap() - 7.0f64.sqrt()).abs() < 1e-12);
    }
}
