//! Follows the journal: decodes the frames committed since the last call, at the pace of the caller.

use crate::link::LinkTable;
use crate::table::{Table, Value};
use iiot_core::hash::fingerprint;
use iiot_core::scan::Scan;
use iiot_core::series::{SeriesName, push_key};
use iiot_journal::{OriginInfo, Result, Row, Tap};

/// The newest values of a running gateway.
pub struct Live {
    pub(crate) tap: Tap,
    scan: Scan,
    /// Buffers for a topic, and for the name of a series here: its topic, a NUL, and its key.
    topic_room: Vec<u8>,
    key: Vec<u8>,
    pub(crate) table: Table,
    pub(crate) links: LinkTable,
    /// Increases with every call that found frames.
    pub(crate) version: u64,
    /// Frames that were skipped, because they came faster than the calls.
    pub(crate) frames_left_out: u64,
}

impl Live {
    /// Begin with the last values that the sinks have confirmed.
    pub fn new(tap: Tap) -> Result<Self> {
        let mut table = Table::default();
        for value in tap.last_values()? {
            table.remember(value.topic, value.payload, value.time_ns, 1);
        }
        Ok(Self {
            tap,
            scan: Scan::new(),
            topic_room: Vec::new(),
            key: Vec::new(),
            table,
            links: LinkTable::default(),
            version: 1,
            frames_left_out: 0,
        })
    }

    /// Decode the frames committed since the last call. Returns the version of the table.
    pub fn follow(&mut self) -> Result<u64> {
        let look = self.tap.look();
        self.frames_left_out += look.left_out;
        if !look.rows.is_empty() {
            self.version += 1;
        }
        for row in &look.rows {
            let info = self.tap.origin(row.origin)?;
            self.take(row, &info);
        }
        Ok(self.version)
    }

    fn take(&mut self, row: &Row, info: &OriginInfo) {
        let version = self.version;
        let Self {
            scan,
            topic_room,
            key,
            table,
            links,
            ..
        } = self;
        for frame in row.frames() {
            let Ok(decoded) = info.decode(&frame, scan) else {
                continue;
            };
            decoded.for_each_point(&info.origin, frame.time(), |point| {
                for field in point.fields() {
                    let fixed = field.fixed();
                    let known = fixed.and_then(|number| table.of_field(info.id, number));
                    let at = known.or_else(|| {
                        let topic = field.topic(topic_room);
                        key.clear();
                        key.extend_from_slice(topic.unwrap_or_default());
                        // No topic contains a NUL.
                        key.push(0);
                        push_key(&point, &field, key);
                        let series = || SeriesName::of(&point, &field);
                        let at = table.keyed(key, topic, series, info, version)?;
                        if let Some(number) = fixed {
                            table.set_field(info.id, number, at);
                        }
                        Some(at)
                    });
                    let Some(at) = at else {
                        table.values_not_shown += 1;
                        continue;
                    };
                    let text = field.text();
                    let value = Value {
                        text: &text,
                        kind: field.kind,
                        time_ns: point.time_ns,
                        received_at_ns: frame.received_at_ns,
                    };
                    table.set(at, value, version);
                }
            });
            if let [sequence] = decoded.sequences() {
                let node = decoded.node_name(sequence);
                let hash = fingerprint(node.as_bytes());
                if let Some(link) = links.of_node(info.id, hash, &info.source, node) {
                    link.received(decoded.signal(), frame.received_at_ns, version);
                }
            }
        }
    }
}
