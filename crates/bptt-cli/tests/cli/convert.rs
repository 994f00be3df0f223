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

/// The tensors of a file, in the order of their names.
fn tensors(path: &Path) -> Vec<(String, Vec<u8>)> {
    let bytes = std::fs::read(path).expect("it was written");
    let all = SafeTensors::deserialize(&bytes).expect("a safetensors file").tensors();
    let mut all: Vec<_> = all.into_iter().map(|(k, v)| (k, v.data().to_vec())).collect();
    all.sort();
    all
}

/// From another program's file to ours, to Burn's and back: the same bits.
#[test]
fn layers_that_run_as_a_scan_go_there_and_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [(own, own_name), (_, bpk_name), (back, back_name)] =
        ["own.safetensors", "own.bpk", "back.safetensors"].map(|name| out(&folder, name));
    for (name, library, says, prefix) in [
        ("mingru", "mingru-pytorch", "mingru 3 -> 4, 1 layer, no bias", "layers.0."),
        ("minlstm", "mingru-pytorch", "minlstm 3 -> 4, 1 layer, no bias", "layers.0."),
        ("lru", "minimal-lru", "lru 3 -> 4 -> 3, 1 layer; inputs [B, T, I]", "params/seq/"),
        ("s5", "s5", "s5 3 -> 4 -> 3, 1 layer; inputs [B, T, I]", ""),
        ("rg-lru", "recurrentgemma", "rg-lru 4 -> 4, 1 layer; inputs", "blocks.0.rg_lru."),
    ] {
        let path = file(&format!("../../cases/weights/{name}.safetensors"));
        for arguments in [
            [path.as_str(), own_name.as_str(), "--from", library],
            [own_name.as_str(), bpk_name.as_str(), "--reverse", "false"],
            [bpk_name.as_str(), back_name.as_str(), "--to", library],
        ] {
            let done = bptt(&[&["convert"], &arguments[..]].concat());
            assert_eq!(done.status.code(), Some(0), "{arguments:?}: {}", stderr(&done));
            assert!(stdout(&done).starts_with(says), "{arguments:?}: {}", stdout(&done));
        }
        assert!(tensors(&own).iter().all(|(name, _)| name.starts_with("layers.0.")), "{name}");
        let (found, expected) = (tensors(&back), tensors(Path::new(&path)));
        assert_eq!(found.len(), expected.len(), "{name}");
        for (theirs, bytes) in expected {
            let theirs = theirs.strip_prefix(prefix).expect("it begins so");
            let (_, found) = found.iter().find(|(name, _)| name == theirs).expect("it is there");
            // S5's rate is stored as a logarithm here, which f32 rounds.
            assert!(*found == bytes || theirs == "Lambda_re", "{name}: {theirs}");
        }
    }
}

/// A run of such layers leaves its folder and is the same again, and one of its layers may be taken.
#[test]
fn the_layers_of_a_run_that_run_as_a_scan_are_converted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (cell, target) in [("minlstm", "mingru-pytorch"), ("lru", "minimal-lru")] {
        let (run, run_name) = out(&folder, cell);
        let [(first, first_name), (_, bpk_name), (again, again_name)] =
            ["a.safetensors", "b.bpk", "c.safetensors"]
                .map(|name| out(&folder, &format!("{cell}-{name}")));
        let few = ["train", "tag", "--data"];
        let lines = folder.path().join("data.jsonl");
        let line = |k: usize| {
            format!(
                "{{\"x\": [[{k}, 1], [2, {k}], [0, 1]], \"y\": [\"a\", \"b\", \"{}\"]}}\n",
                ["a", "b"][k % 2]
            )
        };
        std::fs::write(&lines, (0..40).map(line).collect::<String>()).expect("it can be written");
        let lines = lines.to_str().expect("a plain path");
        let options =
            ["--cell", cell, "--hidden", "5", "--layers", "2", "--steps", "2", "--out", &run_name];
        let done = bptt(&[&few[..], &[lines, "--bidirectional"][..], &options[..]].concat());
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        let model = run.join("model.bpk");
        let model = model.to_str().expect("a plain path");

        let done = bptt(&["convert", model, &first_name, "--json", "-"]);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        let json: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON alone");
        let layer = &json["layers"][0];
        assert_eq!((&layer["cell"], &layer["prefix"]), (&cell.into(), &"recurrent.".into()));
        assert_eq!((&layer["num_layers"], &layer["bidirectional"]), (&2.into(), &true.into()));
        let rows = json["tensors"].as_array().expect("a list");
        let of = |name: &str| rows.iter().find(|row| row["from"] == name).expect("a row").clone();
        assert!(of("head.weight")["how"].as_str().is_some_and(|how| how.contains("transposed")));
        for arguments in [[&first_name, &bpk_name], [&bpk_name, &again_name]] {
            let done = bptt(&["convert", arguments[0], arguments[1]]);
            assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
            let says = format!("recurrent: {cell} 2 -> 5, 2 layers, bidirectional");
            assert!(stdout(&done).starts_with(&says), "{}", stdout(&done));
        }
        assert_eq!(
            std::fs::read(&first).expect("it is there"),
            std::fs::read(&again).expect("it is there")
        );

        // One layer in one direction, under the program's names, where the program has it.
        let to = |prefix: &str| {
            let name = out(&folder, &format!("{cell}-one.safetensors")).1;
            bptt(&["convert", model, &name, "--prefix", prefix, "--to", target])
        };
        let refused = |prefix: &str, part: &str| {
            let done = to(prefix);
            assert_eq!(done.status.code(), Some(2), "{prefix}: {}", stdout(&done));
            assert!(stderr(&done).contains(part), "{prefix}: {}", stderr(&done));
        };
        refused("recurrent", "2 layers, expected one");
        refused("recurrent.layers.3", "its direction is backward");
        match cell {
            "lru" => refused("recurrent.layers.2", "`D` is a matrix"),
            _ => refused("recurrent.layers.2", "expected log_space"),
        }
    }
}

/// What is said of layers that run as a scan has to fit the file.
#[test]
fn layers_that_run_as_a_scan_are_named_and_not_guessed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_, name) = out(&folder, "out.safetensors");
    let (run, run_name) = out(&folder, "run");
    let few = ["train", "parity", "--cell", "s5", "--hidden", "4", "--steps", "2"];
    let done = bptt(&[&few[..], &["--out", &run_name]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let (moved, moved_name) = out(&folder, "alone.bpk");
    std::fs::copy(run.join("model.bpk"), moved).expect("the folder can be written");

    let done = bptt(&["convert", &moved_name, &name, "--cell", "s5", "--dry-run"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(stdout(&done).starts_with("recurrent: s5 1 -> 4, 1 layer; inputs [B, T, I]"));

    let case = |name: &str| file(&format!("../../cases/weights/{name}.safetensors"));
    let lstm = file("lstm-deep.pt");
    let cases: [(&[&str], &str); 14] = [
        (&[&moved_name], "have to be named: --cell"),
        (&[&moved_name, "--cell", "lstm"], "lstm"),
        (&[&moved_name, "--cell", "mingru"], "`recurrent.layers.0.weight_ih` is missing"),
        (&[&moved_name, "--cell", "s5", "--log-space", "true"], "no option log_space"),
        (&[&moved_name, "--cell", "s5", "--clip", "1"], "clip is for an LSTM"),
        (&[&moved_name, "--cell", "s5", "--bidirectional", "true"], "an even number"),
        (&[&moved_name, "--cell", "s5", "--conjugates", "false"], "for files of S5"),
        (&[&moved_name, "--cell", "s5", "--to", "minimal-lru"], "its layer is s5, expected lru"),
        (&[&lstm, "--cell", "s5"], "no layer that runs as a scan"),
        (&[&lstm, "--log-space", "true"], "log_space is for minGRU and minLSTM"),
        (&[&lstm, "--to", "s5"], "0 stacks of layers that run as a scan"),
        (&[&case("s5-unstable"), "--from", "s5"], "below 0"),
        (&[&case("mingru-projected"), "--from", "mingru-pytorch"], "a projection behind the layer"),
        (&[&case("lru"), "--from", "s5"], "no layer of S5: no name ends in `Lambda_re`"),
    ];
    for (arguments, part) in cases {
        let all = [&["convert", arguments[0], &name], &arguments[1..]].concat();
        let done = bptt(&all);
        assert_eq!(done.status.code(), Some(2), "{arguments:?}: {}", stdout(&done));
        assert!(stderr(&done).contains(part), "{arguments:?}: {}", stderr(&done));
        let lines = stderr(&done).trim().lines().count();
        assert!(lines == 1, "{arguments:?}: {}", stderr(&done));
    }
    assert!(!Path::new(&name).exists());
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
