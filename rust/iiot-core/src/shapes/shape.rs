//! The shape of a document: its text without the numbers, strings and words. Nodes send the same shape again and again, and a comparison with the last one
//! is several times faster than parsing.
//!
//! ```text
//! {"ts":5000,"id":"N2","n1":{"t":7}}      tokens:   0: 5000   1: N2   2: 7
//! |----|    |-----|  |--------| ||        literals: 0 1 2 and the end
//! ```
//!
//! A text with the literals of a valid document, and with a valid number, string or word in each of its places, is a valid document with the same keys.
//! Nothing is assumed: each literal is compared, and each token is read by the parser's own functions. Places in the document (where an object began, what
//! a wildcard matched) are kept as marks: a number of bytes behind the token before.

use super::Seen;
use crate::found::{Capture, Found, Value};
use crate::json_text::{number_end, string_end};
use crate::kind::Kind;
use crate::rules::SingleMetric;
use crate::trie::Slot;

/// Literals are compared in blocks of this size.
const BLOCK: usize = 16;

/// Shapes with more tokens are not remembered.
pub(crate) const MAX_TOKENS: usize = 256;

/// A block of a literal and what follows it.
#[derive(Clone, Debug)]
struct Step {
    text: [u64; 2],
    mask: [u64; 2],
    length: usize,
    then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// The next block of a long literal, or the end.
    Literal,
    Number,
    String,
    Word,
}

/// A position: `offset` bytes behind the end of the token before `token`.
#[derive(Clone, Copy, Debug)]
struct Mark {
    token: usize,
    offset: u32,
}

#[derive(Clone, Copy, Debug)]
enum Held {
    /// The token of this number.
    Token(usize),
    /// An object or array.
    Span { kind: Kind, start: Mark, end: Mark },
}

#[derive(Clone, Copy, Debug)]
enum HeldCapture {
    Key {
        start: Mark,
        length: u32,
        escaped: bool,
    },
    Item(u32),
}

#[derive(Clone, Debug)]
struct HeldFound {
    found: Found,
    held: Held,
}

/// A remembered shape.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    steps: Vec<Step>,
    tokens: usize,
    fixed: Vec<(Slot, Held)>,
    found: Vec<HeldFound>,
    captures: Vec<HeldCapture>,
    /// The metrics that find a value in a document of this shape. The others, usually more, need not be tried.
    singles: Vec<SingleMetric>,
}

impl Shape {
    /// The shape of `document`, whose tokens are given in order, with the values seen in it.
    pub(crate) fn of(
        document: &[u8],
        tokens: &[Value],
        seen: Seen<'_>,
        metrics: &[SingleMetric],
    ) -> Option<Self> {
        let mut shape = Self {
            steps: Vec::new(),
            tokens: tokens.len(),
            fixed: Vec::new(),
            found: Vec::new(),
            captures: Vec::new(),
            singles: Vec::new(),
        };
        let mut at = 0;
        for token in tokens {
            let then = match token.kind {
                Kind::Number | Kind::Scientific => Then::Number,
                Kind::String | Kind::EscapedString => Then::String,
                _ => Then::Word,
            };
            shape.push_literal(document.get(at..token.start as usize)?, then);
            at = token.end as usize;
        }
        shape.push_literal(document.get(at..)?, Then::Literal);
        for (slot, value) in seen.values.iter().enumerate() {
            if value.kind != Kind::Missing {
                shape.fixed.push((slot as Slot, held(tokens, *value)?));
            }
        }
        let is_here = |slot: Slot| {
            seen.values
                .get(slot as usize)
                .is_some_and(|value| value.kind != Kind::Missing)
        };
        let here = metrics.iter().filter(|(_, slot, _)| is_here(*slot));
        shape.singles.extend(here);
        for found in seen.found {
            shape.found.push(HeldFound {
                found: *found,
                held: held(tokens, found.value)?,
            });
        }
        for capture in seen.captures {
            shape.captures.push(match *capture {
                Capture::Key {
                    start,
                    end,
                    escaped,
                } => HeldCapture::Key {
                    start: mark(tokens, start)?,
                    length: end - start,
                    escaped,
                },
                Capture::Item(index) => HeldCapture::Item(index),
                // Those are made behind the reading.
                Capture::Joined { .. } => return None,
            });
        }
        Some(shape)
    }

    fn push_literal(&mut self, literal: &[u8], then: Then) {
        let blocks = literal.chunks(BLOCK).len();
        for (number, block) in literal.chunks(BLOCK).enumerate() {
            let mut text = [0; BLOCK];
            let mut mask = [0; BLOCK];
            for ((text, mask), byte) in text.iter_mut().zip(&mut mask).zip(block) {
                (*text, *mask) = (*byte, 0xff);
            }
            let then = if number + 1 == blocks {
                then
            } else {
                Then::Literal
            };
            let (text, mask) = (halves(&text), halves(&mask));
            self.steps.push(Step {
                text,
                mask,
                length: block.len(),
                then,
            });
        }
    }

    /// Read a document of this shape at the start of `bytes` into `tokens`. Returns its end, or nothing if it has another shape or is not a document.
    #[inline]
    pub(crate) fn read(&self, bytes: &[u8], tokens: &mut Vec<Value>) -> Option<usize> {
        tokens.resize(self.tokens, Value::default());
        let mut slots = tokens.iter_mut();
        let mut at = 0;
        for step in &self.steps {
            let rest = bytes.get(at..)?;
            if let Some(block) = rest.first_chunk::<BLOCK>() {
                let [one, other] = halves(block);
                if (one & step.mask[0]) ^ step.text[0] | (other & step.mask[1]) ^ step.text[1] != 0
                {
                    return None;
                }
            } else if !step.starts(rest) {
                return None;
            }
            at += step.length;
            let (end, kind) = match step.then {
                Then::Literal => continue,
                Then::Number => number_end(bytes, at).ok()?,
                Then::String => {
                    let (end, escaped) = string_end(bytes, at).ok()?;
                    (
                        end,
                        if escaped {
                            Kind::EscapedString
                        } else {
                            Kind::String
                        },
                    )
                }
                Then::Word => word_end(bytes, at)?,
            };
            *slots.next()? = Value {
                kind,
                start: at as u32,
                end: end as u32,
            };
            at = end;
        }
        Some(at)
    }

    pub(crate) fn singles(&self) -> &[SingleMetric] {
        &self.singles
    }

    /// Write the values of a document of this shape, whose `tokens` were read, into the tables of a scan.
    #[inline]
    pub(crate) fn apply(
        &self,
        tokens: &[Value],
        values: &mut [Value],
        found: &mut Vec<Found>,
        captures: &mut Vec<Capture>,
    ) {
        found.clear();
        captures.clear();
        for (slot, held) in &self.fixed {
            if let Some(value) = values.get_mut(*slot as usize) {
                *value = resolve(tokens, *held);
            }
        }
        for held in &self.found {
            found.push(Found {
                value: resolve(tokens, held.held),
                ..held.found
            });
        }
        for capture in &self.captures {
            captures.push(match *capture {
                HeldCapture::Key {
                    start,
                    length,
                    escaped,
                } => {
                    let start = position(tokens, start);
                    Capture::Key {
                        start,
                        end: start + length,
                        escaped,
                    }
                }
                HeldCapture::Item(index) => Capture::Item(index),
            });
        }
    }
}

impl Step {
    /// Whether `rest`, which may be shorter than a block, starts with the literal.
    #[cold]
    fn starts(&self, rest: &[u8]) -> bool {
        let text = self
            .text
            .iter()
            .flat_map(|half| half.to_le_bytes())
            .take(self.length);
        rest.len() >= self.length && text.eq(rest.iter().copied().take(self.length))
    }
}

fn halves(block: &[u8; BLOCK]) -> [u64; 2] {
    let whole = u128::from_le_bytes(*block);
    [whole as u64, (whole >> 64) as u64]
}

/// Where a value is held: as a token, if it is one.
fn held(tokens: &[Value], value: Value) -> Option<Held> {
    if matches!(value.kind, Kind::Object | Kind::Array) {
        return Some(Held::Span {
            kind: value.kind,
            start: mark(tokens, value.start)?,
            end: mark(tokens, value.end)?,
        });
    }
    tokens
        .iter()
        .position(|token| token == &value)
        .map(Held::Token)
}

/// The mark of a position outside of tokens.
fn mark(tokens: &[Value], position: u32) -> Option<Mark> {
    let token = tokens
        .iter()
        .take_while(|token| token.end <= position)
        .count();
    let before = token
        .checked_sub(1)
        .and_then(|before| tokens.get(before))
        .map_or(0, |token| token.end);
    Some(Mark {
        token,
        offset: position.checked_sub(before)?,
    })
}

#[inline]
fn position(tokens: &[Value], mark: Mark) -> u32 {
    let before = mark
        .token
        .checked_sub(1)
        .and_then(|before| tokens.get(before))
        .map_or(0, |token| token.end);
    before + mark.offset
}

#[inline]
fn resolve(tokens: &[Value], held: Held) -> Value {
    match held {
        Held::Token(number) => tokens.get(number).copied().unwrap_or_default(),
        Held::Span { kind, start, end } => Value {
            kind,
            start: position(tokens, start),
            end: position(tokens, end),
        },
    }
}

fn word_end(bytes: &[u8], at: usize) -> Option<(usize, Kind)> {
    let rest = bytes.get(at..)?;
    for (word, kind) in [
        (b"true".as_slice(), Kind::Bool),
        (b"false", Kind::Bool),
        (b"null", Kind::Null),
    ] {
        if rest.starts_with(word) {
            return Some((at + word.len(), kind));
        }
    }
    None
}
