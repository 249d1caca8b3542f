//! The committed rows that a tap has not looked at yet, of bounded size.

use crate::row::Row;
use std::collections::VecDeque;
use std::sync::Arc;

/// The memory of a row beside its body.
const ROW_OVERHEAD: usize = 96;

/// Committed rows since the last look.
#[derive(Debug, Default)]
pub(crate) struct TapRing {
    pub(crate) rows: VecDeque<Arc<Row>>,
    pub(crate) bytes: usize,
    /// 0 while there is no tap: nothing is kept then.
    pub(crate) max_bytes: usize,
    pub(crate) left_out: u64,
}

impl TapRing {
    pub(crate) fn push(&mut self, rows: &[Arc<Row>]) {
        if self.max_bytes == 0 {
            return;
        }
        // Frames that are offered to a sink again were shown when they came.
        for row in rows.iter().filter(|row| row.only_sink.is_none()) {
            self.bytes += row.body.len() + ROW_OVERHEAD;
            self.rows.push_back(Arc::clone(row));
        }
        while self.bytes > self.max_bytes && self.rows.len() > 1 {
            if let Some(row) = self.rows.pop_front() {
                self.bytes -= row.body.len() + ROW_OVERHEAD;
                self.left_out += row.count;
            }
        }
    }
}
