//! The name of a series, taken apart from its key: the topic, a NUL, and a line's head.

/// The name of a series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SeriesName {
    /// The whole topic, if it is published.
    pub topic: Option<String>,
    pub measurement: String,
    /// In the order of their keys.
    pub tags: Vec<(String, String)>,
    pub field: String,
}

/// Write the key of a point.
pub(crate) fn write_key(topic: Option<&[u8]>, head: &[u8], key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(topic.unwrap_or_default());
    // No topic holds a NUL.
    key.push(0);
    key.extend_from_slice(head);
}

impl SeriesName {
    /// Read a key. A byte that is no UTF-8 becomes U+FFFD.
    pub(crate) fn read(key: &[u8]) -> Self {
        let split = key.iter().position(|byte| *byte == 0).unwrap_or(0);
        let (topic, head) = key.split_at(split);
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
    pub(crate) fn tag(&self, key: &str) -> Option<&str> {
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
    /// The piece before the first of `ends` that is not escaped, and which one that was.
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
mod tests {
    use super::*;

    fn read(topic: Option<&str>, head: &str) -> SeriesName {
        let mut key = Vec::new();
        write_key(topic.map(str::as_bytes), head.as_bytes(), &mut key);
        SeriesName::read(&key)
    }

    #[test]
    fn commas_spaces_and_equals_signs_are_escaped_in_lines_and_not_in_names() {
        //! The key of a series comes apart into what the profile and the document said.
        let name = read(
            Some("iiot/a/t"),
            r"air\ temperature,k\=1=a\,b\ c,unit=celsius value=",
        );

        assert_eq!(name.topic.as_deref(), Some("iiot/a/t"));
        assert_eq!(name.measurement, "air temperature");
        assert_eq!(
            (name.tag("k=1"), name.tag("unit")),
            (Some("a,b c"), Some("celsius"))
        );
        assert_eq!(name.field, "value");
    }

    #[test]
    fn a_series_without_topic_and_tags_has_none() {
        //! Points that are written and not published.
        let expected = SeriesName {
            measurement: "m".into(),
            field: "f".into(),
            ..SeriesName::default()
        };

        assert_eq!(read(None, "m f="), expected);
    }
}
