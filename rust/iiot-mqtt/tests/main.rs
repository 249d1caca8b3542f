//! The tests of the crate, as one program: the crate is linked once, and not once per file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail by panicking; Clippy sees functions with `#[test]` only, not what they call"
)]

mod consumer;
mod marks;
mod mosquitto;
mod mosquitto_limits;
mod refusals;
mod scripted;
mod side;
mod side_scripted;
mod support;
mod throughput;
