//! First half of a scan: reading a document or an item, and noting where the wanted values are.

use crate::bounds::MAX_WILDCARD_POINTS;
use crate::found::{Found, ItemPlace, Table, Value};
use crate::json::{NOWHERE, Observer, Place, read_document, read_message};
use crate::kind::Kind;
use crate::observe::Noting;
use crate::rules::{Rules, SingleMetric};
use crate::scan::Scan;
use crate::shapes::{Seen, collect};
use crate::syntax::{Outcome, Syntax};
use crate::trie::Trie;

/// The scope that is read: the tree of its paths, a key that identifies this tree, and the short points for which its shape
/// is remembered.
#[derive(Clone, Copy)]
struct Reading<'a> {
    trie: &'a Trie,
    key: u64,
    singles: &'a [SingleMetric],
}

/// Read the document (an object on one line) at the start of `bytes`. Returns the offset behind it.
#[inline]
pub(crate) fn document(rules: &Rules, hash: u64, bytes: &[u8], scan: &mut Scan) -> Outcome<usize> {
    let reading = Reading {
        trie: rules.trie(),
        key: hash,
        singles: &rules.single_metrics,
    };
    reading.object(bytes, scan)
}

/// Read the message that `bytes` begin with: any JSON value. Returns the array, if it is one, and the offset behind it.
pub(crate) fn message(
    rules: &Rules,
    hash: u64,
    bytes: &[u8],
    scan: &mut Scan,
) -> Outcome<(Option<Value>, usize)> {
    if bytes.first() == Some(&b'{')
        && let Ok(end) = document(rules, hash, bytes, scan)
    {
        return Ok((None, end));
    }
    scan.shapes.unapply();
    let mut noting = Noting::begin(rules.trie(), hash, scan);
    if is_array(bytes) {
        // Its items are read separately.
        let (start, end) = read_message(bytes, &mut crate::json::Blind)?;
        let (kind, start, end) = (Kind::Array, start as u32, end as u32);
        return Ok((Some(Value { kind, start, end }), end as usize));
    }
    let end = match read_message(bytes, &mut noting) {
        Ok((_, end)) => end,
        // A number ends where another byte begins, but no byte follows this one.
        Err(fault) if fault.syntax == Syntax::Incomplete && ends_in_a_number(bytes) => {
            read_message(&[bytes, b" "].concat(), &mut noting)?.1
        }
        Err(fault) => return Err(fault),
    };
    Ok((None, end))
}

fn ends_in_a_number(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(u8::is_ascii_digit)
}

/// Treat a part of the message as a text at the root.
pub(crate) fn bare_text(rules: &Rules, hash: u64, text: std::ops::Range<usize>, scan: &mut Scan) {
    scan.shapes.unapply();
    let mut noting = Noting::begin(rules.trie(), hash, scan);
    noting.scalar(0, Kind::String, text.start, text.end);
}

fn is_array(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|byte| !b" \t\r\n".contains(byte));
    first == Some(&b'[')
}

/// Where the items of an array are in `bytes`; at most one more than the most points of a document.
pub(crate) fn items(bytes: &[u8], array: Value) -> Vec<Value> {
    let mut items = Items { found: Vec::new() };
    // It was read before, so it has no fault.
    let _ = read_message(array.text(bytes), &mut items);
    let rebased = items.found.iter().map(|item| item.behind(array.start));
    rebased.collect()
}

/// Notes where the items of the outermost array stand.
struct Items {
    found: Vec<Value>,
}

/// The place of an item of the outermost array.
const ITEM: Place = 1;

impl Items {
    fn note(&mut self, place: Place, kind: Kind, start: usize, end: usize) {
        if place == ITEM && self.found.len() <= MAX_WILDCARD_POINTS {
            let (start, end) = (start as u32, end as u32);
            self.found.push(Value { kind, start, end });
        }
    }
}

impl Observer for Items {
    fn key(&mut self, _: &[u8], _: Place, _: usize, _: usize, _: usize, _: bool) -> Place {
        NOWHERE
    }
    fn item(&mut self, parent: Place, _: usize, _: usize) -> Place {
        if parent == 0 { ITEM } else { NOWHERE }
    }
    fn scalar(&mut self, place: Place, kind: Kind, start: usize, end: usize) {
        self.note(place, kind, start, end);
    }
    fn open(&mut self, _: Place, _: usize, _: Kind, _: usize) {}
    fn close(&mut self, place: Place, kind: Kind, start: usize, end: usize) {
        self.note(place, kind, start, end);
    }
}

/// Take the buffer for reading items of a scope; it must be put back.
pub(crate) fn take_room(rules: &Rules, scope: usize, scan: &mut Scan) -> Scan {
    if scan.rooms.len() < rules.scopes.len() {
        scan.rooms.resize_with(rules.scopes.len(), Scan::default);
    }
    let room = scan.rooms.get_mut(scope).map(std::mem::take);
    room.unwrap_or_default()
}

/// Put a buffer back.
pub(crate) fn put_room(scope: usize, room: Scan, scan: &mut Scan) {
    if let Some(place) = scan.rooms.get_mut(scope) {
        *place = room;
    }
}

/// Read an item of `bytes` by the tree of its scope.
pub(crate) fn into_room(
    rules: &Rules,
    hash: u64,
    bytes: &[u8],
    item: Value,
    scope: usize,
    room: &mut Scan,
) {
    let Some(trie) = rules.scopes.get(scope).map(|scope| &scope.trie) else {
        return;
    };
    let is_document = scope == 0;
    let reading = Reading {
        trie,
        key: hash ^ scope as u64,
        singles: if is_document {
            &rules.single_metrics
        } else {
            &[]
        },
    };
    let text = item.text(bytes);
    if item.kind == Kind::Object && reading.object(text, room).is_ok() {
        return;
    }
    room.shapes.unapply();
    let mut noting = Noting::begin(trie, reading.key, room);
    match item.kind {
        Kind::Object | Kind::Array => {
            // It was read before, as a part of its document, so it has no fault.
            let _ = read_message(text, &mut noting);
        }
        kind => noting.scalar(0, kind, 0, text.len()),
    }
}

/// Move all places in a buffer by `start` bytes, so that they are places in the document.
pub(crate) fn rebase(room: &mut Scan, start: u32) {
    for value in &mut room.values {
        *value = value.behind(start);
    }
    for found in &mut room.found {
        found.value = found.value.behind(start);
    }
    for capture in &mut room.captures {
        *capture = capture.behind(start);
    }
    room.overflowed = room.overflowed.map(|value| value.behind(start));
}

/// Keep the contents of a buffer as a table of a scope, in the document of another table. Returns the table's number.
pub(crate) fn keep(
    room: &Scan,
    scope: usize,
    (value, place): (Value, ItemPlace),
    document: u32,
    scan: &mut Scan,
) -> u32 {
    let table = Table {
        scope: scope as u32,
        place,
        value,
        values: scan.table_values.len() as u32,
        found: scan.table_found.len() as u32,
        found_end: (scan.table_found.len() + room.found.len()) as u32,
        document,
    };
    scan.table_values.extend_from_slice(&room.values);
    let captures = scan.captures.len() as u32;
    let found = room.found.iter().map(|found| Found {
        captures: found.captures + captures,
        ..*found
    });
    scan.table_found.extend(found);
    scan.captures.extend_from_slice(&room.captures);
    if let Some(value) = room.overflowed {
        scan.overflowed.get_or_insert(value);
    }
    scan.tables.push(table);
    scan.tables.len() as u32
}

impl Reading<'_> {
    #[inline]
    fn object(self, bytes: &[u8], scan: &mut Scan) -> Outcome<usize> {
        if scan.profile == Some(self.key)
            && let Some(end) = scan.shapes.read(bytes)
        {
            scan.overflowed = None;
            let Scan {
                shapes,
                values,
                found,
                captures,
                ..
            } = scan;
            shapes.apply(values, found, captures);
            return Ok(end);
        }
        scan.shapes.unapply();
        self.parse_object(bytes, scan)
    }

    /// Read a document whose shape is not known, and remember it.
    fn parse_object(self, bytes: &[u8], scan: &mut Scan) -> Outcome<usize> {
        let Self { trie, key, singles } = self;
        let end = read_document(bytes, &mut Noting::begin(trie, key, scan))?;
        if scan.shapes.is_learning()
            && let Some(document) = bytes.get(..end)
            && let Some(tokens) = collect(document, Noting::begin(trie, key, scan))?
            && !scan.forgot
            && scan.overflowed.is_none()
        {
            let Scan {
                shapes,
                values,
                found,
                captures,
                ..
            } = scan;
            let seen = Seen {
                values,
                found,
                captures,
            };
            shapes.learn(document, &tokens, seen, singles);
        }
        Ok(end)
    }
}
