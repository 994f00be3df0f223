//! What a sweep changes.

use bptt::cells::{DiagonalRole, GateRole};
use bptt::{CellKind, SequenceCell};
use serde::Serialize;

/// What a sweep changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parameter {
    /// The gain `g`: the recurrent weights of every gate are drawn from `N(0, g² / N)`.
    Gain,
    /// The spectral radius: the recurrent weights of every gate are scaled so that their largest eigenvalue has this
    /// modulus.
    Radius,
    /// The bias of the gate that holds the memory: the forget gate of an LSTM, the update gate of a GRU. Other cells
    /// do not change.
    ForgetBias,
}

impl Parameter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Gain, Self::Radius, Self::ForgetBias];

    /// The name on the command line and in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gain => "gain",
            Self::Radius => "radius",
            Self::ForgetBias => "forget-bias",
        }
    }

    /// A range in which there is something to see.
    pub fn range(self) -> [f64; 2] {
        match self {
            Self::Gain | Self::Radius => [0.2, 3.0],
            Self::ForgetBias => [-3.0, 4.0],
        }
    }

    /// Values over a range, evenly spaced: without digits that only rounding made.
    pub fn values(self, [from, to]: [f64; 2], count: usize) -> Vec<f64> {
        let last = count.saturating_sub(1).max(1) as f64;
        let value = |k: usize| from + (to - from) * k as f64 / last;
        (0..count).map(|k| (value(k) * 1e9).round() / 1e9).collect()
    }

    /// The gate whose bias changes, by its place among the gates.
    pub(super) fn gate(self, cell: CellKind) -> Option<usize> {
        let roles = cell.default_cell().layout().gate_roles;
        let forget = roles.iter().position(|role| *role == GateRole::Forget);
        forget.filter(|_| self == Self::ForgetBias)
    }

    /// The row of the diagonal weights that is the bias of that gate, if it is added behind a normalisation.
    pub(super) fn shift(self, cell: CellKind) -> Option<usize> {
        let roles = cell.default_cell().layout().diagonal_roles;
        let forget = DiagonalRole::Shift(GateRole::Forget);
        let forget = roles.iter().position(|role| *role == forget);
        forget.filter(|_| self == Self::ForgetBias)
    }

    /// Whether the cell has what changes.
    pub(super) fn changes(self, cell: CellKind) -> bool {
        self != Self::ForgetBias || self.gate(cell).is_some() || self.shift(cell).is_some()
    }
}
