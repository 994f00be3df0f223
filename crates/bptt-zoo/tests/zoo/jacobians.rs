//! `jacobians.jsonl`: how large Jacobians are while a run is trained.

use super::{alone, start, start_with, tiny, tiny_of, with_derivatives};
use bptt::{CellKind, Engine};
use bptt_zoo::{Adding, AddingOptions, CharLm, Probes, RunFolder, Settings, Task};
use std::path::Path;
use tempfile::tempdir;

fn jacobians(every: u64) -> Probes {
    Probes { jacobians: Some(every), ..Probes::default() }
}

fn file(out: &Path, name: &str) -> Vec<u8> {
    std::fs::read(out.join(name)).unwrap_or_default()
}

#[test]
fn each_layer_of_each_task_has_a_line_and_nothing_else_changes() {
    let _alone = alone();
    for task in with_derivatives() {
        let folder = tempdir().unwrap();
        let (with, without) = (folder.path().join("with"), folder.path().join("without"));
        start_with(&tiny_of(task), &with, false, jacobians(5)).unwrap();
        start(&tiny_of(task), &without, false).unwrap();
        assert!(file(&with, "model.bpk") == file(&without, "model.bpk"), "{}", task.name);
        let points = RunFolder::new(&with).jacobians().unwrap();
        let found: Vec<_> = points.iter().map(|point| (point.step, point.layer)).collect();
        let expected: Vec<_> = [0, 5, 10, 15].into_iter().flat_map(|k| [(k, 0), (k, 1)]).collect();
        assert_eq!(found, expected, "{}", task.name);
        for point in &points {
            assert!(point.spectral_radius > 0.0, "{}", task.name);
            assert!(point.largest_singular_value >= 0.999 * point.spectral_radius, "{}", task.name);
            assert!(point.log10_product_norm.is_some(), "{}", task.name);
        }
        assert!(RunFolder::new(&without).jacobians().unwrap().is_empty());
    }
}

#[test]
fn a_resumed_run_goes_on_with_its_lines() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let both = Probes { gradients: Some(3), jacobians: Some(4), ..Probes::default() };
    let settings = tiny::<CharLm>();
    start_with(&settings, &whole, false, both).unwrap();
    start_with(&Settings { steps: Some(9), ..settings.clone() }, &parts, false, both).unwrap();
    start_with(&settings, &parts, true, both).unwrap();
    for name in ["jacobians.jsonl", "gradients.jsonl"] {
        let lines = file(&whole, name);
        assert!(!lines.is_empty() && lines == file(&parts, name), "{name}");
    }
    // A new run in the folder removes the lines of the old one.
    start(&settings, &parts, false).unwrap();
    assert!(file(&parts, "jacobians.jsonl").is_empty());
}

/// A new RNN of PyTorch's initialisation has a spectral radius of about `1/√3`, and its product over the sequence vanishes
/// at least as fast.
#[test]
fn a_product_that_vanishes_is_seen() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let base = Settings::new(Adding::NAME, &AddingOptions { length: 60 });
    let settings = Settings { cell: CellKind::Rnn.into(), hidden: 48, steps: Some(1), ..base };
    start_with(&settings, folder.path(), false, jacobians(1)).unwrap();
    let point = RunFolder::new(folder.path()).jacobians().unwrap().remove(0);
    assert!((0.35..0.65).contains(&point.spectral_radius), "{point:?}");
    let product = point.log10_product_norm.expect("a number");
    assert!((-30.0..-10.0).contains(&product), "{point:?}");
}

#[test]
fn any_engine_has_jacobians_but_no_backward_direction() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let settings = Settings { engine: Engine::Autograd, ..tiny::<Adding>() };
    start_with(&settings, &folder.path().join("autograd"), false, jacobians(10)).unwrap();
    let out = folder.path().join("both");
    let both = Settings { bidirectional: true, ..tiny::<Adding>() };
    let refused = start_with(&both, &out, false, jacobians(10)).unwrap_err().to_string();
    assert!(refused.starts_with("--probe jacobians:"), "{refused}");
    assert!(refused.contains("backward direction"), "{refused}");
    let refused = start_with(&tiny::<Adding>(), &out, false, jacobians(0)).unwrap_err();
    assert!(refused.to_string().contains("--every 0"), "{refused}");
    assert!(!out.join("config.json").exists(), "nothing is written");
}
