//! The sizes of a scan, where its rows lie, and what the threads share.

use crate::host::memory::buffer::Shared;
use crate::host::simd::isa::Isa;
use crate::host::simd::real::Real;
use crate::host::threads::team::part;
use crate::operation::step_flags::RESET;
use std::ops::Range;

/// How many steps a block has.
const BLOCK: usize = 512;

/// With at most as many pairs of SIMD vectors in all rows together, time is cut into blocks.
const FEW: usize = 4;

/// How many numbers of states are worth a thread.
const WORTH: usize = 1 << 13;

/// A scan: its sizes, and its operands besides those that only one direction has.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'a, T> {
    pub(crate) time: usize,
    pub(crate) batch: usize,
    /// `H`
    pub(crate) hidden: usize,
    /// `S`, the numbers of the state of a unit.
    pub(crate) parts: usize,
    /// Whether sequences are `[B, T, …]`, and not `[T, B, …]`.
    pub(crate) batch_first: bool,
    /// Whether the steps run from the last to the first.
    pub(crate) reverse: bool,
    /// `[T, B, G·H]`; empty if they are computed from the input (`input/`).
    pub(crate) gates: &'a [T],
    /// `[K·H]`
    pub(crate) constants: &'a [T],
    /// `[B, S·H]`
    pub(crate) initial: &'a [T],
    /// The state that a reset sets, `[B, S·H]`.
    pub(crate) reset: &'a [T],
    /// [`RESET`] and [`MASKED`] of each step in the order in which they run, and of each row; `None`: no step has any.
    pub(crate) flags: Option<&'a [u8]>,
}

impl<T: Real> Scan<'_, T> {
    /// Where a step of a row lies in a sequence, counted in rows. Steps are counted in the order in which they run.
    #[inline(always)]
    pub(super) fn row(&self, step: usize, row: usize) -> usize {
        let t = if self.reverse { self.time - 1 - step } else { step };
        if self.batch_first { row * self.time + t } else { t * self.batch + row }
    }

    #[inline(always)]
    pub(super) fn flags(&self, step: usize, row: usize) -> u8 {
        self.flags.map_or(0, |flags| flags[step * self.batch + row])
    }

    /// Whether the state of a row is reset at one of the steps.
    pub(super) fn has_reset(&self, steps: Range<usize>, row: usize) -> bool {
        self.flags.is_some() && steps.into_iter().any(|step| self.flags(step, row) & RESET != 0)
    }

    /// `T·B`
    pub(super) fn rows(&self) -> usize {
        self.time * self.batch
    }

    /// `S·H`
    #[inline(always)]
    pub(super) fn width(&self) -> usize {
        self.parts * self.hidden
    }

    /// Its gates, of a cell with this many.
    pub(super) fn gate_rows(&self, gates: usize) -> GateRows<T> {
        // Gates are only read, whatever the pointer may do.
        GateRows::of_sequence(self.gates.as_ptr().cast_mut(), self.hidden, gates)
    }

    /// A row of some states, `[…, S·H]`.
    #[inline(always)]
    pub(super) fn of_row(&self, states: &[T], row: usize) -> *const T {
        let width = self.width();
        states[row * width..][..width].as_ptr()
    }

    /// A row of a block in `[blocks, B, S·H]`.
    #[inline(always)]
    pub(super) fn of_block(&self, of: Shared<'_, T>, block: usize, row: usize) -> *mut T {
        let width = self.width();
        of.at((block * self.batch + row) * width, width)
    }

    /// Checks that the operands have the sizes, of a cell with this many gates and constants.
    ///
    /// # Panics
    ///
    /// If one has not.
    pub(super) fn check(&self, gates: usize, constants: usize) {
        let (found, expected) = (self.gates.len(), self.rows() * gates * self.hidden);
        assert!(found == expected, "{found} gates: expected {expected}");
        self.check_besides_gates(constants);
    }

    /// The same for the operands besides the gates.
    pub(super) fn check_besides_gates(&self, constants: usize) {
        let expected = [
            ("constants", self.constants.len(), constants * self.hidden),
            ("initial states", self.initial.len(), self.batch * self.width()),
            ("reset states", self.reset.len(), self.batch * self.width()),
        ];
        for (what, found, expected) in expected {
            assert!(found == expected, "{found} {what}: expected {expected}");
        }
        let flags = self.flags.map_or(self.rows(), <[u8]>::len);
        assert!(flags == self.rows(), "{flags} flags: expected {}", self.rows());
    }

    /// How threads share the scan.
    pub(super) fn plan(&self, isa: Isa, threads: usize) -> Plan {
        let pair = 2 * isa.lanes::<T>();
        let pairs = self.hidden.div_ceil(pair);
        let few = self.batch * pairs <= FEW;
        let block = if few && self.time >= 2 * BLOCK { BLOCK } else { self.time };
        let blocks = self.time.div_ceil(block);
        let worth = self.time * self.batch * self.width() / WORTH;
        let rows = self.batch * blocks;
        let threads = threads.min(worth.max(1)).min(rows * pairs);
        let chunks = threads.div_ceil(rows).min(pairs);
        Plan { threads, block, blocks, chunks, pair, time: self.time, hidden: self.hidden }
    }
}

/// Where the gates of the steps lie, or their gradients: all units of each plane, or some of them.
#[derive(Clone, Copy)]
pub(super) struct GateRows<T> {
    /// Where unit 0 of the first row is, or would be.
    start: *mut T,
    /// The distance from one row to the next.
    row: usize,
    /// The distance from one plane to the next.
    pub(super) plane: usize,
    /// The step of the first row, if rows lie in the order in which the steps run; `None`: as those of a sequence.
    first: Option<usize>,
}

impl<T: Real> GateRows<T> {
    /// All units, `[T, B, G·H]`, laid out as the sequence.
    pub(super) fn of_sequence(start: *mut T, hidden: usize, gates: usize) -> Self {
        Self { start, row: gates * hidden, plane: hidden, first: None }
    }

    /// Some units of successive steps, from `first` on, `[steps, B, G·units]`.
    pub(super) fn of_block(
        start: *mut T,
        units: &Range<usize>,
        gates: usize,
        first: usize,
    ) -> Self {
        let start = start.wrapping_sub(units.start);
        Self { start, row: gates * units.len(), plane: units.len(), first: Some(first) }
    }

    /// Where unit 0 of a step of a row is, or would be.
    #[inline(always)]
    pub(super) fn at(&self, scan: &Scan<'_, T>, step: usize, row: usize) -> *mut T {
        let index = match self.first {
            Some(first) => (step - first) * scan.batch + row,
            None => scan.row(step, row),
        };
        self.start.wrapping_add(index.wrapping_mul(self.row))
    }
}

/// How threads share a scan. Time blocks do not depend on the threads; chunks of units do, but no number depends on
/// them.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) threads: usize,
    /// How many steps a block has; the last one may have fewer.
    block: usize,
    pub(super) blocks: usize,
    /// In how many parts the units of a row are cut.
    chunks: usize,
    /// Two SIMD vectors, with which the units are worked.
    pair: usize,
    time: usize,
    hidden: usize,
}

/// Some units of one row, in one time block.
#[derive(Clone)]
pub(super) struct Item {
    /// Which one; 0 if the blocks follow each other, and no state of theirs is kept apart.
    pub(super) block: usize,
    pub(super) row: usize,
    pub(super) units: Range<usize>,
    /// In the order in which they run.
    pub(super) steps: Range<usize>,
}

impl Plan {
    /// How many items there are in some blocks of all rows.
    pub(super) fn items(&self, blocks: usize, batch: usize) -> usize {
        blocks * batch * self.chunks
    }

    /// An item by its index. Neighbours are of one row and block.
    pub(super) fn item(&self, index: usize, batch: usize) -> Item {
        let (place, chunk) = (index / self.chunks, index % self.chunks);
        let (block, row) = (place / batch, place % batch);
        let first = block * self.block;
        let steps = first..(first + self.block).min(self.time);
        let units = part(chunk, self.chunks, self.hidden, self.pair);
        Item { block, row, units, steps }
    }
}
