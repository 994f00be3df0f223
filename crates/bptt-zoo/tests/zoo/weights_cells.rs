//! Layers of other libraries compute here what they compute there. `tests/cases/weights/make_cells.py` writes the files.

use crate::weights::{agrees_with, complaint};
use bptt::{AnyCell, AnyRecurrent, AnyRecurrentConfig, CellKind, Nonlinearity};
use bptt_zoo::weights::{self, Conversion, Import, Library};
use burn::Tensor;
use burn::tensor::{Device, Distribution};
use std::path::{Path, PathBuf};
use tempfile::tempdir;

fn file(name: &str) -> PathBuf {
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
    let message = refused(&haste, "haste-layer-norm-lstm");
    assert!(message.contains("`gamma` does not fit a recurrent cell"), "{message}");
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
    for name in ["xlstm", "xlstm-heads"] {
        for backend in ["vanilla", "cuda"] {
            computes(&xlstm, &format!("{name}-{backend}"), name);
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

#[cfg(feature = "scanned-cells")]
mod scanned {
    use super::{complaint, file};
    use crate::weights::{difference, tensor};
    use bptt::scanned::{
        LruConfig, LruLayer, MinGruConfig, MinGruLayer, RgLruConfig, RgLruLayer, S5Layer, Scanned,
    };
    use bptt_zoo::weights::{ScannedFile, ScannedImport, WeightFile, save_scanned};
    use burn::tensor::Device;
    use tempfile::tempdir;

    /// The layer in a file computes what the program computed; written and read again it is the same.
    #[track_caller]
    fn computes<L: ScannedFile>(import: &ScannedImport, path: &str, name: &str) {
        let device = Device::flex();
        let layer: Scanned<L> = import.load(file(path), &device).unwrap();
        let all = WeightFile::read(&file("cells-expected"), None).unwrap().tensors;
        let input = tensor(&all[&format!("{name}.input")], &device);
        let error =
            difference(&layer.forward(input.clone(), None).0, &all[&format!("{name}.output")]);
        assert!(error < 1e-6, "{name}: {error:e}");

        let folder = tempdir().unwrap();
        let out = folder.path().join("layer.safetensors");
        save_scanned(&layer, &out).unwrap();
        let back: Scanned<L> = ScannedImport::new().load(&out, &device).unwrap();
        let error = difference(&back.forward(input, None).0, &all[&format!("{name}.output")]);
        assert!(error < 1e-6, "{name}, written: {error:e}");
        // Where the program has one form only, the numbers are the same.
        if !name.ends_with("-alone") && !name.ends_with("-heads") {
            let short = |name: &String| name.rsplit(['.', '/']).next().unwrap().to_string();
            let of = |path: &std::path::Path| {
                let tensors = WeightFile::read(path, None).unwrap().tensors;
                tensors
                    .into_iter()
                    .map(|(name, array)| (short(&name), array.shape().to_vec()))
                    .collect::<std::collections::BTreeMap<_, _>>()
            };
            assert_eq!(of(&out), of(&file(path)), "{name}");
        }
    }

    fn refused<L: ScannedFile>(import: &ScannedImport, path: &str) -> String {
        complaint(import.load::<L>(file(path), &Device::flex()))
    }

    #[test]
    fn layers_of_the_programs_of_the_papers() {
        let at = |prefix: &str| ScannedImport::new().with_prefix(prefix);
        computes::<MinGruLayer>(&at("layers.0"), "mingru", "mingru");
        computes::<LruLayer>(&at("params/seq"), "lru", "lru");
        computes::<S5Layer>(&ScannedImport::new(), "s5", "s5");
        computes::<S5Layer>(&ScannedImport::new().with_conjugates(false), "s5", "s5-alone");
        for name in ["rg-lru", "rg-lru-heads"] {
            computes::<RgLruLayer>(&at("blocks.0.rg_lru."), name, name);
        }
    }

    #[test]
    fn what_has_no_counterpart_is_refused() {
        let import = ScannedImport::new();
        let message = refused::<MinGruLayer>(&import, "mingru-projected");
        assert!(message.contains("minGRU-pytorch: `to_out.weight`: a projection"), "{message}");
        let message = refused::<MinGruLayer>(&import, "mingru");
        assert!(
            message.contains("`to_hidden_and_gate.weight` is missing, expected [?, ?]"),
            "{message}"
        );
        let message = refused::<S5Layer>(&import, "s5-unstable");
        assert!(message.contains("`Lambda_re` is ") && message.contains("below 0"), "{message}");
        let message = refused::<S5Layer>(&import, "s5-both");
        assert!(message.contains("`C` has 8 columns, expected 4"), "{message}");

        let folder = tempdir().unwrap();
        let (out, device) = (folder.path().join("layer.safetensors"), Device::flex());
        let plain = MinGruConfig::new(3, 4).init(&device);
        assert!(complaint(save_scanned(&plain, &out)).contains("expected log_space"));
        let two = MinGruConfig::new(3, 4).with_log_space(true).with_num_layers(2).init(&device);
        assert!(complaint(save_scanned(&two, &out)).contains("2 layers, expected one"));
        let full = LruConfig::new(3, 4).with_d_output(3).init(&device);
        assert!(complaint(save_scanned(&full, &out)).contains("`D` is a matrix"));
        let wider = RgLruConfig::new(3, 4).init(&device);
        assert!(complaint(save_scanned(&wider, &out)).contains("a projection of its input"));
    }
}
