//! Gives statements for PostgreSQL as text, to commands that print or run them.

use iiot_postgres::plain;
use iiot_postgres::position::Key;
use iiot_postgres::roll_up::RollUp;
use iiot_postgres::{names, timescale};
use pyo3::prelude::*;

/// A name in quotes.
#[pyfunction]
fn postgres_name(name: &str) -> String {
    names::quoted(name)
}

/// A text in quotes.
#[pyfunction]
fn postgres_literal(text: &str) -> String {
    names::literal(text)
}

/// Makes the table of positions.
#[pyfunction]
fn postgres_position_table(schema: &str) -> String {
    Key::create(schema)
}

/// Makes `time_bucket`.
#[pyfunction]
fn postgres_time_bucket(schema: &str, server_version: u32) -> String {
    plain::time_bucket(schema, server_version)
}

/// Makes the function that makes partitions for a role that may only write.
#[pyfunction]
fn postgres_partition_function(schema: &str) -> String {
    plain::partition_function(schema)
}

/// Lists the partitions of a table.
#[pyfunction]
fn postgres_partitions(schema: &str, table: &str) -> String {
    plain::partitions(schema, table)
}

/// Makes the missing partitions of a table for the week of a time and the next week, each in one or two statements, or by the function of `init`.
#[pyfunction]
#[pyo3(signature = (schema, table, known, now_us, *, by_function))]
#[expect(clippy::needless_pass_by_value, reason = "extracted by pyo3")]
fn postgres_add_partitions(
    schema: &str,
    table: &str,
    known: Vec<(i64, i64)>,
    now_us: i64,
    by_function: bool,
) -> Vec<(String, String)> {
    let add = if by_function {
        plain::call_partition_function
    } else {
        plain::add_partition
    };
    plain::missing_ahead(now_us, &known)
        .into_iter()
        .map(|range| {
            (
                plain::partition_name(table, range.0),
                add(schema, table, range),
            )
        })
        .collect()
}

/// Returns a row if the function that makes partitions exists and may be called.
#[pyfunction]
fn postgres_has_partition_function(schema: &str) -> String {
    plain::has_partition_function(schema)
}

/// Drops a partition.
#[pyfunction]
fn postgres_drop_partition(schema: &str, partition: &str) -> String {
    plain::drop_partition(schema, partition)
}

/// Makes a hypertable of an empty table.
#[pyfunction]
fn postgres_hypertable(schema: &str, table: &str) -> String {
    timescale::create_hypertable(schema, table)
}

/// Makes an hourly roll-up.
#[pyfunction]
#[pyo3(signature = (schema, table, view, *, by, count, sums))]
#[expect(clippy::needless_pass_by_value, reason = "extracted by pyo3")]
fn postgres_roll_up(
    schema: &str,
    table: &str,
    view: &str,
    by: Vec<String>,
    count: &str,
    sums: Vec<(String, String, String)>,
) -> Vec<String> {
    let by: Vec<&str> = by.iter().map(String::as_str).collect();
    let sums: Vec<(&str, &str, &str)> = sums
        .iter()
        .map(|(column, total, average)| (column.as_str(), total.as_str(), average.as_str()))
        .collect();
    let roll_up = RollUp {
        schema,
        table,
        view,
        by: &by,
        count,
        sums: &sums,
    };
    roll_up.statements()
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(postgres_name, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_literal, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_position_table, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_time_bucket, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_partition_function, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_partitions, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_add_partitions, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_has_partition_function, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_drop_partition, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_hypertable, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_roll_up, module)?)
}
