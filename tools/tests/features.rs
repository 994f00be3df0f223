//! Of the build: the command and the tests are built from the same crates with the same features. Otherwise whoever runs the command and
//! then the tests compiles Burn twice.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The crates of other projects with their features, for the host: those of the command, or of all programs and tests.
fn crates(of: &[&str]) -> BTreeSet<String> {
    let tree = ["tree", "--locked", "--prefix", "none", "--format", "{p} {f}", "--no-dedupe"];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // At run time: the binary may have been built where another clone lay.
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let done = Command::new(cargo)
        .args(tree)
        .args(of)
        .current_dir(Path::new(&package).join(".."))
        .output()
        .expect("cargo runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let lines = String::from_utf8(done.stdout).expect("UTF-8");
    lines.lines().filter(|line| !line.starts_with("bptt")).map(str::to_string).collect()
}

#[test]
fn tests_need_no_other_burn_than_the_command() {
    let command = crates(&["--edges", "normal,build"]);
    let all = crates(&["--workspace", "--edges", "normal,build,dev"]);
    assert!(command.len() > 100, "{command:?}");
    let other: Vec<_> = command.difference(&all).collect();
    assert!(other.is_empty(), "with other features in the tests: {other:#?}");
}
