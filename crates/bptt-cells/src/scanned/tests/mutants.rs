//! The tests, tested: each backward step with one operation wrong has to differ from the derivative by differences.

use super::*;
use crate::number::{Number, Rectify};
use std::cell::Cell;
use std::ops::{Add, Mul, Neg, Sub};

thread_local! {
    /// How many operations were done, which one is wrong, and how.
    static DONE: Cell<usize> = const { Cell::new(0) };
    static WRONG: Cell<Option<(usize, Change)>> = const { Cell::new(None) };
}

/// What is done instead.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// One operand alone: a term, a factor or a function is missing.
    First,
    Second,
    /// The other sign.
    Negated,
}

const CHANGES: [Change; 3] = [Change::First, Change::Second, Change::Negated];

/// A number that does one of its operations wrong.
#[derive(Clone, Copy, Debug)]
struct Mutant(f64);

fn done(first: f64, second: f64, right: f64) -> Mutant {
    let at = DONE.replace(DONE.get() + 1);
    Mutant(match WRONG.get().filter(|&(wrong, _)| wrong == at) {
        None => right,
        Some((_, Change::First)) => first,
        Some((_, Change::Second)) => second,
        Some((_, Change::Negated)) => -right,
    })
}

macro_rules! operators {
    ($($Op:ident $op:ident;)*) => {$(
        impl $Op for Mutant {
            type Output = Mutant;
            fn $op(self, other: Mutant) -> Mutant {
                done(self.0, other.0, self.0.$op(other.0))
            }
        }
        impl $Op<&Mutant> for Mutant {
            type Output = Mutant;
            fn $op(self, other: &Mutant) -> Mutant {
                self.$op(*other)
            }
        }
        impl $Op<Mutant> for &Mutant {
            type Output = Mutant;
            fn $op(self, other: Mutant) -> Mutant {
                (*self).$op(other)
            }
        }
        impl $Op for &Mutant {
            type Output = Mutant;
            fn $op(self, other: &Mutant) -> Mutant {
                (*self).$op(*other)
            }
        }
    )*};
}
operators! {
    Add add;
    Sub sub;
    Mul mul;
}

impl Neg for Mutant {
    type Output = Self;
    fn neg(self) -> Self {
        done(self.0, self.0, -self.0)
    }
}

impl Number for Mutant {
    fn one_minus(&self) -> Self {
        done(self.0, self.0, self.0.one_minus())
    }

    fn sigmoid(&self) -> Self {
        done(self.0, self.0, self.0.sigmoid())
    }

    fn tanh(&self) -> Self {
        done(self.0, self.0, Number::tanh(&self.0))
    }

    fn exp(&self) -> Self {
        done(self.0, self.0, self.0.exp())
    }

    fn log_sigmoid(&self) -> Self {
        done(self.0, self.0, self.0.log_sigmoid())
    }

    fn recip(&self) -> Self {
        done(self.0, self.0, self.0.recip())
    }

    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        done(self.0, self.0, self.0.inverse_sqrt(epsilon))
    }

    fn scale(&self, factor: f64) -> Self {
        done(self.0, self.0, self.0.scale(factor))
    }

    fn mean(&self) -> Self {
        *self
    }

    fn sigmoid_slope(&self) -> Self {
        done(self.0, self.0.tanh_slope(), self.0.sigmoid_slope())
    }
}

impl Rectify for Mutant {
    fn relu(&self) -> Self {
        done(self.0, self.0, self.0.relu())
    }

    fn relu_backward(&self, d: &Self) -> Self {
        done(self.0, d.0, self.0.relu_backward(&d.0))
    }

    fn clip(&self, bound: f64) -> Self {
        done(self.0, self.0, self.0.clip(bound))
    }

    fn clip_backward(&self, bound: f64, d: &Self) -> Self {
        done(self.0, d.0, self.0.clip_backward(bound, &d.0))
    }
}

impl ScanNumber for Mutant {
    fn exp_negative(&self) -> Self {
        done(self.0, self.0, self.0.exp_negative())
    }

    fn one_minus_exp(&self) -> Self {
        done(self.0, self.0, self.0.one_minus_exp())
    }

    fn sqrt(&self) -> Self {
        done(self.0, self.0, self.0.sqrt())
    }
}

/// The gradients at a point, with one operation of the backward step wrong; and how many operations there are.
fn gradients<C: ScannedCell>(
    gates: &[f64],
    constants: &[f64],
    wrong: Option<(usize, Change)>,
) -> (Vec<f64>, usize) {
    let cell = C::default();
    let mutants = |x: &[f64]| -> Vec<Mutant> { x.iter().map(|&x| Mutant(x)).collect() };
    let constants = C::Constants::from_vec(mutants(constants));
    WRONG.set(None);
    let saved = cell.coefficients(C::Gates::from_vec(mutants(gates)), &constants).saved;
    let [d_a, d_b] = cotangents::<C>().map(|d| C::State::from_vec(mutants(&d)));
    DONE.set(0);
    WRONG.set(wrong);
    let (d_gates, d_constants) = cell.coefficients_backward(saved, &constants, d_a, d_b);
    let all = [d_gates.into_vec(), d_constants.into_vec()].concat();
    (all.into_iter().map(|d| d.0).collect(), DONE.get())
}

/// Each mutant of a cell differs from the derivatives by differences at one of the points at least.
fn check_mutants<C: ScannedCell>(points: &[(&[f64], &[f64])]) {
    let expected: Vec<Vec<f64>> =
        points.iter().map(|(gates, constants)| differences::<C>(gates, constants)).collect();
    let (_, count) = gradients::<C>(points[0].0, points[0].1, None);
    assert!(count > 0, "{} has operations", C::NAME);
    for (k, change) in (0..count).flat_map(|k| CHANGES.map(|change| (k, change))) {
        let is_caught = points.iter().zip(&expected).any(|((gates, constants), expected)| {
            let (found, _) = gradients::<C>(gates, constants, Some((k, change)));
            found.iter().zip(expected).any(|(a, b)| !near(*a, *b))
        });
        assert!(is_caught, "{}: operation {k}, {change:?}", C::NAME);
    }
}

#[test]
fn every_mutant_of_a_backward_step_is_caught() {
    let (gru, lstm) = (&[0.1, -0.2], &[0.1, -0.2, 0.3]);
    check_mutants::<MinGru<false>>(&[(&[-3.0, 0.6], gru), (&[0.7, -0.4], gru)]);
    check_mutants::<MinGru<true>>(&[(&[-1.3, 0.6], gru), (&[0.7, -0.4], gru)]);
    check_mutants::<MinLstm<false>>(&[(&[-3.0, 0.6, 1.2], lstm), (&[0.7, -0.4, -2.0], lstm)]);
    check_mutants::<MinLstm<true>>(&[(&[-1.3, 0.6, 1.2], lstm), (&[0.7, -0.4, -2.0], lstm)]);
    check_mutants::<RgLru>(&[(&[0.3, 0.6, -0.8], &[0.4, 0.2, -0.1])]);
    check_mutants::<Diagonal>(&[(&[0.3, 0.6], &[0.9, -0.2, 1.3, 0.4])]);
}
