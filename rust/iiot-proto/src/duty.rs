//! Limits how much a radio may send: a token bucket of time on air.
//!
//! If a bucket held a whole hour's share and refilled at the full rate, twice the share could pass in its first hour. This bucket holds a sixth of
//! the share and refills at five sixths of the rate. Therefore **no period of one hour**, whenever it begins, holds more than the rule allows.

/// The limits that a rule sets for a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DutyRule {
    /// The share of an hour that may be used for sending, in thousandths; `None` if the rule has no such limit.
    pub per_mille: Option<u16>,
    /// The longest single transmission, in microseconds; `None` if the rule has no such limit.
    pub max_airtime_us: Option<u32>,
}

/// The sub-bands of EU868: lower end and upper end in hertz, and the share of an hour in thousandths.
const EU868: [(u32, u32, u16); 3] = [
    (868_000_000, 868_600_000, 10),
    (868_700_000, 869_200_000, 1),
    (869_400_000, 869_650_000, 100),
];

/// FCC 15.247: a transmission may occupy a channel of less than 500 kHz for at most 400 ms.
const US915_DWELL_US: u32 = 400_000;

impl DutyRule {
    /// The rule of the sub-band of EU868 (868.0-868.6 1 %, 868.7-869.2 0.1 %, 869.4-869.65 10 %) that contains the whole channel; `None` if no sub-band does.
    pub const fn eu868(centre_hz: u32, bandwidth_hz: u32) -> Option<Self> {
        let half = bandwidth_hz / 2;
        let (low, high) = (
            centre_hz.saturating_sub(half),
            centre_hz.saturating_add(half),
        );
        let [wide, narrow, strong] = EU868;
        let per_mille = if wide.0 <= low && high <= wide.1 {
            wide.2
        } else if narrow.0 <= low && high <= narrow.1 {
            narrow.2
        } else if strong.0 <= low && high <= strong.1 {
            strong.2
        } else {
            return None;
        };
        Some(Self {
            per_mille: Some(per_mille),
            max_airtime_us: None,
        })
    }

    /// The rule of US915, 902 to 928 MHz: no limit per hour, but at most 400 ms per transmission in channels below 500 kHz. `None` if the channel is
    /// not entirely in this band.
    pub const fn us915(centre_hz: u32, bandwidth_hz: u32) -> Option<Self> {
        let half = bandwidth_hz / 2;
        if centre_hz.saturating_sub(half) < 902_000_000
            || centre_hz.saturating_add(half) > 928_000_000
        {
            return None;
        }
        let max_airtime_us = if bandwidth_hz < 500_000 {
            Some(US915_DWELL_US)
        } else {
            None
        };
        Some(Self {
            per_mille: None,
            max_airtime_us,
        })
    }

    /// Whether a frame with this time on air can ever be sent: it must fit the longest transmission and a full bucket.
    pub const fn ever_allows(self, airtime_us: u32) -> bool {
        let fits_transmission = match self.max_airtime_us {
            Some(most) => airtime_us <= most,
            None => true,
        };
        let fits_bucket =
            self.per_mille.is_none() || (airtime_us as u64).saturating_mul(6) <= capacity(self);
        fits_transmission && fits_bucket
    }
}

/// The centre frequency in hertz that EU868 uses unless the configuration names another one. It lies in the sub-band with 10 %.
pub const DEFAULT_EU868_HZ: u32 = 869_525_000;

/// The centre frequency in hertz that US915 uses unless the configuration names another one.
pub const DEFAULT_US915_HZ: u32 = 915_000_000;

/// The bucket's answer to a request to send a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// The frame may be sent. Its time on air was taken from the bucket.
    Granted,
    /// The frame must wait. Nothing was taken from the bucket.
    Wait {
        /// The time at which the bucket will hold enough.
        until_ms: u64,
    },
    /// This channel never allows the frame: the frame is longer than a full bucket, or longer than the rule allows.
    Never,
}

/// The bucket of one radio. Every frame of this radio counts, and so does every acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duty {
    rule: DutyRule,
    /// The content of the bucket in sixths of a microsecond. In this unit, five sixths of any rate are a whole number.
    level: u64,
    refilled_ms: u64,
}

impl Duty {
    /// A full bucket.
    pub const fn full(rule: DutyRule, now_ms: u64) -> Self {
        Self {
            rule,
            level: capacity(rule),
            refilled_ms: now_ms,
        }
    }

    /// A bucket that holds `level_us` microseconds, but at most a full bucket. A node keeps the level over a restart, so that a restart does not fill
    /// the bucket.
    pub fn restored(rule: DutyRule, now_ms: u64, level_us: u64) -> Self {
        Self {
            rule,
            level: level_us.saturating_mul(6).min(capacity(rule)),
            refilled_ms: now_ms,
        }
    }

    /// The content of the bucket, in microseconds of time on air.
    pub fn level_us(&mut self, now_ms: u64) -> u64 {
        self.refill(now_ms);
        self.level / 6
    }

    /// Ask for a frame's time on air, and take it from the bucket if the rule allows the frame now.
    pub fn take(&mut self, now_ms: u64, airtime_us: u32) -> Allowance {
        if !self.rule.ever_allows(airtime_us) {
            return Allowance::Never;
        }
        let Some(per_mille) = self.rule.per_mille else {
            return Allowance::Granted;
        };
        self.refill(now_ms);
        let cost = u64::from(airtime_us).saturating_mul(6);
        if let Some(left) = self.level.checked_sub(cost) {
            self.level = left;
            return Allowance::Granted;
        }
        let wait_ms = cost
            .saturating_sub(self.level)
            .div_ceil(u64::from(per_mille).saturating_mul(5).max(1));
        Allowance::Wait {
            until_ms: now_ms.saturating_add(wait_ms),
        }
    }

    fn refill(&mut self, now_ms: u64) {
        let elapsed_ms = now_ms.saturating_sub(self.refilled_ms);
        self.refilled_ms = self.refilled_ms.max(now_ms);
        let rate = u64::from(self.rule.per_mille.unwrap_or(0)).saturating_mul(5);
        self.level = self
            .level
            .saturating_add(elapsed_ms.saturating_mul(rate))
            .min(capacity(self.rule));
    }
}

/// The size of a bucket: a sixth of an hour's share, in sixths of a microsecond.
const fn capacity(rule: DutyRule) -> u64 {
    match rule.per_mille {
        Some(per_mille) => 3_600_000_u64.saturating_mul(per_mille as u64),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE_PERCENT: DutyRule = DutyRule {
        per_mille: Some(10),
        max_airtime_us: None,
    };

    /// A sub-band contains a channel entirely, or the channel has no rule.
    #[test]
    fn sub_bands_of_eu868() {
        let share = |hz| DutyRule::eu868(hz, 125_000).map(|rule| rule.per_mille.unwrap());
        assert_eq!(share(868_100_000), Some(10));
        assert_eq!(share(868_900_000), Some(1));
        assert_eq!(share(DEFAULT_EU868_HZ), Some(100));
        assert_eq!(share(868_650_000), None);
        assert_eq!(share(869_650_000), None);
        assert_eq!(DutyRule::eu868(DEFAULT_EU868_HZ, 500_000), None);
    }

    /// US915 limits only the single transmission, and only in narrow channels.
    #[test]
    fn dwell_of_us915() {
        let mut narrow = Duty::full(DutyRule::us915(DEFAULT_US915_HZ, 125_000).unwrap(), 0);
        let mut wide = Duty::full(DutyRule::us915(DEFAULT_US915_HZ, 500_000).unwrap(), 0);
        for _ in 0..100_000 {
            assert_eq!(narrow.take(0, 400_000), Allowance::Granted);
        }
        assert_eq!(narrow.take(0, 400_001), Allowance::Never);
        assert_eq!(wide.take(0, 400_001), Allowance::Granted);
        assert_eq!(DutyRule::us915(DEFAULT_EU868_HZ, 125_000), None);
    }

    /// A sender that sends at the earliest allowed moment stays within 36 s in every hour at 1 %, also in the first hour.
    #[test]
    fn no_hour_holds_more_than_its_share() {
        let mut duty = Duty::full(ONE_PERCENT, 0);
        let (mut now_ms, mut sent) = (0, std::vec::Vec::new());
        while now_ms < 4 * 3_600_000 {
            match duty.take(now_ms, 76_032) {
                Allowance::Granted => sent.push(now_ms),
                Allowance::Wait { until_ms } => {
                    assert!(until_ms > now_ms);
                    now_ms = until_ms;
                }
                Allowance::Never => panic!("76 ms fit"),
            }
        }
        for (index, from) in sent.iter().enumerate() {
            let count = sent[index..]
                .iter()
                .take_while(|at| **at < from + 3_600_000)
                .count();
            assert!(
                count as u64 * 76_032 <= 36_000_000,
                "{count} frames in the hour from {from} ms"
            );
        }
        assert!(
            sent.len() as u64 * 76_032 > 4 * 29_900_000,
            "five sixths of the share can be used"
        );
    }

    /// A frame that can never be sent is refused at once; its sender does not have to wait.
    #[test]
    fn a_frame_longer_than_the_bucket_never_goes() {
        assert_eq!(
            Duty::full(ONE_PERCENT, 0).take(0, 6_000_001),
            Allowance::Never
        );
        assert_eq!(
            Duty::full(ONE_PERCENT, 0).take(0, 6_000_000),
            Allowance::Granted
        );
    }

    /// A restart does not fill the bucket.
    #[test]
    fn the_level_survives_a_restart() {
        let mut duty = Duty::full(ONE_PERCENT, 0);
        assert_eq!(duty.take(0, 5_000_000), Allowance::Granted);
        let kept = duty.level_us(0);
        assert_eq!(kept, 1_000_000);
        assert_eq!(
            Duty::restored(ONE_PERCENT, 77, kept).take(77, 1_000_001),
            Allowance::Wait { until_ms: 78 }
        );
    }
}
