//! What a point is called and what it says, for those who show values rather than send them: topic, measurement, tags, field, value.

use std::borrow::Cow;

use crate::json::Kind;
use crate::line::push_head;
use crate::origin::{Head, Origin, Topic};
use crate::profile::Profile;
use crate::publish::push_whole_topic;
use crate::render::push_value;
use crate::scan::Scan;

/// What kind of value a point has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A number, as the text it came as.
    Number,
    /// `true` or `false`.
    Bool,
    /// A text, without quotes and escapes.
    Text,
}

/// One point of a document. Lent for the time of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation<'a> {
    /// The number of the point; [`Profile::write_name`] takes it.
    pub point: usize,
    /// The number of its metric in the profile.
    pub metric: u32,
    /// Every document gives the same name for this metric.
    pub named_by_metric: bool,
    /// The value.
    pub text: &'a [u8],
    /// What it is.
    pub kind: ValueKind,
}

/// The name of a series.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesName {
    /// The whole topic, if it is published.
    pub topic: Option<String>,
    /// The measurement.
    pub measurement: String,
    /// Tags in the order of their keys.
    pub tags: Vec<(String, String)>,
    /// The field.
    pub field: String,
}

impl Profile {
    /// Show every point of `scan`; it must hold what this profile found in `document`, and `origin` must be made for this profile.
    pub fn observations(
        &self,
        document: &[u8],
        scan: &Scan,
        origin: &Origin,
        mut visit: impl FnMut(Observation<'_>),
    ) {
        for (number, point) in scan.points.iter().enumerate() {
            let metric = point.metric as usize;
            let kind = match point.value.kind {
                Kind::Number | Kind::Scientific => ValueKind::Number,
                Kind::Bool => ValueKind::Bool,
                _ => ValueKind::Text,
            };
            let text = if point.value.kind == Kind::EscapedString {
                let mut text = Vec::new();
                push_value(document, point.value, &mut text);
                Cow::Owned(text)
            } else {
                Cow::Borrowed(point.value.text(document))
            };
            visit(Observation {
                point: number,
                metric: point.metric,
                named_by_metric: matches!(origin.heads.get(metric), Some(Head::Fixed(_)))
                    && !matches!(
                        origin.topics.get(metric),
                        Some(Some(Topic::Rendered { .. }))
                    ),
                text: &text,
                kind,
            });
        }
    }

    /// Append the name of a point in a form that is equal for equal names; [`SeriesName::read`] takes it apart.
    pub fn write_name(
        &self,
        document: &[u8],
        scan: &Scan,
        origin: &Origin,
        point: usize,
        out: &mut Vec<u8>,
    ) {
        let Some(point) = scan.points.get(point) else {
            return;
        };
        if let Some(Some(topic)) = origin.topics.get(point.metric as usize) {
            push_whole_topic(topic, document, scan, point.captures, out);
        }
        out.push(0);
        push_head(document, scan, origin, *point, out);
    }
}

impl SeriesName {
    /// Read what [`Profile::write_name`] wrote. A byte that is no UTF-8 becomes U+FFFD.
    pub fn read(name: &[u8]) -> Self {
        let split = name.iter().position(|byte| *byte == 0).unwrap_or(0);
        let (topic, head) = name.split_at(split);
        let mut parts = Parts {
            rest: head.get(1..).unwrap_or_default(),
        };
        let (measurement, mut end) = parts.next(b", ");
        let mut tags = Vec::new();
        while end == Some(b',') {
            let (key, _) = parts.next(b"=");
            let (value, behind) = parts.next(b", ");
            tags.push((key, value));
            end = behind;
        }
        let (field, _) = parts.next(b"=");
        Self {
            topic: (!topic.is_empty()).then(|| String::from_utf8_lossy(topic).into_owned()),
            measurement,
            tags,
            field,
        }
    }

    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }
}

/// Takes escaped pieces off a line's head.
struct Parts<'a> {
    rest: &'a [u8],
}

impl Parts<'_> {
    /// The piece before the first of `ends` that has no backslash before it, and which one that was.
    fn next(&mut self, ends: &[u8]) -> (String, Option<u8>) {
        let mut piece = Vec::new();
        while let Some((&byte, rest)) = self.rest.split_first() {
            self.rest = rest;
            if byte == b'\\' {
                // Heads hold no backslash but the one of an escape.
                if let Some((&escaped, rest)) = rest.split_first() {
                    piece.push(escaped);
                    self.rest = rest;
                }
            } else if ends.contains(&byte) {
                return (String::from_utf8_lossy(&piece).into_owned(), Some(byte));
            } else {
                piece.push(byte);
            }
        }
        (String::from_utf8_lossy(&piece).into_owned(), None)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const PROFILE: &str = r#"
name = "names"
[[metric]]
path = "t"
topic = "a/t"
measurement = "air temperature"
field = "value"
tags = { unit = "celsius", "k=1" = "a,b c" }
[[metric]]
path = "nodes.*"
topic = "{1}/text"
measurement = "text"
tags = { node = "{1}" }
type = "any"
"#;

    fn names(document: &[u8]) -> Vec<(SeriesName, String, ValueKind, bool)> {
        let profile = Profile::parse(PROFILE).unwrap();
        let origin = Origin::new(&profile, "iiot", &[("site".into(), "north".into())]).unwrap();
        let mut scan = Scan::new();
        profile.scan(document, &mut scan).unwrap();
        let mut all = Vec::new();
        profile.observations(document, &scan, &origin, |o| {
            let mut name = Vec::new();
            profile.write_name(document, &scan, &origin, o.point, &mut name);
            let text = String::from_utf8(o.text.to_vec()).unwrap();
            all.push((SeriesName::read(&name), text, o.kind, o.named_by_metric));
        });
        all
    }

    #[test]
    fn a_name_that_every_document_gives_is_read_back_unescaped() {
        //! Commas, spaces and equals signs are escaped in lines, not in names.
        let tags = [("k=1", "a,b c"), ("site", "north"), ("unit", "celsius")];
        let expected = SeriesName {
            topic: Some("iiot/a/t".into()),
            measurement: "air temperature".into(),
            tags: tags.map(|(k, v)| (k.into(), v.into())).to_vec(),
            field: "value".into(),
        };

        let all = names(br#"{"t":27.60}"#);

        assert_eq!(all, [(expected, "27.60".into(), ValueKind::Number, true)]);
    }

    #[test]
    fn a_name_with_wildcards_comes_from_the_document() {
        //! Text values lose quotes and escapes; the topic's levels stay levels.
        let all = names(br#"{"nodes":{"n/1":"say \"hi\"","n2":true}}"#);

        let seen: Vec<_> = all
            .iter()
            .map(|(name, text, kind, fixed)| {
                (
                    name.topic.as_deref(),
                    name.tag("node"),
                    text.as_str(),
                    *kind,
                    *fixed,
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (
                    Some("iiot/n_1/text"),
                    Some("n/1"),
                    "say \"hi\"",
                    ValueKind::Text,
                    false
                ),
                (
                    Some("iiot/n2/text"),
                    Some("n2"),
                    "true",
                    ValueKind::Bool,
                    false
                ),
            ]
        );
    }
}
