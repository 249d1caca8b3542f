//! The values that the sensors returned: one byte that says which values follow, then these values.
//!
//! ```text
//!  mmmmmmmm [tttt] [hhhh] [gggggggg] [pppppp] [bbbb] [ssss] [aaaaaaaa]
//!
//!  m which values follow, from the lowest bit   t temperature   h humidity   g gas resistance   p pressure   b battery   s status   a age
//! ```
//!
//! If a sensor failed, its value is absent and a bit of the status is set. No number stands for "no value".

use crate::packet::bytes::{Reader, Writer};
use crate::packet::{DecodeError, DecodeFault, EncodeError};

/// The highest relative humidity, in hundredths of a percent.
pub const MAX_HUMIDITY_CENTIPERCENT: u16 = 10_000;

/// The highest pressure, in pascal. The field has 24 bits.
pub const MAX_PRESSURE_PA: u32 = 0xFF_FFFF;

const TEMPERATURE: u8 = 1;
const HUMIDITY: u8 = 1 << 1;
const GAS: u8 = 1 << 2;
const PRESSURE: u8 = 1 << 3;
const BATTERY: u8 = 1 << 4;
const STATUS: u8 = 1 << 5;
const AGE: u8 = 1 << 6;
const KNOWN: u8 = 0x7F;

/// The values that the sensors returned at one moment; `None` if a sensor returned none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct Reading {
    /// The temperature in hundredths of a degree Celsius.
    pub temperature_centidegrees: Option<i16>,
    /// The relative humidity in hundredths of a percent, at most [`MAX_HUMIDITY_CENTIPERCENT`].
    pub humidity_centipercent: Option<u16>,
    /// The gas resistance in ohm.
    pub gas_resistance_ohm: Option<u32>,
    /// The pressure in pascal (hundredths of a hectopascal), at most [`MAX_PRESSURE_PA`].
    pub pressure_pa: Option<u32>,
    /// The battery voltage in millivolt.
    pub battery_mv: Option<u16>,
    /// Faults of the node, and remarks on these values.
    pub status: Status,
    /// The time from the measurement until the packet was sent, in milliseconds; 0 for a reading that is sent at once.
    pub age_ms: u32,
}

impl Reading {
    /// The length of the longest payload.
    pub const MAX_BYTES: usize = 1 + 2 + 2 + 4 + 3 + 2 + 2 + 4;

    pub(crate) fn check(&self) -> Result<(), EncodeError> {
        if self
            .humidity_centipercent
            .is_some_and(|value| value > MAX_HUMIDITY_CENTIPERCENT)
        {
            return Err(EncodeError::OutOfRange {
                field: "humidity_centipercent",
            });
        }
        if self
            .pressure_pa
            .is_some_and(|value| value > MAX_PRESSURE_PA)
        {
            return Err(EncodeError::OutOfRange {
                field: "pressure_pa",
            });
        }
        Ok(())
    }

    fn mask(&self) -> u8 {
        let bit = |present: bool, bit: u8| if present { bit } else { 0 };
        bit(self.temperature_centidegrees.is_some(), TEMPERATURE)
            | bit(self.humidity_centipercent.is_some(), HUMIDITY)
            | bit(self.gas_resistance_ohm.is_some(), GAS)
            | bit(self.pressure_pa.is_some(), PRESSURE)
            | bit(self.battery_mv.is_some(), BATTERY)
            | bit(self.status != Status::NONE, STATUS)
            | bit(self.age_ms != 0, AGE)
    }

    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), EncodeError> {
        writer.put_u8(self.mask())?;
        if let Some(value) = self.temperature_centidegrees {
            writer.put_u16(value as u16)?;
        }
        if let Some(value) = self.humidity_centipercent {
            writer.put_u16(value)?;
        }
        if let Some(value) = self.gas_resistance_ohm {
            writer.put_u32(value)?;
        }
        if let Some(value) = self.pressure_pa {
            writer.put_u24(value)?;
        }
        if let Some(value) = self.battery_mv {
            writer.put_u16(value)?;
        }
        if self.status != Status::NONE {
            writer.put_u16(self.status.0)?;
        }
        if self.age_ms != 0 {
            writer.put_u32(self.age_ms)?;
        }
        Ok(())
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let start = *reader;
        let mask = reader.take_u8()?;
        if mask & !KNOWN != 0 {
            return Err(start.fault(DecodeFault::ReservedBits {
                seen: mask & !KNOWN,
            }));
        }
        let has = |bit: u8| mask & bit != 0;
        let mut reading = Self::default();
        if has(TEMPERATURE) {
            reading.temperature_centidegrees = Some(reader.take_u16()? as i16);
        }
        if has(HUMIDITY) {
            let before = *reader;
            let value = reader.take_u16()?;
            if value > MAX_HUMIDITY_CENTIPERCENT {
                return Err(before.fault(DecodeFault::OutOfRange));
            }
            reading.humidity_centipercent = Some(value);
        }
        if has(GAS) {
            reading.gas_resistance_ohm = Some(reader.take_u32()?);
        }
        if has(PRESSURE) {
            reading.pressure_pa = Some(reader.take_u24()?);
        }
        if has(BATTERY) {
            reading.battery_mv = Some(reader.take_u16()?);
        }
        if has(STATUS) {
            let before = *reader;
            reading.status = Status(reader.take_u16()?);
            if reading.status == Status::NONE {
                return Err(before.fault(DecodeFault::Redundant));
            }
        }
        if has(AGE) {
            let before = *reader;
            reading.age_ms = reader.take_u32()?;
            if reading.age_ms == 0 {
                return Err(before.fault(DecodeFault::Redundant));
            }
        }
        Ok(reading)
    }
}

/// Faults of a node and remarks on its values, one bit each. Bits without a name are kept, so that a newer node can report more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct Status(pub u16);

impl Status {
    /// Nothing is wrong.
    pub const NONE: Self = Self(0);
    /// The SHT31 does not answer.
    pub const SHT31_SILENT: Self = Self(1);
    /// The SHT31 answered with a wrong checksum or an impossible value.
    pub const SHT31_DAMAGED: Self = Self(1 << 1);
    /// The BME680 does not answer.
    pub const BME680_SILENT: Self = Self(1 << 2);
    /// The BME680 answered with an impossible value, or another chip answered.
    pub const BME680_DAMAGED: Self = Self(1 << 3);
    /// The heater was not stable, so the gas resistance is absent.
    pub const GAS_NOT_STABLE: Self = Self(1 << 4);
    /// Temperature and humidity come from the BME680, which replaces the SHT31.
    pub const STAND_IN: Self = Self(1 << 5);
    /// The values of SHT31 and BME680 differ by more than is allowed.
    pub const SENSORS_DISAGREE: Self = Self(1 << 6);
    /// The battery could not be measured.
    pub const BATTERY_UNKNOWN: Self = Self(1 << 7);
    /// The battery is nearly empty.
    pub const BATTERY_LOW: Self = Self(1 << 8);
    /// The display does not answer.
    pub const DISPLAY_SILENT: Self = Self(1 << 9);
    /// The radio module has refused a command since the last packet.
    pub const RADIO_REFUSED: Self = Self(1 << 10);
    /// Readings were dropped since the last packet, because there was no space to keep them.
    pub const READINGS_DROPPED: Self = Self(1 << 11);
    /// The reading was sent because the button was pressed.
    pub const BUTTON: Self = Self(1 << 12);

    /// All bits that have a name.
    pub const NAMED: [(Self, &'static str); 13] = [
        (Self::SHT31_SILENT, "sht31_silent"),
        (Self::SHT31_DAMAGED, "sht31_damaged"),
        (Self::BME680_SILENT, "bme680_silent"),
        (Self::BME680_DAMAGED, "bme680_damaged"),
        (Self::GAS_NOT_STABLE, "gas_not_stable"),
        (Self::STAND_IN, "stand_in"),
        (Self::SENSORS_DISAGREE, "sensors_disagree"),
        (Self::BATTERY_UNKNOWN, "battery_unknown"),
        (Self::BATTERY_LOW, "battery_low"),
        (Self::DISPLAY_SILENT, "display_silent"),
        (Self::RADIO_REFUSED, "radio_refused"),
        (Self::READINGS_DROPPED, "readings_dropped"),
        (Self::BUTTON, "button"),
    ];

    /// Whether all bits in `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits and those in `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
