//! Whether a sequence fits the available memory. It is checked before any memory is allocated.

use crate::host::layout::sizes::Layer;
use crate::host::sequence::trace_segment::Keep;
use crate::operation::memory::{OutOfMemory, check_memory};
use crate::operation::schedule::TraceSchedule;

/// Checks that the outputs and the trace fit.
///
/// # Arguments
///
/// - `worked`: how many valid steps all rows have together, `T · B` without lengths and masks
/// - `keeper`: which kernel keeps the trace: one of these, or the reference body, which keeps about as much and ignores
///   the budget
/// - `available`: see [`check_memory`]
///
/// # Errors
///
/// One line that says how much memory it would take, and which trace budget would do.
pub(crate) fn check(
    layer: &Layer,
    worked: usize,
    keep: Keep,
    keeper: Keeper,
    available: impl FnOnce(u128) -> Option<usize>,
) -> Result<(), String> {
    let product = |sizes: &[usize]| {
        sizes.iter().fold(1_u128, |product, &size| product.saturating_mul(size as u128))
    };
    let Layer { time, batch, output, hp, .. } = *layer;
    let [of_output, number] = layer.bytes;
    let outputs = product(&[of_output, time, batch, output]);
    let [traced, kept] = layer.trace_planes();
    let step = product(&[number, batch, hp, traced]);
    let state = product(&[number, batch, hp, kept]);
    let whole = product(&[number, worked, hp, traced]).saturating_add(state);
    let trace = match keep {
        Keep::Nothing => 0,
        Keep::All => whole,
        Keep::Within(budget) => whole.min(budget as u128),
    };
    let need = outputs.saturating_add(trace);
    let Err(OutOfMemory { available: most, .. }) = check_memory(need, available) else {
        return Ok(());
    };
    let room = most.saturating_sub(outputs);
    let advice = match (usize::try_from(step), usize::try_from(state)) {
        _ if trace == 0 || room == 0 => None,
        (Ok(step), Ok(state)) => TraceSchedule::least(time, step, state)
            .into_iter()
            .find(|&budget| budget as u128 <= room)
            .map(|budget| match keeper {
                Keeper::Host => {
                    format!("a trace budget of {budget} for each layer and direction would do")
                }
                Keeper::Reference => format!(
                    "`Kernel::Auto` with a trace budget of {budget} for each layer and direction \
                     would do (the reference kernel takes none)"
                ),
            }),
        _ => None,
    };
    let advice = advice.unwrap_or_else(|| {
        "no trace budget would do: expected fewer steps at a time (`Truncated`), or fewer rows"
            .into()
    });
    Err(format!(
        "{}: {time} steps of {batch} rows would take {need} bytes, {outputs} for the outputs and \
         {trace} for the trace, and {most} are available; {advice}",
        layer.name,
    ))
}

/// The kernel that keeps a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// The kernels for host memory.
    Host,
    /// The reference body. For each step it keeps a little less than the kernels for host memory, whose rows are
    /// padded. It keeps all steps, whatever the budget.
    Reference,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::simd::isa::Isa;
    use crate::operation::cell_layout::CellLayout;
    use crate::operation::plan::{PlanOptions, Sizes};
    use bptt_cells::Lstm;

    fn layer(time: usize, batch: usize) -> Layer {
        let sizes = Sizes { time, batch, input: 64, hidden: 64, output: 64, memories: 1 };
        let cell = CellLayout::of::<Lstm>();
        let options = PlanOptions::default();
        Layer::new::<f32>(&cell, &options, &sizes, [64, 64], false, Isa::detect())
    }

    /// Nothing is allocated here, so any size is possible.
    fn refused(time: usize, batch: usize, keep: Keep, available: usize) -> Option<String> {
        check(&layer(time, batch), time.saturating_mul(batch), keep, Keeper::Host, |_| {
            Some(available)
        })
        .err()
    }

    #[test]
    fn what_does_not_fit_is_refused_with_a_budget_that_would_do() {
        // A step of 100 rows: 25,600 bytes of outputs, and 128,000 of trace.
        let error = refused(100_000, 100, Keep::All, 8 << 30).expect("15 GB in 8");
        assert!(
            error.starts_with(
                "lstm: 100000 steps of 100 rows would take 15360025600 bytes, 2560000000 for the \
                 outputs and 12800025600 for the trace, and 8589934592 are available; a trace \
                 budget of "
            ),
            "{error}"
        );
        let budget = error.split("a trace budget of ").nth(1).expect("it is there");
        let budget: usize =
            budget.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
        assert!(refused(100_000, 100, Keep::Within(budget), 8 << 30).is_none());
        let schedule = TraceSchedule::new(100_000, 128_000, 25_600, budget).expect("it fits");
        assert!(schedule.forward_steps() <= 201_000, "{schedule:?}");
        // With exactly enough memory, and without a trace.
        assert!(refused(100_000, 100, Keep::All, 15_360_025_600).is_none());
        assert!(refused(100_000, 100, Keep::All, 15_360_025_599).is_some());
        assert!(refused(100_000, 100, Keep::Nothing, 8 << 30).is_none());
    }

    /// The trace of a layer with 16 bits is in f32, and its outputs are there in both types.
    #[test]
    fn outputs_with_16_bits_count_twice() {
        let layer = Layer { bytes: [2 + 4, 4], ..layer(100_000, 100) };
        let error = check(&layer, 10_000_000, Keep::All, Keeper::Host, |_| Some(8 << 30));
        let error = error.expect_err("16 GB in 8");
        assert!(
            error.contains("16640025600 bytes, 3840000000 for the outputs and 12800025600 for"),
            "{error}"
        );
    }

    #[test]
    fn who_takes_no_budget_names_who_does() {
        let by = |keeper, keep| {
            check(&layer(100_000, 100), 10_000_000, keep, keeper, |_| Some(8 << 30)).err()
        };
        let error = by(Keeper::Reference, Keep::All).expect("15 GB in 8");
        assert!(error.contains("`Kernel::Auto` with a trace budget of "), "{error}");
        assert!(by(Keeper::Host, Keep::All).is_some_and(|e| !e.contains("Kernel::Auto")));
        assert!(by(Keeper::Reference, Keep::Nothing).is_none());
    }

    #[test]
    fn where_the_outputs_do_not_fit_no_budget_would_do() {
        for keep in [Keep::All, Keep::Within(1 << 20), Keep::Nothing] {
            let error = refused(1_000_000, 100, keep, 8 << 30).expect("25 GB of outputs");
            assert!(error.contains("no trace budget would do"), "{error}");
        }
    }

    #[test]
    fn sizes_that_overflow_are_refused_too() {
        let keep = Keep::All;
        for (time, batch) in [(usize::MAX, 1), (1 << 40, 1 << 40), (usize::MAX, usize::MAX)] {
            let error =
                check(&layer(time, batch), time.saturating_mul(batch), keep, Keeper::Host, |_| {
                    None
                });
            assert!(error.expect_err("too large").contains("no trace budget would do"));
        }
    }

    #[test]
    fn small_sequences_do_not_ask() {
        let asked = |_| panic!("it was asked");
        assert!(check(&layer(1000, 1), 1000, Keep::All, Keeper::Host, asked).is_ok());
    }
}
