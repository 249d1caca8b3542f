//! The durable log between sources and sinks: the only queue, the only place where a frame is accepted.
//!
//! A [`Journal`] owns one SQLite file and three threads: the writer (group commits), the sync thread (the loss of power) and
//! the checkpoint thread. Sources push through an [`Intake`]; a sink reads and confirms through [`Batches`].

mod accept;
mod batches;
mod begin;
mod check;
mod commit;
mod copied;
mod copying;
mod cursor;
mod deliveries;
mod directory;
mod document_times;
mod erase;
mod error;
mod id_table;
mod intake;
mod journal;
mod judge;
mod keep;
mod links;
mod lock;
mod memory;
mod message_ids;
mod messages;
mod origins;
mod posts;
mod prune;
mod queue;
mod reader;
mod reject;
mod retry;
mod rewind;
mod room;
mod row;
mod row_builder;
mod runs;
mod scanned;
mod schema;
mod shared;
mod sink;
mod sink_state;
mod sites;
mod source;
mod status;
mod sync;
mod tap;
mod wal;
mod writer;

pub use batches::{Batches, Confirmations, Encoder, Stop};
pub use copying::{CopyProgress, check_file, copy_connection, copy_file};
pub use cursor::{Confirmer, Cursor, OriginInfo};
pub use deliveries::{Delivery, Redelivery};
pub use directory::{DeviceChanged, DeviceEntry, DeviceKey, Directory, UnknownDevices};
pub use error::{Error, ErrorKind, Result};
pub use intake::{Intake, RecordingSettings, SourceSettings};
pub use journal::{Journal, Options};
pub use links::LinkCounts;
pub use messages::Message;
pub use posts::{Outcome, Post, Posts, PostsSettings};
pub use reject::Reject;
pub use retry::{Retried, RetrySource};
pub use rewind::GoneBack;
pub use row::{Frame, Frames, Moves, NewTimes, Row, Supply};
pub use runs::{Run, Runs};
pub use sink::{Confirmation, SinkReject, TopicValue};
pub use sink_state::StateChanges;
pub use sites::{CHUNK_FRAMES, SiteChunk, SiteCounts, SiteMark};
pub use status::{FileStatus, SinkStatus, Status};
pub use sync::SyncMode;
pub use tap::{LastValue, Look, Tap};
pub use wal::{WalReport, inspect as inspect_wal};

pub use shared::now_ns;
pub(crate) use shared::{Shared, lock};
