//! The known tables and columns, and the texts that a column of a known type can hold.

use crate::names::quoted;
use iiot_core::hash::fingerprint;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// The types whose values are checked before they are sent; the server checks all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// `smallint`, `integer`, `bigint`, with the number of bytes.
    Integer(u8),
    /// `real`, `double precision`, with the number of bytes.
    Float(u8),
    /// `numeric`.
    Numeric,
    /// `boolean`.
    Boolean,
    /// `text`, or `character varying(n)` with its length in characters.
    Text(Option<u32>),
    /// `timestamp`, with or without time zone.
    Time,
    /// `json` or `jsonb`.
    Json,
    /// `uuid`.
    Uuid,
    /// Any other type.
    Other,
}

impl ColumnType {
    /// Read the name that `format_type` gives.
    pub fn parse(name: &str) -> Self {
        if name.ends_with("[]") {
            return Self::Other;
        }
        let (base, argument) = match name.split_once('(') {
            Some((base, rest)) => (base, rest.split(')').next()),
            None => (name, None),
        };
        match base {
            "smallint" => Self::Integer(2),
            "integer" => Self::Integer(4),
            "bigint" => Self::Integer(8),
            "real" => Self::Float(4),
            "double precision" => Self::Float(8),
            "numeric" => Self::Numeric,
            "boolean" => Self::Boolean,
            "text" => Self::Text(None),
            "character varying" => Self::Text(argument.and_then(|a| a.parse().ok())),
            "json" | "jsonb" => Self::Json,
            "uuid" => Self::Uuid,
            _ if base.starts_with("timestamp") => Self::Time,
            _ => Self::Other,
        }
    }

    /// Whether a text certainly cannot be stored in such a column. The server decides uncertain cases.
    pub fn refuses(self, text: &str) -> bool {
        match self {
            Self::Integer(bytes) => is_plain(text) && !is_integer(text, bytes),
            Self::Float(bytes) => is_plain(text) && !is_float(text, bytes),
            Self::Numeric => is_plain(text) && text.trim().parse::<f64>().is_err(),
            Self::Boolean => !is_boolean(text),
            Self::Text(Some(most)) => text.trim_end_matches(' ').chars().count() > most as usize,
            Self::Text(None) | Self::Time | Self::Json | Self::Uuid | Self::Other => false,
        }
    }
}

/// Whether the text has none of the forms that only some servers read as a number, such as `0x10` and `1_000`.
fn is_plain(text: &str) -> bool {
    !text
        .bytes()
        .any(|byte| matches!(byte, b'x' | b'X' | b'o' | b'O' | b'b' | b'B' | b'_'))
}

fn is_integer(text: &str, bytes: u8) -> bool {
    let text = text.trim();
    match bytes {
        2 => text.parse::<i16>().is_ok(),
        4 => text.parse::<i32>().is_ok(),
        _ => text.parse::<i64>().is_ok(),
    }
}

/// Whether a float is neither too large for the type nor so small that it would become 0: the server accepts neither.
fn is_float(text: &str, bytes: u8) -> bool {
    let text = text.trim();
    let Ok(value) = text.parse::<f64>() else {
        return false;
    };
    let (infinite, zero) = if bytes == 4 {
        // Values far outside are refused here; near the edge the server decides.
        (value.abs() > 3.5e38, value.abs() < 1e-46)
    } else {
        (value.is_infinite(), value == 0.0)
    };
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let has_digit = mantissa.bytes().any(|byte| byte.is_ascii_digit());
    let is_nonzero = mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    !(has_digit && (infinite || (zero && is_nonzero)))
}

/// The texts that `boolean` accepts: unique prefixes of these words, in upper or lower case.
fn is_boolean(text: &str) -> bool {
    let text = text.trim().to_ascii_lowercase();
    match text.as_str() {
        "" => false,
        "on" | "of" | "off" | "1" | "0" => true,
        other => ["true", "false", "yes", "no"]
            .iter()
            .any(|word| word.starts_with(other)),
    }
}

/// Columns by name. The names come from the database, so no outsider can choose them so that they collide.
type Names<T> = HashMap<Box<[u8]>, T, BuildHasherDefault<Quick>>;

/// A fast hash.
#[derive(Debug, Default, Clone)]
struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        self.0 ^= fingerprint(bytes);
    }

    fn write_usize(&mut self, length: usize) {
        self.0 = self.0.rotate_left(7) ^ length as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A column, as in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in the server's words.
    pub type_name: String,
    /// Its type.
    pub kind: ColumnType,
    /// Whether every row needs a value for it: NOT NULL without a default.
    pub is_required: bool,
    /// Whether it is computed, so that no row can have a value for it.
    pub is_computed: bool,
}

/// How a table is partitioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Division {
    /// Not at all, or in a way that the gateway does not handle.
    None,
    /// By ranges of its time column, in partitions that must exist.
    Partitions,
    /// A hypertable.
    Hypertable,
}

/// A table, as in the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name, which is the name of the measurement.
    pub name: String,
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// The number of each column, by name.
    by_name: Names<usize>,
    /// The time column.
    pub time: usize,
    /// The column for values without a column of their own.
    pub extra: Option<usize>,
    /// The column for the digest of a row's content, which is unique together with the time.
    pub content: Option<usize>,
    /// How it is partitioned.
    pub division: Division,
}

/// The time column of every table.
pub const TIME: &str = "time";
/// The name of the column for what has no column.
pub const EXTRA: &str = "extra";
/// The name of the column for the digest of a row's content.
pub const CONTENT: &str = "content_id";

impl Table {
    /// None if the table has no time column with this name and a type for times.
    pub fn new(
        name: String,
        columns: Vec<Column>,
        time_column: &str,
        division: Division,
    ) -> Option<Self> {
        let by_name: Names<usize> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| (column.name.as_bytes().into(), at))
            .collect();
        let of_kind = |name: &str, kind: ColumnType| {
            let at = *by_name.get(name.as_bytes())?;
            let fits = |c: &&Column| c.kind == kind && !c.is_computed;
            columns.get(at).filter(fits).map(|_| at)
        };
        Some(Self {
            time: of_kind(time_column, ColumnType::Time)?,
            extra: of_kind(EXTRA, ColumnType::Json),
            content: of_kind(CONTENT, ColumnType::Uuid),
            name,
            by_name,
            columns,
            division,
        })
    }

    /// The definitions of these columns and of the required ones, for a table beside this one. (`LIKE` would need the right to read this table, and
    /// would also require the columns with a default.)
    pub(crate) fn definitions<'n>(&self, names: impl Iterator<Item = &'n str>) -> String {
        let names: Vec<&str> = names.collect();
        let wanted = self
            .columns
            .iter()
            .filter(|column| column.is_required || names.contains(&column.name.as_str()));
        let definitions: Vec<String> = wanted
            .map(|column| {
                let needed = if column.is_required { " NOT NULL" } else { "" };
                format!("{} {}{needed}", quoted(&column.name), column.type_name)
            })
            .collect();
        definitions.join(", ")
    }

    /// The column of a tag or field; none for the gateway's own columns (time, `extra`, digest), and for computed ones.
    pub fn column(&self, name: &[u8]) -> Option<usize> {
        let at = *self.by_name.get(name)?;
        let is_computed = self.columns.get(at).is_none_or(|c| c.is_computed);
        let is_ours = at == self.time || Some(at) == self.extra || Some(at) == self.content;
        (!is_ours && !is_computed).then_some(at)
    }
}

/// The known tables.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    tables: Names<Arc<Table>>,
    unusable: Names<Arc<str>>,
}

impl Catalogue {
    /// The table of a measurement; none if it is not known, although it may exist.
    pub fn table(&self, measurement: &[u8]) -> Option<&Arc<Table>> {
        self.tables.get(measurement)
    }

    /// The reason why no row can be written to the table of a measurement.
    pub fn unusable(&self, measurement: &[u8]) -> Option<&Arc<str>> {
        self.unusable.get(measurement)
    }

    /// The number of known tables.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether no table is known.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Add a table to which no row can be written, with the reason.
    pub fn put_unusable(&mut self, name: &str, reason: &str) {
        self.unusable.insert(name.as_bytes().into(), reason.into());
    }

    /// Add a known table.
    pub fn put(&mut self, table: Table) {
        self.tables
            .insert(table.name.as_bytes().into(), Arc::new(table));
    }

    /// The names of all known tables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tables.values().map(|table| table.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a column surely cannot hold is known without the server.
    #[test]
    fn types_refuse_what_they_cannot_hold() {
        let refused = [
            ("smallint", "32768"),
            ("integer", "1.5"),
            ("integer", ""),
            ("bigint", "9223372036854775808"),
            ("real", "1e39"),
            ("double precision", "1e400"),
            ("double precision", "1e-400"),
            ("double precision", "true"),
            ("numeric", "left"),
            ("numeric(10,2)", "left"),
            ("boolean", "2"),
            ("character varying(3)", "abcd"),
        ];
        for (name, text) in refused {
            assert!(ColumnType::parse(name).refuses(text), "{name} {text}");
        }
        let taken = [
            ("integer", " 1 "),
            ("integer", "-2147483648"),
            ("double precision", "NaN"),
            ("double precision", "Infinity"),
            ("double precision", "0e-999"),
            ("double precision", "0x10"),
            ("numeric", "1.10e-2"),
            ("boolean", "F"),
            ("boolean", "1"),
            ("character varying(3)", "äöü  "),
            ("timestamp with time zone", "yesterday"),
            ("inet", "x"),
        ];
        for (name, text) in taken {
            assert!(!ColumnType::parse(name).refuses(text), "{name} {text}");
        }
    }
}
