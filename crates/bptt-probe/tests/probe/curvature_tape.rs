//! Compares Hessian-vector products with an independent method: reverse mode on a tape of scalars, each with its
//! tangent. It calls only `step`, in plain loops, and uses nothing else of the crates.

use crate::curvature::{arrays, tensor};
use bptt::cells::{
    Cell, Clipped, Components, GruResetAfter, GruResetBefore, HiddenTerm, Lstm, LstmCoupled,
    Number, Rectify, RnnRelu, RnnTanh, State,
};
use bptt::{AnyRecurrentConfig, CellKind, RecurrentWeight};
use bptt_probe::curvature::{
    Dual, LayerResults, Point, Variables, WeightVariables, hessian_vector_product,
};
use bptt_probe::{Array, relative_error};
use burn::module::Param;
use burn::tensor::Device;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Add, Mul, Neg, Sub};

/// A value and its tangent.
#[derive(Clone, Copy, Debug)]
struct Pair(f64, f64);

impl Pair {
    fn times(self, other: Self) -> Self {
        Self(self.0 * other.0, self.0 * other.1 + self.1 * other.0)
    }

    fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0, self.1 + other.1)
    }
}

/// A value on the tape: its index.
#[derive(Clone, Copy, Debug)]
struct Var(usize);

/// A value, and for each operand its index and the derivative with respect to it.
struct Node {
    value: Pair,
    operands: Vec<(usize, Pair)>,
}

thread_local! {
    static TAPE: RefCell<Vec<Node>> = const { RefCell::new(vec![]) };
}

fn push(value: Pair, operands: Vec<(usize, Pair)>) -> Var {
    TAPE.with_borrow_mut(|tape| {
        tape.push(Node { value, operands });
        Var(tape.len() - 1)
    })
}

impl Var {
    fn leaf(value: f64, tangent: f64) -> Self {
        push(Pair(value, tangent), vec![])
    }

    fn value(self) -> Pair {
        TAPE.with_borrow(|tape| tape[self.0].value)
    }

    /// `f(x)` with `f`, `f'` and `f''` at `x`.
    fn function(self, [f, f1, f2]: [f64; 3]) -> Self {
        let Pair(_, tangent) = self.value();
        push(Pair(f, f1 * tangent), vec![(self.0, Pair(f1, f2 * tangent))])
    }

    /// The gradient of this value with respect to everything on the tape, and its tangent.
    fn backward(self) -> Vec<Pair> {
        TAPE.with_borrow(|tape| {
            let mut d = vec![Pair(0.0, 0.0); tape.len()];
            d[self.0] = Pair(1.0, 0.0);
            for (index, node) in tape.iter().enumerate().rev() {
                for &(operand, slope) in &node.operands {
                    d[operand] = d[operand].plus(d[index].times(slope));
                }
            }
            d
        })
    }
}

const ONE: Pair = Pair(1.0, 0.0);
const MINUS_ONE: Pair = Pair(-1.0, 0.0);

fn add(a: Var, b: Var) -> Var {
    push(a.value().plus(b.value()), vec![(a.0, ONE), (b.0, ONE)])
}

fn sub(a: Var, b: Var) -> Var {
    push(a.value().plus(b.value().times(MINUS_ONE)), vec![(a.0, ONE), (b.0, MINUS_ONE)])
}

fn mul(a: Var, b: Var) -> Var {
    push(a.value().times(b.value()), vec![(a.0, b.value()), (b.0, a.value())])
}

macro_rules! operators {
    ($($Op:ident $op:ident;)*) => {$(
        impl $Op for Var {
            type Output = Var;
            fn $op(self, other: Self) -> Var {
                $op(self, other)
            }
        }
        impl $Op<&Var> for Var {
            type Output = Var;
            fn $op(self, other: &Self) -> Var {
                $op(self, *other)
            }
        }
        impl $Op<Var> for &Var {
            type Output = Var;
            fn $op(self, other: Var) -> Var {
                $op(*self, other)
            }
        }
        impl $Op for &Var {
            type Output = Var;
            fn $op(self, other: Self) -> Var {
                $op(*self, *other)
            }
        }
    )*};
}
operators! {
    Add add;
    Sub sub;
    Mul mul;
}

impl Neg for Var {
    type Output = Var;
    fn neg(self) -> Var {
        push(self.value().times(MINUS_ONE), vec![(self.0, MINUS_ONE)])
    }
}

impl Number for Var {
    fn one_minus(&self) -> Self {
        push(ONE.plus(self.value().times(MINUS_ONE)), vec![(self.0, MINUS_ONE)])
    }

    fn sigmoid(&self) -> Self {
        let s = 1.0 / (1.0 + (-self.value().0).exp());
        self.function([s, s * (1.0 - s), s * (1.0 - s) * (1.0 - 2.0 * s)])
    }

    fn tanh(&self) -> Self {
        let t = self.value().0.tanh();
        self.function([t, 1.0 - t * t, -2.0 * t * (1.0 - t * t)])
    }

    fn exp(&self) -> Self {
        self.function([self.value().0.exp(); 3])
    }

    fn log_sigmoid(&self) -> Self {
        let s = 1.0 / (1.0 + self.value().0.exp());
        self.function([(1.0 - s).ln(), s, -s * (1.0 - s)])
    }

    fn recip(&self) -> Self {
        let r = 1.0 / self.value().0;
        self.function([r, -r * r, 2.0 * r * r * r])
    }

    fn inverse_sqrt(&self, epsilon: f64) -> Self {
        let r = 1.0 / (self.value().0 + epsilon).sqrt();
        self.function([r, -r.powi(3) / 2.0, 3.0 * r.powi(5) / 4.0])
    }

    fn scale(&self, factor: f64) -> Self {
        self.function([factor * self.value().0, factor, 0.0])
    }

    fn mean(&self) -> Self {
        *self
    }
}

impl Rectify for Var {
    fn relu(&self) -> Self {
        let x = self.value().0;
        self.function(if x > 0.0 { [x, 1.0, 0.0] } else { [0.0; 3] })
    }

    fn clip(&self, bound: f64) -> Self {
        let x = self.value().0;
        let inside = x.abs() < bound;
        self.function([x.clamp(-bound, bound), f64::from(u8::from(inside)), 0.0])
    }

    fn relu_backward(&self, _d: &Self) -> Self {
        unreachable!("a forward step does not go back")
    }

    fn clip_backward(&self, _bound: f64, _d: &Self) -> Self {
        unreachable!("a forward step does not go back")
    }
}

/// `[rows, columns]`, row by row.
struct Leaves(Vec<Var>, usize);

impl Leaves {
    fn at(&self, row: usize, column: usize) -> Var {
        self.0[row * self.1 + column]
    }
}

const TIME: usize = 4;
const BATCH: usize = 2;
const INPUT: usize = 3;
const HIDDEN: usize = 3;

/// Whether the state of row `b` is set back before step `t`.
fn is_reset(t: usize, b: usize) -> bool {
    (t, b) == (2, 0) || (t, b) == (0, 1)
}

/// A layer in plain loops over scalars: the loss, which is `Σ outputs ⊙ cotangent.output`.
fn loss<C: Cell>(cell: &C, leaves: &BTreeMap<&str, Leaves>, cotangent: &Array) -> Var {
    let sum = |terms: Vec<Var>| terms.into_iter().reduce(|a, b| a + b).unwrap();
    let product = |row: usize, weight: &str, bias: &str, x: &[Var]| {
        let terms = x.iter().enumerate().map(|(j, x)| leaves[weight].at(row, j) * x).collect();
        sum(terms) + leaves[bias].at(0, row)
    };
    let mut terms = vec![];
    for b in 0..BATCH {
        let start = |h: &str, c: &str| -> Vec<_> {
            let unit = |j| State {
                hidden: leaves[h].at(b, j),
                memory: C::Memory::<Var>::from_fn(|_| leaves[c].at(b, j)),
            };
            (0..HIDDEN).map(unit).collect()
        };
        let mut states = start("h_0", "c_0");
        for t in 0..TIME {
            if is_reset(t, b) {
                states = start("h_reset", "c_reset");
            }
            let x: Vec<_> = (0..INPUT).map(|i| leaves["input"].at(b * TIME + t, i)).collect();
            let h: Vec<_> = states.iter().map(|state| state.hidden).collect();
            // First the gates that depend on `h` itself, then the gate with a gated hidden state.
            let mut gates = vec![];
            let mut separate = vec![];
            for j in 0..HIDDEN {
                let mut of_unit = vec![];
                let mut separate_of_unit = vec![];
                for (g, term) in C::HIDDEN_TERMS.iter().enumerate() {
                    let wx = product(g * HIDDEN + j, "weight_ih", "bias_ih", &x);
                    let uh = || product(g * HIDDEN + j, "weight_hh", "bias_hh", &h);
                    match term {
                        HiddenTerm::Added => of_unit.push(wx + uh()),
                        HiddenTerm::Separate => {
                            of_unit.push(wx);
                            separate_of_unit.push(uh());
                        }
                        HiddenTerm::Gated | HiddenTerm::None => of_unit.push(wx),
                    }
                }
                gates.push(of_unit);
                separate.push(separate_of_unit);
            }
            if C::HIDDEN_TERMS.last() == Some(&HiddenTerm::Gated) {
                let gated: Vec<_> = gates
                    .iter()
                    .zip(&states)
                    .map(|(gates, state)| {
                        cell.gated_hidden(&C::Gates::from_vec(gates.clone()), state)
                    })
                    .collect();
                let last = C::GATES - 1;
                for (j, gates) in gates.iter_mut().enumerate() {
                    let more = product(last * HIDDEN + j, "weight_hh", "bias_hh", &gated);
                    gates[last] = gates[last] + more;
                }
            }
            for (j, (gates, separate)) in gates.into_iter().zip(separate).enumerate() {
                let (gates, separate) =
                    (C::Gates::from_vec(gates), C::Separate::from_vec(separate));
                let (after, _) = cell.step(gates, separate, &states[j]);
                let d = cotangent.values[(b * TIME + t) * HIDDEN + j];
                terms.push(after.hidden * Var::leaf(d, 0.0));
                states[j] = after;
            }
        }
    }
    sum(terms)
}

fn against_the_tape<C: Cell>(cell: C) {
    let mut rng = StdRng::seed_from_u64(7);
    let mut random = |shape: &[usize]| Array {
        shape: shape.to_vec(),
        values: (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect(),
    };
    let rows = C::GATES * HIDDEN;
    let shapes: [(&str, Vec<usize>); 9] = [
        ("input", vec![BATCH, TIME, INPUT]),
        ("h_0", vec![1, BATCH, HIDDEN]),
        ("c_0", vec![1, BATCH, HIDDEN]),
        ("h_reset", vec![1, BATCH, HIDDEN]),
        ("c_reset", vec![1, BATCH, HIDDEN]),
        ("weight_ih", vec![rows, INPUT]),
        ("weight_hh", vec![rows, HIDDEN]),
        ("bias_ih", vec![rows]),
        ("bias_hh", vec![rows]),
    ];
    let has_memory = C::Memory::<f64>::LEN > 0;
    let (mut values, mut along) = (BTreeMap::new(), BTreeMap::new());
    for (name, shape) in &shapes {
        values.insert(*name, random(shape));
        along.insert(*name, random(shape));
    }
    let cotangent = random(&[BATCH, TIME, HIDDEN]);

    TAPE.set(vec![]);
    let leaves: BTreeMap<_, _> = values
        .iter()
        .map(|(name, array)| {
            let pairs = array.values.iter().zip(&along[name].values);
            let width = *array.shape.last().unwrap();
            (*name, Leaves(pairs.map(|(&x, &d)| Var::leaf(x, d)).collect(), width))
        })
        .collect();
    let d = loss(&cell, &leaves, &cotangent).backward();

    let config = AnyRecurrentConfig::new(CellKind::Lstm, INPUT, HIDDEN);
    let mut layer = config.stack().try_init(cell, &Device::flex()).unwrap();
    let weights = &mut layer.weights[0];
    weights.weight_ih = Param::from_tensor(tensor(&values["weight_ih"]));
    weights.weight_hh = RecurrentWeight::Whole(Param::from_tensor(tensor(&values["weight_hh"])));
    weights.bias_ih = Some(Param::from_tensor(tensor(&values["bias_ih"])));
    weights.bias_hh = Some(Param::from_tensor(tensor(&values["bias_hh"])));
    let mut point = Point::new(tensor(&values["input"]));
    point.hidden = Some(tensor(&values["h_0"]));
    point.memory = has_memory.then(|| tensor(&values["c_0"]));
    let places = (0..TIME).flat_map(|t| (0..BATCH).map(move |b| is_reset(t, b)));
    point.resets = Some(places.collect());
    point.reset_hidden = Some(tensor(&values["h_reset"]));
    point.reset_memory = has_memory.then(|| tensor(&values["c_reset"]));
    let direction = Variables {
        input: Some(tensor(&along["input"])),
        hidden: Some(tensor(&along["h_0"])),
        memory: has_memory.then(|| tensor(&along["c_0"])),
        reset_hidden: Some(tensor(&along["h_reset"])),
        reset_memory: has_memory.then(|| tensor(&along["c_reset"])),
        weights: vec![WeightVariables {
            weight_ih: Some(tensor(&along["weight_ih"])),
            weight_hh: Some(tensor(&along["weight_hh"])),
            bias_ih: Some(tensor(&along["bias_ih"])),
            bias_hh: Some(tensor(&along["bias_hh"])),
            weight_hr: None,
            weight_diag: None,
        }],
    };
    let found = hessian_vector_product(&layer, &point, &direction, |results| LayerResults {
        output: Dual::constant(tensor(&cotangent)),
        ..results.zeros()
    });
    let suffixes = vec![String::new()];
    let gradient = arrays(&suffixes, &found.gradient);
    let product = arrays(&suffixes, &found.product);
    for (name, leaves) in &leaves {
        if name.starts_with("c_") && !has_memory {
            continue;
        }
        let shape = || values[name].shape.clone();
        let part = |part: fn(&Pair) -> f64| Array {
            shape: shape(),
            values: leaves.0.iter().map(|leaf| part(&d[leaf.0])).collect(),
        };
        let error = relative_error(&gradient[*name], &part(|pair| pair.0));
        assert!(error < 1e-13, "{}: gradient of {name}: {error:.1e}", C::NAME);
        let error = relative_error(&product[*name], &part(|pair| pair.1));
        assert!(error < 1e-12, "{}: H v of {name}: {error:.1e}", C::NAME);
    }
}

#[test]
fn products_are_those_of_dual_numbers_over_a_scalar_tape() {
    against_the_tape(RnnTanh);
    against_the_tape(RnnRelu);
    against_the_tape(Lstm);
    against_the_tape(LstmCoupled);
    against_the_tape(Clipped { cell: Lstm, bound: 0.3 });
    against_the_tape(Clipped { cell: LstmCoupled, bound: 0.3 });
    against_the_tape(GruResetAfter);
    against_the_tape(GruResetBefore);
}
