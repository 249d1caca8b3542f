//! Alerts: judges points by rules, and keeps the notifications for receivers.
//!
//! Rules, states and queues know no clock, no file and no socket: time is an argument. Only [`Feed`] knows the journal, which stores all of this
//! with the cursor of its sink.

mod change;
mod core;
mod evaluator;
mod feed;
mod hours;
mod message;
mod notices;
mod observations;
mod rule;
mod rule_error;
mod series;
mod takeover;
mod time_text;
mod watch;
mod window;

pub use crate::core::{Core, Limits};
pub use change::{Change, Kind};
pub use evaluator::Figure;
pub use feed::{Delivered, Feed};
pub use notices::{Entry, Notification};
pub use observations::Observations;
pub use rule::{Measure, Rule};
pub use rule_error::RuleError;
pub use watch::Watch;
