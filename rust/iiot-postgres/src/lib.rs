//! Writes typed rows to PostgreSQL and TimescaleDB, each exactly once.
//!
//! A [`sink::Sink`] reads a journal's frames as rows ([`rows::Rows`]) and commits them together with the position behind them. The
//! [`ErrorKind`] says what an error means. The caller decides when to try again, and writes the log.

#![forbid(unsafe_code)]

pub mod asking;
pub mod columns;
pub mod connection;
mod copy_text;
mod error;
pub mod names;
pub mod pass_file;
pub mod plain;
pub mod position;
pub mod roll_up;
pub mod rows;
pub mod settings;
pub mod sink;
mod suspects;
pub mod tables;
pub mod timescale;
mod tls;
mod transaction;
pub mod value;

pub use error::{Error, ErrorKind, Result};
