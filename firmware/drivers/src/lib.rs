//! Drivers of the chips on the nodes' I2C bus, on any `embedded-hal` bus: the host's tests run them on simulated chips.

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
