//! The tests of the crate, as one program: the crate is linked once, and not once per file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail by panicking; Clippy sees functions with `#[test]` only, not what they call"
)]

mod accounting;
mod age;
mod batches;
mod common;
mod copy;
mod damage;
mod deliveries;
mod devices;
mod journal;
mod late;
mod messages;
mod moved_values;
mod ports;
mod posts;
mod receivers;
mod retry;
mod rewind;
mod runs;
mod sink_state;
mod sites;
mod tap;
mod times;
mod version1;
mod version3;
