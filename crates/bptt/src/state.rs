//! The state of a layer between two sequences.

use burn::Tensor;

/// What the states of all cells have in common.
pub trait RecurrentState: Clone + std::fmt::Debug + Send + 'static {
    /// Makes a state from the hidden states `[L·D, B, P]` and, for cells with memory, the memories `[L·D·M, B, H]`.
    fn from_parts(hidden: Tensor<3>, memory: Option<Tensor<3>>) -> Self;

    /// The reverse of [`from_parts`](Self::from_parts).
    fn into_parts(self) -> (Tensor<3>, Option<Tensor<3>>);

    /// The same values, detached from the tape.
    ///
    /// A state has to be detached before it is carried to the next chunk of a sequence, because `backward` of the first
    /// chunk consumes its tape.
    fn detach(self) -> Self {
        let (hidden, memory) = self.into_parts();
        Self::from_parts(hidden.detach(), memory.map(Tensor::detach))
    }

    /// These rows of the batch, in this order.
    fn select_rows(self, rows: Tensor<1, burn::tensor::Int>) -> Self {
        let (hidden, memory) = self.into_parts();
        Self::from_parts(
            hidden.select(1, rows.clone()),
            memory.map(|memory| memory.select(1, rows)),
        )
    }
}

/// The state of an [`Rnn`](crate::Rnn).
#[derive(Clone, Debug)]
pub struct RnnState {
    /// `[L·D, B, H]`
    pub hidden: Tensor<3>,
}

/// The state of a [`Gru`](crate::Gru).
#[derive(Clone, Debug)]
pub struct GruState {
    /// `[L·D, B, H]`
    pub hidden: Tensor<3>,
}

/// The state of an [`Lstm`](crate::Lstm).
#[derive(Clone, Debug)]
pub struct LstmState {
    /// `[L·D, B, P]`; `P` is `H` without a projection.
    pub hidden: Tensor<3>,
    /// `[L·D, B, H]`
    pub cell: Tensor<3>,
}

/// The state of a layer that runs as a scan ([`Scanned`](crate::scanned::Scanned)).
#[cfg(feature = "scanned-cells")]
#[derive(Clone, Debug)]
pub struct ScannedState {
    /// `[L·D, B, H]`, or `[L·D, B, 2·H]` if it is complex, real parts first.
    pub hidden: Tensor<3>,
}

/// The state of any layer.
#[derive(Clone, Debug)]
pub struct AnyState {
    /// `[L·D, B, P]`
    pub hidden: Tensor<3>,
    /// `[L·D·M, B, H]`, for cells with memory (an LSTM's `c`).
    pub memory: Option<Tensor<3>>,
}

macro_rules! hidden_only {
    ($($State:ident)*) => {$(
        impl $State {
            /// From the hidden states of all layers and directions.
            pub fn new(hidden: Tensor<3>) -> Self {
                Self { hidden }
            }

            /// See [`RecurrentState::detach`].
            pub fn detach(self) -> Self {
                RecurrentState::detach(self)
            }
        }

        impl RecurrentState for $State {
            fn from_parts(hidden: Tensor<3>, _memory: Option<Tensor<3>>) -> Self {
                Self { hidden }
            }

            fn into_parts(self) -> (Tensor<3>, Option<Tensor<3>>) {
                (self.hidden, None)
            }
        }
    )*};
}
hidden_only!(RnnState GruState);
#[cfg(feature = "scanned-cells")]
hidden_only!(ScannedState);

impl LstmState {
    /// From the hidden states `[L·D, B, P]` and cell states `[L·D, B, H]` of all layers and
    /// directions.
    pub fn new(hidden: Tensor<3>, cell: Tensor<3>) -> Self {
        Self { hidden, cell }
    }

    /// See [`RecurrentState::detach`].
    pub fn detach(self) -> Self {
        RecurrentState::detach(self)
    }
}

impl RecurrentState for LstmState {
    fn from_parts(hidden: Tensor<3>, memory: Option<Tensor<3>>) -> Self {
        Self { hidden, cell: memory.expect("an LSTM has a memory") }
    }

    fn into_parts(self) -> (Tensor<3>, Option<Tensor<3>>) {
        (self.hidden, Some(self.cell))
    }
}

impl AnyState {
    /// See [`RecurrentState::detach`].
    pub fn detach(self) -> Self {
        RecurrentState::detach(self)
    }
}

impl RecurrentState for AnyState {
    fn from_parts(hidden: Tensor<3>, memory: Option<Tensor<3>>) -> Self {
        Self { hidden, memory }
    }

    fn into_parts(self) -> (Tensor<3>, Option<Tensor<3>>) {
        (self.hidden, self.memory)
    }
}
