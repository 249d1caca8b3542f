//! Writes points as `InfluxDB` line protocol: one line a point, numbers as the text they came as.

use crate::json::Kind;
use crate::origin::{Block, Head, Origin, TagValue, push_tag};
use crate::profile::Profile;
use crate::render::{
    push_escaped_measurement, push_escaped_tag, push_string_field, push_template, push_value,
};
use crate::scan::{PointRef, Scan};

/// Values up to this length are copied as one block.
const VALUE_BLOCK: usize = 16;

impl Profile {
    /// Append one line for every point of `scan`, in the order of their numbers. Returns how many.
    ///
    /// `scan` must hold what this profile found in `document`, and `origin` must be made for this profile.
    pub fn write_lines(
        &self,
        document: &[u8],
        scan: &Scan,
        origin: &Origin,
        time_ns: i64,
        out: &mut Vec<u8>,
    ) -> usize {
        let tail = Tail::new(time_ns);
        if write_fixed(document, scan, origin, &tail, out).is_none() {
            for point in &scan.points {
                write_any(document, scan, origin, *point, &tail, out);
            }
        }
        scan.points.len()
    }
}

/// A line's end: a space, the time, a line feed.
struct Tail {
    block: [u8; Tail::SIZE],
    length: usize,
}

impl Tail {
    const SIZE: usize = 32;

    fn new(time_ns: i64) -> Self {
        let mut digits = [b'0'; 20];
        let mut rest = time_ns.unsigned_abs();
        let mut first = digits.len();
        for (place, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            first = place;
            if rest == 0 {
                break;
            }
        }
        let mut block = [0; Self::SIZE];
        let sign: &[u8] = if time_ns < 0 { b" -" } else { b" " };
        let text = sign
            .iter()
            .chain(digits.get(first..).unwrap_or_default())
            .chain(b"\n");
        let mut length = 0;
        for (to, from) in block.iter_mut().zip(text) {
            *to = *from;
            length += 1;
        }
        Self { block, length }
    }

    fn text(&self) -> &[u8] {
        self.block.get(..self.length).unwrap_or_default()
    }
}

/// Write all points, if none needs anything rendered; otherwise nothing. Each line is three block copies into a buffer made long enough before, of
/// which what is too much is overwritten by the next.
fn write_fixed(
    document: &[u8],
    scan: &Scan,
    origin: &Origin,
    tail: &Tail,
    out: &mut Vec<u8>,
) -> Option<()> {
    let mut bound = Block::SIZE;
    for point in &scan.points {
        match (origin.heads.get(point.metric as usize)?, point.value.kind) {
            (Head::Fixed(head), Kind::Number | Kind::Scientific | Kind::Bool) => {
                bound +=
                    head.text.len() + (point.value.end - point.value.start) as usize + tail.length;
            }
            _ => return None,
        }
    }
    let mut at = out.len();
    out.resize(at + bound, 0);
    for point in &scan.points {
        let Some(Head::Fixed(head)) = origin.heads.get(point.metric as usize) else {
            continue;
        };
        at = if head.text.len() <= Block::SIZE {
            put(out, at, &head.first, head.text.len())
        } else {
            put_long(out, at, &head.text)
        };
        let length = (point.value.end - point.value.start) as usize;
        let block = document
            .get(point.value.start as usize..)
            .and_then(<[u8]>::first_chunk::<VALUE_BLOCK>);
        at = match block {
            Some(block) if length <= VALUE_BLOCK => put(out, at, block, length),
            _ => put_long(out, at, point.value.text(document)),
        };
        at = put(out, at, &tail.block, tail.length);
    }
    out.truncate(at);
    Some(())
}

#[inline]
fn put<const N: usize>(out: &mut [u8], at: usize, block: &[u8; N], length: usize) -> usize {
    if let Some(to) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<N>) {
        *to = *block;
    }
    at + length
}

#[cold]
fn put_long(out: &mut [u8], at: usize, text: &[u8]) -> usize {
    if let Some(to) = out.get_mut(at..at + text.len()) {
        to.copy_from_slice(text);
    }
    at + text.len()
}

fn write_any(
    document: &[u8],
    scan: &Scan,
    origin: &Origin,
    point: PointRef,
    tail: &Tail,
    out: &mut Vec<u8>,
) {
    match origin.heads.get(point.metric as usize) {
        Some(Head::Fixed(head)) => out.extend_from_slice(&head.text),
        Some(Head::Rendered {
            measurement,
            tags,
            field,
        }) => {
            let mut raw = Vec::new();
            push_template(measurement, document, scan, point.captures, &mut raw);
            push_escaped_measurement(&raw, out);
            for (key, value) in tags {
                match value {
                    TagValue::Fixed(text) => push_tag(key, text, out),
                    TagValue::Rendered(template) => {
                        raw.clear();
                        push_template(template, document, scan, point.captures, &mut raw);
                        if !raw.is_empty() {
                            push_tag(key, b"", out);
                            push_escaped_tag(&raw, out);
                        }
                    }
                }
            }
            out.extend_from_slice(field);
        }
        None => return,
    }
    if matches!(point.value.kind, Kind::String | Kind::EscapedString) {
        let mut raw = Vec::new();
        push_value(document, point.value, &mut raw);
        push_string_field(&raw, out);
    } else {
        out.extend_from_slice(point.value.text(document));
    }
    out.extend_from_slice(tail.text());
}
