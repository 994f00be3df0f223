//! A policy that acts.

use crate::{alone, start, tiny};
use bptt_zoo::{Control, RunResult, Settings};
use std::path::Path;
use tempfile::tempdir;

/// A T-maze with a short corridor.
fn maze(memoryless: bool) -> Settings {
    let settings = Settings {
        hidden: 16,
        layers: 1,
        dropout: 0.0,
        batch: 16,
        lr: 1e-2,
        steps: Some(300),
        validate_every: 50,
        ..tiny::<Control>()
    };
    let settings = settings.with_option("environment", "t-maze").with_option("length", 3);
    settings.with_option("memoryless", memoryless).with_option("time", 16)
}

fn run(settings: &Settings, out: &Path) -> RunResult {
    start(settings, out, false).unwrap().0
}

#[test]
fn who_remembers_the_cue_finds_the_goal_and_who_does_not_guesses() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let found = run(&maze(false), &folder.path().join("memory"));
    let test = found.test.unwrap();
    let others = test.control.unwrap();
    assert_eq!((test.test_sequences, others.largest_return), (256, 4.0));
    assert!(test.test_metric > 3.9, "{test:?}");
    assert!(others.memoryless_return < 2.7 && others.random_return < 1.0, "{others:?}");
    let none = run(&maze(true), &folder.path().join("none")).test.unwrap();
    assert!(none.test_metric < 2.7, "{none:?}");
    // The curve is that of the returns.
    let curve = std::fs::read_to_string(folder.path().join("memory/learning-curve.svg")).unwrap();
    assert!(curve.contains("mean_return") && !curve.contains("training"));
}

/// Environments are a part of the checkpoint, and what does not fit is refused.
#[test]
fn environments_of_another_run_are_refused() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let out = folder.path().join("run");
    let of = |steps| Settings { steps: Some(steps), ..maze(false) };
    run(&of(3), &out);
    let path = out.join("checkpoint-3/carried.json");
    let carried = std::fs::read_to_string(&path).unwrap();
    assert!(carried.contains("t-maze"), "{carried}");
    for wrong in [
        "{}",
        &carried.replace("true", "1"),
        &carried.replacen("\"begins\":[", "\"begins\":[true,", 1),
    ] {
        std::fs::write(&path, wrong).unwrap();
        let message = start(&of(5), &out, true).unwrap_err().to_string();
        assert!(message.contains("carried.json"), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    std::fs::write(&path, carried).unwrap();
    start(&of(5), &out, true).unwrap();
    let message = start(&tiny::<Control>().with_option("length", 5), &out, false).unwrap_err();
    assert!(message.to_string().starts_with("--length 5: is of the corridor"), "{message}");
}
