//! Output that cannot be written, and outputs that are not regular files.

use crate::{bptt, stderr, stdout};
use std::fs::{self, File};
use std::process::{Command, Stdio};

/// A tiny layer, measured once.
const BENCH: [&str; 14] = [
    "bench",
    "--cell",
    "rnn",
    "--batch",
    "1",
    "--time",
    "2",
    "--input",
    "2",
    "--hidden",
    "2",
    "--repeats",
    "1",
    "--no-ceiling",
];

const VERIFY: [&str; 8] =
    ["verify", "--cell", "rnn", "--device", "flex", "--witness", "kernels", "--dtype=f64"];

/// A run of a few steps.
fn tiny_run<'a>(task: &'a str, out: &'a str) -> Vec<&'a str> {
    vec!["train", task, "--hidden", "4", "--batch", "4", "--steps", "3", "--out", out]
}

/// The arguments of every subcommand, with results as text or JSON on standard output.
fn all(out: &str) -> Vec<Vec<&str>> {
    let with = |arguments: &[&'static str], more: &[&'static str]| [arguments, more].concat();
    let sample = ["sample", "--length", "9", "--run", out];
    let few = ["--points", "2", "--steps", "2", "--probes", "0", "--batches", "1"];
    let landscape = [&["landscape", "--run", out], &few[..]].concat();
    vec![
        vec!["--help"],
        vec!["--version"],
        vec!["train", "--help"],
        vec!["devices"],
        vec!["devices", "--json", "-"],
        with(&VERIFY, &[]),
        with(&VERIFY, &["--json", "-"]),
        with(&BENCH, &[]),
        with(&BENCH, &["--json", "-"]),
        tiny_run("char-lm", out),
        [&tiny_run("char-lm", out)[..], &["--json", "-"]].concat(),
        sample.to_vec(),
        [&sample[..], &["--json", "-"]].concat(),
        landscape.clone(),
        [&landscape[..], &["--json", "-"]].concat(),
    ]
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("run");
    let out = out.to_str().expect("a plain path");
    for arguments in all(out) {
        let full = File::options().write(true).open("/dev/full").expect("a device of the system");
        let done = Command::new(env!("CARGO_BIN_EXE_bptt"))
            .args(&arguments)
            .stdout(full)
            .output()
            .expect("the command starts");
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", stderr(&done));
        let lines = stderr(&done);
        let last = lines.lines().last().unwrap_or_default();
        let named = "cannot write to standard output: No space left on device";
        assert!(last.starts_with(&format!("bptt: {named}")), "{arguments:?}: {lines}");
        assert!(!lines.contains("panicked"), "{arguments:?}: {lines}");
    }
    // The trained model is saved all the same.
    assert!(folder.path().join("run/model.bpk").is_file());
}

#[test]
fn a_reader_that_went_away_is_nobodys_fault() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("run");
    let out = out.to_str().expect("a plain path");
    for arguments in all(out) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bptt"))
            .args(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        drop(child.stdout.take());
        let done = child.wait_with_output().expect("it ends");
        assert_eq!(done.status.code(), Some(0), "{arguments:?}: {}", stderr(&done));
    }
}

/// The command does not panic if standard error cannot be written.
#[cfg(target_os = "linux")]
#[test]
fn mistakes_keep_their_exit_code_where_they_cannot_be_said() {
    for arguments in [&["verfy"][..], &[], &["verify", "--device", "abacus"]] {
        let full = File::options().write(true).open("/dev/full").expect("a device of the system");
        let status = Command::new(env!("CARGO_BIN_EXE_bptt"))
            .args(arguments)
            .stderr(full)
            .status()
            .expect("the command starts");
        assert_eq!(status.code(), Some(2), "{arguments:?}");
    }
}

/// The test makes its own devices, if this user may, because a faulty command could replace the devices of the system.
#[cfg(target_os = "linux")]
#[test]
fn devices_are_written_into() {
    use std::os::unix::fs::FileTypeExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let make = |name: &str, minor: &str| {
        let path = folder.path().join(name);
        let made = Command::new("mknod").arg(&path).args(["c", "1", minor]).output();
        let made = made.is_ok_and(|made| made.status.success());
        (made && File::options().write(true).open(&path).is_ok())
            .then(|| path.to_str().expect("a plain path").to_string())
    };
    let device =
        |path: &str| fs::symlink_metadata(path).expect("a device").file_type().is_char_device();
    for (name, minor, code) in [("null", "3", 0), ("full", "7", 2)] {
        let Some(path) = make(name, minor) else { continue };
        let done = bptt(&["devices", "--json", &path]);
        assert_eq!(done.status.code(), Some(code), "{}", stderr(&done));
        assert!(device(&path), "{name}");
        let named = format!("bptt: cannot write {path}: No space left");
        assert_eq!(stderr(&done).starts_with(&named), code == 2, "{}", stderr(&done));
    }
    let done = bptt(&["devices", "--json", "/proc/self/fd/1"]);
    assert!(String::from_utf8_lossy(&done.stdout).contains("\"name\": \"flex\""), "{done:?}");
}

/// A result that cannot be written is reported before the work begins.
#[test]
fn results_that_could_not_be_written_are_refused_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("run");
    let out = out.to_str().expect("a plain path");
    let nowhere = folder.path().join("no/such.json");
    let nowhere = nowhere.to_str().expect("a plain path");
    let here = folder.path().to_str().expect("a plain path");
    for file in [nowhere, here] {
        for arguments in [
            &["devices"][..],
            &VERIFY,
            &BENCH,
            &tiny_run("char-lm", out)[..],
            &["sample", "--run", out],
            &["landscape", "--run", out],
        ] {
            let done = bptt(&[arguments, &["--json", file]].concat());
            assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", stderr(&done));
            assert!(done.stdout.is_empty(), "{arguments:?}: it was begun");
            let lines = stderr(&done);
            assert!(lines.starts_with(&format!("bptt: cannot write {file}: ")), "{lines}");
            assert_eq!(lines.lines().count(), 1, "{lines}");
        }
    }
    assert!(fs::read_dir(folder.path()).expect("it is there").next().is_none());
}

#[test]
fn a_result_may_lie_in_the_run_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_string();
    let out = path("runs/one");
    for json in ["runs/one/result.json", "runs/result.json"].map(path) {
        // The second time the folder exists, and it has the result of the first time, which is not a file of the run.
        for _ in 0..2 {
            let done = bptt(&[&tiny_run("parity", &out)[..], &["--json", &json]].concat());
            assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
            assert!(fs::metadata(&json).expect("it was written").is_file());
        }
    }
    assert!(fs::metadata(path("runs/one/result.json")).expect("it is left alone").is_file());
}

#[test]
fn shells_and_man_learn_all_subcommands() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = bptt(&["completions", shell]);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        // Not every shell completes values.
        let values = ["bash", "zsh", "fish"].contains(&shell);
        let values = if values { &["double-double", "char-lm"][..] } else { &[] };
        for part in ["verify", "witness"].iter().chain(values) {
            assert!(stdout(&done).contains(part), "{shell}: no {part}");
        }
    }
    let done = bptt(&["man"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(stdout(&done).starts_with(".ie") && stdout(&done).contains(".TH bptt 1"));

    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_str().expect("a plain path");
    let done = bptt(&["man", "--out", path]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    for page in ["bptt.1", "bptt-train.1", "bptt-verify.1"] {
        let text = std::fs::read_to_string(folder.path().join(page)).expect(page);
        assert!(text.contains(".TH"), "{page}");
    }
    let done = bptt(&["man", "--out", "no/such/folder"]);
    assert_eq!((done.status.code(), stderr(&done).lines().count()), (Some(2), 1));
}
