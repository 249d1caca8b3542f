//! Turns typed points into rows of tables, in the text form of COPY. Every row knows its frame and point.

mod cells;
mod content;
mod options;
mod table_rows;
mod times;
mod wanted;

use crate::columns::{Catalogue, Table};
use crate::copy_text;
use cells::Cells;
use content::Content;
use iiot_core::Decoded;
use iiot_core::hash::fingerprint;
use iiot_core::origin::TagOrigin;
use iiot_core::point::{Point, ValueKind};
use iiot_journal::{Confirmation, Encoder, Frame, OriginInfo, SinkReject};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use times::FrameTimes;

pub use options::{RowLimits, RowOptions};
pub use table_rows::TableRows;
pub use wanted::Wanted;

/// How many bytes of a refused row are kept.
const EXCERPT_CHARACTERS: usize = 200;

/// A row that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The position of its frame.
    pub position: u64,
    /// The number of its point in the frame.
    pub point: u32,
    /// The reason, in the server's words or in those of this crate.
    pub reason: String,
    /// The beginning of the row.
    pub excerpt: String,
}

/// The rows of consecutive frames.
pub struct Rows {
    options: Arc<RowOptions>,
    limits: RowLimits,
    catalogue: Arc<Catalogue>,
    now_ns: i64,
    /// The positions of the frames.
    pub positions: Range<u64>,
    frames: u64,
    count: usize,
    bytes: usize,
    /// Rows by table, in the order of their first row.
    pub tables: Vec<TableRows>,
    table_of: HashMap<Vec<u8>, usize>,
    /// Rows that are refused without asking the server.
    pub refused: Vec<Refusal>,
    /// Unknown tables and columns, in the order of their names. If there are any, the batch must be read again.
    pub wanted: BTreeMap<String, BTreeMap<String, Wanted>>,
    /// The number of values without a column, by table and name.
    pub left_out: BTreeMap<(String, String), u64>,
    cells: Cells,
    times: FrameTimes,
    measurement: Vec<u8>,
    name: Vec<u8>,
}

impl Encoder for Rows {
    fn is_full(&self) -> bool {
        // Frames without rows also count towards the limit: those of tables that must be looked up before rows are sent, and
        // those whose rows are all refused here.
        let taken = self.count + self.refused.len();
        let is_in_vain = !self.wanted.is_empty() && self.frames >= self.limits.rows as u64;
        taken >= self.limits.rows || self.bytes >= self.limits.bytes || is_in_vain
    }

    fn frame(&mut self, info: &OriginInfo, frame: &Frame<'_>, decoded: Option<&Decoded<'_>>) {
        self.frames += 1;
        let Some(decoded) = decoded else { return };
        self.times.begin_frame();
        let place = (frame.position, frame.received_at_ns);
        decoded.for_each_point(&info.origin, frame.time(), |point| {
            self.point(&point, place);
        });
    }
}

impl Rows {
    pub(crate) fn new(
        options: Arc<RowOptions>,
        limits: RowLimits,
        catalogue: Arc<Catalogue>,
        now_ns: i64,
    ) -> Self {
        Self {
            options,
            limits,
            catalogue,
            now_ns,
            positions: 0..0,
            frames: 0,
            count: 0,
            bytes: 0,
            tables: Vec::new(),
            table_of: HashMap::new(),
            refused: Vec::new(),
            wanted: BTreeMap::new(),
            left_out: BTreeMap::new(),
            cells: Cells::default(),
            times: FrameTimes::default(),
            measurement: Vec::new(),
            name: Vec::new(),
        }
    }

    /// The number of rows.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no rows. The frames may still be confirmed.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The number of frames.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// The bytes of all rows.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Give all rows of a table the same number of columns, so that they can be sent.
    pub(crate) fn finish(&mut self) {
        for table in &mut self.tables {
            table.finish();
        }
    }

    /// Add a point.
    fn point(&mut self, point: &Point<'_>, (position, received_at_ns): (u64, i64)) {
        self.measurement.clear();
        point.push_measurement(&mut self.measurement);
        let known = self.catalogue.table(&self.measurement).cloned();
        let options = Arc::clone(&self.options);
        let Some(table) = known.filter(|table| !options.unique || table.content.is_some()) else {
            if let Some(reason) = self.unusable() {
                self.refused.push(Refusal {
                    position,
                    point: point.number,
                    reason,
                    excerpt: iiot_core::quote(&self.measurement),
                });
            } else {
                self.want_table(point);
            }
            return;
        };
        self.cells.begin(table.columns.len());
        let mut fault = None;
        let mut series = fingerprint(&self.measurement);
        let mut content = options.unique.then(Content::default);
        point.tags(|name, value, origin| {
            if matches!(origin, TagOrigin::Profile | TagOrigin::Device)
                || options.configuration_tags
            {
                series = series.wrapping_mul(31) ^ fingerprint(value);
                if let Some(content) = &mut content {
                    content.add(name.as_bytes(), value);
                }
                self.cell(&table, name.as_bytes(), value, Wanted::Tag, &mut fault);
            } else if origin == TagOrigin::Document {
                // A sender may invent names, so such a tag never makes a column; but each tag identifies the series of the row.
                series = series.wrapping_mul(31) ^ fingerprint(value);
                if let Some(content) = &mut content {
                    content.add(name.as_bytes(), value);
                }
                match table
                    .column(name.as_bytes())
                    .filter(|at| !self.cells.is_set(*at))
                {
                    Some(at) => self.put(&table, at, value, Wanted::Tag, &mut fault),
                    None => self.put_elsewhere(&table, name.as_bytes(), value, Wanted::Tag),
                }
            } else if let Some(at) = table.column(name.as_bytes()) {
                // No column was wanted for this tag, but there is one.
                self.put(&table, at, value, Wanted::Tag, &mut fault);
            }
        });
        let mut name = std::mem::take(&mut self.name);
        for field in point.fields() {
            name.clear();
            field.push_name(&mut name);
            let wanted = Wanted::Field(field.kind);
            let text = field.text();
            if let Some(content) = &mut content {
                content.add(&name, &text);
            }
            self.cell(&table, &name, &text, wanted, &mut fault);
        }
        self.name = name;
        if let (Some(at), Some(content)) = (table.content, content) {
            self.cells.put(at, content.uuid().as_bytes());
        }
        if fault.is_none() {
            fault = self.time_fault(&table, point.time_ns, received_at_ns);
        }
        if fault.is_none() {
            fault = self.cells.lacks(&table);
        }
        let time_us = self.times.place(series, point.time_ns);
        let place = (position, point.number);
        self.push_row(&table, (time_us, series), place, fault);
    }

    fn push_row(
        &mut self,
        table: &Arc<Table>,
        (time_us, series): (i64, u64),
        place: (u64, u32),
        fault: Option<String>,
    ) {
        let at = if let Some(&at) = self.table_of.get(&self.measurement) {
            at
        } else {
            self.table_of
                .insert(self.measurement.clone(), self.tables.len());
            self.tables.push(TableRows::new(Arc::clone(table)));
            self.tables.len() - 1
        };
        let Some(rows) = self.tables.get_mut(at) else {
            return;
        };
        let replace_nul = self.options.replace_nul;
        if let Some(reason) = fault {
            self.refused.push(Refusal {
                position: place.0,
                point: place.1,
                reason,
                excerpt: self.cells.excerpt(table, time_us),
            });
            return;
        }
        match rows.push(&mut self.cells, (time_us, series), place, replace_nul) {
            Ok(bytes) => {
                self.count += 1;
                self.bytes += bytes;
            }
            Err(copy_text::HoldsNul) => self.refused.push(Refusal {
                position: place.0,
                point: place.1,
                reason: "a text holds U+0000, which PostgreSQL cannot store (nul = \"replace\" would store U+FFFD)".into(),
                excerpt: self.cells.excerpt(table, time_us),
            }),
        }
    }

    /// Store a tag or a field in its column.
    fn cell(
        &mut self,
        table: &Table,
        name: &[u8],
        value: &[u8],
        wanted: Wanted,
        fault: &mut Option<String>,
    ) {
        // If a tag and a field have one name, the tag has the column, because it comes first.
        if let Some(at) = table.column(name) {
            if !self.cells.is_set(at) {
                self.put(table, at, value, wanted, fault);
                return;
            }
        } else if self.wants_column(table, name, wanted) {
            return;
        }
        self.put_elsewhere(table, name, value, wanted);
    }

    /// Store a value without a column in `extra`, or leave it out and count it.
    fn put_elsewhere(&mut self, table: &Table, name: &[u8], value: &[u8], wanted: Wanted) {
        if table.extra.is_some() {
            self.cells.put_extra(name, value, wanted);
        } else {
            let place = (table.name.clone(), copy_text::text(name).into_owned());
            *self.left_out.entry(place).or_default() += 1;
        }
    }

    fn put(
        &mut self,
        table: &Table,
        at: usize,
        value: &[u8],
        wanted: Wanted,
        fault: &mut Option<String>,
    ) {
        let Some(column) = table.columns.get(at) else {
            return;
        };
        let is_bad_flag = wanted == Wanted::Field(ValueKind::Bool)
            && matches!(
                column.kind,
                crate::columns::ColumnType::Integer(_) | crate::columns::ColumnType::Float(_)
            );
        if fault.is_none() && (is_bad_flag || column.kind.refuses(&copy_text::text(value))) {
            let shown: String = copy_text::text(value).chars().take(40).collect();
            *fault = Some(format!(
                "column {} ({}) of table {} cannot hold {shown:?}",
                column.name, column.type_name, table.name
            ));
        }
        self.cells.put(at, value);
    }

    /// The results of the frames, if these rows and those refused before were left out and all others are stored.
    pub fn confirmation(&self, refused: &[Refusal]) -> Confirmation {
        let mut rejects: Vec<SinkReject> = self
            .refused
            .iter()
            .chain(refused)
            .map(|refusal| SinkReject {
                position: refusal.position,
                point: refusal.point,
                field: None,
                reason: refusal.reason.clone(),
                excerpt: refusal.excerpt.clone(),
            })
            .collect();
        rejects.sort_by_key(|reject| (reject.position, reject.point));
        let mut positions: Vec<u64> = rejects.iter().map(|reject| reject.position).collect();
        positions.dedup();
        let rejected = positions.len() as u64;
        Confirmation {
            from: self.positions.start,
            end: self.positions.end,
            delivered: self.frames - rejected,
            rejected,
            rejects,
            ..Confirmation::default()
        }
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("positions", &self.positions)
            .field("count", &self.count)
            .field("refused", &self.refused.len())
            .finish_non_exhaustive()
    }
}
