//! Runs that are interrupted, and two runs in one folder.

use crate::{bptt, stderr};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

/// A process that is killed at the end of its test, even if the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A run that would take hours.
fn begin(out: &str, more: &[&str]) -> Running {
    let arguments = ["train", "parity", "--hidden", "4", "--batch", "4", "--out", out];
    Command::new(env!("CARGO_BIN_EXE_bptt"))
        .args(arguments)
        .args(["--steps", "100000000", "--validate-every", "100000000"])
        .args(more)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map(Running)
        .expect("the command starts")
}

/// Waits until a file exists.
fn wait_for(file: &Path) {
    let start = Instant::now();
    while !file.exists() {
        assert!(start.elapsed() < Duration::from_secs(60), "no {}", file.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Running, name: &str, times: usize) {
    let process = child.0.id().to_string();
    let status = Command::new("kill").arg(name).args(vec![process; times]).status();
    assert!(status.expect("kill is there").success());
}

/// The exit code, and the lines on standard error.
fn ended(mut child: Running) -> (Option<i32>, String) {
    let mut lines = String::new();
    let mut stderr = child.0.stderr.take().expect("it was asked for");
    stderr.read_to_string(&mut lines).expect("it can be read");
    (child.0.wait().expect("it ends").code(), lines)
}

#[test]
fn an_interrupted_run_is_saved_and_says_which_signal_it_was() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path =
            |name: &str| folder.path().join(name).to_str().expect("a plain path").to_string();
        let (out, json) = (path("run"), path("result.json"));
        let child = begin(&out, &["--json", &json]);
        wait_for(&folder.path().join("run/config.json"));
        signal(&child, &format!("-{name}"), 1);
        let (found, lines) = ended(child);
        assert_eq!(found, Some(code), "{lines}");
        assert!(
            lines.ends_with(&format!("bptt: ended by SIG{name}; the run is saved\n")),
            "{lines}"
        );

        let text = std::fs::read_to_string(&json).expect("the result is written all the same");
        let result: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let steps = result["steps"].as_u64().expect("a number of steps");
        assert!(folder.path().join(format!("run/checkpoint-{steps}/optimizer.bpk")).is_file());
        let more = (steps + 2).to_string();
        let done = bptt(&["train", "parity", "--resume", "--steps", &more, "--out", &out]);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    }
}

/// `timeout` sends a signal to the process and to its group.
#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("run");
    let child = begin(out.to_str().expect("a plain path"), &[]);
    wait_for(&out.join("config.json"));
    signal(&child, "-TERM", 3);
    let (code, lines) = ended(child);
    assert_eq!(code, Some(143), "{lines}");
    assert!(lines.contains("the run is saved"), "{lines}");
    assert!(out.join("checkpoint.json").is_file());
}

#[test]
fn two_trainings_do_not_share_a_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("run");
    let out = out.to_str().expect("a plain path");
    let child = begin(out, &[]);
    wait_for(&folder.path().join("run/config.json"));
    let config = || std::fs::read(folder.path().join("run/config.json")).expect("it is there");
    let before = config();
    for more in [&["--steps", "2"][..], &["--steps", "2", "--resume"]] {
        let done = bptt(&[&["train", "parity", "--out", out], more].concat());
        assert_eq!(done.status.code(), Some(2), "{}", stderr(&done));
        let lines = stderr(&done);
        assert!(lines.contains("another run is at work in this folder"), "{lines}");
        assert_eq!(lines.lines().count(), 1, "{lines}");
    }
    assert!(config() == before);
    // The folder is free again, even if the run is killed.
    signal(&child, "-KILL", 1);
    ended(child);
    let small = ["--hidden", "4", "--batch", "4", "--steps", "2"];
    let done = bptt(&[&["train", "parity", "--out", out], &small[..]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
}

fn pipe(path: &Path) -> String {
    let made = Command::new("mkfifo").arg(path).status().expect("mkfifo is there");
    assert!(made.success());
    path.to_str().expect("a plain path").to_string()
}

/// Reads up to a line that contains a text.
fn read_to(lines: &mut BufReader<ChildStderr>, text: &str) {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert!(lines.read_line(&mut line).expect("it can be read") > 0, "no {text}");
    }
}

/// The run waits for its text, because nobody writes to standard input. So there is nothing to be saved.
#[test]
fn before_the_training_a_signal_ends_the_command_at_once() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("run");
        let mut child = Command::new(env!("CARGO_BIN_EXE_bptt"))
            .args(["train", "char-lm", "--text", "-", "--out"])
            .arg(&out)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map(Running)
            .expect("the command starts");
        // Standard input stays open, so the run waits for more.
        let _stdin = child.0.stdin.take().expect("it was asked for");
        std::thread::sleep(Duration::from_millis(500));
        let sent = Instant::now();
        signal(&child, &format!("-{name}"), 1);
        let (found, lines) = ended(child);
        assert_eq!(found, Some(code), "{lines}");
        assert!(sent.elapsed() < Duration::from_secs(2), "it took {:?}", sent.elapsed());
        assert_eq!(lines, format!("bptt: SIG{name}: ended before the training began\n"));
        assert!(!out.exists());
    }
}

/// Nobody reads the result, so the command blocks while it writes it.
#[test]
fn a_second_signal_does_not_wait() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let json = pipe(&folder.path().join("result"));
    let out = folder.path().join("run");
    let mut child = begin(out.to_str().expect("a plain path"), &["--json", &json]);
    let mut lines = BufReader::new(child.0.stderr.take().expect("it was asked for"));
    wait_for(&out.join("config.json"));
    signal(&child, "-INT", 1);
    read_to(&mut lines, "another signal ends it now");
    wait_for(&out.join("checkpoint.json"));
    std::thread::sleep(Duration::from_millis(500));
    assert!(child.0.try_wait().expect("it is ours").is_none(), "it did not wait");
    let sent = Instant::now();
    signal(&child, "-TERM", 1);
    assert_eq!(child.0.wait().expect("it ends").code(), Some(143));
    assert!(sent.elapsed() < Duration::from_secs(2), "it took {:?}", sent.elapsed());
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("it can be read");
    assert!(!rest.contains("panicked"), "{rest}");
}

/// As `bptt train … | head -1` leaves it.
#[test]
fn a_run_whose_reader_went_away_is_saved_too() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("run");
        let mut child = Command::new(env!("CARGO_BIN_EXE_bptt"))
            .args(["train", "parity", "--hidden", "4", "--batch", "4", "--steps", "100000000"])
            .args(["--validate-every", "20", "--out"])
            .arg(&out)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map(Running)
            .expect("the command starts");
        drop(child.0.stdout.take());
        // Lines have been written that nobody reads.
        wait_for(&out.join("checkpoint.json"));
        signal(&child, &format!("-{name}"), 1);
        let (found, lines) = ended(child);
        assert_eq!(found, Some(code), "{lines}");
        assert!(lines.ends_with(&format!("ended by SIG{name}; the run is saved\n")), "{lines}");
        assert!(out.join("model.bpk").is_file());
    }
}

/// The files of a run by their names, without the times in them.
fn timeless(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(out).expect("a run folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() {
            let below = timeless(&path);
            found.extend(below.into_iter().map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
            continue;
        }
        let text = std::fs::read(&path).expect("it can be read");
        let without = |line: &str| match name.as_str() {
            "metrics.csv" => {
                line.split(',').enumerate().filter(|(i, _)| *i != 1).map(|(_, f)| f).collect()
            }
            _ => {
                let mut value: serde_json::Value = serde_json::from_str(line).expect("JSON");
                assert!(value.as_object_mut().expect("an object").remove("seconds").is_some());
                value.to_string()
            }
        };
        let text = match name.as_str() {
            "metrics.csv" | "metrics.jsonl" => {
                let lines = String::from_utf8(text).expect("text");
                lines.lines().map(without).collect::<Vec<_>>().join("\n").into_bytes()
            }
            "checkpoint.json" => without(&String::from_utf8(text).expect("text")).into_bytes(),
            _ => text,
        };
        found.insert(name, text);
    }
    found
}

/// Steps and files are so small here that many of the kills come while a file is written.
#[test]
fn a_run_that_is_killed_again_and_again_leaves_the_bytes_of_the_whole_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let run = |out: &Path, resume: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bptt"));
        command.args(["train", "parity", "--hidden", "4", "--layers", "2", "--dropout", "0.1"]);
        command.args(["--length", "8", "--batch", "4", "--steps", "600", "--validate-every", "3"]);
        command.arg("--out").arg(out).args(resume.then_some("--resume"));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().map(Running).expect("the command starts")
    };
    let (code, lines) = ended(run(&at("whole"), false));
    assert_eq!(code, Some(0), "{lines}");
    let parts = at("parts");
    let begun = || parts.join("config.json").is_file();
    let (mut kills, mut steps) = (0, Vec::new());
    for milliseconds in (10..400).step_by(26) {
        let mut child = run(&parts, begun());
        std::thread::sleep(Duration::from_millis(milliseconds));
        kills += usize::from(child.0.try_wait().expect("it is ours").is_none());
        child.0.kill().expect("it is ours");
        drop(child);
        let text = std::fs::read_to_string(parts.join("checkpoint.json")).unwrap_or_default();
        let checkpoint: Option<serde_json::Value> = serde_json::from_str(&text).ok();
        steps.push(checkpoint.map_or(0, |json| json["step"].as_u64().expect("a number")));
    }
    assert!(kills > 5, "it was killed {kills} times only, at the steps {steps:?}");
    if steps.last() != Some(&600) {
        let (code, lines) = ended(run(&parts, begun()));
        assert_eq!(code, Some(0), "{lines}");
    }
    let (whole, parts) = (timeless(&at("whole")), timeless(&parts));
    assert_eq!(whole.keys().collect::<Vec<_>>(), parts.keys().collect::<Vec<_>>());
    for (name, bytes) in &whole {
        assert!(*bytes == parts[name], "{name} differs; killed at the steps {steps:?}");
    }
}
