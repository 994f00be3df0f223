//! The right answers of a new file, where it has them.

use crate::error::Error;
use crate::labelled::sequence::{Answer, Sequence};
use crate::predict::predictions::Known;

/// The right answer of a sequence, with the model's numbers for the labels.
///
/// # Errors
///
/// If the model does not know the label.
pub(super) fn known(
    sequence: &Sequence,
    labels: &[String],
    file: &str,
) -> Result<Option<Known>, Error> {
    match &sequence.answer {
        None => Ok(None),
        Some(Answer::Number(number)) => Ok(Some(Known::Number(*number))),
        Some(Answer::Labels(own)) => {
            let number = |label: &String| {
                labels.binary_search(label).map_err(|_| unknown(label, labels, file, sequence.line))
            };
            Ok(Some(Known::Classes(own.iter().map(number).collect::<Result<_, _>>()?)))
        }
    }
}

fn unknown(label: &str, labels: &[String], file: &str, line: usize) -> Error {
    const NAMED: usize = 10;
    let named: Vec<_> = labels.iter().take(NAMED).map(|label| label.escape_debug()).collect();
    let named = named.into_iter().map(|name| name.to_string()).collect::<Vec<_>>().join(", ");
    let more = match labels.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Error::input(format!(
        "{file}, line {line}: the model never saw the label `{}`; it knows {named}{more}",
        label.escape_debug()
    ))
}
