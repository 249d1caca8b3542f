//! The air at a place: the weather of the region, and how much of it reaches the place.
//!
//! Everything is a function of the time, so nothing drifts, and the air of any moment can be computed. The year and the day are waves. The weather is the sum
//! of a few waves of several days, which does not repeat within years. The humidity follows from temperature and dew point by the Magnus formula.

use crate::dice::Dice;
use std::f64::consts::TAU;

const DAY_S: f64 = 86_400.0;
const YEAR_S: f64 = 365.25 * DAY_S;
/// Periods of the weather in days. None is a small multiple of another one.
const WEATHER_DAYS: [f64; 4] = [2.7, 4.3, 7.9, 13.1];
/// The warmest hour of the day, and the warmest day of the year.
const WARMEST_HOUR_S: f64 = 15.0 * 3_600.0;
const WARMEST_DAY_S: f64 = 200.0 * DAY_S;

/// The air as sensors measure it, without their noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Air {
    pub temperature_c: f64,
    pub humidity_percent: f64,
    pub pressure_hpa: f64,
}

/// The weather of a region.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    phases: [f64; WEATHER_DAYS.len()],
}

/// A place in a region.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    warmer_c: f64,
    /// The share of the day's swing that reaches the place; little indoors.
    exposure: f64,
    wetter_c: f64,
    altitude_m: f64,
}

impl Weather {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        Self {
            phases: WEATHER_DAYS.map(|_| dice.between(0.0, TAU)),
        }
    }

    /// The weather, from -1 to 1. Positive values are fair weather: high pressure and a clear sky.
    fn fairness(&self, time_s: f64) -> f64 {
        let waves = WEATHER_DAYS.iter().zip(&self.phases);
        waves
            .map(|(days, phase)| (TAU * time_s / (days * DAY_S) + phase).sin())
            .sum::<f64>()
            / WEATHER_DAYS.len() as f64
    }

    /// The air at a place, `time_s` seconds after 1970.
    pub(crate) fn at(&self, place: &Place, time_s: f64) -> Air {
        let fair = self.fairness(time_s);
        let year = (TAU * (time_s - WARMEST_DAY_S) / YEAR_S).cos();
        let day = (TAU * (time_s - WARMEST_HOUR_S) / DAY_S).cos();
        let mean_c = 11.0 + 9.0 * year + 3.0 * fair;
        // Under a clear sky, days are hotter and nights are colder.
        let swing_c = 4.5 + 2.5 * fair;
        let temperature_c = mean_c + place.warmer_c + place.exposure * swing_c * day;
        let dew_point_c = (mean_c - 5.0 - 2.5 * fair + place.wetter_c).min(temperature_c);
        let pressure_hpa = 1_013.25 + 12.0 * fair + 0.6 * (TAU * time_s / (DAY_S / 2.0)).sin();
        Air {
            temperature_c,
            humidity_percent: 100.0 * (magnus(dew_point_c) - magnus(temperature_c)).exp(),
            // Barometric formula.
            pressure_hpa: pressure_hpa * (1.0 - 2.255_77e-5 * place.altitude_m).powf(5.255_88),
        }
    }
}

impl Place {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        Self {
            warmer_c: dice.between(-2.0, 5.0),
            exposure: dice.between(0.3, 1.0),
            wetter_c: dice.between(-2.0, 2.0),
            altitude_m: dice.between(180.0, 420.0),
        }
    }
}

fn magnus(temperature_c: f64) -> f64 {
    17.62 * temperature_c / (243.12 + temperature_c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_warm_and_dry_and_nights_are_not() {
        //! At every place, on any day of two years. Humidity and pressure stay within their ranges.
        for seed in 0..20 {
            let mut dice = Dice::of(seed, 0);
            let (weather, place) = (Weather::new(&mut dice), Place::new(&mut dice));
            for day in 0..730 {
                let midnight_s = 1_700_006_400.0 + f64::from(day) * DAY_S;
                let afternoon = weather.at(&place, midnight_s + 15.0 * 3_600.0);
                let night = weather.at(&place, midnight_s + 3.0 * 3_600.0);

                assert!(afternoon.temperature_c > night.temperature_c - 2.0);
                assert!(afternoon.humidity_percent < night.humidity_percent + 10.0);
                for air in [afternoon, night] {
                    assert!((-25.0..45.0).contains(&air.temperature_c), "{air:?}");
                    assert!((10.0..=100.1).contains(&air.humidity_percent), "{air:?}");
                    assert!((930.0..1_030.0).contains(&air.pressure_hpa), "{air:?}");
                }
            }
        }
    }
}
