//! What became of messages whose senders wait for it. The writer fills a report when it has committed a batch.

use crate::mutex::lock;
use std::sync::Mutex;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is a frame.
    Accepted,
    /// It was accepted before.
    Duplicate,
    /// Another message with this id was accepted before. This one is not kept.
    Conflict,
    /// Nothing in it can be used. It is kept as a reject.
    Rejected,
    /// Too many message ids are remembered. It is not kept.
    Refused,
    /// The profile names it as no telemetry.
    Ignored,
}

impl Outcome {
    /// A short name that stays the same.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Ignored => "ignored",
        }
    }
}

/// What became of the messages of one batch, once it is committed.
#[derive(Debug, Default)]
pub(crate) struct Report(Mutex<Vec<Outcome>>);

impl Report {
    pub(crate) fn fill(&self, outcomes: Vec<Outcome>) {
        *lock(&self.0) = outcomes;
    }

    pub(crate) fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut *lock(&self.0))
    }
}
