//! Runs with noise inside of their recurrent layers.

use crate::{alone, losses, start, tiny, tiny_of};
use bptt::{CellKind, NoiseRates};
use bptt_zoo::{Adding, CharLm, NoiseSettings, Settings, TASKS};
use std::path::Path;
use tempfile::tempdir;

fn noise() -> NoiseSettings {
    NoiseSettings {
        zoneout: NoiseRates::Each(0.05, 0.3),
        variational_dropout: NoiseRates::Same(0.2),
        recurrent_dropout: if cfg!(feature = "recurrent-dropout") { 0.1 } else { 0.0 },
        weight_drop: 0.1,
    }
}

#[test]
fn a_resumed_run_has_the_same_noise() {
    let _alone = alone();
    for task in TASKS {
        let folder = tempdir().unwrap();
        let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
        let settings = Settings { cell: CellKind::Lstm.into(), noise: noise(), ..tiny_of(task) };
        start(&settings, &whole, false).unwrap();
        start(&Settings { steps: Some(9), ..settings.clone() }, &parts, false).unwrap();
        start(&settings, &parts, true).unwrap();
        assert_eq!(losses(&whole), losses(&parts));
        let model = |out: &Path| std::fs::read(out.join("checkpoint-20/model.bpk")).unwrap();
        assert!(model(&whole) == model(&parts));
        let none = Settings { noise: NoiseSettings::default(), steps: Some(30), ..settings };
        let message = start(&none, &parts, true).unwrap_err().to_string();
        assert!(message.contains("the run to resume has "), "{message}");
    }
}

#[test]
fn noise_changes_the_training_and_depends_on_the_seed() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let run = |name: &str, noise: NoiseSettings| {
        let out = folder.path().join(name);
        let base = Settings { cell: CellKind::Lstm.into(), dropout: 0.0, ..tiny::<Adding>() };
        start(&Settings { noise, ..base }, &out, false).unwrap();
        losses(&out)
    };
    let without = run("without", NoiseSettings::default());
    let with = run("with", noise());
    assert_eq!(with, run("again", noise()));
    assert!(with.iter().zip(&without).all(|(a, b)| a != b), "{with:?} {without:?}");
    // Each step has masks of its own.
    assert_eq!(with.len(), 20);
}

#[test]
fn dropout_before_the_last_layer_is_resumed_to_the_bit() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // Dropout between two layers draws from the device as well.
    let settings = |share: f64| {
        let two = Settings { layers: 2, dropout: 0.3, ..tiny::<CharLm>() };
        two.with_option("output_dropout", share)
    };
    let [none, some] = [0.0, 0.4].map(settings);
    start(&none, &path("none"), false).unwrap();
    start(&some, &path("whole"), false).unwrap();
    start(&Settings { steps: Some(9), ..some.clone() }, &path("parts"), false).unwrap();
    start(&some, &path("parts"), true).unwrap();
    assert_eq!(losses(&path("whole")), losses(&path("parts")));
    let model = |name: &str| std::fs::read(path(name).join("checkpoint-20/model.bpk")).unwrap();
    assert!(model("whole") == model("parts"));
    assert_ne!(losses(&path("whole")), losses(&path("none")));
    let message = start(&settings(1.0), &path("all"), false).unwrap_err().to_string();
    assert!(message.starts_with("--output-dropout 1.0: has to be 0 or more"), "{message}");
}
