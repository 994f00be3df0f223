//! The mutants of the cells.

use crate::cell::{Mutated, Mutation, mutations};
use crate::suite::{Catch, Suite, Verdict};
use bptt::Kernel;
use bptt::cells::{
    Cell, Clipped, GruDreamer, GruLayerNorm, GruResetAfter, GruResetBefore, IndRnnRelu, IndRnnTanh,
    Lstm, LstmCoupled, LstmLayerNorm, LstmPeephole, Mgu, Rhn, RnnRelu, RnnTanh, Slstm, Unicornn,
};
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
    mutate(IndRnnTanh, "indrnn-tanh", of("indrnn-tanh", None), &mut all)?;
    mutate(IndRnnRelu, "indrnn-relu", of("indrnn-relu", None), &mut all)?;
    mutate(Slstm, "slstm", of("slstm", None), &mut all)?;
    mutate(LstmLayerNorm, "lstm-layernorm", of("lstm-layernorm", None), &mut all)?;
    mutate(GruLayerNorm, "gru-layernorm", of("gru-layernorm", None), &mut all)?;
    mutate(GruDreamer, "gru-dreamer", of("gru-dreamer", None), &mut all)?;
    mutate(Unicornn::default(), "unicornn", of("unicornn", None), &mut all)?;
    Ok(all)
}

fn mutate<C: Cell>(
    cell: C,
    place: &str,
    suite: Suite,
    all: &mut Vec<Verdict>,
) -> Result<(), String> {
    let wrong = |mutation, kernel| {
        suite.first_failure(kernel, |problem, setting| {
            let cell = Mutated { cell, mutation };
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
        for mutation in mutations(&cell) {
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
