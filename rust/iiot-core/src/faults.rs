//! Values that the profile wants but cannot use, with a path by which a person finds them in the document.

use crate::bounds::MAX_WILDCARD_POINTS;
use crate::found::{Capture, ItemPlace, Value};
use crate::rules::{Address, Rules};
use crate::scan::{Scan, ValueFault, ValueFaultReason};
use crate::trie::Slot;

/// A value that cannot be used.
pub(crate) struct Refused {
    /// The table of the document or item in which the value stands.
    pub(crate) table: u32,
    pub(crate) slot: Slot,
    /// Where the captures of its path in there begin.
    pub(crate) captures: Option<u32>,
    pub(crate) value: Value,
    pub(crate) reason: ValueFaultReason,
}

impl Refused {
    /// Add it to the faults of a scan.
    #[cold]
    pub(crate) fn add(self, rules: &Rules, document: &[u8], scan: &mut Scan) {
        let scope = scan.table(self.table).map_or(0, |table| table.scope);
        let captures = captures(self.captures, &scan.captures);
        if let Some(path) = own_path(rules, scope as usize, self.slot) {
            let path = filled(&path, captures, document);
            tell_in(
                rules,
                document,
                (self.table, &path),
                self.value,
                self.reason,
                scan,
            );
        }
    }

    /// Add it to `faults`. It must stand in the document.
    #[cold]
    pub(crate) fn note(
        self,
        rules: &Rules,
        document: &[u8],
        found: &[Capture],
        faults: &mut Vec<ValueFault>,
    ) {
        if faults.len() >= MAX_WILDCARD_POINTS {
            return;
        }
        if let Some(path) = own_path(rules, 0, self.slot) {
            faults.push(ValueFault {
                path: filled(&path, captures(self.captures, found), document),
                reason: self.reason,
                start: self.value.start as usize,
                end: self.value.end as usize,
            });
        }
    }
}

/// The captures from this one on; none without one.
fn captures(first: Option<u32>, found: &[Capture]) -> &[Capture] {
    let first = first.map_or(usize::MAX, |first| first as usize);
    found.get(first..).unwrap_or_default()
}

/// A path with the texts that its wildcards matched.
fn filled(path: &str, captures: &[Capture], document: &[u8]) -> String {
    let (mut captures, mut is_quoted) = (captures.iter(), false);
    let mut filled = String::new();
    for character in path.chars() {
        is_quoted ^= character == '"';
        if character == '*'
            && !is_quoted
            && let Some(capture) = captures.next()
        {
            let mut text = Vec::new();
            capture.push(document, &mut text);
            filled.push_str(&String::from_utf8_lossy(&text));
        } else {
            filled.push(character);
        }
    }
    filled
}

/// The table in which the value at an address stands, for a point of this table, and the slot there. An item's value hides that of its document.
pub(crate) fn place(address: Address, table: u32, scan: &Scan) -> Option<(u32, Slot)> {
    match address {
        Address::Only(slot) => Some((table, slot)),
        Address::Item { item, .. } if scan.value(table, Address::Only(item)).is_there() => {
            Some((table, item))
        }
        Address::Item { document, .. } | Address::Document(document) => Some((0, document)),
        Address::Level(_) | Address::Topic | Address::Device(_) | Address::Others => None,
    }
}

/// A path in the document or item of a table, behind the path of the item.
fn in_item(rules: &Rules, document: &[u8], (table, own): (u32, &str), scan: &Scan) -> String {
    let Some(table) = scan.table(table) else {
        return own.to_owned();
    };
    let each = rules.scopes.get(table.scope as usize);
    let each = each.and_then(|scope| own_path(rules, 0, scope.each?));
    let Some(each) = each else {
        return own.to_owned();
    };
    let each = match table.place {
        ItemPlace::Only => each,
        ItemPlace::InList(number) => format!("{each}[{number}]"),
        ItemPlace::Matched(first) => filled(&each, captures(Some(first), &scan.captures), document),
    };
    joined(each, own)
}

/// Note that the document has more values than may be kept; `value` is the first one that is left out.
pub(crate) fn too_many(value: Value, scan: &mut Scan) {
    let (start, end) = (value.start as usize, value.end as usize);
    scan.value_faults.push(ValueFault {
        path: "*".to_owned(),
        reason: ValueFaultReason::TooMany,
        start,
        end,
    });
}

/// Add a value to the faults of a scan. Table and path say where it stands.
#[cold]
pub(crate) fn tell_in(
    rules: &Rules,
    document: &[u8],
    place: (u32, &str),
    value: Value,
    reason: ValueFaultReason,
    scan: &mut Scan,
) {
    if scan.value_faults.len() < MAX_WILDCARD_POINTS {
        let path = in_item(rules, document, place, scan);
        scan.value_faults.push(ValueFault {
            path,
            reason,
            start: value.start as usize,
            end: value.end as usize,
        });
    }
}

/// A path as the profile writes it, after the path of its items.
pub(crate) fn path(rules: &Rules, scope: usize, slot: Slot) -> Option<String> {
    let own = own_path(rules, scope, slot)?;
    Some(match rules.scopes.get(scope)?.each {
        Some(each) => joined(own_path(rules, 0, each)?, &own),
        None => own,
    })
}

/// A path as the profile writes it.
fn own_path(rules: &Rules, scope: usize, slot: Slot) -> Option<String> {
    let wanted = &rules.scopes.get(scope)?.trie.wanted;
    Some(wanted.get(slot as usize)?.path.to_string())
}

/// The path of an item, with a path in it.
fn joined(each: String, own: &str) -> String {
    match own {
        "." => each,
        _ if own.starts_with('[') => each + own,
        _ => format!("{each}.{own}"),
    }
}
