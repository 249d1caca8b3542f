//! Reports the contents of the write-ahead log after a crash, before SQLite opens it (and silently drops a part).
//!
//! Format: <https://www.sqlite.org/fileformat2.html#walformat>. A header of 32 bytes, then frames of 24 bytes and a page:
//! page number, size of the database after a commit (0 within a transaction), two salts, two checksums, all big-endian.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The contents of a journal's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WalReport {
    /// Pages of whole transactions: they are kept.
    pub committed: u64,
    /// Pages of a transaction that was never committed, or that are torn: they are dropped.
    pub dropped: u64,
}

/// Read a log; an absent, empty or foreign file reports nothing.
pub fn inspect(path: &Path) -> std::io::Result<WalReport> {
    let mut report = WalReport::default();
    let mut input = match File::open(path) {
        Ok(file) => BufReader::with_capacity(1 << 16, file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(report),
        Err(error) => return Err(error),
    };
    let mut header = [0; HEADER];
    if input.read_exact(&mut header).is_err() {
        return Ok(report);
    }
    let magic = word(&header, 0);
    if magic & 0xffff_fffe != 0x377f_0682 {
        return Ok(report);
    }
    let big_endian = magic & 1 == 1;
    let page = word(&header, 8) as usize;
    if !(512..=65_536).contains(&page) {
        return Ok(report);
    }
    let mut sum = checksum(&header[..24], big_endian, (0, 0));
    if sum != (word(&header, 24), word(&header, 28)) {
        return Ok(report);
    }
    let mut frame = vec![0; FRAME_HEADER + page];
    let mut pending = 0;
    while input.read_exact(&mut frame).is_ok() {
        if frame[8..16] != header[16..24] {
            break; // from before the log was reused
        }
        sum = checksum(&frame[..8], big_endian, sum);
        sum = checksum(&frame[FRAME_HEADER..], big_endian, sum);
        pending += 1;
        if sum != (word(&frame, 16), word(&frame, 20)) {
            break;
        }
        if word(&frame, 4) != 0 {
            report.committed += pending;
            pending = 0;
        }
    }
    report.dropped = pending;
    Ok(report)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}

fn checksum(bytes: &[u8], big_endian: bool, (mut a, mut b): (u32, u32)) -> (u32, u32) {
    for pair in bytes.chunks_exact(8) {
        let read = |half: &[u8]| {
            let half = half.try_into().unwrap_or([0; 4]);
            if big_endian {
                u32::from_be_bytes(half)
            } else {
                u32::from_le_bytes(half)
            }
        };
        let (low, high) = pair.split_at(4);
        a = a.wrapping_add(read(low)).wrapping_add(b);
        b = b.wrapping_add(read(high)).wrapping_add(a);
    }
    (a, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    fn with_log(change: impl FnOnce(&mut Vec<u8>)) -> WalReport {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("j.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)").unwrap();
        let mut log = std::fs::read(folder.path().join("j.db-wal")).unwrap();
        change(&mut log);
        let copy = folder.path().join("copy-wal");
        std::fs::write(&copy, log).unwrap();
        inspect(&copy).unwrap()
    }

    /// A log of whole transactions drops nothing.
    #[test]
    fn whole_transactions_are_kept() {
        let report = with_log(|_| ());
        assert!(report.committed > 0);
        assert_eq!(report.dropped, 0);
    }

    /// A page that was torn at the end is told.
    #[test]
    fn a_torn_page_is_told() {
        let whole = with_log(|_| ());
        let torn = with_log(|log| {
            let last = log.len() - 1;
            log[last] ^= 0xff;
        });
        assert_eq!(
            torn,
            WalReport {
                committed: whole.committed - 1,
                dropped: 1
            }
        );
    }

    /// What is no log reports nothing.
    #[test]
    fn a_foreign_file_reports_nothing() {
        assert_eq!(with_log(|log| log[0] = 0), WalReport::default());
        assert_eq!(with_log(|log| log.truncate(20)), WalReport::default());
    }
}
