//! The radio protocol of the nodes, defined once for firmware, gateway and simulator.
//!
//! ```text
//!  reading ─► link::Sender ─► packet ─► rylr998::Command ─► UART ─► module )))
//!  reading ◄─ link::Receiver ◄─ packet ◄─ rylr998::Parser ◄─ UART ◄─ module (((
//! ```
//!
//! Nothing here has a clock, a source of randomness, an allocator or a socket: time is milliseconds since any fixed moment, randomness is a
//! number that the caller drew, and bytes go into buffers that the caller owns. No input can make it panic. The layout of the bytes stands in
//! `docs/wire-format.md`, which a test compares with this code.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic,
        clippy::unreachable
    )
)]

#[cfg(test)]
extern crate std;

pub mod airtime;
pub mod crc;
pub mod duty;
pub mod link;
pub mod mac;
pub mod packet;
pub mod region;
pub mod rylr998;

pub use airtime::Modulation;
pub use duty::Duty;
pub use packet::Packet;
pub use region::Region;

/// The most bytes that the radio module carries in one frame.
pub const MAX_FRAME_BYTES: usize = 240;
