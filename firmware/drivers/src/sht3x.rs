//! Driver of the SHT30, SHT31 and SHT35. It measures temperature and humidity in single shots without clock stretching, so that it does not block a shared bus.
//!
//! It uses only integers, and checks a checksum per value. Section numbers are those of Sensirion's data sheet of the SHT3x-DIS, version 7.

use embedded_hal::delay::DelayNs;
use embedded_hal::i2c::I2c;

/// The sensor's address if ADDR is connected to ground (section 4.2).
pub const ADDRESS: u8 = 0x44;

/// The command for a single shot with high repeatability and without clock stretching (section 4.3).
const MEASURE: [u8; 2] = [0x24, 0x00];

/// The time of a measurement. With high repeatability it takes at most 15.5 ms (section 2.2).
const MEASURING_MS: u32 = 16;

/// The values that the sensor returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measurement {
    /// The temperature in hundredths of a degree Celsius, -4500 to 13000.
    pub temperature_centidegrees: i16,
    /// The relative humidity in hundredths of a percent, 0 to 10000.
    pub humidity_centipercent: u16,
}

/// Why there is no measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The bus failed. Most often, the sensor did not acknowledge.
    Bus(E),
    /// The checksum of a value is wrong.
    Checksum {
        /// The checksum that follows from the value.
        computed: u8,
        /// The checksum that the sensor sent.
        carried: u8,
    },
}

/// Measure once. Waits 16 ms.
pub fn measure<I: I2c>(
    bus: &mut I,
    delay: &mut impl DelayNs,
) -> Result<Measurement, Error<I::Error>> {
    bus.write(ADDRESS, &MEASURE).map_err(Error::Bus)?;
    delay.delay_ms(MEASURING_MS);
    let mut answer = [0; 6];
    bus.read(ADDRESS, &mut answer).map_err(Error::Bus)?;
    let [t_high, t_low, t_crc, h_high, h_low, h_crc] = answer;
    let temperature = checked([t_high, t_low], t_crc)?;
    let humidity = checked([h_high, h_low], h_crc)?;
    Ok(Measurement {
        temperature_centidegrees: centidegrees(temperature),
        humidity_centipercent: centipercent(humidity),
    })
}

fn checked<E>(value: [u8; 2], carried: u8) -> Result<u16, Error<E>> {
    let computed = crc8(value);
    if computed == carried {
        Ok(u16::from_be_bytes(value))
    } else {
        Err(Error::Checksum { computed, carried })
    }
}

/// T = -45 + 175 raw / 65535 (section 4.13), rounded to the nearest hundredth.
pub fn centidegrees(raw: u16) -> i16 {
    ((17_500 * u32::from(raw) + 32_767) / 65_535) as i16 - 4_500
}

/// RH = 100 raw / 65535 (section 4.13), rounded to the nearest hundredth.
pub fn centipercent(raw: u16) -> u16 {
    ((10_000 * u32::from(raw) + 32_767) / 65_535) as u16
}

/// The checksum with polynomial 0x31 and initial value 0xFF (section 4.12).
fn crc8(bytes: [u8; 2]) -> u8 {
    bytes.into_iter().fold(0xFF, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc: u8, _| {
            if crc & 0x80 == 0 {
                crc << 1
            } else {
                crc << 1 ^ 0x31
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::{Bus, Nack, NoDelay};

    /// The example of the data sheet: the checksum of 0xBEEF is 0x92.
    #[test]
    fn the_checksum_is_that_of_the_data_sheet() {
        assert_eq!(crc8([0xBE, 0xEF]), 0x92);
    }

    /// The ends and the middle of both scales, computed by hand.
    #[test]
    fn scales_are_those_of_the_data_sheet() {
        assert_eq!(
            [0, 0x8000, 0xFFFF].map(centidegrees),
            [-4_500, 4_250, 13_000]
        );
        assert_eq!([0, 0x8000, 0xFFFF].map(centipercent), [0, 5_000, 10_000]);
    }

    /// The bytes on the bus, and the result of the measurement.
    #[test]
    fn a_measurement_is_one_command_and_one_read() {
        let mut bus = Bus::default();
        bus.sht3x.set(27.6, 54.1);
        let measured = measure(&mut bus, &mut NoDelay).unwrap();
        assert_eq!(
            measured,
            Measurement {
                temperature_centidegrees: 2_760,
                humidity_centipercent: 5_410,
            }
        );
        assert_eq!(bus.trace, ["w44 2400", "r44 6"]);
    }

    /// An absent sensor and a damaged answer give no number.
    #[test]
    fn a_fault_gives_no_number() {
        let mut bus = Bus::default();
        bus.sht3x.is_there = false;
        assert_eq!(measure(&mut bus, &mut NoDelay), Err(Error::Bus(Nack)));
        bus.sht3x.is_there = true;
        bus.sht3x.damage = 1;
        assert!(matches!(
            measure(&mut bus, &mut NoDelay),
            Err(Error::Checksum { .. })
        ));
    }
}
