//! The firmware's compilation of the protocol runs the same wire vectors as the gateway's.

#[path = "../../../rust/iiot-proto/tests/wire_vectors.rs"]
mod shared;
