//! Labelled sequences of one's own: trained, tested, resumed, and predicted from a file.

use super::{alone, start, tiny_of};
use bptt_zoo::predict::{Answers, Predictions, predict};
use bptt_zoo::{Error, RunFolder, RunResult, Settings, TASKS};
use burn::tensor::Device;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::{TempDir, tempdir};

/// Sequences of 2 to 9 steps with two numbers each, far from zero. The first number rises (`up`), falls (`down`) or stays
/// (`flat`); the second is a constant.
fn sequences(count: usize) -> Vec<(Vec<[f64; 2]>, &'static str, f64)> {
    let sequence = |k: usize| {
        let (label, slope) = [("up", 1.0), ("down", -1.0), ("flat", 0.0)][k % 3];
        let length = 2 + k * 5 % 8;
        let step = |t: usize| [1000.0 + (k / 3 % 3) as f64 + 2.0 * slope * t as f64, 3.0];
        ((0..length).map(step).collect(), label, slope)
    };
    (0..count).map(sequence).collect()
}

/// The same as JSON lines for a task.
pub(super) fn json_lines(task: &str, count: usize) -> String {
    let line = |(x, label, slope): (Vec<[f64; 2]>, &str, f64)| {
        let y: Value = match task {
            "classify" => label.into(),
            // Whether the step is one of the first two.
            "tag" => (0..x.len()).map(|t| if t < 2 { "early" } else { "late" }).collect(),
            "regress" => (50.0 + 10.0 * slope).into(),
            other => panic!("{other} has no labelled sequences"),
        };
        json!({ "x": x, "y": y }).to_string() + "\n"
    };
    sequences(count).into_iter().map(line).collect()
}

/// The same as a table with a label for each sequence.
fn table(count: usize) -> String {
    let mut text = "name,level,other,what,when\n".to_string();
    for (k, (x, label, _)) in sequences(count).into_iter().enumerate() {
        // The last step comes first.
        for (t, [level, other]) in x.into_iter().enumerate().rev() {
            text += &format!("s{k},{level},{other},{label},{t}\n");
        }
    }
    text
}

/// A folder, with a file in it.
fn file(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn settings(task: &str, data: &Path, steps: u64) -> Settings {
    let task = TASKS.iter().find(|known| known.name == task).unwrap();
    let settings = Settings {
        hidden: 16,
        layers: 1,
        dropout: 0.0,
        batch: 16,
        steps: Some(steps),
        ..tiny_of(task)
    };
    settings.with_option("data", data.display().to_string())
}

fn learned(settings: &Settings, out: &Path) -> (RunResult, Vec<String>) {
    start(settings, out, false).unwrap()
}

fn predicted(out: &Path, data: &Path) -> Result<Predictions, Error> {
    predict(&RunFolder::new(out), data, &Device::flex())
}

#[test]
fn classes_are_learned_tested_and_predicted() {
    let _alone = alone();
    let (folder, data) = file("data.jsonl", &json_lines("classify", 240));
    let out = folder.path().join("run");
    let (result, lines) = learned(&settings("classify", &data, 300), &out);
    assert!(
        lines[1].contains("240 sequences of 2 to 9 steps with 2 numbers each: 192 for"),
        "{lines:?}"
    );
    assert!(lines[1].contains("3 labels; always saying `down` has accuracy 0.3333"), "{lines:?}");
    assert!(lines[1].contains("number 2 of the steps never changes"), "{lines:?}");
    let test = result.test.clone().expect("the task has a test part");
    assert_eq!(test.test_sequences, 24);
    assert!(test.test_metric > 0.9 && test.test_macro_f1 > Some(0.9), "{test:?}");
    assert_eq!(test.test_baseline, Some(8.0 / 24.0), "each label has a third");
    let confusion = test.confusion.expect("there are labels");
    assert_eq!(confusion.labels, ["down", "flat", "up"]);
    assert_eq!(confusion.total(), 24);
    assert_eq!(confusion.counts.iter().map(|row| row.iter().sum()).collect::<Vec<u64>>(), [8; 3]);
    // The result is one object, and the folder has the test's part of it.
    let json = serde_json::to_value(&result).unwrap();
    assert_eq!(json["test_sequences"], 24);
    let stored: Value =
        serde_json::from_slice(&std::fs::read(out.join("test.json")).unwrap()).unwrap();
    assert_eq!(stored["confusion"], json["confusion"]);

    // All sequences again, without labels, and with them.
    let all = predicted(&out, &data).unwrap();
    assert_eq!((all.answers, all.sequences.len()), (Answers::Label, 240));
    let scores = all.scores.clone().expect("the labels are known");
    assert!(scores.accuracy > Some(0.9) && scores.sequences == 240, "{scores:?}");
    for sequence in &all.sequences {
        assert!((sequence.said[0].iter().sum::<f64>() - 1.0).abs() < 1e-5);
    }
    let bare = json_lines("classify", 240).replace(",\"y\":\"up\"", "");
    let (_folder, bare) = file("bare.jsonl", &bare);
    let without = predicted(&out, &bare).unwrap();
    assert_eq!(without.scores.as_ref().map(|scores| scores.sequences), Some(160));
    for (a, b) in all.sequences.iter().zip(&without.sequences) {
        assert_eq!(a.said, b.said);
    }
    // Alone, a sequence has the same probabilities as in a batch with padding.
    let line = json_lines("classify", 240).lines().nth(100).unwrap().to_string();
    let (_folder, one) = file("one.jsonl", &line);
    let alone = predicted(&out, &one).unwrap();
    for (a, b) in alone.sequences[0].said[0].iter().zip(&all.sequences[100].said[0]) {
        assert!((a - b).abs() < 1e-5, "{a}, {b}");
    }
}

#[test]
fn a_table_in_long_form_is_the_same_as_json_lines() {
    let _alone = alone();
    let (folder, lines) = file("data.jsonl", &json_lines("classify", 60));
    let path = folder.path().join("data.csv");
    std::fs::write(&path, table(60)).unwrap();
    let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
    let from_lines = settings("classify", &lines, 5);
    let columns = [("id", "name"), ("label", "what"), ("time_column", "when")];
    let from_table = columns
        .into_iter()
        .fold(settings("classify", &path, 5), |to, (name, column)| to.with_option(name, column));
    let (first, second) = (learned(&from_lines, &a).0, learned(&from_table, &b).0);
    assert_eq!((first.valid_loss, &first.test), (second.valid_loss, &second.test));
    // The columns of a new table may have another order; they are found by their names.
    let other: String = table(60)
        .lines()
        .map(|line| {
            let fields: Vec<_> = line.split(',').collect();
            format!("{},{},{},{}\n", fields[2], fields[4], fields[1], fields[0])
        })
        .collect();
    let (_folder, other) = file("other.csv", &other);
    let (by_table, by_lines) = (predicted(&b, &other).unwrap(), predicted(&b, &lines).unwrap());
    assert!(by_table.scores.is_none());
    assert_eq!(by_table.sequences[7].id, "s7");
    for (a, b) in by_table.sequences.iter().zip(&by_lines.sequences) {
        assert_eq!(a.said, b.said);
    }
    // Without a time column the rows stay in their order, which the run says.
    let mut unsorted = from_table.clone();
    unsorted.options.insert("time_column".to_string(), Value::Null);
    let text = table(60);
    let without_time = text.lines().map(|line| {
        let (rest, _) = line.rsplit_once(',').unwrap();
        rest.to_string() + "\n"
    });
    std::fs::write(&path, without_time.collect::<String>()).unwrap();
    let (_, said) = learned(&unsorted, &a);
    assert!(said[1].contains("steps in the order of the rows"), "{said:?}");
}

#[test]
fn tags_and_numbers_are_learned() {
    let _alone = alone();
    let (folder, data) = file("data.jsonl", &json_lines("tag", 120));
    let out = folder.path().join("tag");
    let (result, _) = learned(&settings("tag", &data, 150), &out);
    assert!(result.test.as_ref().is_some_and(|test| test.test_metric > 0.9), "{result:?}");
    let all = predicted(&out, &data).unwrap();
    assert_eq!(all.answers, Answers::LabelPerStep);
    for (sequence, (x, ..)) in all.sequences.iter().zip(sequences(120)) {
        assert_eq!(sequence.said.len(), x.len());
    }

    let (folder, data) = file("data.jsonl", &json_lines("regress", 240));
    let out = folder.path().join("regress");
    let (result, lines) = learned(&settings("regress", &data, 300), &out);
    assert!(lines[1].contains("always saying the mean of training has rmse "), "{lines:?}");
    let test = result.test.expect("the task has a test part");
    assert!(test.test_metric < 4.0 && test.confusion.is_none(), "{test:?}");
    let all = predicted(&out, &data).unwrap();
    assert_eq!(all.answers, Answers::Number);
    let rmse = all.scores.and_then(|scores| scores.rmse).expect("the numbers are known");
    assert!(rmse < 4.0, "{rmse}");
}

#[test]
fn texts_are_learned_character_by_character() {
    let _alone = alone();
    let letters = ["ab", "\u{e4}c"];
    let line = |k: usize| {
        let text: String = (0..2 + k % 5).map(|t| letters[(k + t) % 2]).collect();
        // Which comes last.
        let label = if (k + 1 + k % 5).is_multiple_of(2) { "b" } else { "c" };
        format!("{label}\t{text}\n")
    };
    let (folder, data) = file("data.txt", &(0..100).map(line).collect::<String>());
    let out = folder.path().join("run");
    let (result, lines) = learned(&settings("classify", &data, 80), &out);
    assert!(
        lines[1].contains("100 sequences of 4 to 12 steps with 4 kinds of characters"),
        "{lines:?}"
    );
    assert!(result.test.as_ref().is_some_and(|test| test.test_metric > 0.9), "{result:?}");
    let all = predicted(&out, &data).unwrap();
    // The same as JSON lines, with a character that the model never saw, and without labels.
    let (_folder, new) = file("new.jsonl", "{\"x\": \"abab\"}\n{\"x\": \"a?\"}\n");
    let found = predicted(&out, &new).unwrap();
    assert_eq!(found.sequences.len(), 2);
    assert!(found.notes[0].contains("1 characters that the model never saw"), "{:?}", found.notes);
    assert!(all.scores.is_some() && found.scores.is_none());
    let (_folder, numbers) = file("new.jsonl", "{\"x\": [[1, 0, 0, 0]]}\n");
    let message = predicted(&out, &numbers).unwrap_err().to_string();
    assert!(message.contains("line 1: numbers, where texts are expected"), "{message}");
}

#[test]
fn balanced_weights_change_the_loss_and_help_a_rare_label() {
    let _alone = alone();
    // One sequence of ten is `rare`, and nothing tells which.
    let line = |k: usize| {
        let y = if k.is_multiple_of(10) { "rare" } else { "usual" };
        json!({ "x": [[(k * 7919 % 101) as f64]], "y": y }).to_string() + "\n"
    };
    let (folder, data) = file("data.jsonl", &(0..200).map(line).collect::<String>());
    let plain = settings("classify", &data, 150);
    let balanced = plain.clone().with_option("class_weights", "balanced");
    let share = |settings: &Settings, name: &str| {
        let out = folder.path().join(name);
        learned(settings, &out);
        let all = predicted(&out, &data).unwrap();
        let rare = all.sequences.iter().map(|sequence| sequence.said[0][0]);
        rare.sum::<f64>() / all.sequences.len() as f64
    };
    let (plain, balanced) = (share(&plain, "plain"), share(&balanced, "balanced"));
    assert!((plain - 0.1).abs() < 0.1 && (balanced - 0.5).abs() < 0.2, "{plain}, {balanced}");
}

#[test]
fn other_data_is_refused_in_one_line() {
    let _alone = alone();
    let (folder, data) = file("data.jsonl", &json_lines("classify", 30));
    let out = folder.path().join("run");
    let short = settings("classify", &data, 3);
    learned(&short, &out);
    let complaint = |text: &str| {
        let (_folder, new) = file("new.jsonl", text);
        let message = predicted(&out, &new).unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1);
        message
    };
    let message = complaint("{\"x\": [[1, 2, 3]]}");
    assert!(
        message.contains("steps of 3 numbers, and the model learned from steps of 2"),
        "{message}"
    );
    let message = complaint("{\"x\": [[1, 2]]}\n{\"x\": [[1, 2]], \"y\": \"left\"}");
    assert!(
        message.contains(
            "new.jsonl, line 2: the model never saw the label `left`; it knows down, flat, up"
        ),
        "{message}"
    );
    // A run goes on with the same data only.
    std::fs::write(&data, json_lines("classify", 30).replacen("1000.0", "1001.0", 1)).unwrap();
    let longer = Settings { steps: Some(6), ..short };
    let message = start(&longer, &out, true).unwrap_err().to_string();
    assert!(message.contains("the data is not the one that the run began with"), "{message}");
    // A run of another task makes no predictions of this kind.
    let other = folder.path().join("parity");
    let parity = TASKS.iter().find(|task| task.name == "parity").unwrap();
    start(&tiny_of(parity), &other, false).unwrap();
    let message = predicted(&other, &data).unwrap_err().to_string();
    assert!(message.contains("a run of `parity`; predictions are made by"), "{message}");
}

#[test]
fn options_that_do_not_go_together_are_named() {
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[("data", "a.csv")], "--data a.csv: a table needs --id NAME and --label NAME"),
        (&[("data", "a"), ("id", "x")], "--id x: a table needs --label NAME too"),
        (&[("data", "a"), ("label", "x")], "--label x: a table needs --id NAME too"),
        (&[("data", "a"), ("time_column", "t")], "--time-column t: it is for tables"),
        (&[("data", "a"), ("id", "x"), ("label", "x")], "has to be another one"),
        (&[("data", "a"), ("class_weights", "some")], "--class-weights some: has to be none or"),
    ];
    for (options, expected) in cases {
        let task = TASKS.iter().find(|task| task.name == "classify").unwrap();
        let settings = options
            .iter()
            .fold(task.defaults(), |settings, (name, value)| settings.with_option(name, *value));
        let message = task.check(&settings).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}
