//! The encoders of sinks: each turns the journal's frames into the form of its other side, and reports the results of the frames.

#![forbid(unsafe_code)]

pub mod lines;
pub mod publishes;
