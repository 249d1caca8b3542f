//! Errors and their meaning: wait, wait and report, or stop. A refused row is no error: see [`crate::transaction`].

use std::error::Error as _;
use std::fmt;
use std::io;

/// What to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server is away, busy or full, or the connection broke. Wait, and try again.
    Wait,
    /// A person must act: a wrong password, missing rights, a missing table, a certificate. Report it, wait, and try again.
    Report,
    /// Another writer moved the position. Connect again; the position read then is valid.
    Moved,
    /// The position belongs to a run that this journal does not know, because the journal was copied or restored. Stop until it is adopted.
    UnknownRun,
    /// The settings cannot be used. Another attempt would fail in the same way.
    Settings,
    /// The journal could not be read or written. Wait, and try again.
    Journal,
    /// The call was cancelled.
    Cancelled,
}

impl ErrorKind {
    /// The name that Python and the log use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Report => "report",
            Self::Moved => "moved",
            Self::UnknownRun => "unknown_run",
            Self::Settings => "settings",
            Self::Journal => "journal",
            Self::Cancelled => "cancelled",
        }
    }
}

/// An error: a kind, a sentence, and the server's code.
#[derive(Debug, Clone)]
pub struct Error {
    /// What to do about it.
    pub kind: ErrorKind,
    /// The SQLSTATE (five characters), if the server sent one.
    pub sqlstate: Option<String>,
    /// The constraint that a row violated.
    pub constraint: Option<String>,
    message: String,
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            sqlstate: None,
            constraint: None,
            message: message.into(),
        }
    }

    pub(crate) fn settings(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Settings, message)
    }

    pub(crate) fn report(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Report, message)
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled")
    }

    /// The same error, with the action that failed.
    pub(crate) fn doing(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<iiot_journal::Error> for Error {
    fn from(error: iiot_journal::Error) -> Self {
        Self::new(ErrorKind::Journal, error.to_string())
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(said) = error.as_db_error() else {
            return Self::new(kind_of_silence(&error), chain(&error));
        };
        let code = said.code().code();
        let mut message = format!("{} (SQLSTATE {code})", said.message());
        for more in [said.detail(), said.hint()].into_iter().flatten() {
            message.push_str("; ");
            message.push_str(more);
        }
        if matches!(code, "26000" | "42P05") {
            message.push_str("; is a pooler in transaction mode between (PgBouncer: set max_prepared_statements, or connect to the server itself)?");
        }
        Self {
            kind: kind_of(code),
            sqlstate: Some(code.to_owned()),
            constraint: said.constraint().map(str::to_owned),
            message,
        }
    }
}

/// The meaning of the server's code if no row is to blame.
fn kind_of(code: &str) -> ErrorKind {
    let class = code.get(..2).unwrap_or_default();
    match (class, code) {
        // Connections, failed transactions, resources, the disk; a replica before it is promoted; a lock, a cancelled statement, a server that starts or
        // ends; a table that another client made meanwhile.
        ("08" | "40" | "53" | "58", _)
        | (
            _,
            "25006" | "55P03" | "55006" | "57014" | "57P01" | "57P02" | "57P03" | "57P05" | "42P07"
            | "23505",
        ) => ErrorKind::Wait,
        // Passwords, rights, names, features, and all unknown codes.
        _ => ErrorKind::Report,
    }
}

/// An error without the server's words: in the connection, TLS or the settings.
fn kind_of_silence(error: &tokio_postgres::Error) -> ErrorKind {
    if error.is_closed() {
        return ErrorKind::Wait;
    }
    let mut cause = error.source();
    while let Some(found) = cause {
        if let Some(tls) = found.downcast_ref::<rustls::Error>() {
            return kind_of_tls(tls);
        }
        if let Some(io) = found.downcast_ref::<io::Error>() {
            if let Some(tls) = io.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
                return kind_of_tls(tls);
            }
            return ErrorKind::Wait;
        }
        cause = found.source();
    }
    if error.to_string().starts_with("timeout") {
        return ErrorKind::Wait;
    }
    ErrorKind::Report
}

fn kind_of_tls(error: &rustls::Error) -> ErrorKind {
    match error {
        rustls::Error::InvalidCertificate(_)
        | rustls::Error::AlertReceived(_)
        | rustls::Error::PeerIncompatible(_)
        | rustls::Error::NoCertificatesPresented
        | rustls::Error::General(_) => ErrorKind::Report,
        _ => ErrorKind::Wait,
    }
}

/// An error with all its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(found) = cause {
        let more = found.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = found.source();
    }
    text
}

/// The server's refusal of a row of a COPY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blame {
    /// The line, from 1, if the server named one.
    pub line: Option<usize>,
    /// The server's words.
    pub words: String,
}

/// Whether an error of a COPY blames a row. Only errors of data, constraints and triggers do.
pub(crate) fn blame(error: &tokio_postgres::Error, table: &str) -> Option<Blame> {
    let said = error.as_db_error()?;
    let code = said.code().code();
    if !matches!(code.get(..2), Some("22" | "23")) && code != "P0001" {
        return None;
    }
    let mut words = format!("{} (SQLSTATE {code}", said.message());
    if let Some(column) = said.column() {
        words.push_str(", column ");
        words.push_str(column);
    }
    words.push(')');
    let place = said.where_().and_then(|place| copy_context(place, table));
    if let Some(place) = place {
        words.push_str("; ");
        words.extend(place.chars().take(200));
    } else if let Some(detail) = said.detail() {
        words.push_str("; ");
        words.extend(detail.chars().take(200));
    }
    Some(Blame {
        line: place.and_then(|place| line_number(place, table)),
        words,
    })
}

/// The line of the context that describes the COPY. It may be in any language, but begins with these words in all languages that name a line.
fn copy_context<'p>(place: &'p str, table: &str) -> Option<&'p str> {
    let begins = format!("COPY {table},");
    place.lines().find(|line| line.starts_with(&begins))
}

fn line_number(context: &str, table: &str) -> Option<usize> {
    let rest = context.strip_prefix("COPY ")?.strip_prefix(table)?;
    let digits = rest.find(|c: char| c.is_ascii_digit())?;
    let rest = rest.get(digits..)?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest.get(..end)?.parse().ok().filter(|&line| line > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line is read from the server's context in any language that puts a number behind the table's name.
    #[test]
    fn a_line_is_found_behind_the_table() {
        let line = |place: &str, table: &str| {
            copy_context(place, table).and_then(|context| line_number(context, table))
        };
        assert_eq!(
            line("COPY dosing_2, line 17, column pump: \"1.5\"", "dosing_2"),
            Some(17)
        );
        assert_eq!(
            line(
                "PL/pgSQL function f() line 3 at RAISE\nCOPY t, Zeile 5: »a«",
                "t"
            ),
            Some(5)
        );
        assert_eq!(line("SQL statement \"x\"", "t"), None);
    }

    /// Failover, locks and full disks are waited for; rights and names are reported.
    #[test]
    fn codes_say_what_to_do() {
        for code in ["57P01", "40P01", "53100", "25006", "55P03", "08006"] {
            assert_eq!(kind_of(code), ErrorKind::Wait, "{code}");
        }
        for code in ["28P01", "42501", "42P01", "3D000", "0A000", "XX000"] {
            assert_eq!(kind_of(code), ErrorKind::Report, "{code}");
        }
    }
}
