//! Reading what a user names: files, and data from standard input. Nothing is read without a bound,
//! and nothing is waited for that is no file.

use crate::error::Error;
use std::fs::Metadata;
use std::io::{IsTerminal, Read};
use std::path::Path;

/// The longest file with a text or a series that is read (4 GiB): it is held in memory.
const LONGEST_DATA: u64 = 1 << 32;

/// The same of standard input (1 GiB): nobody says beforehand how much will come, or whether it ends.
const LONGEST_STDIN: u64 = 1 << 30;

/// What stands for standard input where a file is asked for.
pub(crate) const STDIN: &str = "-";

/// What is read at once.
const CHUNK: usize = 1 << 16;

/// A data file by its whole path, so that a run that is resumed from another folder finds it; `-`,
/// standard input, stays what it is.
///
/// # Errors
///
/// If it is not there, is no file, or its path is not Unicode, which a run folder cannot keep.
pub fn data_path(path: &Path) -> Result<String, Error> {
    if path == Path::new(STDIN) {
        return Ok(STDIN.to_string());
    }
    let failed = |cause: &dyn std::fmt::Display| Error::file("read", path, cause);
    plain_file(path, true)?;
    let whole = std::fs::canonicalize(path).map_err(|error| failed(&error))?;
    let whole = whole.to_str().ok_or_else(|| {
        failed(&"its path is not Unicode, and the run folder could not keep it: rename it")
    })?;
    Ok(whole.to_string())
}

/// How a message calls a data file.
pub(crate) fn data_name(path: &str) -> &str {
    if path == STDIN { "standard input" } else { path }
}

/// The bytes of a text or a CSV file; `-` is standard input. Bytes that no text has end the reading at
/// once, so that of a disk image not the whole is read first.
pub(crate) fn data(path: &Path) -> Result<Vec<u8>, Error> {
    let named = |why| Error::input(format!("{}: {why}", data_name(&path.display().to_string())));
    if path == Path::new(STDIN) {
        if let Some(why) = useless_stdin() {
            return Err(named(why));
        }
        return chunks(std::io::stdin().lock(), LONGEST_STDIN).map_err(named);
    }
    let length = plain_file(path, true)?.len();
    if length > LONGEST_DATA {
        return Err(named(too_long(LONGEST_DATA)));
    }
    let file = std::fs::File::open(path).map_err(|error| Error::file("read", path, error))?;
    chunks(file, LONGEST_DATA).map_err(named)
}

/// A file's bytes, if it is a file and not longer than `longest`.
pub(crate) fn file(path: &Path, longest: u64) -> Result<Vec<u8>, Error> {
    let failed = |cause: &dyn std::fmt::Display| Error::file("read", path, cause);
    let length = plain_file(path, false)?.len();
    if length > longest {
        return Err(failed(&too_long(longest)));
    }
    let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length as usize).map_err(|error| failed(&error))?;
    // One byte more than allowed: a file that has grown is not cut in silence.
    file.take(longest + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
    if bytes.len() as u64 > longest {
        return Err(failed(&too_long(longest)));
    }
    Ok(bytes)
}

/// What is known of a file, if it is one. Asked before it is opened: to open a pipe waits for whoever
/// writes into it.
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

/// Why nothing can come from standard input.
fn useless_stdin() -> Option<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Some("a terminal; give a file, or pipe the data in".to_string());
    }
    // A device would go on for ever, and a folder has no bytes.
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        use std::os::unix::fs::FileTypeExt;
        let file = stdin.as_fd().try_clone_to_owned().map(std::fs::File::from);
        let about = file.and_then(|file| file.metadata()).ok()?;
        let kind = about.file_type();
        // Of this one nothing comes, and that is said when nothing has come.
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
    format!("it has more than {} GiB, and that is the most that is read", longest >> 30)
}

/// Reads a text to its end, chunk by chunk.
fn chunks(mut from: impl Read, longest: u64) -> Result<Vec<u8>, String> {
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
        no_text(&bytes, before)?;
    }
}

/// Refuses what is no text in a coding that we read, by its bytes from one on.
pub(crate) fn no_text(bytes: &[u8], from: usize) -> Result<(), String> {
    let utf16 = "UTF-16 by its looks; convert the text to UTF-8";
    if from == 0 && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")) {
        return Err(format!("not UTF-8 at byte 0, {utf16}"));
    }
    let Some(at) = bytes[from..].iter().position(|&byte| byte == 0) else { return Ok(()) };
    let at = from + at;
    // Of a text in UTF-16 about half of the bytes are zero; other zeros are of no text at all.
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
        assert_eq!(chunks(&b"abc"[..], 3).unwrap(), b"abc");
        let endless = || std::io::repeat(b'y');
        let message = chunks(endless(), 1 << 20).unwrap_err();
        assert!(message.starts_with("it has more than 0 GiB"), "{message}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("four");
        std::fs::write(&path, b"four").unwrap();
        assert_eq!(file(&path, 4).unwrap(), b"four");
        assert!(file(&path, 3).unwrap_err().to_string().contains("it has more than"));
    }

    #[test]
    fn zeros_end_the_reading_at_once() {
        let endless = std::io::repeat(0);
        assert_eq!(chunks(endless, 1 << 40).unwrap_err(), "a zero byte at byte 0; give a text");
        // Behind the first chunk as well.
        let late = [vec![b'a'; CHUNK + 5], vec![0]].concat();
        let message = chunks(&late[..], 1 << 40).unwrap_err();
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
