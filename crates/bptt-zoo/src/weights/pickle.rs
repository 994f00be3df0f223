//! The part of Python's pickle language that state dicts are written in.
//!
//! A pickle is a program for a stack machine, and may name any function of any Python module and
//! have it called. Here nothing is ever called: a few names that state dicts consist of are known,
//! and a pickle with any other is refused by that name.
//!
//! Everything that the program makes lies in one list and is referred to by number. So sharing
//! costs nothing (a memo cannot be made to grow), nesting needs no recursion, and memory is at
//! most a multiple of the bytes that were read.

use super::array::Element;
use std::collections::{HashMap, HashSet};

/// More tuples, dictionaries and tensors than any state dict has.
const MOST_OBJECTS: usize = 1 << 20;

/// A value on the machine's stack.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    None,
    Int(i64),
    Text(&'a str),
    /// One of the names that are known.
    Name(Name),
    /// An entry of the list of objects.
    Object(usize),
    /// Something that no tensor depends on: a float, a truth value, bytes, a device.
    Other,
}

/// The names that a state dict may consist of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Name {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Element),
    Size,
    Device,
    Dtype,
}

/// What is referred to by number.
#[derive(Debug)]
enum Object<'a> {
    Sequence(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Storage(Storage<'a>),
    Tensor(Box<View<'a>>),
}

/// A block of numbers that lies elsewhere in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storage<'a> {
    pub(super) element: Element,
    pub(super) key: &'a str,
    /// How many elements it claims to have.
    pub(super) elements: usize,
}

/// A tensor: a view of a storage.
#[derive(Clone, Debug)]
pub(super) struct View<'a> {
    pub(super) storage: Storage<'a>,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) stride: Vec<usize>,
}

/// A pickle that has been read.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    objects: Vec<Object<'a>>,
    root: Value<'a>,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that bytes begin with, and says how many of them it takes.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Self, usize), String> {
        let mut machine = Machine {
            bytes,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            objects: Vec::new(),
        };
        let root = machine.run()?;
        let pickle = Self { objects: machine.objects, root };
        pickle.check_keys()?;
        Ok((pickle, machine.at))
    }

    /// A dictionary keeps the last of two values with the same key. No writer writes two.
    fn check_keys(&self) -> Result<(), String> {
        for object in &self.objects {
            let Object::Dict(items) = object else { continue };
            let mut seen = HashSet::with_capacity(items.len());
            for (key, _) in items {
                if let Value::Text(key) = key
                    && !seen.insert(*key)
                {
                    return Err(format!("the key `{key}` occurs twice in one dictionary"));
                }
            }
        }
        Ok(())
    }

    /// The root.
    pub(super) fn root(&self) -> Value<'a> {
        self.root
    }

    /// The items of a dictionary.
    pub(super) fn dict(&self, value: Value<'a>) -> Option<&[(Value<'a>, Value<'a>)]> {
        match value {
            Value::Object(k) => match &self.objects[k] {
                Object::Dict(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// The items of a list or tuple.
    pub(super) fn sequence(&self, value: Value<'a>) -> Option<&[Value<'a>]> {
        match value {
            Value::Object(k) => match &self.objects[k] {
                Object::Sequence(items) => Some(items),
                _ => None,
            },
            _ => None,
        }
    }

    /// A tensor.
    pub(super) fn tensor(&self, value: Value<'a>) -> Option<&View<'a>> {
        match value {
            Value::Object(k) => match &self.objects[k] {
                Object::Tensor(view) => Some(view),
                _ => None,
            },
            _ => None,
        }
    }

    /// All storages, in the order in which they occur.
    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage<'a>> {
        self.objects.iter().filter_map(|object| match object {
            Object::Storage(storage) => Some(storage),
            _ => None,
        })
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    objects: Vec<Object<'a>>,
}

impl<'a> Machine<'a> {
    /// Runs to the opcode that ends the pickle. Opcodes as in Python's `pickletools`, protocols 2
    /// to 5.
    fn run(&mut self) -> Result<Value<'a>, String> {
        loop {
            let at = self.at;
            match self.byte()? {
                0x80 => {
                    let protocol = self.byte()?;
                    if !(2..=5).contains(&protocol) {
                        return Err(format!("the pickle has protocol {protocol}, expected 2 to 5"));
                    }
                }
                // FRAME: for those who read from a stream.
                0x95 => drop(self.take(8)?),
                b'N' => self.stack.push(Value::None),
                0x88 | 0x89 => self.stack.push(Value::Other),
                b'K' => {
                    let int = i64::from(self.byte()?);
                    self.stack.push(Value::Int(int));
                }
                b'M' => {
                    let int = i64::from(u16::from_le_bytes(self.array()?));
                    self.stack.push(Value::Int(int));
                }
                b'J' => {
                    let int = i64::from(i32::from_le_bytes(self.array()?));
                    self.stack.push(Value::Int(int));
                }
                // LONG1
                0x8a => {
                    let length = usize::from(self.byte()?);
                    let long = long(self.take(length)?);
                    self.stack.push(long);
                }
                // BINFLOAT
                b'G' => {
                    self.take(8)?;
                    self.stack.push(Value::Other);
                }
                0x8c => {
                    let length = usize::from(self.byte()?);
                    self.text(length)?;
                }
                b'X' => {
                    let length = u64::from(u32::from_le_bytes(self.array()?));
                    self.text(self.length(length)?)?;
                }
                0x8d => {
                    let length = u64::from_le_bytes(self.array()?);
                    self.text(self.length(length)?)?;
                }
                // SHORT_BINBYTES, BINBYTES
                b'C' => {
                    let length = usize::from(self.byte()?);
                    self.take(length)?;
                    self.stack.push(Value::Other);
                }
                b'B' => {
                    let length = u64::from(u32::from_le_bytes(self.array()?));
                    self.take(self.length(length)?)?;
                    self.stack.push(Value::Other);
                }
                b'}' => self.object(Object::Dict(Vec::new()))?,
                b']' | b')' => self.object(Object::Sequence(Vec::new()))?,
                b'(' => self.marks.push(self.stack.len()),
                b't' => {
                    let items = self.pop_to_mark()?;
                    self.object(Object::Sequence(items))?;
                }
                code @ 0x85..=0x87 => {
                    let mut items = Vec::with_capacity(3);
                    for _ in 0x84..code {
                        items.insert(0, self.pop()?);
                    }
                    self.object(Object::Sequence(items))?;
                }
                b'a' => {
                    let item = self.pop()?;
                    self.append(vec![item])?;
                }
                b'e' => {
                    let items = self.pop_to_mark()?;
                    self.append(items)?;
                }
                b's' => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    self.set(&[key, value])?;
                }
                b'u' => {
                    let items = self.pop_to_mark()?;
                    self.set(&items)?;
                }
                b'q' => {
                    let number = u32::from(self.byte()?);
                    self.remember(number)?;
                }
                b'r' => {
                    let number = u32::from_le_bytes(self.array()?);
                    self.remember(number)?;
                }
                0x94 => self.remember(self.memo.len() as u32)?,
                b'h' => {
                    let number = u32::from(self.byte()?);
                    self.recall(number)?;
                }
                b'j' => {
                    let number = u32::from_le_bytes(self.array()?);
                    self.recall(number)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.stack.push(Value::Name(known(module, name)?));
                }
                // STACK_GLOBAL
                0x93 => match (self.pop()?, self.pop()?) {
                    (Value::Text(name), Value::Text(module)) => {
                        self.stack.push(Value::Name(known(module, name)?));
                    }
                    _ => return Err("the pickle names a function by what is no text".to_string()),
                },
                b'Q' => {
                    let id = self.pop()?;
                    self.storage(id)?;
                }
                b'R' => {
                    let arguments = self.pop()?;
                    let name = self.pop()?;
                    self.reduce(name, arguments)?;
                }
                b'b' => self.build()?,
                b'.' => return self.pop(),
                code => {
                    return Err(format!(
                        "the pickle's opcode 0x{code:02x} at byte {at} is no part of a state dict"
                    ));
                }
            }
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let taken = rest.get(..length).ok_or("the pickle ends in its middle")?;
        self.at += length;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self.take(N)?.try_into().expect("as many as were taken"))
    }

    /// A length that a file claims, if there can be as much.
    fn length(&self, claimed: u64) -> Result<usize, String> {
        usize::try_from(claimed).map_err(|_| "the pickle ends in its middle".to_string())
    }

    fn text(&mut self, length: usize) -> Result<(), String> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| "a text is not UTF-8")?;
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or("the pickle ends in its middle")?)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| "a name is not UTF-8".to_string())
    }

    fn pop(&mut self) -> Result<Value<'a>, String> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= bottom {
            return Err("the pickle takes more from its stack than there is".to_string());
        }
        Ok(self.stack.pop().expect("checked"))
    }

    fn top(&self) -> Result<Value<'a>, String> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        match self.stack.last() {
            Some(&value) if self.stack.len() > bottom => Ok(value),
            _ => Err("the pickle takes more from its stack than there is".to_string()),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>, String> {
        let mark = self.marks.pop().ok_or("the pickle ends a group that never began")?;
        Ok(self.stack.split_off(mark))
    }

    fn object(&mut self, object: Object<'a>) -> Result<(), String> {
        if self.objects.len() == MOST_OBJECTS {
            return Err(format!("the pickle makes more than {MOST_OBJECTS} objects"));
        }
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
        Ok(())
    }

    fn top_object(&mut self) -> Result<&mut Object<'a>, String> {
        match self.top()? {
            Value::Object(k) => Ok(&mut self.objects[k]),
            _ => Err("the pickle puts items into what holds none".to_string()),
        }
    }

    fn append(&mut self, items: Vec<Value<'a>>) -> Result<(), String> {
        match self.top_object()? {
            Object::Sequence(list) => list.extend(items),
            _ => return Err("the pickle appends to what is no list".to_string()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Value<'a>]) -> Result<(), String> {
        match self.top_object()? {
            Object::Dict(dict) if items.len().is_multiple_of(2) => {
                dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => return Err("the pickle sets items of what is no dictionary".to_string()),
        }
        Ok(())
    }

    fn remember(&mut self, number: u32) -> Result<(), String> {
        let top = self.top()?;
        self.memo.insert(number, top);
        Ok(())
    }

    fn recall(&mut self, number: u32) -> Result<(), String> {
        let value = self.memo.get(&number);
        self.stack.push(*value.ok_or("the pickle recalls what it never remembered")?);
        Ok(())
    }

    fn items(&self, value: Value<'a>) -> Result<&[Value<'a>], String> {
        match value {
            Value::Object(k) => match &self.objects[k] {
                Object::Sequence(items) => Ok(items),
                _ => Err("the pickle calls a function without arguments".to_string()),
            },
            _ => Err("the pickle calls a function without arguments".to_string()),
        }
    }

    /// `('storage', FloatStorage, '0', 'cpu', 24)`, in old files with a sixth entry, `None`.
    fn storage(&mut self, id: Value<'a>) -> Result<(), String> {
        let storage = match self.items(id)? {
            &[
                Value::Text("storage"),
                Value::Name(Name::Storage(element)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(elements),
                ref rest @ ..,
            ] if matches!(rest, [] | [Value::None]) => {
                let elements = usize::try_from(elements);
                let elements = elements.map_err(|_| format!("the storage `{key}` is negative"))?;
                Storage { element, key, elements }
            }
            _ => return Err("the pickle has a storage of an unknown form".to_string()),
        };
        self.object(Object::Storage(storage))
    }

    /// A call, of one of the names that are known.
    fn reduce(&mut self, name: Value<'a>, arguments: Value<'a>) -> Result<(), String> {
        let Value::Name(name) = name else {
            return Err("the pickle calls what is no function".to_string());
        };
        match name {
            Name::OrderedDict => match self.items(arguments)? {
                [] => self.object(Object::Dict(Vec::new())),
                _ => Err("the pickle has an OrderedDict of an unknown form".to_string()),
            },
            Name::RebuildTensor => {
                let view = self.view(arguments)?;
                self.object(Object::Tensor(Box::new(view)))
            }
            // (tensor, requires_grad, hooks)
            Name::RebuildParameter => match self.items(arguments)? {
                &[tensor @ Value::Object(k), ..]
                    if matches!(self.objects[k], Object::Tensor(_)) =>
                {
                    self.stack.push(tensor);
                    Ok(())
                }
                _ => Err("the pickle has a parameter without a tensor".to_string()),
            },
            Name::Size | Name::Device => {
                self.stack.push(Value::Other);
                Ok(())
            }
            Name::Storage(_) | Name::Dtype => Err("the pickle calls a type".to_string()),
        }
    }

    /// `(storage, offset, shape, stride, requires_grad, hooks)`, and perhaps metadata.
    fn view(&self, arguments: Value<'a>) -> Result<View<'a>, String> {
        let &[Value::Object(storage), Value::Int(offset), shape, stride, _, _, ..] =
            self.items(arguments)?
        else {
            return Err("the pickle has a tensor of an unknown form".to_string());
        };
        let Object::Storage(storage) = self.objects[storage] else {
            return Err("the pickle has a tensor without a storage".to_string());
        };
        let sizes = |value| {
            let size = |item: &Value<'_>| match *item {
                Value::Int(int) => usize::try_from(int).ok(),
                _ => None,
            };
            let sizes = self.items(value)?.iter().map(size).collect::<Option<Vec<_>>>();
            sizes.ok_or_else(|| "a tensor's shape or stride is no list of sizes".to_string())
        };
        let offset = usize::try_from(offset).map_err(|_| "a tensor's offset is negative")?;
        Ok(View { storage, offset, shape: sizes(shape)?, stride: sizes(stride)? })
    }

    /// Attributes of an object. State dicts have one, `_metadata`, with version numbers.
    fn build(&mut self) -> Result<(), String> {
        self.pop()?;
        match self.top_object()? {
            Object::Dict(_) => Ok(()),
            _ => Err("the pickle sets attributes of what has none".to_string()),
        }
    }
}

/// A Python integer. Wider ones than 64 bits are no size of anything.
fn long(bytes: &[u8]) -> Value<'static> {
    if bytes.len() > 8 {
        return Value::Other;
    }
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(wide))
}

fn known(module: &str, name: &str) -> Result<Name, String> {
    let element = |name: &str| {
        Some(match name {
            "FloatStorage" => Element::F32,
            "DoubleStorage" => Element::F64,
            "HalfStorage" => Element::F16,
            "BFloat16Storage" => Element::BF16,
            "LongStorage" => Element::I64,
            "IntStorage" => Element::I32,
            "ShortStorage" => Element::I16,
            "CharStorage" => Element::I8,
            "ByteStorage" => Element::U8,
            "BoolStorage" => Element::Bool,
            _ => return None,
        })
    };
    let dtypes = ["float16", "bfloat16", "float32", "float64", "int64", "int32"];
    match (module, name) {
        ("collections", "OrderedDict") => return Ok(Name::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2") => return Ok(Name::RebuildTensor),
        ("torch._utils", "_rebuild_parameter") => return Ok(Name::RebuildParameter),
        ("torch", "Size") => return Ok(Name::Size),
        ("torch", "device") => return Ok(Name::Device),
        ("torch", name) if dtypes.contains(&name) => return Ok(Name::Dtype),
        ("torch" | "torch.storage", name) => {
            if let Some(element) = element(name) {
                return Ok(Name::Storage(element));
            }
        }
        _ => {}
    }
    // A name comes from the file, and may be as long and as strange as its writer liked.
    let full: String = format!("{module}.{name}").escape_debug().take(80).collect();
    Err(format!(
        "the pickle names `{full}`, which is no part of a state dict; nothing was executed: save \
         `model.state_dict()` alone, or as .safetensors"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(bytes: &[u8]) -> String {
        Pickle::read(bytes).map(|_| ()).expect_err("should be refused")
    }

    #[test]
    fn calls_are_refused_by_name() {
        let message = complaint(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.");
        assert!(message.contains("`posix.system`"), "{message}");
        let message = complaint(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.");
        assert!(message.contains("`builtins.eval`"), "{message}");
        let message = complaint(b"\x80\x02c__main__\nNet\n)\x81.");
        assert!(message.contains("`__main__.Net`"), "{message}");
    }

    #[test]
    fn nesting_and_sharing_cost_nothing() {
        // A list in a list, a million deep, and then a dictionary that holds itself.
        let mut deep = b"\x80\x02".to_vec();
        deep.resize(900_000, b']');
        deep.resize(1_799_000, b'a');
        deep.push(b'.');
        drop(Pickle::read(&deep).unwrap());
        let message = complaint(&[b"\x80\x02".as_slice(), &vec![b']'; 1 << 21]].concat());
        assert!(message.contains("objects"), "{message}");
        Pickle::read(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.").unwrap();
    }

    #[test]
    fn broken_programs_are_refused() {
        let broken: [(&[u8], &str); 10] = [
            (b"", "ends in its middle"),
            (b"\x80\x02", "ends in its middle"),
            (b"\x80\x09.", "protocol 9"),
            (b"\x80\x02X\xff\xff\xff\xffa", "ends in its middle"),
            (b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xffa", "ends in its middle"),
            (b"\x80\x02.", "more from its stack"),
            (b"\x80\x02K\x01(a.", "more from its stack"),
            (b"\x80\x02h\x07.", "never remembered"),
            (b"\x80\x02t.", "never began"),
            (b"\x80\x02}X\x01\x00\x00\x00aK\x01sX\x01\x00\x00\x00aK\x01s.", "`a` occurs twice"),
        ];
        for (bytes, right) in broken {
            let message = complaint(bytes);
            assert!(message.contains(right), "{bytes:?}: {message}");
        }
    }
}
