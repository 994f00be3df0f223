//! The calls in a pickle: they are not executed, but the dictionary or tensor that they would make is put together.

use crate::weights::array::Element;
use crate::weights::pickle::machine::{Machine, int, text};
use crate::weights::pickle::names::odd;
use crate::weights::pickle::value::{Items, Kind, Name, Object, OddTensor, Storage, Value, View};

const NO_ARGUMENTS: &str = "the pickle calls a function without arguments";

impl Machine<'_> {
    fn items(&self, value: Value) -> Result<&[Value], String> {
        match value {
            Value::Object(k) => match &self.objects[k as usize] {
                Object::Sequence(items) => Ok(items.get()),
                _ => Err(NO_ARGUMENTS.to_string()),
            },
            _ => Err(NO_ARGUMENTS.to_string()),
        }
    }

    /// `('storage', FloatStorage, '0', 'cpu', 24)`. In old files there is a sixth entry, `None` or
    /// the part of the storage that is used: `(key, offset, elements)`.
    pub(super) fn storage(&mut self, id: Value) -> Result<(), String> {
        let unknown = || "the pickle has a storage of an unknown form".to_string();
        let (&[name, Value::Name(Name::Storage(kind)), key, location, elements], rest) =
            self.items(id)?.split_first_chunk().ok_or_else(unknown)?
        else {
            return Err(unknown());
        };
        let said = |value| text(self.bytes, value);
        let shown = match (said(name), said(key), said(location)) {
            (Some("storage"), Some(key), Some(_)) => key,
            _ => return Err(unknown()),
        };
        let size = |value| int(self.bytes, value).map(usize::try_from);
        let elements = match size(elements) {
            Some(Ok(elements)) => elements,
            Some(Err(_)) => return Err(format!("the storage `{shown}` is negative")),
            None => return Err(unknown()),
        };
        let start = match rest {
            [] | [Value::None] => 0,
            [part] => match self.items(*part).ok() {
                Some(&[_, offset, _]) => size(offset).and_then(Result::ok).ok_or_else(unknown)?,
                _ => return Err(unknown()),
            },
            _ => return Err(unknown()),
        };
        self.object(Object::Storage(Box::new(Storage { kind, key, elements, start })))
    }

    /// Pushes what a call would make, without calling anything.
    pub(super) fn call(
        &mut self,
        name: Value,
        arguments: Value,
        named: Option<Value>,
    ) -> Result<(), String> {
        let Value::Name(name) = name else {
            return Err("the pickle calls what is no function".to_string());
        };
        if named.is_some() && name != Name::PassedOver {
            return Err("the pickle calls a function with named arguments".to_string());
        }
        match name {
            Name::OrderedDict => self.ordered(arguments),
            Name::RebuildTensor { typed } => self.rebuild(arguments, typed),
            // (tensor, requires_grad, hooks), and the attributes
            Name::RebuildParameter | Name::TensorClass => match self.items(arguments)? {
                &[tensor, ..] if self.is_tensor(tensor) => {
                    self.stack.push(tensor);
                    Ok(())
                }
                _ => Err("the pickle has a parameter without a tensor".to_string()),
            },
            // (function, class, its arguments, attributes)
            Name::RebuildSubclass => match self.items(arguments)? {
                &[
                    function @ Value::Name(Name::RebuildTensor { .. } | Name::RebuildParameter),
                    _,
                    arguments,
                    ..,
                ] => self.call(function, arguments, None),
                _ => Err("the pickle has a tensor of an unknown class".to_string()),
            },
            Name::OddTensor => {
                let odd = OddTensor { what: "a special form of tensor", shape: Vec::new() };
                self.object(Object::Odd(Box::new(odd)))
            }
            Name::Module => self.object(Object::Dict(Items::new(Vec::new()))),
            Name::PassedOver => {
                self.items(arguments)?;
                self.stack.push(Value::PassedOver);
                Ok(())
            }
            Name::Storage(_) | Name::Dtype(_) => Err("the pickle calls a type".to_string()),
        }
    }

    /// Sets the attributes of a module of TorchScript: the items of a dictionary.
    pub(super) fn set_attributes(&mut self, state: Value) -> Result<(), String> {
        let module = self.pop()?;
        self.stack.push(module);
        let attributes = match state {
            Value::Object(k) => match &self.objects[k as usize] {
                Object::Dict(items) => items.get().to_vec(),
                // Some classes write another state than a dictionary, for instance a tuple.
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        self.copied += attributes.len();
        if self.copied > self.at {
            return Err("the pickle makes many modules of one dictionary".to_string());
        }
        if let Value::Object(k) = module
            && let Object::Dict(items) = &mut self.objects[k as usize]
        {
            items.extend(attributes);
        }
        Ok(())
    }

    fn is_tensor(&self, value: Value) -> bool {
        matches!(value, Value::Object(k)
            if matches!(self.objects[k as usize], Object::Tensor(_) | Object::Odd(_)))
    }

    /// A dictionary. It is empty, or made from a list of pairs, as Python 2 wrote it.
    fn ordered(&mut self, arguments: Value) -> Result<(), String> {
        let unknown = || "the pickle has an OrderedDict of an unknown form".to_string();
        let mut dict = Vec::new();
        match self.items(arguments)? {
            [] => {}
            &[pairs] => {
                let pairs = self.items(pairs).map_err(|_| unknown())?;
                // The bytes of a file pay for each copy. One list for many dictionaries would make a small file take
                // much memory.
                self.copied += pairs.len();
                if self.copied > self.at {
                    return Err("the pickle makes many dictionaries of one list".to_string());
                }
                for &pair in self.items(self.items(arguments)?[0])? {
                    match self.items(pair) {
                        Ok(&[key, value]) => dict.push((key, value)),
                        _ => return Err(unknown()),
                    }
                }
            }
            _ => return Err(unknown()),
        }
        self.object(Object::Dict(Items::new(dict)))
    }

    /// `(storage, offset, shape, stride)`, in files of 0.4 and later
    /// `(storage, offset, shape, stride, requires_grad, hooks)` and perhaps metadata; with a type
    /// that comes after the hooks.
    fn rebuild(&mut self, arguments: Value, typed: bool) -> Result<(), String> {
        let object = match self.view(arguments, typed)? {
            Ok(view) => Object::Tensor(Box::new(view)),
            Err(odd) => Object::Odd(Box::new(odd)),
        };
        self.object(object)
    }

    /// The tensor, or why it is left out.
    fn view(&self, arguments: Value, typed: bool) -> Result<Result<View, OddTensor>, String> {
        let items = self.items(arguments)?;
        let &[Value::Object(storage), offset, shape, stride, ..] = items else {
            return Err("the pickle has a tensor of an unknown form".to_string());
        };
        let Object::Storage(storage) = &self.objects[storage as usize] else {
            return Err("the pickle has a tensor without a storage".to_string());
        };
        let kind = match (storage.kind, items.get(6)) {
            (Kind::Untyped, Some(&Value::Name(Name::Dtype(kind)))) if typed => kind,
            (Kind::Untyped, _) => return Err("the pickle has a tensor without a type".to_string()),
            (kind, _) => kind,
        };
        let sizes = |value| {
            let size = |&item: &Value| int(self.bytes, item).and_then(|n| usize::try_from(n).ok());
            let sizes = self.items(value)?.iter().map(size).collect::<Option<Vec<_>>>();
            sizes.ok_or_else(|| "a tensor's shape or stride is no list of sizes".to_string())
        };
        let (shape, stride) = (sizes(shape)?, sizes(stride)?);
        let element = match kind {
            Kind::Known(element) => element,
            Kind::Odd(number) => return Ok(Err(OddTensor { what: odd(number), shape })),
            Kind::Untyped => return Err("the pickle has a tensor without a type".to_string()),
        };
        let storage = sized(storage, element)?;
        let offset = int(self.bytes, offset).ok_or("the pickle has a tensor of an unknown form")?;
        let offset = usize::try_from(offset).map_err(|_| "a tensor's offset is negative")?;
        let offset = offset.checked_add(storage.start).ok_or("a tensor's offset is absurd")?;
        Ok(Ok(View { storage, element, offset, shape, stride }))
    }
}

/// An untyped storage counts bytes. This is its number of elements.
fn sized(storage: &Storage, element: Element) -> Result<Storage, String> {
    let mut storage = storage.clone();
    if storage.kind == Kind::Untyped {
        if !storage.elements.is_multiple_of(element.width()) {
            return Err(format!(
                "a storage of {} bytes holds no {}",
                storage.elements,
                element.name()
            ));
        }
        storage.elements /= element.width();
        storage.kind = Kind::Known(element);
    }
    Ok(storage)
}
