//! The weights of a layer, packed for its forward pass.

use crate::host::gemm::columns::Columns;
use crate::host::gemm::panels::{Panels, Source, pack_all};
use crate::host::layout::plain_rows::Slices;
use crate::host::layout::sizes::Layer;
use crate::host::memory::buffer::Buffer;
use crate::host::sequence::heads::Heads;
use crate::host::simd::real::Real;
use crate::operation::operands::Operand;

/// The weights of a layer, packed for its forward pass, and its biases.
#[derive(Debug)]
pub(crate) struct PackedWeights<T> {
    /// The packed matrices: for `x`, for `h`, for the gated hidden state, and for the projection.
    pub(crate) weight_ih: Panels<T>,
    pub(crate) weight_hh: Panels<T>,
    pub(crate) gated: Option<Panels<T>>,
    pub(crate) project: Option<Panels<T>>,
    /// In heads, the blocks of `U`, in place of the matrices for `h` and for the gated hidden state, which are empty then.
    pub(crate) heads: Option<Heads<T>>,
    /// The biases, in the order of a row of planes.
    pub(crate) bias: Buffer<T>,
}

impl<T: Real> PackedWeights<T> {
    /// Packs them by `count` threads. A weight that is missing is zero; a matrix without an inner dimension has the
    /// same products.
    pub(crate) fn new(layer: &Layer, operands: &Slices<'_, T>, count: usize) -> Self {
        let depth = |operand, depth| match operands.has(operand) {
            true => Columns::plain(depth, layer.panel),
            false => Columns::none(),
        };
        let Layer { input, hidden, output, isa, gates, .. } = *layer;
        let input = depth(Operand::WeightIh, input);
        let mut weight_ih = Panels::new(isa, input, gates, layer.of_x().1);
        let (mut heads, of_heads) = Heads::forward(layer, operands).unzip();
        let is_whole = heads.is_none();
        let of_hidden = depth(Operand::WeightHh, if is_whole { output } else { 0 });
        let result = |columns| if is_whole { columns } else { Columns::none() };
        let mut weight_hh = Panels::new(isa, of_hidden, layer.outer(), result(layer.of_h().1));
        let gated = || Panels::new(isa, of_hidden, 1, result(layer.of_gated().1));
        let mut gated = layer.gated.then(gated);
        let own = depth(Operand::WeightHr, hidden);
        let project = || Panels::new(isa, own, 1, Columns::plain(output, layer.panel).padded());
        let mut project = layer.projected.then(project);
        let sources = [
            weight_ih_source(layer, operands),
            outer_source(layer, operands),
            gated_source(layer, operands),
            project_source(layer, operands),
        ];
        let packers = [
            Some(weight_ih.packer()),
            is_whole.then(|| weight_hh.packer()),
            gated.as_mut().filter(|_| is_whole).map(Panels::packer),
            project.as_mut().map(Panels::packer),
        ];
        let all = packers.into_iter().zip(&sources);
        let blocks = heads.iter_mut().flat_map(Heads::packers);
        let of_heads = of_heads.iter().flatten();
        let all = all.filter_map(|(packer, from)| Some((packer?, from)));
        pack_all(count, &all.chain(blocks.zip(of_heads)).collect::<Vec<_>>());
        Self { weight_ih, weight_hh, gated, project, heads, bias: bias_row(layer, operands) }
    }
}

/// The biases of the planes: the sum of both, where both products are added.
fn bias_row<T: Real>(layer: &Layer, operands: &Slices<'_, T>) -> Buffer<T> {
    let Layer { hidden, gates, added, separate, .. } = *layer;
    let mut row = Buffer::zeros(&[layer.row]);
    let mut add = |operand, gate: usize, plane: usize| {
        let Some(bias) = operands.get(operand) else { return };
        for (column, units) in layer.pieces(plane, &(0..hidden)) {
            let to = &mut row.as_mut_slice()[column..][..units.len()];
            for (to, &b) in to.iter_mut().zip(&bias[gate * hidden + units.start..]) {
                *to = T::plus(*to, b);
            }
        }
    };
    for gate in 0..gates {
        add(Operand::BiasIh, gate, layer.plane(gate));
        let is_separate = (added..added + separate).contains(&gate);
        let plane = if is_separate { gates + gate - added } else { layer.plane(gate) };
        add(Operand::BiasHh, gate, plane);
    }
    row
}

/// `W [G·H, I]`, transposed.
fn weight_ih_source<'a, T: Real>(layer: &Layer, operands: &Slices<'a, T>) -> Source<'a, T> {
    let Layer { input, hidden, gates, .. } = *layer;
    let planes = (0..gates).map(|plane| layer.gate(plane) * hidden * input).collect();
    transposed(operands.get(Operand::WeightIh), planes, input)
}

/// The rows of `U [G·H, P]` that are multiplied with `h`, transposed.
fn outer_source<'a, T: Real>(layer: &Layer, operands: &Slices<'a, T>) -> Source<'a, T> {
    let Layer { hidden, output, .. } = *layer;
    let planes = (0..layer.outer()).map(|gate| gate * hidden * output).collect();
    transposed(operands.get(Operand::WeightHh), planes, output)
}

/// The rows of `U` that are multiplied with the gated hidden state, transposed.
fn gated_source<'a, T: Real>(layer: &Layer, operands: &Slices<'a, T>) -> Source<'a, T> {
    let Layer { hidden, output, gates, .. } = *layer;
    transposed(operands.get(Operand::WeightHh), vec![(gates - 1) * hidden * output], output)
}

/// `W_hr [P, H]`, transposed.
fn project_source<'a, T: Real>(layer: &Layer, operands: &Slices<'a, T>) -> Source<'a, T> {
    transposed(operands.get(Operand::WeightHr), vec![0], layer.hidden)
}

/// Rows of `depth` elements, which become columns; none, if the matrix is missing.
fn transposed<'a, T>(data: Option<&&'a [T]>, planes: Vec<usize>, depth: usize) -> Source<'a, T> {
    let Some(&data) = data else {
        let planes = vec![0; planes.len()];
        return Source { data: &[], planes, column: 0, rows: vec![], row: 1 };
    };
    Source { data, planes, column: depth, rows: vec![(0, depth)], row: 1 }
}
