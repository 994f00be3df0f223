//! Where in a checkpoint the state dict is, and its tensors.

use crate::weights::contents::{Tensors, UnreadTensor, UnreadTensors};
use crate::weights::pickle::Pickle;
use crate::weights::pickle::value::{Storage, Value};
use crate::weights::torch::is_parameter;
use crate::weights::view::materialize;
use std::collections::HashSet;

/// How deep state dicts are searched for a message.
const DEEPEST: usize = 4;

/// How many dictionaries are searched for a message, and how many the message names.
const MOST_LOOKED_AT: usize = 1000;
const MOST_NAMED: usize = 8;

/// The values of a state dict, by name.
pub(super) struct StateDict<'a> {
    items: Vec<(&'a str, Value)>,
}

impl StateDict<'_> {
    /// The tensors among the values, and the tensors that are left out.
    ///
    /// # Arguments
    ///
    /// - `left`: how many bytes they may take together
    /// - `data`: the numbers of a storage
    pub(super) fn tensors<'b>(
        self,
        pickle: &Pickle<'_>,
        mut left: usize,
        data: impl Fn(&Storage) -> Result<&'b [u8], String>,
    ) -> Result<(Tensors, UnreadTensors), String> {
        let (mut found, mut left_out) = (Tensors::new(), UnreadTensors::new());
        for (name, value) in self.items {
            if let Some(odd) = pickle.odd_tensor(value) {
                let unread = UnreadTensor { shape: odd.shape.clone(), what: odd.what.to_string() };
                left_out.insert(name.to_string(), unread);
            }
            // A state dict may also hold the extra state of a module, which can be any value.
            let Some(view) = pickle.tensor(value) else { continue };
            let array = data(&view.storage)
                .and_then(|data| materialize(view, data, &mut left))
                .map_err(|why| format!("`{name}`: {why}"))?;
            if found.insert(name.to_string(), array).is_some() {
                return Err(format!("`{name}` occurs twice"));
            }
        }
        Ok((found, left_out))
    }
}

type Items = [(Value, Value)];

/// The dictionary at a key. It must hold tensors.
pub(super) fn state_dict<'a>(
    pickle: &Pickle<'a>,
    key: Option<&str>,
) -> Result<StateDict<'a>, String> {
    let root = pickle.dict(pickle.root()).ok_or("it holds no dictionary")?;
    let (key, dict) = match key.filter(|key| !key.is_empty()) {
        Some(key) => (key, at_key(pickle, root, key)?),
        // Lightning's checkpoints have a key with its version, and always the same key for the state dict.
        None => match (entry(pickle, root, "pytorch-lightning_version"), lightning(pickle, root)) {
            (Some(_), Some(dict)) => ("state_dict", dict),
            _ => ("", root),
        },
    };
    let is_tensor = |value| pickle.tensor(value).is_some() || pickle.odd_tensor(value).is_some();
    let tensors = || dict.iter().filter(|(_, value)| is_tensor(*value));
    let below = || Below::of(pickle, dict, key);
    if tensors().next().is_none() {
        return Err(format!("no tensors here; {}", below().message("name it by its key")));
    }
    let is_named = |value: &Value| pickle.text(*value).is_some_and(is_parameter);
    if !tensors().any(|(name, _)| is_named(name)) {
        let below = below();
        if below.recurrent > 0 {
            return Err(format!(
                "no recurrent layer here; {}",
                below.message("name it by its key")
            ));
        }
    }
    let mut items = Vec::with_capacity(dict.len());
    for (name, value) in dict {
        match pickle.text(*name) {
            Some(name) => items.push((name, *value)),
            None if is_tensor(*value) => {
                return Err("the name of a tensor is no text (in UTF-8)".to_string());
            }
            None => {}
        }
    }
    Ok(StateDict { items })
}

fn entry(pickle: &Pickle<'_>, dict: &Items, name: &str) -> Option<Value> {
    dict.iter().find(|(key, _)| pickle.text(*key) == Some(name)).map(|(_, value)| *value)
}

fn lightning<'p>(pickle: &'p Pickle<'_>, root: &Items) -> Option<&'p Items> {
    pickle.dict(entry(pickle, root, "state_dict")?)
}

/// The dictionary at a key; `model.encoder` is a dictionary within a dictionary.
fn at_key<'p>(pickle: &'p Pickle<'_>, root: &'p Items, key: &str) -> Result<&'p Items, String> {
    let (mut dict, mut rest) = (root, key);
    while !rest.is_empty() {
        // A key may contain a dot, so the longest key that exists is tried first.
        let next = dict.iter().filter_map(|(name, value)| {
            let name = pickle.text(*name)?;
            let inner = pickle.dict(*value)?;
            let after = rest.strip_prefix(name)?;
            (after.is_empty() || after.starts_with('.')).then_some((name.len(), inner))
        });
        let Some((length, inner)) = next.max_by_key(|(length, _)| *length) else {
            let before = key[..key.len() - rest.len()].trim_end_matches('.');
            let there = Below::of(pickle, dict, before).message("take one of them");
            return Err(format!("no dictionary at the key `{rest}`; {there}"));
        };
        (dict, rest) = (inner, rest[length..].trim_start_matches('.'));
    }
    Ok(dict)
}

/// The dictionaries within a dictionary, for a message.
struct Below {
    /// The keys and what they hold. If some dictionaries have recurrent layers, only these.
    names: Vec<String>,
    /// How many of them hold parameters of recurrent layers.
    recurrent: usize,
}

impl Below {
    fn of(pickle: &Pickle<'_>, dict: &Items, key: &str) -> Self {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        let mut level = vec![(key.to_string(), dict)];
        for depth in 0..DEEPEST {
            let mut next = Vec::new();
            for (path, dict) in level {
                for (name, value) in dict {
                    let (Some(name), Some(items)) = (pickle.text(*name), pickle.dict(*value))
                    else {
                        continue;
                    };
                    if seen.len() == MOST_LOOKED_AT || !seen.insert(pickle.number(*value)) {
                        continue;
                    }
                    // A name from a file may be very long.
                    let name: String = name.escape_debug().take(80).collect();
                    let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                    let tensors = items.iter().filter(|(_, value)| pickle.tensor(*value).is_some());
                    let count = tensors.clone().count();
                    let is_recurrent = tensors
                        .clone()
                        .any(|(name, _)| pickle.text(*name).is_some_and(is_parameter));
                    let shown = format!("`{path}` ({count} tensors)");
                    if is_recurrent {
                        with.push(shown);
                    } else if depth == 0 {
                        without.push(shown);
                    }
                    next.push((path, items));
                }
            }
            level = next;
        }
        let recurrent = with.len();
        Self { names: if recurrent > 0 { with } else { without }, recurrent }
    }

    fn message(mut self, then: &str) -> String {
        if self.names.is_empty() {
            return "it holds no dictionaries".to_string();
        }
        if self.names.len() > MOST_NAMED {
            self.names.truncate(MOST_NAMED);
            self.names.push("…".to_string());
        }
        format!("it holds {}; {then}", self.names.join(", "))
    }
}

/// The attributes of a TorchScript module and of the modules within it, by their paths. Only names and numbers are
/// read; the code beside them is ignored.
pub(super) fn script<'a>(pickle: &Pickle<'a>, key: Option<&str>) -> Result<Script, String> {
    if let Some(key) = key {
        return Err(format!(
            "a key (`{key}`) is for a checkpoint; a TorchScript archive is one model"
        ));
    }
    let mut found = Script::default();
    let root = pickle.dict(pickle.root()).ok_or("it holds no module")?;
    let mut left = vec![(String::new(), root)];
    let mut letters = 0;
    while let Some((path, dict)) = left.pop() {
        for (name, value) in dict {
            let Some(name) = pickle.text(*name) else { continue };
            let is_tensor = pickle.tensor(*value).is_some() || pickle.odd_tensor(*value).is_some();
            let inner = pickle.dict(*value);
            if !is_tensor && inner.is_none() {
                continue;
            }
            // Modules may be shared, and in a hostile file a module may contain itself. So the length of all paths is
            // bounded.
            letters += path.len() + name.len();
            if letters > pickle.length().saturating_mul(4) {
                return Err("the modules of a TorchScript archive are shared too often".to_string());
            }
            let path = format!("{path}{name}");
            match inner {
                Some(inner) => left.push((format!("{path}."), inner)),
                None => found.items.push((path, *value)),
            }
        }
    }
    if found.items.is_empty() {
        return Err("a TorchScript archive without tensors".to_string());
    }
    Ok(found)
}

/// The tensors of a TorchScript module by their paths.
#[derive(Default)]
pub(super) struct Script {
    items: Vec<(String, Value)>,
}

impl Script {
    /// As [`StateDict::tensors`].
    pub(super) fn tensors<'b>(
        &self,
        pickle: &Pickle<'_>,
        left: usize,
        data: impl Fn(&Storage) -> Result<&'b [u8], String>,
    ) -> Result<(Tensors, UnreadTensors), String> {
        let items = self.items.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        StateDict { items }.tensors(pickle, left, data)
    }
}
