//! Run folders: which files belong to the run, and which to other programs.

use crate::{alone, start, tiny, tiny_of};
use bptt::{AnyLayerConfig, CellKind};
use bptt_probe::DType;
use bptt_zoo::{ModelConfig, Parity, RunFolder, Settings, TASKS, TaggerConfig};
use burn::tensor::Device;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tempfile::{TempDir, tempdir};

/// The content of a folder, by path. The path of a folder ends in `/`.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let below = content(&entry.path());
            found.extend(below.into_iter().map(|(path, bytes)| (format!("{name}/{path}"), bytes)));
            found.insert(name + "/", Vec::new());
        } else {
            found.insert(name, fs::read(entry.path()).unwrap_or_default());
        }
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    content(folder).into_keys().collect()
}

/// As the Trainer of Hugging Face leaves a model: the names are those of a run of ours. (From the reports
/// huggingface/community-events#77 and jakeret/tf_unet#34: a training run that erased what lay in the
/// folder it was given.)
fn of_hugging_face() -> TempDir {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("config.json"), "{\"model_type\": \"bert\"}\n").unwrap();
    for step in [500, 1000] {
        let checkpoint = folder.path().join(format!("checkpoint-{step}"));
        fs::create_dir(&checkpoint).unwrap();
        fs::write(checkpoint.join("model.safetensors"), "not to be lost\n").unwrap();
    }
    folder
}

#[test]
fn somebody_elses_folder_is_refused_and_not_touched() {
    let _alone = alone();
    let notes = tempdir().unwrap();
    fs::write(notes.path().join("notes.txt"), "mine").unwrap();
    let config = TaggerConfig::new(AnyLayerConfig::new(CellKind::Gru, 3, 4), 5);
    for folder in [of_hugging_face(), notes] {
        let before = content(folder.path());
        let mut messages = vec![
            start(&tiny::<Parity>(), folder.path(), false).unwrap_err().to_string(),
            RunFolder::new(folder.path())
                .save(&config, config.try_init(&Device::flex()).unwrap())
                .unwrap_err()
                .to_string(),
        ];
        assert!(messages.iter().all(|message| message.contains("no run folder")), "{messages:?}");
        messages.push(start(&tiny::<Parity>(), folder.path(), true).unwrap_err().to_string());
        for message in messages {
            assert!(message.starts_with(&folder.path().display().to_string()), "{message}");
            assert_eq!(message.lines().count(), 1, "{message}");
        }
        assert_eq!(content(folder.path()), before);
    }
    let file = tempdir().unwrap();
    let file = file.path().join("file");
    fs::write(&file, "mine").unwrap();
    let message = start(&tiny::<Parity>(), &file, false).unwrap_err().to_string();
    assert!(message.contains("no folder"), "{message}");
}

#[test]
fn what_others_put_into_a_run_folder_stays() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    start(&tiny::<Parity>(), folder.path(), false).unwrap();
    let of_run = names(folder.path());
    assert!(of_run.contains(&"checkpoint-20/optimizer.bpk".to_string()), "{of_run:?}");
    for (name, text) in [
        ("notes.txt", "mine"),
        (".bptt-notes", "mine"),
        ("checkpoint-500/model.safetensors", "theirs"),
        ("checkpoint-020/model.bpk", "theirs"),
        ("checkpoint-best/model.bpk", "theirs"),
        ("checkpoint-20/notes.txt", "mine"),
    ] {
        fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        fs::write(at(name), text).unwrap();
    }
    // The unfinished file of a run that was killed while it wrote.
    fs::write(at(".bptt-a1B2c3.unfinished"), "half").unwrap();
    let elsewhere = tempdir().unwrap();
    fs::write(elsewhere.path().join("model.bpk"), "theirs").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(elsewhere.path(), at("checkpoint-7")).unwrap();

    let shorter = Settings { steps: Some(10), ..tiny::<Parity>() };
    start(&shorter, folder.path(), false).unwrap();
    for (name, text) in [
        ("notes.txt", "mine"),
        (".bptt-notes", "mine"),
        ("checkpoint-500/model.safetensors", "theirs"),
        ("checkpoint-020/model.bpk", "theirs"),
        ("checkpoint-best/model.bpk", "theirs"),
        ("checkpoint-20/notes.txt", "mine"),
    ] {
        assert_eq!(fs::read_to_string(at(name)).unwrap(), text, "{name}");
    }
    assert!(!at("checkpoint-20/optimizer.bpk").exists());
    assert!(at("checkpoint-10/optimizer.bpk").exists());
    assert!(!at(".bptt-a1B2c3.unfinished").exists());
    assert_eq!(fs::read_to_string(elsewhere.path().join("model.bpk")).unwrap(), "theirs");

    // Another program now uses the folder: the config is not that of a run.
    fs::write(at("config.json"), "{\"model_type\": \"bert\"}\n").unwrap();
    let before = content(folder.path());
    let message = start(&shorter, folder.path(), false).unwrap_err().to_string();
    assert!(message.contains("config.json is not that of a run"), "{message}");
    assert_eq!(content(folder.path()), before);
}

#[test]
fn a_folder_in_a_files_place_stops_a_run_before_anything_is_removed() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    start(&tiny::<Parity>(), folder.path(), false).unwrap();
    fs::remove_file(folder.path().join("learning-curve.svg")).unwrap();
    fs::create_dir(folder.path().join("learning-curve.svg")).unwrap();
    let before = content(folder.path());
    let message = start(&tiny::<Parity>(), folder.path(), false).unwrap_err().to_string();
    assert!(message.contains("learning-curve.svg: it is a folder"), "{message}");
    assert_eq!(content(folder.path()), before);
}

#[test]
fn a_folder_from_before_the_marker_is_gone_on_with() {
    let _alone = alone();
    for resume in [true, false] {
        let folder = tempdir().unwrap();
        let shorter = Settings { steps: Some(9), ..tiny::<Parity>() };
        start(&shorter, folder.path(), false).unwrap();
        fs::remove_file(folder.path().join(".bptt-run")).unwrap();
        RunFolder::new(folder.path()).settings().unwrap();
        start(&tiny::<Parity>(), folder.path(), resume).unwrap();
        assert!(folder.path().join(".bptt-run").is_file());
        assert!(!folder.path().join("checkpoint-9").exists());
    }
}

/// The files without their times.
pub(crate) fn timeless(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let without = |line: &str| {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value.as_object_mut().unwrap().remove("seconds").is_some());
        value.to_string() + "\n"
    };
    let mut found = content(folder);
    for (name, bytes) in &mut found {
        let text = || String::from_utf8(bytes.clone()).unwrap();
        match name.as_str() {
            "metrics.jsonl" => {
                *bytes = text().lines().map(without).collect::<String>().into_bytes()
            }
            "metrics.csv" => {
                let row = |line: &str| {
                    let fields: Vec<_> = line.split(',').collect();
                    assert_eq!(fields.len(), 6, "{line}");
                    [&fields[..1], &fields[2..]].concat().join(",") + "\n"
                };
                *bytes = text().lines().map(row).collect::<String>().into_bytes()
            }
            "checkpoint.json" => *bytes = without(&text()).into_bytes(),
            _ => {}
        }
    }
    found
}

pub fn assert_same(a: &Path, b: &Path, what: &str) {
    let (a, b) = (timeless(a), timeless(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{what}");
    for (name, bytes) in &a {
        assert!(*bytes == b[name], "{what}: {name} differs");
    }
}

#[test]
fn two_equal_runs_leave_equal_bytes() {
    let _alone = alone();
    for task in TASKS {
        let folder = tempdir().unwrap();
        let (first, second) = (folder.path().join("first"), folder.path().join("second"));
        for out in [&first, &second] {
            start(&tiny_of(task), out, false).unwrap();
        }
        assert_same(&first, &second, task.name);
    }
}

#[test]
fn a_resumed_run_leaves_the_bytes_of_the_whole_one() {
    let _alone = alone();
    let dtypes = [DType::F32, DType::Bf16, DType::F16];
    for (task, dtype) in TASKS.iter().flat_map(|task| dtypes.map(|dtype| (task, dtype))) {
        let folder = tempdir().unwrap();
        let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
        // Numbers without a short decimal form, and points of the curve that are read and written again.
        let of = |steps| Settings {
            dtype,
            steps: Some(steps),
            lr: 1.0 / 300.0,
            validate_every: 5,
            ..tiny_of(task)
        };
        start(&of(60), &whole, false).unwrap();
        for steps in (5..=60).step_by(5) {
            start(&of(steps), &parts, steps > 5).unwrap();
        }
        assert_same(&whole, &parts, task.name);
    }
}

#[test]
fn the_table_of_the_curves_has_the_numbers_of_the_lines() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let settings = Settings { steps: Some(45), validate_every: 10, ..tiny::<Parity>() };
    start(&settings, folder.path(), false).unwrap();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let (table, lines) = (read("metrics.csv"), read("metrics.jsonl"));
    let mut rows = table.lines();
    let names: Vec<_> = rows.next().unwrap().split(',').collect();
    assert_eq!(names, ["step", "seconds", "lr", "train_loss", "valid_loss", "metric"]);
    assert_eq!(rows.clone().count(), lines.lines().count());
    for (row, line) in rows.zip(lines.lines()) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        for (name, field) in names.iter().zip(row.split(',')) {
            let found = (!field.is_empty()).then(|| field.parse::<f64>().unwrap());
            assert_eq!(found, line[name].as_f64(), "{name}: {row}");
        }
    }
}

/// What is there when a run is killed before its first checkpoint, while it writes a checkpoint, and at its very end.
#[test]
fn a_killed_run_is_resumed_wherever_it_was() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let of = |steps| Settings { steps: Some(steps), validate_every: 5, ..tiny_of(classify()) };
    let whole = at("whole");
    start(&of(20), &whole, false).unwrap();

    // Killed right after the config was written.
    let early = at("early");
    fs::create_dir(&early).unwrap();
    for name in [".bptt-run", "config.json"] {
        fs::copy(whole.join(name), early.join(name)).unwrap();
    }
    let (_, lines) = start(&of(20), &early, true).unwrap();
    assert!(lines.iter().any(|line| line.contains("begins anew")), "{lines:?}");
    assert_same(&early, &whole, "early");

    // Killed between the checkpoint and the best model; the model is that of an earlier step, or not there yet.
    for there in [true, false] {
        let between = at(&format!("between-{there}"));
        start(&of(5), &between, false).unwrap();
        let earlier = fs::read(between.join("model.bpk")).unwrap();
        start(&of(20), &between, true).unwrap();
        fs::remove_file(between.join("test.json")).unwrap();
        match there {
            true => fs::write(between.join("model.bpk"), earlier).unwrap(),
            false => fs::remove_file(between.join("model.bpk")).unwrap(),
        }
        start(&of(20), &between, true).unwrap();
        assert_same(&between, &whole, "between");
    }

    // Killed before the test, and before the older checkpoint was removed.
    let late = at("late");
    start(&of(20), &late, false).unwrap();
    fs::remove_file(late.join("test.json")).unwrap();
    fs::create_dir(late.join("checkpoint-15")).unwrap();
    fs::write(late.join("checkpoint-15/model.bpk"), "old").unwrap();
    start(&of(20), &late, true).unwrap();
    assert_same(&late, &whole, "late");
    // A run that is complete is not resumed.
    let message = start(&of(20), &late, true).unwrap_err().to_string();
    assert!(message.contains("the run is at step 20 already"), "{message}");
}

fn classify() -> &'static bptt_zoo::AnyTask {
    TASKS.iter().find(|task| task.name == "classify").unwrap()
}

#[test]
fn a_model_that_was_saved_is_not_taken_for_a_killed_run() {
    let _alone = alone();
    let folder = tempdir().unwrap();
    let settings = tiny::<Parity>();
    start(&settings, folder.path(), false).unwrap();
    fs::remove_file(folder.path().join("checkpoint.json")).unwrap();
    let before = content(folder.path());
    let message = start(&settings, folder.path(), true).unwrap_err().to_string();
    assert!(message.contains("a model without a checkpoint"), "{message}");
    assert_eq!(content(folder.path()), before);
}
