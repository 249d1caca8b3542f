//! The reliable link as state machines. They decide what to send, when to send it again, and what to accept.
//!
//! ```text
//!  sensor node                                gateway node
//!  offer ─► Outbox ─► Sender ── packet ─────► Receiver ─► delivered once
//!             ▲         ▲ └──── ACK ◄──────────┘ │ again for a repeat
//!             └─ no ACK ┘                        │ CMD_PENDING
//!  CommandGuard ◄────── window ◄── command ── Downlink
//! ```
//!
//! No state machine reads a clock or draws a random number; both are arguments. A time is the number of milliseconds since any fixed moment.

mod downlink;
mod exchange;
mod guard;
mod outbox;
mod receiver;
mod sender;
mod timing;
mod window;

pub use downlink::{Downlink, DownlinkError, Fate, Finished};
pub use exchange::{Poll, Received, SenderConfig, SenderCounters};
pub use guard::{CommandGuard, Judgement};
pub use outbox::Uplink;
pub use receiver::{AckDue, Incoming, Receiver, ReceiverCounters};
pub use sender::Sender;
pub use timing::{ACK_FRAME_BYTES, ACK_TURNAROUND_MS, Timing};
pub use window::WINDOW_PACKETS;

/// The number of packets that a node keeps, unless it has less memory: ten minutes of readings at one every ten seconds, in about 3 KiB.
pub const DEFAULT_OUTBOX: usize = 64;
