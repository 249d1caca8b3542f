//! Copies an SQLite file in short steps on the connection that writes it, so that no other work waits long. The copy has the state of the file at the
//! last step.
//!
//! Writes of the same connection go into both files meanwhile: `SQLite` ensures that (<https://www.sqlite.org/backup.html>). Writes of another
//! connection would restart the copy, and a reader's snapshot would keep the log from being reused.

use crate::error::{Error, ErrorKind, Result};
use crate::{check, schema};
use rusqlite::{Connection, OpenFlags, ffi};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A step ends after this time; a commit may have to wait this long for it.
pub(crate) const STEP: Duration = Duration::from_millis(5);
/// How many pages `SQLite` copies per call.
const PAGES: i32 = 64;
/// Pages between two syncs of the copy (16 MB): otherwise the system writes all of it at once, and the journal's own syncs wait for that.
const SYNC_PAGES: u64 = 4096;
/// The most faults that a check names.
const NAMED: usize = 8;

/// The progress of a copy; it can also end the copy early.
#[derive(Debug, Default)]
pub struct CopyProgress {
    copied: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl CopyProgress {
    /// End the copy at its next step.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Pages that are copied, and pages of the file; both 0 before the first step.
    pub fn pages(&self) -> (u64, u64) {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (read(&self.copied), read(&self.total))
    }
}

/// A copy that is being made. It must be dropped before the connection that it copies from is closed.
pub(crate) struct Copying {
    backup: Option<NonNull<ffi::sqlite3_backup>>,
    to: Option<Connection>,
}

// SAFETY: the pointer belongs to the two connections, which are `Send`. Only the holder of this value uses it, and that holder also holds the
// source's connection: see `State`, and `copy_connection`, which borrows it.
unsafe impl Send for Copying {}

/// The result of a step.
pub(crate) enum Step {
    More {
        copied: u64,
        total: u64,
    },
    /// The copy, complete and not synced.
    Done(Connection),
}

impl Copying {
    /// Begin a copy in a new file. A safe handle of the library would borrow the connection, which writes between the steps.
    pub(crate) fn begin(from: &Connection, path: &Path) -> Result<Self> {
        // No other process needs to read it.
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| Error::io("cannot make", path, &e))?;
        let to = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        // An incomplete copy is thrown away, so nothing is kept for a rollback. The caller syncs the copy.
        to.execute_batch("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")?;
        // SAFETY: both connections are open. `to` is used for nothing else until the end of the backup, and moves with it, which does not move what
        // its handle points to.
        let backup = unsafe {
            ffi::sqlite3_backup_init(
                to.handle(),
                c"main".as_ptr(),
                from.handle(),
                c"main".as_ptr(),
            )
        };
        let backup = NonNull::new(backup).ok_or_else(|| failed(ffi::SQLITE_ERROR))?;
        Ok(Self {
            backup: Some(backup),
            to: Some(to),
        })
    }

    /// Copy pages for a while.
    pub(crate) fn step(mut self, budget: Duration) -> Result<(Step, Option<Self>)> {
        let began = Instant::now();
        loop {
            match self.pages()? {
                Step::More { .. } if began.elapsed() < budget => {}
                more @ Step::More { .. } => return Ok((more, Some(self))),
                done @ Step::Done(_) => return Ok((done, None)),
            }
        }
    }

    fn pages(&mut self) -> Result<Step> {
        let backup = self
            .backup
            .ok_or_else(|| failed(ffi::SQLITE_MISUSE))?
            .as_ptr();
        // SAFETY: the backup was begun and not finished, and the caller holds both connections.
        let (code, total, left) = unsafe {
            let code = ffi::sqlite3_backup_step(backup, PAGES);
            (
                code,
                ffi::sqlite3_backup_pagecount(backup),
                ffi::sqlite3_backup_remaining(backup),
            )
        };
        let total = u64::from(total.unsigned_abs());
        match code {
            // Busy or locked: another process holds the file for a moment.
            ffi::SQLITE_OK | ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED => Ok(Step::More {
                copied: total.saturating_sub(left.unsigned_abs().into()),
                total,
            }),
            ffi::SQLITE_DONE => {
                self.finish();
                self.to
                    .take()
                    .map(Step::Done)
                    .ok_or_else(|| failed(ffi::SQLITE_MISUSE))
            }
            code => Err(failed(code)),
        }
    }

    fn finish(&mut self) {
        if let Some(backup) = self.backup.take() {
            // SAFETY: as above; it is taken, so it is never used again.
            let _ = unsafe { ffi::sqlite3_backup_finish(backup.as_ptr()) };
        }
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The error of a code of `SQLite`.
fn failed(code: i32) -> Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
}

/// Leaves time between the steps of a copy, and keeps the disk from being overloaded.
pub(crate) struct Pace<'a> {
    progress: &'a CopyProgress,
    path: PathBuf,
    /// Opened before the copy's connection is closed, and closed after it: see `Room`.
    file: File,
    synced: u64,
}

impl<'a> Pace<'a> {
    /// Of a copy that was begun at a path.
    pub(crate) fn new(progress: &'a CopyProgress, path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io("cannot open", path, &e))?;
        let pace = Self {
            progress,
            path: path.to_owned(),
            file,
            synced: 0,
        };
        pace.go_on()?;
        Ok(pace)
    }

    /// Pause after a step of this duration. An error ends the copy.
    pub(crate) fn between(&mut self, copied: u64, total: u64, took: Duration) -> Result<()> {
        self.progress.copied.store(copied, Ordering::Relaxed);
        self.progress.total.store(total, Ordering::Relaxed);
        self.go_on()?;
        if copied >= self.synced + SYNC_PAGES {
            self.sync()?;
            self.synced = copied;
        }
        // Half of the time belongs to other work.
        std::thread::sleep(took.min(4 * STEP));
        Ok(())
    }

    fn go_on(&self) -> Result<()> {
        if self.progress.cancelled.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Closed, "the copy was cancelled"));
        }
        Ok(())
    }

    /// Turn the copy into a single file without a log, and sync it.
    pub(crate) fn complete(self, copy: Connection) -> Result<()> {
        let mode: String = copy.query_row("PRAGMA journal_mode=DELETE", [], |r| r.get(0))?;
        if mode != "delete" {
            return Err(Error::new(
                ErrorKind::Io,
                format!("the copy keeps the journal mode {mode}"),
            ));
        }
        copy.close().map_err(|(_, error)| error)?;
        let (_, total) = self.progress.pages();
        self.progress.copied.store(total, Ordering::Relaxed);
        self.sync()
    }

    fn sync(&self) -> Result<()> {
        self.file
            .sync_all()
            .map_err(|e| Error::io("cannot sync", &self.path, &e))
    }
}

/// Copy the file of a connection that is not used meanwhile. `cancelled` is checked at every step.
pub fn copy_connection(
    from: &Connection,
    path: &Path,
    progress: &CopyProgress,
    mut cancelled: impl FnMut() -> bool,
) -> Result<()> {
    let mut copying = Copying::begin(from, path)?;
    let mut pace = Pace::new(progress, path)?;
    loop {
        let began = Instant::now();
        let (step, rest) = copying.step(STEP)?;
        match step {
            Step::Done(copy) => return pace.complete(copy),
            Step::More { copied, total } => pace.between(copied, total, began.elapsed())?,
        }
        if cancelled() {
            progress.cancel();
        }
        copying = rest.ok_or_else(|| failed(ffi::SQLITE_MISUSE))?;
    }
}

/// Copy the present state of a file. Other processes may write to it; their log grows as long as the copy takes.
pub fn copy_file(from: &Path, path: &Path, progress: &CopyProgress) -> Result<()> {
    let copy = || {
        let db = Connection::open_with_flags(
            from,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        db.busy_timeout(schema::BUSY_TIMEOUT)?;
        // One snapshot for all steps: writes of other processes do not restart the copy.
        db.execute_batch("BEGIN")?;
        let _: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
        copy_connection(&db, path, progress, || false)
    };
    copy().map_err(|e: Error| e.of(from))
}

/// Read every page of a file that no process writes, and the checksums of a journal's rows. Returns the damage found.
pub fn check_file(path: &Path) -> Result<Vec<String>> {
    let check = || -> Result<Vec<String>> {
        let db = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        let mut query = db.prepare(&format!("PRAGMA integrity_check({NAMED})"))?;
        let found: Vec<String> = query
            .query_map([], |r| r.get(0))?
            .collect::<std::result::Result<_, _>>()?;
        let mut faults: Vec<String> = found.into_iter().filter(|line| line != "ok").collect();
        if faults.is_empty() && schema::is_journal(&db)? {
            faults.extend(check::bodies(&db)?);
        }
        Ok(faults)
    };
    match check() {
        // A file that cannot be read at all is damaged, too.
        Err(error) if error.kind == ErrorKind::Damaged => Ok(vec![error.to_string()]),
        other => other.map_err(|e| e.of(path)),
    }
}
