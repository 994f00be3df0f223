//! Masks, resets and copies: the small kernels around a sequence.

use crate::cube::step::*;
use crate::operation::plan::{MaskedOutput, PlanOptions, Sizes};
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeDevice;
use burn_cubecl::cubecl::{self, prelude::*};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::{numeric::empty_device_contiguous_dtype, reshape};
use burn_cubecl::tensor::CubeTensor;

/// How many numbers a cube of the small kernels computes.
const LINE: u32 = 128;

/// The masks and resets of a sequence, on the device: one upload for the whole sequence.
#[derive(Clone, Debug)]
pub(crate) struct FlagsOfRows {
    pub(super) kinds: RowFlags,
    /// `[T, B]`, or a single number if nothing is masked or reset.
    pub(super) flags: CubeTensor,
}

impl FlagsOfRows {
    pub(super) fn new(options: &PlanOptions, sizes: &Sizes, like: &CubeTensor) -> Self {
        let Sizes { time, batch, .. } = *sizes;
        let rows = &options.rows;
        let kinds = RowFlags {
            mask: rows.mask.is_some(),
            hold: options.masked_output == MaskedOutput::Hold,
            resets: rows.resets.is_some(),
        };
        let flag = |t: usize, b: usize| {
            let valid = rows.mask.as_ref().is_none_or(|mask| mask.is_valid(t, b, batch));
            let reset = rows.is_reset(t, b, [time, batch], options.reverse);
            u32::from(valid) * VALID + u32::from(reset) * RESET
        };
        let steps = (0..time).flat_map(|t| (0..batch).map(move |b| (t, b)));
        let flags: Vec<u32> = match kinds.any() {
            true => steps.map(|(t, b)| flag(t, b)).collect(),
            false => vec![VALID],
        };
        let shape = Shape::new([flags.len()]);
        let handle = like.client.create_from_slice(u32::as_bytes(&flags));
        let (client, device) = (like.client.clone(), like.device.clone());
        let flags = CubeTensor::new_contiguous(client, device, shape, handle, DType::U32);
        Self { kinds, flags }
    }
}

/// Numbers on the device of another tensor, not set yet.
pub(super) fn empty(like: &CubeTensor, length: usize) -> CubeTensor {
    let (client, device): (_, CubeDevice) = (like.client.clone(), like.device.clone());
    empty_device_contiguous_dtype(client, device, Shape::new([length.max(1)]), like.dtype)
}

#[cube(launch)]
fn place_kernel(source: &[f32], target: &mut [f32], start: usize) {
    let at = ABSOLUTE_POS;
    if at < source.len() {
        target[start + at] = source[at];
    }
}

/// Copies all numbers of a tensor into another one, from a place on.
pub(super) fn place(source: CubeTensor, target: &CubeTensor, start: usize) {
    let source = into_contiguous(source);
    let client = source.client.clone();
    let (count, dim) = line(source.meta.num_elements());
    place_kernel::launch(
        &client,
        count,
        dim,
        source.into_buffer_arg(),
        target.clone().into_buffer_arg(),
        start,
    );
}

#[cube(launch)]
fn valid_rows_kernel(source: &[f32], flags: &[u32], target: &mut [f32], width: usize) {
    let at = ABSOLUTE_POS;
    if at < source.len() {
        target[at] = select(is_valid(flags[at / width]), source[at], 0.0);
    }
}

/// Rows `[T·B, n]`, with zeros at masked steps, so that nothing in the padding, not even a NaN, reaches a product.
pub(super) fn only_valid(rows: CubeTensor, flags: &FlagsOfRows) -> CubeTensor {
    if !flags.kinds.mask {
        return rows;
    }
    let rows = into_contiguous(rows);
    let [length, width] = [rows.meta.num_elements(), rows.meta.shape()[1]];
    let target = empty(&rows, length);
    let shape = rows.meta.shape().clone();
    let client = rows.client.clone();
    let (count, dim) = line(length);
    valid_rows_kernel::launch(
        &client,
        count,
        dim,
        rows.into_buffer_arg(),
        flags.flags.clone().into_buffer_arg(),
        target.clone().into_buffer_arg(),
        width,
    );
    reshape(target, shape)
}

#[cube(launch)]
fn hidden_before_kernel(
    states: &[f32],
    flags: &[u32],
    target: &mut [f32],
    sizes: &StepSizes,
    #[comptime] kinds: RowFlags,
) {
    let at = ABSOLUTE_POS;
    if at < target.len() {
        let (step_and_row, unit) = (at / sizes.hidden, at % sizes.hidden);
        let (t, row) = (step_and_row / sizes.batch, step_and_row % sizes.batch);
        let flags = flags_of(flags, sizes, t, row, kinds);
        let h = states[sizes.hidden_at(slot_of_flags(flags, t, sizes, kinds), row) + unit];
        target[at] = if comptime!(kinds.mask) { select(is_valid(flags), h, 0.0) } else { h };
    }
}

/// The hidden state before each step, `[T·B·H]`, zero before masked steps.
pub(super) fn hidden_before(
    states: &CubeTensor,
    flags: &FlagsOfRows,
    sizes: &SizesOfStep,
) -> CubeTensor {
    let length = sizes.time * sizes.batch * sizes.hidden;
    let target = empty(states, length);
    let (count, dim) = line(length);
    hidden_before_kernel::launch(
        &states.client,
        count,
        dim,
        states.clone().into_buffer_arg(),
        flags.flags.clone().into_buffer_arg(),
        target.clone().into_buffer_arg(),
        sizes.launched(),
        flags.kinds,
    );
    target
}

/// Cubes for a line of numbers, in two dimensions where one does not hold them.
fn line(length: usize) -> (CubeCount, CubeDim) {
    const MOST: u32 = 65535;
    let cubes = u32::try_from(length).expect("fewer than 2^32 numbers").div_ceil(LINE).max(1);
    let across = cubes.min(MOST);
    (CubeCount::Static(across, cubes.div_ceil(across), 1), CubeDim::new_1d(LINE))
}
