//! What `torch.save` writes: `.pt` and `.pth`.
//!
//! Two containers, and in both a pickle with the names and shapes, and the numbers beside it:
//! since PyTorch 1.6 a zip archive, before that one stream.
//!
//! The readers that there are (`pytorch-reader`, which Burn's own import rests on) execute nothing
//! either, but are made to get as much as possible out of a file: a call that they do not know is
//! left out, of two values with one key the last one counts, a tensor may claim gigabytes that are
//! one number repeated, a path in the archive may lead anywhere. Weights from strangers want it
//! the other way round. So the pickle is read here (`pickle.rs`), as strictly as
//! `torch.load(weights_only=True)` does; the archive by the `zip` crate, with every check it has.

use super::array::Array;
use super::file::Tensors;
use super::pickle::{Pickle, Storage, Value, View};
use std::collections::HashMap;
use std::io::{Cursor, copy, sink};
use zip::{CompressionMethod, ZipArchive};

/// Larger pickles than this (64 MiB) describe no weights.
const LONGEST_PICKLE: usize = 1 << 26;

/// The most that tensors may take together, as a multiple of the file. Two names for one storage
/// are common (tied weights), and each is a tensor of its own here.
const MOST_SHARING: usize = 4;

/// More dimensions than a tensor has.
const MOST_DIMENSIONS: usize = 16;

/// How a stream of before 1.6 begins: a pickle of this number.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// Reads a file of `torch.save`.
///
/// # Arguments
///
/// - `key`: where in a checkpoint the state dict is, such as `model` or `model.encoder`; `None` if
///   it is the whole
///
/// # Errors
///
/// One line: if it is no such file, or anything in it is not what a state dict consists of.
pub fn read(bytes: &[u8], key: Option<&str>) -> Result<Tensors, String> {
    if bytes.starts_with(b"PK") {
        read_zip(bytes, key)
    } else if bytes.starts_with(MAGIC) {
        read_stream(bytes, key)
    } else if bytes.get(257..262) == Some(b"ustar") {
        Err("a tar archive, as PyTorch wrote before 0.1.10; load and save it with a newer \
             PyTorch first"
            .to_string())
    } else {
        Err("not a file of torch.save: neither a zip archive nor a stream of its kind".to_string())
    }
}

fn read_zip(bytes: &[u8], key: Option<&str>) -> Result<Tensors, String> {
    let broken = |error: zip::result::ZipError| format!("not a whole zip archive: {error}");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(broken)?;
    // Names that occur twice, entries that overlap, headers that contradict each other.
    archive.validate_header_consistency().map_err(broken)?;

    let mut entries = HashMap::new();
    for k in 0..archive.len() {
        let entry = archive.by_index_raw(k).map_err(broken)?;
        let name = entry.name().map_err(broken)?.into_owned();
        check_path(&name)?;
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(format!("the archive's `{name}` is compressed, which torch.save does not"));
        }
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let range = start.zip(usize::try_from(entry.size()).ok());
        let data = range.and_then(|(start, size)| bytes.get(start..start.checked_add(size)?));
        let data =
            data.ok_or_else(|| format!("the archive's `{name}` lies outside of the file"))?;
        // A checksum of zero is none: torch.save can be told to leave them out.
        let checked = entry.crc32() != 0;
        drop(entry);
        if checked {
            let mut entry = archive.by_index(k).map_err(broken)?;
            copy(&mut entry, &mut sink()).map_err(|error| format!("`{name}`: {error}"))?;
        }
        entries.insert(name, data);
    }

    let root = |name: &'_ String| -> Option<String> {
        let root = name.strip_suffix("data.pkl")?;
        (root.is_empty() || root.ends_with('/')).then(|| root.to_string())
    };
    let mut roots = entries.keys().filter_map(root);
    let root = match (roots.next(), roots.next()) {
        (Some(root), None) => root,
        (None, _) => return Err("a zip archive without `data.pkl`".to_string()),
        (Some(_), Some(_)) => return Err("a zip archive with two `data.pkl`".to_string()),
    };
    let entry = |name: &str| entries.get(&format!("{root}{name}")).copied();
    if entry("byteorder").is_some_and(|order| order.trim_ascii() != b"little") {
        return Err("its numbers are not little-endian".to_string());
    }
    let pickle = entry("data.pkl").expect("found above");
    let (pickle, _) = read_pickle(pickle)?;
    let data = |storage: &Storage<'_>| {
        let name = format!("data/{}", storage.key);
        entry(&name).ok_or_else(|| format!("the archive has no `{name}`"))
    };
    tensors(&pickle, key, bytes.len(), data)
}

/// A path that a careless program would follow out of the folder that it unpacks to.
fn check_path(name: &str) -> Result<(), String> {
    let climbs = name.split('/').any(|part| part == "..");
    if climbs || name.starts_with('/') || name.contains(['\\', '\0', ':']) {
        let name: String = name.escape_debug().take(80).collect();
        return Err(format!("the archive has a path that leads out of it, `{name}`"));
    }
    Ok(())
}

fn read_pickle(bytes: &[u8]) -> Result<(Pickle<'_>, usize), String> {
    // Of a stream, only what can be the pickle.
    Pickle::read(&bytes[..bytes.len().min(LONGEST_PICKLE)])
}

/// The magic number, a version, what the machine was; the checkpoint; the keys of its storages;
/// then these, each as a count and its elements.
fn read_stream(bytes: &[u8], key: Option<&str>) -> Result<Tensors, String> {
    let mut at = MAGIC.len();
    let mut next = || {
        let (pickle, length) = read_pickle(&bytes[at..])?;
        at += length;
        Ok::<_, String>(pickle)
    };
    let version = next()?;
    if !matches!(version.root(), Value::Int(1001)) {
        return Err("a stream of torch.save of an unknown version".to_string());
    }
    let _machine = next()?;
    let pickle = next()?;
    let keys = next()?;

    let known: HashMap<_, _> = pickle.storages().map(|storage| (storage.key, storage)).collect();
    let mut storages = HashMap::new();
    let list = keys.sequence(keys.root()).ok_or("a stream without a list of its storages")?;
    for key in list {
        let Value::Text(key) = key else { return Err("a storage's key is no text".to_string()) };
        let storage = known.get(key).ok_or_else(|| format!("nothing refers to storage `{key}`"))?;
        let short = || format!("the file ends in the middle of storage `{key}`");
        let rest = &bytes[at..];
        let (count, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let size = usize::try_from(u64::from_le_bytes(*count)).ok();
        let size = size.and_then(|count| count.checked_mul(storage.element.width()));
        let data = size.and_then(|size| rest.get(..size)).ok_or_else(short)?;
        at += 8 + data.len();
        if storages.insert(*key, data).is_some() {
            return Err(format!("the storage `{key}` occurs twice"));
        }
    }
    if at != bytes.len() {
        return Err(format!("{} bytes follow after the last storage", bytes.len() - at));
    }
    tensors(&pickle, key, bytes.len(), |storage| {
        let data = storages.get(storage.key).copied();
        data.ok_or_else(|| format!("the file has no storage `{}`", storage.key))
    })
}

/// The tensors of the state dict.
fn tensors<'b>(
    pickle: &Pickle<'_>,
    key: Option<&str>,
    file: usize,
    data: impl Fn(&Storage<'_>) -> Result<&'b [u8], String>,
) -> Result<Tensors, String> {
    let mut found = Tensors::new();
    let mut left = file.saturating_mul(MOST_SHARING);
    for &(name, value) in state_dict(pickle, key)? {
        // Beside the tensors a state dict may hold whatever a module's extra state is.
        let (Value::Text(name), Some(view)) = (name, pickle.tensor(value)) else { continue };
        let array = data(&view.storage)
            .and_then(|data| materialize(view, data, &mut left))
            .map_err(|why| format!("`{name}`: {why}"))?;
        found.insert(name.to_string(), array);
    }
    Ok(found)
}

/// The dictionary that a key leads to, which has to hold tensors.
fn state_dict<'p, 'a>(
    pickle: &'p Pickle<'a>,
    key: Option<&str>,
) -> Result<&'p [(Value<'a>, Value<'a>)], String> {
    let root = pickle.dict(pickle.root()).ok_or("it holds no dictionary")?;
    let mut dict = root;
    let mut rest = key.unwrap_or_default();
    while !rest.is_empty() {
        // A key may contain a dot itself, so the longest that there is goes first.
        let next = dict.iter().filter_map(|(name, value)| match name {
            Value::Text(name) if *name == rest => Some((name.len(), pickle.dict(*value)?)),
            Value::Text(name) if rest.strip_prefix(name)?.starts_with('.') => {
                Some((name.len() + 1, pickle.dict(*value)?))
            }
            _ => None,
        });
        let Some((length, inner)) = next.max_by_key(|(length, _)| *length) else {
            return Err(format!(
                "no dictionary at the key `{rest}`; {}",
                dictionaries(pickle, dict)
            ));
        };
        (dict, rest) = (inner, &rest[length..]);
    }
    if !dict.iter().any(|(_, value)| pickle.tensor(*value).is_some()) {
        return Err(format!("no tensors here; {}; name it by its key", dictionaries(pickle, dict)));
    }
    Ok(dict)
}

/// What dictionaries lie in one, for a message.
fn dictionaries(pickle: &Pickle<'_>, dict: &[(Value<'_>, Value<'_>)]) -> String {
    const MOST: usize = 8;
    let mut names = Vec::new();
    for (name, value) in dict {
        let (Value::Text(name), Some(items)) = (name, pickle.dict(*value)) else { continue };
        if names.len() == MOST {
            names.push("…".to_string());
            break;
        }
        let count = items.iter().filter(|(_, value)| pickle.tensor(*value).is_some()).count();
        names.push(format!("`{}` ({count} tensors)", name.escape_debug()));
    }
    match names.is_empty() {
        true => "it holds no dictionaries".to_string(),
        false => format!("it holds {}", names.join(", ")),
    }
}

/// The elements of a view, in order.
///
/// A view of n elements needs a storage of n at least: else some would be told more than once, and
/// a small file could ask for any amount of memory.
fn materialize(view: &View<'_>, data: &[u8], left: &mut usize) -> Result<Array, String> {
    let View { storage, offset, shape, stride } = view;
    let width = storage.element.width();
    if storage.elements.checked_mul(width) != Some(data.len()) {
        return Err(format!(
            "its storage claims {} elements of {} bytes, and has {} bytes",
            storage.elements,
            width,
            data.len()
        ));
    }
    if shape.len() > MOST_DIMENSIONS || shape.len() != stride.len() {
        return Err(format!("{} dimensions with {} strides", shape.len(), stride.len()));
    }
    let outside = || format!("shape {shape:?} with stride {stride:?} lies outside of its storage");
    // The step of a dimension of size 1 is never taken, and may be anything.
    let steps = shape.iter().zip(stride).map(|(&size, &step)| if size == 1 { 0 } else { step });
    let stride: Vec<usize> = steps.collect();
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    let count = count.ok_or_else(outside)?;
    if count > storage.elements {
        return Err(outside());
    }
    let size = count * width;
    *left = left.checked_sub(size).ok_or("the tensors take far more than the file is long")?;
    if count == 0 {
        return Array::new(storage.element, shape.clone(), Vec::new());
    }
    let last = shape
        .iter()
        .zip(&stride)
        .try_fold(*offset, |at, (&size, &step)| at.checked_add((size - 1).checked_mul(step)?));
    if last.is_none_or(|last| last >= storage.elements) {
        return Err(outside());
    }
    let mut bytes = Vec::with_capacity(size);
    let mut index = vec![0; shape.len()];
    let mut at = *offset;
    loop {
        bytes.extend_from_slice(&data[at * width..(at + 1) * width]);
        // To the next index, the last dimension fastest.
        let mut dimension = shape.len();
        loop {
            if dimension == 0 {
                return Array::new(storage.element, shape.clone(), bytes);
            }
            dimension -= 1;
            index[dimension] += 1;
            at += stride[dimension];
            if index[dimension] < shape[dimension] {
                break;
            }
            at -= stride[dimension] * shape[dimension];
            index[dimension] = 0;
        }
    }
}
