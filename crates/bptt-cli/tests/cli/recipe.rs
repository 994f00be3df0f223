//! `bptt train`: how a model is trained, on the command line and in a file.

use crate::{bptt, stderr, stdout};
use serde_json::Value;
use std::path::Path;
use std::process::Output;

/// A small run of `adding` with further arguments.
fn train(out: &Path, more: &[&str]) -> Output {
    let path = out.to_str().expect("a plain path");
    let sizes = ["--length", "6", "--hidden", "4", "--batch", "4", "--quiet", "--out", path];
    bptt(&[&["train", "adding"], &sizes[..], more].concat())
}

fn settings(out: &Path) -> Value {
    let text = std::fs::read_to_string(out.join("config.json")).expect("it was written");
    serde_json::from_str::<Value>(&text).expect("JSON")["settings"].clone()
}

#[test]
fn the_recipe_is_in_the_folder_and_is_a_file_for_the_next_run() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let recipe = [
        ("--steps", "6"),
        ("--optimizer", "muon"),
        ("--momentum", "0.8"),
        ("--weight-decay", "0.05"),
        ("--schedule", "cosine"),
        ("--warmup", "2"),
        ("--final-lr", "0.0001"),
        ("--patience", "3"),
        ("--accumulate", "2"),
        ("--average", "ema:0.9"),
    ];
    let flags: Vec<&str> = recipe.iter().flat_map(|&(name, value)| [name, value]).collect();
    let done = train(&first, &flags);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let stored = settings(&first);
    for (name, value) in recipe {
        let found = &stored[name[2..].replace('-', "_")];
        let found = found.as_str().map_or_else(|| found.to_string(), str::to_string);
        assert_eq!(found, value, "{name}");
    }
    assert_eq!(stored["schedule_steps"], 6);
    // The same run from the file that it left, but for what the command line says.
    let config = first.join("config.json");
    let config = config.to_str().expect("a plain path");
    let path = second.to_str().expect("a plain path");
    let again = [
        "train", "adding", "--quiet", "--config", config, "--out", path, "--seed", "9", "--seed",
        "2",
    ];
    let done = bptt(&again);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let mut expected = stored.clone();
    expected["seed"] = 2.into();
    assert_eq!(settings(&second), expected);
    let done = bptt(&[&again[..], &["--resume"]].concat());
    assert_eq!(done.status.code(), Some(2), "{}", stderr(&done));
    assert!(stderr(&done).contains("--config"), "{}", stderr(&done));
}

#[test]
fn a_file_of_settings_loses_against_the_command_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (out, file) = (folder.path().join("run"), folder.path().join("recipe.toml"));
    let write = |text: &str| std::fs::write(&file, text).expect("it can be written");
    let config = file.to_str().expect("a plain path");
    write("steps = 2\nlr = 0.25\nlength = 9\ncell = 'gru'\nclip = inf\n");
    let done = train(&out, &["--config", config, "--lr", "0.125"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let stored = settings(&out);
    assert_eq!(stored["lr"], 0.125);
    assert_eq!(stored["length"], 6);
    assert_eq!((&stored["steps"], &stored["cell"]), (&Value::from(2), &Value::from("gru")));
    assert_eq!(stored["clip"], Value::Null);
    for (text, part) in [
        ("stepz = 2", "unknown name `stepz`"),
        ("steps = 'two'", "steps: invalid type"),
        ("momentum = 0.9", "--momentum 0.9: adam has no such choice"),
        ("length = 'long'", "the options of adding"),
        ("task = 'copy'", "task: is \"copy\", and this is adding"),
    ] {
        write(text);
        let done = bptt(&["train", "adding", "--config", config]);
        assert_eq!(done.status.code(), Some(2), "{text}: {}", stderr(&done));
        assert!(stderr(&done).contains(part), "{text}: {}", stderr(&done));
        assert_eq!(stderr(&done).lines().count(), 1, "{}", stderr(&done));
    }
    let missing = bptt(&["train", "adding", "--config", "/nowhere/recipe.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("/nowhere/recipe.toml"), "{}", stderr(&missing));
}

#[test]
fn what_makes_no_sense_is_one_line() {
    let mistakes: [(&[&str], &str); 8] = [
        (&["adding", "--schedule", "cosin"], "`cosin` is no schedule"),
        (&["adding", "--schedule", "step"], "expected step:N[:FACTOR]"),
        (&["adding", "--schedule", "noam"], "--schedule noam: needs --warmup N"),
        (&["adding", "--schedule", "linear", "--seconds", "3"], "give --steps in its place"),
        (&["adding", "--average", "ema"], "expected none, ema:DECAY or swa:STEP"),
        (&["adding", "--label-smoothing", "0.1"], "adding does not learn labels"),
        (&["parity", "--tie-embeddings"], "--tie-embeddings belongs to char-lm"),
        (&["char-lm", "--tie-embeddings"], "they are 64 and 128"),
    ];
    for (arguments, named) in mistakes {
        let done = bptt(&[&["train"], arguments].concat());
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", stdout(&done));
        assert_eq!(stderr(&done).trim().lines().count(), 1, "{arguments:?}: {}", stderr(&done));
        assert!(stderr(&done).contains(named), "{arguments:?}: {}", stderr(&done));
    }
}

/// Presets of some tasks have a rate that ends with the steps. A run by the clock does not know its steps.
#[test]
fn a_run_by_the_clock_has_a_preset_without_an_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("run");
    let path = out.to_str().expect("a plain path");
    let sizes = ["--cell", "mingru", "--length", "101", "--hidden", "4", "--batch", "2", "--quiet"];
    let run = |more: &[&str]| {
        let done = bptt(&[&["train", "copy", "--out", path], &sizes[..], more].concat());
        (done.status.code(), stderr(&done))
    };
    let (code, lines) = run(&["--steps", "2"]);
    assert_eq!(code, Some(0), "{lines}");
    assert_eq!(settings(&out)["schedule"], "cosine");
    let (code, lines) = run(&["--seconds", "0.1"]);
    assert_eq!(code, Some(0), "{lines}");
    assert_eq!(settings(&out)["schedule"], "constant");
    let (code, lines) = run(&["--seconds", "0.1", "--schedule-steps", "9"]);
    assert_eq!(code, Some(0), "{lines}");
    assert_eq!(settings(&out)["schedule"], "cosine");
    // What is asked for is not changed.
    let (code, lines) = run(&["--seconds", "0.1", "--schedule", "cosine"]);
    assert_eq!(code, Some(2), "{lines}");
    assert!(lines.contains("the steps of a run by --seconds are not known"), "{lines}");
}
