//! The weights, packed for the way back.

use crate::host::Slices;
use crate::host::layer::Layer;
use crate::host::panels::{Panels, Source, pack_all};
use crate::host::real::Real;
use crate::recurrent::Operand;

/// The weights as the way back multiplies with them: not transposed.
pub(super) struct Weights<T> {
    pub(super) hh: Panels<T>,
    pub(super) ih: Option<Panels<T>>,
    pub(super) inner: Option<Panels<T>>,
    pub(super) project: Option<Panels<T>>,
}

impl<T: Real> Weights<T> {
    /// Packed by `count` threads; `W` only if it is wanted. A weight that is not there is zero, which a
    /// matrix of no depth is as well.
    pub(super) fn new(
        layer: &Layer,
        operands: &Slices<'_, T>,
        wants_input: bool,
        count: usize,
    ) -> Self {
        let Layer { input, hidden, output, hp, pp, isa, gates, .. } = *layer;
        let outer = layer.outer();
        let depth = |operand, depth| if operands.has(operand) { depth } else { 0 };
        let mut hh = Panels::new(isa, depth(Operand::WeightHh, outer * hp), 1, output, pp);
        let ih_depth = depth(Operand::WeightIh, gates * hp);
        let mut ih = wants_input.then(|| Panels::new(isa, ih_depth, 1, input, input));
        let inner_depth = depth(Operand::WeightHh, hp);
        let mut inner = layer.inner.then(|| Panels::new(isa, inner_depth, 1, hidden, hp));
        let project_depth = depth(Operand::WeightHr, output);
        let mut project = layer.projected.then(|| Panels::new(isa, project_depth, 1, hidden, hp));
        let rows_of = |operand, gates: &mut dyn Iterator<Item = usize>, (rows, padded), row| {
            let data = operands.get(operand).copied();
            let groups = gates.map(|gate| gate * hidden * row).collect();
            let groups = if data.is_some() { groups } else { vec![] };
            let data = data.unwrap_or(&[]);
            Source { data, planes: vec![0], column: 1, groups, rows, padded, row }
        };
        let (units, whole) = ((hidden, hp), (output, output));
        let hh_source = rows_of(Operand::WeightHh, &mut (0..outer), units, output);
        let ih_gates = &mut (0..gates).map(|plane| layer.gate(plane));
        let ih_source = rows_of(Operand::WeightIh, ih_gates, units, input);
        let inner_source = rows_of(Operand::WeightHh, &mut (gates - 1..gates), units, output);
        let project_source = rows_of(Operand::WeightHr, &mut (0..1), whole, hidden);
        let packers = [
            Some((hh.packer(), &hh_source)),
            ih.as_mut().map(|panels| (panels.packer(), &ih_source)),
            inner.as_mut().map(|panels| (panels.packer(), &inner_source)),
            project.as_mut().map(|panels| (panels.packer(), &project_source)),
        ];
        pack_all(count, &packers.into_iter().flatten().collect::<Vec<_>>());
        Self { hh, ih, inner, project }
    }
}
