//! The weights of a layer, packed for its backward pass.

use crate::host::gemm::columns::Columns;
use crate::host::gemm::panels::{Panels, Source, pack_all};
use crate::host::layout::plain_rows::Slices;
use crate::host::layout::sizes::Layer;
use crate::host::sequence::heads::Heads;
use crate::host::simd::real::Real;
use crate::operation::operands::Operand;
use std::ops::Range;

/// The weights, packed for the backward pass: not transposed.
pub(super) struct Weights<T> {
    pub(super) hh: Panels<T>,
    pub(super) ih: Option<Panels<T>>,
    pub(super) gated: Option<Panels<T>>,
    pub(super) project: Option<Panels<T>>,
    /// In heads, the blocks of `U`, in place of `hh` and `gated`, which are empty then.
    pub(super) heads: Option<Heads<T>>,
}

impl<T: Real> Weights<T> {
    /// Packs them by `count` threads; `W` only if it is wanted. A weight that is missing is zero; a matrix without an
    /// inner dimension has the same products.
    pub(super) fn new(
        layer: &Layer,
        operands: &Slices<'_, T>,
        wants_input: bool,
        count: usize,
    ) -> Self {
        let Layer { input, hidden, output, isa, gates, panel, whole, .. } = *layer;
        let inner_of = |operand, columns| match operands.has(operand) {
            true => columns,
            false => Columns::none(),
        };
        let plain = |count| Columns::plain(count, panel);
        let (mut heads, of_heads) = Heads::backward(layer, operands).unzip();
        let is_whole = heads.is_none();
        let result = |count: usize| if is_whole { plain(count).padded() } else { Columns::none() };
        let of_h = inner_of(Operand::WeightHh, layer.of_h().1);
        let mut hh = Panels::new(isa, of_h, 1, result(output));
        let of_x = inner_of(Operand::WeightIh, layer.of_x().1);
        let mut ih = wants_input.then(|| Panels::new(isa, of_x, 1, plain(input)));
        let of_gated = inner_of(Operand::WeightHh, layer.of_gated().1);
        let mut gated = layer.gated.then(|| Panels::new(isa, of_gated, 1, result(hidden)));
        let of_output = inner_of(Operand::WeightHr, plain(output));
        let mut project =
            layer.projected.then(|| Panels::new(isa, of_output, 1, plain(hidden).padded()));
        let source = |operand, rows: Vec<(usize, usize)>, row| {
            let data = operands.get(operand).copied();
            let rows = if data.is_some() { rows } else { vec![] };
            Source { data: data.unwrap_or(&[]), planes: vec![0], column: 1, rows, row }
        };
        // The rows of a matrix, in the order of the columns of the planes of those gates.
        let rows_of = |operand, gates: Vec<usize>, row| {
            let some = |units: Range<usize>| {
                let begin = move |&gate: &usize| ((gate * hidden + units.start) * row, units.len());
                gates.iter().map(begin)
            };
            source(operand, some(0..whole).chain(some(whole..hidden)).collect(), row)
        };
        let hh_source = rows_of(Operand::WeightHh, (0..layer.outer()).collect(), output);
        let gates_of_x = (0..gates).map(|plane| layer.gate(plane)).collect();
        let ih_source = rows_of(Operand::WeightIh, gates_of_x, input);
        let gated_source = rows_of(Operand::WeightHh, vec![gates - 1], output);
        let project_source = source(Operand::WeightHr, vec![(0, output)], hidden);
        let packers = [
            is_whole.then(|| (hh.packer(), &hh_source)),
            ih.as_mut().map(|panels| (panels.packer(), &ih_source)),
            gated.as_mut().filter(|_| is_whole).map(|panels| (panels.packer(), &gated_source)),
            project.as_mut().map(|panels| (panels.packer(), &project_source)),
        ];
        let blocks = heads.iter_mut().flat_map(Heads::packers).zip(of_heads.iter().flatten());
        pack_all(count, &packers.into_iter().flatten().chain(blocks).collect::<Vec<_>>());
        Self { hh, ih, gated, project, heads }
    }
}
