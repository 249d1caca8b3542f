//! One gateway per journal: a lock file beside it. The operating system holds the lock, so it ends with the
//! process.

use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Held while the journal is open for writing.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

impl Lock {
    pub(crate) fn take(journal: &Path) -> Result<Self> {
        let path = lock_path(journal);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|e| Error::io("cannot open the lock file", &path, &e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = Read::by_ref(&mut file).take(20).read_to_string(&mut holder);
                return Err(Error::new(
                    ErrorKind::Locked,
                    format!(
                        "another iiot-gateway (process {}) has it open; stop that one, or name another file in [journal] path",
                        if holder.trim().is_empty() {
                            "unknown"
                        } else {
                            holder.trim()
                        }
                    ),
                ));
            }
            Err(TryLockError::Error(e)) => return Err(Error::io("cannot lock", &path, &e)),
        }
        // Only for the message above; a full disk must not keep the gateway from starting.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(Self(file))
    }
}

pub(crate) fn lock_path(journal: &Path) -> PathBuf {
    with_suffix(journal, ".lock")
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
