//! The part of Python's pickle language that checkpoints are written in.
//!
//! A pickle is a program for a stack machine, and may name any function of any Python module and
//! have it called. Here nothing is ever called: the names that checkpoints consist of are known
//! (`names.rs`), and a pickle with any other is refused by that name.
//!
//! A value is eight bytes, for texts too, which stay where they are in the file. What the program
//! makes lies in one list and is referred to by number. So sharing costs nothing (a memo cannot be
//! made to grow), nesting needs no recursion, and memory is a small multiple of the bytes that were
//! read.

mod calls;
mod machine;
mod names;
#[cfg(test)]
mod tests;

use super::array::Element;
use machine::Machine;
use std::collections::HashSet;

/// More tuples, dictionaries and tensors than any checkpoint has.
const MOST_OBJECTS: usize = 1 << 20;

/// A value on the machine's stack.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    None,
    Int(i32),
    /// A wider integer, by where its opcode is.
    Long(u32),
    /// A text, by where its opcode is.
    Text(u32),
    /// One of the names that are known.
    Name(Name),
    /// An entry of the list of objects.
    Object(u32),
    /// Something that no tensor depends on: a float, a truth value, bytes.
    Other,
    /// An object of a known type, and all that is in it: a set, a counter, a device.
    PassedOver,
}

/// The names that a checkpoint may consist of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Name {
    OrderedDict,
    /// Whether the type comes with it, after the hooks.
    RebuildTensor {
        typed: bool,
    },
    RebuildParameter,
    RebuildSubclass,
    /// A class of tensors, called with a tensor.
    TensorClass,
    Storage(Kind),
    Dtype(Kind),
    /// What is known, and passed over with all that belongs to it.
    PassedOver,
    /// The same for a way to make a tensor: quantized, sparse and the like.
    OddTensor,
    /// A module of TorchScript.
    Module,
}

/// What a storage's numbers are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Known(Element),
    /// Bytes, whose type the tensor says.
    Untyped,
    /// A type that is not read: complex and quantized numbers; by its number.
    Odd(u8),
}

/// What is referred to by number.
#[derive(Debug)]
enum Object {
    Sequence(Items<Value>),
    Dict(Items<(Value, Value)>),
    Storage(Box<Storage>),
    Tensor(Box<View>),
    /// A tensor that cannot be a parameter.
    Odd(Box<OddTensor>),
}

/// The items of an object. Most are few or none, and a million objects are a file of a megabyte: so
/// the list is as small as can be.
#[derive(Debug)]
#[allow(clippy::box_collection)]
struct Items<T>(Option<Box<Vec<T>>>);

impl<T> Items<T> {
    fn new(items: Vec<T>) -> Self {
        Self((!items.is_empty()).then(|| Box::new(items)))
    }

    fn get(&self) -> &[T] {
        self.0.as_deref().map_or(&[], |items| items)
    }

    /// Puts more behind them.
    fn extend(&mut self, more: Vec<T>) {
        match &mut self.0 {
            Some(items) => items.extend(more),
            None => *self = Self::new(more),
        }
    }
}

/// A tensor that is passed over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OddTensor {
    /// Its type, or what is odd about it.
    pub(super) what: &'static str,
    /// Its shape, where it says one in the ordinary way.
    pub(super) shape: Vec<usize>,
}

/// A block of numbers that lies elsewhere in the file.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    pub(super) kind: Kind,
    key: Value,
    /// How many elements it claims to have.
    pub(super) elements: usize,
    /// Where the part of it begins that is meant: old files have views of storages.
    pub(super) start: usize,
}

/// A tensor: a view of a storage.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) storage: Storage,
    pub(super) element: Element,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) stride: Vec<usize>,
}

/// A pickle that has been read.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    bytes: &'a [u8],
    objects: Vec<Object>,
    root: Value,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that bytes begin with, and says how many of them it takes.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Self, usize), String> {
        Self::read_by(Machine::new(bytes, false))
    }

    /// The same for a TorchScript archive: its modules are dictionaries of their attributes.
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

    /// A dictionary keeps the last of two values with the same key. No writer writes two.
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

    /// How many bytes there were to read it from.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// The root.
    pub(super) fn root(&self) -> Value {
        self.root
    }

    /// A text.
    pub(super) fn text(&self, value: Value) -> Option<&'a str> {
        machine::text(self.bytes, value)
    }

    /// An integer of 64 bits.
    pub(super) fn int(&self, value: Value) -> Option<i64> {
        machine::int(self.bytes, value)
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

    /// A tensor that is passed over.
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

    /// Which dictionary a value is, to know it again.
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
