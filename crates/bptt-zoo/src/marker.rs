//! The marker of run folders, and the lock that keeps two runs out of one folder.
//!
//! `.bptt-run` marks a run folder. A process that writes into the folder holds a lock on this file. When the process
//! ends, for whatever reason, the system removes the lock. The marker is never replaced, unlike the other files,
//! because a new file would not have the lock.

use crate::error::Error;
use crate::folder_files::{CONFIG, Config};
use crate::read;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

const MARKER: &str = ".bptt-run";

/// The format of run folders that this crate writes. It is the newest format that it knows.
const FORMAT: u64 = 1;

/// The content of the marker.
#[derive(Serialize, Deserialize)]
struct Marker {
    format: u64,
}

/// What kind of folder it is, before anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No folder, or an empty one.
    Nothing,
    /// A run folder.
    Marked,
    /// A run folder of an early version, which wrote no marker.
    Unmarked,
}

/// The right to write into a run folder. It lasts as long as this value.
#[derive(Debug)]
pub(crate) struct Claim {
    /// The locked file; when it is closed, the lock ends.
    _marker: File,
}

/// Finds out what kind of folder it is.
///
/// # Errors
///
/// If it belongs to another program, or if its format is newer than this crate.
pub(crate) fn find(path: &Path) -> Result<Found, Error> {
    let failed = |error| Error::file("read", path, error);
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.is_dir() => {
            let path = path.display();
            return Err(Error::input(format!("{path}: no folder; a run folder is one")));
        }
        Ok(_) => {}
    }
    if is_marked(path)? {
        return Ok(Found::Marked);
    }
    if fs::read_dir(path).map_err(failed)?.next().is_none() {
        return Ok(Found::Nothing);
    }
    match config_is_of_run(path) {
        true => Ok(Found::Unmarked),
        false => Err(Error::input(format!(
            "{}: no run folder (no {MARKER} in it), and not empty: nothing was touched; give a \
             new folder, or an empty one",
            path.display()
        ))),
    }
}

/// Claims a folder that already holds a run; `None` if it holds no run.
///
/// # Errors
///
/// If it belongs to another program, or if another run is active in it.
pub(crate) fn claim_existing(path: &Path) -> Result<Option<Claim>, Error> {
    match find(path)? {
        Found::Nothing => Ok(None),
        Found::Marked | Found::Unmarked => claim(path).map(Some),
    }
}

/// Makes the folder a run folder, if it is not one yet, and locks it against other runs.
///
/// # Errors
///
/// If it belongs to another program, if another run is active in it, or if it cannot be written.
pub(crate) fn claim(path: &Path) -> Result<Claim, Error> {
    fs::create_dir_all(path).map_err(|error| Error::file("make the folder", path, error))?;
    let found = find(path)?;
    let at = marker(path);
    let failed = |error| Error::file("write", &at, error);
    if found != Found::Marked {
        let marker = serde_json::to_string(&Marker { format: FORMAT }).expect("a number");
        match File::create_new(&at) {
            Ok(mut file) => file.write_all((marker + "\n").as_bytes()).map_err(failed)?,
            // Another run has made the marker at the same time. The run that gets the lock continues.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let marker = File::options().read(true).write(true).open(&at).map_err(failed)?;
    match marker.try_lock() {
        Ok(()) => {}
        // Some file systems have no locks. A single run works there too.
        Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(Error::file("lock", &at, error)),
        Err(TryLockError::WouldBlock) => {
            return Err(Error::input(format!(
                "{}: another run is at work in this folder; wait for its end, or give another \
                 folder",
                path.display()
            )));
        }
    }
    Ok(Claim { _marker: marker })
}

fn marker(path: &Path) -> PathBuf {
    path.join(MARKER)
}

/// Whether the folder has a marker.
///
/// # Errors
///
/// If its format is newer than this crate.
pub(crate) fn is_marked(path: &Path) -> Result<bool, Error> {
    let at = marker(path);
    if !at.is_file() {
        return Ok(false);
    }
    let mut text = String::new();
    // A marker is never longer. A longer file is cut off here, so it is not valid JSON.
    let read = |file: File| file.take(1 << 10).read_to_string(&mut text);
    match File::open(&at).and_then(read) {
        Ok(_) => {}
        // On Windows a locked file cannot be read (ERROR_LOCK_VIOLATION). The process that holds the lock has already
        // checked it.
        Err(error) if cfg!(windows) && error.raw_os_error() == Some(33) => return Ok(true),
        Err(error) => return Err(Error::file("read", &at, error)),
    }
    // A process made the marker, and ended before it wrote the content.
    if text.is_empty() {
        return Ok(true);
    }
    let Marker { format } =
        serde_json::from_str(&text).map_err(|error| Error::file("read", &at, error))?;
    match format {
        1..=FORMAT => Ok(true),
        _ => Err(Error::input(format!(
            "{}: a run folder of format {format}, and this bptt knows formats up to {FORMAT}: \
             take a newer bptt, or another folder",
            path.display()
        ))),
    }
}

/// Whether `config.json` belongs to a run or to a saved model. Other programs have files of this name too.
pub(crate) fn config_is_of_run(path: &Path) -> bool {
    let Ok(bytes) = read::file(&path.join(CONFIG), read::LONGEST_JSON) else { return false };
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(&bytes) else { return false };
    let Ok(config) = serde_json::from_value::<Config>(value.clone()) else { return false };
    // What this crate knows of it is written again. Whatever else is in it belongs to another program.
    let Ok(known) = serde_json::to_value(&config) else { return false };
    let (Some(fields), Some(known)) = (value.as_object(), known.as_object()) else { return false };
    let named = ["settings", "text"].iter().all(|&name| fields.contains_key(name))
        && fields.keys().all(|name| known.contains_key(name));
    named && config.is_of_run()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::RunFolder;
    use crate::folder_files::{
        FolderInfo, ForecastInfo, LabelledInfo, SeriesInfo, StoredModel, TextInfo,
    };
    use crate::labelled::scaling::Scaling;
    use crate::task::Task;
    use crate::tasks::{adding::Adding, parity::Parity};
    use tempfile::tempdir;

    fn refused(run: &RunFolder) -> String {
        let message = run.claim().unwrap_err().to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        message
    }

    #[test]
    fn one_at_a_time() {
        let folder = tempdir().unwrap();
        let run = RunFolder::new(folder.path().join("new/run"));
        assert!(run.claim_existing().unwrap().is_none());
        let claim = run.claim().unwrap();
        assert!(refused(&run).contains("another run is at work"));
        assert!(run.claim_existing().unwrap_err().to_string().contains("another run is at work"));
        drop(claim);
        assert!(run.claim_existing().unwrap().is_some());
    }

    #[test]
    fn formats_to_come_are_refused() {
        let folder = tempdir().unwrap();
        let run = RunFolder::new(folder.path());
        drop(run.claim().unwrap());
        assert_eq!(fs::read_to_string(marker(run.path())).unwrap(), "{\"format\":1}\n");
        for (text, named) in [
            ("{\"format\":2}", "format 2"),
            ("{\"format\":0}", "format 0"),
            ("{\"format\":2,\"more\":1}", "format 2"),
            ("{}", ".bptt-run"),
            ("format", ".bptt-run"),
        ] {
            fs::write(marker(run.path()), text).unwrap();
            assert!(refused(&run).contains(named), "{text}");
            assert!(run.settings().unwrap_err().to_string().contains(named), "{text}");
        }
        // The process that made it ended before it wrote the content.
        fs::write(marker(run.path()), "").unwrap();
        run.claim().unwrap();
    }

    #[test]
    fn folders_from_before_the_marker_are_known_by_their_config() {
        let settings = serde_json::to_value(Adding::defaults()).unwrap();
        let model = serde_json::json!({ "kind": "tagger", "config": {} });
        let null = serde_json::Value::Null;
        for (config, known) in [
            (serde_json::json!({ "settings": settings, "text": null }), true),
            (serde_json::json!({ "settings": settings, "text": null, "model": model }), true),
            (serde_json::json!({ "settings": null, "text": null, "model": model }), true),
            (serde_json::json!({ "settings": null, "text": null }), false),
            (serde_json::json!({ "settings": {}, "text": null }), false),
            (serde_json::json!({ "model": model }), false),
            (serde_json::json!({ "settings": settings, "text": null, "other": 1 }), false),
            (serde_json::json!({ "model_type": "bert" }), false),
            (serde_json::json!([]), false),
            (null, false),
        ] {
            let folder = tempdir().unwrap();
            let run = RunFolder::new(folder.path());
            fs::write(folder.path().join(CONFIG), config.to_string()).unwrap();
            match known {
                true => assert_eq!(run.find().unwrap(), Found::Unmarked, "{config}"),
                false => assert!(refused(&run).contains("no run folder"), "{config}"),
            }
        }
        // Whatever a folder may have is known. (A part that is new has to be added here, or this does not compile.)
        let text = TextInfo {
            characters: 1,
            fingerprint: String::new(),
            vocabulary: String::new(),
            tokenizer: None,
        };
        let scaling = Scaling { mean: Vec::new(), deviation: Vec::new() };
        let info = FolderInfo {
            text: Some(text),
            series: Some(SeriesInfo { values: 1, fingerprint: String::new() }),
            forecast: Some(ForecastInfo {
                names: Vec::new(),
                scales: Vec::new(),
                covariates: scaling.clone(),
                grid: None,
                season: 1,
                calendar: None,
                learned_until: None,
                length: None,
            }),
            labelled: Some(LabelledInfo {
                sequences: 1,
                fingerprint: String::new(),
                features: None,
                labels: Vec::new(),
                scaling,
                answers: None,
            }),
            model: Some(StoredModel { kind: String::new(), config: serde_json::Value::Null }),
        };
        let folder = tempdir().unwrap();
        let config = Config { settings: Some(Parity::defaults()), info };
        let config = serde_json::to_string(&config).unwrap();
        fs::write(folder.path().join(CONFIG), config).unwrap();
        assert_eq!(RunFolder::new(folder.path()).find().unwrap(), Found::Unmarked);
        // The current format.
        let folder = tempdir().unwrap();
        let run = RunFolder::new(folder.path());
        let config = Config { settings: Some(Parity::defaults()), info: FolderInfo::default() };
        let claim = run.claim().unwrap();
        run.begin(&claim, &config).unwrap();
        fs::remove_file(marker(run.path())).unwrap();
        assert_eq!(run.find().unwrap(), Found::Unmarked);
    }
}
