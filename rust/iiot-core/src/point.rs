//! Gives typed points one by one, for encoders that need names, tags and fields separately: the local history, the newest values, JSON lines, rows.

use std::borrow::Cow;

use crate::decoded::{Decoded, FrameTime, Place};
use crate::found::{Context, FieldRef, FoundTag};
use crate::kind::Kind;
use crate::origin::{Head, Origin, Tag, TagOrigin, Topic};
use crate::render::{compare_escaped, push_template};
use crate::rules::{Address, FieldName};
use crate::template::Template;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A JSON number.
    Number,
    /// A whole number that fits 64 bits.
    Integer,
    /// `true` or `false`.
    Bool,
    /// A text.
    String,
}

/// One point: a measurement, its tags, at least one field, and a time.
#[derive(Clone, Copy, Debug)]
pub struct Point<'d> {
    decoded: Decoded<'d>,
    origin: &'d Origin,
    measurement: &'d Template<Address>,
    tags: &'d [Tag],
    found_tags: &'d [FoundTag],
    fields: &'d [FieldRef],
    /// Its number in the frame.
    pub number: u32,
    /// Nanoseconds since 1970.
    pub time_ns: i64,
}

/// One field of a point.
#[derive(Clone, Copy, Debug)]
pub struct Field<'d> {
    decoded: Decoded<'d>,
    origin: &'d Origin,
    found: FieldRef,
    /// Its point has tags that the document or its device gave it.
    has_found_tags: bool,
    /// Which value of its frame the field is.
    pub place: Place,
    /// What the value is.
    pub kind: ValueKind,
}

impl<'d> Decoded<'d> {
    /// Show every point, in the order of their numbers.
    ///
    /// `origin` must be made for the profile that the document was scanned by.
    #[inline]
    pub fn for_each_point(
        &self,
        origin: &'d Origin,
        time: FrameTime,
        mut visit: impl FnMut(Point<'d>),
    ) {
        self.each_point(time, |number, time_ns, fields, found_tags| {
            let rule = fields
                .first()
                .and_then(|field| self.rules.fields.get(field.field as usize))
                .map(|field| field.point as usize);
            if let Some(rule) = rule
                && let (Some(point), Some(tags)) =
                    (self.rules.points.get(rule), origin.tags.get(rule))
            {
                visit(Point {
                    decoded: *self,
                    origin,
                    measurement: &point.measurement,
                    tags,
                    found_tags,
                    fields,
                    number,
                    time_ns,
                });
            }
        });
    }
}

impl<'d> Point<'d> {
    /// Append the measurement; an empty one is `_`.
    pub fn push_measurement(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let Decoded { document, scan, .. } = self.decoded;
        push_template(self.measurement, document, scan, self.context(), out);
        if out.len() == start {
            out.push(b'_');
        }
    }

    /// Show the tags, sorted by their keys as line protocol escapes them. Tags without a value are left out; a tag of the profile or of the document hides one of
    /// the configuration, and one of the device hides all others.
    pub fn tags(&self, mut visit: impl FnMut(&str, &[u8], TagOrigin)) {
        let Decoded { document, scan, .. } = self.decoded;
        let mut text = Vec::new();
        let show_found =
            |tag: &FoundTag, text: &mut Vec<u8>, visit: &mut dyn FnMut(&str, &[u8], TagOrigin)| {
                text.clear();
                scan.push_tag_value(document, tag, text);
                let key = String::from_utf8_lossy(scan.tag_key(tag));
                let origin = if tag.is_of_device {
                    TagOrigin::Device
                } else {
                    TagOrigin::Document
                };
                visit(&key, text, origin);
            };
        let mut found = self.found_tags.iter().peekable();
        for tag in self.tags {
            let key = tag.key.as_bytes();
            while let Some(tag) =
                found.next_if(|tag| compare_escaped(scan.tag_key(tag), key).is_lt())
            {
                show_found(tag, &mut text, &mut visit);
            }
            if found
                .peek()
                .is_some_and(|tag| compare_escaped(scan.tag_key(tag), key).is_eq())
            {
                continue;
            }
            text.clear();
            push_template(&tag.value, document, scan, self.context(), &mut text);
            if !text.is_empty() {
                visit(&tag.key, &text, tag.origin);
            }
        }
        for tag in found {
            show_found(tag, &mut text, &mut visit);
        }
    }

    /// The fields, in their order.
    #[inline]
    pub fn fields(&self) -> impl Iterator<Item = Field<'d>> + use<'d> {
        let Self {
            decoded,
            origin,
            number: point,
            found_tags,
            ..
        } = *self;
        let fields = (0..).zip(self.fields);
        fields.filter_map(move |(number, field)| {
            let kind = match field.value.kind {
                Kind::Number | Kind::Scientific | Kind::LevelNumber => ValueKind::Number,
                Kind::Integer | Kind::LevelInteger => ValueKind::Integer,
                Kind::Bool => ValueKind::Bool,
                Kind::String | Kind::EscapedString | Kind::LevelText => ValueKind::String,
                Kind::Missing | Kind::Null | Kind::Object | Kind::Array => return None,
            };
            Some(Field {
                decoded,
                origin,
                found: *field,
                has_found_tags: !found_tags.is_empty(),
                place: Place {
                    point,
                    field: number,
                },
                kind,
            })
        })
    }

    fn context(&self) -> Context {
        self.fields
            .first()
            .map(|field| field.context)
            .unwrap_or_default()
    }
}

impl<'d> Field<'d> {
    /// The number of the profile's field, if series and topic are the same for every document of this origin. Then results for this number can be kept for
    /// ever.
    #[inline]
    pub fn fixed(&self) -> Option<u32> {
        if self.has_found_tags {
            return None;
        }
        let number = self.found.field as usize;
        let is_fixed = matches!(self.origin.heads.get(number)?, Head::Fixed(_))
            && self
                .origin
                .topics
                .get(number)?
                .as_ref()
                .is_none_or(Topic::is_fixed);
        is_fixed.then_some(self.found.field)
    }

    /// Append the name; an empty one is `_`.
    pub fn push_name(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let Decoded {
            document,
            scan,
            rules,
        } = self.decoded;
        match rules.fields.get(self.found.field as usize).map(|f| &f.name) {
            Some(FieldName::Fixed(name)) => out.extend_from_slice(name.as_bytes()),
            Some(FieldName::Key) => {
                scan.push_capture(document, self.found.context.captures as usize, out);
            }
            None => {}
        }
        if out.len() == start {
            out.push(b'_');
        }
    }

    /// The value: a number with the text in which it arrived, an integer as its digits, a string without quotes and escapes.
    #[inline]
    pub fn text(&self) -> Cow<'d, [u8]> {
        self.decoded.text(self.found.value)
    }

    /// The topic, prefix included, if the field is published. `room` is a buffer for a topic that depends on the document.
    #[inline]
    pub fn topic<'t>(&'t self, room: &'t mut Vec<u8>) -> Option<&'t [u8]> {
        let topic = self
            .origin
            .topics
            .get(self.found.field as usize)?
            .as_ref()?;
        Some(self.decoded.topic_text(topic, self.found.context, room))
    }
}
