//! Scans whose gates are a product of the input, `W x`: the product and the scan as one pass.
//!
//! The gates of a long sequence do not fit the cache, and a product is faster than memory. So a thread takes some units of
//! each gate (a *chunk*), and computes time block by time block: the product for these units, and then the scan over the
//! block, which reads the gates from the cache. The part of the weight for a chunk stays in the cache, too. Chunks do not
//! wait for each other. The backward pass is alike: the scan over a block from the last step to the first, and the part of
//! the weight's gradient that these steps have. The gradient of the input is a sum over all units, so it is computed when
//! the gradients of all gates are there.
//!
//! Blocks and chunks depend on the sizes alone, and each sum is computed by one thread in one order. So the results have the
//! same bits for any number of threads.
//!
//! The last gate may be the input itself, as that of RG-LRU: then the weight has one plane less.

pub(crate) mod backward;
pub(crate) mod forward;

#[cfg(test)]
mod tests;

use crate::host::gemm::columns::Columns;
use crate::host::gemm::dispatch::Gemm;
use crate::host::gemm::panels::{Panels, Source, pack_all};
use crate::host::gemm::product::{KC, Product};
use crate::host::gemm::rows::Rows;
use crate::host::scan::layout::Scan;
use crate::host::simd::isa::Isa;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many rows a time block has, if a step does not have more.
const ROWS: usize = KC;

/// How many panels of each plane a chunk has at most.
const PANELS: usize = 4;

/// Into how many chunks the units are cut at least, if there are as many panels.
const CHUNKS: usize = 8;

/// How many multiplications are worth a thread. To start one takes some 20 µs.
const WORTH: usize = 1 << 21;

/// A scan with the input that its gates are computed from.
#[derive(Clone, Copy)]
pub(crate) struct InputScan<'a, T> {
    /// The scan, without gates.
    pub(crate) scan: Scan<'a, T>,
    /// `I`
    pub(crate) size: usize,
    /// `[T, B, I]`
    pub(crate) input: &'a [T],
    /// `W`, `[G·H, I]`; `[(G - 1)·H, I]` if the last gate is the input.
    pub(crate) weight: &'a [T],
}

impl<T: Gemm> InputScan<'_, T> {
    /// Checks that the operands have the sizes, of a cell with this many gates and constants.
    ///
    /// # Panics
    ///
    /// If one has not.
    fn check(&self, gates: usize, constants: usize) {
        let Self { scan, size, input, weight } = self;
        let (found, expected) = (input.len(), scan.rows() * size);
        assert!(found == expected && *size > 0, "an input of {found} numbers: expected {expected}");
        let of_plane = scan.hidden * size;
        let has_input = weight.len() + of_plane == gates * of_plane && *size == scan.hidden;
        assert!(
            has_input || weight.len() == gates * of_plane,
            "a weight of {} numbers: expected {}",
            weight.len(),
            gates * of_plane
        );
        scan.check_besides_gates(constants);
    }

    /// How many planes of the gates are products.
    fn planes(&self) -> usize {
        self.weight.len() / (self.scan.hidden * self.size)
    }

    fn plan(&self, gates: usize, isa: Isa, threads: usize) -> Plan {
        let Scan { time, batch, hidden, .. } = self.scan;
        let panel = 2 * isa.lanes::<T>();
        let panels = hidden.div_ceil(panel);
        let of_chunk = (panels / CHUNKS).clamp(1, PANELS);
        let work = self.scan.rows().saturating_mul(self.weight.len());
        let chunks = panels.div_ceil(of_chunk);
        let threads = threads.min(chunks).min((work / WORTH).max(1));
        let steps = (ROWS / batch).clamp(1, time);
        Plan { threads, chunk: of_chunk * panel, chunks, steps, time, batch, hidden, gates }
    }

    /// The input or its gradient as rows, in the order in which the steps run, from the row of the first step on.
    fn rows(&self) -> Rows<'_> {
        let (Scan { time, batch, batch_first, reverse, .. }, size) = (self.scan, self.size);
        if batch == 1 && !reverse {
            return Rows::plain(size);
        }
        let sign = if reverse { -1 } else { 1 };
        match batch_first {
            true => Rows::groups(batch, sign * size as isize, time * size),
            false => Rows::groups(batch, sign * (batch * size) as isize, size),
        }
    }

    /// Where the row of the first step is in the input.
    fn first_row(&self) -> usize {
        self.scan.row(0, 0) * self.size
    }

    /// The numbers of the input at a row, of rows in the order in which the steps run.
    fn input_row(&self, index: usize) -> &[T] {
        let (step, row) = (index / self.scan.batch, index % self.scan.batch);
        &self.input[self.scan.row(step, row) * self.size..][..self.size]
    }

    /// The weight of each plane, packed for `x Wᵀ`.
    fn packed(&self, isa: Isa, threads: usize) -> Vec<Panels<T>> {
        let (size, hidden) = (self.size, self.scan.hidden);
        let panel = 2 * isa.lanes::<T>();
        let new = |_| {
            let columns = Columns::plain(hidden, panel);
            Panels::new(isa, Columns::plain(size, panel), 1, columns)
        };
        let mut packed: Vec<_> = (0..self.planes()).map(new).collect();
        let source = |plane| Source {
            data: self.weight,
            planes: vec![plane * hidden * size],
            column: size,
            rows: vec![(0, size)],
            row: 1,
        };
        let sources: Vec<_> = (0..self.planes()).map(source).collect();
        let packers = packed.iter_mut().map(Panels::packer);
        let all: Vec<_> = packers.zip(&sources).collect();
        pack_all(threads, &all);
        packed
    }

    /// The gates of some units at some steps, into `[steps, B, G·units]`.
    ///
    /// # Safety
    ///
    /// `to` is valid for writes of as many numbers, and no other thread reads or writes them.
    unsafe fn gates(
        &self,
        weight: &[Panels<T>],
        plan: &Plan,
        (units, steps): (&Range<usize>, &Range<usize>),
        to: *mut T,
        isa: Isa,
    ) {
        let rows = steps.start * plan.batch..steps.end * plan.batch;
        let row = plan.gates * units.len();
        for (plane, weight) in weight.iter().enumerate() {
            let panel = weight.columns;
            // Where the first unit of the plane would be, in the row of the first step.
            let c = to.wrapping_add(plane * units.len()).wrapping_sub(units.start);
            let product = Product {
                // A pointer into the whole input: of a reversed layer, later steps lie before the first one.
                a: self.input.as_ptr().wrapping_add(self.first_row()),
                a_rows: self.rows(),
                b: weight.beside(None),
                panels: units.start / panel..units.end.div_ceil(panel),
                c: c.wrapping_sub(rows.start * row),
                c_rows: Rows::plain(row),
                rows: rows.clone(),
                add: false,
                from_last: false,
            };
            // SAFETY: the rows of these steps are in the input; the rest is the caller's promise.
            unsafe { product.run(isa) };
        }
        if weight.len() == plan.gates {
            return;
        }
        for (nth, index) in rows.enumerate() {
            let from = &self.input_row(index)[units.clone()];
            let to = to.wrapping_add(nth * row + weight.len() * units.len());
            // SAFETY: the last plane of a row, by the caller's promise.
            unsafe { std::slice::from_raw_parts_mut(to, units.len()).copy_from_slice(from) };
        }
    }
}

/// How the pass is cut: into chunks of units, and time blocks.
#[derive(Clone, Copy)]
struct Plan {
    threads: usize,
    /// How many units a chunk has; the last one may have fewer.
    chunk: usize,
    chunks: usize,
    /// How many steps a block has; the last one may have fewer.
    steps: usize,
    time: usize,
    batch: usize,
    hidden: usize,
    /// `G`
    gates: usize,
}

impl Plan {
    /// The units of a chunk.
    fn units(&self, chunk: usize) -> Range<usize> {
        let first = chunk * self.chunk;
        first..(first + self.chunk).min(self.hidden)
    }

    /// The units of the next chunk that no thread has taken. Threads take them one by one, because they are not equally
    /// fast: one may share its core.
    fn take(&self, taken: &AtomicUsize) -> Option<Range<usize>> {
        let chunk = taken.fetch_add(1, Ordering::Relaxed);
        (chunk < self.chunks).then(|| self.units(chunk))
    }

    /// The steps of each block, in the order in which they run.
    fn blocks(&self) -> impl DoubleEndedIterator<Item = Range<usize>> + use<> {
        let Self { steps, time, .. } = *self;
        (0..time.div_ceil(steps)).map(move |block| {
            let first = block * steps;
            first..(first + steps).min(time)
        })
    }

    /// How many gates there are in all.
    fn all_gates(&self) -> usize {
        self.time * self.batch * self.gates * self.hidden
    }

    /// How many gates the largest block of a chunk has.
    fn of_block(&self) -> usize {
        self.steps * self.batch * self.gates * self.chunk.min(self.hidden)
    }

    /// Where the gates of some units at some steps begin, and how many there are: chunk by chunk, and in a chunk in the
    /// order in which the steps run.
    fn gates_at(&self, units: &Range<usize>, steps: &Range<usize>) -> (usize, usize) {
        let rows = self.time * self.batch;
        let row = self.gates * units.len();
        let first = self.gates * rows * units.start + steps.start * self.batch * row;
        (first, steps.len() * self.batch * row)
    }
}
