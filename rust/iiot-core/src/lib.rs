//! The rules of the gateway without any input or output: time, sockets and files belong to those who call.
//!
//! Bytes go through a [`framer::Framer`], which finds documents. A [`profile::Profile`] says what a document means; what it finds there is [`Decoded`]. With an
//! [`origin::Origin`], which adds topic prefix and tags, that gives lines, publishes and values.

#![forbid(unsafe_code)]

pub mod channel;
pub mod clock;
mod conclude;
mod conditions;
pub mod decoded;
pub mod demux;
mod faults;
mod filter;
mod flatten;
mod found;
mod frame_step;
pub mod framed;
pub mod framer;
mod given_times;
pub mod hash;
pub mod json;
mod json_line;
mod json_text;
mod keep_apart;
mod keys;
mod line;
mod line_end;
mod long;
mod long_topic;
mod losses;
mod metric_file;
pub mod moment;
pub mod mqtt_text;
mod number;
mod observe;
pub mod origin;
mod others;
mod others_file;
mod path;
mod path_keys;
mod pattern;
pub mod point;
mod point_file;
pub mod profile;
mod profile_file;
pub mod publish;
mod quote;
mod reading;
mod render;
mod resync;
mod rules;
pub mod run_clock;
pub mod scan;
mod scan_faults;
mod sequences;
pub mod series;
pub mod series_times;
mod series_times_bytes;
mod shapes;
mod strptime;
mod template;
mod time_file;
pub mod toml_places;
mod toml_table;
mod trie;
mod unusable;
pub mod varint;
pub mod window;
pub mod window_bytes;

pub use channel::ChannelFramer;
pub use decoded::{Decoded, FrameTime, Place};
pub use demux::ChannelDemux;
pub use framed::{DamageReason, Framed, MAX_EXCERPT_BYTES};
pub use framer::Framer;
pub use keys::PointKey;
pub use line::Integers;
pub use origin::{Origin, OriginError};
pub use profile::{Profile, ProfileError};
pub use publish::Publish;
pub use quote::quote;
pub use scan::{NodeKey, Scan, ScanFault, ScanFaultReason, Sequence, ValueFault, ValueFaultReason};
pub use toml_table::ProfileFault;
