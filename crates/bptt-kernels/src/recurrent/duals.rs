//! One layer in one direction in dual numbers, by the host kernels.
//!
//! A batch of `B` rows becomes a batch of `2·B` rows, in which each row of values is followed by the row of its
//! tangents. So the same kernels run, because products, blocks, threads and masks work on rows. Two places differ. The
//! cell's step takes its numbers from two rows at a time. And a product adds the tangent of the weight times the values
//! to the row of tangents.

#[cfg(feature = "host")]
use crate::host::step::cell_steps::InDuals;
use crate::operation::any_tensor::AnyTensor;
use crate::operation::cell_layout::CellLayout;
use crate::operation::operands::{Cotangents, Operand, Operands, Results};
use crate::operation::plan::{Plan, PlanOptions};
use bptt_cells::{Cell, Dual};
use burn::tensor::{Shape, TensorData};

/// A layer that has run forward in dual numbers, with what its backward pass needs.
pub struct DualRun<C> {
    #[cfg(feature = "host")]
    run: host::AnyRun,
    #[cfg(not(feature = "host"))]
    run: std::convert::Infallible,
    #[cfg_attr(not(feature = "host"), allow(dead_code, reason = "nothing runs"))]
    cell: C,
}

/// Runs one layer in one direction forward in dual numbers, by the host kernels. [`DualRun::backward`] then runs
/// it backward. A tangent that is absent is zero.
///
/// Operands and results have the shapes of [`Operand`] and [`Results`], with one exception: if the plan is batch
/// first, the input and its gradient are `[B, T, I]`. The plan's kernel and trace budget are ignored, and the
/// whole trace is kept. The operands are on no tape.
///
/// Returns `None` if there is no kernel: for types other than `f32` and `f64`, and for tensors that are not in host
/// memory.
///
/// # Panics
///
/// If the operands do not fit each other, or if a tangent does not fit its value (the message names the operand and
/// both shapes). Also if the trace does not fit the available memory.
pub fn in_duals<C: Cell>(
    plan: &Plan<C>,
    operands: Operands<Dual<AnyTensor>>,
) -> Option<(Results<Dual<TensorData>>, DualRun<C>)> {
    for (operand, Dual { value, tangent }) in operands.iter() {
        if let Some(tangent) = tangent {
            assert!(
                tangent.shape() == value.shape() && tangent.dtype() == value.dtype(),
                "{}: the tangent of `{}` is {:?} of {:?}, expected {:?} of {:?} as its value",
                C::NAME,
                operand.name(),
                tangent.dtype(),
                &tangent.shape()[..],
                value.dtype(),
                &value.shape()[..],
            );
        }
    }
    let cell = CellLayout::of::<C>();
    cell.check_types(|operand| operands.get(operand).map(|x| x.value.dtype()));
    plan.options.check_shapes(&cell, &shapes(&plan.options, &operands));
    run(plan, operands)
}

/// The operands' shapes, the input's time first.
fn shapes(options: &PlanOptions, operands: &Operands<Dual<AnyTensor>>) -> Operands<Shape> {
    let mut shapes = Operands::new();
    for (operand, x) in operands.iter() {
        let mut shape = x.value.shape();
        if operand == Operand::Input && options.batch_first {
            shape[..].swap(0, 1);
        }
        shapes = shapes.with(operand, shape);
    }
    shapes
}

#[cfg(not(feature = "host"))]
fn run<C: Cell>(
    _: &Plan<C>,
    _: Operands<Dual<AnyTensor>>,
) -> Option<(Results<Dual<TensorData>>, DualRun<C>)> {
    None
}

#[cfg(feature = "host")]
fn run<C: Cell>(
    plan: &Plan<C>,
    operands: Operands<Dual<AnyTensor>>,
) -> Option<(Results<Dual<TensorData>>, DualRun<C>)> {
    let (results, run) = host::AnyRun::forward(
        &plan.options,
        &CellLayout::of::<C>(),
        &InDuals(&plan.cell),
        operands,
    )?;
    Some((results, DualRun { run, cell: plan.cell }))
}

impl<C: Cell> DualRun<C> {
    /// Runs backward: dLoss/d(operand) for each operand, in dual numbers and in its shape. A gradient of a result
    /// that is absent counts as zero.
    ///
    /// # Panics
    ///
    /// If dLoss/d(result) has another shape or type than the result, or is not in host memory.
    pub fn backward(self, d_results: Cotangents<Dual<AnyTensor>>) -> Operands<Dual<TensorData>> {
        #[cfg(feature = "host")]
        return self.run.backward(&InDuals(&self.cell), d_results);
        #[cfg(not(feature = "host"))]
        {
            let _ = d_results;
            match self.run {}
        }
    }
}

#[cfg(feature = "host")]
mod host {
    use super::*;
    use crate::host::layout::sizes::Layer;
    use crate::host::memory::buffer::Buffer;
    use crate::host::memory::values::Values;
    use crate::host::sequence::backward::BackwardInputs;
    use crate::host::sequence::trace_segment::Keep;
    use crate::host::sequence::{backward, forward, trace as host_trace};
    use crate::host::simd::isa::Isa;
    use crate::host::step::cell_steps::{CellRunner, CellSteps};
    use crate::operation::plan::{Sizes, heads_of};
    use crate::operation::sequence_rows::SequenceRows;
    use crate::recurrent::backends::InHost;
    use crate::recurrent::host::threads;
    use crate::recurrent::host_memory::Float;
    use burn::tensor::DType;

    /// A cell's steps in dual numbers, in the types that have kernels.
    pub(super) trait DualCell {
        fn f32(&self) -> &dyn CellSteps<f32>;
        fn f64(&self) -> &dyn CellSteps<f64>;
    }

    impl<C: Cell> DualCell for InDuals<'_, C> {
        fn f32(&self) -> &dyn CellSteps<f32> {
            self
        }

        fn f64(&self) -> &dyn CellSteps<f64> {
            self
        }
    }

    pub(super) enum AnyRun {
        F32(Run<f32>),
        F64(Run<f64>),
    }

    impl AnyRun {
        /// `None` if there is no kernel.
        pub(super) fn forward(
            options: &PlanOptions,
            layout: &CellLayout,
            cell: &dyn DualCell,
            operands: Operands<Dual<AnyTensor>>,
        ) -> Option<(Results<Dual<TensorData>>, Self)> {
            Some(match operands.need(Operand::Input).value.dtype() {
                DType::F32 => {
                    let (results, run) = Run::forward(options, (layout, cell.f32()), operands)?;
                    (results, Self::F32(run))
                }
                DType::F64 => {
                    let (results, run) = Run::forward(options, (layout, cell.f64()), operands)?;
                    (results, Self::F64(run))
                }
                _ => return None,
            })
        }

        pub(super) fn backward(
            self,
            cell: &dyn DualCell,
            d_results: Cotangents<Dual<AnyTensor>>,
        ) -> Operands<Dual<TensorData>> {
            match self {
                Self::F32(run) => run.backward(cell.f32(), d_results),
                Self::F64(run) => run.backward(cell.f64(), d_results),
            }
        }
    }

    pub(super) struct Run<T: Float> {
        rows: SequenceRows,
        layer: Layer,
        shapes: Operands<Shape>,
        operands: Operands<Numbers<T>>,
        tangents: Operands<InHost>,
        outputs: Values<T>,
        trace: host_trace::Trace<T>,
    }

    impl<T: Float> Run<T> {
        /// `None` if the operands are not in host memory.
        fn forward(
            options: &PlanOptions,
            (cell, steps): (&CellLayout, &dyn CellSteps<T>),
            operands: Operands<Dual<AnyTensor>>,
        ) -> Option<(Results<Dual<TensorData>>, Self)> {
            let sizes = Sizes::of(cell, |operand| shapes(options, &operands).need(operand).clone());
            let shapes = operands.map_ref(|x| x.value.shape());
            let Sizes { time, batch, input, output, hidden, memories } = sizes;
            let (mut values, mut tangents) = (Operands::new(), Operands::new());
            for (operand, x) in operands.iter() {
                let x = in_host::<T>(x.clone())?;
                let width = match operand {
                    Operand::Input if options.batch_first => time * input,
                    Operand::Input => input,
                    Operand::Hidden | Operand::ResetHidden => output,
                    Operand::Memory | Operand::ResetMemory => hidden,
                    _ => {
                        values = values.with(operand, Numbers::Tensor(x.value));
                        tangents = tangents.with_optional(operand, x.tangent);
                        continue;
                    }
                };
                values = values.with(operand, Numbers::Rows(interleaved::<T>(&x, width)));
            }
            let sizes = Sizes { batch: 2 * batch, ..sizes };
            let strides = match options.batch_first {
                true => [input, time * input],
                false => [sizes.batch * input, input],
            };
            let projected = values.has(Operand::WeightHr);
            let layer = Layer::new::<T>(cell, options, &sizes, strides, projected, Isa::detect());
            let heads = heads_of(shapes.get(Operand::WeightHh));
            let layer = Layer { heads, ..layer.in_duals() };
            let rows = options.rows.in_duals();
            let along = tangents.map_ref(InHost::numbers);
            let (results, trace) = forward::forward(
                CellRunner { steps, tangents: Some(&along) },
                &layer,
                &values.map_ref(Numbers::as_slice),
                &rows,
                Keep::All,
                None,
                layer.thread_plan::<T>(threads()),
            );
            let outputs = results.outputs;
            let results = Results {
                outputs: match options.batch_first {
                    true => split(&outputs, time * output, [batch, time, output].into()),
                    false => split(&outputs, output, [time, batch, output].into()),
                },
                hidden: split(&results.hidden, output, [batch, output].into()),
                memory: results.memory.map(|c| split(&c, hidden, [memories, batch, hidden].into())),
            };
            let trace = trace.expect("it was asked for");
            let run = Self { rows, layer, shapes, operands: values, tangents, outputs, trace };
            Some((results, run))
        }

        fn backward(
            mut self,
            steps: &dyn CellSteps<T>,
            d_results: Cotangents<Dual<AnyTensor>>,
        ) -> Operands<Dual<TensorData>> {
            let Cotangents { outputs, hidden, memory } = d_results;
            let Layer { time, batch, input, output, memories, hidden: units, .. } = self.layer;
            let block = if self.layer.batch_first { time * output } else { output };
            let rows = |d, width| {
                let d = in_host::<T>(d).expect("dLoss/d(result) lies where the result does");
                interleaved::<T>(&d, width)
            };
            let [outputs, hidden, memory] = [(outputs, block), (hidden, output), (memory, units)]
                .map(|(d, width)| d.map(|d| rows(d, width)));
            let expected = [
                (&outputs, time * batch * output, "outputs"),
                (&hidden, batch * output, "hidden state"),
                (&memory, memories * batch * units, "memory"),
            ];
            for (d, size, what) in expected {
                let has = d.as_ref().map_or(size, |d| d.as_slice().len());
                assert!(
                    has == size,
                    "{}: dLoss/d({what}) has {} values, expected {}",
                    self.layer.name,
                    has / 2,
                    size / 2,
                );
            }
            let tangents = self.tangents.map_ref(InHost::numbers);
            let mut d = backward::backward(
                CellRunner { steps, tangents: Some(&tangents) },
                &self.layer,
                &self.operands.map_ref(Numbers::as_slice),
                &self.rows,
                BackwardInputs {
                    trace: &mut self.trace,
                    outputs: &self.outputs,
                    d_results: Cotangents {
                        outputs: outputs.as_ref().map(Buffer::as_slice),
                        hidden: hidden.as_ref().map(Buffer::as_slice),
                        memory: memory.as_ref().map(Buffer::as_slice),
                    },
                    observer: None,
                },
                &self.shapes.map_ref(|_| ()),
                self.layer.thread_plan::<T>(threads()),
            );
            let mut all = Operands::new();
            for (operand, shape) in self.shapes.iter() {
                let shape = shape.clone();
                let Some(numbers) = d.take(operand) else { continue };
                let dual = match operand {
                    Operand::Input if self.layer.batch_first => {
                        batch_first(&numbers, batch, input, shape)
                    }
                    Operand::Input => split(&numbers, input, shape),
                    Operand::Hidden | Operand::ResetHidden => split(&numbers, output, shape),
                    Operand::Memory | Operand::ResetMemory => split(&numbers, units, shape),
                    _ => {
                        let (value, tangent) = numbers.split_at(numbers.len() / 2);
                        let data = |part: &[T]| TensorData::new(part.to_vec(), shape.clone());
                        Dual::new(data(value), Some(data(tangent)))
                    }
                };
                all = all.with(operand, dual);
            }
            all
        }
    }

    /// A weight in place, or rows of values and tangents.
    enum Numbers<T> {
        Tensor(InHost),
        Rows(Buffer<T>),
    }

    impl<T: Float> Numbers<T> {
        fn as_slice(&self) -> &[T] {
            match self {
                Self::Tensor(tensor) => tensor.numbers(),
                Self::Rows(rows) => rows.as_slice(),
            }
        }
    }

    /// `None` if it is not in host memory.
    fn in_host<T: Float>(x: Dual<AnyTensor>) -> Option<Dual<InHost>> {
        let value = InHost::of::<T>(x.value.into_dispatch())?;
        let tangent = match x.tangent {
            Some(tangent) => Some(InHost::of::<T>(tangent.into_dispatch())?),
            None => None,
        };
        Some(Dual { value, tangent })
    }

    /// The rows of values, each of this width and followed by its row of tangents.
    fn interleaved<T: Float>(x: &Dual<InHost>, width: usize) -> Buffer<T> {
        let value = x.value.numbers::<T>();
        let tangent = x.tangent.as_ref().map(InHost::numbers::<T>);
        let mut rows = Buffer::scratch(&[2, value.len()]);
        let pairs = rows.as_mut_slice().chunks_exact_mut(2 * width.max(1));
        for (index, pair) in pairs.enumerate() {
            let (to_value, to_tangent) = pair.split_at_mut(width);
            to_value.copy_from_slice(&value[index * width..][..width]);
            match &tangent {
                Some(tangent) => to_tangent.copy_from_slice(&tangent[index * width..][..width]),
                None => to_tangent.fill(T::ZERO),
            }
        }
        rows
    }

    /// Splits such rows into the values and the tangents, each with this shape.
    fn split<T: Float>(rows: &[T], width: usize, shape: Shape) -> Dual<TensorData> {
        let part = |first: usize| {
            let mut numbers = Vec::with_capacity(rows.len() / 2);
            for pair in rows.chunks_exact(2 * width.max(1)) {
                numbers.extend_from_slice(&pair[first..first + width]);
            }
            TensorData::new(numbers, shape.clone())
        };
        Dual::new(part(0), Some(part(width)))
    }

    /// Splits a sequence of such rows, `[T, 2·B, I]`, into the values and the tangents, each `[B, T, I]`.
    fn batch_first<T: Float>(
        rows: &[T],
        batch: usize,
        width: usize,
        shape: Shape,
    ) -> Dual<TensorData> {
        let part = |first: usize| {
            let mut numbers = Vec::with_capacity(rows.len() / 2);
            for row in (first..batch).step_by(2) {
                for step in rows.chunks_exact((batch * width).max(1)) {
                    numbers.extend_from_slice(&step[row * width..][..width]);
                }
            }
            TensorData::new(numbers, shape.clone())
        };
        Dual::new(part(0), Some(part(1)))
    }
}
