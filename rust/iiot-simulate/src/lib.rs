//! Simulates sensor nodes with a plausible climate, battery and radio, and the log that probe-rs would print for their receiver.
//!
//! Time and seed are arguments; the same arguments give the same bytes. [`Simulator`] gives the log up to a time, or of a number of readings.

#![forbid(unsafe_code)]

mod climate;
mod dice;
mod document;
mod node;
mod radio;
mod simulator;

pub use simulator::{Counts, MAX_NODES, Settings, SettingsError, Simulator, natural_rate_per_s};
