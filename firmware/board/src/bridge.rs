//! The I2C bus of the emulation. Every transfer goes over USART3 to the program that simulates the chips, and its answer comes back.
//!
//! ```text
//!  to the chips    'W' address length:2 bytes...      'R' address length:2      'V' for the supply
//!  from them       1 if acknowledged, else 0          1 bytes..., or 0          millivolt:2
//! ```
//! Numbers have the high byte first. QEMU's own I2C controller cannot be used, because it hangs at the first write.

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use stm32f4xx_hal::pac::{ADC1, USART3};
use stm32f4xx_hal::prelude::*;
use stm32f4xx_hal::rcc::Rcc;
use stm32f4xx_hal::serial::Serial;

/// The number of polls of the UART, some seconds long, after which the program that simulates the chips counts as absent.
const PATIENCE: u32 = 100_000_000;

/// The simulated bus.
pub struct Bus {
    port: Serial<USART3>,
}

impl Bus {
    pub(crate) fn new(port: Serial<USART3>) -> Self {
        Self { port }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
        for byte in bytes {
            nb::block!(self.port.write(*byte)).map_err(|_| ErrorKind::Bus)?;
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<u8, ErrorKind> {
        for _ in 0..PATIENCE {
            match self.port.read() {
                Ok(byte) => return Ok(byte),
                Err(nb::Error::WouldBlock) => {}
                Err(nb::Error::Other(_)) => return Err(ErrorKind::Bus),
            }
        }
        Err(ErrorKind::Other)
    }

    fn acknowledged(&mut self) -> Result<(), ErrorKind> {
        match self.receive()? {
            1 => Ok(()),
            _ => Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address)),
        }
    }

    /// The supply voltage in millivolts. The value 0 on the bus means that there is none.
    fn battery_mv(&mut self) -> Option<u16> {
        self.send(b"V").ok()?;
        let (high, low) = (self.receive().ok()?, self.receive().ok()?);
        Some(u16::from_be_bytes([high, low])).filter(|battery_mv| *battery_mv > 0)
    }
}

/// The supply voltage, which the program that simulates the chips also gives.
pub struct Battery;

impl Battery {
    pub(crate) fn new(_: ADC1, _: &mut Rcc) -> Self {
        Self
    }

    /// The supply voltage in millivolts; `None` if there is none.
    pub fn millivolts(&mut self, bus: &mut Bus) -> Option<u16> {
        bus.battery_mv()
    }
}

impl ErrorType for Bus {
    type Error = ErrorKind;
}

impl I2c for Bus {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        for operation in operations {
            let (kind, length) = match operation {
                Operation::Write(bytes) => (b'W', bytes.len()),
                Operation::Read(buffer) => (b'R', buffer.len()),
            };
            let [high, low] = (length as u16).to_be_bytes();
            self.send(&[kind, address, high, low])?;
            match operation {
                Operation::Write(bytes) => {
                    self.send(bytes)?;
                    self.acknowledged()?;
                }
                Operation::Read(buffer) => {
                    self.acknowledged()?;
                    for byte in buffer.iter_mut() {
                        *byte = self.receive()?;
                    }
                }
            }
        }
        Ok(())
    }
}
