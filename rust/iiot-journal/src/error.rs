//! Errors of the journal.

use std::fmt;
use std::path::Path;

/// The kind of an error; each says whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another gateway has the journal open. Stop that one, or give this one another `[journal] path`.
    Locked,
    /// Written by a later version, or not a journal at all. Never overwritten.
    UnknownVersion,
    /// Damaged beyond a torn tail. Never overwritten; move it away to begin anew.
    Damaged,
    /// The operating system refused. Try again once the cause is removed.
    Io,
    /// The disk is full. Try again; nothing was accepted.
    Full,
    /// The journal was closed.
    Closed,
    /// The call does not fit the journal's contents (a recording was begun with other arguments).
    Conflict,
}

impl ErrorKind {
    /// The name that Python and the status document use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::UnknownVersion => "unknown_version",
            Self::Damaged => "damaged",
            Self::Io => "io",
            Self::Full => "full",
            Self::Closed => "closed",
            Self::Conflict => "conflict",
        }
    }
}

/// A kind and a sentence for the operator.
#[derive(Debug, Clone)]
pub struct Error {
    /// What to do about it.
    pub kind: ErrorKind,
    message: String,
}

/// The result of everything here.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A file that is refused when it is opened.
    pub(crate) fn damaged(found: impl fmt::Display) -> Self {
        Self::new(
            ErrorKind::Damaged,
            format!(
                "it is damaged ({found}); nothing was changed: move it and its -wal file away to begin anew, and keep them for recovery"
            ),
        )
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        let kind = if error.kind() == std::io::ErrorKind::StorageFull {
            ErrorKind::Full
        } else {
            ErrorKind::Io
        };
        Self::new(kind, format!("{doing} {}: {error}", path.display()))
    }

    /// The same error, saying which file it is about.
    pub(crate) fn at(mut self, path: &Path) -> Self {
        self.message = format!("journal {}: {}", path.display(), self.message);
        self
    }

    /// The same for any file.
    pub(crate) fn of(mut self, path: &Path) -> Self {
        self.message = format!("{}: {}", path.display(), self.message);
        self
    }
}

/// The error of a journal whose thread is gone.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the journal is closed")
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
        let kind = match error.sqlite_error_code() {
            Some(Code::DiskFull) => ErrorKind::Full,
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => ErrorKind::Damaged,
            _ => ErrorKind::Io,
        };
        Self::new(kind, error.to_string())
    }
}
