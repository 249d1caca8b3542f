//! Gives points as MQTT publishes: topic, payload, retain.

use crate::decoded::{Decoded, Place};
use crate::found::Context;
use crate::origin::{Origin, Topic};
use crate::render::push_topic;

/// One publish, borrowed for the time of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The topic, prefix included.
    pub topic: &'a [u8],
    /// The value: a number with the text in which it arrived, a string without quotes and escapes.
    pub payload: &'a [u8],
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
    /// Which value of its frame it is.
    pub place: Place,
}

impl Decoded<'_> {
    /// Show every publish. Fields without a topic are left out.
    ///
    /// `origin` must be made for the profile that the document was scanned by.
    pub fn publishes(&self, origin: &Origin, mut visit: impl FnMut(Publish<'_>)) {
        let mut rendered = Vec::new();
        self.each_value(|place, field| {
            let Some(rule) = self.rules.fields.get(field.field as usize) else {
                return;
            };
            let Some(Some(topic)) = origin.topics.get(field.field as usize) else {
                return;
            };
            visit(Publish {
                topic: self.topic_text(topic, field.context, &mut rendered),
                payload: &self.text(field.value),
                retain: rule.retain,
                place,
            });
        });
    }

    /// The text of a topic; `rendered` is a buffer for a topic that depends on the document.
    #[inline]
    pub(crate) fn topic_text<'t>(
        &self,
        topic: &'t Topic,
        context: Context,
        rendered: &'t mut Vec<u8>,
    ) -> &'t [u8] {
        match topic {
            Topic::Fixed(text) => text,
            Topic::Rendered { prefix, topic } => {
                rendered.clear();
                rendered.extend_from_slice(prefix);
                push_topic(topic, self.document, self.scan, context, rendered);
                rendered
            }
        }
    }
}
