//! A persistent HTTP connection that posts line protocol. The caller decides what an answer means.
//!
//! A [`Poster`] blocks the calling thread, and another thread may cancel it. It never fails: every outcome becomes an
//! [`Answer`], so that the caller has one place to decide in.
#![forbid(unsafe_code)]

mod answer;
mod config;
mod connect;
mod poster;

pub use answer::{Answer, Failure};
pub use config::{Config, ConfigError, EXPLANATION_BYTES};
pub use poster::{Gzipped, Poster};
