//! Source files, found and read; an error names the file.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// All Rust files below a folder, in order.
pub(crate) fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| at(folder, &error))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// What is in a file.
pub(crate) fn text(file: &Path) -> io::Result<String> {
    fs::read_to_string(file).map_err(|error| at(file, &error))
}

fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
