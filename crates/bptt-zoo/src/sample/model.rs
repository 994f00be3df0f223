//! The model that writes or reads, and what it knows.

use crate::any_char_model::AnyCharModel;
use crate::error::Error;
use crate::folder::RunFolder;
use crate::task::Task;
use crate::tasks::char_lm::CharLm;
use crate::tokenizer::Tokenizer;
use burn::tensor::Device;

/// The character model of a run of `char-lm`, and its tokenizer.
pub(super) fn open(
    folder: &RunFolder,
    device: &Device,
) -> Result<(AnyCharModel, Tokenizer), Error> {
    let settings = folder.settings()?;
    if settings.task != CharLm::NAME {
        return Err(Error::input(format!(
            "{}: a run of `{}`, which writes no text; sample from a run of `char-lm`",
            folder.path().display(),
            settings.task.escape_debug(),
        )));
    }
    folder.any_char_model(device)
}

/// A note on characters that the model does not know, the most frequent first.
pub(super) fn unknown_note(unknown: &[(char, usize)]) -> Option<String> {
    const NAMED: usize = 5;
    let mut by_count = unknown.to_vec();
    by_count.sort_by_key(|&(character, count)| (std::cmp::Reverse(count), character));
    let named = by_count.iter().take(NAMED).map(|(character, count)| match count {
        1 => format!("{character:?}"),
        _ => format!("{character:?} ({count} times)"),
    });
    let named: Vec<_> = named.collect();
    let more = match by_count.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty())
        .then(|| format!("left out, since the model never saw them: {}{more}", named.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_names_the_most_frequent_first() {
        assert_eq!(unknown_note(&[]), None);
        let note = unknown_note(&[('a', 1), ('b', 3), ('c', 1)]).unwrap();
        assert!(note.ends_with("'b' (3 times), 'a', 'c'"), "{note}");
        let many: Vec<_> = ('a'..='g').map(|c| (c, 1)).collect();
        assert!(unknown_note(&many).unwrap().ends_with("'e' and 2 more"));
    }
}
