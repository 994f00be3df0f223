//! Truncated gradients of the run against its whole gradient.

use crate::dynamics::options::DynamicsProgress;
use crate::dynamics::section::Section;
use crate::dynamics::trained::Trained;
use crate::error::Error;
use bptt::available_memory;
use bptt_probe::picture::{Chart, Curve, Figure};
use bptt_probe::readout::{Batch, Input};
use bptt_probe::truncation::{
    ENOUGH, Truncation, WindowComparison, any_truncation, doubling, joined,
};

/// How many batches are samples of the gradient, at most.
const MOST_BATCHES: usize = 32;
/// How many chunks of a text, or of other data whose state is carried, make a sequence: so that windows can be longer than
/// those of the training.
const CHUNKS: usize = 4;

/// Measures the windows 1, 2, 4, … and the whole sequence. If the state is carried from batch to batch, four of them make a
/// sequence.
pub(super) fn measure(
    trained: &Trained,
    progress: &mut dyn FnMut(DynamicsProgress),
) -> Result<Truncation, Error> {
    let named = |why: String| Error::input(format!("{}: {why}", trained.run));
    let batches = joined(&trained.batches, CHUNKS);
    // All batches of one size, so that each is one sample. Where rows have lengths, there may be more or less padding.
    let same = |a: &Batch, b: &Batch| {
        let (a_size, b_size) = (sizes(a), sizes(b));
        a_size[0] == b_size[0] && (a.lengths.is_some() || a_size[1] == b_size[1])
    };
    let like = batches.iter().filter(|batch| same(batch, &batches[0]));
    let batches: Vec<Batch> = like.take(MOST_BATCHES).cloned().collect();
    let steps = batches.iter().map(|batch| sizes(batch)[1]).max().unwrap_or(1);
    let windows = doubling(steps);
    let parameters = trained.readout.blocks().last().map_or(0, |block| block.range.end);
    check_memory(parameters, batches.len(), windows.len()).map_err(named)?;
    let mut tell = |done, total| {
        progress(DynamicsProgress { stage: "truncated gradients", done, total });
    };
    any_truncation(&trained.readout, &batches, &windows, &mut tell).map_err(named)
}

/// `[B, T]`
fn sizes(batch: &Batch) -> [usize; 2] {
    match &batch.input {
        Input::Values(values) => [values.dims()[0], values.dims()[1]],
        Input::Tokens(tokens) => tokens.dims(),
    }
}

/// All gradients are kept. Checks that they fit.
fn check_memory(parameters: usize, batches: usize, windows: usize) -> Result<(), String> {
    let bytes = (parameters * 8) as u128 * (batches * (windows + 1)) as u128;
    match available_memory(bytes) {
        Some(there) if (there as u128) < bytes => Err(format!(
            "--truncation takes {:.1} GB for {parameters} parameters, and {:.1} GB are there",
            bytes as f64 / 1e9,
            there as f64 / 1e9,
        )),
        _ => Ok(()),
    }
}

impl Section for Truncation {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("truncation        {}", answer(self))];
        for window_of in &self.truncation {
            let WindowComparison { window, figures: of, .. } = window_of;
            lines.push(format!(
                "  window {window:<8} bias {:<18} of the recurrent layers {:<18} signal / noise {}",
                within(of.bias, of.bias_error),
                within(window_of.recurrent().bias, window_of.recurrent().bias_error),
                within(of.signal_to_noise, of.signal_to_noise_error),
            ));
        }
        lines
    }

    fn figures(runs: &[(&str, &Self)]) -> Vec<Figure> {
        vec![bias(runs), noise(runs)]
    }
}

/// What window would do.
fn answer(of: &Truncation) -> String {
    let (steps, batches) = (of.truncation_steps, of.truncation_batches);
    let needs = |window: Option<usize>| match window {
        Some(window) if window < steps => format!("{window}"),
        _ => format!("all {steps}"),
    };
    format!(
        "within 1 % with a window of {} steps for the recurrent layers, of {} for all parameters ({batches} batches)",
        needs(of.window_within_1_percent_recurrent),
        needs(of.window_within_1_percent),
    )
}

/// A curve for each run.
fn curves(runs: &[(&str, &Truncation)], of: fn(&WindowComparison) -> f64) -> Vec<Curve> {
    let curve = |(name, found): &(&str, &Truncation)| Curve {
        name: name.to_string(),
        ..Curve::new(found.truncation.iter().map(|w| [w.window as f64, of(w)]).collect())
    };
    runs.iter().map(curve).collect()
}

fn bias(runs: &[(&str, &Truncation)]) -> Figure {
    let mut curves = curves(runs, |w| w.recurrent().bias);
    let longest = runs.iter().map(|(_, found)| found.truncation_steps).max().unwrap_or(1);
    let level = vec![[1.0, ENOUGH], [longest as f64, ENOUGH]];
    curves.push(Curve { name: "1 %".to_string(), ..Curve::new(level) });
    let chart = Chart {
        title: "The bias of the truncated gradient",
        axes: ["window, steps (logarithmic)", "relative bias (logarithmic)"],
        // The whole gradient has rounding only.
        floor: Some(1e-4),
        logarithmic: [true, true],
        curves: &curves,
        marks: &[],
    };
    let answers: Vec<_> =
        runs.iter().map(|(name, of)| format!("{name}: {}.", answer(of))).collect();
    Figure {
        heading: "What truncation loses".to_string(),
        svg: chart.svg(),
        reading: format!(
            "The gradient of the recurrent layers, by back-propagation that is cut every so many steps, against the whole \
             one: the distance of the two means over the batches, as a share of the whole. A curve that falls early \
             means that the network makes no use of what is further back; one that stays high means that most of the \
             gradient comes from far away. The axis ends at 1e-4, and the curve at the last window that is not the whole \
             sequence. {}",
            answers.join(" "),
        ),
    }
}

fn noise(runs: &[(&str, &Truncation)]) -> Figure {
    let chart = Chart {
        title: "Signal and noise of the truncated gradient",
        axes: ["window, steps (logarithmic)", "signal / noise"],
        floor: Some(0.0),
        logarithmic: [true, false],
        curves: &curves(runs, |w| w.figures.signal_to_noise),
        marks: &[],
    };
    Figure {
        heading: "Signal and noise".to_string(),
        svg: chart.svg(),
        reading: "The length of the mean gradient, divided by the root of its variance from batch to batch. Below 1, one \
                  batch says little about the direction. If the curve falls with the window, the long ways back add more \
                  noise than signal, and a shorter window can help although it has a bias."
            .to_string(),
    }
}

/// A number with its error bar.
fn within(value: f64, error: f64) -> String {
    match error.is_finite() {
        _ if value.is_nan() => "unknown".to_string(),
        true => format!("{value:.2e} ± {error:.0e}"),
        false => format!("{value:.2e}"),
    }
}
