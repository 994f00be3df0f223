//! How fixed points are searched.

/// How points are searched.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From how many states `q` is minimised.
    pub starts: usize,
    /// A point is fixed if its `q` is below this.
    pub fixed: f64,
    /// A point that is not fixed is slow if it moves by no more than this share of the spread in a step:
    /// `‖F(s) - s‖ ≤ slow · spread`.
    pub slow: f64,
    /// Two points are the same if they are no further apart than this share of the spread.
    pub same: f64,
    /// An eigenvalue is marginal if its modulus differs from 1 by no more than this.
    pub margin: f64,
    /// The largest number of steps of each minimisation.
    pub steps: usize,
    /// The seed by which the states are chosen.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            starts: 512,
            fixed: 1e-20,
            slow: 0.01,
            same: 1e-3,
            margin: 1e-3,
            steps: 300,
            seed: 1,
        }
    }
}
