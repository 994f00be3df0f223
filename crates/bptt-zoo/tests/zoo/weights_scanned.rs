//! Layers that run as a scan, in the files of the programs that have them and in ours.

use crate::weights::{complaint, difference, tensor};
use crate::weights_cells::file;
use bptt::scanned::{
    AnyScanned, AnyScannedConfig, AnyScannedLayer, LruConfig, LruLayer, MinGruConfig, MinGruLayer,
    MinLstmLayer, RgLruConfig, RgLruLayer, S5Layer, Scanned, ScannedKind,
};
use bptt_zoo::weights::{
    Array, Conversion, Import, Library, ScannedFile, ScannedImport, Tensors, WeightFile,
    save_scanned, save_stack,
};
use burn::Tensor;
use burn::tensor::{DType, Device, Distribution};
use std::path::Path;
use tempfile::tempdir;

/// The layer in a file computes what the program computed; written and read again it is the same.
#[track_caller]
fn computes<L: ScannedFile>(import: &ScannedImport, path: &str, name: &str) {
    let device = Device::flex();
    let layer: Scanned<L> = import.load(file(path), &device).unwrap();
    let all = WeightFile::read(&file("cells-expected"), None).unwrap().tensors;
    let input = tensor(&all[&format!("{name}.input")], &device);
    let error = difference(&layer.forward(input.clone(), None).0, &all[&format!("{name}.output")]);
    assert!(error < 1e-6, "{name}: {error:e}");

    let folder = tempdir().unwrap();
    let out = folder.path().join("layer.safetensors");
    save_scanned(&layer, &out).unwrap();
    let back: Scanned<L> = ScannedImport::new().load(&out, &device).unwrap();
    let error = difference(&back.forward(input, None).0, &all[&format!("{name}.output")]);
    assert!(error < 1e-6, "{name}, written: {error:e}");
    // Where the program has one form only, the numbers are the same.
    if !name.ends_with("-alone") && !name.ends_with("-heads") {
        let shapes = |path: &Path| {
            let tensors = short(WeightFile::read(path, None).unwrap().tensors);
            tensors.map(|(name, array)| (name, array.shape().to_vec())).collect::<Vec<_>>()
        };
        assert_eq!(shapes(&out), shapes(&file(path)), "{name}");
    }
}

/// The tensors by the last parts of their names.
fn short(tensors: Tensors) -> impl Iterator<Item = (String, Array)> {
    const MARKS: [&str; 4] = ["layers.0.", "params/seq/", "blocks.0.rg_lru.", ""];
    let name = |name: &str| {
        MARKS.iter().find_map(|mark| name.strip_prefix(mark)).unwrap_or_default().to_string()
    };
    let all: std::collections::BTreeMap<_, _> =
        tensors.into_iter().map(|(full, array)| (name(&full), array)).collect();
    all.into_iter()
}

fn refused<L: ScannedFile>(import: &ScannedImport, path: &str) -> String {
    complaint(import.load::<L>(file(path), &Device::flex()))
}

#[test]
fn layers_of_the_programs_of_the_papers() {
    let at = |prefix: &str| ScannedImport::new().with_prefix(prefix);
    computes::<MinGruLayer>(&at("layers.0"), "mingru", "mingru");
    computes::<MinLstmLayer>(&at("layers.0"), "minlstm", "minlstm");
    computes::<LruLayer>(&at("params/seq"), "lru", "lru");
    computes::<S5Layer>(&ScannedImport::new(), "s5", "s5");
    computes::<S5Layer>(&ScannedImport::new().with_conjugates(false), "s5", "s5-alone");
    for name in ["rg-lru", "rg-lru-heads"] {
        computes::<RgLruLayer>(&at("blocks.0.rg_lru."), name, name);
    }
    let transformers = at("model.layers.0.temporal_block.rg_lru");
    computes::<RgLruLayer>(&transformers, "rg-lru-transformers", "rg-lru-heads");
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
    let message = refused::<AnyScannedLayer>(&import, "s5");
    assert!(message.contains("no recurrent layer"), "{message}");

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
    let back = MinGruConfig::new(3, 4).with_log_space(true).with_reverse(true).init(&device);
    assert!(complaint(save_scanned(&back, &out)).contains("its direction is backward"));
    assert!(!out.exists());
}

/// From the program's file to ours and back: the same bits, but for what is stored as a logarithm here.
#[test]
fn a_file_of_a_program_becomes_one_of_ours_and_is_the_same_again() {
    let folder = tempdir().unwrap();
    let [own, bpk, back] =
        ["own.safetensors", "own.bpk", "back.safetensors"].map(|name| folder.path().join(name));
    for (library, path, kind) in [
        (Library::MinGruPytorch, "mingru", ScannedKind::MinGru),
        (Library::MinGruPytorch, "minlstm", ScannedKind::MinLstm),
        (Library::MinimalLru, "lru", ScannedKind::Lru),
        (Library::S5, "s5", ScannedKind::S5),
        (Library::RecurrentGemma, "rg-lru", ScannedKind::RgLru),
    ] {
        let convert = |from: &Path, to: &Path, import: &Import| {
            let done = Conversion::new(from, to, import).unwrap();
            done.write(to).unwrap();
            done
        };
        let done = convert(&file(path), &own, &Import::new().with_library(library));
        assert_eq!((done.layers.len(), done.scanned.len()), (0, 1), "{path}");
        assert_eq!(done.scanned[0].cell, kind);
        assert!(done.mappings.iter().all(|mapping| mapping.to.is_some()), "{:?}", done.mappings);
        convert(&own, &bpk, &Import::new());
        let done = Conversion::for_library(&bpk, &back, &Import::new(), library).unwrap();
        done.write(&back).unwrap();
        let of = |path: &Path| short(WeightFile::read(path, None).unwrap().tensors);
        for ((name, found), (_, expected)) in of(&back).zip(of(&file(path))) {
            assert_eq!(found.shape(), expected.shape(), "{path}: {name}");
            // The rate is stored as its logarithm, which f32 rounds.
            if name != "Lambda_re" {
                assert_eq!(found.bytes(), expected.bytes(), "{path}: {name}");
            }
        }
        assert_eq!(of(&back).count(), of(&file(path)).count());
    }
}

/// The options are in the file, so the layers that are read compute the same.
#[test]
fn every_stack_is_saved_and_loaded_and_converted() {
    let _alone = crate::alone();
    let (folder, device) = (tempdir().unwrap(), Device::flex());
    let input = Tensor::random([2, 4, 3], Distribution::Default, &device);
    let run = |layer: &AnyScanned| layer.forward(input.clone(), None).0.into_data();
    for kind in ScannedKind::ALL {
        let config = AnyScannedConfig::new(kind, 3, 4)
            .with_num_layers(2)
            .with_dropout(0.25)
            .with_d_output(if kind.is_complex() { 5 } else { 0 })
            .with_log_space(kind.has_log_space())
            .with_bias(!kind.has_bias());
        let both = config.clone().with_bidirectional(true);
        for (which, config) in [config.with_reverse(true), both].into_iter().enumerate() {
            let layer = config.init(&device);
            let [first, second] = ["safetensors", "bpk"]
                .map(|end| folder.path().join(format!("{}-{which}.{end}", kind.name())));
            save_stack(&layer, &first).unwrap();
            Conversion::new(&first, &second, &Import::new()).unwrap().write(&second).unwrap();
            for path in [&first, &second] {
                let loaded: AnyScanned = ScannedImport::new().load(path, &device).unwrap();
                assert_eq!(run(&loaded), run(&layer), "{}", kind.name());
                assert_eq!(loaded.dropout.prob, 0.25);
                assert_eq!(loaded.is_reverse(), which == 0);
            }
        }
    }
}

#[test]
fn a_stack_is_of_the_type_that_is_asked_for() {
    let (folder, device) = (tempdir().unwrap(), Device::flex());
    let path = folder.path().join("stack.safetensors");
    let layer = bptt::cast(LruConfig::new(3, 4).with_num_layers(2).init(&device), DType::F64);
    save_stack(&layer, &path).unwrap();
    let back: Scanned<LruLayer> = ScannedImport::new().load(&path, &device).unwrap();
    assert_eq!(back.dtype(), DType::F64);
    assert_eq!(
        back.layers[1].weight_re.val().into_data(),
        layer.layers[1].weight_re.val().into_data()
    );
    let message = complaint(ScannedImport::new().load::<S5Layer>(&path, &device));
    assert!(message.contains("it holds lru 3 -> 4, 2 layers, expected s5"), "{message}");
    let message = complaint(bptt_zoo::weights::load::<bptt::AnyCell>(&path, &device));
    assert!(message.contains("its layers run as a scan"), "{message}");
}
