//! A size that a file claims costs no memory before the bytes are there, and no time.
//!
//! This is a separate test binary, because its counting allocator is used by the whole process.

use bptt_zoo::weights::{
    BURNPACK, FORMATS, Format, Import, Library, PYTORCH, SAFETENSORS, WeightFile,
};
use peakmem_alloc::{INSTRUMENTED_SYSTEM, PeakMemAlloc, PeakMemAllocTrait};
use std::alloc::System;
use std::path::Path;
use std::time::{Duration, Instant};

#[global_allocator]
static MEMORY: &PeakMemAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test at a time, because each test would also measure the memory of the others.
static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// How much memory a reader may take: a fixed amount, and this many bytes for each byte of the file.
const FIXED: usize = 64 << 10;
const PER_BYTE: usize = 40;

/// The same for files that are made to use as much memory as possible.
const GREEDY: f64 = 48.0;

/// How long reading a file may take, even on a busy machine.
const LONGEST: Duration = Duration::from_secs(30);

/// The peak memory of some work, beyond the memory that was in use before.
fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    MEMORY.reset_peak_memory();
    let before = MEMORY.get_peak_memory();
    let result = work();
    (result, MEMORY.get_peak_memory().saturating_sub(before))
}

/// Reads a file, and looks for layers by the names of all libraries.
fn read(format: Format, bytes: &[u8]) -> Result<(), String> {
    let file = WeightFile::parse(format, bytes, None)?;
    for library in [Library::Torch, Library::Keras, Library::Flax] {
        let _ = Import::new().with_library(library).find(file.clone());
    }
    Ok(())
}

fn is_modest(name: &str, format: Format, bytes: &[u8]) -> Result<(), String> {
    let began = Instant::now();
    let (result, taken) = peak(|| read(format, bytes));
    let time = began.elapsed();
    assert!(time <= LONGEST, "{name} as {}: it took {time:?}", format.name());
    let allowed = FIXED + PER_BYTE * bytes.len();
    assert!(
        taken <= allowed,
        "{name} as {}: {taken} bytes of memory for a file of {}, at most {allowed} are fine",
        format.name(),
        bytes.len()
    );
    result
}

/// A safetensors file: the claimed length of its header, the header, and some data.
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
    let _alone = ALONE.lock();
    // First check that the measurement works.
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
    // Valid files first. Each of the others has one false size.
    for (name, format, bytes, is_sound) in [
        ("sound", SAFETENSORS, safetensors(length(&sound), &sound, 8), true),
        ("a header of 2^40", SAFETENSORS, safetensors(1 << 40, &sound, 8), false),
        ("a header of 2^26", SAFETENSORS, safetensors(1 << 26, &sound, 8), false),
        ("2^40 numbers", SAFETENSORS, safetensors(length(&much), &much, 8), false),
        ("sound", BURNPACK, burnpack(None, b"\x81\x02", two), true),
        ("a header of 2^32", BURNPACK, burnpack(Some(u32::MAX), b"\x81\x02", two), false),
        ("2^40 numbers", BURNPACK, burnpack(None, huge, two), false),
        ("far away", BURNPACK, burnpack(None, b"\x81\x02", far), false),
        ("2^62 dimensions", BURNPACK, burnpack(None, list, two), false),
        ("sound", PYTORCH, stream(b"K\x02", 2), true),
        ("2^40 numbers stored", PYTORCH, stream(b"K\x02", 1 << 40), false),
        ("2^40 numbers pickled", PYTORCH, stream(long, 2), false),
        ("2^40 numbers both", PYTORCH, stream(long, 1 << 40), false),
        ("a text of 2^32", PYTORCH, b"\x80\x02X\xff\xff\xff\xff.".to_vec(), false),
    ] {
        let result = is_modest(name, format, &bytes);
        assert_eq!(result.is_ok(), is_sound, "{name} as {}: {result:?}", format.name());
    }

    // Also every file of the fuzzers' corpus, with every reader.
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let mut count = 0;
    let corpus =
        ["pytorch", "safetensors", "burnpack"].map(|name| format!("../../fuzz/corpus/{name}"));
    for folder in
        corpus.iter().map(String::as_str).chain(["tests/cases/weights", "tests/zoo/weights"])
    {
        let folder = Path::new(&package).join(folder);
        for file in std::fs::read_dir(folder).expect("the corpus is there") {
            let path = file.expect("a file").path();
            if path.is_dir() {
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file");
            for &format in FORMATS {
                let _ = is_modest(&path.display().to_string(), format, &bytes);
            }
            count += 1;
        }
    }
    assert!(count > 25, "the corpus is gone");
}

/// A zip archive of uncompressed entries, to test its directory.
fn archive(entries: &[(String, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let sizes = [&(data.len() as u32).to_le_bytes()[..]; 2].concat();
        // Version, flags, method, time, date, checksum (none), sizes, and the lengths of name and extra field.
        let about = [&b"\x0a\0\0\0\0\0\0\0\x21\0\0\0\0\0"[..], &sizes].concat();
        let about = [&about[..], &(name.len() as u16).to_le_bytes(), b"\0\0"].concat();
        let at = (file.len() as u32).to_le_bytes();
        file.extend([&b"PK\x03\x04"[..], &about, name.as_bytes(), data].concat());
        let entry = [&b"PK\x01\x02\x0a\x03"[..], &about, &[0; 10], &at, name.as_bytes()];
        directory.extend(entry.concat());
    }
    let (count, start) = ((entries.len() as u16).to_le_bytes(), file.len() as u32);
    let size = (directory.len() as u32).to_le_bytes();
    file.extend(directory);
    file.extend(
        [&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size, &start.to_le_bytes(), b"\0\0"].concat(),
    );
    file
}

/// The part of CBOR that a burnpack header needs: texts and the heads of maps.
fn cbor_text(text: &str) -> Vec<u8> {
    match text.len() as u8 {
        length @ ..24 => [&[0x60 + length], text.as_bytes()].concat(),
        length => [&[0x78, length], text.as_bytes()].concat(),
    }
}

fn cbor_map(count: usize) -> Vec<u8> {
    [&[0xba], &(count as u32).to_be_bytes()[..]].concat()
}

fn burnpack_of(header: &[u8]) -> Vec<u8> {
    let mut file = [&b"NRUB\x01\x00"[..], &(header.len() as u32).to_le_bytes(), header].concat();
    file.resize(file.len().next_multiple_of(256) + 8, 0);
    file
}

/// Files in which every byte makes a reader store something.
fn greedy() -> Vec<(&'static str, Format, Vec<u8>)> {
    const SIZE: usize = 4 << 20;
    let pickle = |before: &[u8], what: &[u8], after: &[u8]| {
        let many = what.repeat(SIZE / what.len());
        archive(&[("a/data.pkl".to_string(), &[b"\x80\x04", before, &many, after].concat()[..])])
    };
    let few = |what: &[u8]| {
        let many = [b"\x80\x04", &what.repeat(600_000)[..], b"."].concat();
        archive(&[("a/data.pkl".to_string(), &many[..])])
    };
    let entry = |k: usize| format!(r#""{k:x}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
    let entries = |count: usize| (0..count).map(entry).collect::<Vec<_>>().join(",");
    let about =
        |count: usize| (0..count).map(|k| format!(r#""{k:x}":"""#)).collect::<Vec<_>>().join(",");
    let json = |text: String| safetensors(text.len() as u64, &text, 0);
    let zeros = vec!["0"; SIZE / 2].join(",");
    let burn = |count: usize| {
        let one = |k: usize| {
            [
                &cbor_text(&format!("{k:x}"))[..],
                b"\xa3",
                &cbor_text("dtype"),
                &cbor_text("F32"),
                &cbor_text("shape"),
                b"\x81\x00",
                &cbor_text("data_offsets"),
                b"\x82\x00\x00",
            ]
            .concat()
        };
        [
            &b"\xa1"[..],
            &cbor_text("tensors"),
            &cbor_map(count),
            &(0..count).flat_map(one).collect::<Vec<_>>(),
        ]
        .concat()
    };
    let burn_about = |count: usize| {
        let one = |k: usize| [cbor_text(&format!("{k:x}")), cbor_text("")].concat();
        let pairs = (0..count).flat_map(one).collect::<Vec<_>>();
        [
            &b"\xa2"[..],
            &cbor_text("tensors"),
            b"\xa0",
            &cbor_text("metadata"),
            &cbor_map(count),
            &pairs,
        ]
        .concat()
    };
    let shape = [
        &b"\xa1"[..],
        &cbor_text("tensors"),
        b"\xa1",
        &cbor_text("a"),
        b"\xa3",
        &cbor_text("dtype"),
        &cbor_text("F32"),
        &cbor_text("data_offsets"),
        b"\x82\x00\x00",
        &cbor_text("shape"),
        &[0x9a],
        &(SIZE as u32).to_be_bytes(),
        &vec![0; SIZE],
    ]
    .concat();
    let names: Vec<(String, &[u8])> =
        (0..SIZE / 100).map(|k| (format!("a/{k:x}"), &b""[..])).collect();
    let pairs: Vec<u8> = (0..SIZE as u32 / 8)
        .flat_map(|k| [&b"U\x04"[..], &k.to_le_bytes().map(|b| b & 0x7f), b"N"].concat())
        .collect();
    vec![
        ("memos", PYTORCH, pickle(b"N", b"\x94", b".")),
        ("numbered memos", PYTORCH, pickle(b"Nr\x00\x00\x00\x00", b"0Nr\x04\x00\x00\x00", b".")),
        ("values", PYTORCH, pickle(b"", b"N", b".")),
        ("marks", PYTORCH, pickle(b"", b"(", b".")),
        ("tuples", PYTORCH, pickle(b"", b")", b".")),
        ("pairs", PYTORCH, pickle(b"", b"NN\x86", b".")),
        // The largest number of objects that is allowed fits into a small file.
        ("few lists", PYTORCH, few(b"]")),
        ("few dictionaries", PYTORCH, few(b"}")),
        ("few tuples of one", PYTORCH, few(b"N\x85")),
        ("a long list", PYTORCH, pickle(b"](", b"N", b"e.")),
        ("a long tuple", PYTORCH, pickle(b"(", b"N", b"t.")),
        (
            "a long dictionary",
            PYTORCH,
            archive(&[(
                "a/data.pkl".to_string(),
                &[b"\x80\x02}(", &pairs[..], b"u."].concat()[..],
            )]),
        ),
        ("entries", PYTORCH, archive(&names)),
        ("tensors", SAFETENSORS, json(format!("{{{}}}", entries(SIZE / 60)))),
        ("metadata", SAFETENSORS, json(format!(r#"{{"__metadata__":{{{}}}}}"#, about(SIZE / 12)))),
        (
            "dimensions",
            SAFETENSORS,
            json(format!(r#"{{"a":{{"dtype":"F32","shape":[{zeros}],"data_offsets":[0,0]}}}}"#)),
        ),
        ("tensors", BURNPACK, burnpack_of(&burn(SIZE / 50))),
        ("metadata", BURNPACK, burnpack_of(&burn_about(SIZE / 8))),
        ("dimensions", BURNPACK, burnpack_of(&shape)),
    ]
}

/// An earlier version took 6.5 GB and half a minute for 60 MB of memos.
#[test]
fn greedy_files_take_a_small_multiple() {
    let _alone = ALONE.lock();
    for (name, format, bytes) in greedy() {
        let (result, taken) = peak(|| read(format, &bytes));
        let factor = taken as f64 / bytes.len() as f64;
        println!("{name} as {}: {factor:.1} bytes a byte ({:?})", format.name(), result.err());
        assert!(factor < GREEDY, "{name} as {}: {factor} bytes a byte", format.name());
    }
}
