//! The common parts of the tests: a private PostgreSQL, a journal with messages, and a sink between them.

pub mod cluster;
pub mod plant;

/// The longest time that a test waits for an event.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
