//! Second half of a scan: from noted values to points and clocks. Types are checked here; a wrong type costs only that value.

use crate::conditions;
use crate::faults::Refused;
use crate::found::{Context, FieldRef, Value};
use crate::hash::fingerprint;
use crate::json::Kind;
use crate::json_text::{number_end, unescape};
use crate::long;
use crate::moment::{Moment, TimeFormat};
use crate::number::{integer, whole_number};
use crate::rules::{Rules, ValueType};
use crate::scan::{MAX_WILDCARD_POINTS, Scan, ValueFault, ValueFaultReason};
use crate::sequences;
use crate::trie::Slot;

/// Numbers with at most so many digits and no exponent are finite as a 64-bit float.
const SURELY_FINITE_BYTES: u32 = 300;

/// Forget the results of the last document.
pub(crate) fn clear(scan: &mut Scan) {
    scan.fields.clear();
    scan.sequences.clear();
    scan.names.clear();
    scan.value_faults.clear();
    (scan.uptime_ms, scan.packet_counter, scan.time) = (None, None, None);
    (scan.age_ms, scan.device) = (None, None);
}

/// The points, clocks and sequences of a document that is an object or a bare value.
#[inline]
pub(crate) fn conclude(rules: &Rules, hash: u64, document: &[u8], scan: &mut Scan) {
    clear(scan);
    short_points(rules, document, scan);
    scan.uptime_ms = fixed_count(rules, document, scan, rules.uptime);
    scan.packet_counter = fixed_count(rules, document, scan, rules.packet_counter);
    scan.age_ms = fixed_count(rules, document, scan, rules.age);
    scan.time = document_time(rules, document, scan);
    scan.device = device(rules, document, scan);
    sequences::sequences(rules, document, scan);
    if !rules.long_points.is_empty() {
        long::points(rules, hash, document, scan);
    }
}

/// The points of the short form.
#[inline]
pub(crate) fn short_points(rules: &Rules, document: &[u8], scan: &mut Scan) {
    let Scan {
        shapes,
        values,
        fields,
        value_faults,
        captures,
        ..
    } = scan;
    let asked = shapes.singles().unwrap_or(&rules.single_metrics);
    for &(field, slot, value_type) in asked {
        let Some(&value) = values.get(slot as usize) else {
            continue;
        };
        match usable(value, value_type, document) {
            Ok(true) => fields.push(FieldRef {
                field,
                context: Context::default(),
                value: typed(value, value_type),
            }),
            Ok(false) => {}
            Err(reason) => {
                let refused = Refused {
                    scope: 0,
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
}

/// Whether the value makes a point; an error if there is a value that cannot be used.
#[inline]
pub(crate) fn usable(
    value: Value,
    value_type: ValueType,
    document: &[u8],
) -> Result<bool, ValueFaultReason> {
    if value.kind == Kind::Number
        && matches!(value_type, ValueType::Number | ValueType::Any)
        && value.end - value.start <= SURELY_FINITE_BYTES
    {
        return Ok(true);
    }
    usable_otherwise(value, value_type, document)
}

/// A usable value, as one of its type.
#[inline]
pub(crate) fn typed(value: Value, value_type: ValueType) -> Value {
    if value_type == ValueType::Integer {
        return Value {
            kind: Kind::Integer,
            ..value
        };
    }
    value
}

/// As `usable`, for values other than plain numbers.
fn usable_otherwise(
    value: Value,
    value_type: ValueType,
    document: &[u8],
) -> Result<bool, ValueFaultReason> {
    match (value.kind, value_type) {
        (Kind::Missing | Kind::Null, _)
        | (
            Kind::Integer
            | Kind::LevelNumber
            | Kind::LevelInteger
            | Kind::LevelText
            | Kind::String
            | Kind::EscapedString
            | Kind::Object
            | Kind::Array,
            ValueType::Measured,
        ) => Ok(false),
        (
            Kind::Number | Kind::Scientific,
            ValueType::Number | ValueType::Any | ValueType::Measured,
        ) => {
            let text = std::str::from_utf8(value.text(document)).unwrap_or_default();
            if text.parse::<f64>().is_ok_and(f64::is_finite) {
                Ok(true)
            } else {
                Err(ValueFaultReason::OutOfRange)
            }
        }
        (Kind::Number | Kind::Scientific, ValueType::Integer) => {
            if integer(value.text(document)).is_some() {
                Ok(true)
            } else {
                Err(ValueFaultReason::NotAnInteger)
            }
        }
        (Kind::Bool, ValueType::Bool | ValueType::Any | ValueType::Measured)
        | (Kind::String | Kind::EscapedString, ValueType::String | ValueType::Any) => Ok(true),
        (_, ValueType::Number) => Err(ValueFaultReason::NotANumber),
        (_, ValueType::Integer) => Err(ValueFaultReason::NotAnInteger),
        (_, ValueType::Bool) => Err(ValueFaultReason::NotABoolean),
        (_, ValueType::String) => Err(ValueFaultReason::NotAString),
        (_, ValueType::Any) => Err(ValueFaultReason::NotAScalar),
    }
}

/// A level of the topic as a value of a field; an error if it does not have the field's type.
pub(crate) fn level(
    place: std::ops::Range<u32>,
    topic: &[u8],
    value_type: ValueType,
) -> Result<Option<Value>, ValueFaultReason> {
    let text = topic.get(place.start as usize..place.end as usize);
    let text = text.unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let kind = match value_type {
        ValueType::Integer => match integer(text) {
            Some(_) => Kind::LevelInteger,
            None => return Err(ValueFaultReason::NotAnInteger),
        },
        ValueType::String => Kind::LevelText,
        _ => {
            let end = number_end(&[text, b" "].concat(), 0).map(|(end, _)| end);
            let value = std::str::from_utf8(text).map(str::parse::<f64>);
            match (end, value) {
                (Ok(end), Ok(Ok(value))) if end == text.len() && value.is_finite() => {
                    Kind::LevelNumber
                }
                _ => return Err(ValueFaultReason::NotANumber),
            }
        }
    };
    let (start, end) = (place.start, place.end);
    Ok(Some(Value { kind, start, end }))
}

fn wildcard_points(rules: &Rules, document: &[u8], scan: &mut Scan) {
    let found = std::mem::take(&mut scan.found);
    let mut room = MAX_WILDCARD_POINTS;
    'values: for value in &found {
        for &(field, _, value_type) in rules
            .wild_metrics
            .iter()
            .filter(|(_, slot, _)| *slot == value.slot)
        {
            match usable(value.value, value_type, document) {
                Ok(true) if room == 0 => {
                    scan.overflowed = Some(value.value);
                    break 'values;
                }
                Ok(true) => {
                    room -= 1;
                    scan.fields.push(FieldRef {
                        field,
                        context: Context {
                            captures: value.captures,
                            table: 0,
                        },
                        value: typed(value.value, value_type),
                    });
                }
                Ok(false) => {}
                Err(reason) => {
                    let refused = Refused {
                        scope: 0,
                        slot: value.slot,
                        captures: Some(value.captures),
                        value: value.value,
                        reason,
                    };
                    refused.add(rules, document, scan);
                }
            }
        }
    }
    if let Some(value) = scan.overflowed {
        too_many(value, scan);
    }
    scan.found = found;
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

/// The document's own time.
#[inline]
pub(crate) fn document_time(rules: &Rules, document: &[u8], scan: &mut Scan) -> Option<Moment> {
    let (slots, format) = rules.time.as_ref()?;
    let (slot, value) = slots.iter().find_map(|slot| {
        let value = scan.values.get(*slot as usize)?;
        value.is_there().then_some((*slot, *value))
    })?;
    time(rules, document, scan, (0, slot, None), value, format)
}

/// A time that stands in the document; scope, slot and captures say where.
pub(crate) fn time(
    rules: &Rules,
    document: &[u8],
    scan: &mut Scan,
    (scope, slot, captures): (usize, Slot, Option<u32>),
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
            scope,
            slot,
            captures,
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
            scope: 0,
            slot,
            captures,
            value,
            reason: ValueFaultReason::NotACount,
        };
        refused.add(rules, document, scan);
    }
    number
}
