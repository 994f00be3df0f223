//! Tables whose text is not UTF-8.

use crate::read;
use std::borrow::Cow;

/// The characters of Windows-1252 from 0x80 to 0x9f. All others are those of Latin-1, which is the beginning of Unicode.
const UPPER: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// The bytes as UTF-8 without a byte order mark, and a note if they were something else: UTF-16 with a byte order mark, or
/// no Unicode, which is read as Windows-1252.
pub(crate) fn utf8(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, Option<String>), String> {
    let units = |of: fn([u8; 2]) -> u16| {
        let pairs = bytes[2..].chunks_exact(2).map(|pair| of([pair[0], pair[1]]));
        match bytes.len().is_multiple_of(2) {
            true => String::from_utf16(&pairs.collect::<Vec<_>>()).ok(),
            false => None,
        }
    };
    let wide = match bytes {
        [0xff, 0xfe, ..] => Some(units(u16::from_le_bytes)),
        [0xfe, 0xff, ..] => Some(units(u16::from_be_bytes)),
        _ => None,
    };
    if let Some(text) = wide {
        let text = text.ok_or("it begins as UTF-16, and is none: convert the file to UTF-8")?;
        return Ok((Cow::Owned(text.into_bytes()), Some("read as UTF-16".to_string())));
    }
    let marked = bytes.strip_prefix(b"\xef\xbb\xbf");
    let note = marked.map(|_| read::BYTE_ORDER_MARK.to_string());
    let bytes = marked.unwrap_or(bytes);
    if std::str::from_utf8(bytes).is_ok() {
        return Ok((Cow::Borrowed(bytes), note));
    }
    let of = |&byte: &u8| match byte {
        0x80..0xa0 => UPPER[usize::from(byte - 0x80)],
        byte => char::from(byte),
    };
    let text: String = bytes.iter().map(of).collect();
    Ok((Cow::Owned(text.into_bytes()), Some("not UTF-8, read as Windows-1252".to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_three_encodings_are_the_same() {
        let text = "größe,€\n1,2\n";
        let of = |bytes: &[u8]| {
            let (bytes, note) = utf8(bytes).unwrap();
            (String::from_utf8(bytes.into_owned()).unwrap(), note.is_some())
        };
        assert_eq!(of(text.as_bytes()), (text.to_string(), false));
        assert_eq!(of(&["\u{feff}", text].concat().into_bytes()), (text.to_string(), true));
        let marked = ["\u{feff}", text].concat();
        let little: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = marked.encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(of(&little), (text.to_string(), true));
        assert_eq!(of(&big), (text.to_string(), true));
        assert_eq!(of(b"gr\xf6\xdfe,\x80\n1,2\n"), (text.to_string(), true));
        assert!(utf8(b"\xff\xfex").is_err() && utf8(b"\xff\xfe\x00\xd8").is_err());
    }
}
