//! Broken or hostile files of weights are refused with one line, and need little memory.

use crate::weights::{bytes, complaint, file, folder};
use bptt_zoo::weights::{
    self, Array, BURNPACK, Conversion, Element, FORMATS, Format, Import, Library, PYTORCH,
    SAFETENSORS, Tensors, WeightFile,
};
use burn::tensor::Device;
use std::path::PathBuf;
use tempfile::tempdir;

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
    for (name, format) in
        [("lstm-deep.pt", PYTORCH), ("legacy.pt", PYTORCH), ("gru-bf16.safetensors", SAFETENSORS)]
    {
        let whole = bytes(name);
        WeightFile::parse(format, &whole, None).unwrap();
        for length in 0..whole.len() {
            refused(format, &whole[..length]);
        }
    }
    let whole = burnpack();
    let data = whole.len() - 24;
    for length in (0..whole.len()).filter(|&length| length < data || length % 7 == 0) {
        refused(BURNPACK, &whole[..length]);
    }
    assert!(refused(PYTORCH, &[]).contains("empty"));
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
    WeightFile { format: BURNPACK, tensors, left_out, metadata }.bytes().unwrap()
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
        // A valid file first. Each of the others differs from it in one way.
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
            None => drop(WeightFile::parse(SAFETENSORS, &bytes, None).unwrap()),
            Some(why) => {
                let message = refused(SAFETENSORS, &bytes).to_lowercase();
                assert!(message.contains(why), "{header}: {message}");
            }
        }
    }
    // Two tensors with one name. The last one covers the data.
    for first in [one("a", "[2]", "[0,8]"), one("a", "[4]", "[0,16]")] {
        let header = both(first, one("a", "[2]", "[0,8]"));
        assert!(refused(SAFETENSORS, &safetensors(&header, 8)).contains("`a` occurs twice"));
    }
    // A name with a line break, in a message of the crate that reads the format.
    let header = both(one("a", "[2]", "[0,8]"), one(r"b\nc", "[2]", "[12,20]"));
    assert!(refused(SAFETENSORS, &safetensors(&header, 16)).contains("b c"));
    // A header longer than any file, and a deeply nested one.
    let mut huge = safetensors("{}", 0);
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    refused(SAFETENSORS, &huge);
    refused(SAFETENSORS, &safetensors(&"[".repeat(100_000), 0));
    let nested = format!("{{\"a\":{}", "{\"a\":".repeat(100_000));
    refused(SAFETENSORS, &safetensors(&nested, 0));
}

#[test]
fn burnpacks_that_lie_are_refused() {
    let whole = burnpack();
    let at = |what: &[u8]| whole.windows(what.len()).position(|w| w == what).expect("is there");
    // Both tensors get one name. The second name is the byte after `0x61`, a text of one letter.
    let mut twice = whole.clone();
    twice[at(b"\x61b") + 1] = b'a';
    assert!(refused(BURNPACK, &twice).contains("`a` occurs twice"));
    // The second tensor, at 256 to 280, is moved onto the first.
    let mut overlap = whole.clone();
    let offsets = at(b"\x82\x19\x01\x00\x19\x01\x18");
    overlap[offsets + 1..offsets + 7].copy_from_slice(b"\x19\x00\x00\x19\x00\x18");
    assert!(refused(BURNPACK, &overlap).contains("`a` and `b` overlap"));
    let mut outside = whole.clone();
    outside[offsets + 1..offsets + 7].copy_from_slice(b"\x19\xf0\x00\x19\xf0\x18");
    assert!(refused(BURNPACK, &outside).contains("truncated"), "outside");
    let mut huge = whole.clone();
    huge[6..10].copy_from_slice(&u32::MAX.to_le_bytes());
    refused(BURNPACK, &huge);
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
    // A path that leads out of the folder, both in the local header and in the directory.
    let message = refused(PYTORCH, &swap(b"lstm-f16/version", b"../../f16/versio"));
    assert!(message.contains("a path that leads out of it, `../../f16/versio`"), "{message}");
    let message = refused(PYTORCH, &swap(b"lstm-f16/version", b"/tmp-f16/versio?"));
    assert!(message.contains("a path that leads out of it"), "{message}");
    // Two entries with one name.
    let message = refused(PYTORCH, &swap(b"lstm-f16/data/1", b"lstm-f16/data/0"));
    assert!(message.contains("duplicate"), "{message}");
    // A file that is not little-endian: the entry is `little`. Its checksum is wrong now, too.
    refused(PYTORCH, &swap(b"little", b"big   "));
    // A damaged number.
    let flipped = swap(b"data.pkl", b"data.pkm");
    assert!(refused(PYTORCH, &flipped).contains("without `data.pkl`"));
}

/// A stream of PyTorch before 1.6, which has no checksums.
#[test]
fn tensors_that_lie_are_refused() {
    let whole = bytes("legacy.pt");
    WeightFile::parse(PYTORCH, &whole, None).unwrap();
    // `K\x0cK\x02\x86` is the shape (12, 2) of the first tensor, and `K\x02K\x01\x86` its stride.
    let shape = whole.windows(5).position(|w| w == b"K\x0cK\x02\x86").expect("a shape");
    let stride = whole.windows(5).position(|w| w == b"K\x02K\x01\x86").expect("a stride");
    let with = |at: usize, to: &[u8]| {
        let mut changed = whole.clone();
        changed[at..at + to.len()].copy_from_slice(to);
        refused(PYTORCH, &changed)
    };
    assert!(with(shape, b"K\x0dK\x02\x86").contains("lies outside of its storage"));
    assert!(with(stride, b"K\x03K\x01\x86").contains("lies outside of its storage"));
    // One number that is repeated as often as the shape says.
    let mut many = whole.clone();
    many[shape..shape + 5].copy_from_slice(b"K\xffK\xff\x86");
    many[stride..stride + 5].copy_from_slice(b"K\x00K\x00\x86");
    assert!(refused(PYTORCH, &many).contains("lies outside of its storage"));
    // More bytes than the storages need.
    assert!(refused(PYTORCH, &[&whole[..], b"more"].concat()).contains("4 bytes follow"));
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

/// An archive whose entries have no checksum, so that a changed byte reaches the reader.
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
    let read = |bytes: &[u8]| WeightFile::parse(PYTORCH, bytes, None).unwrap();
    assert_eq!(read(&unchecked), read(&bytes("lstm-f16.pt")));
}

/// Every file of the fuzzers' corpus, and each of the test files with some bytes changed, is read or refused, with one
/// line and without a panic.
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
        for &format in FORMATS {
            match WeightFile::parse(format, bytes, None) {
                Err(why) => assert_eq!(why.lines().count(), 1, "{why}"),
                Ok(file) => {
                    for library in Library::ALL {
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
