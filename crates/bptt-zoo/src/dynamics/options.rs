//! What to measure.

use crate::error::Error;
use serde::Serialize;

/// What to measure of a trained run.
#[derive(Clone, Debug, PartialEq)]
pub struct DynamicsOptions {
    /// The number of steps over which Lyapunov exponents are measured.
    pub time: usize,
    /// How many Lyapunov exponents; `None`: all, but not more than 100.
    pub exponents: Option<usize>,
    /// From how many states fixed points are searched; `None`: they are not.
    pub fixed_points: Option<usize>,
    /// The input at each step for which they are searched; `None`: zero if the validation data has steps without input,
    /// else its mean.
    pub input: Option<ConstantInput>,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Whether truncated gradients are measured.
    pub truncation: bool,
}

/// An input that does not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConstantInput {
    /// All inputs of the network are zero.
    Zero,
    /// The mean of the validation data over all steps.
    Mean,
}

impl ConstantInput {
    /// Its name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zero => "zero",
            Self::Mean => "mean",
        }
    }
}

impl Default for DynamicsOptions {
    fn default() -> Self {
        Self {
            time: 2000,
            exponents: None,
            fixed_points: None,
            input: None,
            seed: 1,
            truncation: false,
        }
    }
}

impl DynamicsOptions {
    /// Checks that the options make sense together, as far as no run has to be known for it.
    ///
    /// # Errors
    ///
    /// The first option that is wrong, by its name on the command line.
    pub fn check(&self) -> Result<(), Error> {
        let least = bptt_probe::dynamics::BLOCKS;
        if self.time < least {
            let time = self.time;
            return Err(Error::input(format!(
                "--time {time}: has to be at least {least}, one step for each block of the error bars"
            )));
        }
        if let Some(starts @ (0 | 1_000_001..)) = self.fixed_points {
            return Err(Error::input(format!(
                "--fixed-points {starts}: has to be 1 to 1000000, the number of states to search from"
            )));
        }
        match self.exponents {
            Some(0) => Err(Error::input("--exponents 0: has to be at least 1")),
            _ => Ok(()),
        }
    }
}

/// How far the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynamicsProgress {
    /// What is measured.
    pub stage: &'static str,
    /// How much of it is done.
    pub done: usize,
    /// How much it is in all.
    pub total: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_named() {
        let complaint = |options: DynamicsOptions| options.check().unwrap_err().to_string();
        let usual = DynamicsOptions::default;
        usual().check().unwrap();
        let short = DynamicsOptions { time: 19, ..usual() };
        assert!(complaint(short).starts_with("--time 19: has to be at least 20"));
        let none = DynamicsOptions { exponents: Some(0), ..usual() };
        assert!(complaint(none).starts_with("--exponents 0:"));
        let nowhere = DynamicsOptions { fixed_points: Some(0), ..usual() };
        assert!(complaint(nowhere).starts_with("--fixed-points 0: has to be 1 to 1000000"));
    }
}
