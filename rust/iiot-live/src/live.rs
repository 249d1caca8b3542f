//! Following the journal: decode what was committed since the last look, at the pace of whoever asks.

use crate::link::{LinkTable, Signal};
use crate::table::{Table, Value};
use iiot_core::hash::fingerprint;
use iiot_core::scan::Scan;
use iiot_journal::{OriginInfo, Result, Row, Tap};

/// The newest values of a running gateway.
pub struct Live {
    pub(crate) tap: Tap,
    scan: Scan,
    name: Vec<u8>,
    signal: Signal,
    pub(crate) table: Table,
    pub(crate) links: LinkTable,
    /// Rises with every look that found something.
    pub(crate) version: u64,
    /// Frames that came faster than somebody looked.
    pub(crate) frames_left_out: u64,
}

impl Live {
    /// Begin with the last values that sinks have confirmed.
    pub fn new(tap: Tap) -> Result<Self> {
        let mut table = Table::default();
        for value in tap.last_values()? {
            table.remember(value.topic, value.payload, value.time_ns, 1);
        }
        Ok(Self {
            tap,
            scan: Scan::new(),
            name: Vec::new(),
            signal: Signal::default(),
            table,
            links: LinkTable::default(),
            version: 1,
            frames_left_out: 0,
        })
    }

    /// Decode what was committed since the last call. Returns the version of the table.
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
            name,
            signal,
            table,
            links,
            ..
        } = self;
        for frame in row.frames() {
            if info.profile.scan(frame.document, scan).is_err() {
                continue;
            }
            signal.clear();
            info.profile
                .observations(frame.document, scan, &info.origin, |o| {
                    let known = o
                        .named_by_metric
                        .then(|| table.of_metric(row.origin, o.metric))
                        .flatten();
                    let at = known.or_else(|| {
                        name.clear();
                        info.profile
                            .write_name(frame.document, scan, &info.origin, o.point, name);
                        let at = table.named(name, &info.source, version)?;
                        if o.named_by_metric {
                            table.set_metric(row.origin, o.metric, at);
                        }
                        Some(at)
                    });
                    let Some(at) = at else {
                        table.values_not_shown += 1;
                        return;
                    };
                    let value = Value {
                        text: o.text,
                        kind: o.kind,
                        time_ns: frame.time_ns,
                        received_at_ns: frame.received_at_ns,
                    };
                    table.set(at, value, version);
                    if let Some(series) = table.series.get(at) {
                        signal.take(&series.name.measurement, o.text);
                    }
                });
            if let [sequence] = scan.sequences() {
                let node = scan.node_name(sequence);
                let key = fingerprint(node.as_bytes());
                if let Some(link) = links.of_node(row.origin, key, &info.source, node) {
                    link.received(signal, frame.received_at_ns, version);
                }
            }
        }
    }
}
