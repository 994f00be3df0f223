//! What a scan is asked for.

use crate::operation::plan::Kernel;
use crate::operation::sequence_rows::{SequenceMask, SequenceRows};
use crate::operation::step_flags::{MASKED, RESET};
use bptt_cells::scanned::ScannedCell;
use burn::Tensor;
use burn::tensor::DType;
use std::sync::Arc;

/// The tensors that go into a scan. `G`, `K` and `S` are the cell's numbers of gates, of constants, and of numbers of a
/// unit's state; planes of `H` numbers lie side by side.
#[derive(Clone, Debug)]
pub struct ScanOperands {
    /// The gates of all steps, `[T, B, G·H]`, or `[B, T, G·H]` if the plan is batch first.
    pub gates: Tensor<3>,
    /// What is the same at all steps, `[K·H]`; `None` if the cell has no constants.
    pub constants: Option<Tensor<1>>,
    /// The state to start from, `[B, S·H]`.
    pub initial: Tensor<2>,
    /// The state that a reset sets, `[B, S·H]`; `None`: zeros.
    pub reset: Option<Tensor<2>>,
}

/// The tensors that go into a scan whose gates are a product of the input, `x Wᵀ`. Letters as in [`ScanOperands`].
#[derive(Clone, Debug)]
pub struct InputOperands {
    /// The input of all steps, `x`, `[T, B, I]`, or `[B, T, I]` if the plan is batch first.
    pub input: Tensor<3>,
    /// The weight of all gates, `W`, `[G·H, I]`. If it has the rows of one gate less, `[(G - 1)·H, I]`, and `I = H`, the last
    /// gate is the input itself.
    pub weight: Tensor<2>,
    /// What is the same at all steps, `[K·H]`; `None` if the cell has no constants.
    pub constants: Option<Tensor<1>>,
    /// The state to start from, `[B, S·H]`.
    pub initial: Tensor<2>,
    /// The state that a reset sets, `[B, S·H]`; `None`: zeros.
    pub reset: Option<Tensor<2>>,
}

impl InputOperands {
    /// The same with the gates of all steps, `[T, B, width]`, computed by Burn. The operands were checked.
    pub(crate) fn with_gates(self, width: usize) -> ScanOperands {
        let Self { input, weight, constants, initial, reset } = self;
        let [outer, inner, size] = input.dims();
        let [rows, _] = weight.dims();
        let flat = input.clone().reshape([outer * inner, size]);
        let product = flat.matmul(weight.transpose()).reshape([outer, inner, rows]);
        let has_all = rows == width;
        let gates = if has_all { product } else { Tensor::cat(vec![product, input], 2) };
        ScanOperands { gates, constants, initial, reset }
    }
}

/// How a scan is run, besides its operands.
#[derive(Clone, Debug, Default)]
pub struct ScanPlan {
    reverse: bool,
    batch_first: bool,
    rows: SequenceRows,
    kernel: Kernel,
}

impl ScanPlan {
    /// From the first step to the last, `[T, B, …]`, without masks and resets.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the steps run from the last to the first.
    pub fn with_reverse(mut self, reverse: bool) -> Self {
        self.reverse = reverse;
        self
    }

    /// Whether input, gates and states are `[B, T, …]`.
    pub fn with_batch_first(mut self, batch_first: bool) -> Self {
        self.batch_first = batch_first;
        self
    }

    /// Which steps of which rows are valid; a masked step copies the state on.
    pub fn with_mask(mut self, mask: Option<SequenceMask>) -> Self {
        self.rows.mask = mask;
        self
    }

    /// Where the state of a row is reset, `[T, B]`, as [`Plan::with_resets`](crate::Plan::with_resets) says.
    pub fn with_resets(mut self, resets: Option<Arc<[bool]>>) -> Self {
        self.rows.resets = resets;
        self
    }

    /// The shape of a sequence of `[B, T, …]`.
    fn sequence(&self, [batch, time, width]: [usize; 3]) -> [usize; 3] {
        if self.batch_first { [batch, time, width] } else { [time, batch, width] }
    }

    /// Which kernel runs it in host memory. [`Kernel::Reference`] is the tensor operations of the other backends. So are
    /// [`Kernel::Steps`] and [`Kernel::Rows`], which are kernels of cells that run step by step.
    pub fn with_kernel(mut self, kernel: Kernel) -> Self {
        self.kernel = kernel;
        self
    }
}

/// A scan whose operands were checked.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) time: usize,
    pub(crate) batch: usize,
    /// `H`
    pub(crate) hidden: usize,
    pub(crate) reverse: bool,
    pub(crate) batch_first: bool,
    #[cfg_attr(not(feature = "host"), allow(dead_code, reason = "there is one kernel"))]
    pub(crate) kernel: Kernel,
    /// Whether there is a reset state, besides zeros.
    pub(crate) has_reset_state: bool,
    /// [`RESET`] and [`MASKED`] of each step in the order in which they run, and of each row; `None`: no step has any.
    pub(crate) flags: Option<Arc<[u8]>>,
}

impl Checked {
    /// # Panics
    ///
    /// If the operands do not fit each other.
    pub(crate) fn of<C: ScannedCell>(operands: &ScanOperands, plan: &ScanPlan) -> Self {
        let name = C::NAME;
        let ScanOperands { gates, constants, initial, reset } = operands;
        let dims = gates.dims();
        let checked = Self::besides_gates::<C>(
            plan,
            (dims, gates.dtype()),
            (constants.as_ref(), initial, reset.as_ref()),
        );
        let planes = C::GATES * checked.hidden;
        let expected = plan.sequence([checked.batch, checked.time, planes]);
        assert!(
            dims == expected && checked.time > 0,
            "{name}: gates of shape {dims:?} and an initial state of shape {:?}: expected gates of shape \
             {expected:?}, with at least one step",
            initial.dims(),
        );
        checked
    }

    /// The same for gates that are a product of the input.
    ///
    /// # Panics
    ///
    /// If the operands do not fit each other.
    pub(crate) fn of_input<C: ScannedCell>(operands: &InputOperands, plan: &ScanPlan) -> Self {
        let name = C::NAME;
        let InputOperands { input, weight, constants, initial, reset } = operands;
        let (dims, [rows, size]) = (input.dims(), weight.dims());
        let checked = Self::besides_gates::<C>(
            plan,
            (dims, input.dtype()),
            (constants.as_ref(), initial, reset.as_ref()),
        );
        let (hidden, planes) = (checked.hidden, C::GATES * checked.hidden);
        let has_input = rows + hidden == planes && size == hidden;
        assert!(
            (rows == planes || has_input) && size > 0,
            "{name}: a weight of shape [{rows}, {size}]: expected [{planes}, I], or, if the last gate is the \
             input, [{}, {hidden}]",
            planes - hidden,
        );
        let expected = plan.sequence([checked.batch, checked.time, size]);
        assert!(
            dims == expected && checked.time > 0,
            "{name}: an input of shape {dims:?}, a weight of shape [{rows}, {size}] and an initial state of \
             shape {:?}: expected an input of shape {expected:?}, with at least one step",
            initial.dims(),
        );
        assert!(
            weight.dtype() == input.dtype(),
            "{name}: an input of the type {:?} and a weight of {:?}: expected one type",
            input.dtype(),
            weight.dtype(),
        );
        checked
    }

    /// Checks the operands besides the gates, for gates or an input of these sizes and of this type.
    fn besides_gates<C: ScannedCell>(
        plan: &ScanPlan,
        (dims, dtype): ([usize; 3], DType),
        (constants, initial, reset): (Option<&Tensor<1>>, &Tensor<2>, Option<&Tensor<2>>),
    ) -> Self {
        let name = C::NAME;
        let [batch, width] = initial.dims();
        let hidden = width / C::PARTS;
        let time = if plan.batch_first { dims[1] } else { dims[0] };
        assert!(
            width == C::PARTS * hidden && batch > 0 && hidden > 0,
            "{name}: an initial state of shape {:?}: expected [B, S·H] with S = {}, and at least one row and \
             one unit",
            initial.dims(),
            C::PARTS,
        );
        let all = C::CONSTANTS * hidden;
        let found = constants.map_or(0, |constants| constants.dims()[0]);
        assert!(found == all, "{name}: {found} constants: expected K·H = {all}");
        if let Some(reset) = reset {
            assert!(
                reset.dims() == initial.dims(),
                "{name}: a reset state of shape {:?}: expected {:?}, as the initial state",
                reset.dims(),
                initial.dims(),
            );
        }
        let types = [Some(initial.dtype()), constants.map(|x| x.dtype()), reset.map(|x| x.dtype())];
        for other in types.into_iter().flatten() {
            assert!(
                dtype == other,
                "{name}: operands of the types {dtype:?} and {other:?}: expected one type"
            );
        }
        Self {
            time,
            batch,
            hidden,
            reverse: plan.reverse,
            batch_first: plan.batch_first,
            kernel: plan.kernel,
            has_reset_state: reset.is_some(),
            flags: flags(plan, name, [time, batch]),
        }
    }

    /// Which flags a step of a row has. Steps are counted in the order in which they run.
    pub(crate) fn has(&self, flag: u8, step: usize, row: usize) -> bool {
        self.flags.as_ref().is_some_and(|flags| flags[step * self.batch + row] & flag != 0)
    }

    /// Whether any step has this flag.
    pub(crate) fn has_any(&self, flag: u8) -> bool {
        self.flags.as_ref().is_some_and(|flags| flags.iter().any(|flags| flags & flag != 0))
    }
}

fn flags(plan: &ScanPlan, name: &str, [time, batch]: [usize; 2]) -> Option<Arc<[u8]>> {
    let rows = &plan.rows;
    match &rows.mask {
        Some(SequenceMask::Lengths(lengths)) => {
            assert!(lengths.len() == batch, "{name}: {} lengths: expected {batch}", lengths.len());
            if let Some(length) = lengths.iter().find(|&&length| length > time) {
                panic!("{name}: a length of {length}, and the gates have {time} steps");
            }
        }
        Some(SequenceMask::Steps(mask)) => assert!(
            mask.len() == time * batch,
            "{name}: a mask of {} steps: expected T·B = {}",
            mask.len(),
            time * batch,
        ),
        None => {}
    }
    if let Some(resets) = &rows.resets {
        let expected = time * batch;
        assert!(
            resets.len() == expected,
            "{name}: {} flags of resets: expected T·B = {expected}",
            resets.len(),
        );
    }
    if rows.mask.is_none() && rows.resets.is_none() {
        return None;
    }
    let of = |step: usize, row: usize| {
        let t = if plan.reverse { time - 1 - step } else { step };
        let is_reset = rows.is_reset(t, row, [time, batch], plan.reverse);
        let is_masked = rows.mask.as_ref().is_some_and(|mask| !mask.is_valid(t, row, batch));
        (u8::from(is_reset) * RESET) | (u8::from(is_masked) * MASKED)
    };
    let all: Arc<[u8]> = (0..time)
        .flat_map(|step| (0..batch).map(move |row| (step, row)))
        .map(|(step, row)| of(step, row))
        .collect();
    all.iter().any(|&flags| flags != 0).then_some(all)
}
