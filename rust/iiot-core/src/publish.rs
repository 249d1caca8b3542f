//! Gives points as MQTT publishes: topic, payload, retain.

use std::borrow::Cow;

use crate::decoded::{Decoded, Place};
use crate::found::{Context, FieldRef};
use crate::origin::{Origin, Topic};
use crate::render::push_topic;

/// One publish. Lent for the time of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish<'a> {
    /// The topic, prefix included.
    pub topic: &'a [u8],
    /// The value: a number as the text it came as, a string without quotes and escapes.
    pub payload: &'a [u8],
    /// Whether the broker shall keep it for those who come later.
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
        self.each_point(|point, _, fields| {
            for (number, field) in (0..).zip(fields) {
                let Some(rule) = self.rules.fields.get(field.field as usize) else {
                    continue;
                };
                let Some(Some(topic)) = origin.topics.get(field.field as usize) else {
                    continue;
                };
                visit(Publish {
                    topic: self.topic_text(topic, field.context, &mut rendered),
                    payload: &self.payload(*field),
                    retain: rule.retain,
                    place: Place {
                        point,
                        field: number,
                    },
                });
            }
        });
    }

    /// The text of a value.
    pub(crate) fn payload(&self, field: FieldRef) -> Cow<'_, [u8]> {
        self.text_in_place(field).map_or_else(
            || {
                let mut text = Vec::new();
                self.push_text(field, &mut text);
                Cow::Owned(text)
            },
            Cow::Borrowed,
        )
    }

    /// The text of a topic; `rendered` is room for one that depends on the document.
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
