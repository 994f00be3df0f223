//! A folder of reference files may also hold broken files.

use bptt_probe::reference::read_folder;

/// Reading a pipe without a writer would block for ever.
#[cfg(unix)]
#[test]
fn a_pipe_and_a_folder_are_named_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe.safetensors");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo starts");
    assert!(made.success());
    std::fs::create_dir(folder.path().join("folder.safetensors")).unwrap();
    let found = read_folder(folder.path()).unwrap();
    assert!(found.problems.is_empty());
    assert_eq!(found.broken.len(), 2);
    for (line, name) in found.broken.iter().zip(["folder", "pipe"]) {
        assert!(line.contains(name) && line.contains("not a file"), "{line}");
    }
}

/// A sparse file takes no space on the disk.
#[test]
fn a_file_that_is_too_long_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(folder.path().join("long.safetensors")).unwrap();
    file.set_len((1 << 28) + 1).unwrap();
    let found = read_folder(folder.path()).unwrap();
    assert!(found.broken[0].contains("more than 256 MiB"), "{:?}", found.broken);
}
