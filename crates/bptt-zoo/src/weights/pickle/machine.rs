//! The stack machine: Python's opcodes of the protocols 2 to 5, as in its `pickletools`.

use crate::weights::pickle::names::known;
use crate::weights::pickle::value::{Items, MOST_OBJECTS, Object, Value};

const PROTO: u8 = 0x80;
const NEWOBJ: u8 = 0x81;
const TUPLE1: u8 = 0x85;
const TUPLE3: u8 = 0x87;
const TRUE: u8 = 0x88;
const FALSE: u8 = 0x89;
const LONG1: u8 = 0x8a;
const LONG4: u8 = 0x8b;
const SHORT_BINUNICODE: u8 = 0x8c;
const BINUNICODE8: u8 = 0x8d;
const BINBYTES8: u8 = 0x8e;
const EMPTY_SET: u8 = 0x8f;
const ADDITEMS: u8 = 0x90;
const FROZENSET: u8 = 0x91;
const NEWOBJ_EX: u8 = 0x92;
const STACK_GLOBAL: u8 = 0x93;
const MEMOIZE: u8 = 0x94;
const FRAME: u8 = 0x95;
const BYTEARRAY8: u8 = 0x96;
const BINUNICODE: u8 = b'X';
const BINBYTES: u8 = b'B';
const SHORT_BINBYTES: u8 = b'C';
/// The opcode for the `str` of Python 2.
const BINSTRING: u8 = b'T';
const SHORT_BINSTRING: u8 = b'U';

pub(super) const ENDS: &str = "the pickle ends in its middle";

pub(super) struct Machine<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) stack: Vec<Value>,
    marks: Vec<u32>,
    /// Values by number. Programs that write pickles count up, so the numbers have few gaps.
    memo: Vec<Option<Value>>,
    /// How many entries the memo has.
    remembered: usize,
    pub(super) objects: Vec<Object>,
    /// How many items were copied from one object to another.
    pub(super) copied: usize,
    /// Whether the pickle is TorchScript's.
    pub(super) script: bool,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8], script: bool) -> Self {
        Self {
            bytes,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Vec::new(),
            remembered: 0,
            objects: Vec::new(),
            copied: 0,
            script,
        }
    }

    /// Runs to the opcode that ends the pickle.
    pub(super) fn run(&mut self) -> Result<Value, String> {
        loop {
            let at = self.at;
            let code = self.byte()?;
            if code == b'.' {
                return self.pop();
            }
            let is_known = self.run_value(code, at)?
                || self.run_container(code)?
                || self.run_stack(code)?
                || self.run_call(code)?;
            if !is_known {
                return Err(format!(
                    "the pickle's opcode 0x{code:02x} at byte {at} is no part of a checkpoint"
                ));
            }
        }
    }

    /// Runs an opcode of the protocol or of a plain value. Returns whether it is one.
    fn run_value(&mut self, code: u8, at: usize) -> Result<bool, String> {
        match code {
            PROTO => {
                let protocol = self.byte()?;
                if !(2..=5).contains(&protocol) {
                    return Err(format!("the pickle has protocol {protocol}, expected 2 to 5"));
                }
            }
            // Only a reader of streams needs it.
            FRAME => drop(self.take(8)?),
            b'N' => self.stack.push(Value::None),
            TRUE | FALSE => self.stack.push(Value::Other),
            b'K' => {
                let int = i32::from(self.byte()?);
                self.stack.push(Value::Int(int));
            }
            b'M' => {
                let int = i32::from(u16::from_le_bytes(self.array()?));
                self.stack.push(Value::Int(int));
            }
            b'J' => {
                let int = i32::from_le_bytes(self.array()?);
                self.stack.push(Value::Int(int));
            }
            // BINFLOAT
            b'G' => {
                self.take(8)?;
                self.stack.push(Value::Other);
            }
            code if length_bytes(code).is_some() => self.data(at)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Runs an opcode of lists, tuples, dictionaries and sets. Returns whether it is one.
    fn run_container(&mut self, code: u8) -> Result<bool, String> {
        match code {
            b'}' => self.object(Object::Dict(Items::new(Vec::new())))?,
            b']' | b')' => self.object(Object::Sequence(Items::new(Vec::new())))?,
            EMPTY_SET => self.stack.push(Value::PassedOver),
            b'(' => self.marks.push(self.stack.len() as u32),
            b't' | b'l' => {
                let items = self.pop_to_mark()?;
                self.object(Object::Sequence(Items::new(items)))?;
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                self.object(Object::Dict(Items::new(Vec::new())))?;
                self.set(&items)?;
            }
            FROZENSET => {
                self.pop_to_mark()?;
                self.stack.push(Value::PassedOver);
            }
            code @ TUPLE1..=TUPLE3 => {
                let mut items = Vec::with_capacity(usize::from(code - TUPLE1) + 1);
                for _ in TUPLE1..=code {
                    items.insert(0, self.pop()?);
                }
                self.object(Object::Sequence(Items::new(items)))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' | ADDITEMS => {
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
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Runs an opcode of the stack or of the memo. Returns whether it is one.
    fn run_stack(&mut self, code: u8) -> Result<bool, String> {
        match code {
            // POP, POP_MARK, DUP
            b'0' => match self.marks.last() {
                Some(&mark) if mark as usize == self.stack.len() => drop(self.marks.pop()),
                _ => drop(self.pop()?),
            },
            b'1' => drop(self.pop_to_mark()?),
            b'2' => self.stack.push(self.top()?),
            b'q' => {
                let number = u32::from(self.byte()?);
                self.remember(number)?;
            }
            b'r' => {
                let number = u32::from_le_bytes(self.array()?);
                self.remember(number)?;
            }
            MEMOIZE => self.remember(self.remembered as u32)?,
            b'h' => {
                let number = u32::from(self.byte()?);
                self.recall(number)?;
            }
            b'j' => {
                let number = u32::from_le_bytes(self.array()?);
                self.recall(number)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Runs an opcode that names or calls something. Returns whether it is one.
    fn run_call(&mut self, code: u8) -> Result<bool, String> {
        match code {
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.stack.push(Value::Name(known(module, name, self.script)?));
            }
            STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (text(self.bytes, module), text(self.bytes, name)) {
                    (Some(module), Some(name)) => {
                        self.stack.push(Value::Name(known(module, name, self.script)?));
                    }
                    _ => return Err("the pickle names a function by what is no text".into()),
                }
            }
            b'Q' => {
                let id = self.pop()?;
                self.storage(id)?;
            }
            code @ (b'R' | NEWOBJ | NEWOBJ_EX) => {
                // Named arguments: only what is passed over has any.
                let named = if code == NEWOBJ_EX { Some(self.pop()?) } else { None };
                let arguments = self.pop()?;
                let name = self.pop()?;
                self.call(name, arguments, named)?;
            }
            b'b' => self.build()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let taken = self.bytes[self.at..].get(..length).ok_or(ENDS)?;
        self.at += length;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        Ok(self.take(N)?.try_into().expect("as many as were taken"))
    }

    /// A text, bytes, or a long integer: an opcode, a length, and this many bytes.
    fn data(&mut self, at: usize) -> Result<(), String> {
        let data = data(self.bytes, at).ok_or(ENDS)?;
        self.at = at + 1 + length_bytes(self.bytes[at]).expect("it has one") + data.len();
        let is_text = std::str::from_utf8(data).is_ok();
        self.stack.push(match self.bytes[at] {
            LONG1 | LONG4 => Value::Long(at as u32),
            SHORT_BINUNICODE | BINUNICODE | BINUNICODE8 if !is_text => {
                return Err("a text is not UTF-8".to_string());
            }
            SHORT_BINUNICODE | BINUNICODE | BINUNICODE8 => Value::Text(at as u32),
            // Python 2 has one type for texts and bytes.
            SHORT_BINSTRING | BINSTRING if is_text => Value::Text(at as u32),
            _ => Value::Other,
        });
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let length = self.bytes[self.at..].iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or(ENDS)?)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| "a name is not UTF-8".to_string())
    }

    pub(super) fn pop(&mut self) -> Result<Value, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn top(&self) -> Result<Value, String> {
        let bottom = self.marks.last().map_or(0, |&mark| mark as usize);
        match self.stack.last() {
            Some(&value) if self.stack.len() > bottom => Ok(value),
            _ => Err("the pickle takes more from its stack than there is".to_string()),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.marks.pop().ok_or("the pickle ends a group that never began")?;
        let items = self.stack[mark as usize..].to_vec();
        self.stack.truncate(mark as usize);
        Ok(items)
    }

    pub(super) fn object(&mut self, object: Object) -> Result<(), String> {
        if self.objects.len() == MOST_OBJECTS {
            return Err(format!("the pickle makes more than {MOST_OBJECTS} objects"));
        }
        self.stack.push(Value::Object(self.objects.len() as u32));
        self.objects.push(object);
        Ok(())
    }

    /// The object on top of the stack; `None` if its content is ignored.
    fn top_object(&mut self) -> Result<Option<&mut Object>, String> {
        match self.top()? {
            Value::Object(k) => Ok(Some(&mut self.objects[k as usize])),
            Value::PassedOver => Ok(None),
            _ => Err("the pickle puts items into what holds none".to_string()),
        }
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), String> {
        match self.top_object()? {
            Some(Object::Sequence(list)) => list.extend(items),
            None => {}
            _ => return Err("the pickle appends to what is no list".to_string()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Value]) -> Result<(), String> {
        match self.top_object()? {
            Some(Object::Dict(dict)) if items.len().is_multiple_of(2) => {
                dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect());
            }
            None => {}
            _ => return Err("the pickle sets items of what is no dictionary".to_string()),
        }
        Ok(())
    }

    fn remember(&mut self, number: u32) -> Result<(), String> {
        let top = self.top()?;
        let number = number as usize;
        // A memo with more entries than the pickle has bytes so far would only cost memory.
        if number > self.at {
            return Err("the pickle remembers more than it has said".to_string());
        }
        if number >= self.memo.len() {
            self.memo.resize(number + 1, None);
        }
        self.remembered += usize::from(self.memo[number].replace(top).is_none());
        Ok(())
    }

    fn recall(&mut self, number: u32) -> Result<(), String> {
        let value = self.memo.get(number as usize).copied().flatten();
        self.stack.push(value.ok_or("the pickle recalls what it never remembered")?);
        Ok(())
    }

    /// Attributes of an object, for instance the version numbers of a state dict (`_metadata`). They are ignored, but
    /// for those of a TorchScript module.
    fn build(&mut self) -> Result<(), String> {
        let state = self.pop()?;
        if self.script {
            return self.set_attributes(state);
        }
        match self.top_object()? {
            None | Some(Object::Dict(_) | Object::Tensor(_) | Object::Odd(_)) => Ok(()),
            _ => Err("the pickle sets attributes of what has none".to_string()),
        }
    }
}

/// How many bytes the length after an opcode has, if the opcode has data.
fn length_bytes(code: u8) -> Option<usize> {
    Some(match code {
        LONG1 | SHORT_BINUNICODE | SHORT_BINBYTES | SHORT_BINSTRING => 1,
        LONG4 | BINUNICODE | BINBYTES | BINSTRING => 4,
        BINUNICODE8 | BINBYTES8 | BYTEARRAY8 => 8,
        _ => return None,
    })
}

/// The data of the opcode at a place, if the file has all of it.
fn data(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let wide = length_bytes(bytes[at])?;
    let claimed = bytes.get(at + 1..at + 1 + wide)?;
    let mut length = [0; 8];
    length[..wide].copy_from_slice(claimed);
    let length = usize::try_from(u64::from_le_bytes(length)).ok()?;
    bytes[at + 1 + wide..].get(..length)
}

/// The text of a value, if it is one.
pub(super) fn text(bytes: &[u8], value: Value) -> Option<&str> {
    let Value::Text(at) = value else { return None };
    std::str::from_utf8(data(bytes, at as usize)?).ok()
}

/// The integer of a value, if it is one of at most 64 bits: no size is larger.
pub(super) fn int(bytes: &[u8], value: Value) -> Option<i64> {
    let at = match value {
        Value::Int(int) => return Some(i64::from(int)),
        Value::Long(at) => at,
        _ => return None,
    };
    let long = data(bytes, at as usize).filter(|long| long.len() <= 8)?;
    let negative = long.last().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = [if negative { 0xff } else { 0 }; 8];
    wide[..long.len()].copy_from_slice(long);
    Some(i64::from_le_bytes(wide))
}
