//! What the kernels of a step share: sizes, flags of rows, products with the recurrent weights.

use burn_cubecl::cubecl::{self, prelude::*};

/// How many units of a row a cube computes. All its units compute the same rows, so that what they read of a row is the
/// same for all of them.
pub(super) const CUBE: usize = 64;

/// Sizes that a kernel gets when it runs, so that none of them makes a kernel of its own.
#[derive(CubeType, CubeLaunch)]
pub(super) struct StepSizes {
    /// `T`
    pub(super) time: usize,
    /// `B`
    pub(super) batch: usize,
    /// `H`
    pub(super) hidden: usize,
    /// The width of a head: `H` without heads.
    pub(super) head: usize,
    /// 1 if the steps run from the last to the first, else 0.
    pub(super) reverse: usize,
    /// The strides of the outputs, or of their gradient: of a step, a row and a unit.
    pub(super) output_step: usize,
    pub(super) output_row: usize,
    pub(super) output_unit: usize,
}

/// The values of [`StepSizes`].
#[derive(Clone, Copy, Debug)]
pub(super) struct SizesOfStep {
    pub(super) time: usize,
    pub(super) batch: usize,
    pub(super) hidden: usize,
    pub(super) head: usize,
    pub(super) reverse: bool,
    pub(super) outputs: [usize; 3],
}

impl SizesOfStep {
    pub(super) fn launched(&self) -> StepSizesLaunch {
        let [step, row, unit] = self.outputs;
        StepSizesLaunch::new(
            self.time,
            self.batch,
            self.hidden,
            self.head,
            usize::from(self.reverse),
            step,
            row,
            unit,
        )
    }
}

/// What a kernel knows of masks and resets when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RowFlags {
    /// Whether some steps are masked.
    pub(super) mask: bool,
    /// Whether the output of a masked step is the state, and not zero.
    pub(super) hold: bool,
    /// Whether some states are reset.
    pub(super) resets: bool,
}

impl RowFlags {
    pub(super) fn any(self) -> bool {
        self.mask || self.resets
    }
}

/// In a row's flags: the step is valid.
pub(super) const VALID: u32 = 1;

/// In a row's flags: the state is reset before the step.
pub(super) const RESET: u32 = 2;

#[cube]
impl StepSizes {
    /// The time step that is computed as number `position`.
    pub(super) fn time_of(&self, position: usize) -> usize {
        select(self.reverse == 1, self.time - 1 - position, position)
    }

    /// The slot of the state before time step `t`. Slot `T + 1` holds the state that a reset sets.
    pub(super) fn slot_before(&self, t: usize) -> usize {
        t + self.reverse
    }

    /// The slot of the state after time step `t`.
    pub(super) fn slot_after(&self, t: usize) -> usize {
        t + 1 - self.reverse
    }

    /// Where the hidden state of a slot and row begins.
    pub(super) fn hidden_at(&self, slot: usize, row: usize) -> usize {
        (slot * self.batch + row) * self.hidden
    }

    /// Where the memory `m` of `memories`, of a slot and row, begins.
    pub(super) fn memory_at(
        &self,
        slot: usize,
        m: usize,
        row: usize,
        #[comptime] memories: usize,
    ) -> usize {
        let hidden_states = (self.time + 2) * self.batch * self.hidden;
        hidden_states + ((slot * memories + m) * self.batch + row) * self.hidden
    }

    /// Where the value `k` that a step saves begins.
    pub(super) fn saved_at(&self, k: usize, t: usize, row: usize) -> usize {
        ((k * self.time + t) * self.batch + row) * self.hidden
    }

    /// Where the output of a step, row and unit is.
    pub(super) fn output_at(&self, t: usize, row: usize, unit: usize) -> usize {
        t * self.output_step + row * self.output_row + unit * self.output_unit
    }

    /// Where the part of a head begins, within a row of units.
    pub(super) fn head_start(&self, unit: usize) -> usize {
        unit / self.head * self.head
    }
}

/// The flags of a step and row.
#[cube]
pub(super) fn flags_of(
    flags: &[u32],
    sizes: &StepSizes,
    t: usize,
    row: usize,
    #[comptime] kinds: RowFlags,
) -> u32 {
    if comptime!(kinds.any()) { flags[t * sizes.batch + row] } else { VALID.runtime() }
}

/// The slot of the state before a step of a row with these flags.
#[cube]
pub(super) fn slot_of_flags(
    flags: u32,
    t: usize,
    sizes: &StepSizes,
    #[comptime] kinds: RowFlags,
) -> usize {
    let before = sizes.slot_before(t);
    if comptime!(kinds.resets) { select(is_reset(flags), sizes.time + 1, before) } else { before }
}

#[cube]
pub(super) fn is_valid(flags: u32) -> bool {
    (flags & VALID) != 0
}

#[cube]
pub(super) fn is_reset(flags: u32) -> bool {
    (flags & RESET) != 0
}

/// Adds the state of a slot to the inputs of a program: `h`, then the memories.
#[cube]
pub(super) fn push_state(
    inputs: &mut Sequence<f32>,
    states: &[f32],
    slot: usize,
    row: usize,
    unit: usize,
    sizes: &StepSizes,
    #[comptime] memories: usize,
) {
    inputs.push(states[sizes.hidden_at(slot, row) + unit]);
    #[unroll]
    for m in 0..memories {
        inputs.push(states[sizes.memory_at(slot, m, row, memories) + unit]);
    }
}

/// Four weights that a product reads at once.
pub(super) type Weights = Vector<f32, Const<4>>;

/// How many there are in one [`Weights`].
pub(super) const LANES: usize = 4;

/// Which products a kernel computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Product {
    /// How many rows are computed together; each weight is read once for them.
    pub(super) rows: usize,
    /// The first gate, and how many there are.
    pub(super) first: usize,
    pub(super) terms: usize,
}

/// For each row and gate, the sum over the units of the row's head of state times weight: `rows · terms` numbers.
///
/// `weights` is `[gates, head / 4, H, 4]`, so that units that are neighbours read numbers that are. The state of row `r`
/// begins at `starts[r]`.
#[cube]
pub(super) fn forward_products(
    weights: &[Weights],
    source: &[f32],
    starts: &Sequence<usize>,
    unit: usize,
    sizes: &StepSizes,
    #[comptime] product: Product,
) -> Array<f32> {
    let mut sums = Array::<f32>::new(comptime!((product.rows * product.terms).max(1)));
    let groups = sizes.head.div_ceil(LANES);
    for group in 0..groups {
        #[unroll]
        for a in 0..product.terms {
            let at = ((a + product.first) * groups + group) * sizes.hidden + unit;
            let four = weights[at];
            #[unroll]
            for r in 0..product.rows {
                #[unroll]
                for lane in 0..LANES {
                    // Behind the end, the weights are zero.
                    let k = min(group * LANES + lane, sizes.head - 1);
                    sums[r * product.terms + a] += four.extract(lane) * source[starts[r] + k];
                }
            }
        }
    }
    stored(&sums, comptime!(product.rows * product.terms))
}

/// The same numbers in an array that can be read at any place. The sums themselves are only read at places that are known
/// while the kernel is made, so that they stay in registers.
#[cube]
fn stored(sums: &Array<f32>, #[comptime] length: usize) -> Array<f32> {
    let mut stored = Array::<f32>::new(comptime!(length.max(1)));
    #[unroll]
    for k in 0..length {
        stored[k] = sums[k];
    }
    stored
}

/// For each row, the sum over gates and the units of the head of a gate's gradient times weight: `rows` numbers.
///
/// `weights` is as in [`forward_products`], for the transposed product. The gradients of row `r` begin at `starts[r]`, a
/// gate's `H` apart. `width` is the head's, or 0 where there is nothing to sum.
#[cube]
pub(super) fn backward_products(
    weights: &[Weights],
    source: &[f32],
    starts: &Sequence<usize>,
    unit: usize,
    width: usize,
    sizes: &StepSizes,
    #[comptime] product: Product,
) -> Array<f32> {
    let mut sums = Array::<f32>::new(product.rows);
    let groups = width.div_ceil(LANES);
    for group in 0..groups {
        #[unroll]
        for a in 0..product.terms {
            let at = ((a + product.first) * groups + group) * sizes.hidden + unit;
            let four = weights[at];
            #[unroll]
            for r in 0..product.rows {
                #[unroll]
                for lane in 0..LANES {
                    let k = min(group * LANES + lane, sizes.head - 1);
                    sums[r] += four.extract(lane) * source[starts[r] + a * sizes.hidden + k];
                }
            }
        }
    }
    stored(&sums, product.rows)
}
