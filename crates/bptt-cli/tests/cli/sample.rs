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
    assert!(stdout(&done).starts_with("19 characters: "), "{}", stdout(&done));
    let done = bptt(&["sample", "--run", &run, "--length", "9", "--samples", "2"]);
    assert!(stdout(&done).starts_with("--- 1 of 2\n"), "{}", stdout(&done));

    let mistakes: [(&[&str], &str); 5] = [
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
