//! Copies a journal while it is open.

use crate::copy_mark::mark;
use crate::copying::{CopyProgress, Copying, Pace, STEP, Step};
use crate::error::{Error, ErrorKind, Result, closed};
use crate::journal::Journal;
use crate::wall_clock::now_ns;
use rusqlite::Connection;
use std::path::Path;
use std::time::{Duration, Instant};

/// The writer makes a step within this time; otherwise the disk of the journal is stuck.
const PATIENCE: Duration = Duration::from_secs(30);
impl Journal {
    /// Copy the file while it is written. The copy holds everything that was committed when this returns, and is synced.
    ///
    /// Frames and confirmations wait for a step of a few milliseconds at most. An error costs the copy alone.
    pub fn copy_to(&self, path: &Path, progress: &CopyProgress) -> Result<()> {
        self.copy_within(PATIENCE, path, progress)
    }

    fn copy_within(&self, patience: Duration, path: &Path, progress: &CopyProgress) -> Result<()> {
        let file = path.to_owned();
        let begun = self.shared.command_within(patience, move |state| {
            if state.copying.is_some() {
                return Ok(false);
            }
            state.copying = Some(Copying::begin(&state.db, &file)?);
            Ok(true)
        });
        let copy = match begun {
            Ok(false) => {
                let text = "another copy is being made";
                return Err(Error::new(ErrorKind::Conflict, text));
            }
            Ok(true) => Pace::new(progress, path).and_then(|pace| self.copy_steps(pace)),
            Err(error) => Err(error),
        };
        if copy.is_err() {
            // It may be queued behind a step, or the very first one, that still waits for the disk. A closed journal has dropped it.
            let _ = self.shared.command_within(patience, |state| {
                state.copying = None;
                Ok(())
            });
        }
        copy
    }

    fn copy_steps(&self, mut pace: Pace<'_>) -> Result<()> {
        loop {
            let began = Instant::now();
            let step = self.shared.command_within(PATIENCE, |state| {
                let copying = state.copying.take().ok_or_else(closed)?;
                let (step, rest) = copying.step(STEP)?;
                state.copying = rest;
                Ok(step)
            })?;
            match step {
                Step::More { copied, total } => pace.between(copied, total, began.elapsed())?,
                Step::Done(copy) => {
                    mark(&copy, now_ns() / 1_000_000)?;
                    return pace.complete(copy);
                }
            }
        }
    }

    /// Copy the file of a journal that no process has open; the file is not changed. The caller must ensure that no process opens it
    /// meanwhile.
    pub fn copy_file(path: &Path, to: &Path, progress: &CopyProgress) -> Result<()> {
        crate::copying::copy_file(path, to, progress)?;
        let marked = || {
            let copy = Connection::open(to)?;
            mark(&copy, now_ns() / 1_000_000)?;
            copy.close().map_err(|(_, error)| error.into())
        };
        marked().map_err(|e: Error| e.of(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Options;
    use std::sync::mpsc::channel;

    /// The disk takes nothing for a while: the copy that could not begin then does not stand in the way of the next one.
    #[test]
    fn a_copy_that_began_too_late_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("j.db"), &Options::default()).unwrap();
        let (tell, stalled) = channel::<()>();
        let (go_on, waits) = channel::<()>();
        std::thread::scope(|threads| {
            let shared = &journal.shared;
            threads.spawn(move || {
                let stall = move |_: &mut crate::state::State| {
                    tell.send(()).unwrap();
                    waits.recv().unwrap();
                    Ok(())
                };
                shared.command_within(PATIENCE, stall).unwrap();
            });
            stalled.recv().unwrap();
            let (late, progress) = (folder.path().join("late.db"), CopyProgress::default());
            let copy = journal.copy_within(Duration::from_millis(1), &late, &progress);
            assert_eq!(copy.unwrap_err().kind, ErrorKind::Io);
            go_on.send(()).unwrap();
        });
        let next = folder.path().join("next.db");
        journal.copy_to(&next, &CopyProgress::default()).unwrap();
    }
}
