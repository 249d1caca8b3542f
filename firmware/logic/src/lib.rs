//! The behaviour of the nodes, without any hardware. Bytes and times go in, bytes and times come out, so that all of it is tested on the host.
//!
//! ```text
//!  UART bytes ─► SensorNode ─► bytes for the radio module        UART bytes ─► GatewayNode ─► bytes for the radio module
//!  reading ───►    │  └─► orders for the board                   command line ─►   │   └─► documents for the gateway process
//!                Radio                                                           Radio
//! ```
//!
//! A time is the number of milliseconds since the node's start. Random numbers come from [`Dice`]; the caller draws them.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod assess;
pub mod choice;
pub mod clock;
pub mod dice;
pub mod document;
pub mod gateway_node;
mod hexadecimal;
pub mod order;
pub mod radio;
pub mod retained;
pub mod sensor_node;
pub mod settings;
pub mod watch;

pub use gateway_node::GatewayNode;
pub use sensor_node::SensorNode;
pub use settings::Settings;

/// The version of the firmware: major, minor, patch.
pub const VERSION: [u8; 3] = [0, 1, 0];

/// What a node's state machine wants to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Write the first bytes of the buffer to the radio module, then poll again.
    Write {
        /// The number of bytes.
        bytes: usize,
    },
    /// Poll again at this time, or when something has arrived.
    Wait {
        /// The time in milliseconds since the start.
        until_ms: u64,
    },
}
