//! A line of `InfluxDB`'s protocol as a JSON document; `line_reader.rs` shows the form of that
//! document.

use std::collections::{HashMap, HashSet};

use crate::number_text::{integer_text, json_number};

/// The unit of the times in lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Nanoseconds.
    #[default]
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

impl Precision {
    /// By the name that `precision` has in a request.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ns" => Self::Nanoseconds,
            "us" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            _ => return None,
        })
    }

    const fn factor(self) -> i64 {
        match self {
            Self::Nanoseconds => 1,
            Self::Microseconds => 1_000,
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
        }
    }
}

/// What is wrong at a byte of a line.
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) message: &'static str,
}

/// The document of a line, which begins at a byte of its text.
pub(crate) fn line_document(text: &[u8], at: usize, precision: Precision) -> Read<Vec<u8>> {
    Reader { text, at }.line(precision)
}

/// Whether a byte separates the parts of a line.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0)
}

/// The value that was read, or the fault.
pub(crate) type Read<T> = Result<T, Fault>;

/// Kinds of fields, in the order in which documents have them.
const KINDS: [&[u8]; 4] = [b"floats", b"integers", b"booleans", b"strings"];

/// A value as JSON, and the number of its kind.
type Value = (usize, Vec<u8>);

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn fault<T>(&self, message: &'static str) -> Read<T> {
        Err(Fault {
            at: self.at,
            message,
        })
    }

    /// The whole line as a document.
    fn line(&mut self, precision: Precision) -> Read<Vec<u8>> {
        if std::str::from_utf8(self.text).is_err() {
            self.at = valid_bytes(self.text);
            return self.fault("not UTF-8");
        }
        let mut out = b"{\"measurement\":".to_vec();
        let measurement = self.name(b", ", b", ");
        if measurement.is_empty() {
            return self.fault("a measurement is expected");
        }
        push_string(&measurement, &mut out);
        self.tags(&mut out)?;
        self.blanks();
        let fields = self.fields()?;
        self.blanks();
        if self.peek().is_some() {
            let time_ns = self.time(precision)?;
            out.extend_from_slice(b",\"time\":");
            out.extend_from_slice(time_ns.to_string().as_bytes());
        }
        for (kind, name) in KINDS.iter().enumerate() {
            let mut before: &[u8] = b"{";
            let own = fields.iter().filter(|(_, (own, _))| *own == kind);
            for (key, (_, value)) in own {
                if before == b"{" {
                    out.extend_from_slice(b",\"");
                    out.extend_from_slice(name);
                    out.extend_from_slice(b"\":");
                }
                out.extend_from_slice(before);
                push_string(key, &mut out);
                out.push(b':');
                out.extend_from_slice(value);
                before = b",";
            }
            if before == b"," {
                out.push(b'}');
            }
        }
        out.push(b'}');
        Ok(out)
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(is_blank) {
            self.at += 1;
        }
    }

    /// A name up to one of `ends`, with the escapes of `special` removed.
    fn name(&mut self, ends: &[u8], special: &[u8]) -> Vec<u8> {
        let mut name = Vec::new();
        while let Some(byte) = self.peek().filter(|byte| !ends.contains(byte)) {
            let next = self.text.get(self.at + 1).copied();
            if let Some(next) = next.filter(|next| byte == b'\\' && special.contains(next)) {
                name.push(next);
                self.at += 2;
            } else {
                name.push(byte);
                self.at += 1;
            }
        }
        name
    }

    fn tags(&mut self, out: &mut Vec<u8>) -> Read<()> {
        let mut before: &[u8] = b",\"tags\":{";
        let mut known = HashSet::new();
        while self.peek() == Some(b',') {
            self.at += 1;
            let start = self.at;
            let key = self.name(b"=, ", b",= ");
            if key.is_empty() || self.peek() != Some(b'=') {
                return self.fault("a tag is expected: key=value");
            }
            self.at += 1;
            let value = self.name(b"=, ", b",= ");
            if value.is_empty() || self.peek() == Some(b'=') {
                return self.fault("the value of a tag is expected; leave a tag without a value out, and escape `=` as `\\=`");
            }
            if known.contains(&key) {
                self.at = start;
                return self.fault("the tag stands there twice; leave one out");
            }
            out.extend_from_slice(before);
            push_string(&key, out);
            out.push(b':');
            push_string(&value, out);
            known.insert(key);
            before = b",";
        }
        if before == b"," {
            out.push(b'}');
        }
        Ok(())
    }

    /// All fields, in the order in which their names came first.
    fn fields(&mut self) -> Read<Vec<(Vec<u8>, Value)>> {
        let mut fields: Vec<(Vec<u8>, Value)> = Vec::new();
        let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
        loop {
            let key = self.name(b"=, ", b",= ");
            if key.is_empty() || self.peek() != Some(b'=') {
                return self.fault("a field is expected: key=value");
            }
            self.at += 1;
            let value = self.value()?;
            if let Some((_, known)) = places.get(&key).and_then(|place| fields.get_mut(*place)) {
                *known = value;
            } else {
                places.insert(key.clone(), fields.len());
                fields.push((key, value));
            }
            if self.peek() != Some(b',') {
                return Ok(fields);
            }
            self.at += 1;
        }
    }

    fn value(&mut self) -> Read<Value> {
        if self.peek() == Some(b'"') {
            return self.quoted();
        }
        let start = self.at;
        while self
            .peek()
            .is_some_and(|byte| byte != b',' && !is_blank(byte))
        {
            self.at += 1;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let found = match text {
            b"t" | b"T" | b"true" | b"True" | b"TRUE" => Ok((2, b"true".to_vec())),
            b"f" | b"F" | b"false" | b"False" | b"FALSE" => Ok((2, b"false".to_vec())),
            [whole @ .., b'i' | b'u'] => {
                let is_unsigned = text.ends_with(b"u");
                match integer_text(whole) {
                    Some(number) if !(is_unsigned && number < 0) => {
                        Ok((1, number.to_string().into_bytes()))
                    }
                    _ if is_unsigned => Err(
                        "an integer from 0 to 9223372036854775807 is expected before `u`: larger ones are not kept",
                    ),
                    _ => Err(
                        "an integer from -9223372036854775808 to 9223372036854775807 is expected before `i`",
                    ),
                }
            }
            b"" => Err("the value of the field is expected"),
            _ => json_number(text).map(|number| (0, number)).ok_or(
                "a number, an integer such as 5i, true, false or a text in double quotes is expected",
            ),
        };
        found.map_err(|message| Fault { at: start, message })
    }

    fn quoted(&mut self) -> Read<Value> {
        let start = self.at;
        self.at += 1;
        let mut text = Vec::new();
        loop {
            match (self.peek(), self.text.get(self.at + 1)) {
                (Some(b'\\'), Some(next @ (b'"' | b'\\'))) => {
                    text.push(*next);
                    self.at += 2;
                }
                (Some(b'"'), _) => break,
                (Some(byte), _) => {
                    text.push(byte);
                    self.at += 1;
                }
                (None, _) => {
                    self.at = start;
                    return self.fault("the text is not closed; a quote in it is written as \\\"");
                }
            }
        }
        self.at += 1;
        if self
            .peek()
            .is_some_and(|byte| byte != b',' && !is_blank(byte))
        {
            return self.fault("a comma, a space or the end of the line is expected behind a text");
        }
        let mut value = Vec::new();
        push_string(&text, &mut value);
        Ok((3, value))
    }

    fn time(&mut self, precision: Precision) -> Read<i64> {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        let text = rest.trim_ascii_end();
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        let is_whole = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let number = is_whole.then(|| integer_text(text)).flatten();
        let time_ns = number.and_then(|number| number.checked_mul(precision.factor()));
        self.at = self.text.len();
        time_ns.ok_or(Fault {
            at: start,
            message: "the time is a whole number since 1970, in the unit that `precision` names, and fits 64 bits in nanoseconds",
        })
    }
}

/// How many bytes are UTF-8.
fn valid_bytes(text: &[u8]) -> usize {
    std::str::from_utf8(text).map_or_else(|error| error.valid_up_to(), str::len)
}

/// Append a JSON string; the text is UTF-8.
fn push_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
