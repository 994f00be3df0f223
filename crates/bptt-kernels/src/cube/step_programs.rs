//! The programs of a cell's step, forward and backward.

use crate::cube::program::{Program, Symbol};
use crate::operation::cell_layout::CellLayout;
use bptt_cells::{Backward, Cell, Components, HiddenTerm, Layout, State};
use std::sync::Arc;

/// How many of each there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Counts {
    /// `G`
    pub(crate) gates: usize,
    /// The gates to whose product `W x` the product `U h` is added: the first ones.
    pub(crate) added: usize,
    /// The separate recurrent products.
    pub(crate) separate: usize,
    /// The memories, with the diagonal weights behind them.
    pub(crate) memories: usize,
    /// What a step saves.
    pub(crate) saved: usize,
}

impl Counts {
    /// The gates that are multiplied with `h`.
    pub(crate) fn outer(&self) -> usize {
        self.added + self.separate
    }
}

/// The programs of a cell that computes each unit by itself. Inputs and results are listed in this order:
///
/// | program | inputs | results |
/// | --- | --- | --- |
/// | `forward` | gates, separate products, `h`, memories | `h`, memories, saved values |
/// | `backward` | saved values, `h`, memories, all three again after the step without the saved values, d`h`, d memories | d gates, d separate products, d`h`, d memories |
/// | `gated` | gates, `h`, memories | the gated hidden state `q` |
/// | `gated_backward` | saved values, `h`, memories, d`q`, the results of `backward` | as `backward` |
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StepPrograms {
    pub(crate) counts: Counts,
    pub(crate) forward: Arc<Program>,
    pub(crate) backward: Arc<Program>,
    pub(crate) gated: Option<Arc<Program>>,
    pub(crate) gated_backward: Option<Arc<Program>>,
    /// Whether the step itself reads `h`, so that it has a gradient by this path.
    pub(crate) direct: bool,
}

type Step<C> = State<Symbol, <C as Layout>::Memory<Symbol>>;

impl StepPrograms {
    /// Records the step of a cell; `None` if it mixes the units of a row, or has separate products beside a gated one.
    pub(crate) fn of<C: Cell>(cell: &C) -> Option<Self> {
        let layout = CellLayout::of::<C>();
        if layout.couples_units {
            return None;
        }
        let counts = Counts {
            gates: layout.gates(),
            added: layout.count(HiddenTerm::Added),
            separate: layout.count(HiddenTerm::Separate),
            memories: layout.memories,
            saved: layout.saved,
        };
        let Counts { gates, separate, memories, saved, .. } = counts;
        let forward = Program::record(gates + separate + 1 + memories, |inputs| {
            let mut inputs = inputs.into_iter();
            let (gates, separate) = (take(&mut inputs), take(&mut inputs));
            let (after, saved) = cell.step(gates, separate, &state::<C>(&mut inputs));
            [vec![after.hidden], after.memory.into_vec(), saved.into_vec()].concat()
        });
        let mut direct = false;
        let backward = Program::record(saved + 3 * (1 + memories), |inputs| {
            let mut inputs = inputs.into_iter();
            let saved = take(&mut inputs);
            let (before, after) = (state::<C>(&mut inputs), state::<C>(&mut inputs));
            let back = cell.step_backward(saved, &before, &after, state::<C>(&mut inputs));
            direct = back.d_hidden.is_some();
            listed(back)
        });
        let has_gated = layout.hidden_terms.contains(&HiddenTerm::Gated);
        let gated = has_gated.then(|| gated::<C>(cell, &counts));
        let gated_backward = has_gated.then(|| gated_backward::<C>(cell, &counts, direct));
        let programs = Self {
            counts,
            forward: Arc::new(forward),
            backward: Arc::new(backward),
            gated: gated.map(Arc::new),
            gated_backward: gated_backward.map(Arc::new),
            direct,
        };
        let both = has_gated && separate > 0;
        (!both && !programs.mixes_units()).then_some(programs)
    }

    fn mixes_units(&self) -> bool {
        [
            Some(&self.forward),
            Some(&self.backward),
            self.gated.as_ref(),
            self.gated_backward.as_ref(),
        ]
        .into_iter()
        .flatten()
        .any(|program| program.mixes_units())
    }
}

fn gated<C: Cell>(cell: &C, counts: &Counts) -> Program {
    Program::record(counts.gates + 1 + counts.memories, |inputs| {
        let mut inputs = inputs.into_iter();
        let gates = take(&mut inputs);
        vec![cell.gated_hidden(&gates, &state::<C>(&mut inputs))]
    })
}

fn gated_backward<C: Cell>(cell: &C, counts: &Counts, direct: bool) -> Program {
    let &Counts { gates, separate, memories, saved, .. } = counts;
    let inputs = saved + 1 + memories + 1 + gates + separate + usize::from(direct) + memories;
    Program::record(inputs, |inputs| {
        let mut inputs = inputs.into_iter();
        let saved = take(&mut inputs);
        let before = state::<C>(&mut inputs);
        let d_gated = next(&mut inputs);
        let so_far = Backward {
            d_gates: take(&mut inputs),
            d_separate: take(&mut inputs),
            d_hidden: direct.then(|| next(&mut inputs)),
            d_memory: take(&mut inputs),
        };
        listed(cell.gated_hidden_backward(&saved, &before, d_gated, so_far))
    })
}

fn next(inputs: &mut impl Iterator<Item = Symbol>) -> Symbol {
    inputs.next().expect("as many inputs as the layout says")
}

/// The next inputs, as many as the components are.
fn take<T: Components<Symbol>>(inputs: &mut impl Iterator<Item = Symbol>) -> T {
    T::from_vec(inputs.take(T::LEN).collect())
}

fn state<C: Layout>(inputs: &mut impl Iterator<Item = Symbol>) -> Step<C> {
    State { hidden: next(inputs), memory: take(inputs) }
}

/// The results of a backward step, in order. Without a direct path, there is no gradient of `h`.
fn listed<C: Layout>(back: Backward<C, Symbol>) -> Vec<Symbol> {
    let Backward { d_gates, d_separate, d_hidden, d_memory } = back;
    [d_gates.into_vec(), d_separate.into_vec(), d_hidden.into_iter().collect(), d_memory.into_vec()]
        .concat()
}

#[cfg(test)]
mod tests;
