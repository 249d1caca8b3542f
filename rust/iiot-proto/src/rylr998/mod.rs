//! The RYLR998 module's language on its UART: commands out, events in.
//!
//! What it says of a frame is `+RCV=<address>,<length>,<data>,<rssi>,<snr>` and a line end, where the data may hold any byte at all, line ends
//! and commas included. So the data is taken by its length and never searched.

mod command;
mod event;
mod parser;
mod setup;

pub use command::{Command, CommandError, MAX_COMMAND_BYTES, Query};
pub use event::{Damage, Event, ModuleError};
pub use parser::{DEFAULT_GAP_MS, MAX_LINE_BYTES, Parser};
pub use setup::{OPEN_NETWORK_ID, Setup, SetupError};
