//! Why the command ends with an exit code other than 0.

/// Why the command ends with an exit code other than 0.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// One line for standard error; empty if it has already been printed.
    pub message: String,
}

impl Failure {
    /// Bad usage or bad input.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// A check failed.
    pub fn check(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// A signal ended a run.
    pub fn interrupted(code: u8, signal: &str) -> Self {
        Self { code, message: format!("ended by {signal}; the run is saved") }
    }
}
