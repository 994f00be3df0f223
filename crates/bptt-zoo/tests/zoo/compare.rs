//! Cells side by side.

use crate::{alone, start, tiny};
use bptt::{CellKind, LayerKind};
use bptt_zoo::{
    Adding, CharLm, CompareOptions, Comparison, Equal, Error, Parity, Settings, compare,
};
use burn::tensor::Device;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::tempdir;

fn options(settings: Settings, equal: Equal) -> CompareOptions {
    let cells = vec![CellKind::Lstm.into(), CellKind::Rnn.into()];
    let settings = Settings { dropout: 0.0, layers: 1, validate_every: 5, ..settings };
    CompareOptions { settings, cells, equal, seeds: 2 }
}

fn run(options: &CompareOptions, out: &Path) -> Result<Comparison, Error> {
    let stop = AtomicBool::new(false);
    compare(options, &Device::flex(), out, &stop, &mut || {}, &mut |_| {})
}

#[test]
fn cells_of_equal_parameters_are_those_that_train_trains() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let options = options(tiny::<Adding>(), Equal::Parameters);
    let found = run(&options, folder.path()).unwrap();
    assert_eq!((found.equal.as_str(), found.cells.len()), ("parameters", 2));
    let [lstm, rnn] = [&found.cells[0], &found.cells[1]];
    assert_eq!((lstm.hidden, lstm.seeds.as_slice()), (8, &[1, 2][..]));
    // A unit more or less of the other cell is further away.
    let parameters = |hidden: usize| hidden * hidden + 5 * hidden + 1;
    assert_eq!(parameters(rnn.hidden), rnn.parameters);
    for other in [rnn.hidden - 1, rnn.hidden + 1] {
        let far = |count: usize| count.abs_diff(lstm.parameters);
        assert!(far(rnn.parameters) <= far(parameters(other)), "{rnn:?}");
    }
    // Five numbers a unit and step and row of an LSTM's trace.
    assert!(lstm.trace_bytes > rnn.trace_bytes && rnn.trace_bytes.is_some());
    let settings = Settings {
        cell: CellKind::Rnn.into(),
        hidden: rnn.hidden,
        seed: 2,
        ..options.settings.clone()
    };
    let (alone, _) = start(&settings, &folder.path().join("alone"), false).unwrap();
    assert_eq!((alone.valid_loss, alone.metric), (rnn.valid_loss[1], rnn.metric[1]));
    // Four validations, and as many lags as there are numbers.
    assert_eq!(rnn.curve.iter().map(|point| point.step).collect::<Vec<_>>(), [5, 10, 15, 20]);
    for cell in &found.cells {
        assert!(cell.curve.iter().all(|p| p.low <= p.mean && p.mean <= p.high), "{cell:?}");
        let forgetting = cell.forgetting.as_ref().unwrap();
        assert_eq!(forgetting.len(), 12);
        assert!(forgetting.iter().all(|norm| (0.0..=1.0).contains(norm)), "{forgetting:?}");
    }
    let page = found.html();
    for part in [
        "Learning curves",
        "How far back the input still matters",
        "lstm",
        "rnn",
        "always saying 1",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for foreign in ["http://", "https://", "<script", "NaN"] {
        assert!(!page.replace("http://www.w3.org", "").contains(foreign), "{foreign}");
    }
}

#[test]
fn other_tasks_and_layers_that_run_as_a_scan_are_compared_too() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let scanned = LayerKind::all().into_iter().filter(|kind| kind.cell().is_none());
    let cells: Vec<_> = [CellKind::Gru.into()].into_iter().chain(scanned.take(1)).collect();
    for settings in [tiny::<CharLm>(), tiny::<Parity>()] {
        let of =
            CompareOptions { cells: cells.clone(), seeds: 1, ..options(settings, Equal::Width) };
        let found = run(&of, folder.path()).unwrap();
        assert_eq!(found.cells.len(), cells.len());
        assert!(found.cells.iter().all(|cell| cell.hidden == 8 && cell.forgetting.is_some()));
        found.html();
    }
    let seconds = Settings { steps: None, seconds: Some(0.2), ..tiny::<Adding>() };
    let found = run(&options(seconds.clone(), Equal::Time), folder.path()).unwrap();
    assert!(found.cells.iter().all(|cell| cell.steps.iter().all(|steps| *steps > 0)));
    let message = run(&options(seconds, Equal::Width), folder.path()).unwrap_err().to_string();
    assert!(
        message.starts_with("--seconds 0.2: cells with equal width take the same steps"),
        "{message}"
    );
}

#[test]
fn an_interrupted_comparison_has_the_cells_that_are_complete() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let settings = Settings { steps: Some(5000), validate_every: 5000, ..tiny::<Adding>() };
    let settings = CompareOptions { seeds: 1, ..options(settings, Equal::Width) };
    let mut progress = |at: &bptt_zoo::CompareProgress| {
        assert_eq!(at.run.1, 2);
        if at.run.0 == 2 {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let found =
        compare(&settings, &Device::flex(), folder.path(), &stop, &mut || {}, &mut progress)
            .unwrap();
    assert_eq!(found.cells.len(), 1);
    found.html();
    assert_eq!(found.lines().len(), 2);
}

#[test]
fn what_makes_no_sense_is_one_line() {
    let folder = tempdir().unwrap();
    let of = options(tiny::<Adding>(), Equal::Parameters);
    let complaint = |options: CompareOptions| {
        let message = run(&options, folder.path()).unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    };
    let twice = vec![CellKind::Rnn.into(), CellKind::Rnn.into()];
    assert_eq!(
        complaint(CompareOptions { cells: twice, ..of.clone() }),
        "--cells: rnn is there twice"
    );
    assert!(complaint(CompareOptions { cells: vec![], ..of.clone() }).starts_with("--cells:"));
    assert!(complaint(CompareOptions { seeds: 0, ..of.clone() }).starts_with("--seeds 0:"));
    let bias_init = "chrono:40".parse().unwrap();
    let chrono = Settings { bias_init, ..of.settings.clone() };
    let message = complaint(CompareOptions { settings: chrono, ..of });
    assert!(message.starts_with("rnn: --bias-init chrono:40"), "{message}");
}
