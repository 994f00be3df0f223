//! `sharpness.jsonl`: the largest eigenvalue of the Hessian while a run is trained.

use super::{alone, start, start_with, tiny, tiny_of, with_derivatives};
use bptt_probe::readout::Batch;
use bptt_zoo::{
    Adding, AddingOptions, CharLm, LandscapeOptions, OptimizerKind, Probes, RunFolder, Settings,
    TASKS, Task, landscape,
};
use burn::tensor::{DType, Device};
use std::path::Path;
use tempfile::tempdir;

fn sharpness(every: u64) -> Probes {
    Probes { sharpness: Some(every), ..Probes::default() }
}

fn file(out: &Path, name: &str) -> Vec<u8> {
    std::fs::read(out.join(name)).unwrap_or_default()
}

#[test]
fn each_reading_has_a_line_and_nothing_else_changes() {
    let _alone = alone();
    for task in with_derivatives() {
        let folder = tempdir().unwrap();
        let (with, without) = (folder.path().join("with"), folder.path().join("without"));
        start_with(&tiny_of(task), &with, false, sharpness(8)).unwrap();
        start(&tiny_of(task), &without, false).unwrap();
        assert!(file(&with, "model.bpk") == file(&without, "model.bpk"), "{}", task.name);
        let points = RunFolder::new(&with).sharpness().unwrap();
        let steps: Vec<_> = points.iter().map(|point| point.step).collect();
        assert_eq!(steps, [0, 8, 16], "{}", task.name);
        for point in &points {
            assert!(point.sharpness > 0.0 && point.loss > 0.0, "{}: {point:?}", task.name);
            assert!(point.sharpness_error <= 1e-2 * point.sharpness, "{}: {point:?}", task.name);
            assert_eq!(point.two_over_lr, 2.0 / tiny_of(task).lr);
            // Before the first step, Adam has no state.
            assert_eq!(point.preconditioned.is_some(), point.step > 0, "{}", task.name);
            let bound = point.preconditioned_bound.map_or(19.0, |b| b / point.two_over_lr);
            assert!((bound - 19.0).abs() < 1e-9, "{bound}");
        }
        assert!(RunFolder::new(&without).sharpness().unwrap().is_empty());
    }
}

#[test]
fn a_resumed_run_goes_on_with_its_lines() {
    let _alone = alone();
    for optimizer in [OptimizerKind::Adam, OptimizerKind::Sgd] {
        let folder = tempdir().unwrap();
        let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
        let settings = Settings { optimizer, ..tiny::<CharLm>() };
        let begun = Settings { steps: Some(9), ..settings.clone() };
        start_with(&settings, &whole, false, sharpness(4)).unwrap();
        start_with(&begun, &parts, false, sharpness(4)).unwrap();
        start_with(&settings, &parts, true, sharpness(4)).unwrap();
        assert!(!file(&whole, "sharpness.jsonl").is_empty());
        for name in ["sharpness.jsonl", "model.bpk"] {
            assert!(file(&whole, name) == file(&parts, name), "{optimizer:?} {name}");
        }
        // A new run in the folder removes the lines of the old one.
        start(&settings, &parts, false).unwrap();
        assert!(file(&parts, "sharpness.jsonl").is_empty());
    }
}

/// The last reading is that of the model and the batch: here by another way, on the model that the run has left.
#[test]
fn the_sharpness_is_that_of_the_training_batch() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let out = folder.path().join("run");
    let options = AddingOptions { length: 10 };
    let base = Settings::new(Adding::NAME, &options);
    let settings = Settings { hidden: 6, batch: 16, steps: Some(5), device: "flex".into(), ..base };
    start(&settings, &out, false).unwrap();
    let more = Settings { steps: Some(6), ..settings.clone() };
    let before = RunFolder::new(&out).adder(&Device::flex()).unwrap();
    start_with(&more, &out, true, sharpness(5)).unwrap();
    let found = RunFolder::new(&out).sharpness().unwrap().remove(0);
    assert_eq!(found.step, 5);

    let task = Adding::new(&settings).unwrap();
    let (readout, _) = task.readout(&before, &Device::flex()).unwrap();
    let readout = readout.cast(DType::F64);
    let batch: Batch = task.training_batch(&Device::flex()).unwrap().cast(DType::F64);
    let size = readout.parameters().len();
    // The power method, from another start.
    let mut v: Vec<f64> = (0..size).map(|k| 1.0 + (k % 7) as f64).collect();
    let mut value = 0.0;
    for _ in 0..300 {
        let product = readout.derivatives(std::slice::from_ref(&batch), Some(&v)).product;
        value = product.iter().map(|x| x * x).sum::<f64>().sqrt();
        v = product.iter().map(|x| x / value).collect();
    }
    assert!((found.sharpness / value - 1.0).abs() < 1e-4, "{} {value}", found.sharpness);
    let loss = readout.derivatives(std::slice::from_ref(&batch), None).loss;
    assert!((found.loss / loss - 1.0).abs() < 1e-4, "{} {loss}", found.loss);
}

/// One batch for all steps, and plain gradient descent: the sharpness stays near 2 / lr, or below it.
#[test]
fn gradient_descent_does_not_stay_where_it_is_too_sharp() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let out = folder.path().join("run");
    let base = Settings { optimizer: OptimizerKind::Sgd, lr: 0.05, clip: 1e9, ..tiny::<Adding>() };
    let settings = Settings { dropout: 0.0, layers: 1, steps: Some(60), ..base };
    start_with(&settings, &out, false, sharpness(20)).unwrap();
    let points = RunFolder::new(&out).sharpness().unwrap();
    assert_eq!(points.len(), 3);
    assert!(points.iter().all(|p| p.preconditioned.is_none() && p.two_over_lr == 40.0));
    assert!(points.iter().all(|p| p.sharpness < p.two_over_lr), "{points:?}");
    // The landscape of the run has them.
    let options =
        LandscapeOptions { points: 2, steps: 6, probes: 0, ..LandscapeOptions::default() };
    let found = landscape(&RunFolder::new(&out), &options, &Device::flex(), &mut |_| ()).unwrap();
    assert_eq!(found.sharpness, points);
    assert!(found.html().contains("Sharpness along the training"));
}

#[test]
fn what_cannot_be_read_is_one_line() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let refused = start_with(&tiny::<Adding>(), folder.path(), false, sharpness(0));
    assert!(refused.unwrap_err().to_string().contains("--every 0"));
    let chorales = TASKS.iter().find(|task| task.name == "chorales").unwrap();
    let refused = start_with(&tiny_of(chorales), folder.path(), false, sharpness(5));
    let message = refused.unwrap_err().to_string();
    assert!(message.starts_with("--probe sharpness: no second derivatives"), "{message}");
    assert!(!folder.path().join("config.json").exists(), "nothing is written");
}
