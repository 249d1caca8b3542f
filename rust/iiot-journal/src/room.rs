//! Room on the disk, taken before it is needed: a disk that others fill cannot stop the intake before `max_bytes` is used.

use crate::error::{Error, Result};
use rusqlite::Connection;
use rustix::fs::FallocateFlags;
use std::fs::{File, OpenOptions};
use std::path::Path;

/// The chunk of a file of 2 GiB or more: SQLite's chunk size is an `int`, so it cannot be told to keep the whole.
const MAX_CHUNK: i32 = 1 << 30;

/// A file that has been given its final size.
///
/// Made while no connection to it is open, and dropped when none is any more: closing any descriptor of a file drops all of this process's
/// POSIX locks on it, `SQLite`'s too.
#[derive(Debug)]
pub(crate) struct Room {
    file: File,
    bytes: u64,
}

impl Room {
    /// Allocate the file to this size. On an error its size is as before.
    pub(crate) fn reserve(path: &Path, bytes: u64) -> Result<Self> {
        let failed = |e: &std::io::Error| {
            Error::io(&format!("{bytes} bytes cannot be reserved for"), path, e)
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| failed(&e))?;
        let room = Self { file, bytes };
        room.allocate().map_err(|e| failed(&e))?;
        Ok(room)
    }

    fn allocate(&self) -> std::io::Result<()> {
        // Asked for also where the length is there already: a part of it may have no room yet.
        let before = self.file.metadata()?.len();
        rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, self.bytes).map_err(|e| {
            // Give back what was taken on the way.
            let _ = self.file.set_len(before);
            e.into()
        })
    }

    /// Make the checkpoints of this connection, which cut the file, leave whole chunks: one, if the size can be said that way.
    pub(crate) fn keep_whole_chunks(&self, db: &Connection) -> Result<()> {
        let mut chunk = i32::try_from(self.bytes).unwrap_or(MAX_CHUNK);
        Ok(db.file_control(
            Some(rusqlite::MAIN_DB),
            rusqlite::FileControl::ChunkSize(&mut chunk),
        )?)
    }

    /// Whether those chunks hold all of it, so that nothing is ever given up.
    pub(crate) fn is_one_chunk(&self) -> bool {
        i32::try_from(self.bytes).is_ok()
    }

    /// Take back at once what a checkpoint gave up beyond the chunks. An error says that somebody else was faster.
    pub(crate) fn take_back(&self) -> std::io::Result<()> {
        self.allocate()
    }
}

/// Bytes free for this user on the disk of a path; 0 if it cannot be asked.
pub(crate) fn free_bytes(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::Room;

    /// What a checkpoint cuts off is taken again, and nothing that is in the file is touched.
    #[test]
    fn room_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        std::fs::write(&path, b"pages").unwrap();
        let room = Room::reserve(&path, 1 << 20).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(4096).unwrap();

        room.take_back().unwrap();

        let content = std::fs::read(&path).unwrap();
        assert_eq!(content.len(), 1 << 20);
        assert!(content.starts_with(b"pages\0"));
    }
}
