//! Compares the kernels with plain arithmetic, with the reference body, and with each other.

mod duals;
mod functions;
mod heads;
mod products;

use crate::host::gemm::dispatch::Gemm;
use crate::host::layout::sizes::Layer;
use crate::host::layout::thread_plan::{Parallelism, ThreadPlan};
use crate::host::layout::valid_rows::ValidRows;
use crate::host::memory::buffer::Buffer;
use crate::host::memory::values::Values;
use crate::host::sequence::backward::{BackwardInputs, backward};
use crate::host::sequence::forward::forward;
use crate::host::sequence::trace::Trace;
use crate::host::sequence::trace_segment::Keep;
use crate::host::simd::isa::Isa;
use crate::host::simd::real::Real;
use crate::host::step::cell_steps::{CellRunner, InValues};
use crate::operation::cell_layout::CellLayout;
use crate::operation::operands::{Cotangents, Operand, Operands, Results};
use crate::operation::plan::{MaskedOutput, Plan, Sizes};
use crate::operation::schedule::TraceSchedule;
use crate::operation::sequence_rows::SequenceMask;
use crate::reference::run;
use bptt_cells::{
    Cell, Clipped, GruResetAfter, GruResetBefore, Lstm, LstmCoupled, RnnRelu, RnnTanh,
};
use burn::backend::Flex;
use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Element, TensorData};
use std::sync::Arc;

/// How the kernels lay out a plan.
fn layer<C: Cell, T: Real>(
    plan: &Plan<C>,
    sizes: &Sizes,
    strides: [usize; 2],
    projected: bool,
    isa: Isa,
) -> Layer {
    Layer::new::<T>(&CellLayout::of::<C>(), &plan.options, sizes, strides, projected, isa)
}

/// Every instruction set that the machine has: tiles and registers are of other sizes in each.
fn isas() -> Vec<Isa> {
    let best = Isa::detect();
    #[cfg(target_arch = "x86_64")]
    if matches!(best, Isa::Native(pulp::Arch::V4(_))) {
        let v3 = pulp::x86::V3::try_new().expect("who has AVX-512 has AVX2");
        return vec![best, Isa::Portable, Isa::Native(pulp::Arch::V3(v3))];
    }
    vec![best, Isa::Portable]
}

/// Pseudo-random numbers in ±1.
fn numbers<T: Element>(count: usize, seed: u64) -> Vec<T> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        T::from_elem((state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0)
    };
    (0..count).map(next).collect()
}

/// One thread. Any number of threads gives the same bits.
const ALONE: ThreadPlan = ThreadPlan { count: 1, parallelism: Some(Parallelism::Batch) };

/// One problem: sizes, options, operands and the cotangent.
struct Problem<C, T> {
    plan: Plan<C>,
    sizes: Sizes,
    projected: bool,
    heads: usize,
    operands: Operands<Vec<T>>,
    cotangent: Cotangents<Vec<T>>,
}

impl<C: Cell, T: Gemm + Element> Problem<C, T> {
    fn new(cell: C, [time, batch, input, hidden]: [usize; 4], output: Option<usize>) -> Self {
        use bptt_cells::Components;
        let memories = C::Memory::<f64>::LEN;
        let projected = output.is_some();
        let output = output.unwrap_or(hidden);
        let sizes = Sizes { time, batch, input, hidden, output, memories };
        let rows = C::GATES * hidden;
        let mut operands = Operands::new();
        for operand in Operand::ALL {
            let size = match operand {
                Operand::Input => time * batch * input,
                Operand::WeightIh => rows * input,
                Operand::WeightHh => rows * output,
                Operand::BiasIh | Operand::BiasHh => rows,
                Operand::WeightHr if projected => output * hidden,
                Operand::Hidden => batch * output,
                Operand::Memory if memories > 0 => memories * batch * hidden,
                _ => continue,
            };
            let mut values = numbers::<T>(size, 1 + operand as u64);
            if matches!(operand, Operand::WeightIh | Operand::WeightHh | Operand::WeightHr) {
                // As large as the initial weights of layers.
                let scale = 1.0 / (hidden as f64).sqrt();
                let scaled = |x: &mut T| *x = T::from_elem(x.to_f64() * scale);
                values.iter_mut().for_each(scaled);
            }
            operands = operands.with(operand, values);
        }
        let cotangent = Cotangents {
            outputs: Some(numbers(time * batch * output, 99)),
            hidden: Some(numbers(batch * output, 98)),
            memory: (memories > 0).then(|| numbers(memories * batch * hidden, 97)),
        };
        Self { plan: Plan::new(cell), sizes, projected, heads: 1, operands, cotangent }
    }

    /// The same with resets here and there, to a state that is given or to zeros.
    fn with_resets(mut self, is_given: bool) -> Self {
        let Sizes { time, batch, hidden, output, memories, .. } = self.sizes;
        let flags = (0..time * batch).map(|i| i * 11 % 7 == 3 || i * 5 % 13 == 1);
        self.plan = self.plan.with_resets(Some(flags.collect()));
        if is_given {
            self.operands.set(Operand::ResetHidden, Some(numbers(batch * output, 96)));
            let memory = (memories > 0).then(|| numbers(memories * batch * hidden, 95));
            self.operands.set(Operand::ResetMemory, memory);
        }
        self
    }

    /// The output and all gradients by the kernels, in one list.
    fn by_kernels(&self, isa: Isa, threads: ThreadPlan) -> Vec<Vec<T>> {
        let Sizes { batch, input, .. } = self.sizes;
        let strides = [batch * input, input];
        let layer = layer::<C, T>(&self.plan, &self.sizes, strides, self.projected, isa);
        let layer = Layer { heads: self.heads, ..layer };
        let mut slices = Operands::new();
        for (operand, values) in self.operands.iter() {
            slices = slices.with(operand, values.as_slice());
        }
        let rows = &self.plan.options.rows;
        let runner = CellRunner { steps: &InValues(&self.plan.cell), tangents: None };
        let (results, trace) = forward(runner, &layer, &slices, rows, Keep::All, None, threads);
        let (without, none) = forward(runner, &layer, &slices, rows, Keep::Nothing, None, threads);
        let outputs = results.outputs.to_vec();
        let all = copied(results);
        assert!(none.is_none() && copied(without) == all, "the trace changes the output");
        let trace = trace.expect("it was asked for");
        self.check_memory(&layer, &trace);
        let whole = trace.bytes();
        let back = |mut trace: Trace<T>| {
            let inputs = BackwardInputs {
                trace: &mut trace,
                outputs: &outputs,
                d_results: Cotangents {
                    outputs: self.cotangent.outputs.as_deref(),
                    hidden: self.cotangent.hidden.as_deref(),
                    memory: self.cotangent.memory.as_deref(),
                },
                observer: None,
            };
            let wanted = self.operands.clone().map(|_| ());
            backward(runner, &layer, &slices, rows, inputs, &wanted, threads)
        };
        let gradients = lists(back(trace));
        for share in [60, 25, 8, 3] {
            let budget = whole * share / 100;
            let [step, state] = layer.trace::<T>();
            if TraceSchedule::new(layer.time, step, state, budget).is_err() {
                continue;
            }
            let keep = Keep::Within(budget);
            let (again, trace) = forward(runner, &layer, &slices, rows, keep, None, threads);
            let trace = trace.expect("it was asked for");
            assert!(trace.bytes() <= budget && copied(again) == all, "{share} %");
            let within = lists(back(trace));
            assert!(format!("{within:?}") == format!("{gradients:?}"), "other bits with {share} %");
        }
        all.into_iter().chain(gradients).collect()
    }

    /// The formula on `HostTrace`.
    fn check_memory(&self, layer: &Layer, trace: &Trace<T>) {
        let Layer { time, batch, memories, hp, saved, .. } = *layer;
        let is_valid = |t, b| match self.plan.mask() {
            Some(mask) => mask.is_valid(t, b, batch),
            None => true,
        };
        let steps = (0..time).flat_map(|t| (0..batch).map(move |b| (t, b)));
        let worked = steps.filter(|&(t, b)| is_valid(t, b)).count();
        let own = if self.projected { worked * hp } else { 0 };
        let states = if layer.resets { 2 * batch } else { batch };
        let numbers = worked * saved * hp + (worked + states) * memories * hp + own;
        assert_eq!(trace.bytes(), numbers * size_of::<T>());
    }

    /// The output and all gradients by the reference body.
    fn by_reference(&self) -> Vec<Vec<T>> {
        let Sizes { time, batch, input, hidden, output, memories } = self.sizes;
        let rows = C::GATES * hidden;
        let device = burn::backend::tensor::Device::<Flex>::default();
        let tensor = |values: &[T], shape: Vec<usize>| -> FloatTensor<Flex> {
            Flex::float_from_data(TensorData::new(values.to_vec(), shape), &device)
        };
        let mut operands = Operands::new();
        for (operand, values) in self.operands.iter() {
            let shape = match operand {
                Operand::Input => vec![time, batch, input],
                Operand::WeightIh => vec![rows, input],
                Operand::WeightHh if self.heads > 1 => {
                    vec![self.heads, rows / self.heads, hidden / self.heads]
                }
                Operand::WeightHh => vec![rows, output],
                Operand::BiasIh | Operand::BiasHh => vec![rows],
                Operand::WeightHr => vec![output, hidden],
                Operand::Hidden | Operand::ResetHidden => vec![batch, output],
                Operand::Memory | Operand::ResetMemory => vec![memories, batch, hidden],
            };
            operands = operands.with(operand, tensor(values, shape));
        }
        let (results, trace) = run::forward::<Flex, C>(&self.plan, &operands, true);
        let steps = trace.expect("it was asked for");
        let outputs = results.outputs.shape().to_vec();
        let given = |d: &Option<Vec<T>>, shape| d.as_ref().map(|d| tensor(d, shape));
        let cotangent = Cotangents {
            outputs: given(&self.cotangent.outputs, outputs),
            hidden: given(&self.cotangent.hidden, vec![batch, output]),
            memory: given(&self.cotangent.memory, vec![memories, batch, hidden]),
        };
        let wanted = self.operands.clone().map(|_| ());
        let gradients = run::backward::<Flex, C>(&self.plan, &operands, steps, cotangent, &wanted);
        let all = list(results).into_iter().chain(gradients.into_values());
        all.map(|tensor| tensor.to_contiguous().as_slice::<T>().expect("contiguous").to_vec())
            .collect()
    }

    /// Checks that all schedules give the same bits, and the numbers of the reference body.
    fn check(&self, what: &str) {
        let reference = self.by_reference();
        let tolerance = if T::dtype() == DType::F64 { 1e-13 } else { 1e-5 };
        for isa in isas() {
            let alone = self.by_kernels(isa, ALONE);
            for (n, (got, expected)) in alone.iter().zip(&reference).enumerate() {
                let norm = |of: &dyn Fn(usize) -> f64| {
                    (0..expected.len()).map(|i| of(i).powi(2)).sum::<f64>().sqrt()
                };
                let off = norm(&|i| got[i].to_f64() - expected[i].to_f64());
                let error = off / norm(&|i| expected[i].to_f64()).max(1e-300);
                assert!(
                    error <= tolerance,
                    "{} {what} {:?} {isa:?}: result {n} is {error:e} off",
                    C::NAME,
                    T::dtype(),
                );
            }
            let again = self.by_kernels(isa, ALONE);
            assert!(
                format!("{again:?}") == format!("{alone:?}"),
                "{} {what} {isa:?}: other bits the second time",
                C::NAME,
            );
            for threads in self.thread_plans(&[2, 3, 4]) {
                let together = self.by_kernels(isa, threads);
                // The bits are compared, so that NaN and signed zeros count.
                let bits = |all: &[Vec<T>]| format!("{all:?}");
                assert!(
                    bits(&together) == bits(&alone),
                    "{} {what} {isa:?}: other bits by {threads:?}",
                    C::NAME,
                );
            }
        }
    }

    /// The fastest plan for two threads, and all plans for this many threads.
    fn thread_plans(&self, counts: &[usize]) -> Vec<ThreadPlan> {
        let mut kinds = vec![Parallelism::Batch, Parallelism::Pipeline];
        let by_units = self.heads == 1 || self.has_whole_panels();
        if by_units && !self.projected && !C::HIDDEN_TERMS.contains(&bptt_cells::HiddenTerm::Gated)
        {
            kinds.push(Parallelism::Hidden);
        }
        let of = |&count| {
            kinds
                .iter()
                .map(move |&parallelism| ThreadPlan { count, parallelism: Some(parallelism) })
        };
        let best = ThreadPlan { count: 2, parallelism: None };
        std::iter::once(best).chain(counts.iter().flat_map(of)).collect()
    }
}

fn list<T>(Results { outputs, hidden, memory }: Results<T>) -> Vec<T> {
    [outputs, hidden].into_iter().chain(memory).collect()
}

fn copied<T: Gemm>(results: Results<Values<T>>) -> Vec<Vec<T>> {
    list(results.map(|values| values.to_vec()))
}

fn lists<T: Gemm>(gradients: Operands<Values<T>>) -> Vec<Vec<T>> {
    gradients.into_values().map(|values| values.to_vec()).collect()
}

fn check_cell<C: Cell, T: Gemm + Element>(cell: C) {
    // For every instruction set, some of these widths fill panels, some leave a vector or a part of one, and some do
    // both.
    let long = [140, 1, 9, 33];
    for sizes in [[5, 2, 3, 4], [1, 1, 1, 1], [3, 7, 13, 37], long, [2, 5, 8, 16], [2, 3, 5, 59]] {
        let mut problem = Problem::<C, T>::new(cell, sizes, None);
        problem.check("plain");
        problem.plan = problem.plan.with_reverse(true);
        problem.check("in reverse");
    }
    let mut problem = Problem::<C, T>::new(cell, [6, 4, 5, 19], None);
    problem.plan = problem.plan.with_mask(Some(SequenceMask::Lengths(Arc::from([6, 2, 0, 5]))));
    problem.check("with lengths");
    problem.plan = problem.plan.with_batch_first(true);
    problem.check("with lengths, batch first");
    problem.plan = problem.plan.with_reverse(true);
    problem.check("with lengths in reverse");
    let whole = problem.cotangent.clone();
    problem.cotangent = Cotangents { outputs: None, ..whole.clone() };
    problem.check("by the final state alone");
    problem.cotangent = Cotangents { outputs: whole.outputs, ..Default::default() };
    problem.check("by the outputs alone");
    // Holes anywhere, a row without valid steps, and a step without valid rows.
    let holes = |time: usize, batch: usize| {
        let mask = (0..time * batch).map(|i| i % batch != 2 && i / batch != 3 && i * 7 % 5 != 1);
        Some(SequenceMask::Steps(mask.collect()))
    };
    for sizes in [[6, 4, 5, 19], [90, 5, 3, 8]] {
        let mut problem = Problem::<C, T>::new(cell, sizes, None);
        problem.plan = problem.plan.with_mask(holes(sizes[0], sizes[1]));
        problem.check("with a mask");
        problem.plan = problem.plan.with_masked_output(MaskedOutput::Hold);
        problem.check("with a mask, held");
        problem.plan = problem.plan.with_reverse(true).with_batch_first(true);
        problem.check("with a mask, held, in reverse, batch first");
    }
    let mut problem = Problem::<C, T>::new(cell, [6, 4, 5, 19], None).with_resets(false);
    problem.check("with resets");
    problem.plan = problem.plan.with_mask(holes(6, 4)).with_masked_output(MaskedOutput::Hold);
    problem.plan = problem.plan.with_reverse(true);
    problem.check("with resets and a mask, held, in reverse");
    let mut problem = Problem::<C, T>::new(cell, [40, 5, 3, 8], None).with_resets(true);
    let lengths = SequenceMask::Lengths(Arc::from([40, 3, 0, 22, 40]));
    problem.plan = problem.plan.with_mask(Some(lengths)).with_batch_first(true);
    problem.check("with resets to a given state and lengths, batch first");
    if C::PROJECTABLE {
        let mut problem = Problem::<C, T>::new(cell, [6, 4, 5, 19], Some(7)).with_resets(true);
        problem.plan = problem.plan.with_mask(holes(6, 4)).with_masked_output(MaskedOutput::Hold);
        problem.check("projected, with resets and a mask, held");
        let mut problem = Problem::<C, T>::new(cell, [6, 4, 5, 19], Some(7));
        problem.plan = problem.plan.with_mask(holes(6, 4)).with_masked_output(MaskedOutput::Hold);
        problem.check("projected, with a mask, held");
        problem.plan = problem.plan.with_mask(None);
        problem.check("projected");
        problem.plan = problem.plan.with_mask(Some(SequenceMask::Lengths(Arc::from([3, 6, 1, 0]))));
        problem.check("projected, with lengths");
    }
}

#[test]
fn lstm_is_the_reference_and_the_same_for_any_threads() {
    check_cell::<_, f64>(Lstm);
    check_cell::<_, f32>(Lstm);
    check_cell::<_, f64>(LstmCoupled);
    check_cell::<_, f32>(Clipped { cell: Lstm, bound: 0.3 });
}

#[test]
fn gru_is_the_reference_and_the_same_for_any_threads() {
    check_cell::<_, f64>(GruResetAfter);
    check_cell::<_, f32>(GruResetAfter);
    check_cell::<_, f64>(GruResetBefore);
    check_cell::<_, f32>(GruResetBefore);
}

#[test]
fn rnn_is_the_reference_and_the_same_for_any_threads() {
    check_cell::<_, f64>(RnnTanh);
    check_cell::<_, f32>(RnnTanh);
    check_cell::<_, f64>(RnnRelu);
}

/// A sequence with more rows than a block of the large products.
#[test]
fn long_sequences_are_worked_in_blocks() {
    Problem::<_, f64>::new(Lstm, [70, 17, 12, 20], None).check("long");
    Problem::<_, f64>::new(GruResetBefore, [300, 2, 12, 20], None).check("long");
    Problem::<_, f64>::new(Lstm, [700, 1, 5, 8], Some(3)).check("long and projected");
}

/// Few and small layers that use all parts of the kernels. They are small enough for Miri, which finds reads of
/// memory that was never written, and data races. It takes several minutes there:
/// `MIRIFLAGS=-Zmiri-ignore-leaks cargo +nightly miri test -p bptt-kernels --features flex --lib small_layers`
/// (the workers outlive the test).
#[test]
fn small_layers_are_the_same_for_any_threads() {
    fn check<C: Cell>(cell: C, output: Option<usize>) {
        let mut problem = Problem::<C, f32>::new(cell, [2, 3, 2, 3], output);
        for mask in [None, Some(SequenceMask::Lengths(Arc::from([2, 0, 1])))] {
            problem.plan = problem.plan.with_mask(mask).with_masked_output(MaskedOutput::Hold);
            let alone = problem.by_kernels(Isa::Portable, ALONE);
            for threads in problem.thread_plans(&[2]) {
                let together = problem.by_kernels(Isa::Portable, threads);
                assert!(together == alone, "{}: other numbers by {threads:?}", C::NAME);
            }
        }
    }
    check(Lstm, None);
    if cfg!(not(miri)) {
        check(Lstm, Some(2));
        check(GruResetAfter, None);
        check(GruResetBefore, None);
    }
}

/// Where few rows are left, the threads share the steps in another way; and where there are many again, in the first
/// way.
#[test]
fn the_threads_share_out_each_block_as_is_best_for_it() {
    fn check<C: Cell>(cell: C, sizes: [usize; 4], mask: SequenceMask, expected: &[Parallelism]) {
        let mut problem = Problem::<_, f32>::new(cell, sizes, None);
        problem.plan = problem.plan.with_mask(Some(mask)).with_masked_output(MaskedOutput::Hold);
        let layer = layer::<C, f32>(&problem.plan, &problem.sizes, [0, 0], false, Isa::detect());
        let valid_rows = ValidRows::new(&layer, &problem.plan.options.rows);
        let threads = ThreadPlan { count: 2, parallelism: None };
        let blocks = valid_rows.blocks(0..layer.time, |_| 128);
        let mut kinds: Vec<_> =
            blocks.iter().map(|block| threads.of::<f32>(&layer, &valid_rows, block)).collect();
        kinds.dedup();
        assert_eq!(kinds, expected);
        problem.check("shared out block by block");
    }
    let lengths = SequenceMask::Lengths(Arc::from([40, 180, 44, 30, 42]));
    check(Lstm, [180, 5, 3, 8], lengths, &[Parallelism::Batch, Parallelism::Pipeline]);
    // So many rows that they are shared whatever the cache holds; then one.
    let lengths = [&[8; 32][..], &[100]].concat();
    let lengths = SequenceMask::Lengths(Arc::from(lengths));
    check(Lstm, [100, 33, 3, 128], lengths, &[Parallelism::Batch, Parallelism::Hidden]);
    // Some rows for some steps, one row for some steps, and the same again.
    let mask = (0..800 * 4).map(|i| i % 4 == 1 || i / 4 % 400 < 100).collect();
    use Parallelism::{Batch, Pipeline};
    check(
        GruResetAfter,
        [800, 4, 3, 8],
        SequenceMask::Steps(mask),
        &[Batch, Pipeline, Batch, Pipeline],
    );
}

/// Threads that share the rows do not wait for each other. With more threads than cores, they are at different steps.
/// So each needs memory of its own, or the blocks of one would overwrite those of another.
#[test]
fn rows_of_threads_that_are_ahead_touch_nobodys() {
    let mut problem = Problem::<_, f32>::new(Lstm, [400, 9, 6, 20], None);
    let lengths = Arc::from([40, 400, 10, 300, 90, 370, 20, 400, 350]);
    problem.plan = problem.plan.with_mask(Some(SequenceMask::Lengths(lengths)));
    let isa = Isa::detect();
    let alone = problem.by_kernels(isa, ALONE);
    for round in 0..8 {
        let count = 2 + round % 4;
        let together =
            problem.by_kernels(isa, ThreadPlan { count, parallelism: Some(Parallelism::Batch) });
        assert!(together == alone, "other numbers with {count} threads, round {round}");
    }
}

#[test]
#[should_panic(expected = "overflows")]
fn sizes_that_overflow_are_refused() {
    let _ = Buffer::<f32>::zeros(&[usize::MAX / 2, 3]);
}
