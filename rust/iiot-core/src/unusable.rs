//! The values that a document without any usable value has at the profile's paths, for the message about it.

use std::fmt::Write as _;

use crate::faults::path;
use crate::kind::Kind;
use crate::quote::quote;
use crate::rules::{Address, Rules};
use crate::scan::Scan;
use crate::trie::Slot;

/// The most values that the message names; a document may have a thousand.
const MAX_NAMED: usize = 4;
/// The most bytes of each that are shown.
const SHOWN_BYTES: usize = 40;

/// The values that were found and could not be used, each with the reason: `v: not a number: "5.4"`. Nulls are included, because otherwise nothing would show
/// that the path is right.
#[cold]
pub(crate) fn list(rules: &Rules, document: &[u8], scan: &Scan) -> String {
    let wrong = scan.value_faults.iter().map(|fault| {
        let value = document.get(fault.start..fault.end).unwrap_or_default();
        let (shown, more) = match value.get(..SHOWN_BYTES) {
            Some(beginning) if value.len() > SHOWN_BYTES => (beginning, "..."),
            _ if value.is_empty() => (b"\"\"".as_slice(), ""),
            _ => (value, ""),
        };
        format!("{}: {}: {}{more}", fault.path, fault.reason, quote(shown))
    });
    let is_null = |slot: Slot| {
        scan.values
            .get(slot as usize)
            .is_some_and(|value| value.kind == Kind::Null)
            || scan
                .found
                .iter()
                .any(|found| found.slot == slot && found.value.kind == Kind::Null)
    };
    let is_null_in_item = |scope: usize, slot: Slot| {
        let mut tables = scan.tables.iter();
        tables.any(|table| {
            let value = scan.table_values.get((table.values + slot) as usize);
            table.scope as usize == scope && value.is_some_and(|value| value.kind == Kind::Null)
        })
    };
    let nulls = rules.fields.iter().filter_map(|field| {
        let scope = rules.points.get(field.point as usize)?.scope;
        let (scope, slot) = match field.address {
            Address::Item { item: slot, .. } | Address::Only(slot) => (scope, slot),
            Address::Document(slot) => (0, slot),
            Address::Level(_) | Address::Topic | Address::Device(_) | Address::Others => {
                return None;
            }
        };
        let found = is_null_in_item(scope, slot) || (scope == 0 && is_null(slot));
        path(rules, scope, slot)
            .filter(|_| found)
            .map(|path| format!("{path}: null"))
    });
    let mut list = String::new();
    let mut left_out = 0;
    for (number, value) in wrong.chain(nulls).enumerate() {
        if number >= MAX_NAMED {
            left_out += 1;
            continue;
        }
        let comma = if number == 0 { "" } else { ", " };
        let _ = write!(list, "{comma}{value}");
    }
    if left_out > 0 {
        let _ = write!(list, ", and {left_out} more");
    }
    list
}
