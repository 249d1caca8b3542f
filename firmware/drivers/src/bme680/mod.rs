//! Driver of the BME680. It measures pressure and gas resistance, and also temperature and humidity, in forced mode with one heater profile.
//!
//! This driver replaces the crate `bosch-bme680`, which panics on register values that a disturbed bus can deliver, may wait for ever, and calculates
//! in floating point. A test compares the two. Section numbers are those of Bosch's data sheet BST-BME680-DS001.

mod compensate;

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

pub use compensate::Calibration;

/// The chip's address if SDO is connected to ground.
pub const ADDRESS: u8 = 0x76;

/// The chip's id (section 5.3.1.1).
pub const CHIP_ID: u8 = 0x61;

/// The heater's target in degrees Celsius, and its heating time in milliseconds, from Bosch's own example.
const HEATER_C: i32 = 300;
const HEATER_MS: u32 = 150;

/// The time of a measurement: the heating, and 42 ms (rounded up) for temperature x2, pressure x16 and humidity x1. These are the cycles of 1.963 ms and
/// the switching times of section 3.3.3.
const MEASURING_MS: u32 = HEATER_MS + 45;

/// The number of times that the result is requested after this time, 10 ms apart.
const TRIES: u32 = 10;

const SOFT_RESET: u8 = 0xB6;

/// The registers (section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Register {
    /// The third part of the calibration, 5 bytes.
    Coefficients3 = 0x00,
    /// The first field of results, 15 bytes.
    Field = 0x1D,
    /// The heater's resistance of profile 0.
    HeaterResistance = 0x5A,
    /// The heater's time of profile 0.
    HeaterTime = 0x64,
    /// Starts gas measurements, and selects their heater profile.
    ControlGas = 0x71,
    /// Oversampling of humidity.
    ControlHumidity = 0x72,
    /// Oversampling of temperature and pressure, and the mode.
    ControlMeasuring = 0x74,
    /// The filter.
    Config = 0x75,
    /// The first part of the calibration, 23 bytes.
    Coefficients1 = 0x8A,
    /// The chip's id.
    ChipId = 0xD0,
    /// Resets the chip.
    Reset = 0xE0,
    /// The second part of the calibration, 14 bytes.
    Coefficients2 = 0xE1,
    /// The variant of the chip: 0 for the BME680, 1 for the BME688.
    Variant = 0xF0,
}

/// Why there is no measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The bus failed at this register.
    Bus {
        /// The register that was read or written.
        register: Register,
        /// The error of the bus.
        error: E,
    },
    /// Another chip has answered.
    ChipId {
        /// The id of this chip.
        seen: u8,
    },
    /// The chip is a relative that has its gas results in other registers.
    Variant {
        /// The variant of this chip; 1 is the BME688.
        seen: u8,
    },
    /// The measurement did not end in time.
    NotReady,
    /// A result is outside the range that the chip can measure, as it may happen on a disturbed bus.
    Impossible,
}

/// The values that the sensor returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// The temperature in hundredths of a degree Celsius.
    pub temperature_centidegrees: i16,
    /// The relative humidity in hundredths of a percent.
    pub humidity_centipercent: u16,
    /// The pressure in pascal.
    pub pressure_pa: u32,
    /// The gas resistance in ohm; `None` if the heater was not stable or the gas was not measured.
    pub gas_resistance_ohm: Option<u32>,
}

/// A sensor whose calibration was read.
#[derive(Clone, Debug)]
pub struct Bme680 {
    calibration: Calibration,
    /// The last measured temperature in degrees Celsius, from which the heater is set.
    ambient_c: i32,
}

impl Bme680 {
    /// Reset the chip, check its id and its variant, and read its calibration. Waits 10 ms.
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

    /// Measure once. Waits 195 to 295 ms.
    pub fn measure<I: I2c>(
        &mut self,
        bus: &mut I,
        delay: &mut impl DelayNs,
    ) -> Result<Measurement, Error<I::Error>> {
        let resistance = self.calibration.heater(HEATER_C, self.ambient_c);
        write(bus, Register::HeaterResistance, resistance)?;
        write(bus, Register::HeaterTime, heater_time(HEATER_MS))?;
        // Start gas measurements with profile 0.
        write(bus, Register::ControlGas, 0x10)?;
        // Humidity x1, no filter, temperature x2, pressure x16, forced mode.
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
        // These two bits say that the gas was measured, and that the heater was stable.
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

/// The register value for a heating time: six bits of milliseconds, and a factor of 1, 4, 16 or 64 (section 5.3.3.3).
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
