//! The tests of the crate, as one program: the crate is linked once, and not once per file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail by panicking; Clippy sees functions with `#[test]` only, not what they call"
)]

mod common;
mod delete;
mod history;
