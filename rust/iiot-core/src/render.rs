//! Renders values, wildcards and templates as text: plain, as a topic level, or as a part of line protocol.

use std::cmp::Ordering;

use crate::found::{Context, Value};
use crate::json_text::unescape;
use crate::kind::Kind;
use crate::mqtt_text::make_level;
use crate::rules::Address;
use crate::scan::Scan;
use crate::template::{Part, Template};

/// Append the text of a value: a string without quotes and escapes, anything else as written; nothing for null, objects and arrays.
pub(crate) fn push_value(document: &[u8], value: Value, out: &mut Vec<u8>) {
    match value.kind {
        Kind::Bool | Kind::Number | Kind::Scientific | Kind::Integer | Kind::String => {
            out.extend_from_slice(value.text(document));
        }
        Kind::EscapedString => unescape(value.text(document), out),
        Kind::Missing | Kind::Null | Kind::Object | Kind::Array => {}
        // These are not in the document; `Decoded::text` knows them.
        kind => debug_assert!(kind.is_level(), "{kind:?}"),
    }
}

/// Append the text of one part of a template.
fn push_part(
    part: &Part<Address>,
    document: &[u8],
    scan: &Scan,
    context: Context,
    out: &mut Vec<u8>,
) {
    match part {
        Part::Text(text) => out.extend_from_slice(text.as_bytes()),
        Part::Value(Address::Level(number)) => {
            let place = scan.levels.get(*number as usize).cloned().unwrap_or(0..0);
            let level = scan.topic.get(place.start as usize..place.end as usize);
            out.extend_from_slice(level.unwrap_or_default());
        }
        Part::Value(Address::Topic) => out.extend_from_slice(&scan.topic),
        Part::Value(Address::Device(number)) => {
            let place = scan.device_values.get(*number as usize).cloned();
            let place = place.unwrap_or(0..0);
            let value = scan.joined.get(place.start as usize..place.end as usize);
            out.extend_from_slice(value.unwrap_or_default());
        }
        Part::Value(address) => push_value(document, scan.value(context.table, *address), out),
        Part::Wildcard(number) => {
            scan.push_capture(document, context.captures as usize + number, out);
        }
    }
}

/// Append a template's text.
pub(crate) fn push_template(
    template: &Template<Address>,
    document: &[u8],
    scan: &Scan,
    context: Context,
    out: &mut Vec<u8>,
) {
    for part in &template.parts {
        push_part(part, document, scan, context, out);
    }
}

/// Append a template's text as a topic. Text from the document cannot add levels, wildcards or characters that MQTT does not allow, and is never empty.
pub(crate) fn push_topic(
    template: &Template<Address>,
    document: &[u8],
    scan: &Scan,
    context: Context,
    out: &mut Vec<u8>,
) {
    for part in &template.parts {
        let start = out.len();
        push_part(part, document, scan, context, out);
        if matches!(part, Part::Text(_)) {
            continue;
        }
        if out.len() == start {
            out.push(b'_');
        }
        make_level(out, start);
    }
}

/// What is escaped in tag keys, tag values and field keys.
const TAG_SPECIAL: &[u8] = b", =";

/// Append `raw` as a tag key, a tag value or a field key: commas, spaces and equals signs are escaped. A backslash has no escape that every database
/// understands, and a control character has none at all, so both become `_`.
pub(crate) fn push_escaped_tag(raw: &[u8], out: &mut Vec<u8>) {
    push_escaped(raw, TAG_SPECIAL, out);
}

/// Append `raw` as a measurement. Empty ones become `_`, and so does a `#` at the start, which would make the line a comment.
pub(crate) fn push_escaped_measurement(raw: &[u8], out: &mut Vec<u8>) {
    match raw.split_first() {
        None => out.push(b'_'),
        Some((b'#', rest)) => {
            out.push(b'_');
            push_escaped(rest, b", ", out);
        }
        Some(_) => push_escaped(raw, b", ", out),
    }
}

/// Which of two tag keys comes first in a line; they are compared in their escaped form.
pub(crate) fn compare_escaped(left: &[u8], right: &[u8]) -> Ordering {
    escaped_tag_bytes(left).cmp(escaped_tag_bytes(right))
}

fn push_escaped(raw: &[u8], special: &[u8], out: &mut Vec<u8>) {
    for &byte in raw {
        if special.contains(&byte) {
            out.push(b'\\');
        }
        out.push(line_byte(byte));
    }
}

/// The byte that lines have in the place of this one; [`push_escaped_tag`] says why.
pub(crate) const fn line_byte(byte: u8) -> u8 {
    match byte {
        0..=0x1f | 0x7f | b'\\' => b'_',
        byte => byte,
    }
}

/// Whether [`push_escaped_tag`] appends the text as it is.
pub(crate) fn is_plain(raw: &[u8]) -> bool {
    raw.iter()
        .all(|byte| line_byte(*byte) == *byte && !TAG_SPECIAL.contains(byte))
}

/// The bytes that [`push_escaped_tag`] appends, one by one.
pub(crate) fn escaped_tag_bytes(raw: &[u8]) -> impl Iterator<Item = u8> {
    raw.iter().flat_map(|&byte| {
        let escape = TAG_SPECIAL.contains(&byte).then_some(b'\\');
        escape.into_iter().chain([line_byte(byte)])
    })
}

/// Append `raw` as a string field, quotes included. Control characters become spaces, so that a line stays one line.
pub(crate) fn push_string_field(raw: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in raw {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..=0x1f | 0x7f => out.push(b' '),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
