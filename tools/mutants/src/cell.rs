//! A cell with one thing wrong in its backward step.

use crate::number::{Change, Mutant, Operation, operations, within};
use bptt::cells::{
    Backward, Cell, Components, HiddenTerm, Layout, Number, Rectify, State, Wrapper, wrapper_cell,
};
use std::fmt;

/// A function of a cell that belongs to its backward step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// [`Cell::step_backward`]
    StepBackward,
    /// [`Cell::gated_hidden_of_saved`]
    GatedHiddenOfSaved,
    /// [`Cell::gated_hidden_backward`]
    GatedHiddenBackward,
}

/// One thing that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Nothing: what the suite has to let pass.
    None,
    /// One operation of the cell's text.
    Term {
        /// Where.
        function: Function,
        /// The number of the operation in the function, from 0.
        at: usize,
        /// Which that is.
        operation: Operation,
        /// What is done instead.
        change: Change,
    },
    /// The gradients of two gates, swapped.
    SwappedGates(usize, usize),
    /// Two saved values, swapped.
    SwappedSaved(usize, usize),
    /// The gradient of a gate is zero.
    MissingGate(usize),
    /// The gradient of a separate product is zero.
    MissingSeparate(usize),
    /// The gradient of a separate product is its gate's.
    GateForSeparate(usize),
    /// Nothing goes back through the memory.
    MissingMemory,
    /// What comes back through the memory is not read.
    UnreadMemory,
    /// What comes back through the hidden state is not read.
    UnreadHidden,
    /// Nothing goes back through `h` by the step itself.
    MissingHidden,
    /// The memory after the step for that before it: a time index that is one too late.
    MemoryTooLate,
    /// The memory before the step for that after it: a time index that is one too early.
    MemoryTooEarly,
    /// The hidden state after the step for that before it.
    HiddenTooLate,
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "nothing"),
            Self::Term { function, at, operation, change } => {
                let function = match function {
                    Function::StepBackward => "step_backward",
                    Function::GatedHiddenOfSaved => "gated_hidden_of_saved",
                    Function::GatedHiddenBackward => "gated_hidden_backward",
                };
                let (operation, change) = (operation.text(), change.text());
                write!(f, "{function}, operation {}, {operation}: {change}", at + 1)
            }
            Self::SwappedGates(a, b) => write!(f, "d_gates {a} and {b} swapped"),
            Self::SwappedSaved(a, b) => write!(f, "saved {a} and {b} swapped"),
            Self::MissingGate(gate) => write!(f, "d_gates {gate} is zero"),
            Self::MissingSeparate(gate) => write!(f, "d_separate {gate} is zero"),
            Self::GateForSeparate(gate) => {
                write!(f, "d_separate {gate} is d_gates of the same gate")
            }
            Self::MissingMemory => write!(f, "d_memory is zero"),
            Self::UnreadMemory => write!(f, "the memory's cotangent is not added"),
            Self::UnreadHidden => write!(f, "the hidden state's cotangent is not added"),
            Self::MissingHidden => write!(f, "d_hidden is zero"),
            Self::MemoryTooLate => write!(f, "the memory after the step for that before it"),
            Self::MemoryTooEarly => write!(f, "the memory before the step for that after it"),
            Self::HiddenTooLate => write!(f, "the hidden state after the step for that before it"),
        }
    }
}

/// All mutations of a cell.
pub fn mutations<C: Cell>(cell: &C) -> Vec<Mutation> {
    let zero = || Mutant(0.0_f64);
    let state = || State { hidden: zero(), memory: C::Memory::from_fn(|_| zero()) };
    let saved = || C::Saved::from_fn(|_| zero());
    let has_gated = C::HIDDEN_TERMS.contains(&HiddenTerm::Gated);
    let mut texts = vec![(
        Function::StepBackward,
        operations(|| {
            cell.step_backward(saved(), &state(), &state(), state());
        }),
    )];
    if has_gated {
        let so_far = Backward::<C, _> {
            d_gates: C::Gates::from_fn(|_| zero()),
            d_separate: C::Separate::from_fn(|_| zero()),
            d_hidden: Some(zero()),
            d_memory: C::Memory::from_fn(|_| zero()),
        };
        let gated = operations(|| {
            cell.gated_hidden_of_saved(&saved(), &zero());
        });
        let complete = operations(|| {
            cell.gated_hidden_backward(&saved(), &state(), zero(), so_far);
        });
        texts.extend([
            (Function::GatedHiddenOfSaved, gated),
            (Function::GatedHiddenBackward, complete),
        ]);
    }

    let mut all = Vec::new();
    for (function, operations) in texts {
        for (at, operation) in operations.into_iter().enumerate() {
            let changes = operation.changes().iter();
            all.extend(changes.map(|&change| Mutation::Term { function, at, operation, change }));
        }
    }
    let gates = C::GATES;
    for gate in 0..gates {
        all.push(Mutation::MissingGate(gate));
        all.extend((gate + 1..gates).map(|other| Mutation::SwappedGates(gate, other)));
    }
    let saved = C::Saved::<f64>::LEN;
    for a in 0..saved {
        all.extend((a + 1..saved).map(|b| Mutation::SwappedSaved(a, b)));
    }
    for separate in 0..C::Separate::<f64>::LEN {
        all.extend([Mutation::MissingSeparate(separate), Mutation::GateForSeparate(separate)]);
    }
    all.push(Mutation::UnreadHidden);
    if C::Memory::<f64>::LEN > 0 {
        all.extend([Mutation::MissingMemory, Mutation::UnreadMemory]);
    }
    // Diagonal weights are the same before a step and after it.
    if C::Memory::<f64>::LEN > C::DIAGONAL_WEIGHTS {
        let [before, after] = memories_read(cell);
        all.extend(before.then_some(Mutation::MemoryTooLate));
        all.extend(after.then_some(Mutation::MemoryTooEarly));
    }
    if !C::PROJECTABLE {
        all.extend([Mutation::MissingHidden, Mutation::HiddenTooLate]);
    }
    all
}

/// Whether a backward step reads the memory before the step, and that after it: what is not read cannot be wrong. Where
/// a memory that is read is not a number, a result is none.
fn memories_read<C: Cell>(cell: &C) -> [bool; 2] {
    let states = C::Memory::<f64>::LEN - C::DIAGONAL_WEIGHTS;
    let state = |memory: f64| State {
        hidden: 0.5,
        memory: C::Memory::from_fn(|m| if m < states { memory } else { 0.5 }),
    };
    [[f64::NAN, 0.5], [0.5, f64::NAN]].map(|[before, after]| {
        let saved = C::Saved::from_fn(|_| 0.5);
        let back = cell.step_backward(saved, &state(before), &state(after), state(0.5));
        let mut results = back.d_gates.into_vec();
        results.extend(back.d_separate.into_vec());
        results.extend(back.d_hidden);
        results.extend(back.d_memory.into_vec());
        results.into_iter().any(f64::is_nan)
    })
}

/// A cell with a mutation in its backward step. Its forward is untouched, and the autograd engine
/// reaches nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Mutated<C> {
    /// The cell.
    pub cell: C,
    /// What is wrong with it.
    pub mutation: Mutation,
}

wrapper_cell!(Mutated<C: Cell>);

fn wrap<N, P: Components<N>, Q: Components<Mutant<N>>>(components: P) -> Q {
    Q::from_vec(components.into_vec().into_iter().map(Mutant).collect())
}

fn unwrap<N, P: Components<Mutant<N>>, Q: Components<N>>(components: P) -> Q {
    Q::from_vec(components.into_vec().into_iter().map(|component| component.0).collect())
}

type Of<C, N> = State<N, <C as Layout>::Memory<N>>;

fn wrap_state<C: Layout, N: Number>(state: &Of<C, N>) -> Of<C, Mutant<N>> {
    State { hidden: Mutant(state.hidden.clone()), memory: wrap(state.memory.clone()) }
}

fn swap<N, P: Components<N>>(components: P, a: usize, b: usize) -> P {
    let mut components = components.into_vec();
    components.swap(a, b);
    P::from_vec(components)
}

/// Zero of the shape of another. (What is not finite is none of the case table's.)
fn zero<N: Number>(like: &N) -> N {
    like.clone() - like
}

fn zeroed<N: Number, P: Components<N>>(components: P, index: usize) -> P {
    let mut components = components.into_vec();
    components[index] = zero(&components[index]);
    P::from_vec(components)
}

impl<C: Cell> Mutated<C> {
    /// Which operation of a function is wrong.
    fn wrong(&self, of: Function) -> Option<(usize, Change)> {
        match self.mutation {
            Mutation::Term { function, at, change, .. } if function == of => Some((at, change)),
            _ => None,
        }
    }

    /// Changes that concern whole components and states, on the way in.
    fn before<N: Number>(
        &self,
        saved: &mut C::Saved<N>,
        [before, after, cotangent]: [&mut Of<C, N>; 3],
    ) {
        match self.mutation {
            Mutation::SwappedSaved(a, b) => *saved = swap(saved.clone(), a, b),
            Mutation::UnreadHidden => cotangent.hidden = zero(&cotangent.hidden),
            Mutation::UnreadMemory => {
                cotangent.memory = cotangent.memory.clone().map(|d| zero(&d));
            }
            Mutation::MemoryTooLate => before.memory = after.memory.clone(),
            Mutation::MemoryTooEarly => after.memory = before.memory.clone(),
            Mutation::HiddenTooLate => before.hidden = after.hidden.clone(),
            _ => {}
        }
    }

    /// And on the way out.
    fn after<N: Number>(&self, back: Backward<C, N>) -> Backward<C, N> {
        let Backward { mut d_gates, mut d_separate, mut d_hidden, mut d_memory } = back;
        match self.mutation {
            Mutation::SwappedGates(a, b) => d_gates = swap(d_gates, a, b),
            Mutation::MissingGate(gate) => d_gates = zeroed(d_gates, gate),
            Mutation::MissingSeparate(separate) => d_separate = zeroed(d_separate, separate),
            Mutation::GateForSeparate(separate) => {
                let gates = d_gates.into_vec();
                let mut separates = d_separate.into_vec();
                // The separate gates come last.
                separates[separate] = gates[gates.len() - separates.len() + separate].clone();
                (d_gates, d_separate) =
                    (C::Gates::from_vec(gates), C::Separate::from_vec(separates));
            }
            Mutation::MissingMemory => d_memory = d_memory.map(|d| zero(&d)),
            Mutation::MissingHidden => d_hidden = d_hidden.map(|d| zero(&d)),
            _ => {}
        }
        Backward { d_gates, d_separate, d_hidden, d_memory }
    }
}

impl<C: Cell> Wrapper for Mutated<C> {
    type Inner = C;

    fn inner(&self) -> &C {
        &self.cell
    }

    fn step_backward<N: Rectify>(
        &self,
        mut saved: C::Saved<N>,
        before: &State<N, C::Memory<N>>,
        after: &State<N, C::Memory<N>>,
        mut cotangent: State<N, C::Memory<N>>,
    ) -> Backward<C, N> {
        let (mut before, mut after) = (before.clone(), after.clone());
        self.before(&mut saved, [&mut before, &mut after, &mut cotangent]);
        let saved = wrap(saved);
        let [before, after, cotangent] = [&before, &after, &cotangent].map(wrap_state::<C, N>);
        let back = within(self.wrong(Function::StepBackward), || {
            self.cell.step_backward(saved, &before, &after, cotangent)
        });
        self.after::<N>(Backward {
            d_gates: unwrap(back.d_gates),
            d_separate: unwrap(back.d_separate),
            d_hidden: back.d_hidden.map(|d| d.0),
            d_memory: unwrap(back.d_memory),
        })
    }

    fn gated_hidden_of_saved<N: Rectify>(&self, saved: &C::Saved<N>, hidden_before: &N) -> N {
        let (saved, hidden) = (wrap(saved.clone()), Mutant(hidden_before.clone()));
        within(self.wrong(Function::GatedHiddenOfSaved), || {
            self.cell.gated_hidden_of_saved(&saved, &hidden)
        })
        .0
    }

    fn gated_hidden_backward<N: Rectify>(
        &self,
        saved: &C::Saved<N>,
        before: &State<N, C::Memory<N>>,
        d_gated: N,
        so_far: Backward<C, N>,
    ) -> Backward<C, N> {
        let so_far = Backward::<C, Mutant<N>> {
            d_gates: wrap(so_far.d_gates),
            d_separate: wrap(so_far.d_separate),
            d_hidden: so_far.d_hidden.map(Mutant),
            d_memory: wrap(so_far.d_memory),
        };
        let (saved, before) = (wrap(saved.clone()), wrap_state::<C, N>(before));
        let back = within(self.wrong(Function::GatedHiddenBackward), || {
            self.cell.gated_hidden_backward(&saved, &before, Mutant(d_gated), so_far)
        });
        Backward {
            d_gates: unwrap(back.d_gates),
            d_separate: unwrap(back.d_separate),
            d_hidden: back.d_hidden.map(|d| d.0),
            d_memory: unwrap(back.d_memory),
        }
    }
}
