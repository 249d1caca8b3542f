//! Writes points as `InfluxDB` line protocol: one line per point; numbers keep the text in which they arrived.

use std::cmp::Ordering;

use crate::decoded::{Decoded, FrameTime};
use crate::found::{Context, FieldRef, FoundTag};
use crate::kind::Kind;
use crate::line_end::Tail;
use crate::origin::{Block, Head, HeadParts, Name, Origin, TagValue, push_name, push_tag};
use crate::render::{
    escaped_tag_bytes, push_escaped_measurement, push_escaped_tag, push_string_field,
    push_template, push_value,
};

/// Values up to this length are copied as one block.
const VALUE_BLOCK: usize = 16;

/// How integers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Integers {
    /// `45000i`.
    #[default]
    Typed,
    /// `45000`, for a database in which another program has written them in this way.
    AsFloats,
}

impl Decoded<'_> {
    /// Append one line for every point, in the order of their numbers. Returns how many.
    ///
    /// `origin` must be made for the profile that the document was scanned by.
    pub fn write_lines(&self, origin: &Origin, time: FrameTime, out: &mut Vec<u8>) -> usize {
        self.write_lines_as(Integers::Typed, origin, time, out, |_| {})
    }

    /// As [`write_lines`](Self::write_lines). `ended` is told the length of `out` behind each line.
    pub fn write_lines_as(
        &self,
        integers: Integers,
        origin: &Origin,
        time: FrameTime,
        out: &mut Vec<u8>,
        mut ended: impl FnMut(usize),
    ) -> usize {
        let tail = Tail::new(time.time_ns);
        if self.scan.has_points {
            for point in &self.scan.points {
                let (own, fields) = (self.time_of(*point, time), self.fields_of(*point));
                let tags = self.scan.tags_of(point);
                if own == time.time_ns {
                    self.write_line(fields, tags, integers, origin, &tail, out);
                } else {
                    self.write_line(fields, tags, integers, origin, &Tail::new(own), out);
                }
                ended(out.len());
            }
            return self.scan.points.len();
        }
        let tags = self.scan.tags_of_device();
        if !tags.is_empty() || self.write_fixed(origin, &tail, out, &mut ended).is_none() {
            for field in &self.scan.fields {
                let field = std::slice::from_ref(field);
                self.write_line(field, tags, integers, origin, &tail, out);
                ended(out.len());
            }
        }
        self.scan.fields.len()
    }

    /// Write all points of one field, if none needs rendering; otherwise write nothing. Each line is three block copies into a buffer that is long
    /// enough. The surplus bytes of a block are overwritten by the next block.
    fn write_fixed(
        &self,
        origin: &Origin,
        tail: &Tail,
        out: &mut Vec<u8>,
        ended: &mut impl FnMut(usize),
    ) -> Option<()> {
        let fields = &self.scan.fields;
        let mut bound = Block::SIZE;
        for field in fields {
            match (origin.heads.get(field.field as usize)?, field.value.kind) {
                (Head::Fixed(head), Kind::Number | Kind::Scientific | Kind::Bool) => {
                    let length = field.value.end - field.value.start;
                    bound += head.text.len() + length as usize + tail.length;
                }
                _ => return None,
            }
        }
        let mut at = out.len();
        out.resize(at + bound, 0);
        for field in fields {
            let Some(Head::Fixed(head)) = origin.heads.get(field.field as usize) else {
                continue;
            };
            at = if head.text.len() <= Block::SIZE {
                put(out, at, &head.first, head.text.len())
            } else {
                put_long(out, at, &head.text)
            };
            let length = (field.value.end - field.value.start) as usize;
            let block = self
                .document
                .get(field.value.start as usize..)
                .and_then(<[u8]>::first_chunk::<VALUE_BLOCK>);
            at = match block {
                Some(block) if length <= VALUE_BLOCK => put(out, at, block, length),
                _ => put_long(out, at, field.value.text(self.document)),
            };
            at = put(out, at, &tail.block, tail.length);
            ended(at);
        }
        out.truncate(at);
        Some(())
    }

    /// Append the line of a point.
    fn write_line(
        &self,
        fields: &[FieldRef],
        tags: &[FoundTag],
        integers: Integers,
        origin: &Origin,
        tail: &Tail,
        out: &mut Vec<u8>,
    ) {
        for (number, field) in fields.iter().enumerate() {
            let at = field.field as usize;
            let (Some(head), Some(parts)) = (origin.heads.get(at), origin.parts.get(at)) else {
                continue;
            };
            if number > 0 {
                self.push_field_name(b',', &parts.name, field.context, out);
            } else if let Head::Fixed(head) = head
                && tags.is_empty()
            {
                out.extend_from_slice(&head.text);
            } else {
                self.push_head(parts, field.context, tags, out);
            }
            match field.value.kind {
                Kind::String | Kind::EscapedString => {
                    let mut raw = Vec::new();
                    push_value(self.document, field.value, &mut raw);
                    push_string_field(&raw, out);
                }
                Kind::LevelText => push_string_field(&self.text(field.value), out),
                Kind::LevelNumber => self.push_text(field.value, out),
                Kind::Integer | Kind::LevelInteger => {
                    self.push_text(field.value, out);
                    if integers == Integers::Typed {
                        out.push(b'i');
                    }
                }
                _ => out.extend_from_slice(field.value.text(self.document)),
            }
        }
        out.extend_from_slice(tail.text());
    }

    /// Append the part of a line with this field that comes before the value.
    fn push_head(
        &self,
        parts: &HeadParts,
        context: Context,
        found: &[FoundTag],
        out: &mut Vec<u8>,
    ) {
        let (document, scan) = (self.document, self.scan);
        let mut raw = Vec::new();
        push_template(&parts.measurement, document, scan, context, &mut raw);
        push_escaped_measurement(&raw, out);
        let mut found = found.iter().peekable();
        for (key, value) in &parts.tags {
            // A tag of the document hides one of the configuration, and one of the device hides all others.
            while let Some(tag) = found.next_if(|tag| self.compare_key(tag, key).is_lt()) {
                self.push_found_tag(tag, out);
            }
            if found
                .peek()
                .is_some_and(|tag| self.compare_key(tag, key).is_eq())
            {
                continue;
            }
            match value {
                TagValue::Fixed(text) => push_tag(key, text, out),
                TagValue::Rendered(template) => {
                    raw.clear();
                    push_template(template, document, scan, context, &mut raw);
                    if !raw.is_empty() {
                        push_tag(key, b"", out);
                        push_escaped_tag(&raw, out);
                    }
                }
            }
        }
        for tag in found {
            self.push_found_tag(tag, out);
        }
        self.push_field_name(b' ', &parts.name, context, out);
    }

    /// Compare a tag of the document or its device with a key that is escaped already.
    fn compare_key(&self, tag: &FoundTag, key: &[u8]) -> Ordering {
        let raw = self.scan.tag_key(tag);
        if tag.is_plain {
            return raw.cmp(key);
        }
        escaped_tag_bytes(raw).cmp(key.iter().copied())
    }

    fn push_found_tag(&self, tag: &FoundTag, out: &mut Vec<u8>) {
        out.push(b',');
        push_escaped_tag(self.scan.tag_key(tag), out);
        out.push(b'=');
        if tag.is_of_device {
            push_escaped_tag(tag.value.text(&self.scan.joined), out);
        } else {
            push_escaped_tag(&self.text(tag.value), out);
        }
    }

    fn push_field_name(&self, before: u8, name: &Name, context: Context, out: &mut Vec<u8>) {
        let Some(name) = name else {
            let number = context.captures as usize;
            if let Some(joined) = self
                .scan
                .joined_name(number)
                .filter(|name| !name.is_empty())
            {
                out.push(before);
                push_escaped_tag(joined, out);
                out.push(b'=');
                return;
            }
            let mut raw = Vec::new();
            self.scan.push_capture(self.document, number, &mut raw);
            if raw.is_empty() {
                raw.push(b'_');
            }
            out.push(before);
            push_escaped_tag(&raw, out);
            out.push(b'=');
            return;
        };
        push_name(before, name, out);
    }
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
