//! The rows of one table: one text, one list of columns, and the origin of each row.

use super::cells::Cells;
use crate::columns::{Division, Table};
use crate::copy_text::{self, HoldsNul, NULL};
use crate::plain::week;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Rows of one table in the text form of COPY.
#[derive(Debug)]
pub struct TableRows {
    /// The table.
    pub table: Arc<Table>,
    /// The numbers of the columns in the rows.
    columns: Vec<usize>,
    /// The rows at which the number of columns grew, with the new number.
    widths: Vec<(usize, usize)>,
    text: Vec<u8>,
    /// The end of each row in the text, behind its line feed.
    ends: Vec<usize>,
    places: Vec<(u64, u32)>,
    series: Vec<u64>,
    /// The weeks of the times.
    pub weeks: BTreeSet<i64>,
    sealed: Bytes,
}

impl TableRows {
    pub(crate) fn new(table: Arc<Table>) -> Self {
        Self {
            columns: vec![table.time],
            table,
            widths: Vec::new(),
            text: Vec::new(),
            ends: Vec::new(),
            places: Vec::new(),
            series: Vec::new(),
            weeks: BTreeSet::new(),
            sealed: Bytes::new(),
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The names of the columns, in the order of the cells.
    pub fn column_names(&self) -> impl Iterator<Item = &str> {
        self.columns
            .iter()
            .filter_map(|&at| self.table.columns.get(at).map(|c| c.name.as_str()))
    }

    /// The origin of a row: the frame's position and the point's number.
    pub fn place(&self, row: usize) -> Option<(u64, u32)> {
        self.places.get(row).copied()
    }

    /// The series of each row: a number for its table and its tags.
    pub(crate) fn series(&self) -> &[u64] {
        &self.series
    }

    /// Those of the finished rows that belong to certain series, or those that do not, in their order.
    pub(crate) fn of_series(&self, wanted: impl Fn(u64) -> bool) -> Self {
        let mut part = Self::new(Arc::clone(&self.table));
        part.columns.clone_from(&self.columns);
        part.weeks.clone_from(&self.weeks);
        for (row, &series) in self.series.iter().enumerate() {
            if let Some(&place) = self.places.get(row).filter(|_| wanted(series)) {
                part.text.extend_from_slice(&self.part(&(row..row + 1)));
                part.ends.push(part.text.len());
                part.places.push(place);
                part.series.push(series);
            }
        }
        part.sealed = Bytes::from(std::mem::take(&mut part.text));
        part
    }

    /// Append a row. Returns its length.
    pub(crate) fn push(
        &mut self,
        cells: &mut Cells,
        (time_us, series): (i64, u64),
        place: (u64, u32),
        replace_nul: bool,
    ) -> Result<usize, HoldsNul> {
        if let Some(extra) = self.table.extra {
            cells.close_extra(extra, replace_nul)?;
        }
        let start = self.text.len();
        for at in cells.set() {
            if !self.columns.contains(&at) {
                self.columns.push(at);
            }
        }
        for (number, &at) in self.columns.iter().enumerate() {
            if number > 0 {
                self.text.push(b'\t');
            }
            if at == self.table.time {
                copy_text::push_time(time_us, &mut self.text);
            } else if let Some(value) = cells.get(at) {
                if let Err(error) = copy_text::push_cell(value, replace_nul, &mut self.text) {
                    self.text.truncate(start);
                    return Err(error);
                }
            } else {
                self.text.extend_from_slice(NULL);
            }
        }
        self.text.push(b'\n');
        if self
            .widths
            .last()
            .is_none_or(|&(_, width)| width != self.columns.len())
        {
            self.widths.push((self.ends.len(), self.columns.len()));
        }
        self.ends.push(self.text.len());
        self.places.push(place);
        self.series.push(series);
        if self.table.division == Division::Partitions {
            self.weeks.insert(week(time_us));
        }
        Ok(self.text.len() - start)
    }

    /// Add the missing cells to rows that were written before a column was first used, and keep the text so that it can be sent without copies.
    pub(crate) fn finish(&mut self) {
        // A refused row may have added a column that no later row has.
        let even = self.widths.len() == 1
            && self
                .widths
                .first()
                .is_some_and(|w| w.1 == self.columns.len());
        if !even && !self.ends.is_empty() {
            self.fill_up();
        }
        self.sealed = Bytes::from(std::mem::take(&mut self.text));
    }

    fn fill_up(&mut self) {
        let mut text = Vec::with_capacity(self.text.len() + self.ends.len() * 3);
        let mut widths = std::mem::take(&mut self.widths).into_iter().peekable();
        let (mut start, mut width) = (0, 0);
        for (row, end) in self.ends.iter_mut().enumerate() {
            if let Some((_, next)) = widths.next_if(|&(first, _)| first == row) {
                width = next;
            }
            let line = self.text.get(start..*end).unwrap_or_default();
            text.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
            for _ in width..self.columns.len() {
                text.push(b'\t');
                text.extend_from_slice(NULL);
            }
            text.push(b'\n');
            start = *end;
            *end = text.len();
        }
        self.text = text;
    }

    /// The text of some rows, once the batch is finished.
    pub(crate) fn part(&self, rows: &Range<usize>) -> Bytes {
        let behind = |rows: usize| match rows.checked_sub(1) {
            Some(last) => self.ends.get(last).copied().unwrap_or(self.sealed.len()),
            None => 0,
        };
        let (start, end) = (behind(rows.start), behind(rows.end));
        if start > end {
            return Bytes::new();
        }
        self.sealed.slice(start..end)
    }

    /// A row for people: its cells, separated by spaces.
    pub(crate) fn excerpt(&self, row: usize) -> String {
        let text = self.part(&(row..row + 1));
        let shown = copy_text::text(text.trim_ascii_end()).replace('\t', " ");
        format!("{} {shown}", self.table.name)
            .chars()
            .take(super::EXCERPT_CHARACTERS)
            .collect()
    }
}
