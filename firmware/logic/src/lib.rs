//! What the nodes do, without any hardware: bytes and times go in, bytes and times come out, so that all of it is tested on the host.
//!
//! ```text
//!  UART bytes ─► SensorNode ─► bytes for the radio module        UART bytes ─► GatewayNode ─► bytes for the radio module
//!  reading ───►    │  └─► orders for the board                   command line ─►   │   └─► documents for the gateway process
//!                Radio                                                           Radio
//! ```
//!
//! Times are milliseconds since the node's start; random numbers are drawn by the caller from [`Dice`].

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

/// The firmware's version: major, minor, patch.
pub const VERSION: [u8; 3] = [0, 1, 0];

/// What to do next, as a node's state machine says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Give the first so many bytes of the buffer to the radio module, then ask again.
    Write {
        /// How many.
        bytes: usize,
    },
    /// Ask again at this time, or when something has come.
    Wait {
        /// Milliseconds since the start.
        until_ms: u64,
    },
}
