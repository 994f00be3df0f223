//! The elementwise part of a layer's step: the cell's equations, unit by unit, with their derivatives.

use crate::dynamics::matrix::Matrix;
use crate::dynamics::traced::{Gate, Traced};
use crate::scalar::{Dual, Real, ScalarCell, UnitInputs};
use bptt::cells::{Cell, HiddenTerm, Rectify, State};
use bptt::{CellVisitor, SequenceCell};
use std::marker::PhantomData;

/// How many derivatives are computed at once: enough for the operands of every cell of the project.
const SEEDS: usize = 8;

/// A number of one unit, with its derivatives with respect to some of the operands.
type Unit = Dual<f64, SEEDS>;

/// A function of a cell.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Function {
    /// [`Cell::step`], which gives `h` and the memories.
    Step,
    /// [`Cell::gated_hidden`].
    GatedHidden,
}

/// One of the numbers of a unit that go into the cell's functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// The pre-activation of a gate.
    Gate(usize),
    /// The separate product of a gate.
    Separate(usize),
    Memory(usize),
    /// A diagonal weight.
    Diagonal(usize),
    Hidden,
}

/// What goes into a step, for the state (row 0) and for each direction (the other rows).
pub(crate) struct Inputs<'a> {
    /// `W x + b`, `[G·H]`
    pub(crate) input: &'a [f64],
    /// In its rows from 1 on, the products of `W` with directions of the layer below.
    pub(crate) below: Option<&'a Matrix>,
    /// The states before the step: `h`, then the memories.
    pub(crate) before: &'a Matrix,
    /// The products of `U` with `h`, for the gates of which it is a product with `h`.
    pub(crate) recurrent: Matrix,
    /// The product of `U` with the gated hidden state, once it is known.
    pub(crate) gated: Option<Matrix>,
}

/// The units of a layer.
pub(crate) struct Units {
    cell: Box<dyn ScalarCell<Unit>>,
    /// The same cell, for numbers that say which gates they come from.
    traced: Box<dyn ScalarCell<Traced>>,
    hidden: usize,
    /// Width of `h` in the state, `H` or `P`.
    width: usize,
    /// Whether the step may read `h`: with a projection, `h` does not belong to the units.
    reads_hidden: bool,
    bias_hh: Vec<f64>,
    /// The diagonal weights, `[V, H]`.
    diagonal: Vec<f64>,
    operands: Vec<Operand>,
}

/// The derivative of one result with respect to an operand.
enum Slope {
    /// Each unit sees itself: one number for each.
    OfUnits(Vec<f64>),
    /// The units see each other: for each unit of the result, one number for each unit of the operand.
    OfRows(Vec<f64>),
}

impl Slope {
    /// `None` if it is zero.
    fn of(values: Vec<f64>, is_dense: bool) -> Option<Self> {
        let is_there = values.iter().any(|x| *x != 0.0);
        is_there.then_some(if is_dense { Self::OfRows(values) } else { Self::OfUnits(values) })
    }

    /// Adds the derivative times a direction of the operand.
    fn add_to(&self, to: &mut [f64], direction: &[f64]) {
        match self {
            Self::OfUnits(slopes) => {
                to.iter_mut().zip(slopes).zip(direction).for_each(|((to, s), d)| *to += s * d);
            }
            Self::OfRows(rows) => {
                for (to, row) in to.iter_mut().zip(rows.chunks_exact(direction.len())) {
                    *to += row.iter().zip(direction).map(|(s, d)| s * d).sum::<f64>();
                }
            }
        }
    }

    /// dLoss/d(operand) from dLoss/d(result).
    fn back(&self, d_result: &[f64]) -> Vec<f64> {
        match self {
            Self::OfUnits(slopes) => slopes.iter().zip(d_result).map(|(s, d)| s * d).collect(),
            Self::OfRows(rows) => {
                let mut sum = vec![0.0; rows.len() / d_result.len()];
                for (row, d) in rows.chunks_exact(sum.len()).zip(d_result) {
                    sum.iter_mut().zip(row).for_each(|(sum, s)| *sum += s * d);
                }
                sum
            }
        }
    }

    /// Of each unit with respect to itself.
    fn diagonal(&self, units: usize) -> Vec<f64> {
        match self {
            Self::OfUnits(slopes) => slopes.clone(),
            Self::OfRows(rows) => rows.iter().step_by(units + 1).copied().collect(),
        }
    }
}

/// The derivatives of one result with respect to the operands; `None` if it is zero.
type Slopes = Vec<Option<Slope>>;

/// A function of the cell for all units, with its derivatives.
pub(crate) struct Evaluated {
    /// For each operand, its value for each unit.
    operands: Vec<Vec<f64>>,
    /// `[results · H]`
    results: Vec<f64>,
    /// Of each result.
    slopes: Vec<Slopes>,
}

impl Units {
    pub(crate) fn new<C: SequenceCell>(
        cell: &C,
        width: usize,
        projected: bool,
        bias_hh: Vec<f64>,
        diagonal: Option<&Matrix>,
    ) -> Self {
        let hidden = bias_hh.len() / cell.gates();
        let traced = cell.accept(OfCell::<Traced>(PhantomData));
        let cell = cell.accept(OfCell::<Unit>(PhantomData));
        let terms = cell.hidden_terms();
        let separate = terms.iter().enumerate().filter(|(_, term)| **term == HiddenTerm::Separate);
        let operands = (0..terms.len())
            .map(Operand::Gate)
            .chain(separate.map(|(gate, _)| Operand::Separate(gate)))
            .chain((0..cell.memories()).map(Operand::Memory))
            .chain((0..cell.diagonal_weights()).map(Operand::Diagonal))
            .chain([Operand::Hidden])
            .collect();
        let diagonal = match diagonal {
            Some(weights) => weights.values().to_vec(),
            None => vec![0.0; cell.diagonal_weights() * hidden],
        };
        Self { hidden, width, reads_hidden: !projected, bias_hh, diagonal, operands, cell, traced }
    }

    pub(crate) fn hidden(&self) -> usize {
        self.hidden
    }

    pub(crate) fn memories(&self) -> usize {
        self.cell.memories()
    }

    /// Whether the product of `U` is a term of this gate's pre-activation.
    pub(crate) fn is_added(&self, gate: usize) -> bool {
        matches!(self.cell.hidden_terms()[gate], HiddenTerm::Added | HiddenTerm::Gated)
    }

    pub(crate) fn has_gated(&self) -> bool {
        self.cell.hidden_terms().contains(&HiddenTerm::Gated)
    }

    /// A function of the cell, for all units, at the state.
    pub(crate) fn evaluate(&self, function: Function, inputs: &Inputs<'_>) -> Evaluated {
        let count = match function {
            Function::Step => 1 + self.memories(),
            Function::GatedHidden => 1,
        };
        let values: Vec<_> = self.operands.iter().map(|&o| self.values(o, inputs)).collect();
        if self.cell.couples_units() {
            return self.evaluate_rows(count, values);
        }
        let mut results = vec![0.0; count * self.hidden];
        let mut slopes: Vec<Slopes> = (0..count).map(|_| Slopes::new()).collect();
        for first in (0..values.len()).step_by(SEEDS) {
            let seeded = first..values.len().min(first + SEEDS);
            let mut columns = vec![vec![vec![0.0; self.hidden]; seeded.len()]; count];
            for unit in 0..self.hidden {
                let number = |(k, values): (usize, &Vec<f64>)| {
                    let one = |seed: usize| if first + seed == k { 1.0 } else { 0.0 };
                    Dual::new(values[unit], std::array::from_fn(one))
                };
                let operands = values.iter().enumerate().map(number).collect();
                for (r, result) in self.call(function, operands).into_iter().enumerate() {
                    results[r * self.hidden + unit] = result.value;
                    for (column, slope) in columns[r].iter_mut().zip(result.slopes) {
                        column[unit] = slope;
                    }
                }
            }
            for (slopes, columns) in slopes.iter_mut().zip(columns) {
                slopes.extend(columns.into_iter().map(|column| Slope::of(column, false)));
            }
        }
        Evaluated { operands: values, results, slopes }
    }

    /// The step of a cell that couples the units of a row, with the derivatives of all units with respect to all others.
    fn evaluate_rows(&self, count: usize, values: Vec<Vec<f64>>) -> Evaluated {
        let hidden = self.hidden;
        let mut results = vec![0.0; count * hidden];
        let mut slopes: Vec<Slopes> = (0..count).map(|_| Slopes::new()).collect();
        for (seeded, operand) in self.operands.iter().enumerate() {
            let mut dense = vec![vec![0.0; hidden * hidden]; count];
            // What does not change from step to step has no direction.
            let is_still = matches!(operand, Operand::Diagonal(_));
            for first in (0..if is_still { 0 } else { hidden }).step_by(SEEDS) {
                let unit = |unit: usize| {
                    let number = |(k, values): (usize, &Vec<f64>)| {
                        let is_seed = |seed: usize| k == seeded && first + seed == unit;
                        let one = |seed| f64::from(u8::from(is_seed(seed)));
                        Dual::new(values[unit], std::array::from_fn(one))
                    };
                    values.iter().enumerate().map(number).collect()
                };
                let units = called_row(&*self.cell, (0..hidden).map(unit).collect());
                for (unit, of_unit) in units.into_iter().enumerate() {
                    for (r, result) in of_unit.into_iter().enumerate() {
                        results[r * hidden + unit] = result.value;
                        let row = &mut dense[r][unit * hidden..][..hidden];
                        row[first..].iter_mut().zip(result.slopes).for_each(|(to, s)| *to = s);
                    }
                }
            }
            for (slopes, dense) in slopes.iter_mut().zip(dense) {
                slopes.push(Slope::of(dense, true));
            }
        }
        Evaluated { operands: values, results, slopes }
    }

    /// The results for the state, in row 0, and for all directions.
    pub(crate) fn moved(&self, evaluated: &Evaluated, inputs: &Inputs<'_>) -> Matrix {
        let mut after = Matrix::zeros(inputs.before.rows(), evaluated.results.len());
        after.row_mut(0).copy_from_slice(&evaluated.results);
        for row in 1..after.rows() {
            self.move_direction(&evaluated.slopes, inputs, row, after.row_mut(row));
        }
        after
    }

    /// The derivative of one result with respect to each operand, times dLoss/d(result): what comes back to the
    /// operands of all units on this path. `None` is zero.
    pub(crate) fn back<'a>(
        &'a self,
        evaluated: &'a Evaluated,
        result: usize,
        d_result: &'a [f64],
    ) -> impl Iterator<Item = (Operand, Vec<f64>)> + 'a {
        let slopes = self.operands.iter().zip(&evaluated.slopes[result]);
        slopes
            .filter_map(move |(operand, slopes)| Some((*operand, slopes.as_ref()?.back(d_result))))
    }

    /// For each memory, one after the other, how much of it a unit keeps in a step without any product: `∂c'/∂c`. For a
    /// cell without a memory, `∂h'/∂h`. `[max(M, 1) · H]`
    pub(crate) fn kept(&self, evaluated: &Evaluated) -> Vec<f64> {
        let of = |result: usize, operand: Operand| {
            let at = self.operands.iter().position(|other| *other == operand);
            let slope = at.and_then(|at| evaluated.slopes[result][at].as_ref());
            slope.map_or_else(|| vec![0.0; self.hidden], |slope| slope.diagonal(self.hidden))
        };
        match self.memories() {
            0 => of(0, Operand::Hidden),
            memories => (0..memories).flat_map(|m| of(1 + m, Operand::Memory(m))).collect(),
        }
    }

    /// What the gates of a unit are in the step.
    pub(crate) fn gates(&self, evaluated: &Evaluated, unit: usize) -> Vec<Option<Gate>> {
        let gates = self.traced.hidden_terms().len();
        let of_unit = |unit: usize| {
            let number = |(operand, values): (&Operand, &Vec<f64>)| match operand {
                Operand::Gate(g) | Operand::Separate(g) => Traced::of_gate(values[unit], *g),
                _ => Traced::still(values[unit]),
            };
            self.operands.iter().zip(&evaluated.operands).map(number).collect()
        };
        let results = match self.traced.couples_units() {
            true => {
                called_row(&*self.traced, (0..self.hidden).map(of_unit).collect()).swap_remove(unit)
            }
            false => called(&*self.traced, Function::Step, of_unit(unit)),
        };
        Traced::gates(&results, gates)
    }

    /// Calls a function of the cell with the operands of one unit.
    fn call(&self, function: Function, operands: Vec<Unit>) -> Vec<Unit> {
        called(&*self.cell, function, operands)
    }

    /// The chain rule for one direction: each result's derivatives times the derivatives of the operands.
    fn move_direction(&self, slopes: &[Slopes], inputs: &Inputs<'_>, row: usize, to: &mut [f64]) {
        for (slopes, to) in slopes.iter().zip(to.chunks_exact_mut(self.hidden)) {
            for (operand, slopes) in self.operands.iter().zip(slopes) {
                let Some(slopes) = slopes else { continue };
                for part in self.parts(*operand, inputs, row).into_iter().flatten() {
                    slopes.add_to(to, part);
                }
            }
        }
    }

    /// The value of an operand, for all units.
    fn values(&self, operand: Operand, inputs: &Inputs<'_>) -> Vec<f64> {
        let mut sum = match operand {
            Operand::Hidden if !self.reads_hidden => return vec![f64::NAN; self.hidden],
            Operand::Gate(gate) => self.of_gate(inputs.input, gate).to_vec(),
            Operand::Diagonal(row) => self.of_gate(&self.diagonal, row).to_vec(),
            _ => vec![0.0; self.hidden],
        };
        let mut add = |part: &[f64]| sum.iter_mut().zip(part).for_each(|(x, part)| *x += part);
        self.parts(operand, inputs, 0).into_iter().flatten().for_each(&mut add);
        match (operand, self.cell.hidden_terms()) {
            (Operand::Gate(gate), terms) if terms[gate] != HiddenTerm::Separate => {
                add(self.of_gate(&self.bias_hh, gate));
            }
            (Operand::Separate(gate), _) => add(self.of_gate(&self.bias_hh, gate)),
            _ => {}
        }
        sum
    }

    fn of_gate<'a>(&self, all: &'a [f64], gate: usize) -> &'a [f64] {
        &all[gate * self.hidden..(gate + 1) * self.hidden]
    }

    /// The terms of which an operand is the sum, in one row; for the state itself, without the input and the biases.
    fn parts<'a>(
        &self,
        operand: Operand,
        inputs: &'a Inputs<'_>,
        row: usize,
    ) -> [Option<&'a [f64]>; 2] {
        // The value of what comes from below is in `input`, with the bias.
        let below = |gate| match row {
            0 => None,
            _ => inputs.below.map(|below| self.of_gate(below.row(row), gate)),
        };
        let recurrent = |gate| Some(self.of_gate(inputs.recurrent.row(row), gate));
        let before = |first: usize| Some(&inputs.before.row(row)[first..first + self.hidden]);
        match operand {
            Operand::Gate(gate) => match self.cell.hidden_terms()[gate] {
                HiddenTerm::Added => [recurrent(gate), below(gate)],
                HiddenTerm::Separate => [None, below(gate)],
                HiddenTerm::Gated => [inputs.gated.as_ref().map(|x| x.row(row)), below(gate)],
                HiddenTerm::None => [None, below(gate)],
            },
            Operand::Separate(gate) => [recurrent(gate), None],
            Operand::Memory(memory) => [before(self.width + memory * self.hidden), None],
            Operand::Hidden if self.reads_hidden => [before(0), None],
            Operand::Hidden | Operand::Diagonal(_) => [None, None],
        }
    }
}

/// Calls a function of a cell with the operands of one unit.
fn called<N>(cell: &dyn ScalarCell<N>, function: Function, operands: Vec<N>) -> Vec<N> {
    match function {
        Function::GatedHidden => {
            let UnitInputs { gates, before, .. } = unit_inputs(cell, operands);
            vec![cell.gated_hidden(&gates, &before)]
        }
        Function::Step => called_row(cell, vec![operands]).remove(0),
    }
}

/// Calls the step of a cell with the operands of some units: all units of a row, if it couples them.
fn called_row<N>(cell: &dyn ScalarCell<N>, units: Vec<Vec<N>>) -> Vec<Vec<N>> {
    let inputs = units.into_iter().map(|operands| unit_inputs(cell, operands)).collect();
    let results = |State { hidden, memory }: State<N, Vec<N>>| {
        [hidden].into_iter().chain(memory).take(1 + cell.memories()).collect()
    };
    cell.step(inputs).into_iter().map(results).collect()
}

fn unit_inputs<N>(cell: &dyn ScalarCell<N>, mut operands: Vec<N>) -> UnitInputs<N> {
    let hidden = operands.pop().expect("h is the last operand");
    let memories = cell.memories() + cell.diagonal_weights();
    let memory = operands.split_off(operands.len() - memories);
    let separate = operands.split_off(cell.hidden_terms().len());
    UnitInputs { gates: operands, separate, before: State { hidden, memory } }
}

/// The cell for a kind of number.
struct OfCell<N>(PhantomData<N>);

impl<N: Rectify + 'static> CellVisitor for OfCell<N> {
    type Output = Box<dyn ScalarCell<N>>;

    fn visit<C: Cell>(self, cell: C) -> Self::Output {
        Box::new(Real(cell))
    }
}
