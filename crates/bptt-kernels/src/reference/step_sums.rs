//! The sums over all steps of the reference body's backward pass: the gradients of weights, biases, input and states.

use crate::operation::cell_layout::CellLayout;
use crate::operation::operands::{Operand, Operands};
use crate::operation::plan::{PlanOptions, Sizes};
use crate::reference::recurrent_matrix::{gate_dim, gradient};
use crate::reference::tensor_cell::ListedState;
use crate::reference::tensor_number::TensorNumber;
use bptt_cells::{HiddenTerm, State};

/// The input as a matrix, `[T·B, I]`, with zeros at masked steps, so that nothing in the padding, not even a NaN,
/// reaches a product.
pub(super) fn input_rows<N: TensorNumber>(
    plan: &PlanOptions,
    operands: &Operands<N>,
    sizes: &Sizes,
) -> N {
    let Sizes { time, batch, input, .. } = *sizes;
    only_valid(plan, operands.need(Operand::Input).clone().reshape([time * batch, input]), sizes)
}

/// Rows `[T·B, n]`, with zeros at masked steps.
fn only_valid<N: TensorNumber>(plan: &PlanOptions, x: N, sizes: &Sizes) -> N {
    let Sizes { time, batch, .. } = *sizes;
    let Some(mask) = &plan.rows.mask else { return x };
    let steps = (0..time).flat_map(|t| (0..batch).map(move |b| (t, b)));
    let valid: Vec<bool> = steps.map(|(t, b)| mask.is_valid(t, b, batch)).collect();
    x.only(&valid)
}

/// The terms of the sums over all steps, collected step by step, in order of time.
pub(crate) struct StepSums<N> {
    pub(super) d_gates: Vec<Option<N>>,
    /// `None` at each step for cells whose gates are all added, because it is equal to `d_gates` there.
    pub(super) d_outer: Vec<Option<N>>,
    pub(super) hidden_before: Vec<Option<N>>,
    pub(super) gated_hidden: Vec<Option<N>>,
    pub(super) projection: Vec<Option<(N, N)>>,
    /// dLoss/d(reset state); `None` if nothing was reset.
    reset: Option<ListedState<N>>,
}

impl<N: TensorNumber> StepSums<N> {
    pub(super) fn new(time: usize) -> Self {
        Self {
            d_gates: vec![None; time],
            d_outer: vec![None; time],
            hidden_before: vec![None; time],
            gated_hidden: vec![None; time],
            projection: vec![None; time],
            reset: None,
        }
    }

    /// The terms of all steps as one tensor each, in order of time: `[T·B, n]`.
    #[cfg(feature = "cube")]
    pub(crate) fn of_sequence(
        d_gates: N,
        d_outer: Option<N>,
        hidden_before: N,
        gated_hidden: Option<N>,
        reset: Option<ListedState<N>>,
    ) -> Self {
        Self {
            d_gates: vec![Some(d_gates)],
            d_outer: vec![d_outer],
            hidden_before: vec![Some(hidden_before)],
            gated_hidden: vec![gated_hidden],
            projection: vec![],
            reset,
        }
    }

    /// Adds the gradient of the rows that are reset to that of the reset state. Returns that of the other rows.
    pub(super) fn take_reset(&mut self, reset: &[bool], d: ListedState<N>) -> ListedState<N> {
        let others: Vec<bool> = reset.iter().map(|reset| !reset).collect();
        let only = |d: &ListedState<N>, rows: &[bool]| State {
            hidden: d.hidden.clone().only(rows),
            memory: d.memory.iter().map(|d| d.clone().only(rows)).collect::<Vec<_>>(),
        };
        let taken = only(&d, reset);
        self.reset = Some(match self.reset.take() {
            None => taken,
            Some(sum) => State {
                hidden: sum.hidden + taken.hidden,
                memory: sum.memory.into_iter().zip(taken.memory).map(|(a, b)| a + b).collect(),
            },
        });
        only(&d, &others)
    }

    /// The gradients that are sums over all steps: one product each.
    pub(crate) fn gradients(
        self,
        cell: &CellLayout,
        plan: &PlanOptions,
        operands: &Operands<N>,
        wanted: &Operands<()>,
        (sizes, d_state): (&Sizes, ListedState<N>),
    ) -> Operands<N> {
        let Sizes { time, batch, input, hidden, memories, .. } = *sizes;
        let all = |steps: Vec<Option<N>>| N::concatenate(steps.into_iter().flatten().collect(), 0);
        let d_gates = all(self.d_gates);
        let differs = self.d_outer.iter().any(Option::is_some);
        let d_outer = if differs { all(self.d_outer) } else { d_gates.clone() };
        let (gates, has_gated) = (cell.gates(), cell.hidden_terms.contains(&HiddenTerm::Gated));
        let d_last = || d_gates.columns((gates - 1) * hidden, gates * hidden);
        let mut d = Operands::new();
        if wanted.has(Operand::Input) {
            let weight_ih = operands.need(Operand::WeightIh).clone();
            let d_x = d_gates.clone().matmul(weight_ih);
            // The state that a masked step holds may be NaN, and zero times NaN is NaN.
            let d_x = only_valid(plan, d_x, sizes);
            d.set(Operand::Input, Some(d_x.reshape([time, batch, input])));
        }
        if wanted.has(Operand::WeightIh) {
            let x = input_rows(plan, operands, sizes);
            d.set(Operand::WeightIh, Some(d_gates.clone().transposed_matmul(x)));
        }
        if wanted.has(Operand::WeightHh) {
            let weight = operands.need(Operand::WeightHh);
            let mut parts = vec![gradient(weight, d_outer.clone(), all(self.hidden_before))];
            if has_gated {
                parts.push(gradient(weight, d_last(), all(self.gated_hidden)));
            }
            d.set(Operand::WeightHh, Some(N::concatenate(parts, gate_dim(weight))));
        }
        if wanted.has(Operand::BiasHh) {
            let mut parts = vec![d_outer.sum_rows()];
            if has_gated {
                parts.push(d_last().sum_rows());
            }
            d.set(Operand::BiasHh, Some(N::concatenate(parts, 0)));
        }
        if wanted.has(Operand::WeightHr) {
            let (d_h, own): (Vec<_>, Vec<_>) = self.projection.into_iter().flatten().unzip();
            let d_weight = N::concatenate(d_h, 0).transposed_matmul(N::concatenate(own, 0));
            d.set(Operand::WeightHr, Some(d_weight));
        }
        if wanted.has(Operand::BiasIh) {
            d.set(Operand::BiasIh, Some(d_gates.sum_rows()));
        }
        let reset = self.reset.unwrap_or_else(|| State {
            hidden: d_state.hidden.zeros(d_state.hidden.shape()),
            memory: d_state.memory.iter().map(|d| d.zeros(d.shape())).collect(),
        });
        for (state, [hidden_is, memory_is]) in [
            (d_state, [Operand::Hidden, Operand::Memory]),
            (reset, [Operand::ResetHidden, Operand::ResetMemory]),
        ] {
            if wanted.has(hidden_is) {
                d.set(hidden_is, Some(state.hidden));
            }
            if wanted.has(memory_is) {
                let d_memory = N::concatenate(state.memory, 0);
                d.set(memory_is, Some(d_memory.reshape([memories, batch, hidden])));
            }
        }
        d
    }
}
