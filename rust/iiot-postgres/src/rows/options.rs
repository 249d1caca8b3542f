//! The settings for rows, and the limits of a batch.

use std::collections::HashMap;

/// The settings for rows.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a key of the configuration"
)]
pub struct RowOptions {
    /// Whether missing tables and columns are made.
    pub manage: bool,
    /// Whether tags of the configuration get columns like other tags.
    pub configuration_tags: bool,
    /// Whether a row that equals an existing row, with the same time, is left out: another gateway had the same message.
    pub unique: bool,
    /// Whether U+0000 becomes U+FFFD; otherwise such a row is a reject.
    pub replace_nul: bool,
    /// The most columns of a table to which columns are still added.
    pub max_columns: usize,
    /// The most tables that are used before no more are made.
    pub max_tables: usize,
    /// How long rows of a measurement are kept. Older rows are rejects.
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

/// The limits of a batch; it is full when it reaches either.
#[derive(Debug, Clone, Copy)]
pub struct RowLimits {
    /// The number of rows; the last frame may exceed it.
    pub rows: usize,
    /// The number of bytes; the last frame may exceed it.
    pub bytes: usize,
}
