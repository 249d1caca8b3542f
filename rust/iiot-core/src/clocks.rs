//! Reads the times and counts that stand in a document: its own time, its device's clock, and the numbers of its packets.

use crate::faults::Refused;
use crate::found::Value;
use crate::hash::fingerprint;
use crate::json_text::unescape;
use crate::kind::Kind;
use crate::moment::Moment;
use crate::number::whole_number;
use crate::rules::Rules;
use crate::scan::Scan;
use crate::scan_faults::ValueFaultReason;
use crate::time_format::TimeFormat;
use crate::trie::Slot;

/// The document's own time.
#[inline]
pub(crate) fn document_time(rules: &Rules, document: &[u8], scan: &mut Scan) -> Option<Moment> {
    let (slots, format) = rules.time.as_ref()?;
    let (slot, value) = slots.iter().find_map(|slot| {
        let value = scan.values.get(*slot as usize)?;
        value.is_there().then_some((*slot, *value))
    })?;
    time(rules, document, scan, (0, slot), value, format)
}

/// A time that stands in the document; table and slot say where.
pub(crate) fn time(
    rules: &Rules,
    document: &[u8],
    scan: &mut Scan,
    (table, slot): (u32, Slot),
    value: Value,
    format: &TimeFormat,
) -> Option<Moment> {
    if !value.is_there() {
        return None;
    }
    let time = if value.kind == Kind::EscapedString {
        // Some programs write `\/` for a slash.
        let mut text = Vec::new();
        unescape(value.text(document), &mut text);
        format.read(Kind::String, &text)
    } else {
        format.read(value.kind, value.text(document))
    };
    if time.is_none() {
        let refused = Refused {
            table,
            slot,
            captures: None,
            value,
            reason: ValueFaultReason::NotATime,
        };
        refused.add(rules, document, scan);
    }
    time
}

/// Fingerprint of the text that names the device.
pub(crate) fn device(rules: &Rules, document: &[u8], scan: &Scan) -> Option<u64> {
    let value = scan.values.get(rules.device? as usize)?;
    value.is_there().then(|| fingerprint(value.text(document)))
}

/// The count at a slot without wildcards.
pub(crate) fn fixed_count(
    rules: &Rules,
    document: &[u8],
    scan: &mut Scan,
    slot: Option<Slot>,
) -> Option<u64> {
    let slot = slot?;
    let value = scan.values.get(slot as usize).copied()?;
    count(rules, document, scan, slot, None, value)
}

/// A whole number that fits 64 bits.
pub(crate) fn count(
    rules: &Rules,
    document: &[u8],
    scan: &mut Scan,
    slot: Slot,
    captures: Option<u32>,
    value: Value,
) -> Option<u64> {
    if !value.is_there() {
        return None;
    }
    let number = if value.kind == Kind::Number {
        whole_number(document, value)
    } else {
        None
    };
    if number.is_none() {
        let refused = Refused {
            table: 0,
            slot,
            captures,
            value,
            reason: ValueFaultReason::NotACount,
        };
        refused.add(rules, document, scan);
    }
    number
}
