//! How one layer is run: the options, which are not operands.

use crate::operation::any_tensor::AnyTensor;
use crate::operation::cell_layout::CellLayout;
use crate::operation::observer::GradientObserver;
use crate::operation::operands::{Operand, Operands};
use crate::operation::sequence_rows::{SequenceMask, SequenceRows};
use crate::operation::step_noise::StepNoise;
use crate::operation::weight_cache::WeightCache;
use bptt_cells::Cell;
use burn::tensor::{DType, Shape};
use serde::{Deserialize, Serialize};
use std::mem::discriminant;
use std::sync::Arc;

/// How one backend runs a whole sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kernel {
    /// The fastest kernel that the backend has for this cell.
    #[default]
    Auto,
    /// The reference body in tensor operations, even where there is a faster kernel.
    Reference,
    /// On a GPU: one launch of a kernel for each step, two for cells with a gated hidden state. What these kernels do
    /// not compute (`docs/src/gpu.md`), the reference body does.
    Steps,
    /// On a GPU: one launch for the whole sequence, in which a workgroup computes some rows of the batch. What these
    /// kernels do not compute, the reference body does.
    Rows,
}

impl Kernel {
    /// All kernels.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Reference, Self::Steps, Self::Rows];

    /// Whether it is for GPUs alone. On tensors in host memory, an operation with such a kernel panics.
    pub fn is_for_gpus(self) -> bool {
        matches!(self, Self::Steps | Self::Rows)
    }

    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Reference => "reference",
            Self::Steps => "steps",
            Self::Rows => "rows",
        }
    }
}

/// What the output is at a masked step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MaskedOutput {
    /// Zero.
    #[default]
    Zero,
    /// The hidden state, which is held.
    #[serde(rename = "Held")]
    Hold,
}

/// The cell, and how its sequence is run: the direction, the mask, the resets, the kernel, the order of the outputs.
#[derive(Clone, Debug)]
pub struct Plan<C> {
    pub(crate) cell: C,
    pub(crate) options: PlanOptions,
}

/// A [`Plan`] without its cell. The defaults: forward in time, no mask, the fastest kernel, outputs time first.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    pub(crate) reverse: bool,
    pub(crate) rows: SequenceRows,
    pub(crate) masked_output: MaskedOutput,
    pub(crate) kernel: Kernel,
    pub(crate) batch_first: bool,
    /// Which half of each row of the outputs is this direction's, if the other half is the other direction's.
    pub(crate) side: Option<usize>,
    pub(crate) trace_budget: Option<usize>,
    pub(crate) real_time: bool,
    pub(crate) weight_cache: Option<WeightCache>,
    pub(crate) observer: Option<Arc<dyn GradientObserver>>,
}

/// The sizes of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// `T`
    pub time: usize,
    /// `B`
    pub batch: usize,
    /// `I`
    pub input: usize,
    /// `H`
    pub hidden: usize,
    /// `P`
    pub output: usize,
    /// `M`
    pub memories: usize,
}

impl<C: Cell> Plan<C> {
    /// A plan with the defaults: forward in time, no mask, the fastest kernel, outputs time first.
    pub fn new(cell: C) -> Self {
        Self { cell, options: PlanOptions::default() }
    }

    /// Whether the steps run from the last to the first.
    pub fn with_reverse(mut self, reverse: bool) -> Self {
        self.options.reverse = reverse;
        self
    }

    /// Which steps of which rows are valid; `None`: all. With lengths, each row ends at its own length (and in
    /// reverse starts there). The input at masked steps changes no result, even if it is NaN.
    pub fn with_mask(mut self, mask: Option<SequenceMask>) -> Self {
        self.options.rows.mask = mask;
        self
    }

    /// Where the state of a row is reset, `[T, B]`; `None`: nowhere. Where a flag is true, the state that the step
    /// reads is the reset state: [`Operand::ResetHidden`] and [`Operand::ResetMemory`], or zeros. No gradient crosses a
    /// reset.
    ///
    /// At step 0 the reset state replaces the given initial state. At a masked step, the state that is held becomes the
    /// reset state. At or behind a row's length, a flag has no effect. In reverse, the state is reset before step
    /// `t - 1` is computed, so that both directions see the same segments.
    pub fn with_resets(mut self, resets: Option<Arc<[bool]>>) -> Self {
        self.options.rows.resets = resets;
        self
    }

    /// What is done to the state around each step, besides the cell; `None`: nothing.
    pub fn with_noise(mut self, noise: Option<StepNoise>) -> Self {
        self.options.rows.noise = noise;
        self
    }

    /// What the output is at masked steps.
    pub fn with_masked_output(mut self, masked_output: MaskedOutput) -> Self {
        self.options.masked_output = masked_output;
        self
    }

    /// Which kernel runs the sequence.
    pub fn with_kernel(mut self, kernel: Kernel) -> Self {
        self.options.kernel = kernel;
        self
    }

    /// Whether the outputs are `[B, T, P]`. This saves a transposition of the outputs and one of their gradient.
    /// The input is `[T, B, I]` either way; it may be a view.
    pub fn with_batch_first(mut self, batch_first: bool) -> Self {
        self.options.batch_first = batch_first;
        self
    }

    /// How many bytes the trace may take. What does not fit is computed again in the backward pass, and the
    /// gradients are the same bits. Only the kernels for host memory keep to a budget; others keep everything.
    pub fn with_trace_budget(mut self, bytes: Option<usize>) -> Self {
        self.options.trace_budget = bytes;
        self
    }

    /// Whether gradients are computed by real-time recurrent learning. The backward pass then runs the sequence forward
    /// once more and carries the influence of the operands along. It uses no hand-written derivative, and the forward
    /// pass keeps no trace.
    pub fn with_real_time(mut self, real_time: bool) -> Self {
        self.options.real_time = real_time;
        self
    }

    /// Where packed weights may be kept from one call to the next. The kernels for host memory use it in short
    /// calls (up to 512 rows, all steps together) without gradients. Other calls and kernels neither read it
    /// nor write to it.
    ///
    /// The cache holds the tensors that were packed. While it holds them, nobody can change them in place or
    /// reuse their memory. So a tensor with the same memory, shape, strides and type has the same numbers. A
    /// call with other weights replaces the entry.
    pub fn with_weight_cache(mut self, cache: Option<WeightCache>) -> Self {
        self.options.weight_cache = cache;
        self
    }

    /// What reads the gradient of the state in the backward pass. Real-time recurrent learning has no backward pass, and
    /// dual numbers ignore it.
    pub fn with_observer(mut self, observer: Option<Arc<dyn GradientObserver>>) -> Self {
        self.options.observer = observer;
        self
    }

    /// The cell.
    pub fn cell(&self) -> &C {
        &self.cell
    }

    /// Whether the steps run from the last to the first.
    pub fn is_reverse(&self) -> bool {
        self.options.reverse
    }

    /// Which steps of which rows are valid; `None`: all.
    pub fn mask(&self) -> Option<&SequenceMask> {
        self.options.rows.mask.as_ref()
    }

    /// The flags of [`with_resets`](Self::with_resets).
    pub fn resets(&self) -> Option<&[bool]> {
        self.options.rows.resets.as_deref()
    }

    /// See [`with_noise`](Self::with_noise).
    pub fn noise(&self) -> Option<&StepNoise> {
        self.options.rows.noise.as_ref()
    }

    /// What the output is at masked steps.
    pub fn masked_output(&self) -> MaskedOutput {
        self.options.masked_output
    }

    /// The kernel that the plan asks for.
    pub fn kernel(&self) -> Kernel {
        self.options.kernel
    }

    /// Whether the outputs are `[B, T, P]`.
    pub fn is_batch_first(&self) -> bool {
        self.options.batch_first
    }

    /// What reads the gradient of the state in the backward pass, if anything does.
    pub fn observer(&self) -> Option<&dyn GradientObserver> {
        self.options.observer.as_deref()
    }

    /// How many bytes the trace may take; `None`: any number.
    pub fn trace_budget(&self) -> Option<usize> {
        self.options.trace_budget
    }

    /// The time steps in the order in which they are computed.
    pub fn order(&self, time: usize) -> impl DoubleEndedIterator<Item = usize> + use<C> {
        self.options.order(time)
    }

    /// Which rows are valid at step `t`; `None` if all are.
    pub fn valid_rows(&self, t: usize, batch: usize) -> Option<Vec<bool>> {
        self.options.valid_rows(t, batch)
    }

    /// Whose state is reset before step `t` is computed, in the direction of the plan and by its lengths; `None` if it
    /// is no row's.
    pub fn reset_rows(&self, t: usize, batch: usize) -> Option<Vec<bool>> {
        self.options.reset_rows(t, batch)
    }

    /// The sizes of a sequence, by the shapes of its operands.
    pub fn sizes(&self, shape: impl Fn(Operand) -> Shape) -> Sizes {
        Sizes::of(&CellLayout::of::<C>(), shape)
    }

    /// The shape of the outputs.
    pub fn outputs_shape(&self, sizes: &Sizes) -> Shape {
        self.options.outputs_shape(sizes)
    }

    /// Checks that the operands fit each other, before any kernel computes anything.
    ///
    /// # Panics
    ///
    /// If they do not fit. The message names the operand, its shape and the expected shape. If the operands have two
    /// types, it names both, because nothing is converted silently.
    pub fn check(&self, operands: &Operands<AnyTensor>) {
        let layout = CellLayout::of::<C>();
        layout.check_types(|operand| operands.get(operand).map(AnyTensor::dtype));
        self.options.check_shapes(&layout, &operands.map_ref(AnyTensor::shape));
    }
}

/// How many heads there are, by the shape of `weight_hh`: one, unless it has three dimensions.
pub(crate) fn heads_of(weight_hh: Option<&Shape>) -> usize {
    weight_hh.filter(|shape| shape.num_dims() == 3).map_or(1, |shape| shape[0])
}

/// The shape that `weight_hh` has to have: `[G·H, P]`, or in heads `[heads, G·H/heads, H/heads]`.
///
/// # Panics
///
/// If it is in heads that do not divide `H`, or beside a projection.
fn weight_hh_shape(
    cell: &CellLayout,
    shapes: &Operands<Shape>,
    [hidden, output]: [usize; 2],
) -> Shape {
    let rows = cell.gates() * hidden;
    let Some(found) = shapes.get(Operand::WeightHh).filter(|shape| shape.num_dims() == 3) else {
        return Shape::new([rows, output]);
    };
    let heads = found[0];
    assert!(
        heads > 1 && hidden.is_multiple_of(heads) && !shapes.has(Operand::WeightHr),
        "{}: `weight_hh` has shape {:?}: expected [heads, G·H/heads, H/heads] with two heads or more, \
         whose number divides H = {hidden}, and no projection",
        cell.name,
        &found[..],
    );
    Shape::new([heads, rows / heads, hidden / heads])
}

impl CellLayout {
    /// Checks that all operands have one type.
    ///
    /// # Panics
    ///
    /// If they have different types.
    pub(crate) fn check_types(&self, dtype: impl Fn(Operand) -> Option<DType>) {
        let Some(expected) = dtype(Operand::WeightIh) else { return };
        // Only the variants are compared. A float type has no other data, and memory checkers would report that `==`
        // reads uninitialised memory.
        let differs = |dtype: &DType| discriminant(dtype) != discriminant(&expected);
        let other = |operand| Some((operand, dtype(operand).filter(differs)?));
        let Some((operand, found)) = Operand::ALL.into_iter().find_map(other) else { return };
        panic!(
            "{}: `{}` is {found:?} and `weight_ih` is {expected:?}: expected one type; cast the one \
             (`tensor.cast(DType::{expected:?})`) or make the layer in {found:?}",
            self.name,
            operand.name(),
        );
    }
}

impl PlanOptions {
    /// See [`Plan::order`].
    pub(crate) fn order(&self, time: usize) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let reverse = self.reverse;
        (0..time).map(move |k| if reverse { time - 1 - k } else { k })
    }

    /// See [`Plan::valid_rows`].
    pub(crate) fn valid_rows(&self, t: usize, batch: usize) -> Option<Vec<bool>> {
        let masked = self.rows.mask.as_ref()?.masked_rows(t, batch)?;
        Some(masked.into_iter().map(|masked| !masked).collect())
    }

    /// See [`Plan::reset_rows`].
    pub(crate) fn reset_rows(&self, t: usize, batch: usize) -> Option<Vec<bool>> {
        self.rows.reset_rows(t, batch, self.reverse)
    }

    /// Checks that all shapes fit.
    ///
    /// # Panics
    ///
    /// If they do not.
    pub(crate) fn check_shapes(&self, cell: &CellLayout, shapes: &Operands<Shape>) {
        let shape = |operand: Operand| shapes.need(operand).clone();
        let sizes = Sizes::of(cell, shape);
        let Sizes { batch, input, hidden, output, memories, .. } = sizes;
        assert!(
            sizes.time > 0 && batch > 0,
            "{}: an input of shape {:?}: expected at least one step and one row",
            cell.name,
            &shape(Operand::Input)[..],
        );
        assert!(
            hidden > 0 && output > 0,
            "{}: `weight_ih` of shape {:?} and `h_0` of shape {:?}: expected at least one unit",
            cell.name,
            &shape(Operand::WeightIh)[..],
            &shape(Operand::Hidden)[..],
        );
        let rows = cell.gates() * hidden;
        let expected = [
            (Operand::WeightIh, Shape::new([rows, input])),
            (Operand::WeightHh, weight_hh_shape(cell, shapes, [hidden, output])),
            (Operand::BiasIh, Shape::new([rows])),
            (Operand::BiasHh, Shape::new([rows])),
            (Operand::WeightHr, Shape::new([output, hidden])),
            (Operand::Hidden, Shape::new([batch, output])),
            (Operand::Memory, Shape::new([memories, batch, hidden])),
            (Operand::ResetHidden, Shape::new([batch, output])),
            (Operand::ResetMemory, Shape::new([memories, batch, hidden])),
        ];
        for (operand, expected) in expected {
            if let Some(shape_is) = shapes.get(operand) {
                assert!(
                    *shape_is == expected,
                    "{}: `{}` has shape {:?}, expected {:?} beside an input of shape {:?}",
                    cell.name,
                    operand.name(),
                    &shape_is[..],
                    &expected[..],
                    &shape(Operand::Input)[..],
                );
            }
        }
        assert_eq!(
            (shapes.has(Operand::WeightHh), shapes.has(Operand::BiasHh)),
            match cell.has_recurrent_weights() {
                true => (true, shapes.has(Operand::BiasHh)),
                false => (false, false),
            },
            "{}: `weight_hh` and `bias_hh` go with cells that have a recurrent product, and only with those",
            cell.name,
        );
        assert_eq!(
            shapes.has(Operand::Memory),
            memories > 0,
            "{}: `c_0` goes with cells that have a memory, and only with those",
            cell.name,
        );
        let [hidden_reset, memory_reset] =
            [Operand::ResetHidden, Operand::ResetMemory].map(|operand| shapes.has(operand));
        assert_eq!(
            memory_reset,
            memories > 0 && hidden_reset,
            "{}: `c_reset` goes with `h_reset` for cells that have a memory, and only with it",
            cell.name,
        );
        assert!(
            output == hidden || (shapes.has(Operand::WeightHr) && cell.projectable),
            "{}: a hidden state of size {output} beside gates of size {hidden} needs `weight_hr` \
             and a cell that can be projected",
            cell.name,
        );
        // The same rule as in PyTorch. Also, buffers for `H` units have no space for more.
        assert!(
            output <= hidden,
            "{}: a hidden state of size P = {output} beside gates of size H = {hidden}: expected a \
             projection to at most H",
            cell.name,
        );
        self.check_rows(cell, &sizes, &shape(Operand::Input)[..]);
    }

    /// Checks that mask, lengths and resets are those of `time` steps of `batch` rows.
    fn check_rows(&self, cell: &CellLayout, sizes: &Sizes, input: &[usize]) {
        let (name, Sizes { time, batch, .. }) = (cell.name, *sizes);
        if let Some(SequenceMask::Steps(mask)) = &self.rows.mask {
            assert!(
                mask.len() == time * batch,
                "{name}: a mask of {} flags for an input of shape {input:?}: one for each step and row",
                mask.len(),
            );
        }
        if let Some(SequenceMask::Lengths(lengths)) = &self.rows.mask {
            assert!(
                lengths.len() == batch && lengths.iter().all(|&length| length <= time),
                "{name}: lengths {lengths:?} for an input of shape {input:?}: one for each row, none \
                 over the number of steps",
            );
        }
        if let Some(resets) = &self.rows.resets {
            assert!(
                resets.len() == time * batch,
                "{name}: {} flags of resets for an input of shape {input:?}: one for each step and row",
                resets.len(),
            );
        }
        if let Some(noise) = &self.rows.noise {
            noise.check(cell, [time, batch], [sizes.hidden, sizes.output]);
        }
    }

    /// The shape of the outputs.
    pub(crate) fn outputs_shape(&self, &Sizes { time, batch, output, .. }: &Sizes) -> Shape {
        let row = self.directions() * output;
        Shape::new(if self.batch_first { [batch, time, row] } else { [time, batch, row] })
    }

    /// How many directions share the outputs.
    pub(crate) fn directions(&self) -> usize {
        if self.side.is_some() { 2 } else { 1 }
    }
}

impl Sizes {
    /// The sizes, from the shapes of the operands.
    pub(crate) fn of(cell: &CellLayout, shape: impl Fn(Operand) -> Shape) -> Self {
        let input = shape(Operand::Input);
        Self {
            time: input[0],
            batch: input[1],
            input: input[2],
            hidden: shape(Operand::WeightIh)[0] / cell.gates(),
            output: shape(Operand::Hidden)[1],
            memories: cell.memories,
        }
    }
}
