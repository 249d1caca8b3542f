//! A sensor node: where it is, what it measures, and when it restarts.

use crate::climate::{Place, Weather};
use crate::dice::Dice;
use crate::radio::Path;

const NEAREST_M: f64 = 20.0;
const FARTHEST_M: f64 = 650.0;
/// The mean time between two restarts of a node, by its watchdog or a loose battery.
const MEAN_RUN_S: f64 = 10.0 * 86_400.0;
/// The voltage of a full cell, and that of an empty one, which is then replaced.
const FULL_MV: f64 = 4_150.0;
const EMPTY_MV: f64 = 3_300.0;
/// The time that the heater of the gas sensor needs until the resistance is stable.
const BURN_IN_S: f64 = 1_200.0;

/// One reading, in the units in which the firmware sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub temperature_centidegrees: i32,
    pub humidity_centipercent: i32,
    pub gas_resistance_ohm: u32,
    pub pressure_pa: u32,
    pub battery_mv: u32,
    pub seq: u16,
    pub boot: u16,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub number: u32,
    pub path: Path,
    dice: Dice,
    place: Place,
    clean_air_ohm: f64,
    cell_s: f64,
    cell_from_s: f64,
    started_s: f64,
    runs_until_s: f64,
    boot: u16,
    seq: u16,
}

impl Node {
    /// A node that starts at `now_s`. Its place and sensors follow from the seed alone. Its restarts follow from the time as well, so a second run has other boot ids.
    pub(crate) fn new(number: u32, seed: u64, now_s: f64) -> Self {
        let mut fixed = Dice::of(seed, u64::from(number));
        let mut dice = Dice::of(fixed.bits() ^ now_s.to_bits(), u64::from(number));
        let distance_m = NEAREST_M * (FARTHEST_M / NEAREST_M).powf(fixed.uniform());
        let cell_s = fixed.between(60.0, 180.0) * 86_400.0;
        Self {
            number,
            path: Path::new(distance_m),
            place: Place::new(&mut fixed),
            clean_air_ohm: fixed.between(60_000.0, 220_000.0),
            cell_s,
            cell_from_s: fixed.between(0.0, cell_s),
            started_s: now_s,
            runs_until_s: now_s + dice.exponential(MEAN_RUN_S),
            boot: dice.bits() as u16,
            seq: 0,
            dice,
        }
    }

    /// Restart if it is time to. Returns whether the node restarted.
    pub(crate) fn restart(&mut self, now_s: f64) -> bool {
        if now_s < self.runs_until_s {
            return false;
        }
        self.started_s = now_s;
        self.runs_until_s = now_s + self.dice.exponential(MEAN_RUN_S);
        // A boot id must differ from the one before.
        self.boot = self
            .boot
            .wrapping_add(1 + (self.dice.bits() % 65_535) as u16);
        self.seq = 0;
        true
    }

    /// Measure. The reading gets the next sequence number.
    pub(crate) fn measure(&mut self, weather: &Weather, now_s: f64) -> Reading {
        let air = weather.at(&self.place, now_s);
        let humidity = air.humidity_percent + 0.4 * self.dice.normal();
        let burnt_in = 1.0 - 0.6 * (-(now_s - self.started_s) / BURN_IN_S).exp();
        let moist = (-0.012 * (air.humidity_percent - 40.0)).exp();
        let gas = self.clean_air_ohm * burnt_in * moist * (1.0 + 0.008 * self.dice.normal());
        let spent = ((now_s - self.cell_from_s).rem_euclid(self.cell_s)) / self.cell_s;
        // The curve of a cell is flat in the middle and steep at both ends. Cold lowers the voltage.
        let charge = 1.0 - spent;
        let shape = 0.7 * charge + 0.3 * (charge - 0.5).powi(3) * 4.0 + 0.15;
        let battery = EMPTY_MV
            + (FULL_MV - EMPTY_MV) * shape.clamp(0.0, 1.0)
            + 2.0 * (air.temperature_c - 15.0)
            + 3.0 * self.dice.normal();
        self.seq = self.seq.wrapping_add(1);
        Reading {
            temperature_centidegrees: ((air.temperature_c + 0.05 * self.dice.normal()) * 100.0)
                .round() as i32,
            humidity_centipercent: (humidity.clamp(0.0, 100.0) * 100.0).round() as i32,
            gas_resistance_ohm: gas.round() as u32,
            pressure_pa: ((air.pressure_hpa + 0.02 * self.dice.normal()) * 100.0).round() as u32,
            battery_mv: battery.round() as u32,
            seq: self.seq,
            boot: self.boot,
        }
    }
}
