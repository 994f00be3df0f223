//! `bptt convert`

use crate::{bptt, stderr, stdout};
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};

fn file(name: &str) -> String {
    // Asked when the test runs: a target folder may be shared by several checkouts.
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let path = Path::new(&package).join("../bptt-zoo/tests/zoo/weights").join(name);
    path.to_str().expect("a plain path").to_string()
}

fn out(folder: &tempfile::TempDir, name: &str) -> (PathBuf, String) {
    let path = folder.path().join(name);
    let text = path.to_str().expect("a plain path").to_string();
    (path, text)
}

#[test]
fn a_layer_out_of_a_checkpoint_and_through_every_format() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (bpk, bpk_name) = out(&folder, "gru.bpk");
    let (back, back_name) = out(&folder, "gru.safetensors");
    let checkpoint = file("checkpoint.pt");
    let part = ["--key", "state.model", "--prefix", "encoder.gru", "--batch-first", "true"];
    let done = bptt(&[&["convert", &checkpoint, &bpk_name], &part[..]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let text = stdout(&done);
    assert!(text.starts_with("GRU 3 -> 4, 1 layer; inputs [B, T, I], reset after the product"));
    let row = |name: &str| {
        let row = text.lines().find(|line| line.starts_with(name)).expect(name);
        row.split_whitespace().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(
        row("encoder.gru.weight_ih_l0"),
        ["encoder.gru.weight_ih_l0", "[12,", "3]", "f32", "weight_ih_l0"]
    );
    assert!(row("head.weight").join(" ").contains("left out: not under the prefix"));
    assert!(bpk.is_file());

    // The options of the layer are in the file, and need not be given again.
    let done = bptt(&["convert", &bpk_name, &back_name, "--json", "-"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let json: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON alone");
    assert_eq!(json["from"], "burnpack");
    assert_eq!(json["to"], "safetensors");
    assert_eq!(json["layers"][0]["cell"], "gru");
    assert_eq!(json["layers"][0]["batch_first"], true);
    assert_eq!(json["tensors"].as_array().map(Vec::len), Some(4));
    assert_eq!(json["tensors"][3]["to"], "weight_ih_l0");
    let bytes = std::fs::read(back).expect("it was written");
    let tensors = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    assert_eq!(tensors.tensor("weight_hh_l0").expect("is there").shape(), [12, 4]);
    let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
    assert_eq!(header.metadata().as_ref().map(|about| about["format"].as_str()), Some("pt"));
}

#[test]
fn a_dry_run_shows_and_writes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, name) = out(&folder, "out.safetensors");
    let keras = file("keras-lstm.safetensors");
    let done = bptt(&["convert", &keras, &name, "--from", "keras", "--dry-run"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(stdout(&done).contains("LSTM 2 -> 3, 2 layers, bidirectional"), "{}", stdout(&done));
    assert!(stdout(&done).contains("weight_ih_l1_reverse"), "{}", stdout(&done));
    assert!(stdout(&done).contains("nothing written (--dry-run)"), "{}", stdout(&done));
    assert!(!path.exists());
}

#[test]
fn a_layer_is_written_under_the_names_of_another_library() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (path, name) = out(&folder, "out.safetensors");
    let haste = file("../../cases/weights/haste-lstm.safetensors");
    let done = bptt(&["convert", &haste, &name, "--from", "haste", "--to", "haste"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let text = stdout(&done);
    assert!(text.starts_with("LSTM 3 -> 4, 1 layer; inputs [T, B, I]"), "{text}");
    let bytes = std::fs::read(path).expect("it was written");
    let tensors = SafeTensors::deserialize(&bytes).expect("a safetensors file");
    assert_eq!(tensors.tensor("recurrent_kernel").expect("is there").shape(), [4, 16]);
    let done = bptt(&["convert", &haste, &name, "--from", "haste", "--to", "dreamer"]);
    assert_eq!(done.status.code(), Some(2), "{}", stdout(&done));
    assert!(stderr(&done).contains("its cell is lstm, expected gru-dreamer"), "{}", stderr(&done));
}

/// Exit code 2, one line that names it, and no file.
#[test]
fn what_cannot_be_converted_is_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_, name) = out(&folder, "out.safetensors");
    let (_, pt) = out(&folder, "out.pt");
    let (broken, broken_name) = out(&folder, "broken.safetensors");
    let sound = std::fs::read(file("gru-bf16.safetensors")).expect("it is there");
    // Another name for one tensor, with the same length as before.
    let at = sound.windows(12).position(|w| w == b"weight_hh_l0").expect("its name");
    let renamed = [&sound[..at], b"weight_xx_l0", &sound[at + 12..]].concat();
    std::fs::write(&broken, renamed).expect("the folder can be written");
    let cases: [(&[&str], &[&str]); 8] = [
        (&[&file("evil.pt"), &name], &["evil.pt", "`posix.system`", "nothing was executed"]),
        (&[&file("checkpoint.pt"), &name], &["no tensors here", "`state.model`"]),
        (&[&file("lstm-deep.pt"), &pt], &["out.pt", ".safetensors", ".bpk"]),
        (&["no-such-file.pt", &name], &["no-such-file.pt"]),
        (&[&broken_name, &name], &["`weight_xx_l0` does not fit", "`weight_hh_l0` is missing"]),
        (&[&file("lstm-deep.pt"), &name, "--from", "keras"], &["no recurrent cell"]),
        (&[&file("lstm-deep.pt"), &name, "--from", "onnx"], &["no recurrent cell"]),
        (&[&file("lstm-deep.pt"), &name, "--from", "caffe"], &["caffe"]),
    ];
    for (arguments, named) in cases {
        let done = bptt(&[&["convert"], arguments].concat());
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", stdout(&done));
        assert_eq!(stderr(&done).trim().lines().count(), 1, "{arguments:?}: {}", stderr(&done));
        for part in named {
            assert!(stderr(&done).contains(part), "{arguments:?} lacks {part}: {}", stderr(&done));
        }
    }
    let left = std::fs::read_dir(folder.path()).expect("the folder").count();
    assert_eq!(left, 1, "only the broken file that the test made");
}

/// The options in the run's config need not be given again, and the linear layer is written in PyTorch's layout.
#[test]
fn the_model_of_a_run_is_converted_by_its_config() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (task, options) in [
        ("parity", ["--cell", "gru", "--dropout", "0.25", "--layers", "2"]),
        ("adding", ["--cell", "rnn", "--dropout", "0.25", "--layers", "2"]),
    ] {
        let (run, run_name) = out(&folder, task);
        let (_, name) = out(&folder, &format!("{task}.safetensors"));
        let few = ["train", task, "--hidden", "5", "--steps", "2", "--out", &run_name];
        let done = bptt(&[&few[..], &options[..]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        let model = run.join("model.bpk");
        let model = model.to_str().expect("a plain path");
        let done = bptt(&["convert", model, &name, "--json", "-"]);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        let json: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON alone");
        assert_eq!(json["layers"][0]["batch_first"], true, "{task}");
        assert_eq!(json["layers"][0]["dropout"], 0.25, "{task}");
        let head = json["tensors"].as_array().expect("a list").iter();
        let head = head.clone().find(|row| row["from"] == "head.weight").expect("a head");
        let how = head["how"].as_str().expect("a text");
        assert!(how.contains("transposed from Burn's layout to PyTorch's"), "{how}");
        let bytes = std::fs::read(&name).expect("it was written");
        let tensors = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let shape = tensors.tensor("head.weight").expect("is there").shape().to_vec();
        assert_eq!(shape[1], 5, "{task}: {shape:?} is not [O, I]");
        let said = SafeTensors::read_metadata(&bytes).expect("a header").1.metadata().clone();
        let said = said.expect("metadata")["bptt"].clone();
        assert!(said.contains(r#""batch_first":true"#), "{said}");

        // The same for the model of its checkpoint.
        let checkpoint = run.join("checkpoint-2/model.bpk");
        let checkpoint = checkpoint.to_str().expect("a plain path");
        let done = bptt(&["convert", checkpoint, &name, "--dry-run"]);
        assert!(stdout(&done).contains("dropout 0.25"), "{} {}", stdout(&done), stderr(&done));

        // The same file outside of its folder: Burn's files have the default of the configs.
        let (_, moved) = out(&folder, &format!("{task}-alone.bpk"));
        std::fs::copy(model, &moved).expect("the folder can be written");
        let done = bptt(&["convert", &moved, &name, "--dry-run"]);
        assert!(stdout(&done).contains("inputs [B, T, I]"), "{}", stdout(&done));
        assert!(!stdout(&done).contains("dropout"), "{}", stdout(&done));
    }
}
