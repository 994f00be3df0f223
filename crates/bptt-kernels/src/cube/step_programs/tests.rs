//! A recorded program computes what the cell's text computes, to the bit.

use super::*;
use bptt_cells::{
    Clipped, GruDreamer, GruResetAfter, GruResetAfterDropped, GruResetBefore, IndRnnRelu,
    IndRnnTanh, Lem, Lstm, LstmCoupled, LstmDropped, LstmLayerNorm, LstmPeephole, Mgu, Rhn,
    RnnRelu, RnnTanh, Slstm, Unicornn,
};

/// Numbers between -2 and 2 that do not repeat.
fn numbers(count: usize) -> Vec<f64> {
    (0..count).map(|k| 2.0 * (1.0 + 1.7 * k as f64).sin()).collect()
}

/// The next numbers, as many as the components are.
fn taken<T: Components<f64>>(numbers: &mut impl Iterator<Item = f64>) -> T {
    T::from_vec(numbers.take(T::LEN).collect())
}

fn state<C: Layout>(numbers: &mut impl Iterator<Item = f64>) -> State<f64, C::Memory<f64>> {
    State { hidden: numbers.next().expect("enough numbers"), memory: taken(numbers) }
}

fn listed<C: Layout>(back: Backward<C, f64>) -> Vec<f64> {
    let Backward { d_gates, d_separate, d_hidden, d_memory } = back;
    let d_hidden = d_hidden.into_iter().collect();
    [d_gates.into_vec(), d_separate.into_vec(), d_hidden, d_memory.into_vec()].concat()
}

fn check<C: Cell>(cell: C) {
    let programs = StepPrograms::of(&cell).expect("the cell computes each unit by itself");
    let Counts { gates, separate, memories, saved, .. } = programs.counts;

    let inputs = numbers(gates + separate + 1 + memories);
    let mut next = inputs.iter().copied();
    let (a, s) = (taken(&mut next), taken(&mut next));
    let (after, values) = cell.step::<f64>(a, s, &state::<C>(&mut next));
    let expected = [vec![after.hidden], after.memory.into_vec(), values.into_vec()].concat();
    assert_eq!(programs.forward.run(&inputs), expected, "{}: forward", C::NAME);

    let inputs = numbers(saved + 3 * (1 + memories));
    let mut next = inputs.iter().copied();
    let values = taken(&mut next);
    let (before, after) = (state::<C>(&mut next), state::<C>(&mut next));
    let back = cell.step_backward::<f64>(values, &before, &after, state::<C>(&mut next));
    assert_eq!(programs.direct, back.d_hidden.is_some());
    assert_eq!(programs.backward.run(&inputs), listed(back), "{}: backward", C::NAME);

    let Some((gated, gated_backward)) = programs.gated.zip(programs.gated_backward) else { return };
    let inputs = numbers(gates + 1 + memories);
    let mut next = inputs.iter().copied();
    let a = taken(&mut next);
    let expected = cell.gated_hidden::<f64>(&a, &state::<C>(&mut next));
    assert_eq!(gated.run(&inputs), [expected], "{}: the gated hidden state", C::NAME);

    let direct = programs.direct;
    let inputs = numbers(saved + 2 + memories + gates + separate + usize::from(direct) + memories);
    let mut next = inputs.iter().copied();
    let values = taken(&mut next);
    let before = state::<C>(&mut next);
    let d_gated = next.next().expect("enough numbers");
    let so_far = Backward {
        d_gates: taken(&mut next),
        d_separate: taken(&mut next),
        d_hidden: direct.then(|| next.next().expect("enough numbers")),
        d_memory: taken(&mut next),
    };
    let back = cell.gated_hidden_backward::<f64>(&values, &before, d_gated, so_far);
    assert_eq!(gated_backward.run(&inputs), listed(back), "{}: gated backward", C::NAME);
}

#[test]
fn a_program_computes_what_the_cells_text_does() {
    check(Lstm);
    check(LstmPeephole);
    check(LstmCoupled);
    check(Clipped { cell: Lstm, bound: 0.75 });
    check(Clipped { cell: LstmCoupled, bound: 0.25 });
    check(LstmDropped);
    check(Slstm);
    check(GruResetAfter);
    check(GruResetAfterDropped);
    check(GruResetBefore);
    check(Mgu);
    check(Lem::default());
    check(RnnTanh);
    check(RnnRelu);
    check(IndRnnTanh);
    check(IndRnnRelu);
    check(Rhn);
    check(Unicornn::default());
}

#[test]
fn a_cell_that_mixes_units_has_no_program() {
    assert!(StepPrograms::of(&LstmLayerNorm).is_none());
    assert!(StepPrograms::of(&GruDreamer).is_none());
}

/// Two bounds are two programs, and so two kernels; the same cell twice is one.
#[test]
fn options_of_a_cell_are_part_of_its_program() {
    let clipped = |bound| StepPrograms::of(&Clipped { cell: Lstm, bound });
    assert_eq!(clipped(0.5), clipped(0.5));
    assert_ne!(clipped(0.5), clipped(0.25));
    assert_ne!(clipped(0.5), StepPrograms::of(&Lstm));
}

/// What no result needs is not computed: the backward step of an LSTM does not read the state before it.
#[test]
fn a_program_has_only_what_its_results_need() {
    let programs = StepPrograms::of(&Lstm).expect("an LSTM has programs");
    let reads = |input| programs.backward.reads(input);
    let [hidden_before, memory_before] = [4, 5];
    assert!(!reads(hidden_before) && reads(memory_before));
    let operations = programs.forward.operations.len();
    // Five inputs (four gates and the memory), four gates, two products and a sum, a tangent and a product.
    assert_eq!(operations, 5 + 4 + 3 + 2);
}
