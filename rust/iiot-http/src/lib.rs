//! One kept HTTP connection that posts line protocol: what an answer means is the caller's business.
//!
//! A [`Poster`] blocks the calling thread and may be cancelled from another. It never fails: whatever a peer does becomes an
//! [`Answer`], so that the caller has one place to decide in.
#![forbid(unsafe_code)]

mod answer;
mod config;
mod connect;
mod poster;

pub use answer::{Answer, Failure};
pub use config::{Config, ConfigError, EXPLANATION_BYTES};
pub use poster::{Gzipped, Poster};
