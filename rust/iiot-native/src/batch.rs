//! Lines of consecutive frames: what a database sink posts and confirms.

use iiot_core::Integers;
use iiot_core::scan::Scan;
use iiot_core::series::measurement;
use iiot_http::Gzipped;
use iiot_journal::{Cursor, Result, Row};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// Line protocol of the frames of `from..end` that the sink takes.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub from: u64,
    pub end: u64,
    pub text: Vec<u8>,
    /// Where each line ends in `text`, behind its line feed.
    pub ends: Vec<usize>,
    /// Position of each frame and its first line.
    pub frames: Vec<(u64, usize)>,
    pub integers: Integers,
    /// All of `text`, if it was wanted so.
    pub gzipped: Option<Gzipped>,
}

impl Lines {
    pub(crate) fn line(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        self.text.get(self.start(index)..end)
    }

    /// The last of these lines of each measurement, for so many measurements at most: the measurement as the line writes it, and the line.
    pub(crate) fn last_lines(&self, lines: Range<usize>, most: usize) -> Vec<(&[u8], &[u8])> {
        let mut known = HashSet::new();
        let mut found = Vec::new();
        for line in lines.rev().filter_map(|index| self.line(index)) {
            let name = measurement(line);
            if found.len() < most && known.insert(name) {
                found.push((name, line));
            }
        }
        found
    }

    pub(crate) fn start(&self, index: usize) -> usize {
        index
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied()
            .unwrap_or(0)
    }

    /// The frame and point of a line.
    pub(crate) fn place(&self, line: usize) -> Option<(u64, u32)> {
        let at = self
            .frames
            .partition_point(|&(_, first)| first <= line)
            .checked_sub(1)?;
        // Frames without lines share their first line with the next: the last of them has it.
        self.frames
            .get(at)
            .map(|&(position, first)| (position, (line - first) as u32))
    }

    /// Append frames behind `end` until there are `max_lines` or `max_bytes`; false if none were there. `rest` is a row of which
    /// the batch before took a part: it is not read from the disk again.
    pub(crate) fn extend(
        &mut self,
        cursor: &mut Cursor,
        rest: &mut Option<Arc<Row>>,
        scan: &mut Scan,
        max_lines: usize,
        max_bytes: usize,
    ) -> Result<bool> {
        let begun = rest
            .take()
            .filter(|row| (row.first..row.end()).contains(&self.end));
        let rows = match begun {
            Some(row) => vec![row],
            None => cursor.read(self.end, 256 * 1024)?,
        };
        for row in &rows {
            if !cursor.takes(row)? {
                self.end = row.end();
                continue;
            }
            let info: Arc<_> = cursor.origin(row.origin)?;
            let from = self.end;
            for frame in row.frames().filter(|f| f.position >= from) {
                if self.is_full(max_lines, max_bytes) {
                    *rest = Some(Arc::clone(row));
                    return Ok(true);
                }
                self.frames.push((frame.position, self.ends.len()));
                self.end = frame.position + 1;
                if let Ok(decoded) = info.decode(&frame, scan) {
                    let (integers, ends) = (self.integers, &mut self.ends);
                    decoded.write_lines_as(
                        integers,
                        &info.origin,
                        frame.time(),
                        &mut self.text,
                        |end| ends.push(end),
                    );
                }
            }
        }
        Ok(!rows.is_empty())
    }

    pub(crate) fn is_full(&self, max_lines: usize, max_bytes: usize) -> bool {
        self.ends.len() >= max_lines || self.text.len() >= max_bytes
    }
}
