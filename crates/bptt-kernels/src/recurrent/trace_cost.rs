//! How much memory a trace will take within a plan's budget, before anything is run.

use crate::host::layout::sizes::Layer;
use crate::host::sequence::recompute;
use crate::host::simd::isa::Isa;
use crate::operation::cell_layout::CellLayout;
use crate::operation::plan::{Plan, PlanOptions, Sizes};
use crate::operation::schedule::TraceCost;
use crate::recurrent::host_memory::Float;
use bptt_cells::Cell;
use burn::tensor::DType;

impl<C: Cell> Plan<C> {
    /// How much memory the trace takes within the plan's budget, and how many forward steps that costs, by the
    /// schedule that the kernels for host memory follow.
    ///
    /// # Arguments
    ///
    /// - `time` and `batch`: `T` and `B`
    /// - `hidden`: `H`
    /// - `projection`: `P`, if there is one
    /// - `dtype`: the type of the operands; for `bf16` and `f16` the trace is that of `f32`, because the kernels compute
    ///   in `f32`. They also keep the outputs in `f32`, 4 · `T` · `B` · `P` bytes, which no budget counts.
    ///
    /// # Errors
    ///
    /// One line, if no schedule fits the budget (it says which budget would fit), if there are no kernels for the type,
    /// or if a size is zero or so large that a step cannot be addressed.
    pub fn trace_cost(
        &self,
        [time, batch]: [usize; 2],
        hidden: usize,
        projection: Option<usize>,
        dtype: DType,
    ) -> Result<TraceCost, String> {
        let cell = CellLayout::of::<C>();
        let output = projection.unwrap_or(hidden);
        let sizes = Sizes { time, batch, input: 1, hidden, output, memories: cell.memories };
        self.options.trace_cost(&cell, &sizes, projection.is_some(), dtype)
    }
}

impl PlanOptions {
    fn trace_cost(
        &self,
        cell: &CellLayout,
        sizes: &Sizes,
        projected: bool,
        dtype: DType,
    ) -> Result<TraceCost, String> {
        check_addresses(cell, sizes)?;
        match dtype {
            DType::F32 | DType::BF16 | DType::F16 => {
                self.typed_trace_cost::<f32>(cell, sizes, projected)
            }
            DType::F64 => self.typed_trace_cost::<f64>(cell, sizes, projected),
            _ => Err(format!(
                "{}: no kernel for {dtype:?}, expected f64, f32, bf16 or f16",
                cell.name
            )),
        }
    }

    fn typed_trace_cost<T: Float>(
        &self,
        cell: &CellLayout,
        sizes: &Sizes,
        projected: bool,
    ) -> Result<TraceCost, String> {
        let layer = Layer::new::<T>(cell, self, sizes, [0, 0], projected, Isa::detect());
        let (time, whole) = (sizes.time, recompute::whole::<T>(&layer));
        let schedule = match self.trace_budget {
            Some(budget) => recompute::schedule::<T>(&layer, budget),
            None => Ok(None),
        };
        let schedule = schedule.map_err(|error| format!("{}: {error}", cell.name))?;
        Ok(match schedule {
            Some(schedule) => TraceCost {
                whole,
                bytes: schedule.bytes(),
                time,
                forward_steps: schedule.forward_steps(),
            },
            None => TraceCost { whole, bytes: whole, time, forward_steps: time },
        })
    }
}

/// Checks that the sizes are valid for a layer, and that the bytes of a step can be counted.
fn check_addresses(cell: &CellLayout, sizes: &Sizes) -> Result<(), String> {
    let Sizes { time, batch, hidden, output, .. } = *sizes;
    let name = cell.name;
    if time == 0 || batch == 0 || hidden == 0 || !(1..=hidden).contains(&output) {
        return Err(format!(
            "{name}: T = {time}, B = {batch}, H = {hidden}, P = {output}: expected at least 1 of \
             each, and P at most H"
        ));
    }
    // All values of a unit in a step, in the widest type. Rows are padded.
    let planes = 2 * cell.gates() + cell.saved + 2 * sizes.memories + 2;
    let unit = (planes * size_of::<f64>()) as u128;
    let bytes = (hidden as u128 + 128).saturating_mul(batch as u128).saturating_mul(unit);
    if bytes > isize::MAX as u128 {
        return Err(format!(
            "{name}: a step of B = {batch} rows of H = {hidden} units takes more memory than there \
             are addresses: expected fewer"
        ));
    }
    Ok(())
}
