//! What sinks make of the journal's frames: each encoder turns them into what its other side takes, and says what became of them.

#![forbid(unsafe_code)]

pub mod lines;
pub mod publishes;
