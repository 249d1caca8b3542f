//! One transaction: moves the position, writes the rows, and commits. It also finds the rows that the server refuses.

mod one_by_one;

use crate::columns::{CONTENT, TIME};
use crate::connection::rows as answers;
use crate::error::{Blame, Error, ErrorKind, Result, blame};
use crate::names::{qualified, quoted};
use crate::position::{Key, Place};
use crate::rows::{Refusal, Rows, TableRows};
use crate::settings::Settings;
use crate::suspects::Suspects;
use bytes::Bytes;
use futures_util::SinkExt;
use std::collections::HashSet;
use std::ops::Range;
use tokio_postgres::Client;

/// The bytes of one message of a COPY.
const CHUNK_BYTES: usize = 128 * 1024;
/// How many rows are tried together after a refusal; the number grows with every success.
const FIRST_STEP: usize = 256;
const LEAST_STEP: usize = 16;

/// The work of a transaction.
pub(crate) struct Task<'a> {
    pub settings: &'a Settings,
    pub key: &'a Key,
    pub old: &'a Place,
    pub new: &'a Place,
    pub rows: &'a Rows,
    /// Whether existing rows are left out.
    pub unique: bool,
    /// The series whose rows are sent separately.
    pub suspects: &'a Suspects,
    /// Whether a missing partition is not the row's fault: the partition existed, and was dropped.
    pub makes_partitions: bool,
}

/// The result of a transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows that the server refused.
    pub refused: Vec<Refusal>,
    /// The number of rows that already existed.
    pub repeated: u64,
    /// The series with refused rows.
    pub(crate) blamed: HashSet<u64>,
}

impl Done {
    fn blame(&mut self, table: &TableRows, row: usize) {
        self.blamed.extend(table.series().get(row));
    }
}

/// The reason why an attempt did not end in a COMMIT.
enum Failed {
    /// The server blames rows: try again carefully.
    Rows,
    Other(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<tokio_postgres::Error> for Failed {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Other(error.into())
    }
}

impl Task<'_> {
    /// Run the transaction. `before_commit` gets the rows that the server refused, and must store them.
    pub(crate) async fn run(
        &self,
        client: &Client,
        mut before_commit: impl FnMut(&[Refusal]) -> Result<()>,
    ) -> Result<Done> {
        match self.attempt(client, false, &mut before_commit).await {
            Ok(done) => return Ok(done),
            Err(Failed::Rows) => client.batch_execute("ROLLBACK").await?,
            Err(Failed::Other(error)) => return Err(error),
        }
        match self.attempt(client, true, &mut before_commit).await {
            Ok(done) => Ok(done),
            Err(Failed::Other(error)) => Err(error),
            Err(Failed::Rows) => Err(Error::report(
                "the server took every row and refused the COMMIT all the same: is there a constraint that no row violates alone?",
            )),
        }
    }

    async fn attempt(
        &self,
        client: &Client,
        carefully: bool,
        before_commit: &mut impl FnMut(&[Refusal]) -> Result<()>,
    ) -> std::result::Result<Done, Failed> {
        let mut done = Done::default();
        let has_suspects = !self.suspects.is_empty();
        let moved = answers(client, &self.opening(carefully || has_suspects)).await?;
        // The statements before this one return rows of their own, with other columns.
        if !moved.iter().any(|row| {
            row.columns()
                .first()
                .is_some_and(|c| c.name() == "position")
        }) {
            return Err(Failed::Other(self.key.moved()));
        }
        for table in &self.rows.tables {
            if carefully {
                self.copy_carefully(client, table, &mut done).await?;
                continue;
            }
            let parted;
            let mut trusted = table;
            if has_suspects && table.series().iter().any(|&s| self.suspects.contains(s)) {
                let suspect = table.of_series(|series| self.suspects.contains(series));
                self.copy_one_by_one(client, &suspect, &mut done).await?;
                parted = table.of_series(|series| !self.suspects.contains(series));
                trusted = &parted;
            }
            match self.copy(client, trusted, 0..trusted.len()).await {
                Ok(repeated) => done.repeated += repeated,
                Err(error) if self.blame(&error, table).is_some() => {
                    return Err(Failed::Rows);
                }
                Err(error) => return Err(Failed::Other(self.failed(error, table))),
            }
        }
        before_commit(&done.refused)?;
        match client.batch_execute("COMMIT").await {
            Ok(()) => Ok(done),
            // A deferred constraint, which is checked at the end.
            Err(error) if blame(&error, "").is_some() => Err(Failed::Rows),
            Err(error) => Err(Error::from(error).doing("COMMIT").into()),
        }
    }

    /// Send all statements before the first row in one message.
    fn opening(&self, carefully: bool) -> String {
        let constraints = if carefully {
            "SET CONSTRAINTS ALL IMMEDIATE;"
        } else {
            ""
        };
        format!(
            "BEGIN; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = {}; {constraints} \
             SELECT set_config('synchronous_commit', 'on', true) AS stronger WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply'); {}",
            self.settings.lock_timeout.as_millis(),
            self.settings.timeout.as_millis(),
            self.key.update(self.old, self.new)
        )
    }

    /// Copy a range of rows. Returns how many of them already existed.
    async fn copy(
        &self,
        client: &Client,
        table: &TableRows,
        range: Range<usize>,
    ) -> std::result::Result<u64, tokio_postgres::Error> {
        if range.is_empty() {
            return Ok(0);
        }
        let target = qualified(&self.key.schema, &table.table.name);
        let columns: Vec<String> = table.column_names().map(quoted).collect();
        let columns = columns.join(", ");
        if !self.unique {
            copy_into(client, &format!("{target} ({columns})"), table.part(&range)).await?;
            return Ok(0);
        }
        // COPY cannot skip conflicts, so the rows go through a temporary table. It has the same name, because errors contain the name.
        let beside = qualified("pg_temp", &table.table.name);
        let make = format!(
            "CREATE TEMP TABLE {} ({}) ON COMMIT DROP",
            quoted(&table.table.name),
            table.table.definitions(table.column_names())
        );
        client.batch_execute(&make).await?;
        copy_into(client, &format!("{beside} ({columns})"), table.part(&range)).await?;
        let insert = format!(
            "INSERT INTO {target} ({columns}) SELECT {columns} FROM {beside} ON CONFLICT ({}, {}) DO NOTHING",
            quoted(TIME),
            quoted(CONTENT)
        );
        let inserted = client.execute(&insert, &[]).await?;
        client
            .batch_execute(&format!("DROP TABLE {beside}"))
            .await?;
        Ok(range.len() as u64 - inserted)
    }

    /// Copy the rows that the server accepts, and note those that it refuses. This works in pieces, so that no row is sent much more than twice.
    async fn copy_carefully(
        &self,
        client: &Client,
        table: &TableRows,
        done: &mut Done,
    ) -> Result<()> {
        let (mut at, mut step) = (0, FIRST_STEP);
        while at < table.len() {
            let end = table.len().min(at.saturating_add(step));
            let mut waiting = Vec::new();
            waiting.push(at..end);
            at = end;
            step = step.saturating_mul(2);
            while let Some(range) = waiting.pop() {
                let blame = match self.try_copy(client, table, range.clone()).await? {
                    Ok(repeated) => {
                        done.repeated += repeated;
                        continue;
                    }
                    Err(blame) => blame,
                };
                step = LEAST_STEP.max(range.len() / 2);
                let named = blame
                    .line
                    .map(|line| range.start + line - 1)
                    .filter(|row| range.contains(row));
                match named {
                    Some(bad) => {
                        done.blame(table, bad);
                        done.refused.push(refusal(table, bad, blame.words));
                        waiting.push(bad + 1..range.end);
                        waiting.push(range.start..bad);
                    }
                    None if range.len() == 1 => {
                        done.blame(table, range.start);
                        done.refused.push(refusal(table, range.start, blame.words));
                    }
                    None => {
                        let middle = range.start + range.len() / 2;
                        waiting.push(middle..range.end);
                        waiting.push(range.start..middle);
                    }
                }
            }
        }
        Ok(())
    }

    /// Copy a range. If the server refuses one of its rows, no row of the range is stored.
    async fn try_copy(
        &self,
        client: &Client,
        table: &TableRows,
        range: Range<usize>,
    ) -> Result<std::result::Result<u64, Blame>> {
        if range.is_empty() {
            return Ok(Ok(0));
        }
        client.batch_execute("SAVEPOINT iiot_rows").await?;
        match self.copy(client, table, range).await {
            Ok(repeated) => {
                client.batch_execute("RELEASE iiot_rows").await?;
                Ok(Ok(repeated))
            }
            Err(error) => {
                let Some(found) = self.blame(&error, table) else {
                    return Err(self.failed(error, table));
                };
                client
                    .batch_execute("ROLLBACK TO iiot_rows; RELEASE iiot_rows")
                    .await?;
                Ok(Err(found))
            }
        }
    }

    fn blame(&self, error: &tokio_postgres::Error, table: &TableRows) -> Option<Blame> {
        let said = error.as_db_error()?;
        let lacks_partition = said.code().code() == "23514" && said.constraint().is_none();
        if lacks_partition && self.makes_partitions {
            return None;
        }
        blame(error, &table.table.name)
    }

    fn failed(&self, error: tokio_postgres::Error, table: &TableRows) -> Error {
        let mut error = Error::from(error);
        if matches!(
            error.sqlstate.as_deref(),
            Some("42P01" | "42703" | "428C9" | "23514")
        ) {
            // Tables or partitions have changed; the next connection looks them up again.
            error.kind = ErrorKind::Wait;
        }
        error.doing(&format!(
            "COPY into {}",
            qualified(&self.key.schema, &table.table.name)
        ))
    }
}

/// Send rows to a table, with its columns.
async fn copy_into(
    client: &Client,
    target: &str,
    mut rest: Bytes,
) -> std::result::Result<(), tokio_postgres::Error> {
    let sink = client
        .copy_in::<_, Bytes>(&format!("COPY {target} FROM STDIN"))
        .await?;
    let mut sink = std::pin::pin!(sink);
    while !rest.is_empty() {
        let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
        sink.feed(chunk).await?;
    }
    sink.finish().await.map(drop)
}

fn refusal(table: &TableRows, row: usize, reason: String) -> Refusal {
    let (position, point) = table.place(row).unwrap_or_default();
    Refusal {
        position,
        point,
        reason,
        excerpt: table.excerpt(row),
    }
}
