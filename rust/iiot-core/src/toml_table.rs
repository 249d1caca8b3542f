//! A TOML table that remembers which of its keys were read, so that other keys can be refused, with the most similar valid key as a
//! hint.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// One fault of a profile file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileFault {
    /// Counted from 1; 0 means the whole file.
    pub line: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Whether a profile's text is new, or was accepted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    New,
    Stored,
}

/// The faults found so far.
pub(crate) struct Faults<'t> {
    text: &'t str,
    age: Age,
    found: Vec<ProfileFault>,
}

impl<'t> Faults<'t> {
    pub(crate) fn new(text: &'t str, age: Age) -> Self {
        Self {
            text,
            age,
            found: Vec::new(),
        }
    }

    /// Whether the text is new.
    pub(crate) fn age(&self) -> Age {
        self.age
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Add a fault at a byte of the text; `None` means the whole file.
    pub(crate) fn add(&mut self, at: Option<usize>, message: &str) {
        let before = at.and_then(|at| self.text.as_bytes().get(..at));
        let line = before.map_or(0, |before| 1 + memchr::memchr_iter(b'\n', before).count());
        self.found.push(ProfileFault {
            line,
            message: message.to_owned(),
        });
    }

    /// Add a fault about a value that is not one of the allowed values.
    pub(crate) fn add_choice(
        &mut self,
        at: Option<usize>,
        key: &str,
        seen: &str,
        allowed: &[&str],
    ) {
        let nearest = nearest(seen, allowed.iter().copied())
            .map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        self.add(
            at,
            &format!(
                "{key}: expected one of {}, found `{seen}`{nearest}",
                allowed.join(", ")
            ),
        );
    }

    pub(crate) fn into_result<T>(mut self, value: T) -> Result<T, Vec<ProfileFault>> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found.sort_by_key(|fault| fault.line);
        self.found.dedup();
        Err(self.found)
    }
}

/// A table, and the keys that were read.
pub(crate) struct Table<'a> {
    entries: &'a DeTable<'a>,
    span: Option<Range<usize>>,
    name: &'static str,
    asked: Vec<String>,
}

impl<'a> Table<'a> {
    pub(crate) fn new(
        table: &'a DeTable<'a>,
        span: Option<Range<usize>>,
        name: &'static str,
    ) -> Self {
        Self {
            entries: table,
            span,
            name,
            asked: Vec::new(),
        }
    }

    /// The place of the value of `key`, or, for an empty key, of the table.
    pub(crate) fn at(&self, key: &str) -> Option<usize> {
        if key.is_empty() {
            return self.span.as_ref().map(|span| span.start);
        }
        self.entries.get(key).map(|value| value.span().start)
    }

    fn get(&mut self, key: &str) -> Option<(&'a DeValue<'a>, Range<usize>)> {
        self.asked.push(key.to_owned());
        let value = self.entries.get(key)?;
        Some((value.get_ref(), value.span()))
    }

    fn mistyped(
        &self,
        key: &str,
        expected: &str,
        value: &DeValue<'_>,
        span: &Range<usize>,
        faults: &mut Faults<'_>,
    ) {
        let seen = kind(value);
        let dot = if self.name.is_empty() { "" } else { "." };
        faults.add(
            Some(span.start),
            &format!("{}{dot}{key}: expected {expected}, found {seen}", self.name),
        );
    }

    pub(crate) fn string(&mut self, key: &str, faults: &mut Faults<'_>) -> Option<String> {
        match self.get(key)? {
            (DeValue::String(text), _) => Some(text.clone().into_owned()),
            (other, span) => {
                self.mistyped(key, "a string", other, &span, faults);
                None
            }
        }
    }

    pub(crate) fn required_string(&mut self, key: &str, faults: &mut Faults<'_>) -> Option<String> {
        if !self.entries.contains_key(key) {
            let of = if self.name.is_empty() {
                String::new()
            } else {
                format!("{}: ", self.name)
            };
            faults.add(self.at(""), &format!("{of}`{key}` is missing"));
        }
        self.string(key, faults)
    }

    pub(crate) fn boolean(&mut self, key: &str, faults: &mut Faults<'_>) -> Option<bool> {
        match self.get(key)? {
            (DeValue::Boolean(value), _) => Some(*value),
            (other, span) => {
                self.mistyped(key, "true or false", other, &span, faults);
                None
            }
        }
    }

    pub(crate) fn integer(
        &mut self,
        key: &str,
        least: i64,
        most: i64,
        faults: &mut Faults<'_>,
    ) -> Option<i64> {
        let (value, span) = self.get(key)?;
        let number = match value {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.mistyped(
                key,
                &format!("a whole number from {least} to {most}"),
                value,
                &span,
                faults,
            );
        }
        number
    }

    /// A table below this one.
    pub(crate) fn table(
        &mut self,
        key: &'static str,
        faults: &mut Faults<'_>,
    ) -> Option<Table<'a>> {
        match self.get(key)? {
            (DeValue::Table(table), span) => Some(Table::new(table, Some(span), key)),
            (other, span) => {
                self.mistyped(key, "a table", other, &span, faults);
                None
            }
        }
    }

    /// The tables of an array of tables.
    pub(crate) fn tables(&mut self, key: &'static str, faults: &mut Faults<'_>) -> Vec<Table<'a>> {
        let Some((value, span)) = self.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value else {
            self.mistyped(
                key,
                &format!("tables, each under [[{key}]]"),
                value,
                &span,
                faults,
            );
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::Table(table) => tables.push(Table::new(table, Some(item.span()), key)),
                other => self.mistyped(key, "a table", other, &item.span(), faults),
            }
        }
        tables
    }

    /// A table below this one, or the tables of an array of them.
    pub(crate) fn table_or_tables(
        &mut self,
        key: &'static str,
        faults: &mut Faults<'_>,
    ) -> Vec<Table<'a>> {
        if let Some((DeValue::Array(_), _)) = self.get(key) {
            return self.tables(key, faults);
        }
        self.table(key, faults).into_iter().collect()
    }

    /// A string, or a list of strings that is not empty.
    pub(crate) fn list(&mut self, key: &str, faults: &mut Faults<'_>) -> Vec<String> {
        if let Some((DeValue::String(text), _)) = self.get(key) {
            return vec![text.clone().into_owned()];
        }
        let texts = self.texts(key, faults);
        if texts.is_empty() && self.at(key).is_some() {
            faults.add(
                self.at(key),
                &format!("{key}: expected a string or a list of strings"),
            );
        }
        texts
    }

    /// Its keys with their places and values, in the order of the file.
    pub(crate) fn in_order(&self) -> Vec<(String, usize, &'a DeValue<'a>)> {
        let mut entries: Vec<_> = self
            .entries
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().clone().into_owned();
                (name, key.span().start, value.get_ref())
            })
            .collect();
        entries.sort_by_key(|(_, at, _)| *at);
        entries
    }

    /// A table whose values are all strings.
    pub(crate) fn strings(
        &mut self,
        key: &'static str,
        faults: &mut Faults<'_>,
    ) -> Vec<(String, String)> {
        let Some(table) = self.table(key, faults) else {
            return Vec::new();
        };
        let mut pairs = Vec::new();
        for (name, value) in table.entries {
            match value.get_ref() {
                DeValue::String(text) => pairs.push((
                    name.get_ref().clone().into_owned(),
                    text.clone().into_owned(),
                )),
                other => table.mistyped(name.get_ref(), "a string", other, &value.span(), faults),
            }
        }
        pairs
    }

    /// An array of strings.
    pub(crate) fn texts(&mut self, key: &str, faults: &mut Faults<'_>) -> Vec<String> {
        let Some((value, span)) = self.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value else {
            self.mistyped(key, "an array of strings", value, &span, faults);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => texts.push(text.clone().into_owned()),
                other => self.mistyped(key, "strings", other, &item.span(), faults),
            }
        }
        texts
    }

    /// Add a fault for every key that was not read.
    pub(crate) fn refuse_others(&self, faults: &mut Faults<'_>) {
        for key in self.entries.keys() {
            let name = key.get_ref().as_ref();
            if self.asked.iter().any(|asked| asked == name) {
                continue;
            }
            let of = if self.name.is_empty() {
                String::new()
            } else {
                format!(" in `{}`", self.name)
            };
            let nearest = nearest(name, self.asked.iter().map(String::as_str));
            let hint = nearest.map_or_else(
                || format!("; known are {}", self.asked.join(", ")),
                |near| format!("; did you mean `{near}`?"),
            );
            faults.add(
                Some(key.span().start),
                &format!("unknown key `{name}`{of}{hint}"),
            );
        }
    }
}

fn kind(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the string {text:?}"),
        DeValue::Integer(number) => format!("{number}"),
        DeValue::Float(number) => format!("{number}"),
        DeValue::Boolean(value) => format!("{value}"),
        DeValue::Datetime(time) => format!("the time {time}"),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The candidate that differs by the fewest insertions, deletions and replacements, if these are few.
fn nearest<'n>(seen: &str, candidates: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let allowed = 1.max(seen.chars().count() / 3);
    candidates
        .map(|name| (edits(seen, name), name))
        .filter(|(edits, _)| *edits <= allowed)
        .min()
        .map(|(_, name)| name)
}

fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, one) in left.chars().enumerate() {
        let mut next = vec![index + 1];
        for ((other, above), diagonal) in right.iter().zip(row.iter().skip(1)).zip(&row) {
            let beside = next.last().copied().unwrap_or(0);
            next.push(
                (diagonal + usize::from(*other != one))
                    .min(above + 1)
                    .min(beside + 1),
            );
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
