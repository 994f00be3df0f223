//! The tensors that go into the operation.

/// The name of a tensor that goes into the operation. Shapes: `T` time steps, `B` batch, `I` input size, `H` hidden
/// size, `P` output size (`H` without a projection), `G` gates, `M` memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// The sequence, `[T, B, I]`.
    Input,
    /// `W`, `[G·H, I]`.
    WeightIh,
    /// `U`, `[G·H, P]`; for cells that have a recurrent product. In heads only the blocks on the diagonal of each gate's
    /// matrix, `[heads, G·H/heads, H/heads]`: for each head, the rows of its units, gate by gate.
    WeightHh,
    /// `b`, `[G·H]`; optional.
    BiasIh,
    /// `b_h`, `[G·H]`; optional.
    BiasHh,
    /// The projection, `[P, H]`; optional.
    WeightHr,
    /// The initial hidden state, `[B, P]`.
    Hidden,
    /// The initial memory, `[M, B, H]`; for cells that have one.
    Memory,
    /// The hidden state that a reset sets, `[B, P]`; optional, zeros without it.
    ResetHidden,
    /// The memory that a reset sets, `[M, B, H]`; beside [`ResetHidden`](Self::ResetHidden), for cells that have one.
    ResetMemory,
}

impl Operand {
    /// The number of operands.
    pub const COUNT: usize = 10;

    /// All operands, in the order in which [`Operands`] stores them.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Input,
        Self::WeightIh,
        Self::WeightHh,
        Self::BiasIh,
        Self::BiasHh,
        Self::WeightHr,
        Self::Hidden,
        Self::Memory,
        Self::ResetHidden,
        Self::ResetMemory,
    ];

    /// The name in messages; for weights, PyTorch's name without the layer's suffix.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::WeightIh => "weight_ih",
            Self::WeightHh => "weight_hh",
            Self::BiasIh => "bias_ih",
            Self::BiasHh => "bias_hh",
            Self::WeightHr => "weight_hr",
            Self::Hidden => "h_0",
            Self::Memory => "c_0",
            Self::ResetHidden => "h_reset",
            Self::ResetMemory => "c_reset",
        }
    }
}

/// A value for each operand that is given, such as its tensor, its node on the tape, or its gradient.
#[derive(Clone, Debug)]
pub struct Operands<T> {
    slots: [Option<T>; Operand::COUNT],
}

impl<T> Default for Operands<T> {
    fn default() -> Self {
        Self { slots: std::array::from_fn(|_| None) }
    }
}

impl<T> Operands<T> {
    /// Makes a list without operands.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds this operand.
    pub fn with(mut self, operand: Operand, value: impl Into<T>) -> Self {
        self.set(operand, Some(value.into()));
        self
    }

    /// Sets or removes an operand in place. Moving all operands would copy many bytes, which makes a step of a stream
    /// slower.
    #[inline]
    pub fn set(&mut self, operand: Operand, value: Option<T>) {
        self.slots[operand as usize] = value;
    }

    /// Adds this operand, if there is one.
    pub fn with_optional(mut self, operand: Operand, value: Option<impl Into<T>>) -> Self {
        self.slots[operand as usize] = value.map(Into::into);
        self
    }

    /// The operand, if it is given.
    pub fn get(&self, operand: Operand) -> Option<&T> {
        self.slots[operand as usize].as_ref()
    }

    /// Whether the operand is given.
    pub fn has(&self, operand: Operand) -> bool {
        self.get(operand).is_some()
    }

    /// Removes the operand and returns it.
    pub fn take(&mut self, operand: Operand) -> Option<T> {
        self.slots[operand as usize].take()
    }

    /// Converts each operand.
    #[inline]
    pub fn map<U>(mut self, mut change: impl FnMut(T) -> U) -> Operands<U> {
        // The operands are converted one by one, because moving the whole array would move the absent operands too.
        let mut changed = Operands::new();
        for (slot, to) in self.slots.iter_mut().zip(&mut changed.slots) {
            *to = slot.take().map(&mut change);
        }
        changed
    }

    /// Makes a value from a reference to each operand.
    pub(crate) fn map_ref<'a, U>(&'a self, mut change: impl FnMut(&'a T) -> U) -> Operands<U> {
        let mut changed = Operands::new();
        for (slot, to) in self.slots.iter().zip(&mut changed.slots) {
            *to = slot.as_ref().map(&mut change);
        }
        changed
    }

    /// The operands that are given, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Operand, &T)> {
        Operand::ALL.into_iter().zip(&self.slots).filter_map(|(o, slot)| Some((o, slot.as_ref()?)))
    }

    /// The operands that are given, in order, by value.
    pub fn into_values(self) -> impl Iterator<Item = T> {
        self.slots.into_iter().flatten()
    }

    /// Returns an operand that must be given.
    ///
    /// # Panics
    ///
    /// If it is not given.
    pub fn need(&self, operand: Operand) -> &T {
        let Some(value) = self.get(operand) else {
            panic!("the recurrent operation needs its operand `{}`", operand.name())
        };
        value
    }
}

/// A value for each result of the operation.
#[derive(Clone, Debug)]
pub struct Results<T> {
    /// The hidden state after each step, `[T, B, P]`, or `[B, T, P]` if the plan is batch first; zero
    /// past a row's length.
    pub outputs: T,
    /// The hidden state after each row's last step, `[B, P]`.
    pub hidden: T,
    /// The memory after each row's last step, `[M, B, H]`; `None` for a cell without memory.
    pub memory: Option<T>,
}

/// What a layer computes in both directions, each for its own weights and initial state: first forward in time, then
/// backward.
#[derive(Clone, Debug)]
pub struct BothResults<T, State = T, Memory = T> {
    /// The hidden states after each step, `[T, B, 2·P]`, or `[B, T, 2·P]` if the plan is batch first: first those of the
    /// forward direction, then those of the other; zero past a row's length.
    pub outputs: T,
    /// The hidden states after each row's last step, `[B, P]`.
    pub hidden: [State; 2],
    /// The memories after each row's last step, `[M, B, H]`; `None` for a cell without memory.
    pub memory: [Option<Memory>; 2],
}

impl<T> BothResults<T> {
    /// Converts each result.
    pub fn map<U>(self, mut change: impl FnMut(T) -> U) -> BothResults<U> {
        BothResults {
            outputs: change(self.outputs),
            hidden: self.hidden.map(&mut change),
            memory: self.memory.map(|memory| memory.map(&mut change)),
        }
    }
}

/// The results of a stack.
#[derive(Clone, Debug)]
pub struct StackResults<T, State = T, Memory = T> {
    /// The outputs of the last layer, `[T, B, P]`, or `[B, T, P]` if its plan is batch first.
    pub outputs: T,
    /// The final states of each layer: hidden `[B, P]`, memory `[M, B, H]`.
    pub states: Vec<(State, Option<Memory>)>,
}

/// dLoss/d([`Results`]); `None` for a result that the loss does not depend on.
#[derive(Clone, Debug)]
pub struct Cotangents<T> {
    /// As [`Results::outputs`].
    pub outputs: Option<T>,
    /// As [`Results::hidden`].
    pub hidden: Option<T>,
    /// As [`Results::memory`].
    pub memory: Option<T>,
}

impl<T> Default for Cotangents<T> {
    fn default() -> Self {
        Self { outputs: None, hidden: None, memory: None }
    }
}

impl<T> Cotangents<T> {
    /// Converts each gradient.
    pub fn map<U>(self, change: impl Fn(T) -> U) -> Cotangents<U> {
        Cotangents {
            outputs: self.outputs.map(&change),
            hidden: self.hidden.map(&change),
            memory: self.memory.map(&change),
        }
    }
}

impl<T> Results<T> {
    /// Converts each result.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Results<U> {
        let mut change = change;
        Results {
            outputs: change(self.outputs),
            hidden: change(self.hidden),
            memory: self.memory.map(change),
        }
    }
}
