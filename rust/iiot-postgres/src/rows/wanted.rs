//! Tables and columns that points lack: those to make, and those that can never be made.

use super::Rows;
use crate::columns::Table;
use crate::copy_text;
use iiot_core::origin::TagOrigin;
use iiot_core::point::{Point, ValueKind};

/// A time this much later than its arrival is not valid.
const MOST_AHEAD_NS: i64 = 8 * 86_400 * 1_000_000_000;

/// The content of a new column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A tag.
    Tag,
    /// A field whose first value is of this kind.
    Field(ValueKind),
}

impl Rows {
    /// Note a column to make; false if none may be made.
    pub(super) fn wants_column(&mut self, table: &Table, name: &[u8], wanted: Wanted) -> bool {
        let known = copy_text::text(name);
        let is_taken = table.columns.iter().any(|column| column.name == known);
        if !self.options.manage
            || is_taken
            || table.columns.len() >= self.options.max_columns
            || !crate::names::is_kept(&known)
        {
            return false;
        }
        self.wanted
            .entry(table.name.clone())
            .or_default()
            .entry(known.into_owned())
            .or_insert(wanted);
        true
    }

    /// The reason why the measurement cannot have a table.
    pub(super) fn unusable(&self) -> Option<String> {
        if let Some(reason) = self.catalogue.unusable(&self.measurement) {
            return Some(reason.to_string());
        }
        let name = copy_text::text(&self.measurement);
        if name == crate::position::TABLE {
            return Some(format!("the table {name} is the gateway's own"));
        }
        if let Err(error) = crate::names::check("measurement", &name) {
            return Some(error.to_string());
        }
        let known = self.catalogue.len() + self.wanted.len();
        let is_noted = self.wanted.contains_key(name.as_ref())
            || self.catalogue.table(&self.measurement).is_some();
        (self.options.manage && !is_noted && known >= self.options.max_tables).then(|| {
            format!(
                "there are {} tables already, and no more are made (max_tables)",
                self.options.max_tables
            )
        })
    }

    /// Note an unknown table, with the columns that it would need.
    pub(super) fn want_table(&mut self, point: &Point<'_>) {
        let table = copy_text::text(&self.measurement).into_owned();
        let columns = self.wanted.entry(table).or_default();
        let most = self.options.max_columns;
        let all = self.options.configuration_tags;
        let mut want = |name: &[u8], wanted: Wanted| {
            let name = copy_text::text(name).into_owned();
            if columns.len() < most && crate::names::is_kept(&name) {
                columns.entry(name).or_insert(wanted);
            }
        };
        point.tags(|name, _, origin| {
            if matches!(origin, TagOrigin::Profile | TagOrigin::Device) || all {
                want(name.as_bytes(), Wanted::Tag);
            }
        });
        let mut name = std::mem::take(&mut self.name);
        for field in point.fields() {
            name.clear();
            field.push_name(&mut name);
            want(&name, Wanted::Field(field.kind));
        }
        self.name = name;
    }

    /// The reason why a time cannot be written.
    pub(super) fn time_fault(
        &self,
        table: &Table,
        time_ns: i64,
        received_at_ns: i64,
    ) -> Option<String> {
        if time_ns > received_at_ns.saturating_add(MOST_AHEAD_NS) {
            return Some("the time is more than 8 days after its arrival".into());
        }
        let kept_ns = *self.options.retention_ns.get(&table.name)?;
        (time_ns < self.now_ns.saturating_sub(kept_ns)).then(|| {
            format!(
                "the time is older than the {} days that rows of {} are kept",
                kept_ns / 86_400_000_000_000,
                table.name
            )
        })
    }
}
