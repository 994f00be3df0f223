//! One layer, one step: the state after it, and how it depends on the parameters.

use super::tangent::Tangent;
use crate::cell::CellVisitor;
use crate::engine::Recorded;
use bptt_cells::{Cell, Planes, Recurrent, State};
use burn::Tensor;
use burn::tensor::{Bool, TensorData};

/// A layer's parameters, untracked.
#[derive(Clone, Debug)]
pub(crate) struct Parameters {
    /// `W`, `[G·H, I]`
    pub(crate) weight_ih: Tensor<2>,
    /// `U`, `[G·H, P]`
    pub(crate) weight_hh: Tensor<2>,
    /// `b` and `b_h`, `[G·H]`
    pub(crate) biases: Option<[Tensor<1>; 2]>,
    /// The projection, `[P, H]`
    pub(crate) weight_hr: Option<Tensor<2>>,
}

/// A layer's state, and its influence matrices: how each of its numbers depends on each of the
/// parameters.
///
/// There is a *block* for this layer and for each below, and a block's columns, `N` of them, are that
/// layer's `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, `weight_hr` (those that are there), and then
/// its initial hidden state and memories.
#[derive(Clone, Debug)]
pub(crate) struct Influenced {
    /// `[B, P]`
    pub(crate) hidden: Tensor<2>,
    /// `M` times `[B, H]`
    pub(crate) memory: Vec<Tensor<2>>,
    /// For each block, ∂`hidden`/∂columns, `[B, N, P]`
    pub(crate) d_hidden: Vec<Tensor<3>>,
    /// For each memory and block, ∂`memory`/∂columns, `[B, N, H]`
    pub(crate) d_memory: Vec<Vec<Tensor<3>>>,
}

/// A step of one layer, to be worked with its cell.
#[derive(Clone, Debug)]
pub(crate) struct Advance {
    pub(crate) parameters: Parameters,
    pub(crate) before: Influenced,
    /// `[B, I]`
    pub(crate) input: Tensor<2>,
    /// For each block below, ∂`input`/∂columns, `[B, N, I]`
    pub(crate) d_input: Vec<Tensor<3>>,
    /// Which rows stand still.
    pub(crate) absent: Option<Vec<bool>>,
}

impl CellVisitor for Advance {
    type Output = Influenced;

    fn visit<C: Cell>(self, cell: C) -> Influenced {
        advance(cell, self)
    }
}

/// `[B, H]`, and for each block its derivatives `[B, N, H]`.
struct Plane {
    value: Tensor<2>,
    d: Vec<Tensor<3>>,
}

/// The state after the step, with its influence.
///
/// R. J. Williams and D. Zipser, "A learning algorithm for continually running fully recurrent neural
/// networks", Neural Computation 1 (1989), 270–280: the influence after a step is the step's Jacobian
/// times the influence before it, plus what the parameters do in this very step. The cell's part of
/// the Jacobian is elementwise; it is had by running the cell's `step` on [`Tangent`]s, once for each
/// of its operands, and no derivative of a cell is written down.
fn advance<C: Cell>(cell: C, step: Advance) -> Influenced {
    let Advance { parameters, before, input, d_input, absent } = step;
    let hidden = parameters.weight_ih.dims()[0] / C::GATES;
    let own = d_input.len();
    let columns = Columns::of(&parameters, before.memory.len());

    // W x + b and U h + b_h with all their derivatives, [B, G·H].
    let mut wx = Plane {
        value: product(
            input.clone(),
            &parameters.weight_ih,
            parameters.biases.as_ref().map(|b| &b[0]),
        ),
        d: d_input.iter().map(|d| times(d, &parameters.weight_ih)).collect(),
    };
    wx.d.push(columns.direct(Column::WeightIh, &input));
    let mut uh = Plane {
        value: columns.recurrent(&parameters, before.hidden.clone()),
        d: before.d_hidden.iter().map(|d| times(d, &parameters.weight_hh)).collect(),
    };
    uh.d[own] = uh.d[own].clone() + columns.direct(Column::WeightHh, &before.hidden);

    let mut operands = Vec::new();
    let mut apart = Vec::new();
    for (g, recurrent) in C::RECURRENT.iter().enumerate() {
        let (wx, uh) = (wx.gate(g, hidden), uh.gate(g, hidden));
        match recurrent {
            Recurrent::Added => operands.push(wx.plus(uh)),
            Recurrent::Apart => {
                operands.push(wx);
                apart.push(uh);
            }
            Recurrent::Inner => operands.push(wx),
        }
    }
    operands.extend(apart);
    // A cell that may stand before a projection reads nothing of `h` by itself.
    if !C::PROJECTABLE {
        operands.push(Plane { value: before.hidden.clone(), d: before.d_hidden.clone() });
    }
    for (value, d) in before.memory.iter().zip(&before.d_memory) {
        operands.push(Plane { value: value.clone(), d: d.clone() });
    }

    if C::RECURRENT.contains(&Recurrent::Inner) {
        let inner = |planes: &Planed<C>| {
            let gates = C::Gates::from_vec(planes.gates.clone());
            vec![cell.inner(&gates, &planes.before)]
        };
        let q = through::<C>(&operands, &before.hidden, inner).remove(0);
        let g = C::GATES - 1;
        let mut uq = Plane {
            value: columns.recurrent(&parameters, q.value.clone()),
            d: q.d.iter().map(|d| times(d, &parameters.weight_hh)).collect(),
        };
        uq.d[own] = uq.d[own].clone() + columns.direct(Column::WeightHh, &q.value);
        let sum = operands.remove(g).plus(uq.gate(g, hidden));
        operands.insert(g, sum);
    }

    let step = |planes: &Planed<C>| {
        let gates = C::Gates::from_vec(planes.gates.clone());
        let apart = C::Apart::from_vec(planes.apart.clone());
        let (after, _kept) = cell.step(gates, apart, &planes.before);
        [after.hidden].into_iter().chain(after.memory.into_vec()).collect()
    };
    let mut after = through::<C>(&operands, &before.hidden, step).into_iter();
    let mut out = after.next().expect("a step has a hidden state");
    if let Some(weight_hr) = &parameters.weight_hr {
        let direct = columns.direct(Column::WeightHr, &out.value);
        out.d = out.d.iter().map(|d| times(d, weight_hr)).collect();
        out.d[own] = out.d[own].clone() + direct;
        out.value = out.value.matmul(weight_hr.clone().transpose());
    }

    let hold = |now: Plane, value: &Tensor<2>, d: &[Tensor<3>]| match &absent {
        Some(absent) => now.held(absent, value, d),
        None => (now.value, now.d),
    };
    let (new_hidden, d_hidden) = hold(out, &before.hidden, &before.d_hidden);
    let memory = after.zip(before.memory.iter().zip(&before.d_memory));
    let (memory, d_memory) = memory.map(|(now, (value, d))| hold(now, value, d)).unzip();
    Influenced { hidden: new_hidden, memory, d_hidden, d_memory }
}

/// The operands of a cell as its own planes.
struct Planed<C: Cell> {
    gates: Vec<Tangent>,
    apart: Vec<Tangent>,
    before: State<Tangent, C::Memory<Tangent>>,
}

impl<C: Cell> Planed<C> {
    /// `hidden` stands for `h` where the cell reads none.
    fn of(mut all: Vec<Tangent>, hidden: &Tensor<2>) -> Self {
        let mut apart = all.split_off(C::GATES);
        let mut rest = apart.split_off(C::Apart::<f64>::LEN);
        let hidden = match C::PROJECTABLE {
            true => {
                Tangent { value: Recorded(hidden.clone()), slope: Recorded(hidden.zeros_like()) }
            }
            false => rest.remove(0),
        };
        let memory = C::Memory::from_vec(rest);
        Self { gates: all, apart, before: State { hidden, memory } }
    }
}

/// Elementwise functions of the operands, with their derivatives by the chain rule: the function is
/// run once for each operand, with a slope of one there.
fn through<C: Cell>(
    operands: &[Plane],
    hidden: &Tensor<2>,
    function: impl Fn(&Planed<C>) -> Vec<Tangent>,
) -> Vec<Plane> {
    let mut results: Vec<Plane> = Vec::new();
    for (seeded, operand) in operands.iter().enumerate() {
        let tangent = |(i, plane): (usize, &Plane)| Tangent {
            value: Recorded(plane.value.clone()),
            slope: Recorded(match i == seeded {
                true => plane.value.ones_like(),
                false => plane.value.zeros_like(),
            }),
        };
        let planes = Planed::of(operands.iter().enumerate().map(tangent).collect(), hidden);
        for (n, Tangent { value, slope }) in function(&planes).into_iter().enumerate() {
            let slope = slope.0.unsqueeze_dim::<3>(1);
            let part = operand.d.iter().map(|d| d.clone() * slope.clone());
            match results.get_mut(n) {
                None => results.push(Plane { value: value.0, d: part.collect() }),
                Some(result) => {
                    let sums = result.d.iter().zip(part).map(|(sum, part)| sum.clone() + part);
                    result.d = sums.collect();
                }
            }
        }
    }
    results
}

impl Plane {
    /// Gate `g` of all.
    fn gate(&self, g: usize, hidden: usize) -> Self {
        let columns = g * hidden..(g + 1) * hidden;
        let value = self.value.clone().slice_dim(1, columns.clone());
        let d = self.d.iter().map(|d| d.clone().slice_dim(2, columns.clone())).collect();
        Self { value, d }
    }

    fn plus(self, other: Self) -> Self {
        let d = self.d.into_iter().zip(other.d).map(|(a, b)| a + b).collect();
        Self { value: self.value + other.value, d }
    }

    /// As before in the rows named.
    fn held(
        self,
        absent: &[bool],
        value: &Tensor<2>,
        d: &[Tensor<3>],
    ) -> (Tensor<2>, Vec<Tensor<3>>) {
        let rows = TensorData::new(absent.to_vec(), [absent.len(), 1]);
        let rows: Tensor<2, Bool> = Tensor::from_data(rows, &value.device());
        let wide = rows.clone().unsqueeze_dim::<3>(2);
        let hold = |(now, then): (Tensor<3>, &Tensor<3>)| {
            let mask = wide.clone().expand(now.dims());
            now.mask_where(mask, then.clone())
        };
        let d = self.d.into_iter().zip(d).map(hold).collect();
        let mask = rows.expand(value.dims());
        (self.value.mask_where(mask, value.clone()), d)
    }
}

fn product(x: Tensor<2>, weight: &Tensor<2>, bias: Option<&Tensor<1>>) -> Tensor<2> {
    let product = x.matmul(weight.clone().transpose());
    match bias {
        Some(bias) => product + bias.clone().unsqueeze(),
        None => product,
    }
}

/// `[B, N, I]` times a weight `[O, I]`: `[B, N, O]`.
fn times(d: &Tensor<3>, weight: &Tensor<2>) -> Tensor<3> {
    let [batch, columns, width] = d.dims();
    let [out, _] = weight.dims();
    let flat = d.clone().reshape([batch * columns, width]);
    flat.matmul(weight.clone().transpose()).reshape([batch, columns, out])
}

/// A part of a block's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    WeightIh,
    WeightHh,
    BiasIh,
    BiasHh,
    WeightHr,
    Hidden,
    Memory,
}

/// A block's columns: what lies where.
pub(crate) struct Columns(Vec<(Column, usize)>);

impl Columns {
    pub(crate) fn of(parameters: &Parameters, memories: usize) -> Self {
        let size = |weight: &Tensor<2>| weight.dims().iter().product();
        let [gates, output] = parameters.weight_hh.dims();
        let mut all = vec![
            (Column::WeightIh, size(&parameters.weight_ih)),
            (Column::WeightHh, size(&parameters.weight_hh)),
        ];
        if parameters.biases.is_some() {
            all.extend([(Column::BiasIh, gates), (Column::BiasHh, gates)]);
        }
        let mut hidden = output;
        if let Some(weight) = &parameters.weight_hr {
            all.push((Column::WeightHr, size(weight)));
            hidden = weight.dims()[1];
        }
        all.extend([(Column::Hidden, output), (Column::Memory, memories * hidden)]);
        Self(all)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|(_, size)| size).sum()
    }

    /// The columns of one part.
    pub(crate) fn range(&self, part: Column) -> std::ops::Range<usize> {
        let mut from = 0;
        for &(other, size) in &self.0 {
            if other == part {
                return from..from + size;
            }
            from += size;
        }
        0..0
    }

    /// `U x + b_h`, `[B, G·H]`
    fn recurrent(&self, parameters: &Parameters, x: Tensor<2>) -> Tensor<2> {
        product(x, &parameters.weight_hh, parameters.biases.as_ref().map(|biases| &biases[1]))
    }

    /// How a product `weight · x [+ bias]` depends on its own weight and bias: `[B, N, O]`, zero in all
    /// other columns.
    fn direct(&self, weight: Column, x: &Tensor<2>) -> Tensor<3> {
        let [batch, width] = x.dims();
        let options = (&x.device(), x.dtype());
        let out = self.range(weight).len() / width;
        let eye = Tensor::<2>::eye(out, &x.device()).cast(x.dtype());
        let parts = self.0.iter().filter(|(_, size)| *size > 0).map(|&(part, size)| {
            let bias = matches!(
                (weight, part),
                (Column::WeightIh, Column::BiasIh) | (Column::WeightHh, Column::BiasHh)
            );
            if part == weight {
                // ∂(row r)/∂(weight[r, i]) = x_i
                let eye = eye.clone().reshape([1, out, 1, out]);
                let x = x.clone().reshape([batch, 1, width, 1]);
                return (eye * x).reshape([batch, size, out]);
            }
            match bias {
                true => eye.clone().unsqueeze::<3>().expand([batch, out, out]),
                false => Tensor::zeros([batch, size, out], options),
            }
        });
        Tensor::cat(parts.collect(), 1)
    }
}
