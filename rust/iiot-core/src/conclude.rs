//! From noted values to points, clock and sequences: types are checked here, and a wrong one costs that value only.

use crate::conditions;
use crate::hash::fingerprint;
use crate::json::Kind;
use crate::moment::TimeFormat;
use crate::observe::push_capture;
use crate::profile::{Rules, SequenceRule, ValueType};
use crate::render::push_template;
use crate::scan::{
    Capture, MAX_WILDCARD_POINTS, NodeKey, PointRef, Scan, Sequence, Value, ValueFault,
    ValueFaultReason,
};
use crate::trie::Slot;

/// Numbers with at most so many digits and no exponent are finite as a 64-bit float.
const SURELY_FINITE_BYTES: u32 = 300;

/// Forget the results of the last document.
pub(crate) fn clear(scan: &mut Scan) {
    scan.points.clear();
    scan.sequences.clear();
    scan.names.clear();
    scan.value_faults.clear();
    (scan.uptime_ms, scan.packet_counter, scan.time_ns) = (None, None, None);
    scan.age_ms = None;
}

#[inline]
pub(crate) fn conclude(rules: &Rules, document: &[u8], scan: &mut Scan) {
    clear(scan);
    let Scan {
        shapes,
        values,
        points,
        value_faults,
        captures,
        ..
    } = scan;
    let asked = shapes.singles().unwrap_or(&rules.single_metrics);
    for &(metric, slot, value_type) in asked {
        let Some(&value) = values.get(slot as usize) else {
            continue;
        };
        match usable(value, value_type, document) {
            Ok(true) => points.push(PointRef {
                metric,
                captures: 0,
                value,
            }),
            Ok(false) => {}
            Err(reason) => {
                let refused = Refused {
                    slot,
                    captures: None,
                    value,
                    reason,
                };
                refused.note(rules, document, captures, value_faults);
            }
        }
    }
    if !scan.found.is_empty() {
        wildcard_points(rules, document, scan);
    }
    if rules.has_conditions {
        conditions::leave_out(rules, document, scan);
    }
    scan.uptime_ms = rules
        .uptime
        .and_then(|slot| fixed_count(rules, document, scan, slot));
    scan.packet_counter = rules
        .packet_counter
        .and_then(|slot| fixed_count(rules, document, scan, slot));
    scan.age_ms = rules
        .age
        .and_then(|slot| fixed_count(rules, document, scan, slot));
    if let Some((slot, format)) = rules.time {
        scan.time_ns = time(rules, document, scan, slot, format);
    }
    for rule in &rules.sequences {
        if rule.wildcards == 0 {
            single_sequence(rules, rule, document, scan);
        } else {
            wildcard_sequences(rules, rule, document, scan);
        }
    }
}

/// Whether the value makes a point; an error if something is there that cannot.
#[inline]
fn usable(value: Value, value_type: ValueType, document: &[u8]) -> Result<bool, ValueFaultReason> {
    if value.kind == Kind::Number
        && matches!(value_type, ValueType::Number | ValueType::Any)
        && value.end - value.start <= SURELY_FINITE_BYTES
    {
        return Ok(true);
    }
    usable_otherwise(value, value_type, document)
}

/// As `usable`, for what is no usual number.
fn usable_otherwise(
    value: Value,
    value_type: ValueType,
    document: &[u8],
) -> Result<bool, ValueFaultReason> {
    match (value.kind, value_type) {
        (Kind::Missing | Kind::Null, _) => Ok(false),
        (Kind::Number | Kind::Scientific, ValueType::Number | ValueType::Any) => {
            let text = std::str::from_utf8(value.text(document)).unwrap_or_default();
            if text.parse::<f64>().is_ok_and(f64::is_finite) {
                Ok(true)
            } else {
                Err(ValueFaultReason::OutOfRange)
            }
        }
        (Kind::Bool, ValueType::Bool | ValueType::Any)
        | (Kind::String | Kind::EscapedString, ValueType::String | ValueType::Any) => Ok(true),
        (_, ValueType::Number) => Err(ValueFaultReason::NotANumber),
        (_, ValueType::Bool) => Err(ValueFaultReason::NotABoolean),
        (_, ValueType::String) => Err(ValueFaultReason::NotAString),
        (_, ValueType::Any) => Err(ValueFaultReason::NotAScalar),
    }
}

fn wildcard_points(rules: &Rules, document: &[u8], scan: &mut Scan) {
    let found = std::mem::take(&mut scan.found);
    let mut room = MAX_WILDCARD_POINTS;
    'values: for value in &found {
        for (index, metric) in rules
            .metrics
            .iter()
            .enumerate()
            .filter(|(_, metric)| metric.slot == value.slot)
        {
            match usable(value.value, metric.value_type, document) {
                Ok(true) if room == 0 => {
                    scan.overflowed = Some(value.value);
                    break 'values;
                }
                Ok(true) => {
                    room -= 1;
                    scan.points.push(PointRef {
                        metric: index as u32,
                        captures: value.captures,
                        value: value.value,
                    });
                }
                Ok(false) => {}
                Err(reason) => add_fault(
                    rules,
                    document,
                    scan,
                    value.slot,
                    Some(value.captures),
                    value.value,
                    reason,
                ),
            }
        }
    }
    if let Some(value) = scan.overflowed {
        let (start, end) = (value.start as usize, value.end as usize);
        scan.value_faults.push(ValueFault {
            path: "*".to_owned(),
            reason: ValueFaultReason::TooMany,
            start,
            end,
        });
    }
    scan.found = found;
}

fn time(
    rules: &Rules,
    document: &[u8],
    scan: &mut Scan,
    slot: Slot,
    format: TimeFormat,
) -> Option<i64> {
    let value = scan.values.get(slot as usize).copied()?;
    let wanted = if format == TimeFormat::Rfc3339 {
        Kind::String
    } else {
        Kind::Number
    };
    let time = match value.kind {
        Kind::Missing | Kind::Null => return None,
        kind if kind == wanted => format.read(value.text(document)),
        _ => None,
    };
    if time.is_none() {
        add_fault(
            rules,
            document,
            scan,
            slot,
            None,
            value,
            ValueFaultReason::NotATime,
        );
    }
    time
}

fn single_sequence(rules: &Rules, rule: &SequenceRule, document: &[u8], scan: &mut Scan) {
    let object = match rule.object {
        Some(slot) => scan
            .values
            .get(slot as usize)
            .map(|value| value.text(document))
            .unwrap_or_default(),
        None => document,
    };
    let Some(seq) = fixed_count(rules, document, scan, rule.seq) else {
        return;
    };
    let boot = rule
        .boot
        .and_then(|slot| fixed_count(rules, document, scan, slot));
    let object_hash = fingerprint(object);
    let node = push_node(rule, document, scan, 0);
    scan.sequences.push(Sequence {
        node,
        boot,
        seq,
        modulus: rule.modulus,
        object_hash,
    });
}

/// The objects of a wildcard rule come behind what is in them; both paths begin with the object's.
fn wildcard_sequences(rules: &Rules, rule: &SequenceRule, document: &[u8], scan: &mut Scan) {
    let found = std::mem::take(&mut scan.found);
    for (index, object) in found
        .iter()
        .enumerate()
        .filter(|(_, object)| Some(object.slot) == rule.object)
    {
        if scan.sequences.len() >= MAX_WILDCARD_POINTS {
            break;
        }
        let (mut seq, mut boot) = (None, None);
        let inside = found.get(..index).unwrap_or_default().iter().rev();
        for value in inside.take_while(|value| value.value.start >= object.value.start) {
            if value.slot == rule.seq {
                seq = count(
                    rules,
                    document,
                    scan,
                    value.slot,
                    Some(value.captures),
                    value.value,
                );
            } else if Some(value.slot) == rule.boot {
                boot = count(
                    rules,
                    document,
                    scan,
                    value.slot,
                    Some(value.captures),
                    value.value,
                );
            }
        }
        if let Some(seq) = seq {
            let object_hash = fingerprint(object.value.text(document));
            let node = push_node(rule, document, scan, object.captures);
            scan.sequences.push(Sequence {
                node,
                boot,
                seq,
                modulus: rule.modulus,
                object_hash,
            });
        }
    }
    scan.found = found;
}

fn push_node(rule: &SequenceRule, document: &[u8], scan: &mut Scan, captures: u32) -> NodeKey {
    let start = scan.names.len() as u32;
    if let Some(name) = rule.node.fixed() {
        scan.names.push_str(name);
    } else {
        let mut name = Vec::new();
        push_template(&rule.node, document, scan, captures, &mut name);
        scan.names.push_str(&String::from_utf8_lossy(&name));
    }
    NodeKey {
        start,
        end: scan.names.len() as u32,
    }
}

fn fixed_count(rules: &Rules, document: &[u8], scan: &mut Scan, slot: Slot) -> Option<u64> {
    let value = scan.values.get(slot as usize).copied()?;
    count(rules, document, scan, slot, None, value)
}

/// A whole number that fits 64 bits.
fn count(
    rules: &Rules,
    document: &[u8],
    scan: &mut Scan,
    slot: Slot,
    captures: Option<u32>,
    value: Value,
) -> Option<u64> {
    if matches!(value.kind, Kind::Missing | Kind::Null) {
        return None;
    }
    let number = if value.kind == Kind::Number {
        whole_number(document, value)
    } else {
        None
    };
    if number.is_none() {
        add_fault(
            rules,
            document,
            scan,
            slot,
            captures,
            value,
            ValueFaultReason::NotACount,
        );
    }
    number
}

#[inline]
fn whole_number(document: &[u8], value: Value) -> Option<u64> {
    let length = value.end.wrapping_sub(value.start);
    if (1..=8).contains(&length)
        && let Some(before) = document.get(..value.end as usize)
        && let Some(block) = before.last_chunk::<8>()
    {
        // The bytes in front of it are made zeros.
        let keep = u64::MAX << (8 * (8 - length));
        let zeros = u64::from_le_bytes(*b"00000000");
        return eight_digit_number(u64::from_le_bytes(*block) & keep | zeros & !keep);
    }
    let mut number: u64 = 0;
    for byte in value.text(document) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(number)
}

/// The number that eight digits write, if they are digits: pairs, quarters and halves are put together at once in the lanes of one word.
fn eight_digit_number(bytes: u64) -> Option<u64> {
    let digits = bytes ^ 0x3030_3030_3030_3030;
    // Above 9 in a lane: the sum reaches the lane's high half.
    if (digits.wrapping_add(0x7676_7676_7676_7676) | digits) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let quarters = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((quarters * 10_000 + (quarters >> 32)) & 0xffff_ffff)
}

#[cold]
fn add_fault(
    rules: &Rules,
    document: &[u8],
    scan: &mut Scan,
    slot: Slot,
    captures: Option<u32>,
    value: Value,
    reason: ValueFaultReason,
) {
    let refused = Refused {
        slot,
        captures,
        value,
        reason,
    };
    refused.note(rules, document, &scan.captures, &mut scan.value_faults);
}

/// A value that cannot be used.
struct Refused {
    slot: Slot,
    captures: Option<u32>,
    value: Value,
    reason: ValueFaultReason,
}

impl Refused {
    #[cold]
    fn note(
        self,
        rules: &Rules,
        document: &[u8],
        captures: &[Capture],
        faults: &mut Vec<ValueFault>,
    ) {
        if faults.len() >= MAX_WILDCARD_POINTS {
            return;
        }
        let Some(wanted) = rules.trie.wanted.get(self.slot as usize) else {
            return;
        };
        let mut path = wanted.path.to_string();
        if let Some(first) = self.captures {
            for number in 0..wanted.wildcards.len() {
                let mut text = Vec::new();
                if let Some(capture) = captures.get(first as usize + number) {
                    push_capture(document, *capture, &mut text);
                }
                path = path.replacen('*', &String::from_utf8_lossy(&text), 1);
            }
        }
        faults.push(ValueFault {
            path,
            reason: self.reason,
            start: self.value.start as usize,
            end: self.value.end as usize,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{Value, whole_number};
    use crate::json::Kind;

    /// Read a text at the end of a document that begins with some bytes of another.
    fn read(before: &[u8], text: &[u8]) -> Option<u64> {
        let document = [before, text].concat();
        let value = Value {
            kind: Kind::Number,
            start: before.len() as u32,
            end: document.len() as u32,
        };
        whole_number(&document, value)
    }

    /// As the standard library reads it, for every length, and for every byte in every place.
    #[test]
    fn whole_numbers_are_read() {
        let mut number: u64 = 1;
        while let Some(next) = number.checked_mul(7) {
            for value in [number, number - 1, number + 1] {
                assert_eq!(read(b"{\"ts\":", value.to_string().as_bytes()), Some(value));
                assert_eq!(read(b"", value.to_string().as_bytes()), Some(value));
            }
            number = next;
        }
        assert_eq!(read(b"", b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(read(b"", b"18446744073709551616"), None);
        for length in 1..=9 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'1'; length];
                    text[place] = byte;
                    let right = std::str::from_utf8(&text)
                        .ok()
                        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
                        .and_then(|text| text.parse().ok());
                    assert_eq!(read(b"99999999", &text), right, "{text:?}");
                    assert_eq!(read(b"", &text), right, "{text:?}");
                }
            }
        }
    }
}
