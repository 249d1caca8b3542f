//! Combines a journal's batches with one connection: connects, reads the next rows, commits them with the position, and confirms.
//!
//! All calls block. One thread may read while another one commits, as in other sinks.

mod link;

use crate::columns::{Catalogue, Division};
use crate::connection::{Cancel, Connection, Server};
use crate::error::{Error, ErrorKind, Result};
use crate::position::{Key, Place, Resume, judge};
use crate::rows::{Refusal, RowLimits, RowOptions, Rows};
use crate::settings::Settings;
use crate::suspects::Suspects;
pub use crate::transaction::Done;
use crate::transaction::Task;
use iiot_journal::{Batches, Confirmation, Confirmations, Runs, Stop, now_ns};
use link::Link;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the journal may take to store data that must be stored before a COMMIT or before reading again.
const JOURNAL_TIMEOUT: Duration = Duration::from_secs(10);

/// The state at the beginning of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// The relation of the database to the journal.
    pub state: State,
    /// The position at which rows continue.
    pub position: u64,
    /// Positions that the database does not have (or no longer has), and that the journal has removed.
    pub lost: Range<u64>,
    /// How many frames the database has that the journal has lost.
    pub lost_here: u64,
    /// The server.
    pub server: Server,
}

/// The relation of the database's position to the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The database never had data of this journal's sink. All frames in the journal are sent.
    New,
    /// Database and journal agree.
    Same,
    /// The database had a COMMIT that the journal did not know.
    Ahead,
    /// The database has returned to an earlier state, by a restore or by a failover to a replica that was behind.
    Behind,
}

impl State {
    /// The name that Python and the log use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Same => "same",
            Self::Ahead => "ahead",
            Self::Behind => "behind",
        }
    }
}

/// The result of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is committed.
    Committed(Done),
    /// The tables or the position had changed: begin again behind the confirmed frames, and read the batch once more.
    ReadAgain,
}

/// Writes rows of a journal to one database.
pub struct Sink {
    batches: Mutex<Batches>,
    link: Mutex<Link>,
    catalogue: Mutex<Arc<Catalogue>>,
    confirmations: Arc<Confirmations>,
    options: Arc<RowOptions>,
    stop: Stop,
    cancel: Arc<Cancel>,
}

impl Sink {
    /// Check the settings, without connecting. `journal` is the journal's id, and `name` is the sink's name.
    pub fn new(
        batches: Batches,
        (journal, name): (&str, &str),
        runs: Arc<Runs>,
        settings: Settings,
        options: RowOptions,
    ) -> Result<Self> {
        let key = Key {
            schema: settings.schema.clone(),
            journal: journal.to_owned(),
            sink: name.to_owned(),
        };
        let connection = Connection::new(settings)?;
        Ok(Self {
            confirmations: batches.confirmations(),
            stop: batches.stop(),
            cancel: connection.cancel(),
            link: Mutex::new(Link {
                connection,
                key,
                runs,
                row: None,
                from: 0,
                partitions: HashMap::new(),
                makes_partitions: None,
                suspects: Suspects::default(),
                is_provisional: true,
            }),
            batches: Mutex::new(batches),
            catalogue: Mutex::default(),
            options: Arc::new(options),
        })
    }

    /// Connect, read the position, and continue there. The journal's cursor is set to it.
    pub fn connect(&self) -> Result<Connected> {
        let mut link = self.link();
        link.connection.open()?;
        self.resume(&mut link)
    }

    /// Adopt a position that another journal's run wrote: this journal continues at its own cursor.
    pub fn adopt(&self) -> Result<u64> {
        let mut link = self.link();
        link.connection.open()?;
        let position = self.batches().position();
        let place = Place::of(&link.runs, position);
        let Link {
            connection, key, ..
        } = &mut *link;
        connection.run(async |client| {
            key.prepare(client).await?;
            key.adopt(client, &place).await
        })?;
        connection.close();
        Ok(position)
    }

    fn resume(&self, link: &mut Link) -> Result<Connected> {
        link.row = None;
        let lock_timeout_ms = link.connection.settings().lock_timeout.as_millis();
        let Link {
            connection, key, ..
        } = &mut *link;
        let found = connection.run(async |client| {
            key.prepare(client).await?;
            key.read(client, lock_timeout_ms).await
        })?;
        if !self.confirmations.settled(JOURNAL_TIMEOUT) {
            return Err(Error::new(
                ErrorKind::Journal,
                "the journal does not commit what was confirmed",
            ));
        }
        let mut batches = self.batches();
        let cursor = batches.position();
        let (state, position, mut lost, lost_here) = match judge(
            found.as_ref(),
            &link.runs,
            batches.head(),
        ) {
            Resume::Unknown => {
                link.connection.close();
                let run = found.map(|place| place.run).unwrap_or_default();
                return Err(Error::new(
                    ErrorKind::UnknownRun,
                    format!(
                        "the database has rows of run {run}, which this journal does not know: it is a copy, or an old one; iiot-gateway postgresql adopt takes the database over"
                    ),
                ));
            }
            Resume::New => {
                let gone = batches.go_back(0, false)?;
                (State::New, gone.position, 1..gone.position, 0)
            }
            Resume::At {
                position,
                lost_here,
            } if position > cursor => {
                batches.confirm_ahead(position)?;
                (State::Ahead, position, 0..0, lost_here)
            }
            Resume::At {
                position,
                lost_here,
            } if position < cursor => {
                let gone = batches.go_back(position, true)?;
                (State::Behind, gone.position, gone.lost, lost_here)
            }
            Resume::At {
                position,
                lost_here,
            } => (State::Same, position, 0..0, lost_here),
        };
        batches.rewind();
        drop(batches);
        let row = match found {
            Some(found) => found,
            None => link.begin(position)?,
        };
        if lost.is_empty() {
            lost = position..position;
        }
        link.row = Some(row);
        link.from = position;
        link.is_provisional = true;
        link.partitions.clear();
        link.makes_partitions = None;
        self.read_tables(link)?;
        let server = link.connection.server().cloned();
        Ok(Connected {
            state,
            position,
            lost,
            lost_here,
            server: server.ok_or_else(|| Error::new(ErrorKind::Wait, "there is no connection"))?,
        })
    }

    /// Read the catalogue of tables again, because they may have changed without a connection.
    fn read_tables(&self, link: &mut Link) -> Result<()> {
        let known = self.catalogue();
        let names: Vec<&str> = known.names().collect();
        let found = link.tables(self.options.unique, async |tables| {
            tables.look_up(&names).await
        })?;
        let mut catalogue = Catalogue::default();
        for table in found.into_iter().flatten() {
            catalogue.put(table);
        }
        self.put_catalogue(catalogue);
        Ok(())
    }

    /// The next rows; see [`Batches::next`].
    pub fn next(
        &self,
        limits: RowLimits,
        linger: Duration,
        timeout: Duration,
    ) -> Result<Option<Rows>> {
        let mut rows = Rows::new(
            Arc::clone(&self.options),
            limits,
            self.catalogue(),
            now_ns(),
        );
        let Some(positions) = self.batches().next(&mut rows, linger, timeout)? else {
            return Ok(None);
        };
        rows.positions = positions;
        rows.finish();
        Ok(Some(rows))
    }

    /// Begin again behind the confirmed frames.
    pub fn rewind(&self) {
        self.batches().rewind();
    }

    /// Commit rows together with the position behind them. After an error the connection is closed; connect again to find out whether they were committed.
    pub fn commit(&self, rows: &Rows) -> Result<Outcome> {
        let mut link = self.link();
        if !link.connection.is_open() {
            return Err(Error::new(ErrorKind::Wait, "there is no connection"));
        }
        if rows.positions.start != link.from {
            // The batch was read before an error, or its confirmation was lost.
            self.resume(&mut link)?;
            return Ok(Outcome::ReadAgain);
        }
        if !rows.wanted.is_empty() {
            let mut catalogue = Catalogue::clone(&self.catalogue());
            let manage = self.options.manage;
            link.tables(self.options.unique, async |tables| {
                tables.ensure(&rows.wanted, manage, &mut catalogue).await
            })?;
            self.put_catalogue(catalogue);
            return Ok(Outcome::ReadAgain);
        }
        for table in rows.tables.iter().filter(|table| !table.is_empty()) {
            if table.table.division == Division::Partitions {
                link.add_partitions(
                    self.options.manage,
                    &table.table,
                    table.weeks.iter().copied(),
                )?;
            }
        }
        self.transact(&mut link, rows).map(Outcome::Committed)
    }

    fn transact(&self, link: &mut Link, rows: &Rows) -> Result<Done> {
        let old = link
            .row
            .clone()
            .ok_or_else(|| Error::new(ErrorKind::Wait, "there is no connection"))?;
        let new = Place::of(&link.runs, rows.positions.end);
        let settings = link.connection.settings().clone();
        let Link {
            connection,
            key,
            is_provisional,
            suspects,
            makes_partitions,
            ..
        } = link;
        let task = Task {
            settings: &settings,
            key,
            old: &old,
            new: &new,
            rows,
            unique: self.options.unique,
            suspects,
            makes_partitions: *makes_partitions == Some(true),
        };
        let done = connection.run(async |client| {
            task.run(client, |refused| self.store(rows, refused, is_provisional))
                .await
        })?;
        suspects.learn(rows, &done.blamed);
        link.row = Some(new);
        link.from = rows.positions.end;
        Ok(done)
    }

    /// Store the rejects before the COMMIT leaves out their rows.
    fn store(&self, rows: &Rows, refused: &[Refusal], is_provisional: &mut bool) -> Result<()> {
        let rejects = rows.confirmation(refused).rejects;
        if rejects.is_empty() && !*is_provisional {
            return Ok(());
        }
        *is_provisional = !rejects.is_empty();
        let from = rows.positions.start;
        let confirmations = &self.confirmations;
        if confirmations.provisional(from, rejects, JOURNAL_TIMEOUT)? {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Journal,
            "the journal does not store what the database refused",
        ))
    }

    /// Confirm committed rows. False if the previous confirmation is not stored yet, and `wait` is false.
    pub fn confirm(&self, rows: &Rows, refused: &[Refusal], wait: bool) -> Result<bool> {
        let confirmation: Confirmation = rows.confirmation(refused);
        Ok(self.confirmations.confirm(confirmation, wait)?)
    }

    /// Make the partitions of this week and the next for all partitioned tables.
    pub fn prepare_partitions(&self) -> Result<()> {
        let mut link = self.link();
        let known = self.catalogue();
        for name in known.names() {
            if let Some(table) = known
                .table(name.as_bytes())
                .filter(|table| table.division == Division::Partitions)
            {
                link.add_partitions(self.options.manage, table, std::iter::empty())?;
            }
        }
        Ok(())
    }

    /// Run statements on this connection. Returns the rows of all statements, as text.
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let mut link = self.link();
        if !link.connection.is_open() {
            link.connection.open()?;
        }
        link.connection.query(sql)
    }

    /// Close the connection; a later call may open it again.
    pub fn close(&self) {
        self.link().connection.close();
    }

    /// Make a call that waits for frames return.
    pub fn stop(&self) {
        self.stop.set();
    }

    /// End the call under way, and every later one.
    pub fn cancel(&self) {
        self.stop.set();
        self.cancel.set();
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn batches(&self) -> MutexGuard<'_, Batches> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(
            &self
                .catalogue
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn put_catalogue(&self, catalogue: Catalogue) {
        *self
            .catalogue
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(catalogue);
    }
}
