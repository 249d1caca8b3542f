//! The other values of a document, or of an item, under their joined names: `{"a":{"b":[1,2]}}` has `a_b_0` and `a_b_1`.
//!
//! This is a second reading, for points whose profile asks for it. If keys are equal, the last one counts, with everything below it. If different values have
//! the same joined name, the last one counts as well.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::bounds::MAX_WILDCARD_VALUES;
use crate::found::Value;
use crate::hash::{AsIs, fingerprint};
use crate::json::{NOWHERE, Observer, Place, read_message};
use crate::json_text::unescape;
use crate::kind::Kind;

/// The most bytes of all names and values of one document. There is a limit, because a long key above many values is part of each of their names.
const MAX_NAME_BYTES: usize = 1 << 20;

/// Spreads small numbers over 64 bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Up to this many fingerprints are searched one by one, which is faster than hashing.
const FEW: usize = 32;

/// The number that was last given to each fingerprint.
#[derive(Debug, Default)]
struct Seen {
    few: Vec<(u64, u32)>,
    many: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
}

impl Seen {
    fn clear(&mut self) {
        self.few.clear();
        self.many.clear();
    }

    /// Give a number; returns the one before.
    fn insert(&mut self, fingerprint: u64, number: u32) -> Option<u32> {
        let known = self.few.iter_mut().find(|(known, _)| *known == fingerprint);
        if let Some((_, held)) = known {
            return Some(std::mem::replace(held, number));
        }
        if self.few.len() < FEW {
            self.few.push((fingerprint, number));
            return None;
        }
        self.many.insert(fingerprint, number)
    }
}

/// A value with its name, which is a range of the text of all names.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Named {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) value: Value,
}

/// A key or item on the way.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    /// Its joined name.
    start: u32,
    end: u32,
    /// The values below it.
    first: u32,
    behind: u32,
}

/// Room for walking through a document.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    /// In the order of the document; a value that does not count any more has the kind `Missing`.
    pub(crate) values: Vec<Named>,
    /// The first value that there was no room for.
    pub(crate) left_out: Option<Value>,
    /// The first is the whole.
    steps: Vec<Step>,
    keys: Seen,
    names: Seen,
}

impl Walk {
    /// Find all values in a part of `document`. Names are appended to `names`. Without a separator, only the values directly in the part are found.
    pub(crate) fn through(
        &mut self,
        document: &[u8],
        part: Value,
        separator: Option<&str>,
        names: &mut Vec<u8>,
    ) {
        self.values.clear();
        self.steps.clear();
        self.keys.clear();
        self.names.clear();
        self.left_out = None;
        self.steps.push(Step::default());
        let mut walking = Walking {
            walk: self,
            names,
            separator,
            base: part.start,
        };
        // It was read before; a bare value at the end of the bytes has no names below it.
        let _ = read_message(part.text(document), &mut walking);
        self.forget_equal_names(names);
    }

    fn forget_equal_names(&mut self, names: &[u8]) {
        for at in 0..self.values.len() {
            let Some(held) = self.values.get(at) else {
                return;
            };
            if held.value.kind == Kind::Missing {
                continue;
            }
            let text = names.get(held.start as usize..held.end as usize);
            let key = fingerprint(text.unwrap_or_default());
            if let Some(before) = self.names.insert(key, at as u32)
                && let Some(held) = self.values.get_mut(before as usize)
            {
                held.value.kind = Kind::Missing;
            }
        }
    }
}

struct Walking<'a> {
    walk: &'a mut Walk,
    names: &'a mut Vec<u8>,
    separator: Option<&'a str>,
    /// Where the part begins in its document.
    base: u32,
}

impl Walking<'_> {
    /// Go one step further down. `write` appends the name of the step.
    fn step(&mut self, parent: Place, write: impl FnOnce(&mut Vec<u8>)) -> Place {
        let Some(above) = self.walk.steps.get(parent as usize).copied() else {
            return NOWHERE;
        };
        let start = self.names.len();
        if parent != 0 {
            let Some(separator) = self.separator else {
                return NOWHERE;
            };
            if start + (above.end - above.start) as usize > MAX_NAME_BYTES {
                return self.full();
            }
            self.names
                .extend_from_within(above.start as usize..above.end as usize);
            self.names.extend_from_slice(separator.as_bytes());
        }
        write(self.names);
        if self.names.len() > MAX_NAME_BYTES {
            self.names.truncate(start);
            return self.full();
        }
        let first = self.walk.values.len() as u32;
        self.walk.steps.push(Step {
            start: start as u32,
            end: self.names.len() as u32,
            first,
            behind: first,
        });
        (self.walk.steps.len() - 1) as Place
    }

    #[cold]
    fn full(&mut self) -> Place {
        let start = self.base;
        self.walk.left_out.get_or_insert(Value {
            kind: Kind::Object,
            start,
            end: start,
        });
        NOWHERE
    }

    /// Forget the values of a step.
    #[cold]
    fn forget(&mut self, step: u32) {
        let Some(step) = self.walk.steps.get(step as usize) else {
            return;
        };
        let range = step.first as usize..step.behind as usize;
        for held in self.walk.values.get_mut(range).unwrap_or_default() {
            held.value.kind = Kind::Missing;
        }
    }
}

impl Observer for Walking<'_> {
    fn key(
        &mut self,
        bytes: &[u8],
        parent: Place,
        _: usize,
        start: usize,
        end: usize,
        escaped: bool,
    ) -> Place {
        if parent == NOWHERE {
            return NOWHERE;
        }
        let raw = bytes.get(start..end).unwrap_or_default();
        let place = self.step(parent, |names| {
            if escaped {
                unescape(raw, names);
            } else {
                names.extend_from_slice(raw);
            }
        });
        let Some(step) = self.walk.steps.get(place as usize) else {
            return NOWHERE;
        };
        let name = self.names.get(step.start as usize..step.end as usize);
        // Steps with one parent have one name before their own.
        let key = fingerprint(name.unwrap_or_default()) ^ u64::from(parent).wrapping_mul(SPREAD);
        if let Some(before) = self.walk.keys.insert(key, place) {
            self.forget(before);
        }
        place
    }

    fn item(&mut self, parent: Place, _: usize, index: usize) -> Place {
        if parent == NOWHERE {
            return NOWHERE;
        }
        self.step(parent, |names| {
            names.extend_from_slice(index.to_string().as_bytes());
        })
    }

    fn scalar(&mut self, place: Place, kind: Kind, start: usize, end: usize) {
        let Some(step) = self.walk.steps.get_mut(place as usize) else {
            return;
        };
        if place == 0 || kind == Kind::Null {
            return;
        }
        let value = Value {
            kind,
            start: start as u32 + self.base,
            end: end as u32 + self.base,
        };
        let number = self.walk.values.len();
        if number >= MAX_WILDCARD_VALUES {
            self.walk.left_out.get_or_insert(value);
            return;
        }
        step.behind = number as u32 + 1;
        let named = Named {
            start: step.start,
            end: step.end,
            value,
        };
        self.walk.values.push(named);
    }

    fn open(&mut self, _: Place, _: usize, _: Kind, _: usize) {}

    fn close(&mut self, place: Place, _: Kind, _: usize, _: usize) {
        let behind = self.walk.values.len() as u32;
        if let Some(step) = self.walk.steps.get_mut(place as usize) {
            step.behind = behind;
        }
    }
}
