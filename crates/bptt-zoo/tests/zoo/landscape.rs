//! Landscapes of small runs: of every task, the same twice, and what is refused.

use crate::{alone, start, tiny, tiny_of, with_derivatives};
use bptt::CellKind;
use bptt_zoo::{
    Adding, Error, Landscape, LandscapeOptions, PlaneKind, RunFolder, Settings, TASKS, landscape,
};
use burn::tensor::Device;
use std::path::Path;
use tempfile::tempdir;

/// A few points, steps and probes.
fn small() -> LandscapeOptions {
    LandscapeOptions { points: 3, steps: 8, probes: 2, ..LandscapeOptions::default() }
}

fn found(out: &Path, options: &LandscapeOptions) -> Result<Landscape, Error> {
    landscape(&RunFolder::new(out), options, &Device::flex(), &mut |_| ())
}

/// The derivatives are those of the task's own loss, in the order of the model's parameters.
#[test]
fn every_task_has_a_landscape() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    for task in with_derivatives() {
        let out = folder.path().join(task.name);
        let (run, _) = start(&tiny_of(task), &out, false).unwrap();
        let found = found(&out, &small()).unwrap();
        assert_eq!((found.task, found.parameters), (task.name, run.parameters));
        let same = |a: f64, b: f64| (a - b).abs() < 1e-5 * b.abs();
        assert!(same(found.loss, run.valid_loss), "{}: {}", task.name, found.loss);
        assert!(same(found.curvature_loss, found.loss), "{}: {}", task.name, found.curvature_loss);
        assert!(found.share == 1.0 && found.products >= 16 + 3, "{}", task.name);
        assert!(found.hessian_max > 0.0 && found.hessian_max >= found.hessian_min);
        assert!(found.gradient_norm > 0.0);
        assert!(found.gradient_alignment.iter().sum::<f64>() <= 1.0 + 1e-9, "{}", task.name);
        let surface = found.surface.expect("a plane");
        // The middle of the plane is the model itself.
        assert_eq!((surface.x[1], surface.y[1], surface.loss[1][1]), (0.0, 0.0, found.loss));
        let density = found.density.expect("there were probes");
        let step = density.eigenvalue[1] - density.eigenvalue[0];
        let whole = density.density.iter().sum::<f64>() * step;
        assert!((whole - 1.0).abs() < 1e-3, "{}: {whole}", task.name);
    }
}

/// Along the eigenvector of the largest eigenvalue, the loss bends as the eigenvalue says.
#[test]
fn the_loss_bends_as_the_hessian_says() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let out = folder.path().join("run");
    start(&tiny::<Adding>(), &out, false).unwrap();
    let options = LandscapeOptions {
        plane: PlaneKind::Eigenvectors,
        span: Some(0.05),
        steps: 60,
        probes: 0,
        ..small()
    };
    let found = found(&out, &options).unwrap();
    assert!(found.converged && found.trace.is_none() && found.density.is_none());
    let surface = found.surface.unwrap();
    // Second differences, whose error is the fourth derivative and the rounding of the loss in f32.
    let bend = |ends: [f64; 2]| (ends[0] + ends[1] - 2.0 * surface.loss[1][1]) / 0.05f64.powi(2);
    let first = bend([surface.loss[1][0], surface.loss[1][2]]);
    let second = bend([surface.loss[0][1], surface.loss[2][1]]);
    for (bend, value) in [(first, found.top_eigenvalues[0]), (second, found.top_eigenvalues[1])] {
        let allowed = 0.02 * value.abs() + 1e-3;
        assert!((bend - value).abs() < allowed, "{bend} {value}");
    }
}

#[test]
fn the_same_seed_gives_the_same_numbers_and_another_does_not() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let out = folder.path().join("run");
    start(&tiny::<Adding>(), &out, false).unwrap();
    let text = |seed: u64| {
        let found = found(&out, &LandscapeOptions { seed, ..small() }).unwrap();
        (serde_json::to_string(&found).unwrap(), found.html())
    };
    let first = text(1);
    assert_eq!(first, text(1));
    assert_ne!(first, text(2));
}

#[test]
fn a_line_goes_from_run_to_run() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    let settings = tiny::<Adding>();
    start(&settings, &out("a"), false).unwrap();
    start(&Settings { seed: 2, ..settings.clone() }, &out("b"), false).unwrap();
    let line = |to: &Path| LandscapeOptions {
        plane: PlaneKind::Runs,
        to: Some(to.to_path_buf()),
        points: 5,
        probes: 0,
        batches: Some(1),
        ..small()
    };
    let found_line = found(&out("a"), &line(&out("b"))).unwrap();
    assert!(found_line.surface.is_none() && found_line.share < 1.0);
    let between = found_line.line.expect("a line");
    assert_eq!(between.t, [-0.5, 0.0, 0.5, 1.0, 1.5]);
    assert_eq!((between.loss[1], between.loss[3]), (found_line.loss, between.to_loss));
    assert!(between.distance > 0.0 && between.barrier >= 0.0);
    assert_ne!(between.loss[1], between.loss[3]);

    let refused = |settings: Settings| {
        start(&settings, &out("c"), false).unwrap();
        found(&out("a"), &line(&out("c"))).unwrap_err().to_string()
    };
    let message = refused(Settings { hidden: 5, ..settings.clone() });
    assert!(message.contains("needs models of the same sizes"), "{message}");
    let message = refused(Settings { cell: CellKind::Gru.into(), ..settings });
    assert!(message.contains("needs models of the same sizes"), "{message}");
    let message = refused(tiny_of(TASKS.iter().find(|task| task.name == "copy").unwrap()));
    assert!(message.contains("a run of `copy`, expected one of `adding`"), "{message}");
}

#[test]
fn a_run_whose_data_has_changed_is_refused() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let out = folder.path().join("run");
    let file = folder.path().join("series.csv");
    let write = |factor: f64| {
        let line = |t: usize| format!("{}\n", factor * (0.4 * t as f64).sin());
        let text = "level\n".to_string() + &(0..240).map(line).collect::<String>();
        std::fs::write(&file, text).unwrap();
    };
    write(1.0);
    let task = TASKS.iter().find(|task| task.name == "forecast").unwrap();
    let settings = tiny_of(task).with_option("csv", file.display().to_string());
    start(&settings, &out, false).unwrap();
    found(&out, &small()).unwrap();
    write(2.0);
    let message = found(&out, &small()).unwrap_err().to_string();
    assert!(message.contains("the series of the run is not the same any more"), "{message}");
    std::fs::remove_file(&file).unwrap();
    let message = found(&out, &small()).unwrap_err().to_string();
    assert!(message.starts_with("cannot read") && message.contains("series.csv"), "{message}");
}
