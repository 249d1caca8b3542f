//! What the tests share: a private PostgreSQL, a journal with messages, and a sink between them.
#![allow(
    dead_code,
    missing_docs,
    clippy::missing_panics_doc,
    clippy::print_stdout,
    reason = "each test uses a part"
)]

pub mod cluster;
pub mod plant;

/// How long anything may take that a test waits for.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);
