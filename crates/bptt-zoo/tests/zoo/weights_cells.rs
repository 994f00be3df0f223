//! Layers of other libraries compute here what they compute there. `tests/cases/weights/make_cells.py` writes the files.

use crate::weights::{agrees_with, complaint};
use bptt::{AnyCell, AnyRecurrent, AnyRecurrentConfig, CellKind, Nonlinearity, RecurrentNoise};
use bptt_zoo::weights::{self, Conversion, Import, Library, WeightFile};
use burn::Tensor;
use burn::tensor::{Device, Distribution};
use std::path::{Path, PathBuf};
use tempfile::tempdir;

pub(crate) fn file(name: &str) -> PathBuf {
    // Asked when the test runs: a target folder may be shared by several checkouts.
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    Path::new(&package).join("tests/cases/weights").join(format!("{name}.safetensors"))
}

fn from(library: Library) -> Import {
    Import::new().with_library(library)
}

/// The layer in a file computes what the library computed under a name.
#[track_caller]
fn computes(import: &Import, path: &str, name: &str) -> AnyRecurrent {
    let layer: AnyRecurrent =
        import.load(file(path), &Device::flex()).unwrap_or_else(|error| panic!("{path}: {error}"));
    agrees_with(&layer, &file("cells-expected"), name);
    layer
}

fn refused(import: &Import, path: &str) -> String {
    complaint(import.load::<AnyCell>(file(path), &Device::flex()))
}

#[test]
fn layers_of_haste() {
    let haste = from(Library::Haste);
    for name in ["haste-lstm", "haste-gru"] {
        computes(&haste, name, name);
    }
    let message = refused(&haste, "haste-layer-norm-indrnn");
    assert!(message.contains("`gamma` is of a LayerNormIndRNN"), "{message}");
    let message = refused(&haste, "onnx-lstm");
    assert!(message.contains("no recurrent cell with names of this kind"), "{message}");
    let message = refused(&haste.with_reset_after(false), "haste-gru");
    assert!(message.contains("those of true"), "{message}");
}

#[test]
fn operators_of_onnx() {
    let onnx = from(Library::Onnx);
    for name in ["onnx-lstm", "onnx-rnn"] {
        computes(&onnx, name, name);
    }
    for (reset_after, name) in [(false, "onnx-gru"), (true, "onnx-gru-after")] {
        computes(&onnx.clone().with_reset_after(reset_after), "onnx-gru", name);
    }
    let message = refused(&onnx, "onnx-gru");
    assert!(message.contains("linear_before_reset is 1"), "{message}");
    let message = refused(&onnx, "onnx-both");
    assert!(message.contains("of 2 directions: give each by itself"), "{message}");
}

#[test]
fn cells_of_tensorflow() {
    let tensorflow = from(Library::TensorFlow);
    let layer = computes(&tensorflow, "tensorflow-lstm", "tensorflow-lstm");
    assert_eq!(layer.num_layers(), 2);
    let none = tensorflow
        .clone()
        .with_forget_bias(0.0)
        .load::<AnyCell>(file("tensorflow-lstm"), &Device::flex());
    let of = |layer: &AnyRecurrent| {
        layer.weights[1]
            .bias_ih
            .as_ref()
            .unwrap()
            .val()
            .into_data()
            .iter::<f32>()
            .collect::<Vec<_>>()
    };
    let added: Vec<_> =
        of(&layer).into_iter().zip(of(&none.unwrap())).map(|(a, b)| a - b).collect();
    let is_one = |k: usize| (added[k] - 1.0).abs() < 1e-6;
    assert!((0..16).all(|k| if (4..8).contains(&k) { is_one(k) } else { added[k] == 0.0 }));
    let message = refused(&tensorflow, "tensorflow-projection");
    assert!(message.contains("of a projection, which is not converted"), "{message}");
    let message = refused(&from(Library::Haste).with_forget_bias(1.0), "haste-lstm");
    assert!(message.contains("a forget bias of 1 is for TensorFlow"), "{message}");
}

#[cfg(feature = "lstm-variants")]
#[test]
fn peepholes_of_onnx_and_tensorflow() {
    let onnx = computes(&from(Library::Onnx), "onnx-peephole", "onnx-peephole");
    assert!(matches!(onnx.cell(), AnyCell::LstmPeephole(_)));
    computes(&from(Library::TensorFlow), "tensorflow-peephole", "tensorflow-peephole");
}

#[cfg(feature = "lstm-variants")]
#[test]
fn slstm_of_xlstm() {
    let xlstm = from(Library::Xlstm);
    for (name, heads) in [("xlstm", 1), ("xlstm-heads", 2)] {
        for backend in ["vanilla", "cuda"] {
            let layer = computes(&xlstm, &format!("{name}-{backend}"), name);
            assert_eq!(layer.num_heads(), heads);
        }
    }
    let found = xlstm.inspect(&file("xlstm-vanilla")).unwrap();
    let norm = found.mappings.iter().find(|mapping| mapping.from.ends_with("group_norm.weight"));
    assert_eq!(norm.unwrap().to, None);
    let message = refused(&xlstm, "xlstm-conv");
    assert!(message.contains("a convolution in front of the gates"), "{message}");
}

#[cfg(feature = "diagonal-cells")]
#[test]
fn independent_units_of_haste_and_of_pytorch() {
    computes(&from(Library::Haste), "haste-indrnn", "haste-indrnn");
    let pytorch = from(Library::IndRnnPytorch);
    let layer = computes(&pytorch, "indrnn-pytorch", "indrnn-pytorch");
    assert_eq!((layer.num_layers(), layer.is_bidirectional()), (2, false));
    let layer = computes(&pytorch, "indrnn-pytorch-both", "indrnn-pytorch-both");
    assert_eq!((layer.num_layers(), layer.is_bidirectional()), (2, true));
    let message = refused(&pytorch, "indrnn-pytorch-norm");
    assert!(message.contains("`bns.0.weight` is of a batch norm"), "{message}");
    // The nonlinearity of these modules is an argument, and may be said.
    let tanh = pytorch.with_nonlinearity(Nonlinearity::Tanh).inspect(&file("indrnn-pytorch"));
    assert_eq!(tanh.unwrap().options[0].nonlinearity, Nonlinearity::Tanh);
}

#[cfg(feature = "normalized-cells")]
#[test]
fn layer_normalisation_of_haste() {
    let haste = from(Library::Haste);
    for name in ["haste-layer-norm-lstm", "haste-layer-norm-gru"] {
        let layer = computes(&haste, name, name);
        assert!(layer.weights[0].bias_ih.is_none(), "{name}: no bias inside of the normalisation");
    }
    // Zoneout is an argument of these layers.
    let noise = RecurrentNoise::new().with_zoneout(0.25, 0.0);
    let name = "haste-layer-norm-gru";
    computes(&haste.with_noise(noise), name, &format!("{name}-zoneout"));
}

#[cfg(feature = "normalized-cells")]
#[test]
fn the_gru_of_dreamer() {
    let dreamer = from(Library::Dreamer);
    for name in ["dreamer", "dreamer-torch", "dreamer-sheeprl"] {
        computes(&dreamer, name, "dreamer");
    }
    for prefix in ["agent/wm/rssm", "agent/wm/rssm/gru"] {
        computes(&dreamer.clone().with_prefix(prefix), "dreamer", "dreamer");
    }
    let message = refused(&dreamer, "dreamer-v2");
    assert!(message.contains("a bias inside of the normalisation"), "{message}");
    let message = refused(&dreamer, "dreamer-blocks");
    assert!(message.contains("the cell of later versions of DreamerV3"), "{message}");
}

/// TensorFlow Addons keeps the normalised memory: another cell than haste's and the paper's.
#[test]
fn the_normalised_cell_of_tensorflow_addons_is_another_one() {
    let message = refused(&from(Library::Keras), "tensorflow-addons");
    assert!(message.contains("it keeps the normalised memory"), "{message}");
}

/// A layer that is written under a library's names has that library's tensors again, and is the same when it is read.
#[test]
fn layers_are_written_under_the_names_of_haste_and_of_dreamer() {
    let folder = tempdir().unwrap();
    let out = folder.path().join("layer.safetensors");
    let device = Device::flex();
    let mut files = vec![(Library::Haste, "haste-lstm"), (Library::Haste, "haste-gru")];
    if cfg!(feature = "diagonal-cells") {
        files.push((Library::Haste, "haste-indrnn"));
    }
    if cfg!(feature = "normalized-cells") {
        files.extend([
            (Library::Haste, "haste-layer-norm-lstm"),
            (Library::Haste, "haste-layer-norm-gru"),
            (Library::Dreamer, "dreamer"),
        ]);
    }
    let shapes = |path: &Path| {
        let tensors = WeightFile::read(path, None).unwrap().tensors;
        let own = tensors.into_iter().filter(|(name, _)| !name.contains("img_in"));
        let short = |name: String| name.replace("agent/wm/rssm/", "");
        own.map(|(name, array)| (short(name), array.shape().to_vec())).collect::<Vec<_>>()
    };
    for (library, name) in files {
        let layer = computes(&from(library), name, name);
        weights::save_as(&layer, library, &out).unwrap();
        assert_eq!(shapes(&out), shapes(&file(name)), "{name}");
        let back: AnyRecurrent = from(library).load(&out, &device).unwrap();
        agrees_with(&back, &file("cells-expected"), name);
    }

    let refused = |config: AnyRecurrentConfig, library| {
        complaint(weights::save_as(&config.init(&device), library, &out))
    };
    let lstm = || AnyRecurrentConfig::new(CellKind::Lstm, 3, 4);
    let gru = || AnyRecurrentConfig::new(CellKind::Gru, 3, 4);
    for (config, library, part) in [
        (lstm().with_num_layers(2), Library::Haste, "haste: 2 layers, expected one"),
        (lstm().with_bidirectional(true), Library::Haste, "two directions"),
        (lstm().with_reverse(true), Library::Haste, "its direction is backward"),
        (lstm().with_num_heads(2), Library::Haste, "2 heads, expected one"),
        (lstm().with_proj_size(2), Library::Haste, "a projection, expected none"),
        (lstm().with_clip(Some(1.0)), Library::Haste, "a bounded memory"),
        (lstm().with_input_forget(true), Library::Haste, "coupled gates"),
        (gru().with_reset_after(false), Library::Haste, "the reset before the product"),
        (
            AnyRecurrentConfig::new(CellKind::Rnn, 3, 4),
            Library::Haste,
            "its cell is rnn, expected one of lstm",
        ),
        (gru(), Library::Dreamer, "DreamerV3: its cell is gru, expected gru-dreamer"),
        (gru(), Library::Keras, "the names of haste and of DreamerV3 only"),
    ] {
        let message = refused(config, library);
        assert!(message.contains(part), "{message}\nlacks {part}");
    }
    for kind in CellKind::ALL {
        let (name, library) = (kind.name(), Library::Haste);
        if name.ends_with("-layernorm") {
            let message = refused(AnyRecurrentConfig::new(kind, 3, 4), library);
            assert!(message.contains("expected a layer with_bias(false)"), "{message}");
        }
    }
}

/// From file to file: one layer out of a file, under another library's names.
#[test]
fn a_file_is_converted_to_the_names_of_haste() {
    let _alone = crate::alone();
    let folder = tempdir().unwrap();
    let [own, out] = ["own.safetensors", "haste.safetensors"].map(|name| folder.path().join(name));
    let device = Device::flex();
    let layer = AnyRecurrentConfig::new(CellKind::Gru, 3, 4).init(&device);
    weights::save(&layer, &own).unwrap();
    let done = Conversion::for_library(&own, &out, &Import::new(), Library::Haste).unwrap();
    done.write(&out).unwrap();
    let targets: Vec<_> = done.mappings.iter().map(|m| (&m.from[..], m.to.as_deref())).collect();
    assert_eq!(
        targets,
        [
            ("bias_hh_l0", Some("recurrent_bias")),
            ("bias_ih_l0", Some("bias")),
            ("weight_hh_l0", Some("recurrent_kernel")),
            ("weight_ih_l0", Some("kernel")),
        ]
    );
    let back: AnyRecurrent =
        from(Library::Haste).with_batch_first(true).load(&out, &device).unwrap();
    let input = Tensor::random([2, 4, 3], Distribution::Default, &device);
    let run = |layer: &AnyRecurrent| layer.forward(input.clone(), None).0.into_data();
    assert_eq!(run(&back), run(&layer));

    if cfg!(feature = "normalized-cells") {
        let dreamer = from(Library::Dreamer);
        let path = file("dreamer");
        let done = Conversion::for_library(&path, &out, &dreamer, Library::Dreamer).unwrap();
        let to = |name: &str| {
            let found = done.mappings.iter().find(|mapping| mapping.from.ends_with(name));
            found.unwrap().to.clone()
        };
        assert_eq!(to("gru/kernel").as_deref(), Some("gru/kernel"));
        assert_eq!(to("gru/norm/scale").as_deref(), Some("gru/norm/scale, gru/norm/bias"));
        assert_eq!(to("img_in/kernel"), None);
    }
    let message = complaint(Conversion::for_library(&own, &out, &Import::new(), Library::Dreamer));
    assert!(message.contains("its cell is gru, expected gru-dreamer"), "{message}");
    let message = complaint(Conversion::for_library(&own, &own, &Import::new(), Library::Haste));
    assert!(message.contains("give another name"), "{message}");
    let linear = Import::new().with_linear(["head"]);
    let message = complaint(Conversion::for_library(&own, &out, &linear, Library::Haste));
    assert!(message.contains("no linear layer has to be named"), "{message}");
}

/// Flax resets by the gate that keeps, and behind the product: another cell than Zhou's.
#[test]
fn the_mgu_of_flax_is_another_cell() {
    let message = refused(&from(Library::Flax), "flax-mgu");
    assert!(message.contains("an MGUCell") && message.contains("keeps"), "{message}");
}

/// Files of this project say which cell they hold.
#[test]
fn every_cell_is_saved_and_loaded_and_converted() {
    let _alone = crate::alone();
    let folder = tempdir().unwrap();
    let device = Device::flex();
    let input = Tensor::random([2, 4, 3], Distribution::Default, &device);
    for kind in CellKind::ALL {
        let layer = AnyRecurrentConfig::new(kind, 3, 4)
            .with_num_layers(2)
            .with_bidirectional(true)
            .init(&device);
        let run = |layer: &AnyRecurrent| layer.forward(input.clone(), None).0.into_data();
        let [first, second] =
            ["a.safetensors", "b.bpk"].map(|name| folder.path().join(format!("{kind:?}-{name}")));
        weights::save(&layer, &first).unwrap();
        Conversion::new(&first, &second, &Import::new()).unwrap().write(&second).unwrap();
        for path in [&first, &second] {
            let loaded: AnyRecurrent = weights::load(path, &device).unwrap();
            assert_eq!(loaded.cell().kind(), kind);
            run(&loaded).assert_eq(&run(&layer), true);
        }
    }
}

/// Through a file of SafeTensors and one of Burn, a layer is the same.
fn survives(layer: &AnyRecurrent, name: &str) {
    let folder = tempdir().unwrap();
    let device = Device::flex();
    let input = Tensor::random([2, 4, 3], Distribution::Default, &device);
    let run = |layer: &AnyRecurrent| layer.forward(input.clone(), None).0.into_data();
    let [first, second] = ["a.safetensors", "b.bpk"].map(|name| folder.path().join(name));
    weights::save(layer, &first).unwrap();
    Conversion::new(&first, &second, &Import::new()).unwrap().write(&second).unwrap();
    for path in [&first, &second] {
        let loaded: AnyRecurrent = weights::load(path, &device).unwrap();
        assert_eq!(loaded.num_heads(), layer.num_heads(), "{name}");
        assert_eq!(loaded.noise(), layer.noise(), "{name}");
        assert_eq!(run(&loaded), run(layer), "{name}");
    }
}

#[test]
fn heads_and_layers_without_biases_are_saved_and_loaded_and_converted() {
    let _alone = crate::alone();
    let device = Device::flex();
    for kind in CellKind::ALL {
        let config = || AnyRecurrentConfig::new(kind, 3, 4).with_num_layers(2);
        survives(&config().with_bias(false).init(&device), &format!("{kind:?} without biases"));
        // A cell that has no recurrent matrix has no heads.
        if let Ok(layer) = config().with_num_heads(2).with_bidirectional(true).try_init(&device) {
            survives(&layer, &format!("{kind:?} in heads"));
        }
    }
}

/// Zoneout is a part of what a layer computes when it is not trained.
#[test]
fn noise_is_saved_and_loaded_and_converted() {
    let _alone = crate::alone();
    let device = Device::flex();
    let noise = RecurrentNoise::new().with_zoneout(0.3, 0.1).with_weight_drop(0.2).with_seed(5);
    let config = AnyRecurrentConfig::new(CellKind::Lstm, 3, 4);
    let plain = config.clone().init(&device);
    let noisy = config.with_noise(Some(noise)).init(&device);
    survives(&plain, "without noise");
    survives(&noisy, "with noise");
    assert_eq!((plain.noise(), noisy.noise()), (None, Some(noise)));
}

#[cfg(feature = "gated-cells")]
#[test]
fn long_expressive_memory_of_its_authors() {
    let lem = from(Library::Lem);
    computes(&lem, "lem", "lem");
    computes(&lem.clone().with_time_step(0.25), "lem", "lem-slow");
    let message = refused(&from(Library::Haste).with_time_step(0.25), "haste-lstm");
    assert!(message.contains("a time step of 0.25 is for LEM"), "{message}");
    let message = refused(&lem, "haste-lstm");
    assert!(message.contains("no recurrent cell with names of this kind"), "{message}");
}

#[cfg(feature = "gated-cells")]
#[test]
fn the_time_step_of_a_long_expressive_memory_is_saved_and_loaded_and_converted() {
    use bptt::{StackConfig, cells::Lem};

    let _alone = crate::alone();
    let device = Device::flex();
    for step in [1.0, 0.25] {
        let cell = AnyCell::Lem(Lem { step });
        survives(&StackConfig::new(3, 4).try_init(cell, &device).unwrap(), "a time step");
    }
}

#[cfg(feature = "diagonal-cells")]
#[test]
fn constants_of_an_oscillator_are_saved_and_loaded_and_converted() {
    use bptt::{StackConfig, cells::Unicornn};

    let _alone = crate::alone();
    let device = Device::flex();
    let of = |step: f64, alpha: f64| {
        let cell = AnyCell::Unicornn(Unicornn { step, alpha });
        StackConfig::new(3, 4).try_init(cell, &device).unwrap()
    };
    survives(&of(0.1, 1.0), "usual constants");
    survives(&of(0.03, 9.0), "other constants");
}
