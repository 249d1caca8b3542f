//! The rules of the gateway without any input or output: time, sockets and files belong to those who call.
//!
//! Bytes go through a [`framer::Framer`], which finds documents; a [`profile::Profile`] says what a document means, a [`scan::Scan`] holds what it
//! found there, and an [`origin::Origin`] turns that into lines and topics.

#![forbid(unsafe_code)]

pub mod channel;
pub mod clock;
mod conclude;
mod conditions;
pub mod demux;
mod frame_step;
pub mod framed;
pub mod framer;
pub mod hash;
pub mod json;
mod json_text;
mod line;
pub mod moment;
pub mod mqtt_text;
mod observe;
pub mod origin;
mod path;
pub mod point;
pub mod profile;
mod profile_file;
pub mod publish;
mod quote;
mod render;
mod resync;
pub mod scan;
pub mod series;
mod shape;
mod shapes;
mod template;
mod toml_table;
mod trie;
mod unusable;
pub mod window;

pub use channel::ChannelFramer;
pub use demux::ChannelDemux;
pub use framed::{DamageReason, Framed, MAX_EXCERPT_BYTES};
pub use framer::Framer;
pub use origin::{Origin, OriginError};
pub use profile::{Profile, ProfileError, ProfileFault};
pub use publish::Publish;
pub use quote::quote;
pub use scan::{NodeKey, Scan, ScanFault, ScanFaultReason, Sequence, ValueFault, ValueFaultReason};
