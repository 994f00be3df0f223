//! Of the project's own crates: no file and no function is too long.

use bptt_tools::lengths::too_long;
use std::path::Path;

#[test]
fn files_and_functions_are_short_enough_to_be_read_at_once() {
    // At run time: the binary may have been built where another clone lay.
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let root = Path::new(&package).join("..").canonicalize().expect("the workspace");
    let crates = std::fs::read_dir(root.join("crates")).expect("the crates");
    let mut sources: Vec<_> = crates.map(|entry| entry.expect("a crate").path()).collect();
    assert!(sources.len() > 5, "crates are missing: {sources:?}");
    sources.extend(["benches", "examples", "tools"].map(|folder| root.join(folder)));
    let mut found = Vec::new();
    for package in sources {
        let long = too_long(&package.join("src"));
        let long = long.unwrap_or_else(|error| panic!("{}: {error}", package.display()));
        found.extend(long.iter().map(ToString::to_string));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}
