//! Which files of the project import each other in a circle.
//!
//! Command: `cargo run -p bptt-tools --example circles [-- FOLDER…]` (some seconds).
//!
//! What to expect: for each crate the number of its files, and of each circle a shortest way around. Folders
//! are those of packages; without any, all of the workspace.

use bptt_tools::circles::Graph;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

fn main() -> ExitCode {
    match report() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("circles: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether there are none.
fn report() -> io::Result<bool> {
    let mut packages: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    if packages.is_empty() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        for entry in fs::read_dir(root.join("crates"))? {
            packages.push(entry?.path());
        }
        packages.sort();
        packages.extend(["benches", "tools"].map(|folder| root.join(folder)));
    }
    let mut none = true;
    for package in packages {
        let graph = Graph::read(&package.join("src"))?;
        let circles = graph.circles();
        println!("{}: {} files, {} circles", package.display(), graph.len(), circles.len());
        for circle in &circles {
            println!("{circle}");
        }
        none &= circles.is_empty();
    }
    Ok(none)
}
