//! Files as programs around PyTorch and Keras write them. Cells, wrappers, weight norm, dropout on weights and old
//! versions change names and the pickle. `tests/cases/weights/make_cases.py` writes the files. They reproduce reports
//! of other projects, which are named below.

use crate::weights::{agrees_with, complaint, difference, tensor};
use bptt::{AnyCell, AnyRecurrent};
use bptt_zoo::weights::{Conversion, Import, Library, WeightFile};
use burn::tensor::Device;
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    // Asked when the test runs: a target folder may be shared by several checkouts.
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    Path::new(&package).join("tests/cases/weights").join(name)
}

fn batch_first() -> Import {
    Import::new().with_batch_first(true)
}

fn keras() -> Import {
    Import::new().with_library(Library::Keras)
}

/// The layer in a file computes the library's outputs.
#[track_caller]
fn computes(import: &Import, path: &str, name: &str) -> AnyRecurrent {
    let layer: AnyRecurrent =
        import.load(file(path), &Device::flex()).unwrap_or_else(|error| panic!("{path}: {error}"));
    agrees_with(&layer, &file("expected.safetensors"), name);
    layer
}

fn refused(import: &Import, path: &str) -> String {
    complaint(import.load::<AnyCell>(file(path), &Device::flex()))
}

/// pytorch/pytorch#23728, mozilla/TTS#686: weights of `nn.LSTMCell`.
#[test]
fn a_cell_is_a_layer_of_depth_one() {
    for name in ["lstm-cell", "gru-cell", "rnn-cell"] {
        computes(&batch_first(), &format!("{name}.pt"), name);
    }
    let alone = Import::new().inspect(&file("torch-cells/cell.pt")).unwrap();
    assert_eq!(alone.layers[0].to_string(), "LSTM 1 -> 1, 1 layer");
    let both = Import::new().inspect(&file("torch-cells/both.pt")).unwrap();
    let prefixes: Vec<_> = both.layers.iter().map(|layer| layer.prefix.as_str()).collect();
    assert_eq!(prefixes, ["cell.", "lstm."]);
    let moved = both.mappings.iter().find(|mapping| mapping.from == "cell.weight_hh").unwrap();
    assert_eq!(moved.to.as_deref(), Some("cell.weight_hh_l0"));
    assert!(moved.how.contains("depth one"), "{}", moved.how);
}

#[test]
fn weight_norm_is_folded() {
    computes(&batch_first(), "weight-norm.pt", "weight-norm");
    computes(&batch_first(), "weight-norm-parametrized.pt", "weight-norm");
    let message = refused(&Import::new(), "orthogonal.pt");
    assert!(message.contains("remove_parametrizations"), "{message}");
}

/// salesforce/awd-lstm-lm and fastai: the weight itself, and not its copy after dropout.
#[test]
fn dropped_weights_are_not_taken() {
    for path in ["awd.pt", "awd-fastai.pt"] {
        computes(&batch_first(), path, "awd");
        let found = Import::new().inspect(&file(path)).unwrap();
        let dropped =
            found.mappings.iter().find(|mapping| mapping.from.ends_with("weight_hh_l0")).unwrap();
        assert_eq!(dropped.to, None, "{path}");
    }
}

#[test]
fn what_wraps_everything_need_not_be_said() {
    computes(&batch_first(), "wrapped.pt", "wrapped");
    for prefix in ["rnn", "module._orig_mod.rnn"] {
        computes(&batch_first().with_prefix(prefix), "wrapped.pt", "wrapped");
    }
    let names = |import: Import| {
        let found = import.inspect(&file("wrapped.pt")).unwrap();
        found.tensors.keys().next().cloned().unwrap()
    };
    assert_eq!(names(Import::new()), "head.bias");
    assert_eq!(names(Import::new().with_prefix("")), "module._orig_mod.head.bias");
}

#[test]
fn checkpoints_of_lightning_say_where_their_weights_are() {
    computes(&batch_first(), "lightning.ckpt.pt", "wrapped");
    computes(
        &batch_first().with_key("state_dict").with_prefix("model.rnn"),
        "lightning.ckpt.pt",
        "wrapped",
    );
}

#[test]
fn torchscript_archives_are_read() {
    for path in ["torchscript.pt", "torchscript-traced.pt"] {
        computes(&batch_first(), path, "wrapped");
    }
    let message = refused(&Import::new().with_key("model"), "torchscript.pt");
    assert!(message.contains("a TorchScript archive is one model"), "{message}");
}

/// pytorch/pytorch#133163, #107529, safetensors/safetensors#489: values that no layer needs.
#[test]
fn values_beside_the_weights_are_passed_over() {
    let model = batch_first().with_key("model");
    for path in [
        "beside.pt",
        "beside-more.pt",
        "protocol-3.pt",
        "protocol-4.pt",
        "protocol-5.pt",
        "stream-2.pt",
        "stream-4.pt",
    ] {
        computes(&model, path, "beside");
    }
    computes(&batch_first(), "beside-among.pt", "beside");
    let found = Import::new().inspect(&file("beside-among.pt")).unwrap();
    let how = |name: &str| {
        let found = found.mappings.iter().find(|mapping| mapping.from == name).unwrap();
        (found.element.clone(), found.shape.clone(), found.to.clone())
    };
    assert_eq!(how("spectrum"), ("complex64".to_string(), vec![1], None));
    assert_eq!(how("scale"), ("float8_e5m2".to_string(), vec![2], None));
    assert_eq!(how("ids"), ("u16".to_string(), vec![1], Some("ids".to_string())));

    let folder = |name: &str| format!("torch-safe-values-beside/{name}");
    for name in ["set", "bytes", "bytearray", "counter", "complex", "dtype"] {
        let path = file(&folder(&format!("{name}.pt")));
        let found = Import::new().with_key("model").inspect(&path);
        assert_eq!(found.unwrap().tensors.len(), 4, "{name}");
    }
    for (name, import) in [
        ("complex_buffer.pt", Import::new()),
        ("uint16_buffer.pt", Import::new()),
        ("beside.safetensors", Import::new()),
        ("beside.safetensors", Import::new().with_prefix("rnn")),
    ] {
        assert_eq!(import.inspect(&file(&folder(name))).unwrap().layers.len(), 1, "{name}");
    }
}

/// pytorch/pytorch#5994, #14743, #21743: state dicts of Python 2, and streams of PyTorch before 0.4.
#[test]
fn old_versions_are_read() {
    computes(&batch_first().with_key("state_dict"), "old.pt", "old");
    computes(&batch_first(), "old-python3.pt", "old");
    for name in ["str", "dict", "both"] {
        let path = file(&format!("torch-python2-strings/{name}.pt"));
        assert_eq!(Import::new().inspect(&path).unwrap().tensors.len(), 4, "{name}");
    }
}

/// huggingface/transformers#11582: a tensor beside the state dict.
#[test]
fn the_key_is_named_whenever_it_would_help() {
    let message = refused(&Import::new(), "torch-key-hint/rng.pt");
    assert!(message.contains("no recurrent layer here; it holds `model` (4 tensors)"), "{message}");
    assert!(message.contains("name it by its key"), "{message}");
    let path = file("torch-key-hint/rng.pt");
    assert!(Import::new().with_key("model").inspect(&path).is_ok());
}

#[test]
fn layers_of_cudnn_are_read() {
    let lstm = computes(&keras(), "cudnn-lstm.safetensors", "cudnn-lstm");
    assert!(matches!(lstm.cell(), AnyCell::Lstm(_)));
    computes(&keras(), "cudnn-gru.safetensors", "cudnn-gru");
    let message = refused(&keras().with_reset_after(false), "cudnn-gru.safetensors");
    assert!(message.contains("those of true"), "{message}");
}

#[test]
fn cells_of_both_directions_may_be_numbered() {
    computes(&keras(), "keras-2-bidirectional.safetensors", "keras-2-bidirectional");
}

/// keras-team/keras#1431, #1703: `go_backwards` gives its outputs from the last step to the first.
#[test]
fn go_backwards_is_reverse_and_turned() {
    let import = keras().with_reverse(true);
    let path = file("keras-go-backwards/k_go_backwards.safetensors");
    let layer: AnyRecurrent = import.load(path, &Device::flex()).unwrap();
    let io = WeightFile::read(&file("keras-go-backwards/io.safetensors"), None).unwrap().tensors;
    let (output, _) = layer.forward(tensor(&io["x"], &Device::flex()), None);
    let error = difference(&output.flip([1]), &io["y0"]);
    assert!(error < 1e-6, "{error:e}");
}

/// keras-team/keras#4338, #8134: the order of names is not the order of layers.
#[test]
fn names_that_number_nothing_are_no_stack() {
    for (path, names) in [
        ("keras-order-by-name/stack.safetensors", ["`rnn_hidden/", "`rnn_in/"]),
        ("keras-order-by-name/seq2seq.safetensors", ["`decoder/", "`encoder/"]),
    ] {
        let message = refused(&keras(), path);
        assert!(message.contains("do not say in which order"), "{message}");
        assert!(names.iter().all(|name| message.contains(name)), "{message}");
    }
    let path = file("keras-order-by-name/stack.safetensors");
    let ordered = |order: &[&str]| keras().with_order(order.iter().copied()).inspect(&path);
    let found = ordered(&["rnn_in", "rnn_hidden"]).unwrap();
    assert_eq!(found.layers[0].num_layers, 2);
    let to = |from: &str| {
        let found = found.mappings.iter().find(|mapping| mapping.from == from).unwrap();
        found.to.clone().unwrap()
    };
    assert_eq!(to("rnn_in/gru_cell/kernel"), "weight_ih_l0");
    assert_eq!(to("rnn_hidden/gru_cell/kernel"), "weight_ih_l1");
    assert!(complaint(ordered(&["rnn_in"])).contains("does not name all layers: `rnn_hidden/"));
    assert!(complaint(ordered(&["rnn_in", "x"])).contains("no layer `x`"));
    let encoder = keras().with_prefix("encoder");
    let path = file("keras-order-by-name/seq2seq.safetensors");
    assert_eq!(encoder.inspect(&path).unwrap().layers[0].num_layers, 1);
    let torch = Import::new().with_order(["a"]).inspect(&file("awd.pt"));
    assert!(complaint(torch).contains("an order of layers is for Keras and Flax"));
}

/// A file with linear layers, through Burn's layout and back.
#[test]
fn linear_layers_have_the_layout_of_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let (bpk, back) = (folder.path().join("a.bpk"), folder.path().join("b.safetensors"));
    let convert = |from: &Path, to: &Path| {
        let done = Conversion::new(from, to, &Import::new()).unwrap();
        done.write(to).unwrap();
        done.mappings.into_iter().find(|mapping| mapping.from.ends_with("head.weight")).unwrap().how
    };
    let whole = |path: &Path| Import::new().inspect(path).unwrap().tensors;
    let how = convert(&file("wrapped.pt"), &bpk);
    assert!(how.contains("transposed from PyTorch's layout to Burn's"), "{how}");
    assert_ne!(whole(&bpk)["head.weight"], whole(&file("wrapped.pt"))["head.weight"]);
    let how = convert(&bpk, &back);
    assert!(how.contains("transposed from Burn's layout to PyTorch's"), "{how}");
    assert_eq!(whole(&back), whole(&file("wrapped.pt")));

    let named = |to: &Path, module: &str| {
        Conversion::new(&file("wrapped.pt"), to, &Import::new().with_linear([module])).map(|_| ())
    };
    assert!(named(&bpk, "head").is_ok());
    assert!(complaint(named(&bpk, "tail")).contains("no linear layer `tail`"));
    assert!(complaint(named(&back, "head")).contains("the same layout"));
    // The input file is not overwritten.
    let itself = Conversion::new(&bpk, &bpk, &Import::new()).map(|_| ());
    assert!(complaint(itself).contains("the file that is read"));
}

#[test]
fn files_of_keras_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.h5");
    std::fs::write(&path, b"\x89HDF\r\n\x1a\n and more").unwrap();
    let message = complaint(WeightFile::read(&path, None));
    assert!(message.contains("an HDF5 file") && message.contains(".safetensors"), "{message}");
}

#[cfg(unix)]
#[test]
fn what_is_no_plain_file_is_refused_at_once() {
    let message = complaint(WeightFile::read(Path::new("/dev/zero"), None));
    assert!(message.contains("not a file"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    assert!(complaint(WeightFile::read(&pipe, None)).contains("not a file: it is a pipe"));
}
