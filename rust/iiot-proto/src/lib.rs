//! The radio protocol of the nodes, defined once for firmware, gateway and simulator.
//!
//! ```text
//!  reading ─► link::Sender ─► packet ─► rylr998::Command ─► UART ─► module )))
//!  reading ◄─ link::Receiver ◄─ packet ◄─ rylr998::Parser ◄─ UART ◄─ module (((
//! ```
//!
//! Nothing in this crate has a clock, a source of randomness, an allocator or a socket. A time is the number of milliseconds since any fixed moment,
//! a random number is an argument that the caller drew, and bytes are written to buffers of the caller. No input can cause a panic.
//! `docs/wire-format.md` describes the layout of the bytes; a test compares the document with this code.

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

/// The largest number of bytes that the radio module carries in one frame.
pub const MAX_FRAME_BYTES: usize = 240;
