//! The values of a pickle: what is on the machine's stack, and what they refer to.

use crate::weights::array::Element;

/// More tuples, dictionaries and tensors than any checkpoint has.
pub(super) const MOST_OBJECTS: usize = 1 << 20;

/// A value on the machine's stack.
#[derive(Clone, Copy, Debug)]
pub(in crate::weights) enum Value {
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
pub(in crate::weights) enum Name {
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
pub(in crate::weights) enum Kind {
    Known(Element),
    /// Bytes, whose type the tensor says.
    Untyped,
    /// A type that is not read: complex and quantized numbers; by its number.
    Odd(u8),
}

/// What is referred to by number.
#[derive(Debug)]
pub(super) enum Object {
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
pub(super) struct Items<T>(Option<Box<Vec<T>>>);

impl<T> Items<T> {
    pub(super) fn new(items: Vec<T>) -> Self {
        Self((!items.is_empty()).then(|| Box::new(items)))
    }

    pub(super) fn get(&self) -> &[T] {
        self.0.as_deref().map_or(&[], |items| items)
    }

    /// Puts more behind them.
    pub(super) fn extend(&mut self, more: Vec<T>) {
        match &mut self.0 {
            Some(items) => items.extend(more),
            None => *self = Self::new(more),
        }
    }
}

/// A tensor that is passed over.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::weights) struct OddTensor {
    /// Its type, or what is odd about it.
    pub(in crate::weights) what: &'static str,
    /// Its shape, where it says one in the ordinary way.
    pub(in crate::weights) shape: Vec<usize>,
}

/// A block of numbers that lies elsewhere in the file.
#[derive(Clone, Debug)]
pub(in crate::weights) struct Storage {
    pub(in crate::weights) kind: Kind,
    pub(super) key: Value,
    /// How many elements it claims to have.
    pub(in crate::weights) elements: usize,
    /// Where the part of it begins that is meant: old files have views of storages.
    pub(in crate::weights) start: usize,
}

/// A tensor: a view of a storage.
#[derive(Clone, Debug)]
pub(in crate::weights) struct View {
    pub(in crate::weights) storage: Storage,
    pub(in crate::weights) element: Element,
    pub(in crate::weights) offset: usize,
    pub(in crate::weights) shape: Vec<usize>,
    pub(in crate::weights) stride: Vec<usize>,
}
