//! Statements for TimescaleDB only.

use crate::columns::TIME;
use crate::names::{literal, qualified};

/// The hypertables of a schema.
pub fn hypertables(schema: &str) -> String {
    format!(
        "SELECT hypertable_name FROM timescaledb_information.hypertables WHERE hypertable_schema = {}",
        literal(schema)
    )
}

/// Makes an empty table a hypertable. All later versions understand the call of 2.0.
pub fn create_hypertable(schema: &str, name: &str) -> String {
    format!(
        "SELECT create_hypertable({}, {}, chunk_time_interval => INTERVAL '7 days', if_not_exists => true)",
        literal(&qualified(schema, name)),
        literal(TIME)
    )
}
