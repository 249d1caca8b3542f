//! How points become rows, and how many make a batch.

use std::collections::HashMap;

/// How points become rows.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the configuration"
)]
pub struct RowOptions {
    /// Missing tables and columns are made.
    pub manage: bool,
    /// Tags of the configuration get columns like any other.
    pub configuration_tags: bool,
    /// A row that says the same of the same time as one that is there is left out: another gateway had the same message.
    pub unique: bool,
    /// U+0000 becomes U+FFFD; else the row is a reject.
    pub replace_nul: bool,
    /// Columns of a table, beyond which none is added.
    pub max_columns: usize,
    /// Tables that are written to, beyond which none is made.
    pub max_tables: usize,
    /// How long rows of a measurement are kept: older ones are rejects.
    pub retention_ns: HashMap<String, i64>,
}

impl Default for RowOptions {
    fn default() -> Self {
        Self {
            manage: true,
            configuration_tags: false,
            unique: false,
            replace_nul: false,
            max_columns: 200,
            max_tables: 1000,
            retention_ns: HashMap::new(),
        }
    }
}

/// When a batch is full: with either.
#[derive(Debug, Clone, Copy)]
pub struct RowLimits {
    /// So many rows; the last frame may bring more.
    pub rows: usize,
    /// So many bytes; the last frame may bring more.
    pub bytes: usize,
}
