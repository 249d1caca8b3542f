//! The BME680: pressure, gas resistance, and temperature and humidity of its own, in forced mode with one heater profile.
//!
//! Own code instead of the crate `bosch-bme680`: that one panics on register values that a disturbed bus can deliver, may wait for ever, and
//! calculates in floating point. A test compares the two. Section numbers are those of Bosch's data sheet BST-BME680-DS001.

mod compensate;

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

pub use compensate::Calibration;

/// The address with SDO at ground.
pub const ADDRESS: u8 = 0x76;

/// The chip's id (section 5.3.1.1).
pub const CHIP_ID: u8 = 0x61;

/// The heater's target, degrees Celsius, and how long it heats: Bosch's own example.
const HEATER_C: i32 = 300;
const HEATER_MS: u32 = 150;

/// Temperature x2, pressure x16, humidity x1 takes 42 ms (section 3.3.3's cycles of 1.963 ms and switching), rounded up.
const MEASURING_MS: u32 = HEATER_MS + 45;

/// After that the result is asked for so often, 10 ms apart.
const TRIES: u32 = 10;

const SOFT_RESET: u8 = 0xB6;

/// The registers (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Register {
    /// Calibration, 5 bytes.
    Coefficients3 = 0x00,
    /// The first field of results, 15 bytes.
    Field = 0x1D,
    /// The heater's resistance for profile 0.
    HeaterResistance = 0x5A,
    /// The heater's time for profile 0.
    HeaterTime = 0x64,
    /// Gas measurement on, and its profile.
    ControlGas = 0x71,
    /// Oversampling of humidity.
    ControlHumidity = 0x72,
    /// Oversampling of temperature and pressure, and the mode.
    ControlMeasuring = 0x74,
    /// The filter.
    Config = 0x75,
    /// Calibration, 23 bytes.
    Coefficients1 = 0x8A,
    /// Which chip it is.
    ChipId = 0xD0,
    /// Starts the chip anew.
    Reset = 0xE0,
    /// Calibration, 14 bytes.
    Coefficients2 = 0xE1,
    /// 0 BME680, 1 BME688.
    Variant = 0xF0,
}

/// Why there is no measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The bus, at this register.
    Bus {
        /// Which one.
        register: Register,
        /// What the bus says.
        error: E,
    },
    /// Another chip answers.
    ChipId {
        /// Its id.
        seen: u8,
    },
    /// The chip is a relative whose gas results stand elsewhere: 1 is the BME688.
    Variant {
        /// Which one.
        seen: u8,
    },
    /// The measurement did not end in time.
    NotReady,
    /// A result outside of what the chip can measure, as a disturbed bus gives it.
    Impossible,
}

/// What the sensor gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// Hundredths of a degree Celsius.
    pub temperature_centidegrees: i16,
    /// Hundredths of a percent.
    pub humidity_centipercent: u16,
    /// Pascal.
    pub pressure_pa: u32,
    /// Ohm; `None` where the heater was not stable or the gas was not measured.
    pub gas_resistance_ohm: Option<u32>,
}

/// One sensor whose calibration was read.
#[derive(Clone, Debug)]
pub struct Bme680 {
    calibration: Calibration,
    /// The last measured temperature, by which the heater is set.
    ambient_c: i32,
}

impl Bme680 {
    /// Start the chip anew, check which one it is, and read its calibration; waits 10 ms.
    pub fn new<I: I2c>(bus: &mut I, delay: &mut impl DelayNs) -> Result<Self, Error<I::Error>> {
        write(bus, Register::Reset, SOFT_RESET)?;
        delay.delay_ms(10);
        let [seen] = read(bus, Register::ChipId)?;
        if seen != CHIP_ID {
            return Err(Error::ChipId { seen });
        }
        let [variant] = read(bus, Register::Variant)?;
        if variant != 0 {
            return Err(Error::Variant { seen: variant });
        }
        let calibration = Calibration::new(
            &read(bus, Register::Coefficients1)?,
            &read(bus, Register::Coefficients2)?,
            &read(bus, Register::Coefficients3)?,
        );
        Ok(Self {
            calibration,
            ambient_c: 25,
        })
    }

    /// Measure once; waits 195 to 295 ms.
    pub fn measure<I: I2c>(
        &mut self,
        bus: &mut I,
        delay: &mut impl DelayNs,
    ) -> Result<Measurement, Error<I::Error>> {
        let resistance = self.calibration.heater(HEATER_C, self.ambient_c);
        write(bus, Register::HeaterResistance, resistance)?;
        write(bus, Register::HeaterTime, heater_time(HEATER_MS))?;
        // Gas measurement on, profile 0.
        write(bus, Register::ControlGas, 0x10)?;
        // Humidity x1; temperature x2, pressure x16, forced mode; no filter.
        write(bus, Register::ControlHumidity, 0b001)?;
        write(bus, Register::Config, 0)?;
        write(bus, Register::ControlMeasuring, 2 << 5 | 5 << 2 | 1)?;
        delay.delay_ms(MEASURING_MS);
        for _ in 0..TRIES {
            let field: [u8; 15] = read(bus, Register::Field)?;
            if field[0] & 0x80 != 0 {
                return self.take(&field).ok_or(Error::Impossible);
            }
            delay.delay_ms(10);
        }
        Err(Error::NotReady)
    }

    fn take(&mut self, field: &[u8; 15]) -> Option<Measurement> {
        let twenty = |at: usize| {
            u32::from(field[at]) << 12
                | u32::from(field[at + 1]) << 4
                | u32::from(field[at + 2] >> 4)
        };
        let (pressure_raw, temperature_raw) = (twenty(2), twenty(5));
        let humidity_raw = u16::from_be_bytes([field[8], field[9]]);
        let (temperature, fine) = self.calibration.temperature(temperature_raw);
        let pressure_pa = self.calibration.pressure(pressure_raw, fine)?;
        let humidity = self.calibration.humidity(humidity_raw, temperature);
        let (gas_high, gas_low) = (field[13], field[14]);
        // Both bits: the gas was measured, and the heater was stable.
        let gas_resistance_ohm = if gas_low & 0x30 == 0x30 {
            let raw = u16::from(gas_high) << 2 | u16::from(gas_low >> 6);
            self.calibration.gas(raw, usize::from(gas_low & 0x0F))
        } else {
            None
        };
        let temperature_centidegrees = i16::try_from(temperature).ok()?;
        self.ambient_c = temperature / 100;
        Some(Measurement {
            temperature_centidegrees,
            humidity_centipercent: humidity,
            pressure_pa,
            gas_resistance_ohm,
        })
    }
}

/// Six bits of milliseconds and a factor of 1, 4, 16 or 64 (section 5.3.3.3).
fn heater_time(mut duration_ms: u32) -> u8 {
    let mut factor = 0;
    while duration_ms > 0x3F && factor < 3 {
        duration_ms /= 4;
        factor += 1;
    }
    factor << 6 | duration_ms.min(0x3F) as u8
}

fn write<I: I2c>(bus: &mut I, register: Register, value: u8) -> Result<(), Error<I::Error>> {
    bus.write(ADDRESS, &[register as u8, value])
        .map_err(|error| Error::Bus { register, error })
}

fn read<I: I2c, const N: usize>(
    bus: &mut I,
    register: Register,
) -> Result<[u8; N], Error<I::Error>> {
    let mut bytes = [0; N];
    bus.write_read(ADDRESS, &[register as u8], &mut bytes)
        .map_err(|error| Error::Bus { register, error })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
