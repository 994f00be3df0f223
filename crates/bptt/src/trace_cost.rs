//! The cost of a trace budget, computed before anything runs.

use crate::cell::{CellVisitor, SequenceCell};
use crate::error::ConfigError;
use crate::recurrent::{Options, Recurrent};
use bptt_kernels::{StepNoise, TraceCost};
use burn::tensor::DType;

/// Computes the cost of a trace budget, for any cell.
struct CostOf {
    sizes: [usize; 2],
    hidden: usize,
    projection: Option<usize>,
    /// The budget of one layer in one direction.
    budget: Option<usize>,
    dtype: DType,
    /// What zoneout adds to the trace is the same in training and in evaluation.
    noise: Option<StepNoise>,
}

impl CellVisitor for CostOf {
    type Output = Result<TraceCost, String>;

    fn visit<C: bptt_cells::Cell>(self, cell: C) -> Self::Output {
        let plan =
            bptt_kernels::Plan::new(cell).with_trace_budget(self.budget).with_noise(self.noise);
        plan.trace_cost(self.sizes, self.hidden, self.projection, self.dtype)
    }
}

impl<C: SequenceCell> Recurrent<C> {
    /// How much memory the trace of the manual engine takes within the layer's [budget](Self::with_trace_budget), and
    /// how many forward steps that costs, with the kernels for host memory. It is known before anything runs. Forward
    /// steps take about a third of the time of a training step, and a budget increases only their number. The book's
    /// chapter on sequences has measured costs; `cargo run --release -p bptt-benches --example trace_budget` measures
    /// them.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use bptt::LstmConfig;
    /// use burn::tensor::{DType, Device};
    ///
    /// let lstm = LstmConfig::new(64, 128).with_trace_budget(Some(4_000_000)).init(&Device::flex());
    /// let cost = lstm.trace_cost(16, 1000, DType::F32)?;
    /// assert_eq!(cost.whole, 1000 * 40_960 + 8_192); // five numbers a unit and step
    /// assert!(cost.bytes <= 4_000_000);
    /// assert!(cost.ratio() < 2.0); // no step is worked more than twice
    /// # }
    /// # Ok::<(), bptt::ConfigError>(())
    /// ```
    ///
    /// # Arguments
    ///
    /// - `batch` and `time`: `B` and `T`, with all rows of full length; with lengths or a mask the trace takes less
    /// - `dtype`: the layer's type; `bf16` and `f16` keep what `f32` keeps, and outputs in `f32` beside it
    ///
    /// # Returns
    ///
    /// The bytes of all layers and directions together, and the steps of each of them.
    ///
    /// # Errors
    ///
    /// One line, if no schedule fits the budget; it says which budget would do.
    pub fn trace_cost(
        &self,
        batch: usize,
        time: usize,
        dtype: DType,
    ) -> Result<TraceCost, ConfigError> {
        let Options { d_hidden, proj_size, trace_budget, .. } = self.options;
        let parts = self.parts();
        let one = self.cell.accept(CostOf {
            sizes: [time, batch],
            hidden: d_hidden,
            projection: proj_size,
            budget: trace_budget.map(|bytes| bytes / parts),
            dtype,
            noise: self.evaluation_noise(),
        });
        let one = one.map_err(ConfigError::new)?;
        let [whole, bytes] = [one.whole, one.bytes].map(|bytes| bytes.saturating_mul(parts));
        Ok(TraceCost { whole, bytes, ..one })
    }
}
