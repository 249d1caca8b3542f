//! One connection of an MQTT sink: it delivers a journal's frames and knows exactly what was acknowledged.
//!
//! Only the journal counts. The queues of the client library are disposable: when a connection ends, for any reason, they
//! are dropped, and the next connection begins at the journal's cursor. The caller decides when to connect again.

#![forbid(unsafe_code)]

mod acknowledge;
mod broker_url;
mod checked;
mod client;
mod client_v4;
mod client_v5;
mod config;
mod config_error;
mod connection;
mod consumer;
mod destination;
mod ended;
mod failure;
mod mark;
mod memory;
mod policy;
mod probe;
mod queue;
mod reasons;
mod refresh;
mod shared;
mod side;
mod side_desk;
mod side_link;
mod sink;
mod stage;
mod tally;
mod terms;
mod tolerant;
mod topic_names;
mod transport;
mod trial;
mod wall_clock;
mod wire;

pub use config::{Config, Protocol};
pub use config_error::ConfigError;
pub use consumer::{
    Arrived, Consumer, ConsumerConfig, ConsumerEnded, ConsumerPhase, ConsumerState, Inlet,
    InletError, Retained, Subscription,
};
pub use ended::{EndKind, Ended};
pub use mark::{Identity, Mark, ValueMark};
pub use policy::Backlog;
pub use probe::{ProbeReport, ProbeStep, probe};
pub use queue::{Confirmation, KnownTopic, PointReject, PublishBatch, PublishQueue, QueueError};
pub use shared::{Phase, State};
pub use side::SideConnection;
pub use side_desk::{MAX_WAITING, MAX_WAITING_BYTES, Message, Publish, Received, Refusal};
pub use sink::Sink;
