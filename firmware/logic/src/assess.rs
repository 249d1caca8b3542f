//! From what the sensors answered to a reading: which values are believed, who stands in for whom, and what is said about it.

use iiot_proto::packet::{Reading, Status};

/// The SHT31 measures from -40 to 125 degrees Celsius.
const TEMPERATURE_CENTIDEGREES: core::ops::RangeInclusive<i16> = -4_000..=12_500;

/// The BME680 measures from 300 to 1100 hPa.
const PRESSURE_PA: core::ops::RangeInclusive<u32> = 30_000..=110_000;

/// The BME680 warms itself by up to a few degrees; beyond this one of the two is wrong.
const MOST_APART_CENTIDEGREES: u16 = 500;

/// The same for relative humidity, which falls as the BME680 warms itself.
const MOST_APART_CENTIPERCENT: u16 = 2_000;

/// Below this the regulator of the board falls out.
const LOW_BATTERY_MV: u16 = 2_900;

/// Why a sensor gave no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not answer on the bus.
    Silent,
    /// It answered with a wrong checksum, as another chip, or with what cannot be.
    Damaged,
}

/// Temperature and humidity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Climate {
    /// Hundredths of a degree Celsius.
    pub temperature_centidegrees: i16,
    /// Hundredths of a percent.
    pub humidity_centipercent: u16,
}

impl Climate {
    fn is_possible(self) -> bool {
        TEMPERATURE_CENTIDEGREES.contains(&self.temperature_centidegrees)
            && self.humidity_centipercent <= 10_000
    }

    fn disagrees(self, other: Self) -> bool {
        self.temperature_centidegrees
            .abs_diff(other.temperature_centidegrees)
            > MOST_APART_CENTIDEGREES
            || self
                .humidity_centipercent
                .abs_diff(other.humidity_centipercent)
                > MOST_APART_CENTIPERCENT
    }
}

/// What the BME680 gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Air {
    /// A cross-check for the SHT31, and a stand-in.
    pub climate: Climate,
    /// Pascal.
    pub pressure_pa: u32,
    /// Ohm; `None` where the heater was not stable.
    pub gas_resistance_ohm: Option<u32>,
}

/// What the SHT31 gave, if it can be.
pub fn believed(sht31: Result<Climate, Fault>) -> Result<Climate, Fault> {
    match sht31 {
        Ok(climate) if !climate.is_possible() => Err(Fault::Damaged),
        other => other,
    }
}

/// Make a reading. A value that is missing or cannot be is left out, and the status says why.
pub fn assess(
    sht31: Result<Climate, Fault>,
    bme680: Result<Air, Fault>,
    battery_mv: Option<u16>,
    by_button: bool,
) -> Reading {
    let mut status = Status::NONE;
    let mut say = |bit: Status, holds: bool| {
        if holds {
            status = status.with(bit);
        }
    };
    let bme680 = match bme680 {
        Ok(air) if !PRESSURE_PA.contains(&air.pressure_pa) || !air.climate.is_possible() => {
            Err(Fault::Damaged)
        }
        other => other,
    };
    let sht31 = believed(sht31);
    say(Status::SHT31_SILENT, sht31 == Err(Fault::Silent));
    say(Status::SHT31_DAMAGED, sht31 == Err(Fault::Damaged));
    say(Status::BME680_SILENT, bme680 == Err(Fault::Silent));
    say(Status::BME680_DAMAGED, bme680 == Err(Fault::Damaged));
    say(Status::BUTTON, by_button);
    say(Status::BATTERY_UNKNOWN, battery_mv.is_none());
    say(
        Status::BATTERY_LOW,
        battery_mv.is_some_and(|battery_mv| battery_mv < LOW_BATTERY_MV),
    );
    let (sht31, bme680) = (sht31.ok(), bme680.ok());
    let stand_in = bme680.map(|air| air.climate);
    if let (Some(own), Some(other)) = (sht31, stand_in) {
        say(Status::SENSORS_DISAGREE, own.disagrees(other));
    }
    say(Status::STAND_IN, sht31.is_none() && stand_in.is_some());
    let gas_resistance_ohm = bme680.and_then(|air| air.gas_resistance_ohm);
    say(
        Status::GAS_NOT_STABLE,
        bme680.is_some() && gas_resistance_ohm.is_none(),
    );
    let climate = sht31.or(stand_in);
    Reading {
        temperature_centidegrees: climate.map(|climate| climate.temperature_centidegrees),
        humidity_centipercent: climate.map(|climate| climate.humidity_centipercent),
        gas_resistance_ohm,
        pressure_pa: bme680.map(|air| air.pressure_pa),
        battery_mv,
        status,
        age_ms: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHT31: Climate = Climate {
        temperature_centidegrees: 2_760,
        humidity_centipercent: 5_410,
    };
    const BME680: Air = Air {
        climate: Climate {
            temperature_centidegrees: 2_900,
            humidity_centipercent: 5_000,
        },
        pressure_pa: 101_325,
        gas_resistance_ohm: Some(84_190),
    };

    /// With both sensors well, temperature and humidity are the SHT31's.
    #[test]
    fn each_value_comes_from_the_better_sensor() {
        let reading = assess(Ok(SHT31), Ok(BME680), Some(3_300), false);
        assert_eq!(
            reading,
            Reading {
                temperature_centidegrees: Some(2_760),
                humidity_centipercent: Some(5_410),
                gas_resistance_ohm: Some(84_190),
                pressure_pa: Some(101_325),
                battery_mv: Some(3_300),
                status: Status::NONE,
                age_ms: 0,
            }
        );
    }

    /// Without the SHT31 the BME680 stands in, and says so.
    #[test]
    fn the_bme680_stands_in() {
        let reading = assess(Err(Fault::Damaged), Ok(BME680), Some(3_300), false);
        assert_eq!(reading.temperature_centidegrees, Some(2_900));
        assert_eq!(reading.status, Status::SHT31_DAMAGED.with(Status::STAND_IN));
    }

    /// With neither there is no value, and no false number in its place.
    #[test]
    fn nothing_measured_is_nothing_said() {
        let reading = assess(Err(Fault::Silent), Err(Fault::Silent), None, true);
        assert_eq!(
            reading,
            Reading {
                status: Status::SHT31_SILENT
                    .with(Status::BME680_SILENT)
                    .with(Status::BATTERY_UNKNOWN)
                    .with(Status::BUTTON),
                ..Reading::default()
            }
        );
    }

    /// What a sensor cannot measure it did not measure: all ones on the bus read as 130 degrees.
    #[test]
    fn impossible_values_are_damage() {
        let all_ones = Climate {
            temperature_centidegrees: 13_000,
            humidity_centipercent: 10_000,
        };
        let reading = assess(Ok(all_ones), Ok(BME680), Some(3_300), false);
        assert!(reading.status.has(Status::SHT31_DAMAGED) && reading.status.has(Status::STAND_IN));
        let vacuum = Air {
            pressure_pa: 0,
            ..BME680
        };
        let reading = assess(Ok(SHT31), Ok(vacuum), Some(3_300), false);
        assert_eq!(reading.status, Status::BME680_DAMAGED);
        assert_eq!(
            (reading.pressure_pa, reading.gas_resistance_ohm),
            (None, None)
        );
    }

    /// Sensors that contradict each other are both reported, with a warning.
    #[test]
    fn disagreement_is_told() {
        let far = Climate {
            temperature_centidegrees: 1_000,
            ..SHT31
        };
        let reading = assess(Ok(far), Ok(BME680), Some(3_300), false);
        assert_eq!(reading.temperature_centidegrees, Some(1_000));
        assert_eq!(reading.status, Status::SENSORS_DISAGREE);
    }

    /// The first gas figures after a start are not worth telling.
    #[test]
    fn an_unstable_heater_leaves_the_gas_out() {
        let cold = Air {
            gas_resistance_ohm: None,
            ..BME680
        };
        let reading = assess(Ok(SHT31), Ok(cold), Some(2_500), false);
        assert_eq!(
            reading.status,
            Status::GAS_NOT_STABLE.with(Status::BATTERY_LOW)
        );
        assert_eq!(reading.gas_resistance_ohm, None);
    }
}
