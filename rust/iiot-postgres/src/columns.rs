//! Which tables and columns there are, and what a column of a known type can hold.

use crate::names::quoted;
use iiot_core::hash::fingerprint;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// The types that are checked before they are sent; the server judges all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// `smallint`, `integer`, `bigint`: so many bytes.
    Integer(u8),
    /// `real`, `double precision`: so many bytes.
    Float(u8),
    /// `numeric`.
    Numeric,
    /// `boolean`.
    Boolean,
    /// `text`, or `character varying(n)` with so many characters.
    Text(Option<u32>),
    /// `timestamp with time zone` or without.
    Time,
    /// `json` or `jsonb`.
    Json,
    /// `uuid`.
    Uuid,
    /// Anything else.
    Other,
}

impl ColumnType {
    /// From the name that `format_type` gives.
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

    /// Whether a text can surely not be stored in such a column. What is not sure is left to the server.
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

/// Whether the server has no other way to read a number here, as it has for `0x10` and `1_000`.
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

/// Neither too large for the type nor too small to be told from nothing: the server takes neither.
fn is_float(text: &str, bytes: u8) -> bool {
    let text = text.trim();
    let Ok(value) = text.parse::<f64>() else {
        return false;
    };
    let (infinite, zero) = if bytes == 4 {
        // What is far outside is refused here; at the very edge the server decides.
        (value.abs() > 3.5e38, value.abs() < 1e-46)
    } else {
        (value.is_infinite(), value == 0.0)
    };
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let has_digit = mantissa.bytes().any(|byte| byte.is_ascii_digit());
    let is_nonzero = mantissa.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    !(has_digit && (infinite || (zero && is_nonzero)))
}

/// What `boolean` reads: unique beginnings of these words, in any case.
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

/// By name. The names are the database's: nobody from outside can choose them so that they collide.
type Names<T> = HashMap<Box<[u8]>, T, BuildHasherDefault<Quick>>;

/// A hash of few instructions.
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

/// A column as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in the server's words.
    pub type_name: String,
    /// Its type.
    pub kind: ColumnType,
    /// It takes no row that lacks it: NOT NULL without a default.
    pub is_required: bool,
    /// It is computed, and no row can bring a value for it.
    pub is_computed: bool,
}

/// How a table is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Division {
    /// Not at all, or in a way that is not the gateway's business.
    None,
    /// By ranges of its time column, in partitions that must exist.
    Partitions,
    /// A hypertable.
    Hypertable,
}

/// A table as the catalogue has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name, which is the measurement's.
    pub name: String,
    /// Its columns in their order.
    pub columns: Vec<Column>,
    /// Which column is which.
    by_name: Names<usize>,
    /// The time column.
    pub time: usize,
    /// The column for what has no column.
    pub extra: Option<usize>,
    /// The column for the digest of what a row says, which is unique together with the time.
    pub content: Option<usize>,
    /// How it is divided.
    pub division: Division,
}

/// The time column of every table.
pub const TIME: &str = "time";
/// The name of the column for what has no column.
pub const EXTRA: &str = "extra";
/// The name of the column for the digest of what a row says.
pub const CONTENT: &str = "content_id";

impl Table {
    /// None if it has no time column of this name with the type of a time.
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

    /// Columns of these names, and those that no row may lack, for a table beside this one. (`LIKE` would need the right to read this one, and
    /// would ask for what has a default here.)
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

    /// The column of a tag or field; none for the gateway's own (the time, what has no column, the digest), and for one that is computed.
    pub fn column(&self, name: &[u8]) -> Option<usize> {
        let at = *self.by_name.get(name)?;
        let is_computed = self.columns.get(at).is_none_or(|c| c.is_computed);
        let is_ours = at == self.time || Some(at) == self.extra || Some(at) == self.content;
        (!is_ours && !is_computed).then_some(at)
    }
}

/// The tables that are known.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    tables: Names<Arc<Table>>,
    unusable: Names<Arc<str>>,
}

impl Catalogue {
    /// The table of a measurement; none if it is not known, which does not mean that there is none.
    pub fn table(&self, measurement: &[u8]) -> Option<&Arc<Table>> {
        self.tables.get(measurement)
    }

    /// Why no row can be written to the table of a measurement.
    pub fn unusable(&self, measurement: &[u8]) -> Option<&Arc<str>> {
        self.unusable.get(measurement)
    }

    /// How many tables are known.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Put in a table to which no row can be written, and why.
    pub fn put_unusable(&mut self, name: &str, reason: &str) {
        self.unusable.insert(name.as_bytes().into(), reason.into());
    }

    /// Put in what is known of a table.
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
