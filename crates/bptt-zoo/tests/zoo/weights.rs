//! Layers with the weights of PyTorch, Keras and Flax compute what these libraries computed.

use bptt::{
    AnyRecurrent, AnyRecurrentConfig, CellKind, Gru, Lstm, LstmConfig, Nonlinearity, Recurrent,
    RecurrentState, Rnn,
};
use bptt_zoo::weights::{
    self, Array, Conversion, Element, FileCell, Import, Library, Tensors, WeightFile,
};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Device, TensorData};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::tempdir;

pub(crate) fn folder() -> PathBuf {
    // Asked when the test runs: a target folder may be shared by several checkouts.
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    Path::new(&package).join("tests/zoo/weights")
}

pub(crate) fn file(name: &str) -> PathBuf {
    folder().join(name)
}

pub(crate) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(file(name)).unwrap()
}

/// What the libraries computed, by `make_files.py`.
fn expected(name: &str) -> Array {
    static EXPECTED: OnceLock<Tensors> = OnceLock::new();
    let all = EXPECTED
        .get_or_init(|| WeightFile::read(&file("expected.safetensors"), None).unwrap().tensors);
    all[name].clone()
}

pub(crate) fn tensor(array: &Array, device: &Device) -> Tensor<3> {
    let (bytes, dtype) = (array.bytes().to_vec(), array.element().dtype());
    let data = TensorData::from_bytes_vec(bytes, array.shape().to_vec(), dtype);
    Tensor::from_data(data, (device, dtype))
}

/// The largest difference between a tensor and what it should be.
pub(crate) fn difference(found: &Tensor<3>, expected: &Array) -> f64 {
    assert_eq!(found.dims(), expected.shape()[..]);
    let expected = tensor(expected, &found.device()).into_data();
    let found = found.to_data();
    let pairs = found.iter::<f64>().zip(expected.iter::<f64>());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, |most, error| {
        assert!(!error.is_nan());
        most.max(error)
    })
}

/// A layer computes the library's outputs. The input and the outputs are in the files of another case.
pub(crate) fn agrees_with<C: FileCell>(layer: &Recurrent<C>, expected: &Path, name: &str) {
    let all = WeightFile::read(expected, None).unwrap().tensors;
    let input = tensor(&all[&format!("{name}.input")], &Device::flex());
    let (output, _) = layer.forward(input, None);
    let error = difference(&output, &all[&format!("{name}.output")]);
    assert!(error < 1e-6, "{name}: {error:e}");
}

/// A layer computes the library's outputs.
fn agrees<C: FileCell>(layer: &Recurrent<C>, name: &str) {
    let input = expected(&format!("{name}.input"));
    let tolerance = if input.element() == Element::F64 { 1e-12 } else { 1e-6 };
    let (output, state) = layer.forward(tensor(&input, &Device::flex()), None);
    let (hidden, memory) = state.into_parts();
    let mut pairs = vec![(output, "output")];
    // For Keras and Flax, only the outputs are known.
    if !name.starts_with("keras") && !name.starts_with("flax") {
        pairs.push((hidden, "h_n"));
        pairs.extend(memory.map(|memory| (memory, "c_n")));
    }
    for (tensor, what) in pairs {
        let error = difference(&tensor, &expected(&format!("{name}.{what}")));
        assert!(error < tolerance, "{name} {what}: {error:e}");
    }
}

pub(crate) fn complaint<T>(result: Result<T, impl std::fmt::Display>) -> String {
    let message = result.err().expect("should be refused").to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

#[test]
fn what_pytorch_wrote_is_what_pytorch_computed() {
    let device = Device::flex();
    let batch_first = Import::new().with_batch_first(true);
    let deep: Lstm = batch_first.load(file("lstm-deep.pt"), &device).unwrap();
    assert_eq!((deep.num_layers(), deep.is_bidirectional(), deep.d_output()), (2, true, 4));
    agrees(&deep, "lstm-deep");
    // Time first is PyTorch's default, and the default here.
    let gru: Gru = weights::load(file("gru-time-first.safetensors"), &device).unwrap();
    assert!(gru.weights[0].bias_ih.is_none());
    agrees(&gru, "gru-time-first");
    let relu = batch_first.clone().with_nonlinearity(Nonlinearity::Relu);
    agrees(&relu.load::<bptt::RnnCell>(file("rnn-relu.pth"), &device).unwrap(), "rnn-relu");
    // Half precision becomes f32, which can represent all of its numbers. f64 remains f64.
    let half: Lstm = batch_first.load(file("lstm-f16.pt"), &device).unwrap();
    agrees(&half, "lstm-f16");
    agrees(
        &batch_first.load::<bptt::GruCell>(file("gru-bf16.safetensors"), &device).unwrap(),
        "gru-bf16",
    );
    agrees(&batch_first.load::<bptt::AnyCell>(file("gru-f64.pt"), &device).unwrap(), "gru-f64");
    for name in ["legacy", "views", "parameters"] {
        let layer: AnyRecurrent = batch_first.load(file(&format!("{name}.pt")), &device).unwrap();
        agrees(&layer, name);
    }
}

#[test]
fn a_layer_is_found_in_a_checkpoint() {
    let device = Device::flex();
    let import = Import::new().with_key("state.model").with_batch_first(true);
    let path = file("checkpoint.pt");
    for (prefix, name) in [
        ("encoder.gru", "checkpoint-gru"),
        ("encoder.gru.", "checkpoint-gru"),
        ("decoder", "checkpoint-lstm"),
    ] {
        let import = import.clone().with_prefix(prefix);
        agrees(&import.load::<bptt::AnyCell>(&path, &device).unwrap(), name);
    }

    let message = complaint(Import::new().load::<bptt::AnyCell>(&path, &device));
    assert!(
        message.contains("no tensors here; it holds `state.model` (15 tensors); name it"),
        "{message}"
    );
    let message = complaint(Import::new().with_key("state.modell").inspect(&path));
    assert!(
        message.contains("no dictionary at the key `modell`; it holds `state.model` ("),
        "{message}"
    );
    let message = complaint(import.load::<bptt::AnyCell>(&path, &device));
    assert!(
        message.contains("2 recurrent layers, take one by its prefix: `decoder.`"),
        "{message}"
    );
    let message = complaint(import.clone().with_prefix("head").inspect(&path));
    assert!(message.contains("no recurrent layer"), "{message}");
    let message = complaint(import.clone().with_prefix("x").inspect(&path));
    assert!(message.contains("no tensor's name begins with `x.`"), "{message}");
    let lstm = import.with_prefix("encoder.gru").load::<bptt::LstmCell>(&path, &device);
    assert!(complaint(lstm).contains("it holds another cell: GRU 3 -> 4"));
}

#[test]
fn gradients_reach_loaded_weights() {
    let device = Device::flex().autodiff();
    let import = Import::new().with_batch_first(true);
    let layer: Lstm = import.load(file("lstm-deep.pt"), &device).unwrap();
    let input = tensor(&expected("lstm-deep.input"), &device);
    let gradients = layer.forward(input, None).0.sum().backward();
    for weights in &layer.weights {
        assert!(weights.weight_ih.grad(&gradients).is_some());
        assert!(weights.weight_hr.as_ref().unwrap().grad(&gradients).is_some());
    }
}

#[test]
fn what_keras_and_flax_wrote_is_what_they_computed() {
    let device = Device::flex();
    let keras = Import::new().with_library(Library::Keras);
    let flax = Import::new().with_library(Library::Flax);
    for (import, names) in [
        (keras, ["keras-lstm", "keras-gru", "keras-gru-before", "keras-rnn"].as_slice()),
        (
            flax,
            &[
                "flax-lstm",
                "flax-lstm-stack",
                "flax-gru",
                "flax-rnn",
                "flax-nnx-gru",
                "flax-nnx-lstm",
            ],
        ),
    ] {
        for name in names {
            let path = file(&format!("{name}.safetensors"));
            let layer: AnyRecurrent = import.load(path, &device).unwrap();
            agrees(&layer, name);
        }
    }
}

#[test]
fn a_form_that_contradicts_the_file_is_refused() {
    let keras = Import::new().with_library(Library::Keras).with_reset_after(true);
    let message = complaint(keras.inspect(&file("keras-gru-before.safetensors")));
    assert!(message.contains("reset_after is true, and the biases of the file are those of false"));
    // The form of the reset is found by the shape of the biases.
    let keras = Import::new().with_library(Library::Keras);
    let found = keras.inspect(&file("keras-gru-before.safetensors")).unwrap();
    assert!(!found.options[0].reset_after);
    let message = complaint(keras.inspect(&file("flax-gru.safetensors")));
    assert!(message.contains("no recurrent cell with names of this kind"), "{message}");
}

/// Layers with every option.
fn layers() -> Vec<AnyRecurrent> {
    let device = Device::flex();
    let config = |kind| AnyRecurrentConfig::new(kind, 3, 4).with_num_layers(2);
    [
        config(CellKind::Rnn).with_nonlinearity(Nonlinearity::Relu).with_dropout(0.25),
        config(CellKind::Lstm).with_bidirectional(true).with_proj_size(2),
        config(CellKind::Lstm).with_input_forget(true).with_clip(Some(0.5)).with_bias(false),
        config(CellKind::Gru).with_reset_after(false).with_batch_first(false),
        config(CellKind::Gru).with_reverse(true),
        config(CellKind::Lstm).with_num_heads(2),
        config(CellKind::Gru).with_num_heads(4).with_bidirectional(true),
    ]
    .map(|config| config.init(&device))
    .into()
}

#[test]
fn what_is_saved_is_loaded_with_all_its_options() {
    let _alone = crate::alone();
    let folder = tempdir().unwrap();
    let device = Device::flex();
    for layer in layers() {
        let input = Tensor::random([2, 3, 3], burn::tensor::Distribution::Default, &device);
        for ending in ["safetensors", "bpk"] {
            let path = folder.path().join(format!("layer.{ending}"));
            weights::save(&layer, &path).unwrap();
            let first = std::fs::read(&path).unwrap();
            let loaded: AnyRecurrent = weights::load(&path, &device).unwrap();
            let run = |layer: &AnyRecurrent| layer.forward(input.clone(), None).0.into_data();
            run(&loaded).assert_eq(&run(&layer), true);
            assert_eq!(format!("{:?}", loaded.cell()), format!("{:?}", layer.cell()));
            assert_eq!(loaded.is_batch_first(), layer.is_batch_first());
            assert_eq!(loaded.is_reverse(), layer.is_reverse());
            assert_eq!(loaded.num_heads(), layer.num_heads());
            assert_eq!(loaded.dropout.prob, layer.dropout.prob);
            // The same weights give the same bytes.
            weights::save(&loaded, &path).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), first);
        }
    }
    let message = complaint(weights::save(&layers()[0], folder.path().join("layer.pt")));
    assert!(message.contains(".safetensors") && message.contains(".bpk"), "{message}");
}

/// Burn reads our burnpack files, and we read Burn's.
#[test]
fn burn_loads_what_is_converted() {
    let _alone = crate::alone();
    let folder = tempdir().unwrap();
    let device = Device::flex();
    let (ours, burns) = (folder.path().join("ours.bpk"), folder.path().join("burns.bpk"));
    let import = Import::new().with_batch_first(true);
    Conversion::new(&file("lstm-deep.pt"), &ours, &import).unwrap().write(&ours).unwrap();
    let config = LstmConfig::new(3, 4).with_num_layers(2).with_bidirectional(true);
    let lstm = config.with_proj_size(2).init(&device).try_load_file(&ours).unwrap();
    agrees(&lstm, "lstm-deep");
    lstm.save_file(&burns).unwrap();
    agrees(&import.load::<bptt::LstmCell>(&burns, &device).unwrap(), "lstm-deep");
}

/// A type for a line of code above: the alias of the layer over [`bptt::RnnCell`].
#[test]
fn aliases_are_loaded() {
    let layer: Rnn =
        Import::new().with_batch_first(true).load(file("rnn-relu.pth"), &Device::flex()).unwrap();
    assert_eq!((layer.d_input(), layer.d_hidden()), (3, 4));
}
