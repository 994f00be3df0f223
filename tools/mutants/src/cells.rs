//! The mutants of the cells.

use crate::cell::{Function, Mutated, Mutation, mutations};
use crate::suite::{Catch, Suite, Verdict};
use bptt::cells::{
    Cell, Clipped, Components, GruDreamer, GruLayerNorm, GruResetAfter, GruResetAfterDropped,
    GruResetBefore, GruResetBeforeDropped, IndRnnRelu, IndRnnTanh, Lem, Lstm, LstmCoupled,
    LstmDropped, LstmLayerNorm, LstmPeephole, Mgu, Rhn, RnnRelu, RnnTanh, Slstm, Unicornn,
};
use bptt::{AnyState, CellVisitor, Kernel, SequenceCell};
use bptt_probe::measure_layer;
use burn::tensor::Device;

/// All mutants of all cells by both kernels, through the tiny cases of the table or through all.
///
/// # Errors
///
/// One line: if a case does not run, or if the cells are not right to begin with.
pub fn of_cells(device: &Device, tiny: bool) -> Result<Vec<Verdict>, String> {
    let mut all = Vec::new();
    let of = |name: &str, clip: Option<f64>| -> Suite {
        Suite::new(device, |case| {
            let o = &case.options;
            // A bound is another cell, and each bound again; a mask on the candidate is one, too.
            let same = o.cell_name() == name && o.clip == clip && !o.has_candidate_mask();
            same && (case.tiny || !tiny)
        })
    };
    let clip = 0.4;
    mutate(RnnTanh, "rnn-tanh", of("rnn-tanh", None), &mut all)?;
    mutate(RnnRelu, "rnn-relu", of("rnn-relu", None), &mut all)?;
    mutate(Lstm, "lstm", of("lstm", None), &mut all)?;
    mutate(LstmCoupled, "lstm-coupled", of("lstm-coupled", None), &mut all)?;
    let cell = Clipped { cell: Lstm, bound: clip };
    mutate(cell, "lstm, clipped", of("lstm", Some(clip)), &mut all)?;
    let cell = Clipped { cell: LstmCoupled, bound: clip };
    mutate(cell, "lstm-coupled, clipped", of("lstm-coupled", Some(clip)), &mut all)?;
    mutate(GruResetAfter, "gru", of("gru", None), &mut all)?;
    mutate(GruResetBefore, "gru-reset-before", of("gru-reset-before", None), &mut all)?;
    mutate(LstmPeephole, "lstm-peephole", of("lstm-peephole", None), &mut all)?;
    mutate(Mgu, "mgu", of("mgu", None), &mut all)?;
    mutate(Rhn, "rhn", of("rhn", None), &mut all)?;
    mutate(Lem::default(), "lem", of("lem", None), &mut all)?;
    mutate(IndRnnTanh, "indrnn-tanh", of("indrnn-tanh", None), &mut all)?;
    mutate(IndRnnRelu, "indrnn-relu", of("indrnn-relu", None), &mut all)?;
    mutate(Slstm, "slstm", of("slstm", None), &mut all)?;
    mutate(LstmLayerNorm, "lstm-layernorm", of("lstm-layernorm", None), &mut all)?;
    mutate(GruLayerNorm, "gru-layernorm", of("gru-layernorm", None), &mut all)?;
    mutate(GruDreamer, "gru-dreamer", of("gru-dreamer", None), &mut all)?;
    mutate(Unicornn::default(), "unicornn", of("unicornn", None), &mut all)?;
    let of_dropped = |name: &str| {
        Suite::new(device, |case| {
            let is_its = case.options.cell_name() == name && case.options.has_candidate_mask();
            is_its && (case.tiny || !tiny)
        })
    };
    mutate_dropped(Lstm, LstmDropped, of_dropped("lstm"), &mut all)?;
    mutate_dropped(GruResetAfter, GruResetAfterDropped, of_dropped("gru"), &mut all)?;
    let suite = of_dropped("gru-reset-before");
    mutate_dropped(GruResetBefore, GruResetBeforeDropped, suite, &mut all)?;
    Ok(all)
}

fn mutate<C: Cell>(
    cell: C,
    place: &str,
    suite: Suite,
    all: &mut Vec<Verdict>,
) -> Result<(), String> {
    let mutated = |mutation| Mutated { cell, mutation };
    each_of(mutations(&cell), mutated, place, suite, all)
}

/// A cell, and its form with a mask on the candidate.
#[derive(Clone, Copy, Debug)]
struct WithDropped<C, D> {
    cell: C,
    dropped: D,
}

impl<C: Cell, D: Cell> SequenceCell for WithDropped<C, D> {
    type State = AnyState;

    fn accept<V: CellVisitor>(&self, visitor: V) -> V::Output {
        visitor.visit(self.cell)
    }

    fn accept_dropped<V: CellVisitor>(&self, visitor: V) -> Option<V::Output> {
        Some(visitor.visit(self.dropped))
    }
}

/// The same for a cell with a mask on its candidate, which is the last memory. The gradient of the mask is left out,
/// because no engine reads it: the last operations of the step, and if there is no other memory, what concerns memories.
/// The tests of the cells compare it with differences.
fn mutate_dropped<C: Cell, D: Cell>(
    cell: C,
    dropped: D,
    suite: Suite,
    all: &mut Vec<Verdict>,
) -> Result<(), String> {
    let mut of_step = 0;
    let mut mutations = mutations(&dropped);
    for mutation in &mutations {
        if let Mutation::Term { function: Function::StepBackward, at, .. } = mutation {
            of_step = of_step.max(at + 1);
        }
    }
    let has_other = D::Memory::<f64>::LEN > 1;
    // The product with the candidate, with that of the LSTM's input gate, and the sum.
    let of_mask = if has_other { 3 } else { 2 };
    mutations.retain(|mutation| match mutation {
        Mutation::Term { function: Function::StepBackward, at, .. } => at + of_mask < of_step,
        Mutation::MissingMemory | Mutation::UnreadMemory => has_other,
        Mutation::MemoryTooLate | Mutation::MemoryTooEarly => has_other,
        _ => true,
    });
    let mutated = |mutation| WithDropped { cell, dropped: Mutated { cell: dropped, mutation } };
    each_of(mutations, mutated, &format!("{}, dropped", D::NAME), suite, all)
}

fn each_of<C: SequenceCell>(
    mutations: Vec<Mutation>,
    mutated: impl Fn(Mutation) -> C,
    place: &str,
    suite: Suite,
    all: &mut Vec<Verdict>,
) -> Result<(), String> {
    let wrong = |mutation, kernel| {
        suite.first_failure(kernel, |problem, setting| {
            let cell = mutated(mutation);
            let device = setting.device.clone().autodiff();
            let layer = problem.options.config().stack().try_init(cell, &device);
            Ok(measure_layer(problem, setting, layer.map_err(|error| error.to_string())?))
        })
    };
    for kernel in [Kernel::Auto, Kernel::Reference] {
        // Otherwise each mutant would be caught, whatever it did.
        if suite.is_empty() {
            return Err(format!("{place}: no case of the table has it"));
        }
        if let Some(Catch { case, tensor, error, .. }) = wrong(Mutation::None, kernel)? {
            return Err(format!(
                "{place}: {case} {tensor} is off by {error:.1e} without a mutation"
            ));
        }
        for &mutation in &mutations {
            all.push(Verdict {
                place: place.to_string(),
                kernel: kernel.name().to_string(),
                mutation: mutation.to_string(),
                fate: wrong(mutation, kernel)?.into(),
            });
        }
    }
    Ok(())
}
