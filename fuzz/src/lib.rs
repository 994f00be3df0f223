//! What is fuzzed: a file's bytes through its reader, and then as a layer under each library's names.
//!
//! `cargo fuzz run pytorch` (or `safetensors`, `burnpack`), with a nightly compiler and `cargo-fuzz`.
//! Without these, `cargo run --release --example mutate -- SECONDS` changes the corpus at random, and
//! also watches how much memory a file makes the reader take.

use bptt_zoo::weights::{Format, Import, Library, WeightFile};

/// Reads bytes, and what has been read, in every way that there is.
///
/// # Panics
///
/// If an error is not one line.
pub fn read(format: Format, bytes: &[u8]) {
    // Some way into a checkpoint, too.
    for key in [None, Some("state.model")] {
        match WeightFile::parse(format, bytes, key) {
            Err(why) => one_line(&why),
            Ok(file) => {
                for library in Library::ALL {
                    let import = Import::new().with_library(library);
                    if let Err(why) = import.find(file.clone()) {
                        one_line(&why);
                    }
                }
            }
        }
    }
}

fn one_line(why: &str) {
    assert_eq!(why.lines().count(), 1, "an error of several lines: {why}");
}
