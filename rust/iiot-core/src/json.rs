//! The JSON parser that everything here shares: strict RFC 8259, in one pass. An observer sees the values while they are parsed.
//!
//! A document is one line: a raw line feed anywhere in it is a fault. The deepest nesting is [`MAX_DEPTH`]. The end of the bytes is distinguished from a
//! fault. No result depends on bytes behind the place where it was reached, so a longer prefix never changes an earlier result.

use crate::json_text::{number_end, string_end};
use crate::kind::Kind;
use crate::syntax::{Outcome, Syntax, fault};

/// How deep objects and arrays may be nested.
pub const MAX_DEPTH: usize = 64;

/// A place as an observer numbers it in its own map; [`NOWHERE`] means that nothing below is of interest.
pub(crate) type Place = u32;

/// A place below which nothing is of interest.
pub(crate) const NOWHERE: Place = u32::MAX;

/// Sees keys and values while the parser reads them. Ranges are offsets in the document.
pub(crate) trait Observer {
    /// A key of the object at `parent`; `start..end` is between the quotes. Returns the place of its value.
    fn key(
        &mut self,
        bytes: &[u8],
        parent: Place,
        depth: usize,
        start: usize,
        end: usize,
        escaped: bool,
    ) -> Place;
    /// The item `index` of the array at `parent`.
    fn item(&mut self, parent: Place, depth: usize, index: usize) -> Place;
    /// A string, number, boolean or null at `place`.
    fn scalar(&mut self, place: Place, kind: Kind, start: usize, end: usize);
    /// An object or array begins at `place`.
    fn open(&mut self, place: Place, depth: usize, kind: Kind, start: usize);
    /// It ended.
    fn close(&mut self, place: Place, kind: Kind, start: usize, end: usize);
}

/// An observer that ignores everything: for callers that only need to know where a document ends.
pub(crate) struct Blind;

impl Observer for Blind {
    fn key(&mut self, _: &[u8], _: Place, _: usize, _: usize, _: usize, _: bool) -> Place {
        NOWHERE
    }
    fn item(&mut self, _: Place, _: usize, _: usize) -> Place {
        NOWHERE
    }
    fn scalar(&mut self, _: Place, _: Kind, _: usize, _: usize) {}
    fn open(&mut self, _: Place, _: usize, _: Kind, _: usize) {}
    fn close(&mut self, _: Place, _: Kind, _: usize, _: usize) {}
}

/// Read the object at the start of `bytes`; the root is place 0. Returns the offset behind it.
pub(crate) fn read_document<O: Observer>(bytes: &[u8], observer: &mut O) -> Outcome<usize> {
    let mut reader = Reader::<O, false> { bytes, observer };
    match bytes.first() {
        Some(b'{') => reader.object(0, 0, 0),
        Some(b'\n') => fault(Syntax::LineFeed, 0),
        Some(_) => fault(Syntax::ExpectedValue, 0),
        None => fault(Syntax::Incomplete, 0),
    }
}

/// Read the JSON value at the start of the message `bytes`, where line feeds count as blanks; the root is place 0. Returns where the value begins, and the
/// offset behind it.
pub(crate) fn read_message<O: Observer>(bytes: &[u8], observer: &mut O) -> Outcome<(usize, usize)> {
    let mut reader = Reader::<O, true> { bytes, observer };
    let (byte, start) = reader.peek(0)?;
    let end = match byte {
        b'{' => reader.object(start, 0, 0)?,
        b'[' => reader.array(start, 0, 0)?,
        _ => reader.value(start, 0, 0)?,
    };
    Ok((start, end))
}

/// Whether only blanks and line feeds follow from `at` on; otherwise, the offset of the first other byte.
pub(crate) fn blank_from(bytes: &[u8], at: usize) -> Result<(), usize> {
    let observer = &mut Blind;
    match (Reader::<Blind, true> { bytes, observer }).peek(at) {
        Ok((_, at)) => Err(at),
        Err(_) => Ok(()),
    }
}

/// With `LINES`, a line feed is a blank like the others.
struct Reader<'a, O, const LINES: bool> {
    bytes: &'a [u8],
    observer: &'a mut O,
}

impl<O: Observer, const LINES: bool> Reader<'_, O, LINES> {
    /// The first byte at or behind `at` that is not blank, and where it is.
    #[inline]
    fn peek(&self, mut at: usize) -> Outcome<(u8, usize)> {
        loop {
            match self.bytes.get(at) {
                Some(b' ' | b'\t' | b'\r') => at += 1,
                Some(b'\n') if LINES => at += 1,
                Some(b'\n') => return fault(Syntax::LineFeed, at),
                Some(&byte) => return Ok((byte, at)),
                None => return fault(Syntax::Incomplete, at),
            }
        }
    }

    fn object(&mut self, start: usize, place: Place, depth: usize) -> Outcome<usize> {
        if depth >= MAX_DEPTH {
            return fault(Syntax::TooDeep, start);
        }
        self.observer.open(place, depth, Kind::Object, start);
        let (byte, mut at) = self.peek(start + 1)?;
        if byte == b'}' {
            self.observer.close(place, Kind::Object, start, at + 1);
            return Ok(at + 1);
        }
        loop {
            let (byte, key_at) = self.peek(at)?;
            if byte != b'"' {
                return fault(Syntax::ExpectedKey, key_at);
            }
            let (quote, escaped) = string_end(self.bytes, key_at + 1)?;
            let below = self
                .observer
                .key(self.bytes, place, depth, key_at + 1, quote, escaped);
            let (byte, colon) = self.peek(quote + 1)?;
            if byte != b':' {
                return fault(Syntax::ExpectedColon, colon);
            }
            let end = self.value(colon + 1, below, depth)?;
            let (byte, next) = self.peek(end)?;
            match byte {
                b',' => at = next + 1,
                b'}' => {
                    self.observer.close(place, Kind::Object, start, next + 1);
                    return Ok(next + 1);
                }
                _ => return fault(Syntax::ExpectedCommaOrBrace, next),
            }
        }
    }

    fn array(&mut self, start: usize, place: Place, depth: usize) -> Outcome<usize> {
        if depth >= MAX_DEPTH {
            return fault(Syntax::TooDeep, start);
        }
        self.observer.open(place, depth, Kind::Array, start);
        let (byte, mut at) = self.peek(start + 1)?;
        if byte == b']' {
            self.observer.close(place, Kind::Array, start, at + 1);
            return Ok(at + 1);
        }
        let mut index = 0;
        loop {
            let below = self.observer.item(place, depth, index);
            index += 1;
            let end = self.value(at, below, depth)?;
            let (byte, next) = self.peek(end)?;
            match byte {
                b',' => at = next + 1,
                b']' => {
                    self.observer.close(place, Kind::Array, start, next + 1);
                    return Ok(next + 1);
                }
                _ => return fault(Syntax::ExpectedCommaOrBracket, next),
            }
        }
    }

    #[inline]
    fn value(&mut self, at: usize, place: Place, depth: usize) -> Outcome<usize> {
        let (byte, start) = self.peek(at)?;
        let (kind, from, to, end) = match byte {
            b'"' => {
                let (quote, escaped) = string_end(self.bytes, start + 1)?;
                let kind = if escaped {
                    Kind::EscapedString
                } else {
                    Kind::String
                };
                (kind, start + 1, quote, quote + 1)
            }
            b'-' | b'0'..=b'9' => {
                let (end, kind) = number_end(self.bytes, start)?;
                (kind, start, end, end)
            }
            b'{' => return self.object(start, place, depth + 1),
            b'[' => return self.array(start, place, depth + 1),
            b't' => self.word(start, b"true", Kind::Bool)?,
            b'f' => self.word(start, b"false", Kind::Bool)?,
            b'n' => self.word(start, b"null", Kind::Null)?,
            _ => return fault(Syntax::ExpectedValue, start),
        };
        self.observer.scalar(place, kind, from, to);
        Ok(end)
    }

    fn word(&self, start: usize, word: &[u8], kind: Kind) -> Outcome<(Kind, usize, usize, usize)> {
        for (index, &letter) in word.iter().enumerate() {
            match self.bytes.get(start + index) {
                Some(&byte) if byte == letter => {}
                Some(b'\n') => return fault(Syntax::LineFeed, start + index),
                Some(_) => return fault(Syntax::ExpectedValue, start + index),
                None => return fault(Syntax::Incomplete, start + index),
            }
        }
        let end = start + word.len();
        Ok((kind, start, end, end))
    }
}
