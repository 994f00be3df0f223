//! The states that a network visits on its validation data.

use crate::dynamics::options::ConstantInput;
use crate::dynamics::trained::Trained;
use crate::error::Error;
use bptt_probe::dynamics::{Matrix, System};
use burn::Tensor;
use std::ops::Range;

/// How many states are visited at most, and how many of one sequence.
const VISITED: usize = 4096;
const OF_ONE: usize = 512;

/// States on the validation data, each sequence from a state of zeros.
pub(super) struct Visited {
    /// `[V, n]`, one sequence after the other.
    pub(super) states: Matrix,
    /// How many states each sequence has.
    lengths: Vec<usize>,
    /// The input before each state, `[V, I]`.
    inputs: Matrix,
}

impl Visited {
    pub(super) fn of(trained: &Trained) -> Result<Self, Error> {
        let (mut parts, mut lengths) = (Vec::new(), Vec::new());
        let mut left = VISITED;
        for sequence in trained.sequences() {
            let [time, width] = sequence.dims();
            let length = time.min(left).min(OF_ONE);
            if length > 0 {
                parts.push(sequence.slice([0..length, 0..width]));
                lengths.push(length);
            }
            left -= length;
            if left == 0 {
                break;
            }
        }
        let drive = Tensor::cat(parts, 0);
        let [rows, width] = drive.dims();
        let inputs = drive.clone().into_data().iter().collect();
        let mut network = trained.network(Some(drive))?;
        let size = network.size();
        let mut states = Vec::with_capacity(rows * size);
        let mut time = 0;
        for length in &lengths {
            let mut state = Matrix::zeros(1, size);
            for _ in 0..*length {
                network.step(time, &mut state);
                states.extend_from_slice(state.values());
                time += 1;
            }
        }
        Ok(Self {
            states: Matrix::from_values(rows, size, states),
            lengths,
            inputs: Matrix::from_values(rows, width, inputs),
        })
    }

    /// The rows of each sequence.
    pub(super) fn sequences(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.lengths.iter().scan(0, |first, length| {
            *first += length;
            Some(*first - length..*first)
        })
    }

    /// The input that does not change. Unless one is wanted, it is zero if the data has steps without input, and else the
    /// mean of the data, because zero means nothing to such a network.
    pub(super) fn constant_input(
        &self,
        wanted: Option<ConstantInput>,
    ) -> (ConstantInput, Vec<f64>) {
        let (rows, width) = (self.inputs.rows(), self.inputs.columns());
        let is_zero = |row: usize| self.inputs.row(row).iter().all(|x| *x == 0.0);
        let usual = match (0..rows).any(is_zero) {
            true => ConstantInput::Zero,
            false => ConstantInput::Mean,
        };
        let input = wanted.unwrap_or(usual);
        let mut values = vec![0.0; width];
        if input == ConstantInput::Mean {
            for row in 0..rows {
                let sums = values.iter_mut().zip(self.inputs.row(row));
                sums.for_each(|(sum, x)| *sum += x / rows as f64);
            }
        }
        (input, values)
    }
}
