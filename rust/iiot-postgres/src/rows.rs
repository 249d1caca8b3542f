//! From typed points to rows of tables, in the text form of COPY. Every row knows the frame and point that it came from.

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

/// How much of a refused row is kept.
const EXCERPT_CHARACTERS: usize = 200;

/// A row that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Of which frame.
    pub position: u64,
    /// Of which point of the frame.
    pub point: u32,
    /// In the server's words, or in ours.
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
    /// Which frames they are of.
    pub positions: Range<u64>,
    frames: u64,
    count: usize,
    bytes: usize,
    /// Rows by table, in the order of their first row.
    pub tables: Vec<TableRows>,
    table_of: HashMap<Vec<u8>, usize>,
    /// Rows that no server need be asked about.
    pub refused: Vec<Refusal>,
    /// Tables and columns that are not known, in the order of their names. With any, the batch is to be read again.
    pub wanted: BTreeMap<String, BTreeMap<String, Wanted>>,
    /// Values that had no column, by table and name.
    pub left_out: BTreeMap<(String, String), u64>,
    cells: Cells,
    times: FrameTimes,
    measurement: Vec<u8>,
    name: Vec<u8>,
}

impl Encoder for Rows {
    fn is_full(&self) -> bool {
        // Frames that give no rows are not read without end either: those of tables that are looked up before anything is sent, and
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

    /// How many rows.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none: the frames may still be confirmed.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many frames.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// Bytes of all rows.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Make the rows of every table equally long, so that they can be sent.
    pub(crate) fn finish(&mut self) {
        for table in &mut self.tables {
            table.finish();
        }
    }

    /// Take a point.
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
                // Whoever sends may invent names, so none of them makes a column; but each says what the row is of.
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
                // Nobody asked for a column; but this one is there.
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

    /// Put a tag or a field where it belongs.
    fn cell(
        &mut self,
        table: &Table,
        name: &[u8],
        value: &[u8],
        wanted: Wanted,
        fault: &mut Option<String>,
    ) {
        // A tag and a field of one name: the tag came first and has the column.
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

    /// What has no column goes into `extra`, or is left out and counted.
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

    /// What became of the frames, if these rows and those that were refused before were left out and all others are in.
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
