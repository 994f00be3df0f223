//! `bptt train classify`, `tag` and `regress`, and `bptt predict`

use crate::{bptt, stderr, stdout};
use serde_json::{Value, json};
use std::path::Path;

/// A line of JSON for each of some sequences, whose first value says its label.
pub fn lines(task: &str, count: usize) -> String {
    let line = |k: usize| {
        let x: Vec<[f64; 1]> = (0..1 + k % 4).map(|t| [(k % 2) as f64 + t as f64]).collect();
        let label = ["low", "high"][k % 2];
        let y: Value = match task {
            "classify" => label.into(),
            "tag" => x.iter().map(|_| label).collect(),
            _ => (k % 2).into(),
        };
        json!({ "x": x, "y": y }).to_string() + "\n"
    };
    (0..count).map(line).collect()
}

fn plain(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("it was written")
}

#[test]
fn a_classifier_goes_from_a_file_to_predictions() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let of = |name: &str| folder.path().join(name);
    let (data, run, page) = (of("data.jsonl"), of("run"), of("page.html"));
    std::fs::write(&data, lines("classify", 40)).expect("it can be written");
    let sizes = ["--hidden", "4", "--batch", "8", "--steps", "20"];
    let paths = ["--data", plain(&data), "--out", plain(&run), "--html", plain(&page)];
    let done = bptt(&[&["train", "classify", "--json", "-"], &paths[..], &sizes].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let result: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(result["test_sequences"], 4);
    assert_eq!(result["confusion"]["labels"], json!(["high", "low"]));
    assert!(
        stderr(&done).contains("test: 4 sequences that the run had not used"),
        "{}",
        stderr(&done)
    );
    assert!(stderr(&done).contains("; bptt predict --run "), "{}", stderr(&done));
    assert!(read(&page).contains("Confusion matrix") && read(&page).contains("<svg"));

    let predict = |data: &Path, more: &[&str]| {
        bptt(&[&["predict", "--run", plain(&run), "--data", plain(data)], more].concat())
    };
    // With labels: lines of JSON on standard output, and the scores beside them.
    let done = predict(&data, &[]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let first: Value =
        serde_json::from_str(stdout(&done).lines().next().expect("a line")).expect("JSON");
    let sum =
        ["high", "low"].map(|label| first["probabilities"][label].as_f64().expect("a number"));
    assert!((sum[0] + sum[1] - 1.0).abs() < 1e-5, "{first}");
    assert_eq!((&first["id"], &first["y"]), (&json!("1"), &json!("low")));
    assert_eq!(stdout(&done).lines().count(), 40);
    assert!(
        stderr(&done).contains("40 sequences, 40 with a right answer: accuracy"),
        "{}",
        stderr(&done)
    );
    // Without: a table, and the JSON says so.
    let bare = of("bare.jsonl");
    std::fs::write(&bare, "{\"x\": [1, 2], \"id\": \"mine\"}\n").expect("it can be written");
    let (table, json) = (of("said.csv"), of("said.json"));
    let done = predict(&bare, &["--out", plain(&table), "--json", plain(&json)]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(read(&table).starts_with("id,label,y,p(high),p(low)\nmine,"), "{}", read(&table));
    let judged: Value = serde_json::from_str(&read(&json)).expect("JSON");
    assert_eq!((&judged["sequences"], &judged["scores"]), (&json!(1), &Value::Null));
    let done = predict(&bare, &["--html", plain(&page)]);
    assert_eq!(done.status.code(), Some(2));
    assert!(stderr(&done).contains("no label is known"), "{}", stderr(&done));
    let done = predict(&data, &["--html", plain(&page), "--out", plain(&table)]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(read(&page).contains("predict: "));
}

#[test]
fn what_cannot_be_learned_or_predicted_is_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data.jsonl");
    let good = lines("classify", 20);
    let cases: [(String, &[&str], &str); 8] = [
        (
            good.clone() + "{\"x\": [[1, 2]], \"y\": 1}",
            &[],
            "data.jsonl, line 21: steps of 2 numbers",
        ),
        (good.clone() + "{\"x\": [[1]]}", &[], "line 21: no `y`"),
        (good.clone() + "{\"x\": [[1]], \"z\": 1}", &[], "unknown field `z`"),
        (good.replace("high", "low"), &[], "all labels are `low`"),
        (good.clone(), &["--id", "a"], "--id a: a table needs --label NAME too"),
        (good.clone(), &["--id", "a", "--label", "b"], "data.jsonl, line 1: "),
        (good.clone(), &["--class-weights", "some"], "invalid value 'some'"),
        (lines("tag", 20), &[], "`y` is a list, expected one label"),
    ];
    for (text, arguments, expected) in cases {
        std::fs::write(&data, text).expect("it can be written");
        let done = bptt(&[&["train", "classify", "--data", plain(&data)], arguments].concat());
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", stderr(&done));
        assert_eq!(stderr(&done).trim().lines().count(), 1, "{}", stderr(&done));
        assert!(stderr(&done).contains(expected), "{}", stderr(&done));
    }
    let done = bptt(&["train", "classify"]);
    assert!(stderr(&done).contains("classify: give --data FILE"), "{}", stderr(&done));
    let done = bptt(&["train", "parity", "--html", "page.html"]);
    assert!(
        stderr(&done).contains("--html belongs to classify, control, digits, tag"),
        "{}",
        stderr(&done)
    );
    let done = bptt(&["predict", "--run", plain(folder.path()), "--data", plain(&data)]);
    assert_eq!(done.status.code(), Some(2));
    assert!(stderr(&done).contains("no run here"), "{}", stderr(&done));
}

#[test]
fn dates_are_translated_and_pages_are_drawn() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let of = |name: &str| folder.path().join(name);
    let (data, run, page) = (of("dates.txt"), of("run"), of("page.html"));
    let sizes = ["--hidden", "6", "--batch", "8", "--steps", "5"];
    let paths = ["--out", plain(&run), "--html", plain(&page)];
    let done = bptt(&[&["train", "translate", "--json", "-"], &paths[..], &sizes].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let result: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(result["forms"][0][0], "10 september 1970");
    assert_eq!(read(&page).matches("<svg").count(), 6);

    std::fs::write(&data, "10.9.70\n3 May 2001\n").expect("it can be written");
    let given = ["predict", "--run", plain(&run), "--data", plain(&data)];
    let done = bptt(&[&given[..], &["--html", plain(&page)]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let lines: Vec<Value> =
        stdout(&done).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((lines.len(), &lines[1]["source"]), (2, &json!("3 may 2001")));
    assert!(lines[0]["said"].is_string() && lines[0]["probability"].is_number());
    assert_eq!(read(&page).matches("<svg").count(), 2);
    let done = bptt(&[&given[..], &["--out", plain(&of("dates.csv"))]].concat());
    assert_eq!(done.status.code(), Some(2), "{}", stderr(&done));

    let sizes = ["--hidden", "4", "--batch", "4", "--steps", "4", "--validate-every", "2"];
    let paths = ["--out", plain(&run), "--html", plain(&page)];
    let done = bptt(&[&["train", "control"], &paths[..], &sizes].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let said = stdout(&done);
    assert!(said.contains("test: 256 episodes") && said.contains("; random actions "), "{said}");
    assert!(read(&page).contains("Return in the course of the training"));
}
