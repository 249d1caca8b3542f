//! The tests of the crate, as one program: the crate is linked once, and not once per file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail by panicking; Clippy sees functions with `#[test]` only, not what they call"
)]

mod contract;
mod device_topics;
mod devices;
mod frames;
mod framing;
mod iotflow;
mod keep_apart;
mod line_reader;
mod mutations;
mod oracle;
mod others;
mod points;
mod profile_faults;
mod properties;
mod recording;
mod third_parser;
mod typed_points;
mod vectors;
mod yields;
