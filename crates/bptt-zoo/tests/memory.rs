//! What a file claims costs no memory before the bytes are there.
//!
//! A test binary of its own: the allocator that counts is everybody's in it.

use bptt_zoo::weights::{Format, Import, Library, WeightFile};
use peakmem_alloc::{INSTRUMENTED_SYSTEM, PeakMemAlloc, PeakMemAllocTrait};
use std::alloc::System;
use std::path::Path;

#[global_allocator]
static MEMORY: &PeakMemAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a reader may take: a fixed amount, and so many bytes for each of the file.
const FIXED: usize = 64 << 10;
const PER_BYTE: usize = 40;

/// The most memory that some work takes beyond what there was.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    MEMORY.reset_peak_memory();
    let before = MEMORY.get_peak_memory();
    let result = work();
    (result, MEMORY.get_peak_memory().saturating_sub(before))
}

/// Reads, and looks for layers by the names of all libraries.
fn read(format: Format, bytes: &[u8]) -> Result<(), String> {
    let file = WeightFile::parse(format, bytes, None)?;
    for library in [Library::Torch, Library::Keras, Library::Flax] {
        let _ = Import::new().with_library(library).find(file.clone());
    }
    Ok(())
}

fn is_modest(name: &str, format: Format, bytes: &[u8]) -> Result<(), String> {
    let (result, taken) = peak(|| read(format, bytes));
    let allowed = FIXED + PER_BYTE * bytes.len();
    assert!(
        taken <= allowed,
        "{name} as {}: {taken} bytes of memory for a file of {}, at most {allowed} are fine",
        format.name(),
        bytes.len()
    );
    result
}

/// A safetensors file: the length of its header as it is claimed, the header, and some data.
fn safetensors(claimed: u64, header: &str, data: usize) -> Vec<u8> {
    [&claimed.to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
}

/// A burnpack file with one tensor: two numbers of a shape in CBOR, and offsets.
fn burnpack(claimed: Option<u32>, shape: &[u8], offsets: &[u8]) -> Vec<u8> {
    let text = |text: &str| [&[0x60 + text.len() as u8], text.as_bytes()].concat();
    let header = [
        &b"\xa1"[..],
        &text("tensors"),
        b"\xa1",
        &text("a"),
        b"\xa3",
        &text("dtype"),
        &text("F32"),
        &text("shape"),
        shape,
        &text("data_offsets"),
        offsets,
    ]
    .concat();
    let length = claimed.unwrap_or(header.len() as u32);
    let mut file = [&b"NRUB\x01\x00"[..], &length.to_le_bytes(), &header].concat();
    file.resize(256 + 8, 0);
    file
}

/// A file of `torch.save` before 1.6: a state dict with one tensor of a storage that claims a size.
fn stream(pickled: &[u8], stored: u64) -> Vec<u8> {
    let magic =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    let tensor = |elements: &[u8]| {
        [
            &b"\x80\x02}X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n(("[..],
            b"X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu",
            elements,
            b"tQK\x00",
            elements,
            b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs.",
        ]
        .concat()
    };
    let keys = b"\x80\x02]X\x01\x00\x00\x000a.";
    [magic, &tensor(pickled)[..], keys, &stored.to_le_bytes(), &[0; 8]].concat()
}

#[test]
fn no_claim_costs_memory() {
    // The measure measures.
    let (sum, taken) = peak(|| vec![1u8; 3 << 20].iter().map(|&x| u64::from(x)).sum::<u64>());
    assert!(sum == 3 << 20 && (3 << 20..4 << 20).contains(&taken), "{taken}");

    let entry = |shape: &str, offsets: &str| {
        format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let length = |header: &str| header.len() as u64;
    let sound = entry("[2]", "[0,8]");
    let much = entry("[1099511627776]", "[0,4398046511104]");
    let two = b"\x82\x00\x08";
    // 2^40 and 2^40 + 8, 2^40 and 2^62, in CBOR; and in a pickle 2 and 2^40.
    let far = b"\x82\x1b\x00\x00\x01\x00\x00\x00\x00\x00\x1b\x00\x00\x01\x00\x00\x00\x00\x08";
    let huge = b"\x81\x1b\x00\x00\x01\x00\x00\x00\x00\x00";
    let list = b"\x9b\x40\x00\x00\x00\x00\x00\x00\x00";
    let long = b"\x8a\x06\x00\x00\x00\x00\x00\x01";
    // Sound files first: the others lie in one place each.
    for (name, format, bytes, is_sound) in [
        ("sound", Format::SafeTensors, safetensors(length(&sound), &sound, 8), true),
        ("a header of 2^40", Format::SafeTensors, safetensors(1 << 40, &sound, 8), false),
        ("a header of 2^26", Format::SafeTensors, safetensors(1 << 26, &sound, 8), false),
        ("2^40 numbers", Format::SafeTensors, safetensors(length(&much), &much, 8), false),
        ("sound", Format::Burnpack, burnpack(None, b"\x81\x02", two), true),
        ("a header of 2^32", Format::Burnpack, burnpack(Some(u32::MAX), b"\x81\x02", two), false),
        ("2^40 numbers", Format::Burnpack, burnpack(None, huge, two), false),
        ("far away", Format::Burnpack, burnpack(None, b"\x81\x02", far), false),
        ("2^62 dimensions", Format::Burnpack, burnpack(None, list, two), false),
        ("sound", Format::PyTorch, stream(b"K\x02", 2), true),
        ("2^40 numbers stored", Format::PyTorch, stream(b"K\x02", 1 << 40), false),
        ("2^40 numbers pickled", Format::PyTorch, stream(long, 2), false),
        ("2^40 numbers both", Format::PyTorch, stream(long, 1 << 40), false),
        ("a text of 2^32", Format::PyTorch, b"\x80\x02X\xff\xff\xff\xff.".to_vec(), false),
    ] {
        let result = is_modest(name, format, &bytes);
        assert_eq!(result.is_ok(), is_sound, "{name} as {}: {result:?}", format.name());
    }

    // And every file of the fuzzers' corpus, by every reader.
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let mut count = 0;
    for folder in ["pytorch", "safetensors", "burnpack"] {
        let folder = Path::new(&package).join("../../fuzz/corpus").join(folder);
        for file in std::fs::read_dir(folder).expect("the corpus is there") {
            let path = file.expect("a file").path();
            let bytes = std::fs::read(&path).expect("a file");
            for format in [Format::PyTorch, Format::SafeTensors, Format::Burnpack] {
                let _ = is_modest(&path.display().to_string(), format, &bytes);
            }
            count += 1;
        }
    }
    assert!(count > 25, "the corpus is gone");
}
