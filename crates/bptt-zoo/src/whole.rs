//! Files that are written whole or not at all. The zoo and the command write all their files in this way.

use crate::error::Error;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The beginning and the end of a file's temporary name. Six random letters are between them.
const UNFINISHED: (&str, &str) = (".bptt-", ".unfinished");

/// How many symbolic links are followed, one after the other: the limit of Linux.
const MOST_LINKS: usize = 40;

/// Writes a whole file or none: writes it under a temporary name first, and then renames it.
///
/// - An existing file is replaced, and keeps its permissions. A user without the right to write it cannot replace it.
/// - A symbolic link is followed. The link stays, and the file that it points to is replaced.
/// - A device or a pipe is written into. It is not an error if the reader of a pipe has ended.
///
/// # Errors
///
/// If it cannot be written. Then no temporary file remains.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let write = || match Target::find(path)? {
        Target::File { path, old } => replace(&path, old.as_ref(), bytes),
        Target::Stream { path, append } => {
            let mut stream = OpenOptions::new().write(true).append(append).open(path)?;
            match stream.write_all(bytes) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
                done => done,
            }
        }
    };
    write().map_err(|error| Error::file("write", path, error))
}

/// Checks that a file can be written there, as far as this can be known beforehand. So hours of work are not lost
/// because a folder does not exist.
///
/// # Errors
///
/// If it cannot.
pub fn check_writable(path: &Path) -> Result<(), Error> {
    let check = || match Target::find(path)? {
        Target::File { path, old: Some(_) } => may_write(&path),
        _ => Ok(()),
    };
    check().map_err(|error| Error::file("write", path, error))
}

/// Whether a name is that of an unfinished file, left by a process that ended while it wrote.
pub(crate) fn is_unfinished(name: &str) -> bool {
    let between = name.strip_prefix(UNFINISHED.0).and_then(|name| name.strip_suffix(UNFINISHED.1));
    between.is_some_and(|letters| {
        letters.len() == 6 && letters.bytes().all(|letter| letter.is_ascii_alphanumeric())
    })
}

/// Where the bytes go, after links have been followed.
enum Target {
    /// A file, which may exist or not.
    File { path: PathBuf, old: Option<Metadata> },
    /// A target that cannot be replaced: a device, a pipe, or an open file by its number.
    Stream { path: PathBuf, append: bool },
}

impl Target {
    fn find(path: &Path) -> io::Result<Self> {
        let mut path = path.to_path_buf();
        for _ in 0..MOST_LINKS {
            let name = match path.file_name() {
                Some(name) if !names_folder(&path) => name,
                _ => return Err(io::Error::new(ErrorKind::IsADirectory, "it names no file")),
            };
            let folder = match path.parent() {
                Some(folder) if folder != Path::new("") => folder.canonicalize()?,
                _ => Path::new(".").canonicalize()?,
            };
            let whole = folder.join(name);
            // An open file (`/dev/stdout`, `/dev/fd/3`). The program that opened it holds the file itself, and not its
            // name. So the file cannot be replaced, and its content stays.
            if cfg!(unix) && folder.starts_with("/proc") {
                return Ok(Self::Stream { path: whole, append: true });
            }
            match fs::symlink_metadata(&whole) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Ok(Self::File { path: whole, old: None });
                }
                Err(error) => return Err(error),
                Ok(found) if found.is_symlink() => path = folder.join(fs::read_link(&whole)?),
                Ok(found) if found.is_dir() => {
                    return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder"));
                }
                Ok(found) if found.is_file() => {
                    return Ok(Self::File { path: whole, old: Some(found) });
                }
                Ok(_) => return Ok(Self::Stream { path: whole, append: false }),
            }
        }
        Err(io::Error::other("its symbolic links lead in a circle"))
    }
}

/// Whether a path ends like the path of a folder, `a/`. `Path` would read it as `a`.
fn names_folder(path: &Path) -> bool {
    path.as_os_str()
        .as_encoded_bytes()
        .last()
        .is_some_and(|&last| std::path::is_separator(last.into()))
}

fn may_write(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).open(path).map(drop)
}

fn replace(path: &Path, old: Option<&Metadata>, bytes: &[u8]) -> io::Result<()> {
    if old.is_some() {
        may_write(path)?;
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED.0).suffix(UNFINISHED.1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The permissions of any new file. The system applies the process's mask.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    // If there is an error before the file has its final name, it is removed when it is dropped.
    let mut file = builder.tempfile_in(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    if let Some(old) = old {
        keep_access(file.as_file(), old)?;
    }
    match file.as_file().sync_all() {
        // Some file systems cannot do this.
        Err(error) if !matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) => {
            return Err(error);
        }
        _ => {}
    }
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Gives the new file the permissions of the old one.
fn keep_access(new: &File, old: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
        let made = new.metadata()?;
        if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
            // Only an administrator can change the owner of a file. For other users, the new file belongs to the user.
            let _ = fchown(new, Some(old.uid()), Some(old.gid()));
        }
        new.set_permissions(fs::Permissions::from_mode(old.permissions().mode() & 0o777))
    }
    #[cfg(not(unix))]
    {
        new.set_permissions(old.permissions())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::tempdir;

    /// What is in a folder.
    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_made_and_replaced_and_nothing_else_is_left() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("a");
        for text in ["first", "second, longer", ""] {
            write_whole(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(names(folder.path()), ["a"]);
        }
        // The longest name that file systems allow.
        write_whole(&folder.path().join("b".repeat(255)), b"x").unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_one_line_and_leaves_nothing() {
        let folder = tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("file"), "kept").unwrap();
        for (name, why) in [
            ("sub", "it is a folder"),
            ("new/", "it names no file"),
            ("sub/..", "it names no file"),
            ("no/such", "No such file"),
            ("file/below", "Not a directory"),
        ] {
            let path = folder.path().join(name);
            for error in [write_whole(&path, b"x").unwrap_err(), check_writable(&path).unwrap_err()]
            {
                let message = error.to_string();
                assert!(
                    message.starts_with(&format!("cannot write {}: ", path.display())),
                    "{message}"
                );
                assert!(message.lines().count() == 1, "{message}");
                assert!(!cfg!(target_os = "linux") || message.contains(why), "{name}: {message}");
            }
        }
        assert_eq!(names(folder.path()), ["file", "sub"]);
        assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "kept");
    }

    #[test]
    fn what_a_dead_process_left_is_known_by_its_name() {
        assert!(is_unfinished(".bptt-a1B2c3.unfinished"));
        for name in
            [".bptt-run", ".bptt-a1B2c.unfinished", ".bptt-a1-2c3.unfinished", ".x.unfinished"]
        {
            assert!(!is_unfinished(name), "{name}");
        }
    }

    #[cfg(unix)]
    mod unix {
        use super::*;
        use std::io::Read;
        use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};

        #[test]
        fn links_stay_and_the_file_behind_them_is_replaced() {
            let folder = tempdir().unwrap();
            let at = |name: &str| folder.path().join(name);
            fs::create_dir(at("sub")).unwrap();
            fs::write(at("sub/file"), "old").unwrap();
            symlink("sub/file", at("link")).unwrap();
            symlink("link", at("chain")).unwrap();
            symlink("sub/new", at("dangling")).unwrap();
            write_whole(&at("chain"), b"new").unwrap();
            write_whole(&at("dangling"), b"made").unwrap();
            assert_eq!(fs::read_to_string(at("sub/file")).unwrap(), "new");
            assert_eq!(fs::read_to_string(at("sub/new")).unwrap(), "made");
            for name in ["link", "chain", "dangling"] {
                assert!(fs::symlink_metadata(at(name)).unwrap().is_symlink(), "{name}");
            }
            symlink("round", at("round")).unwrap();
            let message = write_whole(&at("round"), b"x").unwrap_err().to_string();
            assert!(message.contains("in a circle"), "{message}");
        }

        #[test]
        fn permissions_are_kept() {
            let folder = tempdir().unwrap();
            let path = folder.path().join("a");
            let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            for wanted in [0o600, 0o644, 0o660] {
                fs::write(&path, "old").unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(wanted)).unwrap();
                write_whole(&path, b"new").unwrap();
                assert_eq!(mode(), wanted, "{wanted:o}");
            }
            // A new file has the same permissions as any other new file of this process.
            let other = folder.path().join("other");
            fs::write(&other, "").unwrap();
            fs::remove_file(&path).unwrap();
            write_whole(&path, b"new").unwrap();
            assert_eq!(mode(), fs::metadata(&other).unwrap().permissions().mode() & 0o777);
        }

        #[test]
        fn a_pipe_is_written_into_and_stays_one() {
            let folder = tempdir().unwrap();
            let path = folder.path().join("pipe");
            let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
            assert!(made.success());
            let reader = {
                let path = path.clone();
                std::thread::spawn(move || {
                    let mut text = String::new();
                    File::open(path).unwrap().read_to_string(&mut text).unwrap();
                    text
                })
            };
            write_whole(&path, b"through").unwrap();
            assert_eq!(reader.join().unwrap(), "through");
            assert!(fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
            assert_eq!(names(folder.path()), ["pipe"]);
        }

        /// Paths through `/proc`, where no file can be replaced. The tests of the command check devices.
        #[cfg(target_os = "linux")]
        #[test]
        fn open_files_are_written_into() {
            use std::os::fd::AsRawFd;
            let folder = tempdir().unwrap();
            let path = folder.path().join("a");
            let mut open = File::create(&path).unwrap();
            open.write_all(b"before, ").unwrap();
            let by_number = format!("/proc/self/fd/{}", open.as_raw_fd());
            write_whole(Path::new(&by_number), b"and after").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "before, and after");
        }
    }
}
