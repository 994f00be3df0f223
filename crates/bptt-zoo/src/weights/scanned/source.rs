//! The tensors of one layer in a file of the program that has it.

use crate::weights::array::Array;
use crate::weights::contents::Tensors;
use crate::weights::error_list::shown;
use std::collections::BTreeMap;

/// The names of RG-LRU in Hugging Face's `transformers`, and those in `recurrentgemma`.
const TRANSFORMERS: [(&str, &str); 5] = [
    ("recurrent_param", "a_param"),
    ("recurrent_gate_weight", "a_gate.w"),
    ("recurrent_gate_bias", "a_gate.b"),
    ("input_gate_weight", "input_gate.w"),
    ("input_gate_bias", "input_gate.b"),
];

/// The tensors of a layer in a file, by the program's names without the prefix.
pub(super) struct Source<'a> {
    tensors: BTreeMap<String, (&'a str, &'a Array)>,
    prefix: String,
    /// For S5: whether its states are one of each conjugate pair.
    pub(super) conjugates: bool,
}

/// The name in one form: Flax joins its parts by `/`, and `transformers` has names of its own.
pub(super) fn usual(name: &str) -> String {
    let name = name.replace('/', ".");
    let (path, last) = crate::weights::layer::split(&name);
    match TRANSFORMERS.iter().find(|(theirs, _)| *theirs == last) {
        Some((_, usual)) => format!("{path}{usual}"),
        None => name,
    }
}

impl<'a> Source<'a> {
    /// The tensors whose names begin with a prefix, with its separator.
    pub(super) fn new(all: &'a Tensors, prefix: &str, conjugates: bool) -> Self {
        let own = all.iter().filter_map(|(name, array)| {
            Some((usual(name.strip_prefix(prefix)?), (name.as_str(), array)))
        });
        Self { tensors: own.collect(), prefix: prefix.to_string(), conjugates }
    }

    /// The layer's tensors: the usual name of each, that in the file, and the array.
    pub(super) fn tensors(&self) -> impl Iterator<Item = (&str, &'a str, &'a Array)> {
        self.tensors.iter().map(|(usual, (name, array))| (usual.as_str(), *name, *array))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A name as the file has it, for a message.
    pub(super) fn shown(&self, name: &str) -> String {
        match self.tensors.get(name) {
            Some((whole, _)) => shown(whole),
            None => shown(&format!("{}{name}", self.prefix)),
        }
    }

    /// A tensor of floats with this shape; `None` for any size.
    pub(super) fn take<const D: usize>(
        &self,
        name: &str,
        shape: [Option<usize>; D],
    ) -> Result<&'a Array, String> {
        let full = self.shown(name);
        let sizes = shape.map(|size| size.map_or("?".to_string(), |size| size.to_string()));
        let expected = format!("[{}]", sizes.join(", "));
        let Some((_, array)) = self.tensors.get(name) else {
            return Err(format!("{full} is missing, expected {expected}"));
        };
        let found = array.shape();
        let fits = |(size, expected): (&usize, &Option<usize>)| {
            *size > 0 && expected.is_none_or(|expected| expected == *size)
        };
        if found.len() != D || !found.iter().zip(&shape).all(fits) {
            return Err(format!("{full} has shape {found:?}, expected {expected}"));
        }
        if !array.element().is_float() {
            let element = array.element().name();
            return Err(format!("{full} is of type {element}, expected a float"));
        }
        Ok(array)
    }

    pub(super) fn refuse(&self, names: &[&str], why: &str) -> Result<(), String> {
        match names.iter().find(|name| self.has(name)) {
            Some(name) => Err(format!("{}: {why}", self.shown(name))),
            None => Ok(()),
        }
    }
}
