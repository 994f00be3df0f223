//! `bptt train --tui` in a command without Burn's interface for terminals: it is refused.

use crate::failure::Failure;
use crate::interrupt::Interrupts;
use bptt_zoo::TrainProgress;

/// The interface, which is not there.
pub enum Screen {}

impl Screen {
    /// Says how to have it.
    pub fn new(_metric: &'static str, _interrupts: &Interrupts) -> Result<Self, Failure> {
        Err(Failure::usage(
            "--tui: this command is built without Burn's interface; build it with \
             `cargo install --locked --path crates/bptt-cli --features tui`, or leave it out",
        ))
    }

    /// Shows how far the run is.
    pub fn show(&mut self, _at: &TrainProgress) {
        match *self {}
    }

    /// Whether a line waits for the end.
    pub fn keeps(&mut self, _line: &str) -> bool {
        match *self {}
    }

    /// The lines that have waited.
    pub fn close(&mut self) -> Vec<String> {
        match *self {}
    }
}
