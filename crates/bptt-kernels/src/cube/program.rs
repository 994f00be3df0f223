//! A cell's step as a list of operations, recorded from the cell's own text.
//!
//! [`Symbol`] is a [`Number`] that computes nothing: each operation on it is written down. So `step` and
//! `step_backward` of any cell, one of a user's own included, become a [`Program`] by running once. A kernel's source is
//! made from the program. A program is a plain value: two cells with the same program have the same kernel, and the
//! options of a cell (a bound, a factor) are constants in it.

use bptt_cells::{Number, Rectify};
use std::cell::RefCell;
use std::ops::{Add, Mul, Neg, Sub};
use std::rc::Rc;

/// A constant of a program. It compares and hashes by its bits, so that it can be part of a kernel's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Constant(u64);

impl Constant {
    pub(crate) fn value(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl From<f64> for Constant {
    fn from(value: f64) -> Self {
        Self(value.to_bits())
    }
}

/// One operation. Its operands are the places of earlier operations in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    /// What goes into the program, by its number.
    Input(usize),
    Add(usize, usize),
    Sub(usize, usize),
    Mul(usize, usize),
    Neg(usize),
    OneMinus(usize),
    Sigmoid(usize),
    Tanh(usize),
    Exp(usize),
    LogSigmoid(usize),
    Recip(usize),
    /// `1 / √(x + ε)`
    InverseSqrt(usize, Constant),
    Scale(usize, Constant),
    /// The mean over the units of a row.
    Mean(usize),
    Relu(usize),
    /// The rectifier's output, and the gradient.
    ReluBackward(usize, usize),
    Clip(usize, Constant),
    /// The output of `clip`, and the gradient.
    ClipBackward(usize, Constant, usize),
}

impl Operation {
    /// The places of its operands.
    fn operands(self) -> impl Iterator<Item = usize> {
        let [a, b] = match self {
            Self::Input(_) => [None, None],
            Self::Add(a, b) | Self::Sub(a, b) | Self::Mul(a, b) => [Some(a), Some(b)],
            Self::ReluBackward(a, b) | Self::ClipBackward(a, _, b) => [Some(a), Some(b)],
            Self::Neg(a) | Self::OneMinus(a) | Self::Sigmoid(a) | Self::Tanh(a) => [Some(a), None],
            Self::Exp(a) | Self::LogSigmoid(a) | Self::Recip(a) | Self::Mean(a) => [Some(a), None],
            Self::InverseSqrt(a, _) | Self::Scale(a, _) | Self::Clip(a, _) => [Some(a), None],
            Self::Relu(a) => [Some(a), None],
        };
        a.into_iter().chain(b)
    }

    /// The same operation with its operands at other places.
    fn at(self, to: impl Fn(usize) -> usize) -> Self {
        match self {
            Self::Input(k) => Self::Input(k),
            Self::Add(a, b) => Self::Add(to(a), to(b)),
            Self::Sub(a, b) => Self::Sub(to(a), to(b)),
            Self::Mul(a, b) => Self::Mul(to(a), to(b)),
            Self::Neg(a) => Self::Neg(to(a)),
            Self::OneMinus(a) => Self::OneMinus(to(a)),
            Self::Sigmoid(a) => Self::Sigmoid(to(a)),
            Self::Tanh(a) => Self::Tanh(to(a)),
            Self::Exp(a) => Self::Exp(to(a)),
            Self::LogSigmoid(a) => Self::LogSigmoid(to(a)),
            Self::Recip(a) => Self::Recip(to(a)),
            Self::InverseSqrt(a, epsilon) => Self::InverseSqrt(to(a), epsilon),
            Self::Scale(a, factor) => Self::Scale(to(a), factor),
            Self::Mean(a) => Self::Mean(to(a)),
            Self::Relu(a) => Self::Relu(to(a)),
            Self::ReluBackward(a, d) => Self::ReluBackward(to(a), to(d)),
            Self::Clip(a, bound) => Self::Clip(to(a), bound),
            Self::ClipBackward(a, bound, d) => Self::ClipBackward(to(a), bound, to(d)),
        }
    }
}

/// A list of operations, and the places of its results.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Program {
    pub(crate) operations: Vec<Operation>,
    pub(crate) results: Vec<usize>,
}

impl Program {
    /// Records a function of `inputs` numbers. Operations that no result needs are left out, and none is there twice.
    pub(crate) fn record(inputs: usize, function: impl FnOnce(Vec<Symbol>) -> Vec<Symbol>) -> Self {
        let tape = Rc::new(RefCell::new(Vec::new()));
        let input = |k| write(&tape, Operation::Input(k));
        let results = function((0..inputs).map(input).collect());
        let results: Vec<usize> = results.into_iter().map(|result| result.place).collect();
        let tape: Vec<Operation> = tape.take();

        let mut needed = vec![false; tape.len()];
        results.iter().for_each(|&place| needed[place] = true);
        // An operation's operands stand before it.
        for place in (0..tape.len()).rev() {
            if needed[place] {
                tape[place].operands().for_each(|operand| needed[operand] = true);
            }
        }
        let mut places = vec![0; tape.len()];
        let mut operations = Vec::new();
        for (place, operation) in tape.iter().enumerate().filter(|&(place, _)| needed[place]) {
            places[place] = operations.len();
            operations.push(operation.at(|operand| places[operand]));
        }
        Self { operations, results: results.into_iter().map(|place| places[place]).collect() }
    }

    /// Whether any result depends on this input.
    #[cfg(test)]
    pub(crate) fn reads(&self, input: usize) -> bool {
        self.operations.contains(&Operation::Input(input))
    }

    /// Whether an operation mixes the units of a row.
    pub(crate) fn mixes_units(&self) -> bool {
        self.operations.iter().any(|operation| matches!(operation, Operation::Mean(_)))
    }

    /// Runs it on any number: what the kernels' source computes.
    #[cfg(test)]
    pub(crate) fn run<N: Rectify>(&self, inputs: &[N]) -> Vec<N> {
        let mut values: Vec<N> = Vec::with_capacity(self.operations.len());
        for &operation in &self.operations {
            let at = |place: usize| &values[place];
            let value = match operation {
                Operation::Input(k) => inputs[k].clone(),
                Operation::Add(a, b) => at(a) + at(b),
                Operation::Sub(a, b) => at(a) - at(b),
                Operation::Mul(a, b) => at(a) * at(b),
                Operation::Neg(a) => -at(a).clone(),
                Operation::OneMinus(a) => at(a).one_minus(),
                Operation::Sigmoid(a) => at(a).sigmoid(),
                Operation::Tanh(a) => at(a).tanh(),
                Operation::Exp(a) => at(a).exp(),
                Operation::LogSigmoid(a) => at(a).log_sigmoid(),
                Operation::Recip(a) => at(a).recip(),
                Operation::InverseSqrt(a, epsilon) => at(a).inverse_sqrt(epsilon.value()),
                Operation::Scale(a, factor) => at(a).scale(factor.value()),
                Operation::Mean(a) => at(a).mean(),
                Operation::Relu(a) => at(a).relu(),
                Operation::ReluBackward(a, d) => at(a).relu_backward(at(d)),
                Operation::Clip(a, bound) => at(a).clip(bound.value()),
                Operation::ClipBackward(a, bound, d) => at(a).clip_backward(bound.value(), at(d)),
            };
            values.push(value);
        }
        self.results.iter().map(|&place| values[place].clone()).collect()
    }
}

/// What is written down. Cells are run on one thread, once.
type Tape = Rc<RefCell<Vec<Operation>>>;

/// Writes an operation down. One that is there already is not repeated.
fn write(tape: &Tape, operation: Operation) -> Symbol {
    let mut all = tape.borrow_mut();
    let place = all.iter().position(|there| *there == operation).unwrap_or_else(|| {
        all.push(operation);
        all.len() - 1
    });
    drop(all);
    Symbol { tape: tape.clone(), place }
}

/// A number that writes down what is done with it.
#[derive(Clone, Debug)]
pub(crate) struct Symbol {
    tape: Tape,
    place: usize,
}

impl Symbol {
    fn then(&self, operation: impl FnOnce(usize) -> Operation) -> Self {
        write(&self.tape, operation(self.place))
    }
}

macro_rules! operators {
    ($($Op:ident $op:ident)*) => {$(
        impl $Op<&Symbol> for &Symbol {
            type Output = Symbol;
            fn $op(self, other: &Symbol) -> Symbol {
                self.then(|place| Operation::$Op(place, other.place))
            }
        }
        impl $Op for Symbol {
            type Output = Symbol;
            fn $op(self, other: Self) -> Symbol {
                (&self).$op(&other)
            }
        }
        impl $Op<&Symbol> for Symbol {
            type Output = Symbol;
            fn $op(self, other: &Self) -> Symbol {
                (&self).$op(other)
            }
        }
        impl $Op<Symbol> for &Symbol {
            type Output = Symbol;
            fn $op(self, other: Symbol) -> Symbol {
                self.$op(&other)
            }
        }
    )*};
}
operators!(Add add Sub sub Mul mul);

impl Neg for Symbol {
    type Output = Self;
    fn neg(self) -> Self {
        self.then(Operation::Neg)
    }
}

impl Number for Symbol {
    fn one_minus(&self) -> Self {
        self.then(Operation::OneMinus)
    }

    fn sigmoid(&self) -> Self {
        self.then(Operation::Sigmoid)
    }

    fn tanh(&self) -> Self {
        self.then(Operation::Tanh)
    }

    fn exp(&self) -> Self {
        self.then(Operation::Exp)
    }

    fn log_sigmoid(&self) -> Self {
        self.then(Operation::LogSigmoid)
    }

    fn recip(&self) -> Self {
        self.then(Operation::Recip)
    }

    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        self.then(|place| Operation::InverseSqrt(place, epsilon.into()))
    }

    fn scale(&self, factor: f64) -> Self {
        self.then(|place| Operation::Scale(place, factor.into()))
    }

    fn mean(&self) -> Self {
        self.then(Operation::Mean)
    }
}

impl Rectify for Symbol {
    fn relu(&self) -> Self {
        self.then(Operation::Relu)
    }

    fn relu_backward(&self, d: &Self) -> Self {
        self.then(|place| Operation::ReluBackward(place, d.place))
    }

    fn clip(&self, bound: f64) -> Self {
        self.then(|place| Operation::Clip(place, bound.into()))
    }

    fn clip_backward(&self, bound: f64, d: &Self) -> Self {
        self.then(|place| Operation::ClipBackward(place, bound.into(), d.place))
    }
}
