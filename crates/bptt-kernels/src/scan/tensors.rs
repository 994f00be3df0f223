//! A scan by tensor operations: the doubling of Hillis and Steele.
//!
//! ```text
//! for k = 1, 2, 4, … < T, for all steps t ≥ k at once:
//!     b_t <- a_t ⊙ b_{t-k} + b_t
//!     a_t <- a_t ⊙ a_{t-k}
//! ```
//!
//! After each round, `(a_t, b_t)` is what the last `2k` steps up to `t` do to a state. A reset ends that: the round
//! skips a step if a reset lies between it and step `t - k`.
//!
//! W. D. Hillis and G. L. Steele, "Data parallel algorithms", Communications of the ACM 29 (1986); the segments are those
//! of G. E. Blelloch, "Prefix sums and their applications" (1990).

use crate::operation::recorded::Recorded;
use crate::operation::step_flags::{MASKED, RESET};
use crate::scan::plan::{Checked, ScanOperands};
use crate::scan::tensor_number::Plane;
use bptt_cells::Components;
use bptt_cells::scanned::{Coefficients, Linear, ScannedCell};
use burn::Tensor;
use burn::tensor::{Bool, Device, TensorData};
use std::ops::Range;

/// The gradients, each in the shape of its operand; `None` for an operand that is not there.
pub(super) struct Gradients {
    pub(super) gates: Tensor<3>,
    pub(super) constants: Option<Tensor<1>>,
    pub(super) initial: Tensor<2>,
    pub(super) reset: Option<Tensor<2>>,
}

/// The states after all steps.
pub(super) fn forward<C: ScannedCell>(
    cell: &C,
    operands: &ScanOperands,
    plan: &Checked,
) -> Tensor<3> {
    let order = Order::of(plan);
    let Coefficients { a, b, .. } = coefficients(cell, operands, plan);
    let (a, b) = without_masked(operands, plan, (a, b));
    let b = with_starts::<C>(operands, plan, &a, b);
    let resets = Segments::of(plan.time, plan.batch, |step, row| plan.has(RESET, step, row));
    joined(doubled(order, a, b, resets.as_ref()))
}

/// The derivation: a scan from the last step to the first, and then all steps at once.
pub(super) fn backward<C: ScannedCell>(
    cell: &C,
    operands: &ScanOperands,
    plan: &Checked,
    states: Tensor<3>,
    d_states: Tensor<3>,
) -> Gradients {
    let (order, time) = (Order::of(plan), plan.time);
    let done = coefficients(cell, operands, plan);
    let zeros: C::State<Plane> = done.b.clone().map(|b| Recorded(b.0.zeros_like()));
    let (a, _) = without_masked(operands, plan, (done.a, zeros));

    // d_b_t = d_h_t + conj(a_{t+1}) d_b_{t+1}, unless the state is reset before step t + 1.
    let next = |x: Plane| {
        let last = order.late(&x.0, 1).zeros_like();
        Recorded(if time > 1 { order.join(order.late(&x.0, time - 1), last) } else { last })
    };
    let is_cut = |step: usize, row: usize| step > 0 && plan.has(RESET, time - step, row);
    let resets = Segments::of(time, plan.batch, is_cut);
    let d_h: C::State<Plane> = planes(&d_states, plan.hidden);
    let d_b = doubled(order.opposite(), a.clone().map(next).conj(), d_h, resets.as_ref());

    let before: C::State<Plane> = planes(&states_before(operands, plan, states), plan.hidden);
    let d_a = before.times_backward(&d_b);
    let constants: C::Constants<Plane> = constants_of(operands, plan.hidden);
    let (d_gates, d_constants) =
        cell.coefficients_backward(done.saved, &constants, d_a, d_b.clone());
    let masked = masked(plan, &operands.gates.device());
    // It selects, so that what is no number at a masked step stays there.
    let select = |x: Plane| match &masked {
        Some(masked) => Recorded(filled(x.0, masked, 0.0)),
        None => x,
    };
    let d_before = joined(a.times_backward(&d_b));
    let (d_initial, d_reset) = starts_backward(operands, plan, d_before);
    let of_units = d_constants.into_vec().into_iter().map(|d| {
        // A constant that is broadcast may have a gradient that is.
        let [outer, inner] = order.sizes(plan);
        let d = select(Recorded(d.0.expand([outer, inner, plan.hidden])));
        d.0.sum_dim(0).sum_dim(1).reshape([plan.hidden])
    });
    let of_units: Vec<Tensor<1>> = of_units.collect();
    Gradients {
        gates: joined(d_gates.map(select)),
        constants: (!of_units.is_empty()).then(|| Tensor::cat(of_units, 0)),
        initial: d_initial,
        reset: d_reset,
    }
}

/// The planes of a tensor, `[…, H]` each.
fn planes<P: Components<Plane>>(of: &Tensor<3>, hidden: usize) -> P {
    P::from_fn(|plane| Recorded(of.clone().narrow(2, plane * hidden, hidden)))
}

/// Planes side by side.
fn joined<P: Components<Plane>>(planes: P) -> Tensor<3> {
    let mut all: Vec<Tensor<3>> = planes.into_vec().into_iter().map(|plane| plane.0).collect();
    if all.len() == 1 { all.remove(0) } else { Tensor::cat(all, 2) }
}

/// The constants, `[1, 1, H]` each.
fn constants_of<P: Components<Plane>>(operands: &ScanOperands, hidden: usize) -> P {
    match &operands.constants {
        Some(constants) => {
            let [len] = constants.dims();
            planes(&constants.clone().reshape([1, 1, len]), hidden)
        }
        None => P::from_vec(Vec::new()),
    }
}

/// The coefficients of all steps, each in the shape of a plane of the gates.
fn coefficients<C: ScannedCell>(
    cell: &C,
    operands: &ScanOperands,
    plan: &Checked,
) -> Coefficients<C, Plane> {
    let gates: C::Gates<Plane> = planes(&operands.gates, plan.hidden);
    let constants: C::Constants<Plane> = constants_of(operands, plan.hidden);
    let mut done = cell.coefficients(gates, &constants);
    let [outer, inner] = Order::of(plan).sizes(plan);
    // A constant factor is one for all steps.
    done.a = done.a.map(|a| Recorded(a.0.expand([outer, inner, plan.hidden])));
    done
}

/// The coefficients of the masked steps are 1 and 0. They are selected: what is no number there changes nothing.
fn without_masked<P: Linear<Plane>>(
    operands: &ScanOperands,
    plan: &Checked,
    (a, b): (P, P),
) -> (P, P) {
    let Some(masked) = masked(plan, &operands.gates.device()) else { return (a, b) };
    // The first part of a state is its real part.
    let mut one = 1.0;
    let a = a.map(|a| Recorded(filled(a.0, &masked, std::mem::replace(&mut one, 0.0))));
    (a, b.map(|b| Recorded(filled(b.0, &masked, 0.0))))
}

/// Which steps are masked, `[T, B, 1]`; `None` if none is.
fn masked(plan: &Checked, device: &Device) -> Option<Tensor<3, Bool>> {
    plan.has_any(MASKED).then(|| {
        let is_masked = |step: usize, row: usize| plan.has(MASKED, step, row);
        Order::of(plan).flags(0..plan.time, plan.batch, device, is_masked)
    })
}

/// A number where a mask `[T, B, 1]` is true.
fn filled(x: Tensor<3>, mask: &Tensor<3, Bool>, with: f64) -> Tensor<3> {
    let dims = x.dims();
    x.mask_fill(mask.clone().expand(dims), with)
}

/// A state of all rows, with a time of one step.
fn as_step(state: &Tensor<2>, plan: &Checked) -> Tensor<3> {
    state.clone().unsqueeze_dim(if plan.batch_first { 1 } else { 0 })
}

/// The state that a reset sets, with a time of one step.
fn reset_state(operands: &ScanOperands, plan: &Checked) -> Tensor<3> {
    match &operands.reset {
        Some(reset) => as_step(reset, plan),
        None => as_step(&operands.initial.clone().detach().zeros_like(), plan),
    }
}

/// `b`, with `a ⊙` the state that each segment begins with added to its first step.
fn with_starts<C: ScannedCell>(
    operands: &ScanOperands,
    plan: &Checked,
    a: &C::State<Plane>,
    b: C::State<Plane>,
) -> C::State<Plane> {
    let (order, time) = (Order::of(plan), plan.time);
    let device = operands.gates.device();
    let mut initial = as_step(&operands.initial, plan);
    let mut b = b;
    if plan.has_any(RESET) {
        let reset = reset_state(operands, plan);
        let at_first = order.flags(0..1, plan.batch, &device, |_, row| plan.has(RESET, 0, row));
        let dims = initial.dims();
        initial = initial.mask_where(at_first.expand(dims), reset.clone());
        let elsewhere = order.flags(0..time, plan.batch, &device, |step, row| {
            step == 0 || !plan.has(RESET, step, row)
        });
        let at_resets = a.clone().map(|a| Recorded(filled(a.0, &elsewhere, 0.0)));
        b = at_resets.times(&planes(&reset, plan.hidden)).plus(&b);
    }
    let first = |x: Plane| Recorded(order.early(&x.0, 1));
    let begun = a.clone().map(first).times(&planes(&initial, plan.hidden));
    let begun = begun.plus(&b.clone().map(first));
    if time == 1 {
        return begun;
    }
    let mut begun = begun.into_vec().into_iter();
    b.map(|b| {
        let first = begun.next().expect("as many parts");
        Recorded(order.join(first.0, order.late(&b.0, time - 1)))
    })
}

/// The state that each step reads.
fn states_before(operands: &ScanOperands, plan: &Checked, states: Tensor<3>) -> Tensor<3> {
    let (order, time) = (Order::of(plan), plan.time);
    let initial = as_step(&operands.initial, plan);
    let before =
        if time == 1 { initial } else { order.join(initial, order.early(&states, time - 1)) };
    if !plan.has_any(RESET) {
        return before;
    }
    let device = operands.gates.device();
    let resets = order.flags(0..time, plan.batch, &device, |step, row| plan.has(RESET, step, row));
    let dims = before.dims();
    before.mask_where(resets.expand(dims), reset_state(operands, plan).expand(dims))
}

/// dLoss/d(initial state) and dLoss/d(reset state), from those of the states that the steps read.
fn starts_backward(
    operands: &ScanOperands,
    plan: &Checked,
    d_before: Tensor<3>,
) -> (Tensor<2>, Option<Tensor<2>>) {
    let order = Order::of(plan);
    let dims = operands.initial.dims();
    let device = operands.gates.device();
    let mut d_initial = order.early(&d_before, 1);
    if plan.has_any(RESET) {
        let at_first = order.flags(0..1, plan.batch, &device, |_, row| plan.has(RESET, 0, row));
        d_initial = filled(d_initial, &at_first, 0.0);
    }
    let d_reset = operands.reset.as_ref().map(|_| {
        let elsewhere =
            order.flags(0..plan.time, plan.batch, &device, |step, row| !plan.has(RESET, step, row));
        filled(d_before, &elsewhere, 0.0).sum_dim(order.axis).reshape(dims)
    });
    (d_initial.reshape(dims), d_reset)
}

/// The order of the steps, and the axis that they lie along.
#[derive(Clone, Copy)]
struct Order {
    axis: usize,
    reverse: bool,
}

impl Order {
    fn of(plan: &Checked) -> Self {
        Self { axis: if plan.batch_first { 1 } else { 0 }, reverse: plan.reverse }
    }

    fn opposite(self) -> Self {
        Self { reverse: !self.reverse, ..self }
    }

    /// The first two sizes of a sequence.
    fn sizes(self, plan: &Checked) -> [usize; 2] {
        if self.axis == 1 { [plan.batch, plan.time] } else { [plan.time, plan.batch] }
    }

    /// The first `count` steps.
    fn early(self, x: &Tensor<3>, count: usize) -> Tensor<3> {
        let from = if self.reverse { x.dims()[self.axis] - count } else { 0 };
        x.clone().narrow(self.axis, from, count)
    }

    /// The last `count` steps.
    fn late(self, x: &Tensor<3>, count: usize) -> Tensor<3> {
        self.opposite().early(x, count)
    }

    /// Some steps, and those behind them.
    fn join(self, early: Tensor<3>, late: Tensor<3>) -> Tensor<3> {
        let all = if self.reverse { vec![late, early] } else { vec![early, late] };
        Tensor::cat(all, self.axis)
    }

    /// A flag of some steps and all rows, `[T, B, 1]` in the layout of the sequence.
    fn flags(
        self,
        steps: Range<usize>,
        batch: usize,
        device: &Device,
        flag: impl Fn(usize, usize) -> bool,
    ) -> Tensor<3, Bool> {
        let count = steps.len();
        let step = |t: usize| if self.reverse { steps.end - 1 - t } else { steps.start + t };
        let [outer, inner] = if self.axis == 1 { [batch, count] } else { [count, batch] };
        let at = |i: usize, j: usize| if self.axis == 1 { (step(j), i) } else { (step(i), j) };
        let all = (0..outer).flat_map(|i| (0..inner).map(move |j| (i, j)));
        let flags: Vec<bool> = all
            .map(|(i, j)| {
                let (step, row) = at(i, j);
                flag(step, row)
            })
            .collect();
        Tensor::from_data(TensorData::new(flags, [outer, inner, 1]), device)
    }
}

/// Where the rows are cut into segments.
struct Segments {
    /// For each step and row, one more than the step of the last cut up to there; 0: there is none.
    last: Vec<usize>,
    batch: usize,
}

impl Segments {
    /// `None` if there is no cut.
    fn of(time: usize, batch: usize, is_cut: impl Fn(usize, usize) -> bool) -> Option<Self> {
        let mut last = vec![0; time * batch];
        for step in 0..time {
            for row in 0..batch {
                let before = if step > 0 { last[(step - 1) * batch + row] } else { 0 };
                last[step * batch + row] = if is_cut(step, row) { step + 1 } else { before };
            }
        }
        let is_any = last.iter().any(|&last| last > 0);
        is_any.then_some(Self { last, batch })
    }

    /// Whether there is a cut between step `step - distance` and this step.
    fn is_between(&self, step: usize, row: usize, distance: usize) -> bool {
        self.last[step * self.batch + row] > step + 1 - distance
    }
}

/// The doubling.
fn doubled<P: Linear<Plane>>(order: Order, mut a: P, mut b: P, segments: Option<&Segments>) -> P {
    let (mut time, mut device) = (0, None);
    b = b.map(|b| {
        time = b.0.dims()[order.axis];
        device = Some(b.0.device());
        b
    });
    let mut k = 1;
    while k < time {
        let late = |x: &P| x.clone().map(|x| Recorded(order.late(&x.0, time - k)));
        let before = |x: &P| x.clone().map(|x| Recorded(order.early(&x.0, time - k)));
        let (mut factor, mut from) = (late(&a), before(&b));
        if let (Some(segments), Some(device)) = (segments, &device) {
            // Where the round skips a step.
            let is_cut = |step: usize, row: usize| segments.is_between(step, row, k);
            let cut = order.flags(k..time, segments.batch, device, is_cut);
            factor = factor.map(|x| Recorded(filled(x.0, &cut, 0.0)));
            from = from.map(|x| Recorded(filled(x.0, &cut, 0.0)));
        }
        let b_late = factor.times(&from).plus(&late(&b));
        if 2 * k < time {
            let a_late = late(&a).times(&before(&a));
            a = behind(order, a, a_late, k);
        }
        b = behind(order, b, b_late, k);
        k *= 2;
    }
    b
}

/// The first `k` steps as they are, and the others.
fn behind<P: Linear<Plane>>(order: Order, all: P, late: P, k: usize) -> P {
    let mut late = late.into_vec().into_iter();
    all.map(|x| {
        let late = late.next().expect("as many parts");
        Recorded(order.join(order.early(&x.0, k), late.0))
    })
}
