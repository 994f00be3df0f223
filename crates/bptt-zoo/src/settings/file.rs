//! Settings in a file: `bptt train --config FILE`.

use crate::error::Error;
use crate::read;
use crate::settings::{Settings, fields};
use serde_json::{Map, Value};
use std::path::Path;

/// Reads settings from a file, TOML or JSON, by the names that they have in the `config.json` of a run folder. Such a
/// `config.json` is read too.
///
/// # Errors
///
/// If the file cannot be read, or is neither.
pub fn read_settings(path: &Path) -> Result<Map<String, Value>, Error> {
    let failed = |why: &dyn std::fmt::Display| Error::file("read", path, why);
    let bytes = read::file(path, read::LONGEST_JSON)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| failed(&error))?;
    let all: Value = match text.trim_start().starts_with('{') {
        true => serde_json::from_str(text).map_err(|error| failed(&error))?,
        false => toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start].lines().count().max(1));
            let message = error.message().replace('\n', ", ");
            failed(&format!("line {line}: {message} (it is read as TOML: KEY = VALUE lines)"))
        })?,
    };
    let Value::Object(mut all) = all else { return Err(failed(&"expected names and values")) };
    Ok(match all.remove("settings") {
        Some(Value::Object(settings)) => settings,
        _ => all,
    })
}

impl Settings {
    /// The same settings with other values for some fields, by their names in JSON. All are checked for their type, but for
    /// the task's own options.
    ///
    /// # Errors
    ///
    /// The first name that the settings do not have, or whose value is of another type.
    pub fn with_fields(&self, given: &Map<String, Value>) -> Result<Self, Error> {
        let mut all = fields(self);
        let is_given = |name: &str| given.get(name).is_some_and(|value| !value.is_null());
        // A run ends by one of them.
        for (one, other) in [("steps", "seconds"), ("seconds", "steps")] {
            if is_given(one) && !is_given(other) {
                all.insert(other.to_string(), Value::Null);
            }
        }
        let mut settings = self.clone();
        for (name, value) in given {
            let shown = name.escape_debug();
            if name == "task" && *value != self.task.as_str() {
                return Err(Error::input(format!(
                    "{shown}: is {value}, and this is {}",
                    self.task
                )));
            }
            let underscored = name.replace('-', "_");
            let Some(place) = all.get_mut(name) else {
                let hint = match all.contains_key(&underscored) {
                    true => format!("did you mean `{underscored}`?"),
                    false => {
                        let names: Vec<_> = all.keys().map(String::as_str).collect();
                        format!("{} has {}", self.task, names.join(", "))
                    }
                };
                return Err(Error::input(format!("unknown name `{shown}`: {hint}")));
            };
            place.clone_from(value);
            settings = serde_json::from_value(all.clone().into())
                .map_err(|why| Error::input(format!("{shown}: {why}")))?;
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Schedule;
    use crate::task::Task;
    use crate::tasks::adding::Adding;

    fn read(text: &str) -> Result<Settings, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recipe");
        std::fs::write(&path, text).unwrap();
        Adding::defaults().with_fields(&read_settings(&path)?)
    }

    #[test]
    fn both_forms_say_the_same() {
        let toml = "lr = 0.002\nclip = inf\nschedule = 'step:7:0.5'\nlength = 30 # of a sequence\nseconds = 5\n";
        let json = r#"{"lr": 0.002, "clip": null, "schedule": "step:7:0.5", "length": 30, "seconds": 5.0}"#;
        let found = read(toml).unwrap();
        assert_eq!(found, read(json).unwrap());
        assert_eq!((found.lr, found.clip, found.steps), (0.002, f64::INFINITY, None));
        assert_eq!(found.recipe.schedule, Schedule::Step { every: 7, factor: 0.5 });
        assert_eq!(found.options["length"], 30);
        // As a run writes them.
        let stored = serde_json::json!({ "settings": fields(&found), "text": null }).to_string();
        assert_eq!(read(&stored).unwrap(), found);
    }

    #[test]
    fn what_is_wrong_is_one_line_with_its_name() {
        for (text, part) in [
            ("hiden = 3", "unknown name `hiden`: adding has "),
            ("final-lr = 3", "unknown name `final-lr`: did you mean `final_lr`?"),
            ("hidden = 'big'", "hidden: invalid type"),
            ("schedule = 'cosin'", "schedule: `cosin` is no schedule"),
            ("task = 'copy'", "task: is \"copy\", and this is adding"),
            ("lr = 1\nlr = ", "line 2: "),
            ("{\"lr\": }", "line 1 column"),
            ("[]", "read"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(part) && message.lines().count() == 1, "{text}: {message}");
        }
    }
}
