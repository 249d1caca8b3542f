//! Marks: user properties of MQTT 5 that identify a value published by a gateway for every receiver.
//!
//! | property | value |
//! |---|---|
//! | `iiot-origin` | the id of the journal that holds the value's frame |
//! | `iiot-position` | `RUN.POSITION.POINT.FIELD`: the run of that journal, the frame, the point and its field; `again` for a value that was published before |
//! | `iiot-time` | the time of the value, nanoseconds since 1970 |
//!
//! Origin and position together name one value, however often it is received, and by any receiver. Pure.

use std::str::from_utf8;

use iiot_core::Place;

const ORIGIN: &str = "iiot-origin";
const POSITION: &str = "iiot-position";
const TIME: &str = "iiot-time";
/// In place of a position: a value that the broker accepted before. It is published again to bring its topic up to date, or to try the broker.
const AGAIN: &str = "again";
/// The longest id of a journal or run that is read.
const MAX_ID_BYTES: usize = 64;

/// The journal that holds a value, and the run that accepted its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The journal's id.
    pub origin: &'a str,
    /// The run's id.
    pub run: &'a str,
}

/// The mark of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueMark<'a> {
    /// Journal and run.
    pub identity: Identity<'a>,
    /// The frame.
    pub position: u64,
    /// Which value of the frame.
    pub place: Place,
    /// Nanoseconds since 1970.
    pub time_ns: i64,
}

/// The meaning of a message's properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark<'a> {
    /// A value.
    Value(ValueMark<'a>),
    /// A value that was published before: every receiver of all messages has it.
    Again,
}

/// User properties, in the form that the client library needs.
pub(crate) type Properties = Vec<(String, String)>;

impl ValueMark<'_> {
    /// As properties.
    pub(crate) fn properties(&self) -> Properties {
        let Identity { origin, run } = self.identity;
        let Place { point, field } = self.place;
        let position = format!("{run}.{}.{point}.{field}", self.position);
        vec![
            (ORIGIN.to_owned(), origin.to_owned()),
            (POSITION.to_owned(), position),
            (TIME.to_owned(), self.time_ns.to_string()),
        ]
    }
}

/// The properties of a value that was published before.
pub(crate) fn again() -> Properties {
    vec![(POSITION.to_owned(), AGAIN.to_owned())]
}

/// How many bytes properties add to a packet that has none.
pub(crate) fn packet_bytes(properties: &Properties) -> usize {
    let bytes: usize = properties
        .iter()
        .map(|(name, value)| 5 + name.len() + value.len())
        .sum();
    // The length of the properties takes a second byte from here on.
    bytes + usize::from(bytes > 127)
}

/// Collects a mark from the user properties of a message, in any order.
#[derive(Debug, Default)]
pub(crate) struct MarkReader<'a> {
    origin: Option<&'a str>,
    position: Option<&'a str>,
    time_ns: Option<i64>,
}

impl<'a> MarkReader<'a> {
    /// A user property.
    pub(crate) fn take(&mut self, name: &[u8], value: &'a [u8]) {
        let Ok(value) = from_utf8(value) else { return };
        if name == ORIGIN.as_bytes() {
            self.origin = Some(value).filter(|id| is_id(id));
        } else if name == POSITION.as_bytes() {
            self.position = Some(value);
        } else if name == TIME.as_bytes() {
            self.time_ns = value.parse().ok();
        }
    }

    /// The collected mark; none if there is no mark or only a part of one.
    pub(crate) fn mark(&self) -> Option<Mark<'a>> {
        let position = self.position?;
        if position == AGAIN {
            return Some(Mark::Again);
        }
        let mut parts = position.split('.');
        let run = parts.next().filter(|id| is_id(id))?;
        let mark = ValueMark {
            identity: Identity {
                origin: self.origin?,
                run,
            },
            position: parts.next()?.parse().ok()?,
            place: Place {
                point: parts.next()?.parse().ok()?,
                field: parts.next()?.parse().ok()?,
            },
            time_ns: self.time_ns?,
        };
        parts.next().is_none().then_some(Mark::Value(mark))
    }
}

fn is_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(properties: &Properties) -> Option<Mark<'_>> {
        let mut reader = MarkReader::default();
        for (name, value) in properties {
            reader.take(name.as_bytes(), value.as_bytes());
        }
        reader.mark()
    }

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let mark = ValueMark {
            identity: Identity {
                origin: "0a1b",
                run: "ffee",
            },
            position: u64::MAX,
            place: Place { point: 3, field: 7 },
            time_ns: -5,
        };
        let mut properties = mark.properties();
        properties.reverse();
        properties.push(("source".to_owned(), "another".to_owned()));
        assert_eq!(read(&properties), Some(Mark::Value(mark)));
        assert_eq!(read(&again()), Some(Mark::Again));
    }

    #[test]
    fn a_part_of_a_mark_is_none() {
        let whole = [
            (ORIGIN, "0a1b"),
            (POSITION, "ffee.1.0.0"),
            (TIME, "1000000000"),
        ];
        let with = |changed: &str, value: Option<&str>| {
            let properties: Properties = whole
                .iter()
                .filter_map(|&(name, good)| {
                    let value = if name == changed { value? } else { good };
                    Some((name.to_owned(), value.to_owned()))
                })
                .collect();
            read(&properties).is_some()
        };
        assert!(with("", None));
        for name in [ORIGIN, POSITION, TIME] {
            assert!(!with(name, None));
            assert!(!with(name, Some("")));
        }
        for position in [
            "ffee.1.0",
            "ffee.1.0.0.0",
            "ffee.-1.0.0",
            ".1.0.0",
            "ff ee.1.0.0",
        ] {
            assert!(!with(POSITION, Some(position)), "{position}");
        }
        assert!(!with(ORIGIN, Some(&"a".repeat(65))));
        assert!(!with(TIME, Some("99999999999999999999")));
    }
}
