//! A reader of JSON as lenient as a 4.x manager, and no more than that.
//!
//! Requests of clients, answers of agents and messages to the agent enter
//! here. The rules were taken from recordings of a real manager and agent:
//!
//! - a byte order mark in front and anything after the first value are ignored;
//! - raw control characters and line ends inside strings are taken as they are;
//! - bytes that are no UTF-8 inside strings become replacement characters;
//! - `1.`, `01` and numbers out of range (`1e400`) are numbers;
//! - comments, trailing commas, `NaN`, `+1`, `.1`, `0x1`, unknown escapes,
//!   lone surrogates and more than [`MAX_DEPTH`] levels are refused.
//!
//! Where the recorded system is careless this reader is not: keys are
//! case-sensitive, `\u0000` does not end a string, and the last of duplicate
//! keys wins, as in most parsers, so that a request means here what it means
//! to the program that wrote or checked it.
//!
//! The reader does not recurse, and refuses more than [`MAX_VALUES`] values,
//! since a value needs far more memory than the two bytes it may take in a
//! request.

use serde_json::{Map, Number, Value};

/// Levels of arrays and objects, the outermost included.
pub const MAX_DEPTH: usize = 1000;

/// Values in one text, counting every element and member.
pub const MAX_VALUES: usize = 262_144;

/// Why a text was refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON at byte {offset}: {reason}")]
pub struct JsonError {
    /// Bytes before the place.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

/// Reads the first value of a text.
///
/// Integers are kept exactly when they fit `i64` or `u64`; other numbers are
/// `f64`, and those out of its range are its largest value.
///
/// # Errors
/// [`JsonError`] with the offset of the first byte that cannot be read.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let mut reader = Reader {
        text,
        at: 0,
        values: 0,
    };
    if text.starts_with(b"\xef\xbb\xbf") {
        reader.at = 3;
    }
    reader.document()
}

/// The whole number that a value is: integers as they are, `1.0` and `1e3`
/// too, and those beyond 64 bits as the nearest `i64`. `None` for a fraction
/// and for what is no number.
pub fn integer(value: &Value) -> Option<i64> {
    let Value::Number(number) = value else {
        return None;
    };
    if let Some(integer) = number.as_i64() {
        return Some(integer);
    }
    if number.is_u64() {
        return Some(i64::MAX);
    }
    let float = number.as_f64()?;
    // The cast saturates, which is what is wanted here.
    (float.fract() == 0.0).then_some(float as i64)
}

/// A text in quotes, escaped as JSON asks: quotes, backslashes and control
/// characters, nothing else.
pub(crate) fn quote(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    quote_into(&mut out, text);
    String::from_utf8(out).unwrap_or_default()
}

/// As [`quote`], appended to a buffer.
pub(crate) fn quote_into(out: &mut Vec<u8>, text: &str) {
    // Writing a text into memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// An array or object that is not closed yet.
enum Open {
    Array(Vec<Value>),
    Object(Map<String, Value>, String),
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    values: usize,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Value, JsonError> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            let Some(mut value) = self.begin_value(&mut open)? else {
                continue;
            };
            // Put the value where it belongs, closing whatever ends with it.
            loop {
                match open.pop() {
                    None => return Ok(value),
                    Some(Open::Array(mut items)) => {
                        items.push(value);
                        self.skip_white();
                        match self.peek() {
                            Some(b',') => {
                                self.at += 1;
                                open.push(Open::Array(items));
                                break;
                            }
                            Some(b']') => {
                                self.at += 1;
                                value = Value::Array(items);
                            }
                            _ => return self.refuse("`,` or `]` expected"),
                        }
                    }
                    Some(Open::Object(mut members, key)) => {
                        members.insert(key, value);
                        self.skip_white();
                        match self.peek() {
                            Some(b',') => {
                                self.at += 1;
                                let key = self.key()?;
                                open.push(Open::Object(members, key));
                                break;
                            }
                            Some(b'}') => {
                                self.at += 1;
                                value = Value::Object(members);
                            }
                            _ => return self.refuse("`,` or `}` expected"),
                        }
                    }
                }
            }
        }
    }

    /// Reads a scalar or an empty container, or opens a container and answers `None`.
    fn begin_value(&mut self, open: &mut Vec<Open>) -> Result<Option<Value>, JsonError> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return self.refuse("too many values");
        }
        self.skip_white();
        let value = match self.peek() {
            Some(b'[' | b'{') if open.len() >= MAX_DEPTH => {
                return self.refuse("nested too deeply");
            }
            Some(b'[') => {
                self.at += 1;
                self.skip_white();
                if self.peek() != Some(b']') {
                    open.push(Open::Array(Vec::new()));
                    return Ok(None);
                }
                self.at += 1;
                Value::Array(Vec::new())
            }
            Some(b'{') => {
                self.at += 1;
                self.skip_white();
                if self.peek() != Some(b'}') {
                    let key = self.key()?;
                    open.push(Open::Object(Map::new(), key));
                    return Ok(None);
                }
                self.at += 1;
                Value::Object(Map::new())
            }
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b't') => self.word(b"true", Value::Bool(true))?,
            Some(b'f') => self.word(b"false", Value::Bool(false))?,
            Some(b'n') => self.word(b"null", Value::Null)?,
            Some(_) => return self.refuse("a value expected"),
            None => return self.refuse("the text ends where a value is expected"),
        };
        Ok(Some(value))
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<String, JsonError> {
        self.skip_white();
        if self.peek() != Some(b'"') {
            return self.refuse("a key in quotes expected");
        }
        let key = self.string()?;
        self.skip_white();
        if self.peek() != Some(b':') {
            return self.refuse("`:` expected after a key");
        }
        self.at += 1;
        Ok(key)
    }

    fn word(&mut self, word: &'static [u8], value: Value) -> Result<Value, JsonError> {
        if !self.rest().starts_with(word) {
            return self.refuse("a value expected");
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Number, JsonError> {
        let start = self.at;
        let mut whole = true;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.digits() == 0 {
            return self.refuse("a digit expected");
        }
        if self.peek() == Some(b'.') {
            whole = false;
            self.at += 1;
            self.digits();
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            whole = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.refuse("a digit expected in the exponent");
            }
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let text = std::str::from_utf8(text).unwrap_or_default();
        if whole {
            if let Ok(integer) = text.parse::<i64>() {
                return Ok(integer.into());
            }
            if let Ok(integer) = text.parse::<u64>() {
                return Ok(integer.into());
            }
        }
        let float = text.parse::<f64>().unwrap_or(f64::MAX);
        match Number::from_f64(float.clamp(f64::MIN, f64::MAX)) {
            Some(number) => Ok(number),
            None => self.refuse("no number"),
        }
    }

    fn digits(&mut self) -> usize {
        let count = self
            .rest()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.at += count;
        count
    }

    /// A string; the reader stands on its opening quote.
    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out: Vec<u8> = Vec::new();
        loop {
            let rest = self.rest();
            let Some(plain) = rest.iter().position(|&byte| byte == b'"' || byte == b'\\') else {
                self.at = self.text.len();
                return self.refuse("the text ends inside a string");
            };
            out.extend_from_slice(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            if self.peek() == Some(b'"') {
                self.at += 1;
                break;
            }
            let character = self.escape()?;
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(String::from_utf8(out)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// An escape; the reader stands on its backslash.
    fn escape(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let Some(byte) = self.peek() else {
            return self.refuse("the text ends inside a string");
        };
        let character = match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return self.refuse("no such escape"),
        };
        self.at += 1;
        Ok(character)
    }

    /// The digits after `\u`, and those of a second half where one is needed.
    fn unicode(&mut self) -> Result<char, JsonError> {
        let first = self.hex()?;
        let code = if (0xd800..0xdc00).contains(&first) {
            if !self.rest().starts_with(b"\\u") {
                return self.refuse("half of a surrogate pair");
            }
            self.at += 2;
            let second = self.hex()?;
            if !(0xdc00..0xe000).contains(&second) {
                return self.refuse("half of a surrogate pair");
            }
            0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)
        } else {
            first
        };
        match char::from_u32(code) {
            Some(character) => Ok(character),
            None => self.refuse("half of a surrogate pair"),
        }
    }

    fn hex(&mut self) -> Result<u32, JsonError> {
        let Some(digits) = self.rest().first_chunk::<4>() else {
            return self.refuse("four hexadecimal digits expected");
        };
        let mut code = 0;
        for &byte in digits {
            let Some(digit) = char::from(byte).to_digit(16) else {
                return self.refuse("four hexadecimal digits expected");
            };
            code = code * 16 + digit;
        }
        self.at += 4;
        Ok(code)
    }

    fn skip_white(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn refuse<T>(&self, reason: &'static str) -> Result<T, JsonError> {
        Err(JsonError {
            offset: self.at,
            reason,
        })
    }
}
