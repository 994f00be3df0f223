//! `gradients.jsonl`: what a probe reads while a run is trained.

use super::{alone, start, start_with, tiny, tiny_of};
use bptt::{CellKind, Engine};
use bptt_zoo::{Adding, AddingOptions, CharLm, Probes, RunFolder, Settings, TASKS, Task};
use std::path::Path;
use tempfile::tempdir;

fn gradients(every: u64) -> Probes {
    Probes { gradients: Some(every), ..Probes::default() }
}

fn file(out: &Path, name: &str) -> Vec<u8> {
    std::fs::read(out.join(name)).unwrap_or_default()
}

#[test]
fn each_layer_has_a_line_for_each_reading_and_nothing_else_changes() {
    let _alone = alone();
    for task in TASKS {
        let folder = tempdir().unwrap();
        let (with, without) = (folder.path().join("with"), folder.path().join("without"));
        start_with(&tiny_of(task), &with, false, gradients(5)).unwrap();
        start(&tiny_of(task), &without, false).unwrap();
        assert!(file(&with, "model.bpk") == file(&without, "model.bpk"), "{}", task.name);
        let points = RunFolder::new(&with).gradients().unwrap();
        let found: Vec<_> = points.iter().map(|point| (point.step, point.layer)).collect();
        let expected: Vec<_> = [0, 5, 10, 15].into_iter().flat_map(|k| [(k, 0), (k, 1)]).collect();
        assert_eq!(found, expected, "{}", task.name);
        for point in &points {
            let time = point.hidden.len();
            assert!(time > 0 && [point.output.len(), point.gates.len()] == [time; 2]);
            let has_memory = tiny_of(task).cell == CellKind::Lstm;
            assert_eq!(point.memory.len(), if has_memory { time } else { 0 });
            assert!(point.hidden.iter().all(|norm| norm.is_finite() && *norm >= 0.0));
            assert!(point.hidden.iter().any(|norm| *norm > 0.0), "{}", task.name);
        }
        assert!(RunFolder::new(&without).gradients().unwrap().is_empty());
    }
}

#[test]
fn a_resumed_run_goes_on_with_its_lines() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let settings = tiny::<CharLm>();
    start_with(&settings, &whole, false, gradients(4)).unwrap();
    start_with(&Settings { steps: Some(9), ..settings.clone() }, &parts, false, gradients(4))
        .unwrap();
    start_with(&settings, &parts, true, gradients(4)).unwrap();
    let lines = file(&whole, "gradients.jsonl");
    assert!(!lines.is_empty() && lines == file(&parts, "gradients.jsonl"));
    // A new run in the folder removes the lines of the old one.
    start(&settings, &parts, false).unwrap();
    assert!(file(&parts, "gradients.jsonl").is_empty());
}

/// What the probe is for: the loss is at the end, and next to nothing of it arrives at the first step of a new network.
#[test]
fn a_gradient_that_vanishes_is_seen() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let options = AddingOptions { length: 60 };
    let base = Settings::new(Adding::NAME, &options);
    let settings = Settings { cell: CellKind::Rnn.into(), hidden: 16, steps: Some(1), ..base };
    start_with(&settings, folder.path(), false, gradients(1)).unwrap();
    let point = RunFolder::new(folder.path()).gradients().unwrap().remove(0);
    assert_eq!(point.gates.len(), 60);
    let falls = point.gates.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!(falls > 50, "towards the first step: {:?}", point.gates);
    assert!(point.gates[0] < 1e-4 * point.gates[59], "{:?}", point.gates);
}

#[test]
fn a_probe_needs_the_manual_engine() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let settings = Settings { engine: Engine::Autograd, ..tiny::<Adding>() };
    let refused =
        start_with(&settings, folder.path(), false, gradients(4)).unwrap_err().to_string();
    assert!(refused.contains("take --engine manual"), "{refused}");
    let refused = start_with(&tiny::<Adding>(), folder.path(), false, gradients(0)).unwrap_err();
    assert!(refused.to_string().contains("--every 0"), "{refused}");
    assert!(!folder.path().join("config.json").exists(), "nothing is written");
}
