//! The formats of weight files: each is one file with a [`Codec`](crate::weights::Codec), and one line in [`FORMATS`].

use crate::weights::burnpack::BURNPACK;
use crate::weights::format::Format;
use crate::weights::pytorch::PYTORCH;
use crate::weights::safetensors::SAFETENSORS;
use std::path::Path;

/// All formats. The first format that recognises a file reads it. So the format with the weakest mark comes last.
pub static FORMATS: &[Format] = &[PYTORCH, BURNPACK, SAFETENSORS];

/// The formats that can be written.
fn written() -> impl Iterator<Item = Format> {
    FORMATS.iter().copied().filter(|format| format.writer().is_some())
}

/// The format by the ending of a file's name.
pub(super) fn of_path(path: &Path) -> Option<Format> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    FORMATS.iter().copied().find(|format| format.extensions().contains(&ending.as_str()))
}

/// The format by the first bytes of a file.
pub(super) fn of_bytes(bytes: &[u8]) -> Option<Format> {
    FORMATS.iter().copied().find(|format| format.recognises(bytes))
}

/// The format for a file that is to be written, by the ending of its name.
///
/// # Errors
///
/// If it is not a format that can be written. The message lists those that can.
pub(super) fn of_path_to_write(path: &Path) -> Result<Format, String> {
    let format = of_path(path).filter(|format| format.writer().is_some());
    format.ok_or_else(|| {
        format!("its name has to end as that of a file that is written: {}", about_written())
    })
}

/// Which files are read, in words.
pub fn about_read() -> String {
    list(FORMATS.iter().map(|format| format.about().to_string()).collect())
}

/// Which files are written, in words.
pub fn about_written() -> String {
    list(written().map(|format| format.about().to_string()).collect())
}

/// The names of all formats with their endings: `PyTorch (.pt, .pth)`.
pub(super) fn names() -> Vec<String> {
    let name = |format: &Format| {
        let endings: Vec<_> = format.extensions().iter().map(|end| format!(".{end}")).collect();
        format!("{} ({})", format.name(), endings.join(", "))
    };
    FORMATS.iter().map(name).collect()
}

/// `a`, `a or b`, `a, b or c`
fn list(mut items: Vec<String>) -> String {
    let last = items.pop().unwrap_or_default();
    match items.is_empty() {
        true => last,
        false => format!("{} or {last}", items.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_ending_is_of_one_format() {
        let endings = || FORMATS.iter().flat_map(|format| format.extensions());
        assert_eq!(endings().collect::<BTreeSet<_>>().len(), endings().count());
        for format in FORMATS {
            for ending in format.extensions() {
                assert_eq!(of_path(Path::new(&format!("a.{ending}"))), Some(*format));
                assert_eq!(
                    of_path(Path::new(&format!("A.{}", ending.to_uppercase()))),
                    Some(*format)
                );
                assert!(format.about().contains(&format!(".{ending}")), "{ending}");
            }
        }
        assert_eq!(of_path(Path::new("safetensors")), None);
    }

    #[test]
    fn what_a_format_writes_it_recognises_and_reads() {
        for format in written() {
            let bytes =
                (format.writer().unwrap())(&Default::default(), &Default::default()).unwrap();
            assert_eq!(of_bytes(&bytes), Some(format));
            assert!(format.read(&bytes, None).unwrap().tensors.is_empty());
        }
        assert_eq!(of_bytes(b"neither of them"), None);
    }

    #[test]
    fn lists_are_words() {
        let list =
            |items: &[&str]| super::list(items.iter().map(|item| item.to_string()).collect());
        assert_eq!(list(&["a"]), "a");
        assert_eq!(list(&["a", "b", "c"]), "a, b or c");
    }
}
