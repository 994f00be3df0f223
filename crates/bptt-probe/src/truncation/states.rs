//! The states of the recurrent layers before every step.

use crate::readout::{Batch, Readout};
use bptt::{Engine, RecurrentState, SequenceCell, SequenceOptions};
use burn::Tensor;

/// The states of the recurrent layers before each step of a batch.
pub(super) struct States {
    /// `[L, B, P]`, for each step.
    hidden: Vec<Tensor<3>>,
    /// `[L·M, B, H]`, for each step; empty for cells without a memory.
    memory: Vec<Tensor<3>>,
}

impl States {
    /// Runs the layers step by step: in any chunks, they have the same bits as over the whole sequence.
    pub(super) fn of<C: SequenceCell>(readout: &Readout<C>, batch: &Batch) -> Self {
        let layer = readout.recurrent.clone().with_engine(Engine::Manual);
        let input = readout.sequences(batch);
        let [rows, time, _] = input.dims();
        let (hidden, memory) = layer.zero_state(rows, &input).into_parts();
        let mut state = C::State::from_parts(
            batch.hidden.clone().unwrap_or(hidden),
            memory.map(|zeros| batch.memory.clone().unwrap_or(zeros)),
        );
        let mut states = Self { hidden: Vec::new(), memory: Vec::new() };
        for step in 0..time {
            let (hidden, memory) = state.clone().into_parts();
            states.hidden.push(hidden);
            states.memory.extend(memory);
            if step + 1 < time {
                let here = input.clone().slice([0..rows, step..step + 1]);
                let mut options = SequenceOptions::new();
                if let Some(lengths) = &batch.lengths {
                    let valid = |length: &usize| usize::from(step < *length);
                    options = options.with_lengths(&lengths.iter().map(valid).collect::<Vec<_>>());
                }
                (_, state) = layer.forward_with(here, &options, Some(state));
            }
        }
        states
    }

    /// The states before some steps, `[L, B·n, P]` and `[L·M, B·n, H]`: for each row of the batch, those of all `n` steps.
    pub(super) fn before(&self, steps: &[usize]) -> (Tensor<3>, Option<Tensor<3>>) {
        let beside = |of: &[Tensor<3>]| {
            let [planes, rows, width] = of[0].dims();
            let these: Vec<_> = steps.iter().map(|step| of[*step].clone()).collect();
            Tensor::stack::<4>(these, 2).reshape([planes, rows * steps.len(), width])
        };
        (beside(&self.hidden), (!self.memory.is_empty()).then(|| beside(&self.memory)))
    }

    /// The states of each row before a step of its own, `[L, B, P]` and `[L·M, B, H]`.
    pub(super) fn before_each(&self, steps: &[usize]) -> (Tensor<3>, Option<Tensor<3>>) {
        let each = |of: &[Tensor<3>]| {
            let [planes, _, _] = of[0].dims();
            let row =
                |(row, step): (usize, &usize)| of[*step].clone().slice([0..planes, row..row + 1]);
            Tensor::cat(steps.iter().enumerate().map(row).collect(), 1)
        };
        (each(&self.hidden), (!self.memory.is_empty()).then(|| each(&self.memory)))
    }
}
