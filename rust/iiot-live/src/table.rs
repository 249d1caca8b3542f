//! The newest value of every series, within a limit of series.

use crate::samples::Samples;
use iiot_core::point::ValueKind;
use iiot_core::series::SeriesName;
use iiot_journal::OriginInfo;
use std::collections::HashMap;

/// At most this many series are shown; values of further ones are counted.
pub const MAX_SERIES: usize = 4096;

/// The present state of one series.
#[derive(Debug)]
pub(crate) struct Series {
    /// The whole topic, if it is published.
    pub topic: Option<String>,
    pub name: SeriesName,
    /// Empty until a frame in this process names it.
    pub source: String,
    /// Whether its node is the receiver.
    pub is_of_receiver: bool,
    pub kind: ValueKind,
    /// The value as it came.
    pub text: Vec<u8>,
    pub time_ns: i64,
    pub received_at_ns: i64,
    /// Values seen since the start.
    pub count: u64,
    pub samples: Samples,
    /// The version of the table in which the series became known, and the version of its last change.
    pub added: u64,
    pub changed: u64,
}

/// A value of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value<'a> {
    pub text: &'a [u8],
    pub kind: ValueKind,
    pub time_ns: i64,
    pub received_at_ns: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub series: Vec<Series>,
    by_key: HashMap<Vec<u8>, usize>,
    by_topic: HashMap<String, usize>,
    by_field: HashMap<(i64, u32), usize>,
    /// Values of series beyond the limit.
    pub values_not_shown: u64,
}

impl Table {
    /// Add a value from before this process, of which only the topic is known.
    pub(crate) fn remember(&mut self, topic: String, text: Vec<u8>, time_ns: i64, version: u64) {
        if self.series.len() >= MAX_SERIES || self.by_topic.contains_key(&topic) {
            return;
        }
        let kind = match std::str::from_utf8(&text) {
            Ok("true" | "false") => ValueKind::Bool,
            Ok(text) if text.parse::<f64>().is_ok_and(f64::is_finite) => ValueKind::Number,
            _ => ValueKind::String,
        };
        self.by_topic.insert(topic.clone(), self.series.len());
        self.series.push(Series {
            topic: Some(topic),
            name: SeriesName::default(),
            source: String::new(),
            is_of_receiver: false,
            kind,
            text,
            time_ns,
            received_at_ns: time_ns,
            count: 0,
            samples: Samples::default(),
            added: version,
            changed: version,
        });
    }

    /// The place of a series whose name is the same in every frame of an origin.
    pub(crate) fn of_field(&self, origin: i64, field: u32) -> Option<usize> {
        self.by_field.get(&(origin, field)).copied()
    }

    pub(crate) fn set_field(&mut self, origin: i64, field: u32, at: usize) {
        self.by_field.insert((origin, field), at);
    }

    /// The place of a series by its key; a new one is added while there is room.
    pub(crate) fn keyed(
        &mut self,
        key: &[u8],
        topic: Option<&[u8]>,
        name: impl FnOnce() -> SeriesName,
        info: &OriginInfo,
        version: u64,
    ) -> Option<usize> {
        if let Some(&at) = self.by_key.get(key) {
            return Some(at);
        }
        let topic = topic.map(|topic| String::from_utf8_lossy(topic).into_owned());
        let remembered = topic
            .as_ref()
            .and_then(|topic| self.by_topic.get(topic).copied());
        if let Some((at, series)) = remembered.and_then(|at| Some((at, self.series.get_mut(at)?)))
            && series.source.is_empty()
        {
            series.name = name();
            series.is_of_receiver = is_of_receiver(&series.name, info);
            series.source.clone_from(&info.source);
            series.added = version;
            self.by_key.insert(key.to_vec(), at);
            return Some(at);
        }
        if self.series.len() >= MAX_SERIES {
            return None;
        }
        let at = self.series.len();
        if let Some(topic) = &topic {
            self.by_topic.insert(topic.clone(), at);
        }
        self.by_key.insert(key.to_vec(), at);
        let name = name();
        self.series.push(Series {
            topic,
            is_of_receiver: is_of_receiver(&name, info),
            name,
            source: info.source.clone(),
            kind: ValueKind::Number,
            text: Vec::new(),
            time_ns: i64::MIN,
            received_at_ns: 0,
            count: 0,
            samples: Samples::default(),
            added: version,
            changed: version,
        });
        Some(at)
    }

    /// Add a value. A value with an older time than the newest one came late: it is counted, but not shown.
    pub(crate) fn set(&mut self, at: usize, value: Value<'_>, version: u64) {
        let Some(series) = self.series.get_mut(at) else {
            return;
        };
        series.count += 1;
        series.changed = version;
        if value.time_ns < series.time_ns {
            return;
        }
        series.kind = value.kind;
        series.text.clear();
        series.text.extend_from_slice(value.text);
        series.time_ns = value.time_ns;
        series.received_at_ns = value.received_at_ns;
        let number = match value.kind {
            ValueKind::Number | ValueKind::Integer => std::str::from_utf8(value.text)
                .ok()
                .and_then(|text| text.parse().ok()),
            ValueKind::Bool => Some(f64::from(u8::from(value.text == b"true"))),
            ValueKind::String => None,
        };
        if let Some(number) = number {
            series
                .samples
                .push(value.received_at_ns / 1_000_000, number);
        }
    }
}

fn is_of_receiver(name: &SeriesName, info: &OriginInfo) -> bool {
    let node = name.tag("node");
    node.is_some_and(|node| info.profile.is_receiver(node))
}
