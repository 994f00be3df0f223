//! The part of Python's pickle language that checkpoints use.
//!
//! A pickle is a program for a stack machine. It may name any function of any Python module and call it. Here nothing
//! is ever called: the names that checkpoints use are known (`names.rs`), and a pickle with any other name is refused.
//!
//! A value has eight bytes; a text stays in the file, and its value says where. The objects that the program makes lie in
//! one list, and values refer to them by number. So sharing costs nothing (a memo cannot grow without end), nesting needs
//! no recursion, and the memory is a small multiple of the bytes that were read.

mod calls;
mod machine;
mod names;
#[cfg(test)]
mod tests;
pub(super) mod value;

use crate::weights::pickle::machine::{Machine, int, text};
use crate::weights::pickle::value::{Object, OddTensor, Storage, Value, View};
use std::collections::HashSet;

/// A pickle that has been read.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    bytes: &'a [u8],
    objects: Vec<Object>,
    root: Value,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle at the beginning of some bytes. The second result is its length.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Self, usize), String> {
        Self::read_by(Machine::new(bytes, false))
    }

    /// The same for a TorchScript archive, whose modules become dictionaries of their attributes.
    pub(super) fn read_script(bytes: &'a [u8]) -> Result<(Self, usize), String> {
        Self::read_by(Machine::new(bytes, true))
    }

    fn read_by(mut machine: Machine<'a>) -> Result<(Self, usize), String> {
        let bytes = machine.bytes;
        let root = machine.run()?;
        let length = machine.at;
        let pickle = Self { bytes, objects: machine.objects, root };
        pickle.check_keys()?;
        Ok((pickle, length))
    }

    /// Refuses a key that occurs twice: Python keeps the last value, and no program writes two.
    fn check_keys(&self) -> Result<(), String> {
        for object in &self.objects {
            let Object::Dict(items) = object else { continue };
            let mut seen = HashSet::new();
            for (key, _) in items.get() {
                if let Some(key) = self.text(*key)
                    && !seen.insert(key)
                {
                    return Err(format!("the key `{key}` occurs twice in one dictionary"));
                }
            }
        }
        Ok(())
    }

    /// How many bytes it was read from.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// The root.
    pub(super) fn root(&self) -> Value {
        self.root
    }

    /// A text.
    pub(super) fn text(&self, value: Value) -> Option<&'a str> {
        text(self.bytes, value)
    }

    /// An integer of 64 bits.
    pub(super) fn int(&self, value: Value) -> Option<i64> {
        int(self.bytes, value)
    }

    fn object(&self, value: Value) -> Option<&Object> {
        match value {
            Value::Object(k) => Some(&self.objects[k as usize]),
            _ => None,
        }
    }

    /// The items of a dictionary.
    pub(super) fn dict(&self, value: Value) -> Option<&[(Value, Value)]> {
        match self.object(value)? {
            Object::Dict(items) => Some(items.get()),
            _ => None,
        }
    }

    /// The items of a list or tuple.
    pub(super) fn sequence(&self, value: Value) -> Option<&[Value]> {
        match self.object(value)? {
            Object::Sequence(items) => Some(items.get()),
            _ => None,
        }
    }

    /// A tensor.
    pub(super) fn tensor(&self, value: Value) -> Option<&View> {
        match self.object(value)? {
            Object::Tensor(view) => Some(view),
            _ => None,
        }
    }

    /// A tensor that is left out.
    pub(super) fn odd_tensor(&self, value: Value) -> Option<&OddTensor> {
        match self.object(value)? {
            Object::Odd(odd) => Some(odd),
            _ => None,
        }
    }

    /// The name of a storage's block.
    pub(super) fn key(&self, storage: &Storage) -> &'a str {
        self.text(storage.key).expect("a text, as was checked")
    }

    /// The number of a dictionary, by which it is recognised.
    pub(super) fn number(&self, value: Value) -> Option<u32> {
        match value {
            Value::Object(k) => self.dict(value).map(|_| k),
            _ => None,
        }
    }

    /// All storages, in the order in which they occur.
    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.objects.iter().filter_map(|object| match object {
            Object::Storage(storage) => Some(&**storage),
            _ => None,
        })
    }
}
