//! The present values: a table with the newest value of every topic and of every node's link, for the web page and other viewers.
//!
//! A [`Live`] follows a running journal through a [`iiot_journal::Tap`]. Nothing is decoded until [`Live::follow`] is called, and nothing
//! is passed to the caller except finished JSON.

#![forbid(unsafe_code)]

mod document;
mod link;
mod live;
mod samples;
mod table;

pub use live::Live;
pub use table::MAX_SERIES;
