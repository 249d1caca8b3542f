//! The tests of the crate, as one program: the crate is linked once, and not once per file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail by panicking; Clippy sees functions with `#[test]` only, not what they call"
)]

mod bounded_batches;
mod exactly_once;
mod plain_tables;
mod positions;
mod questions;
mod session;
mod support;
mod suspects;
mod typed_rows;
mod unique_rows;
