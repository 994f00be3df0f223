//! A folder of reference files may also hold broken files. Files of both formats are read as they were written.

use bptt_probe::Problem;
use bptt_probe::reference::{built_in, parse, read_folder, serialize};

/// Each file of the crate, written and read again: the same options and the same numbers. Only a layer with resets is
/// written in the second format.
#[test]
fn what_is_written_is_read_again() {
    let mut with_resets = 0;
    for problem in built_in() {
        let bytes = serialize(&problem).expect("a layer of PyTorch's");
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        let resets = problem.options.resets.is_some();
        assert_eq!(has("recurrent-reference-2"), resets, "{}", problem.name);
        assert_eq!(has("recurrent-reference-1"), !resets, "{}", problem.name);
        with_resets += usize::from(resets);
        let Problem { options, given, expected, .. } = parse(&problem.name, &bytes).unwrap();
        assert_eq!(options, problem.options, "{}", problem.name);
        assert_eq!((given, expected), (problem.given, problem.expected), "{}", problem.name);
    }
    assert_eq!(with_resets, 8);
}

#[test]
fn a_mistake_in_the_resets_is_one_line() {
    let problem =
        built_in().into_iter().find(|p| p.name == "gru-resets").expect("a file of the crate");
    let bytes = serialize(&problem).unwrap();
    let sound = b"[[0,3],[2,1],[2,6]]";
    let at = bytes.windows(sound.len()).position(|window| window == sound).expect("its resets");
    let mistakes = [
        ("[[0,3],[2,1],[3,6]]", "has [3, 6], expected a row below 3"),
        ("[[0,8],[2,1],[2,6]]", "has [0, 8], expected a row below 3 and a step below 8"),
        ("[[0,3],[2,1],[2,-]]", "expected a list of [row, step]"),
        ("[[0,3],[2,1,1],[2]]", "expected a list of [row, step]"),
        ("[-1,30,21,26,90,12]", "expected a list of [row, step]"),
        ("7                  ", "expected a list of [row, step]"),
    ];
    for (text, expected) in mistakes {
        let mut bytes = bytes.clone();
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        let why = parse("broken", &bytes).expect_err(text);
        assert!(why.contains(expected) && why.lines().count() == 1, "{text}: {why}");
    }
}

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
