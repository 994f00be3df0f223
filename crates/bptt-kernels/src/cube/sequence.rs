//! A whole sequence on a CubeCL device.

use crate::cube::backward_step::{
    BackwardBuffersLaunch, BackwardPart, BackwardSpec, backward_rows_kernel, backward_step_kernel,
};
use crate::cube::forward_step::{
    ForwardBuffersLaunch, ForwardPart, ForwardSpec, forward_rows_kernel, forward_step_kernel,
};
use crate::cube::rows::{FlagsOfRows, empty, hidden_before, only_valid, place};
use crate::cube::step::{CUBE, LANES, SizesOfStep};
use crate::cube::step_programs::StepPrograms;
use crate::cube::{launches, packed};
use crate::operation::operands::{Cotangents, Operand, Operands, Results};
use crate::operation::plan::{PlanOptions, Sizes};
use crate::reference::primitive::Primitive;
use crate::reference::tensor_number::TensorNumber;
use bptt_cells::State;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::prelude::{Client, CubeCount, CubeDim};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use std::sync::Arc;

pub(crate) type Tensor = Primitive<CubeBackend>;

/// How many rows of the batch are computed together, if there are as many: each weight is read once for them. More would
/// make kernels that take long to compile, and fewer units that run at the same time.
const MOST_ROWS: usize = 4;

/// How a sequence is divided into launches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// One launch for each step; two for a cell with a gated hidden state.
    Steps,
    /// One launch for the sequence: a cube computes some rows of the batch.
    Rows,
}

/// A sequence that the kernels run.
pub(crate) struct Sequence<'a> {
    pub(crate) options: &'a PlanOptions,
    pub(crate) programs: StepPrograms,
    pub(crate) sizes: Sizes,
    pub(crate) strategy: Strategy,
}

/// What the forward pass keeps, each in one buffer for the whole sequence. See `forward_step.rs` for their forms.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    states: CubeTensor,
    saved: CubeTensor,
    flags: FlagsOfRows,
    /// The input with zeros at masked steps, `[T·B, I]`.
    input: CubeTensor,
}

/// The gradients that a backward pass leaves: sums over all steps, which are large products, are still to be made.
pub(crate) struct StepGradients {
    /// `[T·B, G·H]`
    pub(crate) d_gates: Tensor,
    /// `[T·B, A·H]`, where these differ.
    pub(crate) d_outer: Option<Tensor>,
    /// `[T·B, H]`
    pub(crate) hidden_before: Tensor,
    /// `[T·B, H]`, for cells that have one.
    pub(crate) gated_hidden: Option<Tensor>,
    /// `[B, H]`, and all memories as one, `[M·B, H]`.
    pub(crate) d_state: State<Tensor, Vec<Tensor>>,
    /// The same of the state that a reset sets, if some states are reset.
    pub(crate) d_reset: Option<State<Tensor, Vec<Tensor>>>,
    /// The input with zeros at masked steps, `[T, B, I]`.
    pub(crate) input: Tensor,
}

/// How many buffers a kernel has, with that of the sizes.
const BINDINGS: u32 = 8;

impl Sequence<'_> {
    /// Whether the device can run it: its buffers, their number and the number of workgroups are within the device's
    /// limits, and 32 bits count the numbers of each buffer.
    pub(crate) fn fits(&self, client: &Client) -> bool {
        let Sizes { time, batch, hidden, memories, .. } = self.sizes;
        let counts = &self.programs.counts;
        let plane = batch as u64 * hidden as u64;
        let of_steps = |values: usize| time as u64 * values as u64 * plane;
        let largest = [
            of_steps(counts.gates + counts.outer()),
            of_steps(counts.saved + 1),
            (time as u64 + 2) * (1 + memories as u64) * plane,
        ];
        let largest = largest.into_iter().max().unwrap_or(0);
        let properties = client.properties();
        let (across, down, _) = properties.hardware.max_cube_count;
        let rows = batch.div_ceil(self.rows_together());
        largest <= u64::from(u32::MAX)
            && largest * 4 <= properties.memory.max_page_size
            && BINDINGS <= properties.hardware.max_bindings
            && rows <= across.min(down) as usize
            && hidden.div_ceil(CUBE) <= across as usize
            && 256 <= properties.hardware.max_units_per_cube
    }

    /// Runs it forward; with `keep`, keeps the trace.
    pub(crate) fn forward(
        &self,
        operands: &Operands<Tensor>,
        keep: bool,
    ) -> (Results<Tensor>, Option<Trace>) {
        let Sizes { time, batch, input, hidden, memories, .. } = self.sizes;
        let counts = &self.programs.counts;
        let like = &operands.need(Operand::Hidden).0;
        let flags = FlagsOfRows::new(self.options, &self.sizes, like);
        let x = operands.need(Operand::Input).clone().reshape([time * batch, input]);
        let x = Primitive(only_valid(x.0, &flags));
        let weight_ih = operands.need(Operand::WeightIh).clone();
        let wx = x.clone().affine(weight_ih, operands.get(Operand::BiasIh).cloned());
        let weights = packed::forward(operands, hidden).map(|weights| weights.0);

        let states = empty(like, (time + 2) * (1 + memories) * batch * hidden);
        self.place_state(operands, &states);
        let values =
            if keep { counts.saved } else { 0 } + usize::from(self.programs.gated.is_some());
        let saved = empty(like, values * time * batch * hidden);
        let outputs = empty(like, time * batch * hidden);
        let outputs_shape = self.options.outputs_shape(&self.sizes);
        let spec = ForwardSpec {
            programs: self.programs.clone(),
            rows: self.rows_together(),
            bias: operands.has(Operand::BiasHh),
            keep,
            flags: flags.kinds,
        };
        let strides = match self.options.batch_first {
            true => [hidden, time * hidden, 1],
            false => [batch * hidden, hidden, 1],
        };
        let sizes = self.sizes_of_step(operands, strides);
        let wx = into_contiguous(wx.0);
        let weights = weights.map_or_else(|| empty(like, LANES), into_contiguous);
        let bias = operands.get(Operand::BiasHh).map(|bias| into_contiguous(bias.0.clone()));
        let bias = bias.unwrap_or_else(|| empty(like, 1));
        let buffers = || {
            ForwardBuffersLaunch::new(
                wx.clone().into_buffer_arg(),
                weights.clone().into_buffer_arg(),
                bias.clone().into_buffer_arg(),
                states.clone().into_buffer_arg(),
                flags.flags.clone().into_buffer_arg(),
                outputs.clone().into_buffer_arg(),
                saved.clone().into_buffer_arg(),
            )
        };
        self.launch_forward(&like.client, &sizes, Arc::new(spec), buffers);

        let last = if self.options.reverse { 0 } else { time };
        let [h, c] = [batch * hidden, memories * batch * hidden];
        let all = Primitive::<CubeBackend>(states.clone());
        let memories_at = (time + 2) * h;
        let results = Results {
            outputs: Primitive(outputs).reshape(outputs_shape),
            hidden: all.entries(last * h, (last + 1) * h).reshape([batch, hidden]),
            memory: (memories > 0).then(|| {
                let memory = all.entries(memories_at + last * c, memories_at + (last + 1) * c);
                memory.reshape([memories, batch, hidden])
            }),
        };
        (results, keep.then_some(Trace { states, saved, flags, input: x.0 }))
    }

    /// Sets the state before the first step, and the state that a reset sets.
    fn place_state(&self, operands: &Operands<Tensor>, states: &CubeTensor) {
        let Sizes { time, batch, hidden, memories, .. } = self.sizes;
        let first = if self.options.reverse { time } else { 0 };
        let memories_at = (time + 2) * batch * hidden;
        let set = |state: Tensor, memory: Option<Tensor>, slot: usize| {
            place(state.0, states, slot * batch * hidden);
            if let Some(memory) = memory {
                place(memory.0, states, memories_at + slot * memories * batch * hidden);
            }
        };
        let [hidden_is, memory_is] = [Operand::Hidden, Operand::Memory];
        let [h, c] = [hidden_is, memory_is].map(|operand| operands.get(operand).cloned());
        let h = h.expect("the hidden state is an operand");
        set(h.clone(), c.clone(), first);
        if self.options.rows.resets.is_some() {
            let zeros = |like: &Tensor| like.zeros(like.shape());
            let reset_h = operands.get(Operand::ResetHidden).cloned();
            let reset_c = operands.get(Operand::ResetMemory).cloned();
            let reset_c = reset_c.or_else(|| c.as_ref().map(zeros));
            set(reset_h.unwrap_or_else(|| zeros(&h)), reset_c, time + 1);
        }
    }

    fn launch_forward(
        &self,
        client: &Client,
        sizes: &SizesOfStep,
        spec: Arc<ForwardSpec>,
        buffers: impl Fn() -> ForwardBuffersLaunch,
    ) {
        match self.strategy {
            Strategy::Steps => {
                let (count, dim) = self.cubes_of_step(spec.rows);
                let parts = match spec.programs.gated {
                    Some(_) => vec![ForwardPart::Outer, ForwardPart::Inner],
                    None => vec![ForwardPart::Whole],
                };
                for position in 0..sizes.time {
                    for &part in &parts {
                        launches::count();
                        forward_step_kernel::launch(
                            client,
                            count.clone(),
                            dim,
                            buffers(),
                            sizes.launched(),
                            position,
                            part,
                            spec.clone(),
                        );
                    }
                }
            }
            Strategy::Rows => {
                let (count, dim) = self.cubes_of_rows(spec.rows);
                launches::count();
                forward_rows_kernel::launch(client, count, dim, buffers(), sizes.launched(), spec);
            }
        }
    }

    /// Runs it backward.
    pub(crate) fn backward(
        &self,
        operands: &Operands<Tensor>,
        trace: Trace,
        d_results: Cotangents<Tensor>,
    ) -> StepGradients {
        let Sizes { time, batch, input, hidden, memories, .. } = self.sizes;
        let Trace { states, saved, flags, input: x } = trace;
        let counts = &self.programs.counts;
        let like = &operands.need(Operand::Hidden).0;
        let spec = BackwardSpec {
            programs: self.programs.clone(),
            rows: self.rows_together(),
            flags: flags.kinds,
        };
        let (d_outputs, strides) = match d_results.outputs {
            Some(d) if self.options.batch_first => (d, [hidden, time * hidden, 1]),
            Some(d) => (d, [batch * hidden, hidden, 1]),
            None => (operands.need(Operand::Hidden).zeros([1]), [0; 3]),
        };
        let sizes = self.sizes_of_step(operands, strides);
        let plane = batch * hidden;
        let states_of_gradient = (1 + memories) * (1 + usize::from(flags.kinds.resets));
        let d_state = operands.need(Operand::Hidden).zeros([states_of_gradient * plane]).0;
        if let Some(d) = d_results.hidden {
            place(d.0, &d_state, 0);
        }
        if let Some(d) = d_results.memory {
            place(d.0, &d_state, plane);
        }
        let differs = spec.differs();
        let [of_gates, of_outer] =
            [counts.gates, if differs { counts.outer() } else { 0 }].map(|n| n * time * plane);
        let d_gates = empty(like, of_gates + of_outer);
        let weights = packed::backward(operands, hidden);
        let weights =
            weights.map_or_else(|| empty(like, LANES), |weights| into_contiguous(weights.0));
        let d_outputs = into_contiguous(d_outputs.0);
        let buffers = || {
            BackwardBuffersLaunch::new(
                weights.clone().into_buffer_arg(),
                states.clone().into_buffer_arg(),
                saved.clone().into_buffer_arg(),
                flags.flags.clone().into_buffer_arg(),
                d_outputs.clone().into_buffer_arg(),
                d_gates.clone().into_buffer_arg(),
                d_state.clone().into_buffer_arg(),
            )
        };
        self.launch_backward(&like.client, &sizes, Arc::new(spec), buffers);

        let state = |first: usize| {
            let all = Primitive::<CubeBackend>(d_state.clone());
            let plane_at = |m: usize, count: usize| {
                all.entries(m * plane, (m + count) * plane).reshape([count * batch, hidden])
            };
            let memory = (memories > 0).then(|| plane_at(first + 1, memories));
            State { hidden: plane_at(first, 1), memory: memory.into_iter().collect() }
        };
        let of_steps = |x: Tensor, gates: usize| x.reshape([time * batch, gates * hidden]);
        let d_all = Primitive::<CubeBackend>(d_gates);
        let saved = Primitive::<CubeBackend>(saved);
        let kept = counts.saved * time * plane;
        StepGradients {
            d_gates: of_steps(d_all.entries(0, of_gates), counts.gates),
            d_outer: differs
                .then(|| of_steps(d_all.entries(of_gates, of_gates + of_outer), counts.outer())),
            hidden_before: of_steps(Primitive(hidden_before(&states, &flags, &sizes)), 1),
            gated_hidden: (self.programs.gated.is_some())
                .then(|| of_steps(saved.entries(kept, kept + time * plane), 1)),
            d_state: state(0),
            d_reset: flags.kinds.resets.then(|| state(1 + memories)),
            input: Primitive(x).reshape([time, batch, input]),
        }
    }

    fn launch_backward(
        &self,
        client: &Client,
        sizes: &SizesOfStep,
        spec: Arc<BackwardSpec>,
        buffers: impl Fn() -> BackwardBuffersLaunch,
    ) {
        match self.strategy {
            Strategy::Steps => {
                let (count, dim) = self.cubes_of_step(spec.rows);
                let launch = |behind: usize, part: BackwardPart| {
                    launches::count();
                    backward_step_kernel::launch(
                        client,
                        count.clone(),
                        dim,
                        buffers(),
                        sizes.launched(),
                        behind,
                        part,
                        spec.clone(),
                    );
                };
                for behind in (1..=sizes.time).rev() {
                    launch(behind, BackwardPart::Whole);
                    if spec.programs.gated.is_some() {
                        launch(behind, BackwardPart::Inner);
                    }
                }
                launch(0, BackwardPart::Finish);
            }
            Strategy::Rows => {
                let (count, dim) = self.cubes_of_rows(spec.rows);
                launches::count();
                backward_rows_kernel::launch(client, count, dim, buffers(), sizes.launched(), spec);
            }
        }
    }

    /// How many rows a unit of the kernels computes together.
    fn rows_together(&self) -> usize {
        if self.sizes.batch >= MOST_ROWS { MOST_ROWS } else { 1 }
    }

    fn sizes_of_step(&self, operands: &Operands<Tensor>, outputs: [usize; 3]) -> SizesOfStep {
        let Sizes { time, batch, hidden, .. } = self.sizes;
        let head = packed::head_width(operands, hidden);
        SizesOfStep { time, batch, hidden, head, reverse: self.options.reverse, outputs }
    }

    fn cubes_of_step(&self, rows: usize) -> (CubeCount, CubeDim) {
        let Sizes { batch, hidden, .. } = self.sizes;
        let cubes = [hidden.div_ceil(CUBE), batch.div_ceil(rows)].map(|count| count as u32);
        (CubeCount::Static(cubes[0], cubes[1], 1), CubeDim::new_1d(CUBE as u32))
    }

    fn cubes_of_rows(&self, rows: usize) -> (CubeCount, CubeDim) {
        let Sizes { batch, hidden, .. } = self.sizes;
        let units = (hidden.next_multiple_of(32)).min(256) as u32;
        (CubeCount::Static(batch.div_ceil(rows) as u32, 1, 1), CubeDim::new_1d(units))
    }
}
