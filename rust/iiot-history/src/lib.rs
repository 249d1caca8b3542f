//! The local history: every point in one SQLite file, compact, with minute and hour roll-ups that are exact at any moment.
//!
//! [`Feed`] takes frames from the journal, [`Writer`] stores their points, and [`Reader`] answers queries. A point is identified by its series and
//! time. Storing it again changes nothing; storing another value replaces the first one. The same transaction updates the roll-ups.

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
