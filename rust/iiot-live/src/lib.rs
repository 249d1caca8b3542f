//! What the values are now: a table of the newest value of every topic, and of every node's link, for those who look at the gateway.
//!
//! A [`Live`] follows a running journal through a [`iiot_journal::Tap`]. Nothing is decoded until [`Live::follow`] is called, and nothing
//! crosses to the caller but finished JSON.

#![forbid(unsafe_code)]

mod document;
mod link;
mod live;
mod samples;
mod table;

pub use live::Live;
pub use table::MAX_SERIES;
