//! Gives points one by one, for a sink that keeps them itself: the series, its topic, and the value's text.

use std::borrow::Cow;

use crate::json::Kind;
use crate::line::push_head;
use crate::origin::{Head, Origin, Topic};
use crate::profile::Profile;
use crate::publish::topic_text;
use crate::render::push_value;
use crate::scan::Scan;

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

/// One point. Lent for the time of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point<'a> {
    /// Its series as line protocol writes it, up to the equals sign of the field: `temperature,node=node1 value=`.
    pub series: &'a [u8],
    /// The metric, if series and topic are the same for every document of this origin: what was found for it once holds for ever.
    pub fixed: Option<u32>,
    /// The topic, prefix included, if it is published.
    pub topic: Option<&'a [u8]>,
    /// What the value is.
    pub kind: PointKind,
    /// The value: a number as the text it came as, a string without quotes and escapes.
    pub value: &'a [u8],
}

impl Profile {
    /// Show every point of `scan`, in the order of their numbers.
    ///
    /// `scan` must hold what this profile found in `document`, and `origin` must be made for this profile.
    pub fn points(
        &self,
        document: &[u8],
        scan: &Scan,
        origin: &Origin,
        mut visit: impl FnMut(Point<'_>),
    ) {
        let (mut series, mut rendered) = (Vec::new(), Vec::new());
        for point in &scan.points {
            let metric = point.metric as usize;
            let Some(head) = origin.heads.get(metric) else {
                continue;
            };
            let kind = match point.value.kind {
                Kind::Number | Kind::Scientific => PointKind::Number,
                Kind::Bool => PointKind::Bool,
                Kind::String | Kind::EscapedString => PointKind::String,
                Kind::Missing | Kind::Null | Kind::Object | Kind::Array => continue,
            };
            let topic = origin.topics.get(metric).and_then(Option::as_ref);
            let fixed = matches!(head, Head::Fixed(_)) && topic.is_none_or(Topic::is_fixed);
            let series = if let Head::Fixed(block) = head {
                block.text.as_slice()
            } else {
                series.clear();
                push_head(head, document, scan, point.captures, &mut series);
                series.as_slice()
            };
            let value = if point.value.kind == Kind::EscapedString {
                let mut text = Vec::new();
                push_value(document, point.value, &mut text);
                Cow::Owned(text)
            } else {
                Cow::Borrowed(point.value.text(document))
            };
            visit(Point {
                series,
                fixed: fixed.then_some(point.metric),
                topic: topic.map(|t| topic_text(t, document, scan, point.captures, &mut rendered)),
                kind,
                value: &value,
            });
        }
    }
}
