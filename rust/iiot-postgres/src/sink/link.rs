//! The connection of a sink, with the known state of the other side: the position and the partitions.

use crate::columns::Table;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind, Result};
use crate::plain;
use crate::position::{Key, Place};
use crate::suspects::Suspects;
use crate::tables::Tables;
use iiot_journal::{Runs, now_ns};
use std::collections::HashMap;
use std::sync::Arc;

/// A connection, and the state that it found.
pub(super) struct Link {
    pub(super) connection: Connection,
    pub(super) key: Key,
    pub(super) runs: Arc<Runs>,
    /// The row in the database.
    pub(super) row: Option<Place>,
    /// The position at which the next batch must begin.
    pub(super) from: u64,
    /// The times that the partitions of a table cover.
    pub(super) partitions: HashMap<String, Option<Vec<(i64, i64)>>>,
    /// Whether partitions are made here; none if that is not known yet.
    pub(super) makes_partitions: Option<bool>,
    /// Series whose rows are sent separately.
    pub(super) suspects: Suspects,
    /// Whether provisional rejects may be stored.
    pub(super) is_provisional: bool,
}

impl Link {
    /// Write the first row.
    pub(super) fn begin(&mut self, position: u64) -> Result<Place> {
        let place = Place::of(&self.runs, position);
        let key = &self.key;
        self.connection
            .run(async |client| key.begin(client, &place).await)?;
        Ok(place)
    }

    /// Run a function that works on tables.
    pub(super) fn tables<T>(
        &mut self,
        unique: bool,
        work: impl AsyncFnOnce(&Tables<'_>) -> Result<T>,
    ) -> Result<T> {
        let Some(server) = self.connection.server().cloned() else {
            return Err(Error::new(ErrorKind::Wait, "there is no connection"));
        };
        let schema = &self.key.schema;
        let lock_timeout_ms = self.connection.settings().lock_timeout.as_millis();
        self.connection.run(async |client| {
            let tables = Tables {
                unique,
                client,
                server: &server,
                schema,
                lock_timeout_ms,
            };
            work(&tables).await
        })
    }

    /// Whether partitions are made here: with `manage`, or with a function in the database.
    pub(super) fn makes_partitions(&mut self, manage: bool) -> Result<bool> {
        if let Some(known) = self.makes_partitions {
            return Ok(known);
        }
        let makes =
            manage || self.tables(false, async |tables| tables.has_partition_function().await)?;
        self.makes_partitions = Some(makes);
        Ok(makes)
    }

    /// Make the missing partitions for some weeks, for this week and for the next. If none are made, the server refuses rows without a partition.
    pub(super) fn add_partitions(
        &mut self,
        manage: bool,
        table: &Table,
        weeks: impl Iterator<Item = i64>,
    ) -> Result<()> {
        if !self.makes_partitions(manage)? {
            return Ok(());
        }
        let present = plain::week(now_ns() / 1000);
        let wanted: Vec<i64> = weeks.chain([present, present + 1]).collect();
        let mut partitions = match self.partitions.remove(&table.name) {
            Some(known) => known,
            None => self.tables(false, async |tables| tables.partitions(&table.name).await)?,
        };
        if let Some(known) = &mut partitions {
            for week in wanted {
                for gap in plain::gaps(plain::times_of_week(week), known) {
                    self.tables(false, async |tables| {
                        tables.add_partition(&table.name, gap).await
                    })?;
                    known.push(gap);
                }
            }
        }
        self.partitions.insert(table.name.clone(), partitions);
        Ok(())
    }
}
