//! The values of a pickle: those on the machine's stack, and the objects that they refer to.

use crate::weights::array::Element;

/// No checkpoint has more tuples, dictionaries and tensors than this.
pub(super) const MOST_OBJECTS: usize = 1 << 20;

/// A value on the machine's stack.
#[derive(Clone, Copy, Debug)]
pub(in crate::weights) enum Value {
    None,
    Int(i32),
    /// A wider integer, by the place of its opcode.
    Long(u32),
    /// A text, by the place of its opcode.
    Text(u32),
    /// One of the names that are known.
    Name(Name),
    /// An entry of the list of objects.
    Object(u32),
    /// A value that no tensor depends on: a float, a truth value, bytes.
    Other,
    /// An object of a known type whose content is ignored: a set, a counter, a device.
    PassedOver,
}

/// The names that a checkpoint may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::weights) enum Name {
    OrderedDict,
    /// Whether the arguments have the type, after the hooks.
    RebuildTensor {
        typed: bool,
    },
    RebuildParameter,
    RebuildSubclass,
    /// A class of tensors, called with a tensor.
    TensorClass,
    Storage(Kind),
    Dtype(Kind),
    /// A known name of something that is ignored, with everything that belongs to it.
    PassedOver,
    /// A function that makes a tensor of a kind that is left out: quantized, sparse and others.
    OddTensor,
    /// A module of TorchScript.
    Module,
}

/// The type of the numbers in a storage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::weights) enum Kind {
    Known(Element),
    /// Bytes; the tensor has their type.
    Untyped,
    /// A type that is not read, such as complex or quantized numbers, by its number.
    Odd(u8),
}

/// An object, to which values refer by number.
#[derive(Debug)]
pub(super) enum Object {
    Sequence(Items<Value>),
    Dict(Items<(Value, Value)>),
    Storage(Box<Storage>),
    Tensor(Box<View>),
    /// A tensor of a kind that cannot be a parameter.
    Odd(Box<OddTensor>),
}

/// The items of an object. Most objects have few items or none, and a file of a megabyte may have a million objects, so
/// an empty list has to be small.
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

    /// Adds items at the end.
    pub(super) fn extend(&mut self, more: Vec<T>) {
        match &mut self.0 {
            Some(items) => items.extend(more),
            None => *self = Self::new(more),
        }
    }
}

/// A tensor that is left out.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::weights) struct OddTensor {
    /// Its type, or the reason why it is not read.
    pub(in crate::weights) what: &'static str,
    /// Its shape, if it is stored as for an ordinary tensor.
    pub(in crate::weights) shape: Vec<usize>,
}

/// A block of numbers, which is at another place in the file.
#[derive(Clone, Debug)]
pub(in crate::weights) struct Storage {
    pub(in crate::weights) kind: Kind,
    pub(super) key: Value,
    /// How many elements it claims to have.
    pub(in crate::weights) elements: usize,
    /// Where the part that is used begins: old files have views of storages.
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
