//! The local history: every point in one SQLite file, compact, with minute and hour roll-ups that are exact at any moment.
//!
//! [`Feed`] takes frames from the journal, [`Writer`] stores their points, [`Reader`] answers questions. A point is known by its series and
//! time: stored again it changes nothing, stored with another value it replaces the first, and the roll-ups follow in the same transaction.

#![forbid(unsafe_code)]

mod aggregate;
mod block;
mod blocks;
mod delete;
mod error;
mod feed;
mod forget;
mod lock;
mod query;
mod reader;
mod retention;
mod rollup;
mod schema;
mod series;
mod value;
mod varint;
mod writer;

pub use aggregate::{Aggregate, Function};
pub use block::Sample;
pub use error::{Error, ErrorKind, Result};
pub use feed::{Delivered, Feed, FeedError};
pub use query::Range;
pub use reader::{Last, Reader, Series};
pub use retention::Limits;
pub use value::Value;
pub use writer::{Size, Stored, Writer};
