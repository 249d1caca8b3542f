//! A device snapshot: the tags that the registry gave a device when a document of it was accepted. They win over all other tags of a point.
//!
//! ```text
//! (key length varint | key | value length varint | value)*     in the order of the keys as lines escape them
//! ```
//!
//! A scan keeps the snapshot together with the document's joined names. The tags of the snapshot come before all others, so that points without
//! further tags share them.

use std::fmt;

use crate::found::{FoundTag, Value};
use crate::kind::Kind;
use crate::render::{compare_escaped, is_plain};
use crate::rules::Rules;
use crate::scan::Scan;
use crate::varint;

/// A snapshot has at most so many bytes.
pub const MAX_DEVICE_BYTES: usize = 16 * 1024;

/// Why tags cannot be those of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceError {
    /// A tag has no key.
    EmptyKey,
    /// All keys and values together are too long.
    TooLong {
        /// How many bytes the snapshot would have.
        bytes: usize,
    },
}

impl fmt::Display for DeviceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyKey => formatter.write_str("a tag of a device has an empty key"),
            Self::TooLong { bytes } => write!(
                formatter,
                "the tags of a device take {bytes} bytes, {MAX_DEVICE_BYTES} are allowed"
            ),
        }
    }
}

impl std::error::Error for DeviceError {}

/// The snapshot of a device with these tags. Tags without a value are left out. If line protocol writes several keys in the same way, the last one
/// counts.
pub fn device_snapshot(tags: &[(&str, &str)]) -> Result<Vec<u8>, DeviceError> {
    if tags.iter().any(|(key, _)| key.is_empty()) {
        return Err(DeviceError::EmptyKey);
    }
    let mut sorted: Vec<(&[u8], &[u8])> = tags
        .iter()
        .map(|(key, value)| (key.as_bytes(), value.as_bytes()))
        .collect();
    sorted.sort_by(|left, right| compare_escaped(left.0, right.0));
    let mut out = Vec::new();
    for (at, (key, value)) in sorted.iter().enumerate() {
        let next = sorted.get(at + 1);
        let is_again = next.is_some_and(|(next, _)| compare_escaped(key, next).is_eq());
        if is_again || value.is_empty() {
            continue;
        }
        for text in [key, value] {
            varint::push(&mut out, text.len() as u64);
            out.extend_from_slice(text);
        }
    }
    if out.len() > MAX_DEVICE_BYTES {
        return Err(DeviceError::TooLong { bytes: out.len() });
    }
    Ok(out)
}

/// The tags of a snapshot. Ends at the first bytes that are not a valid tag.
pub fn snapshot_tags(snapshot: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = snapshot;
    let mut text = move || {
        let length = usize::try_from(varint::take(&mut rest)?).ok()?;
        varint::take_bytes(&mut rest, length)
    };
    std::iter::from_fn(move || Some((text()?, text()?)))
}

/// The value of a tag of a snapshot.
pub fn snapshot_tag<'a>(snapshot: &'a [u8], key: &str) -> Option<&'a [u8]> {
    snapshot_tags(snapshot)
        .find(|(known, _)| *known == key.as_bytes())
        .map(|(_, value)| value)
}

/// Keep the snapshot of a document's device. Must be called before anything else is found in the document.
pub(crate) fn enter(rules: &Rules, snapshot: &[u8], scan: &mut Scan) {
    scan.device_values.clear();
    scan.device_tags = 0;
    if snapshot.is_empty() {
        return;
    }
    scan.device_values.resize(rules.device_keys.len(), 0..0);
    let mut put = |text: &[u8]| {
        let start = scan.joined.len() as u32;
        scan.joined.extend_from_slice(text);
        (start, scan.joined.len() as u32)
    };
    for (key, text) in snapshot_tags(snapshot) {
        let (start, end) = put(key);
        let (from, to) = put(text);
        let value = Value {
            kind: Kind::String,
            start: from,
            end: to,
        };
        scan.tags.push(FoundTag {
            start,
            end,
            value,
            is_plain: is_plain(key),
            is_of_device: true,
        });
        let mut named = rules.device_keys.iter().zip(&mut scan.device_values);
        if let Some((_, place)) = named.find(|(known, _)| known.as_bytes() == key) {
            *place = from..to;
        }
    }
    scan.device_tags = scan.tags.len() as u32;
}

/// Merge the tags of the device with those that the document gave a point, which begin at `first`. Returns the range of all of them.
pub(crate) fn merge(first: usize, scan: &mut Scan) -> (u32, u32) {
    let count = scan.device_tags;
    if count == 0 {
        return (first as u32, scan.tags.len() as u32);
    }
    if first == scan.tags.len() {
        return (0, count);
    }
    let own = scan.tags.split_off(first);
    let mut own = own.into_iter().peekable();
    for at in 0..count as usize {
        let Some(tag) = scan.tags.get(at).copied() else {
            break;
        };
        let key = scan.joined.get(tag.start as usize..tag.end as usize);
        let key = key.unwrap_or_default();
        let compare = |other: &FoundTag| {
            let other = scan.joined.get(other.start as usize..other.end as usize);
            compare_escaped(other.unwrap_or_default(), key)
        };
        while let Some(before) = own.next_if(|other| compare(other).is_lt()) {
            scan.tags.push(before);
        }
        while own.next_if(|other| compare(other).is_eq()).is_some() {}
        scan.tags.push(tag);
    }
    scan.tags.extend(own);
    (first as u32, scan.tags.len() as u32)
}

impl Scan {
    /// The tags of the device alone.
    pub(crate) fn tags_of_device(&self) -> &[FoundTag] {
        self.tags
            .get(..self.device_tags as usize)
            .unwrap_or_default()
    }

    /// Append the value of a tag that the document or the device gave.
    pub(crate) fn push_tag_value(&self, document: &[u8], tag: &FoundTag, out: &mut Vec<u8>) {
        if tag.is_of_device {
            out.extend_from_slice(tag.value.text(&self.joined));
        } else {
            crate::render::push_value(document, tag.value, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEVICE_BYTES, device_snapshot, snapshot_tag, snapshot_tags};

    #[test]
    fn a_snapshot_has_its_tags_in_the_order_of_lines() {
        let snapshot = device_snapshot(&[
            ("location", "hall 1"),
            ("device_id", "e1"),
            ("a b", "x"),
            ("a", ""),
            ("device_name", "Oven"),
            ("device_id", "e2"),
        ])
        .unwrap();
        let tags: Vec<_> = snapshot_tags(&snapshot).collect();
        let expected: [(&[u8], &[u8]); 4] = [
            (b"a b", b"x"),
            (b"device_id", b"e2"),
            (b"device_name", b"Oven"),
            (b"location", b"hall 1"),
        ];
        assert_eq!(tags, expected);
        assert_eq!(snapshot_tag(&snapshot, "device_id"), Some(&b"e2"[..]));
        assert_eq!(snapshot_tag(&snapshot, "other"), None);
    }

    #[test]
    fn tags_without_a_key_and_too_many_bytes_are_refused() {
        assert!(device_snapshot(&[("", "x")]).is_err());
        let long = "x".repeat(MAX_DEVICE_BYTES);
        assert!(device_snapshot(&[("a", &long)]).is_err());
    }
}
