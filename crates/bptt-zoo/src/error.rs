//! The errors of this crate, with messages of one line.

/// An error with a message of one line: what is wrong, where, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Bad usage or bad input: settings, text, files.
    Input(String),
    /// A check failed: the engines' gradients differ, or the loss is NaN.
    Check(String),
}

impl Error {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::Input(message.into())
    }

    /// A file that could not be read or written.
    pub(crate) fn file(verb: &str, path: &std::path::Path, cause: impl std::fmt::Display) -> Self {
        // Causes come from other crates and may have several lines, but our messages have one.
        let cause = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Self::Input(format!("cannot {verb} {}: {cause}", path.display()))
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Input(message) | Self::Check(message)) = self;
        f.write_str(message)
    }
}

impl std::error::Error for Error {}
