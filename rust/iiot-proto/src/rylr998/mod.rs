//! The language of the RYLR998 module on its UART: commands to the module, and events from it.
//!
//! The module reports a frame as `+RCV=<address>,<length>,<data>,<rssi>,<snr>` and a line end. The data may contain any byte, even line ends and
//! commas. Therefore the parser takes the data by its length and never searches in it.

mod command;
mod event;
mod parser;
mod setup;

pub use command::{Command, CommandError, MAX_COMMAND_BYTES, Query};
pub use event::{Damage, Event, ModuleError};
pub use parser::{DEFAULT_GAP_MS, MAX_LINE_BYTES, Parser};
pub use setup::{OPEN_NETWORK_ID, Setup, SetupError};
