//! Writes the table as JSON: all of it, or the changes. Values are texts as they came; times are milliseconds since 1970.

use crate::link::Link;
use crate::live::Live;
use crate::samples::Samples;
use crate::table::{MAX_SERIES, Series};
use iiot_core::point::ValueKind;
use serde::{Serialize, Serializer};
use std::borrow::Cow;

#[derive(Serialize)]
struct Latest<'a> {
    #[serde(flatten)]
    head: Head,
    series: Vec<SeriesDocument<'a>>,
    links: Vec<LinkDocument<'a>>,
}

#[derive(Serialize)]
struct Changes<'a> {
    #[serde(flatten)]
    head: Head,
    /// Series that became known since then, with all their data.
    added: Vec<SeriesDocument<'a>>,
    /// Series with a new value.
    changed: Vec<ValueDocument<'a>>,
    links: Vec<LinkDocument<'a>>,
}

#[derive(Serialize)]
struct Head {
    version: u64,
    max_series: usize,
    values_not_shown: u64,
    frames_left_out: u64,
}

#[derive(Serialize)]
struct SeriesDocument<'a> {
    #[serde(flatten)]
    value: ValueDocument<'a>,
    topic: Option<&'a str>,
    measurement: &'a str,
    field: &'a str,
    tags: Tags<'a>,
    unit: Option<&'a str>,
    source: &'a str,
    of_receiver: bool,
    samples: SamplesDocument<'a>,
}

#[derive(Serialize)]
struct ValueDocument<'a> {
    id: usize,
    value: Cow<'a, str>,
    kind: &'static str,
    time_ms: i64,
    received_at_ms: i64,
    count: u64,
}

#[derive(Serialize)]
struct LinkDocument<'a> {
    source: &'a str,
    node: &'a str,
    rssi_dbm: Option<Cow<'a, str>>,
    snr_db: Option<Cow<'a, str>>,
    received: u64,
    duplicate: u64,
    lost_on_air: i64,
    last_received_at_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rssi_samples: Option<SamplesDocument<'a>>,
}

struct Tags<'a>(&'a [(String, String)]);

impl Serialize for Tags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

#[derive(Clone, Copy)]
struct SamplesDocument<'a>(&'a Samples);

impl Serialize for SamplesDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

impl Live {
    /// The whole table, with samples.
    pub fn latest(&self) -> Vec<u8> {
        written(&Latest {
            head: self.head(),
            series: self.table.series.iter().enumerate().map(whole).collect(),
            links: self.link_documents(0, true),
        })
    }

    /// The changes after a version that the caller has.
    pub fn changes(&self, since: u64) -> Vec<u8> {
        let all = || self.table.series.iter().enumerate();
        written(&Changes {
            head: self.head(),
            added: all().filter(|(_, s)| s.added > since).map(whole).collect(),
            changed: all()
                .filter(|(_, s)| s.added <= since && s.changed > since)
                .map(value)
                .collect(),
            links: self.link_documents(since, false),
        })
    }

    fn head(&self) -> Head {
        Head {
            version: self.version,
            max_series: MAX_SERIES,
            values_not_shown: self.table.values_not_shown,
            frames_left_out: self.frames_left_out,
        }
    }

    fn link_documents(&self, since: u64, samples: bool) -> Vec<LinkDocument<'_>> {
        let text = |bytes: &'_ Vec<u8>| !bytes.is_empty() && bytes.is_ascii();
        let links = self.links.links.iter().filter(|l| l.changed > since);
        let document = |link: &'_ Link| {
            let counts = self.tap.link(&link.source, link.key).unwrap_or_default();
            (counts.accepted, counts.duplicate, counts.lost_on_air)
        };
        links
            .map(|link| {
                let (received, duplicate, lost_on_air) = document(link);
                LinkDocument {
                    source: &link.source,
                    node: &link.node,
                    rssi_dbm: text(&link.rssi_dbm).then(|| String::from_utf8_lossy(&link.rssi_dbm)),
                    snr_db: text(&link.snr_db).then(|| String::from_utf8_lossy(&link.snr_db)),
                    received,
                    duplicate,
                    lost_on_air,
                    last_received_at_ms: link.last_received_at_ns / 1_000_000,
                    rssi_samples: samples.then_some(SamplesDocument(&link.rssi_samples)),
                }
            })
            .collect()
    }
}

fn whole((id, series): (usize, &Series)) -> SeriesDocument<'_> {
    SeriesDocument {
        value: value((id, series)),
        topic: series.topic.as_deref(),
        measurement: &series.name.measurement,
        field: &series.name.field,
        tags: Tags(&series.name.tags),
        unit: series.name.tag("unit"),
        source: &series.source,
        of_receiver: series.is_of_receiver,
        samples: SamplesDocument(&series.samples),
    }
}

fn value((id, series): (usize, &Series)) -> ValueDocument<'_> {
    ValueDocument {
        id,
        value: String::from_utf8_lossy(&series.text),
        kind: match series.kind {
            ValueKind::Number | ValueKind::Integer => "number",
            ValueKind::Bool => "bool",
            ValueKind::String => "text",
        },
        time_ms: series.time_ns / 1_000_000,
        received_at_ms: series.received_at_ns / 1_000_000,
        count: series.count,
    }
}

fn written(document: &impl Serialize) -> Vec<u8> {
    // Texts, numbers and lists of them: writing to memory cannot fail.
    serde_json::to_vec(document).unwrap_or_default()
}
