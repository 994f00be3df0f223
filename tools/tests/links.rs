//! Of the project's own documentation: no link leads nowhere.

use bptt_tools::links::broken;
use std::path::{Path, PathBuf};

#[test]
fn links_and_paths_of_the_documentation_lead_somewhere() {
    // At run time: the binary may have been built where another clone lay.
    let package = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let root = Path::new(&package).join("..").canonicalize().expect("the workspace");
    let list = |folder: &str| {
        let entries = std::fs::read_dir(root.join(folder)).expect("the folder is there");
        entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
    };
    let mut files = [list("."), list("docs/src")].concat();
    files.extend(list("crates").iter().map(|path| path.join("README.md")));
    let is_markdown = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    files.retain(is_markdown);
    assert!(files.len() > 20, "files are missing: {files:?}");
    let found = files.iter().flat_map(|file| {
        broken(&root, file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    });
    let found: Vec<_> = found.collect();
    assert!(found.is_empty(), "these lead nowhere:\n{}", found.join("\n"));
}
