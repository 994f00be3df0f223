//! `bptt train` on data of other programs.

use crate::{stderr, stdout};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the command with these bytes on standard input. It need not read all of them.
fn fed(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bptt"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // Writing fails if the command has read enough and has ended.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

const TEXT: [&str; 8] = ["train", "char-lm", "--time", "8", "--embedding", "4", "--text", "-"];
const SMALL: [&str; 4] = ["--hidden", "4", "--batch", "4"];

#[test]
fn texts_and_series_come_from_standard_input_and_are_resumed_from_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = "one two three\r\n".repeat(20).into_bytes();
    let rows = (0..80).map(|t| format!("{t},{}\n", (t * t) % 17)).collect::<String>();
    let series = ("t,x\n".to_string() + &rows).into_bytes();
    let forecast = ["train", "forecast", "--csv", "-", "--column", "x", "--length", "5"];
    for (task, data) in [(&TEXT, text), (&forecast, series)] {
        let out = folder.path().join(task[1]);
        let out = out.to_str().expect("a plain path");
        let run = |more: &[&str], data: &[u8]| {
            fed(&[&task[..], &SMALL, &["--out", out], more].concat(), data)
        };
        let done = run(&["--steps", "2"], &data);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        let said = "read from standard input, where --resume will want it again";
        assert!(stdout(&done).contains(said), "{}", stdout(&done));
        let returns = stdout(&done).contains("20 line ends `\\r\\n` read as `\\n`");
        assert_eq!(returns, task[1] == "char-lm", "{}", stdout(&done));
        let done = run(&["--steps", "3", "--resume"], &data);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        // Standard input is empty, or has other data.
        for (data, named) in [(&data[..0], "empty"), (&data[..data.len() - 40], "not the one")] {
            let done = run(&["--steps", "4", "--resume"], data);
            assert_eq!(done.status.code(), Some(2), "{}", stdout(&done));
            assert_eq!(stderr(&done).trim().lines().count(), 1, "{}", stderr(&done));
            assert!(stderr(&done).contains(named), "{named}: {}", stderr(&done));
        }
    }
}

#[test]
fn endless_zeros_on_standard_input_are_refused_at_once() {
    let done = fed(&TEXT, &vec![0; 1 << 20]);
    assert_eq!(done.status.code(), Some(2), "{}", stdout(&done));
    assert!(stderr(&done).contains("standard input: a zero byte at byte 0"), "{}", stderr(&done));
    #[cfg(unix)]
    {
        let zeros = std::fs::File::open("/dev/zero").expect("it is there");
        let mut command = Command::new(env!("CARGO_BIN_EXE_bptt"));
        let done = command.args(TEXT).stdin(zeros).output().expect("the command starts");
        assert_eq!(done.status.code(), Some(2), "{}", stdout(&done));
        assert!(stderr(&done).contains("standard input: a device"), "{}", stderr(&done));
    }
}

/// The case of tests/cases/data of the zoo, through the command.
#[test]
fn a_quote_that_is_left_open_is_one_line_and_exit_code_2() {
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let file = Path::new(&package).join("../bptt-zoo/tests/cases/data/open.csv");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("run");
    let done = Command::new(env!("CARGO_BIN_EXE_bptt"))
        .args(["train", "forecast", "--column", "x", "--length", "3", "--csv"])
        .arg(&file)
        .arg("--out")
        .arg(&out)
        .output()
        .expect("the command starts");
    assert_eq!(done.status.code(), Some(2), "{}", stdout(&done));
    assert_eq!(stderr(&done).trim().lines().count(), 1, "{}", stderr(&done));
    assert!(stderr(&done).contains("open.csv, line 22: a quote is opened"), "{}", stderr(&done));
    assert!(!out.exists());
}

/// A run folder stores paths as Unicode.
#[cfg(target_os = "linux")]
#[test]
fn a_file_whose_name_is_not_unicode_is_one_line() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join(std::ffi::OsStr::from_bytes(b"gr\xf6\xdfe.txt"));
    std::fs::write(&file, "one two three ".repeat(20)).expect("the folder can be written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_bptt"));
    let done = command.args(&TEXT[..7]).arg(&file).output().expect("the command starts");
    assert_eq!(done.status.code(), Some(2), "{}", stdout(&done));
    assert!(stderr(&done).contains("its path is not Unicode"), "{}", stderr(&done));
}
