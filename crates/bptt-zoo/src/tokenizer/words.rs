//! Words as tokens.

use std::collections::HashMap;

/// The pieces of a text, one after the other: words and whole numbers, each with the space before it, and everything else
/// character by character.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at(first_piece(rest)?);
        rest = after;
        Some(piece)
    })
}

/// The length of the first piece in bytes; `None` at the end of the text.
fn first_piece(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    let space = usize::from(first == ' ');
    let word = &text[space..];
    let length = match word.chars().next() {
        Some(c) if c.is_alphabetic() => letters(word),
        Some(c) if c.is_numeric() => word.find(|c: char| !c.is_numeric()).unwrap_or(word.len()),
        _ => return Some(first.len_utf8()),
    };
    Some(space + length)
}

/// The length of the letters at the beginning of a text, with apostrophes between letters, as in "don't".
fn letters(text: &str) -> usize {
    let mut end = 0;
    for (at, character) in text.char_indices() {
        let inside = ['\'', '\u{2019}'].contains(&character)
            && text[at + character.len_utf8()..].starts_with(char::is_alphabetic);
        if !character.is_alphabetic() && !inside {
            break;
        }
        end = at + character.len_utf8();
    }
    end
}

/// The most frequent pieces of a text that are longer than a byte and occur twice or more, the most frequent first.
pub(super) fn frequent(text: &str, most: usize) -> Vec<String> {
    let mut counts = HashMap::<&str, usize>::new();
    pieces(text)
        .filter(|piece| piece.len() > 1)
        .for_each(|piece| *counts.entry(piece).or_default() += 1);
    let mut found: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 1).collect();
    // In one order, whatever the order of the map is.
    found.sort_unstable_by_key(|&(piece, count)| (std::cmp::Reverse(count), piece));
    found.into_iter().take(most).map(|(piece, _)| piece.to_string()).collect()
}

/// A text as numbers. A piece without a number is written without its space, if that has one, or else byte by byte.
pub(super) fn encoded(text: &str, numbers: &HashMap<String, u32>) -> Vec<u32> {
    let mut encoded = Vec::new();
    for piece in pieces(text) {
        let bare = piece.strip_prefix(' ').and_then(|bare| numbers.get(bare));
        match (numbers.get(piece), bare) {
            (Some(&number), _) => encoded.push(number),
            (None, Some(&number)) => encoded.extend([u32::from(b' '), number]),
            (None, None) => encoded.extend(piece.bytes().map(u32::from)),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_their_space() {
        let found: Vec<_> = pieces("The cat's 12  mats,\n 'tis\u{e9} \u{4e2d}.").collect();
        let expected = [
            "The",
            " cat's",
            " 12",
            " ",
            " mats",
            ",",
            "\n",
            " ",
            "'",
            "tis\u{e9}",
            " \u{4e2d}",
            ".",
        ];
        assert_eq!(found, expected);
        assert_eq!(pieces("").count(), 0);
        assert_eq!(pieces("x'").collect::<Vec<_>>(), ["x", "'"]);
    }

    #[test]
    fn the_most_frequent_come_first() {
        let text = "b b b aa aa aa cc cc once\u{e9}";
        assert_eq!(frequent(text, 9), [" aa", " b", " cc"]);
        assert_eq!(frequent(text, 1), [" aa"]);
    }

    #[test]
    fn what_has_no_number_is_spelled() {
        let numbers = HashMap::from([("cat".to_string(), 256), (" the".to_string(), 257)]);
        assert_eq!(encoded("cat the cat ox", &numbers), [256, 257, 32, 256, 32, 111, 120]);
    }
}
