//! A number that remembers which gates it comes from: what a cell's gates are, without a list of their names.

use crate::scalar::operators::operators;
use bptt::cells::{Number, Rectify};
use serde::Serialize;
use std::ops::{Add, Mul, Neg, Sub};

/// How many gates a cell may have.
const MOST: usize = 8;

/// The function that bounds a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GateKind {
    /// `σ`, from 0 to 1
    Sigmoid,
    /// `tanh`, from -1 to 1
    Tanh,
    /// `max(x, 0)`
    Relu,
}

/// A gate of a unit in one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gate {
    pub(crate) kind: GateKind,
    /// The value of the function.
    pub(crate) value: f64,
}

/// A number in the equations of one unit. Where a sum that contains the pre-activation of exactly one gate goes into a
/// bounded function, the result is that gate.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    value: f64,
    /// A bit for each gate whose pre-activation is in the number, and has not gone through a bounded function.
    raw: u32,
    /// The gates that were found on the way.
    found: [Option<Gate>; MOST],
}

impl Traced {
    pub(crate) fn still(value: f64) -> Self {
        Self { value, raw: 0, found: [None; MOST] }
    }

    /// The pre-activation of a gate.
    pub(crate) fn of_gate(value: f64, gate: usize) -> Self {
        Self { raw: 1 << gate, ..Self::still(value) }
    }

    /// The gates that some results come from.
    pub(crate) fn gates(results: &[Self], gates: usize) -> Vec<Option<Gate>> {
        let of = |gate: usize| results.iter().find_map(|result| *result.found.get(gate)?);
        (0..gates).map(of).collect()
    }

    fn with(&self, value: f64, other: &Self) -> Self {
        let found = std::array::from_fn(|gate| self.found[gate].or(other.found[gate]));
        Self { value, raw: self.raw | other.raw, found }
    }

    fn bounded(&self, kind: GateKind, value: f64) -> Self {
        let mut found = self.found;
        if self.raw.is_power_of_two()
            && let Some(gate) = found.get_mut(self.raw.trailing_zeros() as usize)
        {
            *gate = Some(Gate { kind, value });
        }
        Self { value, raw: 0, found }
    }
}

operators! { [] Traced;
    Add add |a, b| a.with(a.value + b.value, b);
    Sub sub |a, b| a.with(a.value - b.value, b);
    Mul mul |a, b| a.with(a.value * b.value, b);
}

impl Neg for Traced {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, ..self }
    }
}

impl Number for Traced {
    fn one_minus(&self) -> Self {
        Self { value: 1.0 - self.value, ..self.clone() }
    }

    fn sigmoid(&self) -> Self {
        self.bounded(GateKind::Sigmoid, self.value.sigmoid())
    }

    fn tanh(&self) -> Self {
        self.bounded(GateKind::Tanh, self.value.tanh())
    }

    fn exp(&self) -> Self {
        Self { value: self.value.exp(), raw: 0, ..self.clone() }
    }

    fn log_sigmoid(&self) -> Self {
        Self { value: self.value.log_sigmoid(), raw: 0, ..self.clone() }
    }

    fn recip(&self) -> Self {
        Self { value: self.value.recip(), raw: 0, ..self.clone() }
    }

    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        Self { value: self.value.inverse_sqrt(epsilon), raw: 0, ..self.clone() }
    }

    fn scale(&self, factor: f64) -> Self {
        Self { value: factor * self.value, ..self.clone() }
    }

    /// What is known of a whole row is no gate of a unit.
    fn mean(&self) -> Self {
        Self::still(self.value)
    }
}

impl Rectify for Traced {
    fn relu(&self) -> Self {
        self.bounded(GateKind::Relu, self.value.relu())
    }

    fn relu_backward(&self, d: &Self) -> Self {
        self.with(self.value.relu_backward(&d.value), d)
    }

    fn clip(&self, bound: f64) -> Self {
        Self { value: self.value.clip(bound), ..self.clone() }
    }

    fn clip_backward(&self, bound: f64, d: &Self) -> Self {
        self.with(self.value.clip_backward(bound, &d.value), d)
    }
}
