//! The kernels in dual numbers: the values have the same bits as in plain numbers, and all bits are the same however
//! the threads share the work. (Tests in `bptt-probe`, which uses the tangents, check that they are right.)

use super::*;
use crate::host::step::cell_steps::InDuals;

impl<C: Cell, T: Gemm + Element> Problem<C, T> {
    /// The same rows, each followed by a row of tangents.
    fn doubled(&self) -> (Self, Operands<Vec<T>>) {
        let Sizes { input, hidden, output, .. } = self.sizes;
        let rows = |values: &[T], width: usize, seed| -> Vec<T> {
            let tangents = numbers::<T>(values.len(), seed);
            let pairs = values.chunks_exact(width).zip(tangents.chunks_exact(width));
            pairs.flat_map(|(value, tangent)| [value, tangent].concat()).collect()
        };
        let (mut values, mut tangents) = (Operands::new(), Operands::new());
        for (operand, numbers_of) in self.operands.iter() {
            let seed = 200 + operand as u64;
            let width = match operand {
                Operand::Input => input,
                Operand::Hidden | Operand::ResetHidden => output,
                Operand::Memory | Operand::ResetMemory => hidden,
                // A tangent of zero.
                Operand::BiasHh => {
                    values = values.with(operand, numbers_of.clone());
                    continue;
                }
                _ => {
                    values = values.with(operand, numbers_of.clone());
                    tangents = tangents.with(operand, numbers::<T>(numbers_of.len(), seed));
                    continue;
                }
            };
            values = values.with(operand, rows(numbers_of, width, seed));
        }
        let d = &self.cotangent;
        let cotangent = Cotangents {
            outputs: d.outputs.as_ref().map(|d| rows(d, output, 301)),
            hidden: d.hidden.as_ref().map(|d| rows(d, output, 302)),
            memory: d.memory.as_ref().map(|d| rows(d, hidden, 303)),
        };
        let mut plan = self.plan.clone();
        plan.options.rows = plan.options.rows.in_duals();
        let sizes = Sizes { batch: 2 * self.sizes.batch, ..self.sizes };
        let Self { projected, heads, .. } = *self;
        (Self { plan, sizes, projected, heads, operands: values, cotangent }, tangents)
    }

    /// The results and all gradients of a problem in dual numbers.
    fn in_duals(
        &self,
        tangents: &Operands<Vec<T>>,
        isa: Isa,
        threads: ThreadPlan,
    ) -> (Results<Vec<T>>, Operands<Vec<T>>) {
        let Sizes { batch, input, .. } = self.sizes;
        let strides = [batch * input, input];
        let layer = layer::<C, T>(&self.plan, &self.sizes, strides, self.projected, isa);
        let layer = Layer { heads: self.heads, ..layer.in_duals() };
        let slices = self.operands.map_ref(Vec::as_slice);
        let tangents = tangents.map_ref(Vec::as_slice);
        let runner = CellRunner { steps: &InDuals(&self.plan.cell), tangents: Some(&tangents) };
        let rows = &self.plan.options.rows;
        let (results, trace) = forward(runner, &layer, &slices, rows, Keep::All, None, threads);
        let inputs = BackwardInputs {
            trace: &mut trace.expect("it was asked for"),
            outputs: &results.outputs,
            d_results: Cotangents {
                outputs: self.cotangent.outputs.as_deref(),
                hidden: self.cotangent.hidden.as_deref(),
                memory: self.cotangent.memory.as_deref(),
            },
            observer: None,
        };
        let wanted = self.operands.clone().map(|_| ());
        let gradients = backward(runner, &layer, &slices, rows, inputs, &wanted, threads);
        (results.map(|x| x.to_vec()), gradients.map(|x| x.to_vec()))
    }

    pub(super) fn check_duals(&self, what: &str) {
        let Sizes { input, hidden, output, .. } = self.sizes;
        let (doubled, tangents) = self.doubled();
        for isa in isas() {
            let (results, gradients) = doubled.in_duals(&tangents, isa, ALONE);
            let all = format!("{results:?} {gradients:?}");

            // The rows of values.
            let of_rows = |rows: Vec<T>, width: usize| -> Vec<T> {
                rows.chunks_exact(2 * width).flat_map(|pair| &pair[..width]).copied().collect()
            };
            let mut values =
                vec![of_rows(results.outputs, output), of_rows(results.hidden, output)];
            values.extend(results.memory.map(|c| of_rows(c, hidden)));
            for (operand, d) in gradients.iter() {
                values.push(match operand {
                    Operand::Input => of_rows(d.clone(), input),
                    Operand::Hidden | Operand::ResetHidden => of_rows(d.clone(), output),
                    Operand::Memory | Operand::ResetMemory => of_rows(d.clone(), hidden),
                    _ => d[..d.len() / 2].to_vec(),
                });
            }
            let plain = self.by_kernels(isa, ALONE);
            for (n, (value, plain)) in values.iter().zip(&plain).enumerate() {
                assert!(
                    format!("{value:?}") == format!("{plain:?}"),
                    "{} {what} {isa:?}: in dual numbers the values of result {n} have other bits",
                    C::NAME,
                );
            }

            for threads in self.thread_plans(&[2, 3]) {
                let (results, gradients) = doubled.in_duals(&tangents, isa, threads);
                assert!(
                    format!("{results:?} {gradients:?}") == all,
                    "{} {what} {isa:?}: other bits by {threads:?}",
                    C::NAME,
                );
            }
        }
    }
}

fn check_cell<C: Cell, T: Gemm + Element>(cell: C) {
    for sizes in [[5, 2, 3, 4], [1, 1, 1, 1], [3, 7, 13, 37], [140, 1, 9, 33]] {
        Problem::<C, T>::new(cell, sizes, None).check_duals("plain");
    }
    let mut problem = Problem::<C, T>::new(cell, [6, 4, 5, 19], None);
    problem.plan = problem
        .plan
        .with_mask(Some(SequenceMask::Lengths(Arc::from([6, 2, 0, 5]))))
        .with_reverse(true);
    problem.check_duals("with lengths in reverse");
    let mask = (0..24).map(|i| i % 4 != 2 && i / 4 != 3 && i * 7 % 5 != 1).collect();
    problem.plan = problem.plan.with_mask(Some(SequenceMask::Steps(mask)));
    problem.check_duals("with a mask");
    problem.plan = problem.plan.with_masked_output(MaskedOutput::Hold);
    problem.check_duals("with a mask, held");
    problem.with_resets(true).check_duals("with resets and a mask, held");
    if C::PROJECTABLE {
        let mut problem = Problem::<C, T>::new(cell, [6, 4, 5, 19], Some(7));
        problem.check_duals("projected");
        problem.plan = problem
            .plan
            .with_mask(Some(SequenceMask::Lengths(Arc::from([3, 6, 1, 0]))))
            .with_masked_output(MaskedOutput::Hold);
        problem.check_duals("projected, with lengths, held");
    }
}

#[test]
fn dual_numbers_have_the_values_of_plain_ones_and_the_same_bits_for_any_threads() {
    check_cell::<_, f64>(Lstm);
    check_cell::<_, f32>(Clipped { cell: Lstm, bound: 0.3 });
    check_cell::<_, f64>(LstmCoupled);
    check_cell::<_, f32>(GruResetAfter);
    check_cell::<_, f64>(GruResetBefore);
    check_cell::<_, f64>(RnnTanh);
    check_cell::<_, f32>(RnnRelu);
    // A sequence with more rows than a block of the large products.
    Problem::<_, f64>::new(Lstm, [70, 17, 12, 20], None).check_duals("long");
}
