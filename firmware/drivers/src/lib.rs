//! Drivers of the chips on the nodes' I2C bus, for any `embedded-hal` bus. The tests run them on the host with simulated chips.

#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod bme680;
pub mod screen;
pub mod sht3x;

#[cfg(test)]
mod simulated;
