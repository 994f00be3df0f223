//! Layers in heads: block-diagonal recurrent weights.

use super::*;

impl<C: Cell, T: Gemm + Element> Problem<C, T> {
    /// The same in heads, with the first of the recurrent weights as blocks.
    fn with_heads(mut self, heads: usize) -> Self {
        let Sizes { hidden, output, .. } = self.sizes;
        let mut weight = self.operands.take(Operand::WeightHh).expect("the cell has some");
        weight.truncate(C::GATES * hidden * (output / heads));
        self.operands.set(Operand::WeightHh, Some(weight));
        self.heads = heads;
        self
    }

    /// Whether its heads have whole panels, for every instruction set.
    pub(super) fn has_whole_panels(&self) -> bool {
        (self.sizes.hidden / self.heads).is_multiple_of(32)
    }
}

/// One unit a head; heads that begin and end inside of panels, of SIMD vectors, and behind the whole panels; heads of
/// whole panels; many blocks of steps.
const SIZES: [([usize; 4], usize); 6] = [
    ([5, 2, 3, 4], 4),
    ([3, 7, 13, 66], 3),
    ([2, 3, 5, 40], 2),
    ([3, 4, 5, 96], 3),
    ([140, 1, 9, 18], 3),
    ([2, 5, 8, 128], 2),
];

fn check_cell<C: Cell, T: Gemm + Element>(cell: C) {
    for (sizes, heads) in SIZES {
        let mut problem = Problem::<C, T>::new(cell, sizes, None).with_heads(heads);
        problem.check("in heads");
        problem.plan = problem.plan.with_reverse(true);
        problem.check("in heads, in reverse");
    }
    let mut problem = Problem::<C, T>::new(cell, [6, 4, 5, 20], None).with_heads(2);
    problem.plan = problem.plan.with_mask(Some(SequenceMask::Lengths(Arc::from([6, 2, 0, 5]))));
    problem.check("in heads with lengths");
    problem.check_duals("in heads with lengths");
    let problem = Problem::<C, T>::new(cell, [9, 3, 5, 20], None).with_heads(2);
    problem.with_resets(true).check("in heads with resets");
    Problem::<C, T>::new(cell, [3, 4, 5, 66], None).with_heads(3).check_duals("in heads");
}

#[test]
fn layers_in_heads_are_the_reference_and_the_same() {
    check_cell::<_, f32>(Lstm);
    check_cell::<_, f64>(GruResetAfter);
    check_cell::<_, f64>(GruResetBefore);
}
