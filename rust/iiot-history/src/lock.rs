//! Allows one writer per history: the lock on a file beside it, which the operating system releases when the process ends.

use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

/// Held while the history is open for writing.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn take(history: &Path) -> Result<Self> {
        let mut name = history.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|e| Error::io("cannot open the lock file", &path, &e))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::Busy,
                "another [history] section, or another iiot-gateway, writes to it; name another file in path",
            )),
            Err(TryLockError::Error(e)) => Err(Error::io("cannot lock", &path, &e)),
        }
    }
}
