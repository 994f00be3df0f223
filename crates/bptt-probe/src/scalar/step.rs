//! A step of a layer whose cell runs step by step: the products, and the cell for each unit.

use crate::problem::LayerOptions;
use crate::scalar::cell::{Analytic, Real, ScalarCell, UnitInputs};
use crate::scalar::layer::{RowState, ScalarLayer, ScalarPart, Values};
use crate::scalar::noise::{Noise, StepNoise};
use crate::scalar::number::Scalar;
use bptt::cells::{AnalyticCell, Cell, HiddenTerm, Rectify, State};
use std::borrow::Cow;
use std::sync::Arc;

// ANCHOR: step
/// One layer's parameters in one direction.
struct Weights<'a, N: Clone> {
    cell: &'a dyn ScalarCell<N>,
    hidden: usize,
    /// How many units a head has: all without heads.
    head: usize,
    weight_ih: &'a [N],
    /// Empty for a cell without recurrent products, as `b_h`.
    weight_hh: Cow<'a, [N]>,
    biases: Option<[&'a [N]; 2]>,
    weight_hr: Option<&'a [N]>,
    /// `[V, H]`; empty for a cell without diagonal weights.
    weight_diag: &'a [N],
}

impl<N: Scalar> ScalarPart<N> for Weights<'_, N> {
    /// The products of each unit, then the cell, then the projection.
    fn step(&self, x: &[N], before: &RowState<N>, noise: &StepNoise<'_>) -> RowState<N> {
        let cell = self.cell;
        let entering = noise.masked(&before.hidden);
        let memories = before.memory.len();
        let memory: Vec<Vec<N>> = before.memory.iter().cloned().chain(noise.candidate()).collect();
        let units = 0..self.hidden;
        let of_unit = |j: usize| State {
            // With a projection there may be no h_j; a cell that can be projected does not read it.
            hidden: before.hidden.get(j).cloned().unwrap_or(N::constant(f64::NAN)),
            memory: memories_and_weights(&memory, self.weight_diag, self.hidden, j),
        };
        // For each unit: the gates, as `W x` alone or as `W x + U h`, and the separate products.
        let first = |j: usize| {
            let (mut gates, mut separate) = (vec![], vec![]);
            for (g, term) in cell.hidden_terms().iter().enumerate() {
                let row = g * self.hidden + j;
                let wx = self.product(0, self.weight_ih, row, x);
                match term {
                    HiddenTerm::Added => {
                        gates.push(wx + self.recurrent(g, j, &entering));
                    }
                    HiddenTerm::Separate => {
                        gates.push(wx);
                        separate.push(self.recurrent(g, j, &entering));
                    }
                    HiddenTerm::Gated | HiddenTerm::None => gates.push(wx),
                }
            }
            (gates, separate)
        };
        let (mut gates, separate): (Vec<_>, Vec<_>) = units.clone().map(first).unzip();
        if cell.hidden_terms().last() == Some(&HiddenTerm::Gated) {
            let gated: Vec<N> = units.map(|j| cell.gated_hidden(&gates[j], &of_unit(j))).collect();
            let gated = noise.masked(&gated);
            for (j, gates) in gates.iter_mut().enumerate() {
                let g = gates.len() - 1;
                gates[g] = &gates[g] + self.recurrent(g, j, &gated);
            }
        }
        let units = gates.into_iter().zip(separate).enumerate();
        let inputs = |(j, (gates, separate))| UnitInputs { gates, separate, before: of_unit(j) };
        let after = cell.step(units.map(inputs).collect());

        let own: Vec<N> = after.iter().map(|unit| unit.hidden.clone()).collect();
        let hidden = match self.weight_hr {
            Some(weight) => (0..weight.len() / self.hidden).map(|p| dot(weight, p, &own)).collect(),
            None => own,
        };
        let memory = (0..memories)
            .map(|m| after.iter().map(|unit| unit.memory[m].clone()).collect())
            .collect();
        noise.zoned_out(State { hidden, memory }, before)
    }

    fn output(&self, _x: Option<&[N]>, state: &RowState<N>) -> Vec<N> {
        state.hidden.clone()
    }
}

impl<N: Scalar> Weights<'_, N> {
    /// A row of a matrix times a vector, plus that row's bias.
    fn product(&self, which: usize, matrix: &[N], row: usize, x: &[N]) -> N {
        self.with_bias(which, row, dot(matrix, row, x))
    }

    /// The row of gate `g` and unit `j` of `U` times `h`, or times the gated hidden state, plus that row's bias. In heads,
    /// a unit reads the units of its head alone, and the rows of a head are together.
    fn recurrent(&self, g: usize, j: usize, x: &[N]) -> N {
        let row = g * self.hidden + j;
        let product = match self.head == self.hidden {
            true => dot(&self.weight_hh, row, x),
            false => {
                let (size, k) = (self.head, j / self.head);
                let gates = self.weight_hh.len() / (self.hidden * size);
                let row = (k * gates + g) * size + j % size;
                dot(&self.weight_hh, row, &x[k * size..(k + 1) * size])
            }
        };
        self.with_bias(1, row, product)
    }

    fn with_bias(&self, which: usize, row: usize, product: N) -> N {
        match self.biases {
            Some(biases) => product + &biases[which][row],
            None => product,
        }
    }
}

pub(super) fn dot<N: Scalar>(matrix: &[N], row: usize, x: &[N]) -> N {
    let weights = &matrix[row * x.len()..(row + 1) * x.len()];
    weights.iter().zip(x).fold(N::constant(0.0), |sum, (w, x)| sum + w * x)
}

/// The memories of unit `j`, and behind them its diagonal weights.
fn memories_and_weights<N: Scalar>(
    memory: &[Vec<N>],
    weight_diag: &[N],
    hidden: usize,
    j: usize,
) -> Vec<N> {
    let rows = memory.iter().map(Vec::as_slice).chain(weight_diag.chunks_exact(hidden));
    rows.map(|row| row[j].clone()).collect()
}
// ANCHOR_END: step

/// One layer of a stack in one direction.
fn part<'a, N: Scalar>(
    cell: &'a dyn ScalarCell<N>,
    options: &LayerOptions,
    given: &'a Values<N>,
    (suffix, noise): (&str, &Noise),
) -> Box<dyn ScalarPart<N> + 'a> {
    let tensor = |name: &str| given[&format!("{name}{suffix}")].as_slice();
    let is_recurrent = !cell.hidden_terms().contains(&HiddenTerm::None);
    let weight_hh = if is_recurrent { tensor("weight_hh") } else { &[] };
    let dropped = |mask: Arc<[f32]>| {
        let dropped = weight_hh.iter().zip(mask.iter());
        dropped.map(|(w, &m)| w * N::constant(f64::from(m))).collect()
    };
    Box::new(Weights {
        cell,
        hidden: options.hidden_size,
        head: options.head_size(),
        weight_ih: tensor("weight_ih"),
        weight_hh: noise.weight(weight_hh.len()).map_or(Cow::Borrowed(weight_hh), dropped),
        biases: options
            .bias
            .then(|| [tensor("bias_ih"), if is_recurrent { tensor("bias_hh") } else { &[] }]),
        weight_hr: (options.proj_size > 0).then(|| tensor("weight_hr")),
        weight_diag: match (cell.diagonal_weights(), is_recurrent) {
            (0, _) => &[],
            (_, true) => tensor("weight_diag"),
            // Without recurrent products they have the name of `U`.
            (_, false) => tensor("weight_hh"),
        },
    })
}

/// A scalar layer of each kind of cell.
macro_rules! scalar_layer {
    ($Kind:ident<$Cell:ident>, $($bound:tt)+) => {
        impl<N: $($bound)+, C: $Cell> ScalarLayer<N> for $Kind<C> {
            fn memories(&self) -> usize {
                ScalarCell::<N>::memories(self)
            }

            fn part<'a>(
                &'a self,
                options: &LayerOptions,
                given: &'a Values<N>,
                suffix: &str,
                noise: &Noise,
            ) -> Box<dyn ScalarPart<N> + 'a> {
                part(self, options, given, (suffix, noise))
            }
        }
    };
}
scalar_layer!(Analytic<AnalyticCell>, Scalar);
scalar_layer!(Real<Cell>, Scalar + Rectify);
