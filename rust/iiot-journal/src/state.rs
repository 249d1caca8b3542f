//! The committed state of a journal, as the writer holds it.

use crate::copying::Copying;
use crate::keep::Keep;
use crate::links::Links;
use crate::sink::Sink;
use crate::sites::Sites;
use crate::source::Source;
use rusqlite::Connection;
use std::collections::HashMap;
use std::path::PathBuf;

/// Limits of the journal file.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Bytes of live pages.
    pub live_bytes: u64,
    /// If no room could be reserved, this much of the disk stays free, so that sinks can still confirm and the log can be moved.
    pub keep_free: Option<(PathBuf, u64)>,
    pub max_age_ms: Option<i64>,
    pub max_rejects: i64,
    /// Bytes of kept rejected documents.
    pub reject_bytes: i64,
}

/// The committed state that the writer needs in memory.
pub(crate) struct State {
    /// A copy that is being made. The field is before the connection, because it must be dropped first.
    pub copying: Option<Copying>,
    pub db: Connection,
    pub limits: Limits,
    pub next: u64,
    pub oldest: u64,
    pub sources: Vec<Source>,
    pub sinks: Vec<Sink>,
    /// Name of the profile of each origin.
    pub origins: HashMap<i64, String>,
    pub reject_bytes: i64,
    /// A row other than the oldest one was dropped, so the rows in memory differ from the stored ones.
    pub dropped_within: bool,
    /// Events for the log, taken by `Journal::notes`.
    pub notes: Vec<String>,
    /// Events of nodes' links, until they are published.
    pub links: Links,
    /// Gateways whose values came.
    pub sites: Sites,
    /// How long confirmed frames stay.
    pub keep: Keep,
}
