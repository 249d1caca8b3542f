//! A profile together with the topic prefix and tags of the configuration. Texts that do not depend on a document are made here, once.

use std::fmt;

use crate::profile::Profile;
use crate::render::{push_escaped_measurement, push_escaped_tag};
use crate::rules::{Address, FieldName, OthersRule, PointRule};
use crate::template::Template;

/// The parts of a profile's lines and topics that are known before any document.
#[derive(Clone, Debug)]
pub struct Origin {
    /// By field.
    pub(crate) heads: Vec<Head>,
    pub(crate) parts: Vec<HeadParts>,
    pub(crate) topics: Vec<Option<Topic>>,
    /// By point.
    pub(crate) tags: Vec<Vec<Tag>>,
}

/// Who gave a point a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagOrigin {
    /// The profile.
    Profile,
    /// The configuration: the same tag for every point.
    Configuration,
    /// The document, because the profile says that values with such names are tags.
    Document,
    /// The registry, for the device that the document is of.
    Device,
}

/// A tag of a point, in the forms that encoders need.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: Template<Address>,
    pub(crate) origin: TagOrigin,
}

/// The part of a line with one field that comes before the value.
#[derive(Clone, Debug)]
pub(crate) enum Head {
    /// It is the same for every document that brings no tags.
    Fixed(Block),
    Rendered,
}

/// The parts from which a head is rendered.
#[derive(Clone, Debug)]
pub(crate) struct HeadParts {
    pub(crate) measurement: Template<Address>,
    /// Keys are escaped.
    pub(crate) tags: Vec<(Vec<u8>, TagValue)>,
    pub(crate) name: Name,
}

/// A field's name in a line: escaped; `None` is its key in the document.
pub(crate) type Name = Option<Vec<u8>>;

#[derive(Clone, Debug)]
pub(crate) enum TagValue {
    Fixed(Vec<u8>),
    Rendered(Template<Address>),
}

/// A topic, prefix included.
#[derive(Clone, Debug)]
pub(crate) enum Topic {
    Fixed(Vec<u8>),
    Rendered {
        prefix: Vec<u8>,
        topic: Template<Address>,
    },
}

impl Topic {
    /// Whether it is the same for every document.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }
}

/// A text whose first bytes are in a block of fixed size: copying a whole block is much faster than copying an exact number of bytes.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) text: Vec<u8>,
    pub(crate) first: [u8; Block::SIZE],
}

impl Block {
    pub(crate) const SIZE: usize = 64;

    fn new(text: Vec<u8>) -> Self {
        let mut first = [0; Self::SIZE];
        for (to, from) in first.iter_mut().zip(&text) {
            *to = *from;
        }
        Self { text, first }
    }
}

/// A topic prefix or tag that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginError {
    /// The topic prefix contains a wildcard (`+`, `#`) or NUL.
    TopicPrefix(String),
    /// A tag has no key.
    EmptyTagKey,
}

impl fmt::Display for OriginError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TopicPrefix(prefix) => write!(
                formatter,
                "topic prefix {prefix:?} holds `+`, `#` or NUL, which topics cannot"
            ),
            Self::EmptyTagKey => formatter.write_str("a tag has an empty key"),
        }
    }
}

impl std::error::Error for OriginError {}

impl Origin {
    /// Join a profile with a topic prefix (may be empty) and tags for every line. If a point has a tag with the same key, the point's tag
    /// counts.
    pub fn new(
        profile: &Profile,
        topic_prefix: &str,
        tags: &[(String, String)],
    ) -> Result<Self, OriginError> {
        if topic_prefix.contains(['+', '#', '\0']) {
            return Err(OriginError::TopicPrefix(topic_prefix.to_owned()));
        }
        if tags.iter().any(|(key, _)| key.is_empty()) {
            return Err(OriginError::EmptyTagKey);
        }
        let mut prefix = topic_prefix.trim_end_matches('/').as_bytes().to_vec();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        let rules = &profile.rules;
        let mut origin = Self {
            heads: Vec::with_capacity(rules.fields.len()),
            parts: Vec::with_capacity(rules.fields.len()),
            topics: Vec::with_capacity(rules.fields.len()),
            tags: rules.points.iter().map(|p| all_tags(p, tags)).collect(),
        };
        for field in &rules.fields {
            let number = field.point as usize;
            let (Some(point), Some(tags)) = (rules.points.get(number), origin.tags.get(number))
            else {
                continue;
            };
            let (head, parts) = head(point, &field.name, tags);
            origin.heads.push(head);
            origin.parts.push(parts);
            let topic = field.topic.as_ref();
            origin
                .topics
                .push(topic.map(|template| self::topic(&prefix, template)));
        }
        Ok(origin)
    }
}

fn topic(prefix: &[u8], template: &Template<Address>) -> Topic {
    match template.fixed() {
        Some(text) => Topic::Fixed([prefix, text.as_bytes()].concat()),
        None => Topic::Rendered {
            prefix: prefix.to_vec(),
            topic: template.clone(),
        },
    }
}

/// The tags that the profile gives a point, and the configuration's tags that they do not hide, in the order of line protocol.
fn all_tags(point: &PointRule, shared: &[(String, String)]) -> Vec<Tag> {
    let own = point.tags.iter().map(|(key, value)| Tag {
        key: key.clone(),
        value: value.clone(),
        origin: TagOrigin::Profile,
    });
    let mut tags: Vec<Tag> = own.collect();
    for (key, value) in shared {
        if !tags.iter().any(|tag| escaped(&tag.key) == escaped(key)) {
            tags.push(Tag {
                key: key.clone(),
                value: Template::of_text(value),
                origin: TagOrigin::Configuration,
            });
        }
    }
    tags.retain(|tag| tag.value.fixed() != Some(""));
    tags.sort_by_cached_key(|tag| escaped(&tag.key));
    tags
}

fn head(point: &PointRule, name: &FieldName, tags: &[Tag]) -> (Head, HeadParts) {
    let tags = tags.iter().map(|tag| {
        let value = match tag.value.fixed() {
            Some(text) => TagValue::Fixed(escaped(text)),
            None => TagValue::Rendered(tag.value.clone()),
        };
        (escaped(&tag.key), value)
    });
    let tags: Vec<(Vec<u8>, TagValue)> = tags.collect();

    let name = match name {
        FieldName::Fixed(name) => Some(escaped(name)),
        FieldName::Key => None,
    };
    let fixed_tags: Option<Vec<(&Vec<u8>, &Vec<u8>)>> = tags
        .iter()
        .map(|(key, value)| {
            if let TagValue::Fixed(text) = value {
                Some((key, text))
            } else {
                None
            }
        })
        .collect();
    // A document may bring tags of its own.
    let is_open = point.others.iter().any(OthersRule::has_tags);
    let head = match (point.measurement.fixed(), fixed_tags, &name) {
        (Some(measurement), Some(fixed), Some(name)) if !is_open => {
            let mut text = Vec::new();
            push_escaped_measurement(measurement.as_bytes(), &mut text);
            for (key, value) in fixed {
                push_tag(key, value, &mut text);
            }
            push_name(b' ', name, &mut text);
            Head::Fixed(Block::new(text))
        }
        _ => Head::Rendered,
    };
    let measurement = point.measurement.clone();
    let parts = HeadParts {
        measurement,
        tags,
        name,
    };
    (head, parts)
}

fn escaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    push_escaped_tag(text.as_bytes(), &mut out);
    out
}

/// Append the name of a field, which is escaped already, and an equals sign; `before` is a space or a comma.
pub(crate) fn push_name(before: u8, name: &[u8], out: &mut Vec<u8>) {
    out.push(before);
    out.extend_from_slice(name);
    out.push(b'=');
}

/// Append a comma and one tag; key and value are escaped already.
pub(crate) fn push_tag(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.push(b',');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
}
