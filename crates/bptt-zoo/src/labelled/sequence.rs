//! Sequences as a file has them.

/// What a sequence is labelled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One label.
    Class,
    /// A label for each step.
    Tags,
    /// One number.
    Number,
}

/// What a sequence is labelled with, and the label itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// One label, or one for each step.
    Labels(Vec<String>),
    /// A number.
    Number(f64),
}

/// A sequence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sequence {
    /// Its name: the id of the file, or else the number of its line.
    pub(crate) name: String,
    /// The line of the file where it is, or where it begins.
    pub(crate) line: usize,
    /// `[T · I]`
    pub(crate) values: Vec<f64>,
    pub(crate) answer: Option<Answer>,
}

/// The sequences of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sequences {
    /// The file's name, for messages.
    pub(crate) file: String,
    /// Numbers at each step, `I`.
    pub(crate) width: usize,
    /// The names of the numbers, if the file has names for them.
    pub(crate) features: Option<Vec<String>>,
    /// Whether the steps are characters. Then they are not scaled.
    pub(crate) is_text: bool,
    pub(crate) all: Vec<Sequence>,
    /// What a person should know about how the file was read.
    pub(crate) notes: Vec<String>,
}

impl Sequence {
    /// How many steps it has.
    pub(crate) fn steps(&self, width: usize) -> usize {
        self.values.len() / width
    }
}
