//! The row with the position of a journal's sink, and its comparison with the journal.

use crate::connection::rows;
use crate::error::{Error, ErrorKind, Result};
use crate::names::{literal, qualified};
use iiot_journal::Runs;
use tokio_postgres::Client;

/// The table of positions.
pub const TABLE: &str = "iiot_gateway_position";

/// The key of a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The schema of the table.
    pub schema: String,
    /// The journal's id.
    pub journal: String,
    /// The sink's name.
    pub sink: String,
}

/// A position of a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The run of the last frame before the position; empty if there is none.
    pub run: String,
    /// The position behind the last frame whose rows are stored.
    pub position: u64,
}

impl Place {
    /// A position of a journal.
    pub fn of(runs: &Runs, position: u64) -> Self {
        let run = position
            .checked_sub(1)
            .and_then(|last| runs.of(last))
            .map_or_else(String::new, |run| run.id.clone());
        Self { run, position }
    }
}

/// The result of comparing the database's position with the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// The database never had data of this journal's sink.
    New,
    /// All frames before the position are stored.
    At {
        /// The position in this journal.
        position: u64,
        /// How many frames behind it the database has, although this journal has lost them.
        lost_here: u64,
    },
    /// The position was written by a run that this journal does not know.
    Unknown,
}

/// Compare the database's position with the runs of the journal.
pub fn judge(found: Option<&Place>, runs: &Runs, next: u64) -> Resume {
    let Some(found) = found else {
        return Resume::New;
    };
    if found.run.is_empty() {
        return Resume::At {
            position: found.position.min(next),
            lost_here: 0,
        };
    }
    // The position behind the run's last frame here. Beyond it, the database has frames that the journal lost with the power, or that were
    // written after the journal was copied. Other frames have their numbers now.
    match runs.end(&found.run) {
        None => Resume::Unknown,
        Some(end) => {
            let position = found.position.min(end.unwrap_or(next));
            Resume::At {
                position,
                lost_here: found.position - position,
            }
        }
    }
}

impl Key {
    fn table(&self) -> String {
        qualified(&self.schema, TABLE)
    }

    fn condition(&self) -> String {
        format!(
            "journal = {} AND sink = {}",
            literal(&self.journal),
            literal(&self.sink)
        )
    }

    /// The statement that makes the table.
    pub fn create(schema: &str) -> String {
        // The fill factor leaves room for new versions of the row beside it, because it changes with every transaction.
        format!(
            "CREATE TABLE IF NOT EXISTS {} (journal text NOT NULL, sink text NOT NULL, run text NOT NULL, position bigint NOT NULL, \
             moved_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (journal, sink)) WITH (fillfactor = 20)",
            qualified(schema, TABLE)
        )
    }

    /// Moves the position from one place to another. Returns a row if the old position was right.
    pub(crate) fn update(&self, old: &Place, new: &Place) -> String {
        format!(
            "UPDATE {} SET run = {}, position = {}, moved_at = clock_timestamp() WHERE {} AND run = {} AND position = {} RETURNING position",
            self.table(),
            literal(&new.run),
            new.position,
            self.condition(),
            literal(&old.run),
            old.position
        )
    }

    /// Make the table if it does not exist.
    pub(crate) async fn prepare(&self, client: &Client) -> Result<()> {
        let asked = format!(
            "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {} AND c.relname = {}",
            literal(&self.schema),
            literal(TABLE)
        );
        if !rows(client, &asked).await?.is_empty() {
            return Ok(());
        }
        let made = client.batch_execute(&Self::create(&self.schema)).await;
        made.map_err(|error| {
            Error::from(error).doing(&format!(
                "the table {} for the sink's position is missing and cannot be made (iiot-gateway postgresql init makes it)",
                self.table()
            ))
        })
    }

    /// Read the row, after waiting for transactions that still move it.
    pub(crate) async fn read(
        &self,
        client: &Client,
        lock_timeout_ms: u128,
    ) -> Result<Option<Place>> {
        let asked = format!(
            "BEGIN; SET LOCAL lock_timeout = {lock_timeout_ms}; SELECT run, position FROM {} WHERE {} FOR UPDATE; COMMIT",
            self.table(),
            self.condition()
        );
        let found = rows(client, &asked).await?;
        let Some(row) = found.first() else {
            return Ok(None);
        };
        let position = row.get(1).and_then(|text| text.parse().ok());
        Ok(position.map(|position| Place {
            run: row.get(0).unwrap_or_default().to_owned(),
            position,
        }))
    }

    /// Write the first row; an error if another writer was faster.
    pub(crate) async fn begin(&self, client: &Client, place: &Place) -> Result<()> {
        let asked = format!(
            "INSERT INTO {} (journal, sink, run, position) VALUES ({}, {}, {}, {}) ON CONFLICT DO NOTHING RETURNING position",
            self.table(),
            literal(&self.journal),
            literal(&self.sink),
            literal(&place.run),
            place.position
        );
        if rows(client, &asked).await?.is_empty() {
            return Err(self.moved());
        }
        Ok(())
    }

    /// Overwrite the row, whatever it contains.
    pub(crate) async fn adopt(&self, client: &Client, place: &Place) -> Result<()> {
        let asked = format!(
            "INSERT INTO {} (journal, sink, run, position) VALUES ({}, {}, {}, {}) \
             ON CONFLICT (journal, sink) DO UPDATE SET run = excluded.run, position = excluded.position, moved_at = now()",
            self.table(),
            literal(&self.journal),
            literal(&self.sink),
            literal(&place.run),
            place.position
        );
        client.batch_execute(&asked).await?;
        Ok(())
    }

    /// The error if another writer moves the position.
    pub(crate) fn moved(&self) -> Error {
        Error::new(
            ErrorKind::Moved,
            format!(
                "another writer moved the position of sink {} of journal {}: is a second gateway running with a copy of the journal?",
                self.sink, self.journal
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iiot_journal::Run;

    fn runs(firsts: &[(&str, u64)]) -> Runs {
        Runs::new(
            firsts
                .iter()
                .map(|&(id, first)| Run {
                    id: id.into(),
                    first,
                })
                .collect(),
        )
    }

    fn place(run: &str, position: u64) -> Place {
        Place {
            run: run.into(),
            position,
        }
    }

    fn at(position: u64, lost_here: u64) -> Resume {
        Resume::At {
            position,
            lost_here,
        }
    }

    /// A place names the run of the last frame before it, not that of the next one.
    #[test]
    fn a_place_belongs_to_the_frame_before_it() {
        let runs = runs(&[("a", 1), ("empty", 81), ("b", 81)]);
        assert_eq!(Place::of(&runs, 81), place("a", 81));
        assert_eq!(Place::of(&runs, 82), place("b", 82));
        assert_eq!(Place::of(&runs, 0), place("", 0));
    }

    /// Each state of database and journal has its own answer.
    #[test]
    fn what_the_database_says_is_judged() {
        let runs = runs(&[("a", 1), ("b", 81)]);
        assert_eq!(judge(None, &runs, 100), Resume::New);
        assert_eq!(judge(Some(&place("", 1)), &runs, 100), at(1, 0));
        assert_eq!(judge(Some(&place("a", 60)), &runs, 100), at(60, 0));
        assert_eq!(judge(Some(&place("b", 100)), &runs, 100), at(100, 0));
        assert_eq!(judge(Some(&place("c", 90)), &runs, 100), Resume::Unknown);
    }

    /// Where the journal lost the end of a run, the numbers of another run's frames mean nothing to it.
    #[test]
    fn a_shortened_run_goes_on_at_its_end() {
        let runs = runs(&[("a", 1), ("b", 81)]);
        assert_eq!(judge(Some(&place("a", 95)), &runs, 100), at(81, 14));
        assert_eq!(judge(Some(&place("b", 120)), &runs, 100), at(100, 20));
    }
}
