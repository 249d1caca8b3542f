//! The protocol as compiled for the firmware runs the same wire vectors as the gateway's.

#[path = "../../../rust/iiot-proto/tests/wire_vectors.rs"]
mod shared;
