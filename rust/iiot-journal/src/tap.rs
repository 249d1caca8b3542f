//! A reader of committed frames, for display: it has no cursor and no ledger, and holds nothing back.
//!
//! Committed rows are kept in a ring of bounded size until the next look. After too long a pause, a look gives only the newest rows,
//! and the number of frames that were left out.

use crate::error::Result;
use crate::journal::Journal;
use crate::links::LinkCounts;
use crate::mutex::lock;
use crate::origins::{OriginInfo, Origins};
use crate::reader;
use crate::row::Row;
use crate::schema;
use crate::shared::Shared;
use crate::tap_ring::TapRing;
use rusqlite::Connection;
use std::sync::Arc;

/// Rows since the last look.
#[derive(Debug, Default)]
pub struct Look {
    /// In the order of their positions.
    pub rows: Vec<Arc<Row>>,
    /// Frames that were committed before these and were not kept.
    pub left_out: u64,
}

/// The last value of a topic that a sink has confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastValue {
    /// The whole topic.
    pub topic: String,
    /// What was published.
    pub payload: Vec<u8>,
    /// The time of the frame it came from, nanoseconds since 1970.
    pub time_ns: i64,
}

/// Follows a running journal. There is one per journal: a second one would take the rows of the first.
pub struct Tap {
    shared: Arc<Shared>,
    db: Connection,
    origins: Origins,
}

impl Journal {
    /// Begin to follow: the first look gives the newest kept frames. `max_bytes` are kept between two looks; above 0.
    pub fn tap(&self, max_bytes: usize) -> Result<Tap> {
        let db = schema::open_for_reading(&self.path)?;
        {
            let mut ring = lock(&self.shared.tap);
            let head = lock(&self.shared.progress).head;
            ring.max_bytes = max_bytes.max(1);
            ring.push(&reader::newest(&db, head, max_bytes)?);
            // They could not have been looked at before.
            ring.left_out = 0;
        }
        Ok(Tap {
            shared: Arc::clone(&self.shared),
            db,
            origins: Origins::default(),
        })
    }
}

impl Tap {
    /// Take what was committed since the last look.
    pub fn look(&mut self) -> Look {
        let mut ring = lock(&self.shared.tap);
        ring.bytes = 0;
        Look {
            rows: std::mem::take(&mut ring.rows).into(),
            left_out: std::mem::take(&mut ring.left_out),
        }
    }

    /// What the frames of a row have in common.
    pub fn origin(&mut self, id: i64) -> Result<Arc<OriginInfo>> {
        self.origins.get(&self.db, id)
    }

    /// The counts of a node's link since the start; `node` is the fingerprint of its name.
    pub fn link(&self, source: &str, node: u64) -> Option<LinkCounts> {
        lock(&self.shared.links).get(source, node)
    }

    /// The last confirmed value of every topic, the newest of all sinks.
    pub fn last_values(&self) -> Result<Vec<LastValue>> {
        let mut query = self.db.prepare(
            "SELECT topic, payload, max(time_ns) FROM topic GROUP BY topic ORDER BY topic",
        )?;
        let rows = query.query_map([], |r| {
            Ok(LastValue {
                topic: r.get(0)?,
                payload: r.get(1)?,
                time_ns: r.get(2)?,
            })
        })?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        *lock(&self.shared.tap) = TapRing::default();
    }
}
