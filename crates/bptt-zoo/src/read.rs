//! Reads the files that a user names, and data from standard input. Every read has a bound. A pipe or a device in place
//! of a file is refused, because opening it could block for ever.

use crate::error::Error;
use std::fs::Metadata;
use std::io::{IsTerminal, Read};
use std::path::Path;

/// The longest file with a text or a series that is read (4 GiB): it is held in memory.
pub(crate) const LONGEST_DATA: u64 = 1 << 32;

/// The longest file of JSON that is read (64 MiB). The longest part of such a file is a vocabulary.
pub(crate) const LONGEST_JSON: u64 = 1 << 26;

/// The most data that is read from standard input (1 GiB), because its length is not known, and it may never end.
const LONGEST_STDIN: u64 = 1 << 30;

/// The name of standard input where a file is asked for.
pub(crate) const STDIN: &str = "-";

/// The note about a byte order mark of UTF-8.
pub(crate) const BYTE_ORDER_MARK: &str = "a byte order mark at the beginning left out";

/// How many bytes are read at once.
const CHUNK: usize = 1 << 16;

/// The absolute path of a data file, so that a run that is resumed from another working directory finds it. `-`, which
/// is standard input, stays `-`.
///
/// # Errors
///
/// If it does not exist, if it is not a file, or if its path is not Unicode, because a run folder could not store such
/// a path.
pub fn data_path(path: &Path) -> Result<String, Error> {
    if path == Path::new(STDIN) {
        return Ok(STDIN.to_string());
    }
    let failed = |cause: &dyn std::fmt::Display| Error::file("read", path, cause);
    plain_file(path, true)?;
    let whole = std::fs::canonicalize(path).map_err(|error| failed(&error))?;
    unicode(path, &whole)
}

/// The absolute path of a folder with data files, for the same reason.
///
/// # Errors
///
/// If it does not exist, if it is not a folder, or if its path is not Unicode.
pub fn data_folder(path: &Path) -> Result<String, Error> {
    let failed = |cause: &dyn std::fmt::Display| Error::file("read", path, cause);
    let whole = std::fs::canonicalize(path).map_err(|error| failed(&error))?;
    if !whole.is_dir() {
        return Err(failed(&"not a folder"));
    }
    unicode(path, &whole)
}

/// A path that a run folder can keep.
fn unicode(given: &Path, whole: &Path) -> Result<String, Error> {
    whole.to_str().map(str::to_string).ok_or_else(|| {
        let why = "its path is not Unicode, and the run folder could not keep it: rename it";
        Error::file("read", given, why)
    })
}

/// The name of a data file in messages.
pub(crate) fn data_name(path: &str) -> &str {
    if path == STDIN { "standard input" } else { path }
}

/// The bytes of a text or a CSV file; `-` is standard input. Reading stops at the first byte that a text cannot have,
/// so that a disk image is not read to its end.
pub(crate) fn data(path: &Path) -> Result<Vec<u8>, Error> {
    bounded(path, false)
}

/// The same for a table, which may be in UTF-16 too, if it begins with a byte order mark.
pub(crate) fn table(path: &Path) -> Result<Vec<u8>, Error> {
    bounded(path, true)
}

fn bounded(path: &Path, or_utf16: bool) -> Result<Vec<u8>, Error> {
    let named = |why| Error::input(format!("{}: {why}", data_name(&path.display().to_string())));
    if path == Path::new(STDIN) {
        if let Some(why) = useless_stdin() {
            return Err(named(why));
        }
        return chunks(std::io::stdin().lock(), LONGEST_STDIN, or_utf16).map_err(named);
    }
    let length = plain_file(path, true)?.len();
    if length > LONGEST_DATA {
        return Err(named(too_long(LONGEST_DATA)));
    }
    let file = std::fs::File::open(path).map_err(|error| Error::file("read", path, error))?;
    chunks(file, LONGEST_DATA, or_utf16).map_err(named)
}

/// The bytes of a file. It is refused if it is not a regular file, or if it is longer than `longest`.
pub(crate) fn file(path: &Path, longest: u64) -> Result<Vec<u8>, Error> {
    let failed = |cause: &dyn std::fmt::Display| Error::file("read", path, cause);
    let length = plain_file(path, false)?.len();
    if length > longest {
        return Err(failed(&too_long(longest)));
    }
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length as usize).map_err(|error| failed(&error))?;
    // One byte more than allowed, to notice a file that has grown since its length was checked.
    file.take(longest + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > longest {
        return Err(failed(&too_long(longest)));
    }
    Ok(bytes)
}

/// The metadata of a regular file; everything else is refused. This is checked before the file is opened, because
/// opening a pipe waits for a writer.
fn plain_file(path: &Path, or_stdin: bool) -> Result<Metadata, Error> {
    let failed = |cause: &dyn std::fmt::Display| Error::file("read", path, cause);
    let about = std::fs::metadata(path).map_err(|error| failed(&error))?;
    if about.is_file() {
        return Ok(about);
    }
    let what = if about.is_dir() { "it is a folder" } else { "it is a pipe or a device" };
    let hint = match or_stdin && !about.is_dir() {
        true => "; give a file, or `-` and the data on standard input",
        false => "",
    };
    Err(failed(&format!("not a file: {what}{hint}")))
}

/// The reason why standard input cannot have data, if there is one.
fn useless_stdin() -> Option<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Some("a terminal; give a file, or pipe the data in".to_string());
    }
    // A device may never end, and a folder has no bytes.
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        use std::os::unix::fs::FileTypeExt;
        let file = stdin.as_fd().try_clone_to_owned().map(std::fs::File::from);
        let about = file.and_then(|file| file.metadata()).ok()?;
        let kind = about.file_type();
        // `/dev/null` is allowed here: it has no bytes, and the message for empty data is better.
        let null = std::fs::metadata("/dev/null").is_ok_and(|null| same(&null, &about));
        if (kind.is_char_device() && !null) || kind.is_block_device() || kind.is_dir() {
            return Some("a device or a folder; give a file, or pipe the data in".to_string());
        }
        if about.is_file() && about.len() > LONGEST_STDIN {
            return Some(too_long(LONGEST_STDIN));
        }
    }
    None
}

/// Whether both are the same device.
#[cfg(unix)]
fn same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    a.rdev() == b.rdev()
}

fn too_long(longest: u64) -> String {
    let (size, unit) =
        if longest < 1 << 30 { (longest >> 20, "MiB") } else { (longest >> 30, "GiB") };
    format!("it has more than {size} {unit}, and that is the most that is read")
}

/// Reads a text to its end, chunk by chunk.
fn chunks(mut from: impl Read, longest: u64, or_utf16: bool) -> Result<Vec<u8>, String> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = match from.read(&mut chunk) {
            Ok(0) => return Ok(bytes),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("cannot be read: {error}")),
        };
        if (bytes.len() + count) as u64 > longest {
            return Err(too_long(longest));
        }
        bytes.try_reserve(count).map_err(|error| error.to_string())?;
        let before = bytes.len();
        bytes.extend_from_slice(&chunk[..count]);
        let is_utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
        if !(or_utf16 && is_utf16) {
            no_text(&bytes, before)?;
        }
    }
}

/// Refuses bytes that are not text in UTF-8. Only the bytes from `from` on are new.
pub(crate) fn no_text(bytes: &[u8], from: usize) -> Result<(), String> {
    let utf16 = "UTF-16 by its looks; convert the text to UTF-8";
    if from == 0 && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")) {
        return Err(format!("not UTF-8 at byte 0, {utf16}"));
    }
    let Some(at) = bytes[from..].iter().position(|&byte| byte == 0) else { return Ok(()) };
    let at = from + at;
    // In a text in UTF-16, about half of the bytes are zero. A file with zeros in other places is not text.
    let around = &bytes[at..bytes.len().min(at + 64)];
    let zeros = around.iter().filter(|&&byte| byte == 0).count();
    match zeros < around.len() && 3 * zeros > around.len() && at < 64 {
        true => Err(format!("a zero byte at byte {at}, {utf16}")),
        false => Err(format!("a zero byte at byte {at}; give a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_has_a_bound() {
        assert_eq!(chunks(&b"abc"[..], 3, false).unwrap(), b"abc");
        let endless = || std::io::repeat(b'y');
        let message = chunks(endless(), 1 << 20, false).unwrap_err();
        assert!(message.starts_with("it has more than 1 MiB"), "{message}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("four");
        std::fs::write(&path, b"four").unwrap();
        assert_eq!(file(&path, 4).unwrap(), b"four");
        assert!(file(&path, 3).unwrap_err().to_string().contains("it has more than"));
    }

    #[test]
    fn zeros_end_the_reading_at_once() {
        let endless = std::io::repeat(0);
        assert_eq!(
            chunks(endless, 1 << 40, false).unwrap_err(),
            "a zero byte at byte 0; give a text"
        );
        // A zero byte after the first chunk is noticed too.
        let late = [vec![b'a'; CHUNK + 5], vec![0]].concat();
        let message = chunks(&late[..], 1 << 40, false).unwrap_err();
        assert_eq!(message, format!("a zero byte at byte {}; give a text", CHUNK + 5));
    }

    #[test]
    fn utf_16_is_called_by_its_name() {
        let units = |text: &str, big: bool| -> Vec<u8> {
            let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            text.encode_utf16().flat_map(bytes).collect()
        };
        for text in ["time,level\n1,2\n", "\u{feff}time,level\n", "\u{feff}\u{4e2d}\u{6587}"] {
            for big in [false, true] {
                let message = no_text(&units(text, big), 0).unwrap_err();
                assert!(message.contains("UTF-16"), "{text} {big}: {message}");
            }
        }
        no_text("time,\u{4e2d}\n".as_bytes(), 0).unwrap();
    }
}
