//! How packets fare over a distance, fitted to a range test of two RYLR998 (SF7): 100 m -82 dBm, 11 dB, 99 % arrive; 400 m -100 dBm, -2 dB, 98 %;
//! 600 m -107 dBm, -6 dB, 95 %.

use crate::dice::Dice;

/// The path loss in dB per tenfold distance.
const RSSI_AT_100_M_DBM: f64 = -82.0;
const DB_PER_DECADE: f64 = -32.0;
/// The decibels by which the signal-to-noise ratio falls for each decibel of the signal.
const SNR_AT_100_M_DB: f64 = 11.0;
const SNR_PER_DB: f64 = 0.68;
const BEST_SNR_DB: f64 = 13.0;
/// The scatter from packet to packet, because of obstacles and interference, in dB.
const SHADOWING_DB: f64 = 2.0;
/// The share of packets that is lost at any distance, and the signal-to-noise ratio at which half of all packets are lost.
const LEAST_LOSS: f64 = 0.01;
const HALF_LOST_SNR_DB: f64 = -15.0;
const LOSS_SLOPE_DB: f64 = 2.8;

/// The path from a node to the receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    rssi_dbm: f64,
}

/// How the receiver heard a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    pub rssi_dbm: i32,
    pub snr_db: i32,
}

impl Path {
    pub(crate) fn new(distance_m: f64) -> Self {
        Self {
            rssi_dbm: RSSI_AT_100_M_DBM + DB_PER_DECADE * (distance_m / 100.0).log10(),
        }
    }

    /// Send a packet. Returns how the receiver hears it; nothing if it is lost.
    pub(crate) fn carry(self, dice: &mut Dice) -> Option<Signal> {
        let rssi_dbm = self.rssi_dbm + SHADOWING_DB * dice.normal();
        let snr_db = SNR_AT_100_M_DB + SNR_PER_DB * (rssi_dbm - RSSI_AT_100_M_DBM);
        if dice.chance(loss(snr_db)) {
            return None;
        }
        Some(Signal {
            rssi_dbm: rssi_dbm.round() as i32,
            snr_db: snr_db.min(BEST_SNR_DB).round() as i32,
        })
    }
}

fn loss(snr_db: f64) -> f64 {
    let far = 1.0 / (1.0 + ((snr_db - HALF_LOST_SNR_DB) / LOSS_SLOPE_DB).exp());
    LEAST_LOSS + (1.0 - LEAST_LOSS) * far
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_test_comes_out_again() {
        //! Within two decibels and one percent of the measured values.
        for (distance_m, rssi_dbm, snr_db, arrived) in [
            (100.0, -82.0, 11.0, 0.99),
            (400.0, -100.0, -2.0, 0.98),
            (600.0, -107.0, -6.0, 0.95),
        ] {
            let mut dice = Dice::of(1, 0);
            let path = Path::new(distance_m);
            let packets: Vec<_> = (0..20_000).filter_map(|_| path.carry(&mut dice)).collect();
            let mean = |value: fn(&Signal) -> i32| {
                packets.iter().map(value).map(f64::from).sum::<f64>() / packets.len() as f64
            };

            assert!(
                (mean(|s| s.rssi_dbm) - rssi_dbm).abs() < 2.0,
                "{distance_m} m"
            );
            assert!((mean(|s| s.snr_db) - snr_db).abs() < 2.0, "{distance_m} m");
            assert!(
                (packets.len() as f64 / 20_000.0 - arrived).abs() < 0.015,
                "{distance_m} m"
            );
        }
    }
}
