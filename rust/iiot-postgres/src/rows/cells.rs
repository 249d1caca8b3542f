//! The cells of one row while it is put together.

use super::{EXCERPT_CHARACTERS, Wanted};
use crate::columns::Table;
use crate::copy_text::{self, HoldsNul};
use iiot_core::point::ValueKind;
use std::ops::Range;

/// The values by the number of their column, and the values without a column.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    text: Vec<u8>,
    places: Vec<Option<Range<usize>>>,
    extra: Vec<(Range<usize>, Range<usize>, Wanted)>,
}

impl Cells {
    pub(crate) fn begin(&mut self, columns: usize) {
        self.text.clear();
        self.places.clear();
        self.places.resize(columns, None);
        self.extra.clear();
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        start..self.text.len()
    }

    pub(crate) fn put(&mut self, at: usize, value: &[u8]) {
        let kept = self.keep(value);
        if let Some(place) = self.places.get_mut(at) {
            *place = Some(kept);
        }
    }

    pub(crate) fn is_set(&self, at: usize) -> bool {
        self.places.get(at).is_some_and(Option::is_some)
    }

    pub(crate) fn put_extra(&mut self, name: &[u8], value: &[u8], wanted: Wanted) {
        let (name, value) = (self.keep(name), self.keep(value));
        self.extra.push((name, value, wanted));
    }

    /// Put the values without a column into one cell.
    pub(crate) fn close_extra(&mut self, at: usize, replace_nul: bool) -> Result<(), HoldsNul> {
        if self.extra.is_empty() {
            return Ok(());
        }
        let mut json = Vec::new();
        for (name, value, wanted) in std::mem::take(&mut self.extra) {
            json.push(if json.is_empty() { b'{' } else { b',' });
            let name = self.text.get(name).unwrap_or_default();
            let value = self.text.get(value).unwrap_or_default();
            copy_text::push_json_string(name, replace_nul, &mut json)?;
            json.push(b':');
            match wanted {
                Wanted::Tag | Wanted::Field(ValueKind::String) => {
                    copy_text::push_json_string(value, replace_nul, &mut json)?;
                }
                Wanted::Field(_) => json.extend_from_slice(value),
            }
        }
        json.push(b'}');
        self.put(at, &json);
        Ok(())
    }

    /// The numbers of the columns with a value.
    pub(crate) fn set(&self) -> impl Iterator<Item = usize> {
        self.places
            .iter()
            .enumerate()
            .filter_map(|(at, place)| place.is_some().then_some(at))
    }

    pub(crate) fn get(&self, at: usize) -> Option<&[u8]> {
        self.text.get(self.places.get(at)?.clone()?)
    }

    /// Why the server would refuse a row without one of the columns.
    pub(crate) fn lacks(&self, table: &Table) -> Option<String> {
        let lacking =
            table.columns.iter().enumerate().find(|(at, column)| {
                column.is_required && *at != table.time && !self.is_set(*at)
            })?;
        Some(format!(
            "column {} of table {} is NOT NULL, and the document has no value for it",
            lacking.1.name, table.name
        ))
    }

    /// The beginning of the row, for people.
    pub(crate) fn excerpt(&self, table: &Table, time_us: i64) -> String {
        let mut text = Vec::new();
        copy_text::push_time(time_us, &mut text);
        let mut shown = format!("{} {}", table.name, copy_text::text(&text));
        for at in self.set() {
            let name = table.columns.get(at).map_or("", |c| c.name.as_str());
            let value = copy_text::text(self.get(at).unwrap_or_default());
            shown.extend([" ", name, "=", &value]);
        }
        shown
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(EXCERPT_CHARACTERS)
            .collect()
    }
}
