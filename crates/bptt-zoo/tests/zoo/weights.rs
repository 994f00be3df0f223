//! Weights that travel: what PyTorch, Keras and Flax wrote is what the layers compute, and what is
//! broken or hostile is refused in a line.

use bptt::{
    AnyRecurrent, AnyRecurrentConfig, CellKind, Gru, Lstm, LstmConfig, Nonlinearity, Recurrent,
    RecurrentState, Rnn,
};
use bptt_zoo::weights::{
    self, Array, Conversion, Element, FileCell, Format, Import, Library, Tensors, WeightFile,
};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Device, TensorData};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::tempdir;

fn folder() -> PathBuf {
    // Asked when the test runs: a target folder may be shared by several checkouts.
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    Path::new(&package).join("tests/zoo/weights")
}

fn file(name: &str) -> PathBuf {
    folder().join(name)
}

fn bytes(name: &str) -> Vec<u8> {
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

/// A layer makes of an input what the library did, by another file of that kind.
pub(crate) fn agrees_with<C: FileCell>(layer: &Recurrent<C>, expected: &Path, name: &str) {
    let all = WeightFile::read(expected, None).unwrap().tensors;
    let input = tensor(&all[&format!("{name}.input")], &Device::flex());
    let (output, _) = layer.forward(input, None);
    let error = difference(&output, &all[&format!("{name}.output")]);
    assert!(error < 1e-6, "{name}: {error:e}");
}

/// A layer makes of its input what the library did.
fn agrees<C: FileCell>(layer: &Recurrent<C>, name: &str) {
    let input = expected(&format!("{name}.input"));
    let tolerance = if input.element() == Element::F64 { 1e-12 } else { 1e-6 };
    let (output, state) = layer.forward(tensor(&input, &Device::flex()), None);
    let (hidden, memory) = state.into_parts();
    let mut pairs = vec![(output, "output")];
    // Of Keras and Flax only the outputs are known.
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
    // PyTorch's default is time first, and it is here.
    let gru: Gru = weights::load(file("gru-time-first.safetensors"), &device).unwrap();
    assert!(gru.weights[0].bias_ih.is_none());
    agrees(&gru, "gru-time-first");
    let relu = batch_first.clone().with_nonlinearity(Nonlinearity::Relu);
    agrees(&relu.load::<bptt::RnnCell>(file("rnn-relu.pth"), &device).unwrap(), "rnn-relu");
    // Half precision becomes f32, which has all of its numbers; f64 remains.
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
    // The reset's form is read off the biases.
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
            assert_eq!(loaded.dropout.prob, layer.dropout.prob);
            // The same weights are the same bytes.
            weights::save(&loaded, &path).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), first);
        }
    }
    let message = complaint(weights::save(&layers()[0], folder.path().join("layer.pt")));
    assert!(message.contains(".safetensors or .bpk"), "{message}");
}

/// A burnpack of ours is one of Burn's, and the other way round.
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

#[test]
fn pickles_that_call_code_are_refused_and_never_executed() {
    let message = complaint(weights::load::<bptt::AnyCell>(file("evil.pt"), &Device::flex()));
    assert!(message.contains("`posix.system`"), "{message}");
    assert!(message.contains("nothing was executed"), "{message}");
    let message =
        complaint(weights::load::<bptt::AnyCell>(file("whole-model.pt"), &Device::flex()));
    assert!(message.contains("`torch.nn.modules.rnn.LSTM`"), "{message}");
    assert!(message.contains("state_dict()"), "{message}");
}

/// The error of reading bytes, in one line.
fn refused(format: Format, bytes: &[u8]) -> String {
    complaint(WeightFile::parse(format, bytes, None))
}

#[test]
fn cut_and_empty_files_are_refused() {
    for (name, format) in [
        ("lstm-deep.pt", Format::PyTorch),
        ("legacy.pt", Format::PyTorch),
        ("gru-bf16.safetensors", Format::SafeTensors),
    ] {
        let whole = bytes(name);
        WeightFile::parse(format, &whole, None).unwrap();
        for length in 0..whole.len() {
            refused(format, &whole[..length]);
        }
    }
    let whole = burnpack();
    let data = whole.len() - 24;
    for length in (0..whole.len()).filter(|&length| length < data || length % 7 == 0) {
        refused(Format::Burnpack, &whole[..length]);
    }
    assert!(refused(Format::PyTorch, &[]).contains("empty"));
    let folder = tempdir().unwrap();
    assert!(complaint(WeightFile::read(folder.path(), None)).contains("it is a folder"));
    let notes = folder.path().join("notes.txt");
    std::fs::write(&notes, "remember the milk").unwrap();
    assert!(complaint(WeightFile::read(&notes, None)).contains("neither PyTorch"));
}

/// A burnpack file with two tensors.
fn burnpack() -> Vec<u8> {
    let array = |n: u8| Array::new(Element::F32, vec![6], vec![n; 24]).unwrap();
    let tensors = Tensors::from([("a".to_string(), array(1)), ("b".to_string(), array(2))]);
    let metadata = Default::default();
    let left_out = Default::default();
    WeightFile { format: Format::Burnpack, tensors, left_out, metadata }.bytes().unwrap()
}

/// A safetensors file with a header and as much data.
fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn headers_that_lie_are_refused() {
    let one = |name: &str, shape: &str, offsets: &str| {
        format!(r#""{name}":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}"#)
    };
    let both = |a: String, b: String| format!("{{{a},{b}}}");
    let headers = [
        // A sound one first: the others differ from it in one way each.
        (both(one("a", "[2]", "[0,8]"), one("b", "[2]", "[8,16]")), None),
        (both(one("a", "[2]", "[0,8]"), one("b", "[2]", "[4,12]")), Some("offset")),
        (both(one("a", "[2]", "[0,8]"), one("b", "[2]", "[12,20]")), Some("offset")),
        (both(one("a", "[2]", "[0,8]"), one("b", "[9]", "[8,16]")), Some("not a whole")),
        (both(one("a", "[2]", "[0,8]"), one("b", "[2]", "[8,4000000000]")), Some("not a whole")),
        (
            both(one("a", "[2]", "[0,8]"), one("b", "[4294967296,4294967296]", "[8,16]")),
            Some("over"),
        ),
        (both(one("a", "[2]", "[0,8]"), one("b", "[-2]", "[8,16]")), Some("not a whole")),
    ];
    for (header, why) in headers {
        let bytes = safetensors(&header, 16);
        match why {
            None => drop(WeightFile::parse(Format::SafeTensors, &bytes, None).unwrap()),
            Some(why) => {
                let message = refused(Format::SafeTensors, &bytes).to_lowercase();
                assert!(message.contains(why), "{header}: {message}");
            }
        }
    }
    // Two tensors of one name, of which the last one covers the data.
    for first in [one("a", "[2]", "[0,8]"), one("a", "[4]", "[0,16]")] {
        let header = both(first, one("a", "[2]", "[0,8]"));
        assert!(
            refused(Format::SafeTensors, &safetensors(&header, 8)).contains("`a` occurs twice")
        );
    }
    // A name of two lines, in a message of the crate that reads the format.
    let header = both(one("a", "[2]", "[0,8]"), one(r"b\nc", "[2]", "[12,20]"));
    assert!(refused(Format::SafeTensors, &safetensors(&header, 16)).contains("b c"));
    // A header of more bytes than there are anywhere, and one that nests.
    let mut huge = safetensors("{}", 0);
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    refused(Format::SafeTensors, &huge);
    refused(Format::SafeTensors, &safetensors(&"[".repeat(100_000), 0));
    let nested = format!("{{\"a\":{}", "{\"a\":".repeat(100_000));
    refused(Format::SafeTensors, &safetensors(&nested, 0));
}

#[test]
fn burnpacks_that_lie_are_refused() {
    let whole = burnpack();
    let at = |what: &[u8]| whole.windows(what.len()).position(|w| w == what).expect("is there");
    // Both tensors by one name: the second name is the byte after `0x61`, a text of one letter.
    let mut twice = whole.clone();
    twice[at(b"\x61b") + 1] = b'a';
    assert!(refused(Format::Burnpack, &twice).contains("`a` occurs twice"));
    // The second lies from 256 to 280; moved onto the first.
    let mut overlap = whole.clone();
    let offsets = at(b"\x82\x19\x01\x00\x19\x01\x18");
    overlap[offsets + 1..offsets + 7].copy_from_slice(b"\x19\x00\x00\x19\x00\x18");
    assert!(refused(Format::Burnpack, &overlap).contains("`a` and `b` overlap"));
    let mut outside = whole.clone();
    outside[offsets + 1..offsets + 7].copy_from_slice(b"\x19\xf0\x00\x19\xf0\x18");
    assert!(refused(Format::Burnpack, &outside).contains("truncated"), "outside");
    let mut huge = whole.clone();
    huge[6..10].copy_from_slice(&u32::MAX.to_le_bytes());
    refused(Format::Burnpack, &huge);
}

#[test]
fn archives_that_lie_are_refused() {
    let whole = bytes("lstm-f16.pt");
    let swap = |from: &[u8], to: &[u8]| {
        let mut changed = whole.clone();
        let mut count = 0;
        for at in 0..whole.len() - from.len() {
            if whole[at..].starts_with(from) {
                changed[at..at + to.len()].copy_from_slice(to);
                count += 1;
            }
        }
        assert!(count > 0, "{from:?} is not there");
        changed
    };
    // Out of the folder, in the local header and the directory alike.
    let message = refused(Format::PyTorch, &swap(b"lstm-f16/version", b"../../f16/versio"));
    assert!(message.contains("a path that leads out of it, `../../f16/versio`"), "{message}");
    let message = refused(Format::PyTorch, &swap(b"lstm-f16/version", b"/tmp-f16/versio?"));
    assert!(message.contains("a path that leads out of it"), "{message}");
    // Two entries of one name.
    let message = refused(Format::PyTorch, &swap(b"lstm-f16/data/1", b"lstm-f16/data/0"));
    assert!(message.contains("duplicate"), "{message}");
    // Not little-endian: the entry is `little`, and its checksum is no longer right either.
    refused(Format::PyTorch, &swap(b"little", b"big   "));
    // A damaged number.
    let flipped = swap(b"data.pkl", b"data.pkm");
    assert!(refused(Format::PyTorch, &flipped).contains("without `data.pkl`"));
}

/// A stream of before 1.6, which has no checksums to be got right.
#[test]
fn tensors_that_lie_are_refused() {
    let whole = bytes("legacy.pt");
    WeightFile::parse(Format::PyTorch, &whole, None).unwrap();
    // `K\x0cK\x02\x86` is the shape (12, 2) of the first tensor, and `K\x02K\x01\x86` its stride.
    let shape = whole.windows(5).position(|w| w == b"K\x0cK\x02\x86").expect("a shape");
    let stride = whole.windows(5).position(|w| w == b"K\x02K\x01\x86").expect("a stride");
    let with = |at: usize, to: &[u8]| {
        let mut changed = whole.clone();
        changed[at..at + to.len()].copy_from_slice(to);
        refused(Format::PyTorch, &changed)
    };
    assert!(with(shape, b"K\x0dK\x02\x86").contains("lies outside of its storage"));
    assert!(with(stride, b"K\x03K\x01\x86").contains("lies outside of its storage"));
    // One number, told as often as the shape likes.
    let mut many = whole.clone();
    many[shape..shape + 5].copy_from_slice(b"K\xffK\xff\x86");
    many[stride..stride + 5].copy_from_slice(b"K\x00K\x00\x86");
    assert!(refused(Format::PyTorch, &many).contains("lies outside of its storage"));
    // Some bytes more than the storages are.
    assert!(refused(Format::PyTorch, &[&whole[..], b"more"].concat()).contains("4 bytes follow"));
}

#[test]
fn a_failed_conversion_leaves_nothing_behind() {
    let folder = tempdir().unwrap();
    let names = || std::fs::read_dir(folder.path()).unwrap().count();
    for (input, output) in [
        (file("evil.pt"), "out.safetensors"),
        (file("lstm-deep.pt"), "out.pt"),
        (file("lstm-deep.pt"), "no/such/folder/out.bpk"),
        (file("no-such-file.pt"), "out.bpk"),
    ] {
        let output = folder.path().join(output);
        let done = Conversion::new(&input, &output, &Import::new());
        complaint(done.and_then(|done| done.write(&output)));
        assert_eq!(names(), 0, "{}", output.display());
    }
}

/// An archive whose entries say that they have no checksum, so that a changed byte is looked at.
fn without_checksums(archive: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = archive.starts_with(b"PK").then(|| archive.to_vec())?;
    for at in 0..bytes.len().saturating_sub(20) {
        match &bytes[at..at + 4] {
            b"PK\x03\x04" => bytes[at + 14..at + 18].fill(0),
            b"PK\x01\x02" => bytes[at + 16..at + 20].fill(0),
            b"PK\x07\x08" => bytes[at + 4..at + 8].fill(0),
            _ => {}
        }
    }
    Some(bytes)
}

#[test]
fn archives_without_checksums_are_read() {
    let unchecked = without_checksums(&bytes("lstm-f16.pt")).unwrap();
    let read = |bytes: &[u8]| WeightFile::parse(Format::PyTorch, bytes, None).unwrap();
    assert_eq!(read(&unchecked), read(&bytes("lstm-f16.pt")));
}

/// Every file that a fuzzer found worth keeping, and each of the test files with some bytes changed:
/// read or refused, but in one line and without a panic.
#[test]
fn damaged_files_are_read_or_refused() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        // Xorshift; the numbers only have to be the same in each run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below.max(1) as u64) as usize
    };
    let try_all = |bytes: &[u8]| {
        for format in [Format::PyTorch, Format::SafeTensors, Format::Burnpack] {
            match WeightFile::parse(format, bytes, None) {
                Err(why) => assert_eq!(why.lines().count(), 1, "{why}"),
                Ok(file) => {
                    for library in [Library::Torch, Library::Keras, Library::Flax] {
                        let _ = Import::new().with_library(library).find(file.clone());
                    }
                }
            }
        }
    };
    let corpus = folder().join("../../../../../fuzz/corpus");
    let mut seeds: Vec<PathBuf> = Vec::new();
    let cases = folder().join("../../cases/weights");
    let folders = ["torch-cells", "torch-key-hint", "torch-python2-strings", "keras-order-by-name"];
    let folders = folders.iter().map(|name| cases.join(name)).chain([cases.clone(), folder()]);
    let corpora = ["pytorch", "safetensors", "burnpack"].iter().map(|name| corpus.join(name));
    for folder in folders.chain(corpora) {
        let entries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        seeds.extend(entries.filter(|path| path.is_file()));
    }
    seeds.sort();
    assert!(seeds.len() > 60, "the corpus is gone");
    let files = seeds.iter().map(|seed| std::fs::read(seed).unwrap());
    let files = files.flat_map(|whole| {
        let unchecked = without_checksums(&whole);
        std::iter::once(whole).chain(unchecked)
    });
    for whole in files {
        try_all(&whole);
        for _ in 0..200 {
            let mut bytes = whole.clone();
            for _ in 0..=next(4) {
                let at = next(bytes.len());
                match next(4) {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at, next(256) as u8),
                    _ if at < bytes.len() => bytes[at] = [0, 0xff, 1, next(256) as u8][next(4)],
                    _ => {}
                }
            }
            try_all(&bytes);
        }
    }
}

/// A type for a line of code above: the alias of the layer over [`bptt::RnnCell`].
#[test]
fn aliases_are_loaded() {
    let layer: Rnn =
        Import::new().with_batch_first(true).load(file("rnn-relu.pth"), &Device::flex()).unwrap();
    assert_eq!((layer.d_input(), layer.d_hidden()), (3, 4));
}
