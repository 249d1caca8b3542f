//! Turns the answers of the sensors into a reading: which values are accepted, which sensor replaces which, and which faults the status reports.

use iiot_proto::packet::{Reading, Status};

/// The SHT31 measures from -40 to 125 degrees Celsius.
const TEMPERATURE_CENTIDEGREES: core::ops::RangeInclusive<i16> = -4_000..=12_500;

/// The BME680 measures from 300 to 1100 hPa.
const PRESSURE_PA: core::ops::RangeInclusive<u32> = 30_000..=110_000;

/// The largest accepted difference. The BME680 warms itself by up to a few degrees; if the difference is larger, one of the sensors is wrong.
const MOST_APART_CENTIDEGREES: u16 = 500;

/// The largest accepted difference in relative humidity, which falls as the BME680 warms itself.
const MOST_APART_CENTIPERCENT: u16 = 2_000;

/// Below this voltage, the regulator of the board stops working.
const LOW_BATTERY_MV: u16 = 2_900;

/// Why a sensor gave no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The sensor does not answer on the bus.
    Silent,
    /// The sensor answered with a wrong checksum, as another chip, or with an impossible value.
    Damaged,
}

/// Temperature and humidity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Climate {
    /// The temperature in hundredths of a degree Celsius.
    pub temperature_centidegrees: i16,
    /// The relative humidity in hundredths of a percent.
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

/// The values of the BME680.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Air {
    /// Temperature and humidity, which are compared with those of the SHT31, or replace them.
    pub climate: Climate,
    /// The pressure in pascal.
    pub pressure_pa: u32,
    /// The gas resistance in ohm; `None` if the heater was not stable.
    pub gas_resistance_ohm: Option<u32>,
}

/// The values of the SHT31, if they are possible.
pub fn believed(sht31: Result<Climate, Fault>) -> Result<Climate, Fault> {
    match sht31 {
        Ok(climate) if !climate.is_possible() => Err(Fault::Damaged),
        other => other,
    }
}

/// Make a reading. A value that is missing or impossible is absent from the reading, and the status says why.
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

    /// If both sensors work, temperature and humidity come from the SHT31.
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

    /// If the SHT31 fails, the BME680 replaces it, and the status says so.
    #[test]
    fn the_bme680_stands_in() {
        let reading = assess(Err(Fault::Damaged), Ok(BME680), Some(3_300), false);
        assert_eq!(reading.temperature_centidegrees, Some(2_900));
        assert_eq!(reading.status, Status::SHT31_DAMAGED.with(Status::STAND_IN));
    }

    /// If both sensors fail, there is no value, and no false number in its place.
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

    /// A value that a sensor cannot measure counts as damaged. For example, all ones on the bus mean 130 degrees.
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

    /// If the sensors contradict each other, the values of the SHT31 are reported with a warning.
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

    /// The gas resistance is absent until the heater is stable, because the first values after a start are useless.
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
