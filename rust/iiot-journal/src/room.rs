//! Reserves room on the disk before it is needed, so that other programs that fill the disk cannot stop the intake before `max_bytes` is
//! used.

use crate::error::{Error, Result};
use rusqlite::Connection;
use rustix::fs::FallocateFlags;
use std::fs::{File, OpenOptions};
use std::path::Path;

/// The chunk of a file of 2 GiB or more: SQLite's chunk size is an `int`, so it cannot be as large as the file.
const MAX_CHUNK: i32 = 1 << 30;

/// A file that has been given its final size.
///
/// It is made before any connection to the file is opened, and dropped after all are closed: closing any descriptor of a file drops all of
/// this process's POSIX locks on it, also those of `SQLite`.
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
        // This is also requested if the file already has the length, because a part of it may have no blocks yet.
        let before = self.file.metadata()?.len();
        rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, self.bytes).map_err(|e| {
            // Give back the room that was allocated so far.
            let _ = self.file.set_len(before);
            e.into()
        })
    }

    /// Let the checkpoints of this connection, which truncate the file, leave whole chunks: a single one, if the size fits.
    pub(crate) fn keep_whole_chunks(&self, db: &Connection) -> Result<()> {
        let mut chunk = i32::try_from(self.bytes).unwrap_or(MAX_CHUNK);
        Ok(db.file_control(
            Some(rusqlite::MAIN_DB),
            rusqlite::FileControl::ChunkSize(&mut chunk),
        )?)
    }

    /// Whether one chunk is the whole file, so that a checkpoint never gives up room.
    pub(crate) fn is_one_chunk(&self) -> bool {
        i32::try_from(self.bytes).is_ok()
    }

    /// Reserve the room again that a checkpoint gave up beyond the chunks. An error means that another program took it first.
    pub(crate) fn take_back(&self) -> std::io::Result<()> {
        self.allocate()
    }
}

/// Bytes that are free for this user on the disk of a path; 0 if this cannot be determined.
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
