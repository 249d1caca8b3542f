//! Gives points as MQTT publishes: topic, payload, retain.

use std::borrow::Cow;

use crate::json::Kind;
use crate::origin::{Origin, Topic};
use crate::profile::Profile;
use crate::render::{push_topic, push_value};
use crate::scan::Scan;

/// One publish. Lent for the time of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The topic, prefix included.
    pub topic: &'a [u8],
    /// The value: a number as the text it came as, a string without quotes and escapes.
    pub payload: &'a [u8],
    /// Whether the broker shall keep it for those who come later.
    pub retain: bool,
    /// The number of its point, which is the number of its line as well.
    pub point: usize,
}

impl Profile {
    /// Show every publish of `scan`. Points whose metric has no topic are left out.
    ///
    /// `scan` must hold what this profile found in `document`, and `origin` must be made for this profile.
    pub fn publishes(
        &self,
        document: &[u8],
        scan: &Scan,
        origin: &Origin,
        mut visit: impl FnMut(Publish<'_>),
    ) {
        let mut rendered = Vec::new();
        for (number, point) in scan.points.iter().enumerate() {
            let Some(metric) = self.rules.metrics.get(point.metric as usize) else {
                continue;
            };
            let Some(Some(topic)) = origin.topics.get(point.metric as usize) else {
                continue;
            };
            let topic = topic_text(topic, document, scan, point.captures, &mut rendered);
            let payload = if point.value.kind == Kind::EscapedString {
                let mut text = Vec::new();
                push_value(document, point.value, &mut text);
                Cow::Owned(text)
            } else {
                Cow::Borrowed(point.value.text(document))
            };
            visit(Publish {
                topic,
                payload: &payload,
                retain: metric.retain,
                point: number,
            });
        }
    }
}

/// The text of a topic; `rendered` is room for one that depends on the document.
pub(crate) fn topic_text<'a>(
    topic: &'a Topic,
    document: &[u8],
    scan: &Scan,
    captures: u32,
    rendered: &'a mut Vec<u8>,
) -> &'a [u8] {
    match topic {
        Topic::Fixed(text) => text,
        Topic::Rendered { prefix, topic } => {
            rendered.clear();
            rendered.extend_from_slice(prefix);
            push_topic(topic, document, scan, captures, rendered);
            rendered
        }
    }
}
