//! What `torch.save` writes: `.pt` and `.pth`.
//!
//! There are two containers: a zip archive since PyTorch 1.6, and one stream before. Both have a pickle with names and
//! shapes, and the numbers in a separate place.
//!
//! The reader of Burn's import (`pytorch-reader`) does not execute code either, but it reads as much of a file as
//! possible. It ignores unknown calls. If a key occurs twice, it takes the last value. A tensor may claim gigabytes
//! that are one number repeated. A path in the archive may lead anywhere. This is not strict enough for files from
//! strangers. So `pickle/` reads the pickle as strictly as `torch.load(weights_only=True)`. The `zip` crate reads the
//! archive, with all of its checks.

use crate::weights::checkpoint;
use crate::weights::contents::{Contents, Tensors, UnreadTensors};
use crate::weights::format::{Codec, Format, Layout};
use crate::weights::pickle::Pickle;
use crate::weights::pickle::value::{Kind, Storage};
use std::collections::HashMap;
use std::io::{Cursor, copy, sink};
use zip::{CompressionMethod, ZipArchive};

/// A longer pickle is refused (64 MiB).
const LONGEST_PICKLE: usize = 1 << 26;

/// The most memory that all tensors may take, as a multiple of the file's length. Two names for one storage are common
/// (tied weights), and here each name gets its own copy.
const MOST_SHARING: usize = 4;

/// A stream of PyTorch before 1.6 begins with this number, pickled.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// What `torch.save` writes: `.pt`, `.pth`. Read only.
pub const PYTORCH: Format = Format::new(&PyTorch);

struct PyTorch;

impl Codec for PyTorch {
    fn name(&self) -> &'static str {
        "PyTorch"
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["pt", "pth"]
    }

    fn about(&self) -> &'static str {
        "a state dict or checkpoint of PyTorch (.pt, .pth)"
    }

    fn layout(&self) -> Layout {
        Layout::Torch
    }

    fn recognises(&self, bytes: &[u8]) -> bool {
        bytes.starts_with(b"PK") || after_magic(bytes).is_some() || is_tar(bytes)
    }

    fn has_keys(&self) -> bool {
        true
    }

    fn read(&self, bytes: &[u8], key: Option<&str>) -> Result<Contents, String> {
        let (tensors, left_out) = read(bytes, key)?;
        Ok(Contents { tensors, left_out, ..Contents::default() })
    }
}

/// Reads a file of `torch.save`. It may hold only values that state dicts have.
///
/// # Arguments
///
/// - `key`: where the state dict is in a checkpoint, such as `model` or `model.encoder`; `None` if the whole file is
///   the state dict
fn read(bytes: &[u8], key: Option<&str>) -> Result<(Tensors, UnreadTensors), String> {
    if bytes.starts_with(b"PK") {
        read_zip(bytes, key)
    } else if let Some(at) = after_magic(bytes) {
        read_stream(bytes, at, key)
    } else if is_tar(bytes) {
        Err("a tar archive, as PyTorch wrote before 0.1.10; load and save it with a newer \
             PyTorch first"
            .to_string())
    } else {
        Err("not a file of torch.save: neither a zip archive nor a stream of its kind".to_string())
    }
}

fn is_tar(bytes: &[u8]) -> bool {
    bytes.get(257..262) == Some(b"ustar")
}

/// Where a stream continues after its magic number, which may be pickled by any protocol.
fn after_magic(bytes: &[u8]) -> Option<usize> {
    let [0x80, 2..=5, rest @ ..] = bytes else { return None };
    // From protocol 4 on, there may be a frame around the number. A frame begins with its length.
    let rest = if rest.first() == Some(&0x95) { rest.get(9..)? } else { rest };
    rest.starts_with(MAGIC).then(|| bytes.len() - rest.len() + MAGIC.len())
}

fn read_zip(bytes: &[u8], key: Option<&str>) -> Result<(Tensors, UnreadTensors), String> {
    let broken = |error: zip::result::ZipError| format!("not a whole zip archive: {error}");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    // This refuses names that occur twice, entries that overlap, and headers that contradict each other.
    archive.validate_header_consistency().map_err(broken)?;

    let (mut entries, mut packed) = (HashMap::new(), Vec::new());
    for k in 0..archive.len() {
        let entry = archive.by_index_raw(k).map_err(broken)?;
        let name = entry.name().map_err(broken)?.into_owned();
        check_path(&name)?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            packed.push(name);
            continue;
        }
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let range = start.zip(usize::try_from(entry.size()).ok());
        let data = range.and_then(|(start, size)| bytes.get(start..start.checked_add(size)?));
        let data =
            data.ok_or_else(|| format!("the archive's `{name}` lies outside of the file"))?;
        // A checksum of zero means that there is none, because torch.save can leave checksums out.
        let checked = entry.crc32() != 0;
        drop(entry);
        if checked {
            let mut entry = archive.by_index(k).map_err(broken)?;
            copy(&mut entry, &mut sink()).map_err(|error| format!("`{name}`: {error}"))?;
        }
        entries.insert(name, data);
    }

    let root = root(entries.keys().chain(&packed))?;
    let entry = |name: &str| entries.get(&format!("{root}{name}")).copied();
    if entry("byteorder").is_some_and(|order| order.trim_ascii() != b"little") {
        return Err("its numbers are not little-endian".to_string());
    }
    let pickle = entry("data.pkl").ok_or("the archive's `data.pkl` is compressed")?;
    // A file of `torch.jit.save` also has code.
    let is_script = entry("constants.pkl").is_some();
    let code = format!("{root}code/");
    if let Some(name) = packed.iter().find(|name| !is_script || !name.starts_with(&code)) {
        return Err(format!("the archive's `{name}` is compressed, which torch.save does not"));
    }
    let (pickle, _) = read_pickle(pickle, is_script)
        .map_err(|why| if is_script { format!("a TorchScript archive: {why}") } else { why })?;
    let data = |storage: &Storage| {
        let name = format!("data/{}", pickle.key(storage));
        entry(&name).ok_or_else(|| format!("the archive has no `{name}`"))
    };
    let left = bytes.len().saturating_mul(MOST_SHARING);
    match is_script {
        true => checkpoint::script(&pickle, key)?.tensors(&pickle, left, data),
        false => checkpoint::state_dict(&pickle, key)?.tensors(&pickle, left, data),
    }
}

/// The common prefix of the names of an archive's entries.
fn root<'n>(names: impl Iterator<Item = &'n String> + Clone) -> Result<String, String> {
    let root = |name: &'n String| {
        let root = name.strip_suffix("data.pkl")?;
        (root.is_empty() || root.ends_with('/')).then_some(root)
    };
    let mut roots = names.clone().filter_map(root);
    match (roots.next(), roots.next()) {
        (Some(root), None) => Ok(root.to_string()),
        (Some(_), Some(_)) => Err("a zip archive with two `data.pkl`".to_string()),
        (None, _) if names.clone().any(|name| name.ends_with(".weights.h5")) => {
            Err("an archive of Keras (.keras), which is not read: save the variables by their \
                 paths as .safetensors"
                .to_string())
        }
        (None, _) => Err("a zip archive without `data.pkl`, as torch.save writes it".to_string()),
    }
}

/// Checks that a path does not lead out of the folder that an archive is unpacked to.
fn check_path(name: &str) -> Result<(), String> {
    let climbs = name.split('/').any(|part| part == "..");
    if climbs || name.starts_with('/') || name.contains(['\\', '\0', ':']) {
        let name: String = name.escape_debug().take(80).collect();
        return Err(format!("the archive has a path that leads out of it, `{name}`"));
    }
    Ok(())
}

fn read_pickle(bytes: &[u8], is_script: bool) -> Result<(Pickle<'_>, usize), String> {
    // A stream is longer than its pickle may be.
    let part = &bytes[..bytes.len().min(LONGEST_PICKLE)];
    let read = if is_script { Pickle::read_script(part) } else { Pickle::read(part) };
    read.map_err(|why| match part.len() < bytes.len() {
        true => format!("{why} (a pickle may have {LONGEST_PICKLE} bytes)"),
        false => why,
    })
}

/// A stream has, in this order: a version, a description of the machine, the checkpoint, the keys of its storages, and
/// the storages, each as a count and its elements.
fn read_stream(
    bytes: &[u8],
    mut at: usize,
    key: Option<&str>,
) -> Result<(Tensors, UnreadTensors), String> {
    let mut next = || {
        let (pickle, length) = read_pickle(&bytes[at..], false)?;
        at += length;
        Ok::<_, String>(pickle)
    };
    let version = next()?;
    if version.int(version.root()) != Some(1001) {
        return Err("a stream of torch.save of an unknown version".to_string());
    }
    let _machine = next()?;
    let pickle = next()?;
    let keys = next()?;

    let known: HashMap<_, _> =
        pickle.storages().map(|storage| (pickle.key(storage), storage)).collect();
    let mut storages = HashMap::new();
    let list = keys.sequence(keys.root()).ok_or("a stream without a list of its storages")?;
    for key in list {
        let key = keys.text(*key).ok_or("a storage's key is no text")?;
        let storage = known.get(key).ok_or_else(|| format!("nothing refers to storage `{key}`"))?;
        let width = match storage.kind {
            Kind::Known(element) => element.width(),
            Kind::Untyped => 1,
            kind @ Kind::Odd(_) => kind.odd_width(),
        };
        let short = || format!("the file ends in the middle of storage `{key}`");
        let rest = &bytes[at..];
        let (count, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let size = usize::try_from(u64::from_le_bytes(*count)).ok();
        let size = size.and_then(|count| count.checked_mul(width));
        let data = size.and_then(|size| rest.get(..size)).ok_or_else(short)?;
        at += 8 + data.len();
        if storages.insert(key, data).is_some() {
            return Err(format!("the storage `{key}` occurs twice"));
        }
    }
    if at != bytes.len() {
        return Err(format!("{} bytes follow after the last storage", bytes.len() - at));
    }
    let left = bytes.len().saturating_mul(MOST_SHARING);
    checkpoint::state_dict(&pickle, key)?.tensors(&pickle, left, |storage| {
        let key = pickle.key(storage);
        storages.get(key).copied().ok_or_else(|| format!("the file has no storage `{key}`"))
    })
}
