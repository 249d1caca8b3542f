//! Writes points as JSON: one object per point and line; numbers keep the text in which they arrived.

use crate::decoded::{Decoded, FrameTime};
use crate::origin::Origin;
use crate::point::{Point, ValueKind};

impl Decoded<'_> {
    /// Append one line for every point, in the order of their numbers:
    /// `{"measurement":"temperature","tags":{"node":"1"},"fields":{"value":27.60},"time":1764393600000000000}`. The time is nanoseconds since 1970. `ended` is told the
    /// length of `out` behind each line.
    ///
    /// `origin` must be made for the profile that the document was scanned by.
    pub fn write_json_lines(
        &self,
        origin: &Origin,
        time: FrameTime,
        out: &mut Vec<u8>,
        mut ended: impl FnMut(usize),
    ) {
        self.for_each_point(origin, time, |point| {
            push_point(&point, out);
            ended(out.len());
        });
    }
}

fn push_point(point: &Point<'_>, out: &mut Vec<u8>) {
    let mut raw = Vec::new();
    out.extend_from_slice(b"{\"measurement\":");
    point.push_measurement(&mut raw);
    push_string(&raw, out);
    out.extend_from_slice(b",\"tags\":{");
    let mut separator: &[u8] = b"";
    point.tags(|key, value, _| {
        out.extend_from_slice(std::mem::replace(&mut separator, b","));
        push_string(key.as_bytes(), out);
        out.push(b':');
        push_string(value, out);
    });
    out.extend_from_slice(b"},\"fields\":{");
    let mut separator: &[u8] = b"";
    for field in point.fields() {
        out.extend_from_slice(std::mem::replace(&mut separator, b","));
        raw.clear();
        field.push_name(&mut raw);
        push_string(&raw, out);
        out.push(b':');
        match field.kind {
            ValueKind::String => push_string(&field.text(), out),
            ValueKind::Number | ValueKind::Integer | ValueKind::Bool => {
                out.extend_from_slice(&field.text());
            }
        }
    }
    out.extend_from_slice(b"},\"time\":");
    out.extend_from_slice(point.time_ns.to_string().as_bytes());
    out.extend_from_slice(b"}\n");
}

/// Append a JSON string. The line separators U+2028 and U+2029 are escaped as well, because some readers end a line at them.
fn push_string(raw: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for character in String::from_utf8_lossy(raw).chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}
