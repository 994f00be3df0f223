//! A place in the source, and what can stand there instead.

/// A place in the source, and what can stand there instead.
#[derive(Debug)]
pub struct Site {
    /// Below `crates`.
    pub file: &'static str,
    /// Text that occurs once in the file, with `«` and `»` around what is changed.
    pub text: &'static str,
    /// What it is called, and what stands there.
    pub wrong: &'static [(&'static str, &'static str)],
}

pub(crate) const fn site(
    file: &'static str,
    text: &'static str,
    wrong: &'static [(&'static str, &'static str)],
) -> Site {
    Site { file, text, wrong }
}
