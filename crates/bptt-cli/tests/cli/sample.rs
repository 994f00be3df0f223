//! `bptt sample`

use crate::{bptt, stderr, stdout};
use serde_json::Value;

#[test]
fn texts_are_written_and_scored() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_string();
    let (run, text) = (path("run"), path("text.txt"));
    let sizes = ["--hidden", "4", "--batch", "4", "--time", "8", "--steps", "3"];
    let done = bptt(&[&["train", "char-lm", "--out", &run], &sizes[..]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));

    let sample = |more: &[&str]| {
        let done = bptt(&[&["sample", "--run", &run, "--json", "-"], more].concat());
        assert_eq!(done.status.code(), Some(0), "{more:?}: {}", stderr(&done));
        let json: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        (json, stderr(&done))
    };
    let options = ["--length", "9", "--samples", "2", "--top-k", "5", "--top-p", "0.9"];
    let (json, notes) = sample(&[&["--prompt", "The \u{4e2d}"], &options[..]].concat());
    assert_eq!(json["samples"].as_array().map(Vec::len), Some(2));
    assert_eq!(json["text"], json["samples"][0]["text"]);
    assert_eq!((&json["top_k"], &json["top_p"]), (&5.into(), &0.9.into()));
    assert!(notes.contains("'\u{4e2d}'"), "{notes}");

    std::fs::write(&text, "The gates are open.\n").expect("the folder can be written");
    let (json, _) = sample(&["--score", &text]);
    assert_eq!(json["characters"], 19);
    let nats = json["nats_per_character"].as_f64().expect("a number");
    assert!((json["perplexity"].as_f64().expect("a number").ln() - nats).abs() < 1e-9, "{json}");

    let done = bptt(&["sample", "--run", &run, "--score", &text]);
    let line = stdout(&done);
    assert!(line.starts_with("19 characters: ") && line.contains(" nats per character"), "{line}");
    let done = bptt(&["sample", "--run", &run, "--length", "9", "--samples", "2"]);
    assert!(stdout(&done).starts_with("--- 1 of 2\n"), "{}", stdout(&done));

    let mistakes: [(&[&str], &str); 6] = [
        (&["--stop", "\\n"], "most shells have $'\\n'"),
        (&["--top-k", "0"], "--top-k 0: has to be 1 or above"),
        (&["--top-p", "1.5"], "--top-p 1.5: has to be above 0 and at most 1"),
        (&["--samples", "0"], "--samples 0: has to be 1 or above"),
        (&["--stop", "\u{4e2d}"], "the model never writes"),
        (&["--score", &text, "--prompt", "x"], "cannot be used with"),
    ];
    for (mistake, says) in mistakes {
        let done = bptt(&[&["sample", "--run", &run], mistake].concat());
        assert_eq!(done.status.code(), Some(2), "{mistake:?}");
        assert!(stderr(&done).contains(says), "{mistake:?}: {}", stderr(&done));
    }
}

/// With every tokenizer that the help names.
#[test]
fn texts_are_written_and_scored_in_other_tokens() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a plain path").to_string();
    let (run, text) = (path("run"), path("text.txt"));
    std::fs::write(&text, "The gates \u{2014} na\u{ef}ve \u{2014} are open.\n")
        .expect("it can be written");
    let sizes = ["--hidden", "4", "--batch", "4", "--time", "8", "--steps", "3"];
    let kinds: &[&str] =
        if cfg!(feature = "bpe") { &["bytes", "words", "bpe"] } else { &["bytes", "words"] };
    for kind in kinds {
        let done =
            bptt(&[&["train", "char-lm", "--out", &run, "--tokenizer", kind], &sizes[..]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        let unit = if *kind == "bytes" { "nats per byte" } else { "nats per token" };
        assert!(stdout(&done).contains(unit), "{}", stdout(&done));
        let done = bptt(&["sample", "--run", &run, "--length", "9", "--prompt", "na\u{ef}ve"]);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        assert!(stdout(&done).starts_with("na\u{ef}ve"), "{}", stdout(&done));
        let done = bptt(&["sample", "--run", &run, "--score", &text]);
        let line = stdout(&done);
        for part in [" nats per token", " bits per character", " per byte", "perplexity "] {
            assert!(line.contains(part), "no {part}: {line}");
        }
    }
    let done = bptt(&["train", "char-lm", "--out", &run, "--tokenizer", "syllables"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(
        stderr(&done).contains("(possible values: chars, bytes, words, bpe)"),
        "{}",
        stderr(&done)
    );
    if cfg!(not(feature = "bpe")) {
        let done = bptt(&["train", "char-lm", "--out", &run, "--tokenizer", "bpe"]);
        assert_eq!(done.status.code(), Some(2));
        let line = stderr(&done);
        assert!(
            line.contains("--tokenizer bpe: not in this build; build it with --features bpe"),
            "{line}"
        );
    }
}

#[test]
fn a_prompt_comes_from_standard_input() {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = folder.path().join("run").to_str().expect("a plain path").to_string();
    let sizes = ["--hidden", "4", "--batch", "4", "--time", "8", "--steps", "3"];
    let done = bptt(&[&["train", "char-lm", "--out", &run], &sizes[..]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let sample = |prompt: &str, bytes: &[u8]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bptt"))
            .args(["sample", "--run", &run, "--length", "9", "--prompt", prompt])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut stdin = child.stdin.take().expect("it was asked for");
        let _ = stdin.write_all(bytes);
        drop(stdin);
        child.wait_with_output().expect("it ends")
    };
    let given = sample("one\ntwo", b"");
    let read = sample("-", b"\xef\xbb\xbfone\r\ntwo\r\n");
    assert_eq!(stdout(&read), stdout(&given));
    let notes = stderr(&read);
    assert!(notes.contains("--prompt -: 2 line ends `\\r\\n` read as `\\n`"), "{notes}");
    assert!(notes.contains("--prompt -: the line end at its end is left out"), "{notes}");
    for bytes in [&b"\xff\xfeo\0n\0"[..], b"on\xe9", b""] {
        let done = sample("-", bytes);
        assert_eq!(done.status.code(), Some(2), "{bytes:?}");
        assert_eq!(stderr(&done).lines().count(), 1, "{}", stderr(&done));
        assert!(stderr(&done).starts_with("bptt: standard input: "), "{}", stderr(&done));
    }
}
