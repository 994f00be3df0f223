//! A number that does one of its operations wrong.

use bptt::cells::{Number, Rectify};
use std::cell::RefCell;
use std::ops::{Add, Mul, Neg, Sub};

/// An operation that a backward step may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a b`
    Mul,
    /// `-a`
    Neg,
    /// `1 - a`
    OneMinus,
    /// `σ(a)`
    Sigmoid,
    /// `tanh(a)`
    Tanh,
    /// `e^a`
    Exp,
    /// `log σ(a)`
    LogSigmoid,
    /// `1 / a`
    Recip,
    /// `1 / √(a + ε)`
    InverseSqrt,
    /// `k a`, with a constant
    Scale,
    /// The same with the constant 1: to leave it out would be right.
    ScaleByOne,
    /// `mean(a)`, over a row
    Mean,
    /// `a (1 - a)`
    SigmoidSlope,
    /// `1 - a²`
    TanhSlope,
    /// `max(a, 0)`
    Relu,
    /// `[a > 0] b`
    ReluBackward,
    /// `max(-k, min(k, a))`
    Clip,
    /// `[|a| < k] b`
    ClipBackward,
}

/// What is done instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The first operand alone: a term, a factor or a function is missing.
    First,
    /// The second operand alone.
    Second,
    /// The result with the other sign.
    Negated,
    /// The sign between two terms turned.
    Turned,
    /// The other function: σ' for tanh' and the reverse.
    Exchanged,
    /// `1 - a` for `1 - a²`: the square is missing.
    Unsquared,
}

impl Operation {
    /// How it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Add => "a + b",
            Self::Sub => "a - b",
            Self::Mul => "a b",
            Self::Neg => "-a",
            Self::OneMinus => "1 - a",
            Self::Sigmoid => "σ(a)",
            Self::Tanh => "tanh(a)",
            Self::Exp => "e^a",
            Self::LogSigmoid => "log σ(a)",
            Self::Recip => "1 / a",
            Self::InverseSqrt => "1 / √(a + ε)",
            Self::Scale | Self::ScaleByOne => "k a",
            Self::Mean => "mean(a)",
            Self::SigmoidSlope => "σ' = a (1 - a)",
            Self::TanhSlope => "tanh' = 1 - a²",
            Self::Relu => "relu(a)",
            Self::ReluBackward => "relu'(a) b",
            Self::Clip => "clip(a)",
            Self::ClipBackward => "clip'(a) b",
        }
    }

    /// All that can be done wrong with it.
    pub fn changes(self) -> &'static [Change] {
        use Change::{Exchanged, First, Negated, Second, Turned, Unsquared};
        match self {
            Self::Add | Self::Sub => &[First, Second, Turned],
            Self::Mul | Self::ReluBackward | Self::ClipBackward => &[First, Second, Negated],
            Self::Neg => &[First],
            Self::ScaleByOne => &[Negated],
            Self::OneMinus => &[First, Negated],
            Self::Sigmoid | Self::Tanh => &[First, Exchanged],
            Self::SigmoidSlope => &[First, Negated, Exchanged],
            Self::TanhSlope => &[First, Negated, Exchanged, Unsquared],
            Self::Relu
            | Self::Clip
            | Self::Exp
            | Self::LogSigmoid
            | Self::Recip
            | Self::InverseSqrt
            | Self::Scale
            | Self::Mean => &[First, Negated],
        }
    }
}

impl Change {
    /// What stands there instead, in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::First => "a alone",
            Self::Second => "b alone",
            Self::Negated => "with the other sign",
            Self::Turned => "with b's sign turned",
            Self::Exchanged => "with σ and tanh exchanged",
            Self::Unsquared => "without the square",
        }
    }
}

/// What a thread knows of the function that it is in.
#[derive(Default)]
struct Count {
    /// The operations so far.
    done: usize,
    /// Which of them is changed, and how.
    wrong: Option<(usize, Change)>,
    /// Their list, where it is wanted.
    listed: Option<Vec<Operation>>,
}

thread_local! {
    // Each call of a cell's function counts its operations anew, so that the same one is wrong in
    // each row and step, on whatever thread it is worked.
    static COUNT: RefCell<Count> = RefCell::default();
}

/// Runs one of a cell's functions with its `wrong`th operation changed.
pub(super) fn within<R>(wrong: Option<(usize, Change)>, function: impl FnOnce() -> R) -> R {
    COUNT.set(Count { wrong, ..Count::default() });
    function()
}

/// The operations of one of a cell's functions, in order.
pub(super) fn operations(function: impl FnOnce()) -> Vec<Operation> {
    COUNT.set(Count { listed: Some(vec![]), ..Count::default() });
    function();
    COUNT.take().listed.unwrap_or_default()
}

/// Counts an operation; how it is changed, if it is.
fn next(operation: Operation) -> Option<Change> {
    COUNT.with_borrow_mut(|count| {
        if let Some(list) = &mut count.listed {
            list.push(operation);
        }
        let (at, change) = count.wrong?;
        count.done += 1;
        (at + 1 == count.done).then_some(change)
    })
}

/// A number that counts its operations and does the chosen one wrong.
#[derive(Clone, Debug)]
pub struct Mutant<N>(
    /// The number.
    pub N,
);

/// One operand alone, in the shape of the result: a mean of a tensor is one column.
fn alone<N: Number>(operand: &N, other: &N) -> N {
    operand + other.scale(0.0)
}

fn add<N: Number>(a: &N, b: &N) -> N {
    match next(Operation::Add) {
        None => a + b,
        Some(Change::Second) => alone(b, a),
        Some(Change::Turned) => a - b,
        Some(_) => alone(a, b),
    }
}

fn sub<N: Number>(a: &N, b: &N) -> N {
    match next(Operation::Sub) {
        None => a - b,
        Some(Change::Second) => alone(b, a),
        Some(Change::Turned) => a + b,
        Some(_) => alone(a, b),
    }
}

fn mul<N: Number>(a: &N, b: &N) -> N {
    factors(Operation::Mul, a, b, |a, b| a * b)
}

/// A product, or what is as good as one.
fn factors<N: Number>(operation: Operation, a: &N, b: &N, right: impl Fn(&N, &N) -> N) -> N {
    match next(operation) {
        None => right(a, b),
        Some(Change::Second) => alone(b, a),
        Some(Change::Negated) => -right(a, b),
        Some(_) => alone(a, b),
    }
}

macro_rules! operators {
    ($($Op:ident $op:ident;)*) => {$(
        impl<N: Number> $Op for Mutant<N> {
            type Output = Mutant<N>;
            fn $op(self, other: Self) -> Mutant<N> {
                Mutant($op(&self.0, &other.0))
            }
        }
        impl<N: Number> $Op<&Mutant<N>> for Mutant<N> {
            type Output = Mutant<N>;
            fn $op(self, other: &Self) -> Mutant<N> {
                Mutant($op(&self.0, &other.0))
            }
        }
        impl<N: Number> $Op<Mutant<N>> for &Mutant<N> {
            type Output = Mutant<N>;
            fn $op(self, other: Mutant<N>) -> Mutant<N> {
                Mutant($op(&self.0, &other.0))
            }
        }
        impl<N: Number> $Op for &Mutant<N> {
            type Output = Mutant<N>;
            fn $op(self, other: Self) -> Mutant<N> {
                Mutant($op(&self.0, &other.0))
            }
        }
    )*};
}
operators! {
    Add add;
    Sub sub;
    Mul mul;
}

impl<N: Number> Neg for Mutant<N> {
    type Output = Self;
    fn neg(self) -> Self {
        Self(match next(Operation::Neg) {
            None => -self.0,
            Some(_) => self.0,
        })
    }
}

impl<N: Number> Mutant<N> {
    fn unary(
        &self,
        operation: Operation,
        right: impl Fn(&N) -> N,
        other: impl Fn(&N) -> N,
    ) -> Self {
        let x = &self.0;
        Self(match next(operation) {
            None => right(x),
            Some(Change::Negated) => -right(x),
            Some(Change::Exchanged) => other(x),
            Some(Change::Unsquared) => x.one_minus(),
            Some(_) => x.clone(),
        })
    }
}

impl<N: Number> Number for Mutant<N> {
    fn one_minus(&self) -> Self {
        self.unary(Operation::OneMinus, N::one_minus, N::one_minus)
    }

    fn sigmoid(&self) -> Self {
        self.unary(Operation::Sigmoid, N::sigmoid, N::tanh)
    }

    fn tanh(&self) -> Self {
        self.unary(Operation::Tanh, N::tanh, N::sigmoid)
    }

    fn exp(&self) -> Self {
        self.unary(Operation::Exp, N::exp, N::exp)
    }

    fn log_sigmoid(&self) -> Self {
        self.unary(Operation::LogSigmoid, N::log_sigmoid, N::log_sigmoid)
    }

    fn recip(&self) -> Self {
        self.unary(Operation::Recip, N::recip, N::recip)
    }

    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        let right = |x: &N| x.inverse_sqrt(epsilon);
        self.unary(Operation::InverseSqrt, right, right)
    }

    fn scale(&self, factor: f64) -> Self {
        let right = |x: &N| x.scale(factor);
        let operation = if factor == 1.0 { Operation::ScaleByOne } else { Operation::Scale };
        self.unary(operation, right, right)
    }

    fn mean(&self) -> Self {
        self.unary(Operation::Mean, N::mean, N::mean)
    }

    fn sigmoid_slope(&self) -> Self {
        self.unary(Operation::SigmoidSlope, N::sigmoid_slope, N::tanh_slope)
    }

    fn tanh_slope(&self) -> Self {
        self.unary(Operation::TanhSlope, N::tanh_slope, N::sigmoid_slope)
    }
}

impl<N: Rectify> Rectify for Mutant<N> {
    fn relu(&self) -> Self {
        self.unary(Operation::Relu, N::relu, N::relu)
    }

    fn relu_backward(&self, d: &Self) -> Self {
        Self(factors(Operation::ReluBackward, &self.0, &d.0, N::relu_backward))
    }

    fn clip(&self, bound: f64) -> Self {
        let clip = |x: &N| x.clip(bound);
        self.unary(Operation::Clip, clip, clip)
    }

    fn clip_backward(&self, bound: f64, d: &Self) -> Self {
        Self(factors(Operation::ClipBackward, &self.0, &d.0, |x, d| x.clip_backward(bound, d)))
    }
}
