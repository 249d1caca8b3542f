//! The errors of a history file, and their remedies.

use std::fmt;
use std::path::Path;

/// The kind of an error, which determines the remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// There is no such file yet; the sink makes it.
    Missing,
    /// The file was written by a later program, or is no history: name another file, or run that program.
    UnknownVersion,
    /// The file is damaged: move it away and begin again.
    Damaged,
    /// The disk fails, or the user lacks rights.
    Io,
    /// The disk is full: make room.
    Full,
    /// A call after `close`.
    Closed,
    /// Another gateway or another section has the file open for writing.
    Busy,
    /// The answer would take longer than the caller waits: ask for less.
    Timeout,
    /// The query is wrong, not the file.
    Invalid,
}

impl ErrorKind {
    /// The name that Python uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::UnknownVersion => "unknown_version",
            Self::Damaged => "damaged",
            Self::Io => "io",
            Self::Full => "full",
            Self::Closed => "closed",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::Invalid => "invalid",
        }
    }
}

/// A kind and a sentence for the operator.
#[derive(Debug, Clone)]
pub struct Error {
    /// The kind.
    pub kind: ErrorKind,
    message: String,
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn damaged(what: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::Damaged,
            format!(
                "it is damaged ({what}); nothing was changed: move it and its -wal file away to begin anew, and keep them for recovery"
            ),
        )
    }

    pub(crate) fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        let kind = if error.kind() == std::io::ErrorKind::StorageFull {
            ErrorKind::Full
        } else {
            ErrorKind::Io
        };
        Self::new(kind, format!("{doing} {}: {error}", path.display()))
    }

    pub(crate) fn closed() -> Self {
        Self::new(ErrorKind::Closed, "it is closed")
    }

    /// The same error, with the name of the file.
    pub(crate) fn at(mut self, path: &Path) -> Self {
        self.message = format!("history {}: {}", path.display(), self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        match error.sqlite_error_code() {
            Some(Code::DiskFull) => Self::new(
                ErrorKind::Full,
                format!("{error}; make room on its disk, or lower [history] max_bytes"),
            ),
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Self::damaged(error),
            Some(Code::OperationInterrupted) => Self::closed(),
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
                Self::new(ErrorKind::Busy, error.to_string())
            }
            _ => Self::new(ErrorKind::Io, error.to_string()),
        }
    }
}
