//! Runs a statement with parameters, for queries that are repeated often.

use crate::error::Result;
use crate::value::Value;
use futures_util::{TryStreamExt, pin_mut};
use tokio_postgres::{Client, Statement};

/// The most sets of parameters that are under way at once.
pub(crate) const PIPELINED: usize = 256;

/// The result of a statement.
#[derive(Debug, Default, PartialEq)]
pub struct Asked {
    /// The rows, each with one value per column.
    pub rows: Vec<Vec<Value>>,
    /// The number of changed or returned rows.
    pub changed: u64,
}

pub(crate) async fn asked(
    client: &Client,
    statement: &Statement,
    parameters: &[Value],
) -> Result<Asked> {
    let stream = client.query_raw(statement, parameters).await?;
    pin_mut!(stream);
    let mut rows = Vec::new();
    while let Some(row) = stream.try_next().await? {
        let values: std::result::Result<Vec<Value>, _> =
            (0..row.len()).map(|at| row.try_get(at)).collect();
        rows.push(values?);
    }
    let changed = stream.rows_affected().unwrap_or(0);
    Ok(Asked { rows, changed })
}
