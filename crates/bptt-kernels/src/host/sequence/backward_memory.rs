//! The memory of the backward pass. Each group is a struct over `M`: the buffers themselves, or what threads share of
//! them.

use crate::host::gemm::dispatch::Gemm;
use crate::host::layout::sizes::Layer;
use crate::host::memory::buffer::{Buffer, Shared};
use crate::host::memory::values::Values;
use crate::host::sequence::heads::HeadSum;
use crate::operation::operands::{Cotangents, Operand, Operands};

/// What a block of steps needs. Of each there are two, which belong to blocks in turn.
pub(super) struct BlockBuffers<M> {
    /// Gradients of the planes, row after row.
    pub(super) d_planes: [M; 2],
    /// As tiles: `x`, `h` before each step, and `h` before the projection. In dual numbers, first all values, then
    /// all tangents.
    pub(super) x_tiles: [M; 2],
    pub(super) h_tiles: [M; 2],
    pub(super) own_tiles: Option<[M; 2]>,
    /// The gated hidden state, and dLoss/d(`h` behind the projection).
    pub(super) gated_hidden: Option<[M; 2]>,
    pub(super) d_projected: Option<[M; 2]>,
}

/// The gradient of the state, from step to step.
pub(super) struct StateGradient<M> {
    /// `[B, Pp]`
    pub(super) d_hidden: M,
    /// `[B, M, Hp]`
    pub(super) d_memory: M,
    /// Of `h` before the projection or zoneout, `[B, Hp]`.
    pub(super) d_own: Option<M>,
    /// What zoneout hands on to the state before a step, `[B, Pp]` and `[B, M, Hp]`.
    pub(super) kept_hidden: Option<M>,
    pub(super) kept_memory: Option<M>,
    /// Of `m ⊙ h`, `[B, Pp]`, if the state has a mask.
    pub(super) d_masked: Option<M>,
    /// Of the gated hidden state, `[B, Hp]`.
    pub(super) d_gated: Option<M>,
    /// Of the reset state, as `d_hidden` and `d_memory`.
    pub(super) reset_hidden: Option<M>,
    pub(super) reset_memory: Option<M>,
}

/// The sums over all steps, transposed. The columns of planes are in the order of a row, padded to whole SIMD
/// vectors. In dual numbers, first the values, then the tangents.
pub(super) struct Totals<M> {
    /// `[I, G·H]`
    pub(super) ih: M,
    /// `[P, outer·H]`; in heads, one part after the other, as [`HeadSum`] has them.
    pub(super) hh: M,
    /// `[H, H]`; in heads as `hh`.
    pub(super) gated: Option<M>,
    /// `[H, P]`
    pub(super) hr: Option<M>,
    /// Of all columns of the planes.
    pub(super) bias: M,
}

/// The gradients that are wanted, of the input and of matrices.
pub(super) struct Gradients<M> {
    pub(super) input: Option<M>,
    pub(super) weight_ih: Option<M>,
    pub(super) weight_hh: Option<M>,
    pub(super) weight_hr: Option<M>,
}

fn pair<T: Gemm>(of: &mut [Buffer<T>; 2]) -> [Shared<'_, T>; 2] {
    of.each_mut().map(Buffer::shared)
}

impl<T: Gemm> BlockBuffers<Buffer<T>> {
    /// For blocks of at most this many rows, once or twice.
    pub(super) fn new(layer: &Layer, rows: usize, twice: bool) -> Self {
        let Layer { input, hidden, output, hp, pp, projected, gated, .. } = *layer;
        let two = |width: usize| Buffer::one_or_two(twice, &[rows, width]);
        Self {
            d_planes: layer.rows_of_planes(rows, twice),
            x_tiles: two(input),
            h_tiles: two(output),
            own_tiles: projected.then(|| two(hidden)),
            gated_hidden: gated.then(|| two(hp)),
            d_projected: projected.then(|| two(pp)),
        }
    }

    pub(super) fn shared(&mut self) -> BlockBuffers<Shared<'_, T>> {
        BlockBuffers {
            d_planes: pair(&mut self.d_planes),
            x_tiles: pair(&mut self.x_tiles),
            h_tiles: pair(&mut self.h_tiles),
            own_tiles: self.own_tiles.as_mut().map(pair),
            gated_hidden: self.gated_hidden.as_mut().map(pair),
            d_projected: self.d_projected.as_mut().map(pair),
        }
    }
}

impl<T: Gemm> StateGradient<Buffer<T>> {
    /// dLoss/d(final state), in rows that are padded with zeros.
    pub(super) fn new(layer: &Layer, d_results: &Cotangents<&[T]>, wanted: &Operands<()>) -> Self {
        let Layer { batch, hidden, output, memories, hp, pp, gated, .. } = *layer;
        let mut d_hidden = Buffer::zeros(&[batch, pp]);
        let mut d_memory = Buffer::zeros(&[batch, memories, hp]);
        for b in 0..batch {
            if let Some(d) = d_results.hidden {
                let to = &mut d_hidden.as_mut_slice()[b * pp..][..output];
                to.copy_from_slice(&d[b * output..][..output]);
            }
            for m in 0..memories {
                if let Some(d) = d_results.memory {
                    let to = &mut d_memory.as_mut_slice()[(b * memories + m) * hp..][..hidden];
                    to.copy_from_slice(&d[(m * batch + b) * hidden..][..hidden]);
                }
            }
        }
        Self {
            d_hidden,
            d_memory,
            d_own: layer.has_own().then(|| Buffer::zeros(&[batch, hp])),
            kept_hidden: layer.zones_hidden.then(|| Buffer::zeros(&[batch, pp])),
            kept_memory: layer.zones_memory.then(|| Buffer::zeros(&[batch, layer.states(), hp])),
            d_masked: layer.masks_state.then(|| Buffer::zeros(&[batch, pp])),
            d_gated: gated.then(|| Buffer::zeros(&[batch, hp])),
            reset_hidden: wanted.has(Operand::ResetHidden).then(|| Buffer::zeros(&[batch, pp])),
            reset_memory: wanted
                .has(Operand::ResetMemory)
                .then(|| Buffer::zeros(&[batch, memories, hp])),
        }
    }

    pub(super) fn shared(&mut self) -> StateGradient<Shared<'_, T>> {
        StateGradient {
            d_hidden: self.d_hidden.shared(),
            d_memory: self.d_memory.shared(),
            d_own: self.d_own.as_mut().map(Buffer::shared),
            kept_hidden: self.kept_hidden.as_mut().map(Buffer::shared),
            kept_memory: self.kept_memory.as_mut().map(Buffer::shared),
            d_masked: self.d_masked.as_mut().map(Buffer::shared),
            d_gated: self.d_gated.as_mut().map(Buffer::shared),
            reset_hidden: self.reset_hidden.as_mut().map(Buffer::shared),
            reset_memory: self.reset_memory.as_mut().map(Buffer::shared),
        }
    }

    /// The gradients of the initial state and of the reset state, if they are wanted, without padding.
    pub(super) fn add_to(&self, layer: &Layer, wanted: &Operands<()>, d: &mut Operands<Values<T>>) {
        let hidden = [
            (Operand::Hidden, Some(&self.d_hidden)),
            (Operand::ResetHidden, self.reset_hidden.as_ref()),
        ];
        for (operand, rows) in hidden {
            if let (true, Some(rows)) = (wanted.has(operand), rows) {
                d.set(operand, Some(of_hidden(layer, rows).into()));
            }
        }
        let memory = |operand, rows: Option<&Buffer<T>>| {
            rows.filter(|_| wanted.has(operand)).map(|rows| of_memory(layer, rows))
        };
        let mut initial = memory(Operand::Memory, Some(&self.d_memory));
        let mut reset = memory(Operand::ResetMemory, self.reset_memory.as_ref());
        if let (Some(initial), Some(reset)) = (&mut initial, &mut reset) {
            // Diagonal weights are one parameter, from the beginning and after a reset.
            let first = layer.states() * layer.batch * layer.hidden;
            move_all(&mut initial[first..], &mut reset[first..]);
        }
        for (operand, memory) in [(Operand::Memory, initial), (Operand::ResetMemory, reset)] {
            if let Some(memory) = memory {
                d.set(operand, Some(memory.into()));
            }
        }
    }
}

/// `[B, P]`, without padding.
fn of_hidden<T: Gemm>(layer: &Layer, rows: &Buffer<T>) -> Vec<T> {
    let Layer { batch, output, pp, .. } = *layer;
    let rows = rows.as_slice().chunks_exact(pp.max(1)).take(batch);
    rows.flat_map(|row| &row[..output]).copied().collect()
}

/// `[M, B, H]`, without padding. All rows have the same diagonal weights: the first row has the sum of their gradients,
/// and the others have zeros. So the sum is rounded once if the gradients are rounded to 16 bits.
fn of_memory<T: Gemm>(layer: &Layer, rows: &Buffer<T>) -> Vec<T> {
    let Layer { batch, hidden, memories, hp, parts, .. } = *layer;
    let of = rows.as_slice();
    let row = |m: usize, b: usize| &of[(b * memories + m) * hp..][..hidden];
    let all = (0..memories).flat_map(|m| (0..batch).flat_map(move |b| row(m, b)));
    let mut all: Vec<T> = all.copied().collect();
    for plane in all[layer.states() * batch * hidden..].chunks_exact_mut(batch * hidden) {
        // In dual numbers, the first two rows: a row of values and that of its tangents.
        let (first, others) = plane.split_at_mut(parts * hidden);
        others.chunks_exact_mut(parts * hidden).for_each(|rows| move_all(first, rows));
    }
    all
}

/// Adds numbers to others, and leaves zeros.
fn move_all<T: Gemm>(to: &mut [T], from: &mut [T]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = T::plus(*to, std::mem::replace(from, T::ZERO));
    }
}

impl<T: Gemm> Totals<Buffer<T>> {
    pub(super) fn new(layer: &Layer, head_sums: &[Vec<HeadSum>; 2]) -> Self {
        let Layer { input, hidden, output, hp, pp, projected, gated, parts, row, .. } = *layer;
        let sums = |columns| layer.row_of_sums::<T>(columns);
        let [of_h, of_gated] = head_sums.each_ref().map(|all| all.last());
        let of_heads = |last: &HeadSum| Buffer::zeros(&[last.at + last.size]);
        let whole = || Buffer::zeros(&[parts, output, sums(layer.of_h().1)]);
        let whole_gated = || Buffer::zeros(&[parts, hidden, hp]);
        Self {
            ih: Buffer::zeros(&[parts, input, sums(layer.of_x().1)]),
            hh: of_h.map_or_else(whole, of_heads),
            gated: gated.then(|| of_gated.map_or_else(whole_gated, of_heads)),
            hr: projected.then(|| Buffer::zeros(&[parts, hidden, pp])),
            bias: Buffer::zeros(&[parts, row]),
        }
    }

    pub(super) fn shared(&mut self) -> Totals<Shared<'_, T>> {
        Totals {
            ih: self.ih.shared(),
            hh: self.hh.shared(),
            gated: self.gated.as_mut().map(Buffer::shared),
            hr: self.hr.as_mut().map(Buffer::shared),
            bias: self.bias.shared(),
        }
    }

    /// The gradient of a bias: `b` enters the planes of `W x`, `b_h` those of `U h`.
    pub(super) fn bias(&self, layer: &Layer, operand: Operand) -> Vec<T> {
        let Layer { hidden, gates, added, separate, row, .. } = *layer;
        let is_separate = |gate: usize| (added..added + separate).contains(&gate);
        let plane = |gate: usize| match operand {
            Operand::BiasHh if is_separate(gate) => gates + gate - added,
            _ => layer.plane(gate),
        };
        let of_part = |part: &'_ [T]| {
            let pieces = (0..gates).flat_map(|gate| layer.pieces(plane(gate), &(0..hidden)));
            let gradient = pieces.flat_map(|(column, units)| &part[column..][..units.len()]);
            gradient.copied().collect::<Vec<_>>()
        };
        self.bias.as_slice().chunks_exact(row.max(1)).flat_map(of_part).collect()
    }
}

impl<T: Gemm> Gradients<Values<T>> {
    /// `all_valid`: no step is masked.
    pub(super) fn new(layer: &Layer, wanted: &Operands<()>, all_valid: bool) -> Self {
        let Layer { time, batch, input, hidden, output, gates, parts, .. } = *layer;
        let gradient = |operand, size: &[usize]| {
            // Everything is written, except the rows of the input's gradient at masked steps.
            let all_written = operand != Operand::Input || all_valid;
            wanted.has(operand).then(|| Values::new(size, all_written))
        };
        Self {
            input: gradient(Operand::Input, &[time, batch, input]),
            weight_ih: gradient(Operand::WeightIh, &[parts, gates, hidden, input]),
            weight_hh: gradient(Operand::WeightHh, &[parts, gates, hidden, output / layer.heads]),
            weight_hr: gradient(Operand::WeightHr, &[parts, output, hidden]),
        }
    }

    pub(super) fn shared(&mut self) -> Gradients<Shared<'_, T>> {
        fn shared<T: Gemm>(of: &mut Option<Values<T>>) -> Option<Shared<'_, T>> {
            of.as_mut().map(|gradient| Shared::new(gradient))
        }
        Gradients {
            input: shared(&mut self.input),
            weight_ih: shared(&mut self.weight_ih),
            weight_hh: shared(&mut self.weight_hh),
            weight_hr: shared(&mut self.weight_hr),
        }
    }
}
