//! Series: the measurement, tags and field that a value belongs to, as names and as one text that identifies the series.

use std::iter::Peekable;
use std::slice::Iter;

use crate::point::{Field, Point};

/// Measurement, tags and field, as the profile and the document give them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeriesName {
    /// What is measured.
    pub measurement: String,
    /// In the order of their keys.
    pub tags: Vec<(String, String)>,
    /// Which value of it.
    pub field: String,
}

/// Append the key of a series: `temperature,node=node1 value=`. A backslash precedes each comma, blank and backslash, and each equals sign of a tag or field.
///
/// If its names have no backslashes and control characters, the key is the part of line protocol before the value.
pub fn push_key(point: &Point<'_>, field: &Field<'_>, out: &mut Vec<u8>) {
    push_shared_key(point, out);
    push_field_key(field, out);
}

/// Append the part of a key that all fields of a point share.
pub fn push_shared_key(point: &Point<'_>, out: &mut Vec<u8>) {
    let from = out.len();
    point.push_measurement(out);
    escape(out, from, b", \\");
    point.tags(|key, value, _| {
        for (mark, text) in [(b',', key.as_bytes()), (b'=', value)] {
            out.push(mark);
            let from = out.len();
            out.extend_from_slice(text);
            escape(out, from, b", =\\");
        }
    });
}

/// Append the part of a key that follows the shared one.
pub fn push_field_key(field: &Field<'_>, out: &mut Vec<u8>) {
    out.push(b' ');
    let from = out.len();
    field.push_name(out);
    escape(out, from, b", =\\");
    out.push(b'=');
}

/// Put a backslash before each special byte from `from` on.
fn escape(out: &mut Vec<u8>, from: usize, special: &[u8]) {
    let names = out.get(from..).unwrap_or_default();
    let Some(first) = names.iter().position(|byte| special.contains(byte)) else {
        return;
    };
    for byte in out.split_off(from + first) {
        if special.contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

impl SeriesName {
    /// The name of a field's series.
    pub fn of(point: &Point<'_>, field: &Field<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (mut measurement, mut name) = (Vec::new(), Vec::new());
        point.push_measurement(&mut measurement);
        field.push_name(&mut name);
        let mut tags = Vec::new();
        point.tags(|key, value, _| tags.push((key.to_owned(), text(value))));
        Self {
            measurement: text(&measurement),
            tags,
            field: text(&name),
        }
    }

    /// Split a key into its parts; `None` if the text is not a key. Bytes that are not UTF-8 become U+FFFD.
    pub fn read(series: &[u8]) -> Option<Self> {
        let mut rest = series.iter().peekable();
        let measurement = piece(&mut rest, b", ");
        let mut tags = Vec::new();
        while rest.next_if_eq(&&b',').is_some() {
            let key = piece(&mut rest, b"=");
            rest.next();
            tags.push((key, piece(&mut rest, b", ")));
        }
        rest.next();
        let field = piece(&mut rest, b"=");
        (rest.next() == Some(&b'=') && rest.next().is_none()).then_some(Self {
            measurement,
            tags,
            field,
        })
    }

    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }
}

/// The measurement of a line or series, in its escaped form: the text before the first comma or blank that no backslash escapes.
pub fn measurement(line: &[u8]) -> &[u8] {
    let mut is_escaped = false;
    let end = line.iter().position(|byte| {
        let is_end = !is_escaped && matches!(byte, b',' | b' ');
        is_escaped = !is_escaped && *byte == b'\\';
        is_end
    });
    line.get(..end.unwrap_or(line.len())).unwrap_or(line)
}

/// The text up to one of the bytes that end it, without its escapes.
fn piece(rest: &mut Peekable<Iter<'_, u8>>, ends: &[u8]) -> String {
    let mut text = Vec::new();
    while let Some(&byte) = rest.next_if(|byte| !ends.contains(byte)) {
        // Every backslash precedes the character that it escapes.
        text.push(if byte == b'\\' {
            rest.next().copied().unwrap_or(byte)
        } else {
            byte
        });
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{SeriesName, measurement};

    #[test]
    fn commas_spaces_and_equals_signs_are_escaped_in_the_text_and_not_in_the_name() {
        let name =
            SeriesName::read(br"a\,b=c\ d,node=a/b+c#d\ e\,f\=g,k\=1=percent va\=lue=").unwrap();

        assert_eq!(name.measurement, "a,b=c d");
        let expected = [("node", "a/b+c#d e,f=g"), ("k=1", "percent")];
        assert_eq!(
            name.tags,
            expected.map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        assert_eq!(name.tag("k=1"), Some("percent"));
        assert_eq!(name.field, "va=lue");
    }

    #[test]
    fn the_measurement_ends_at_the_first_comma_or_blank_without_a_backslash() {
        for (line, name) in [
            (&br"a\,b=c\ d,node=1 value=2 3"[..], &br"a\,b=c\ d"[..]),
            (b"m value=1 2", b"m"),
            (b"m", b"m"),
            (b"", b""),
        ] {
            assert_eq!(measurement(line), name);
        }
    }

    #[test]
    fn a_series_without_tags_has_none() {
        let expected = SeriesName {
            measurement: "m".into(),
            field: "f".into(),
            tags: vec![],
        };
        assert_eq!(SeriesName::read(b"m f="), Some(expected));
    }

    #[test]
    fn what_is_no_series_has_no_name() {
        for text in [
            &b""[..],
            b"a",
            b"a,b",
            b"a b",
            b"a b=c",
            b"a,b=c",
            b"\\",
            b"a b\\=",
        ] {
            assert_eq!(SeriesName::read(text), None, "{}", text.escape_ascii());
        }
    }
}
