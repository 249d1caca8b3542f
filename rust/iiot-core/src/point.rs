//! Gives values one by one, for a sink that keeps them itself: the series, its topic, and the value's text.

use crate::decoded::{Decoded, FrameTime};
use crate::json::Kind;
use crate::origin::{Head, Origin, Topic};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointKind {
    /// A JSON number.
    Number,
    /// `true` or `false`.
    Bool,
    /// A text.
    String,
}

/// One value of a point. Lent for the time of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point<'a> {
    /// Its series as line protocol writes it, up to the equals sign of the field: `temperature,node=node1 value=`.
    pub series: &'a [u8],
    /// The field, if series and topic are the same for every document of this origin: what was found for it once holds for ever.
    pub fixed: Option<u32>,
    /// The topic, prefix included, if it is published.
    pub topic: Option<&'a [u8]>,
    /// Nanoseconds since 1970.
    pub time_ns: i64,
    /// What the value is.
    pub kind: PointKind,
    /// The value: a number as the text it came as, a string without quotes and escapes.
    pub value: &'a [u8],
}

impl Decoded<'_> {
    /// Show every value, in the order of points and fields.
    ///
    /// `origin` must be made for the profile that the document was scanned by.
    pub fn values(&self, origin: &Origin, time: FrameTime, mut visit: impl FnMut(Point<'_>)) {
        let (mut series, mut rendered) = (Vec::new(), Vec::new());
        self.each_value(time, |_, time_ns, field| {
            let Some(head) = origin.heads.get(field.field as usize) else {
                return;
            };
            let kind = match field.value.kind {
                Kind::Number | Kind::Scientific | Kind::Integer => PointKind::Number,
                Kind::Bool => PointKind::Bool,
                Kind::String | Kind::EscapedString => PointKind::String,
                Kind::Missing | Kind::Null | Kind::Object | Kind::Array => return,
            };
            let topic = origin
                .topics
                .get(field.field as usize)
                .and_then(Option::as_ref);
            let fixed = matches!(head, Head::Fixed(_)) && topic.is_none_or(Topic::is_fixed);
            let series = if let Head::Fixed(block) = head {
                block.text.as_slice()
            } else {
                series.clear();
                self.push_head(head, field.context, &mut series);
                series.as_slice()
            };
            visit(Point {
                series,
                fixed: fixed.then_some(field.field),
                topic: topic.map(|t| self.topic_text(t, field.context, &mut rendered)),
                time_ns,
                kind,
                value: &self.text(field.value),
            });
        });
    }
}
