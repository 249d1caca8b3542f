//! Simulated sensor nodes: climate, battery and radio as they plausibly are, and the log that probe-rs would print for their receiver.
//!
//! Time and seed are arguments; the same ones give the same bytes. [`Simulator`] is asked for what is printed up to a time, or for so many readings.

#![forbid(unsafe_code)]

mod climate;
mod dice;
mod document;
mod node;
mod radio;
mod simulator;

pub use simulator::{Counts, MAX_NODES, Settings, SettingsError, Simulator, natural_rate_per_s};
