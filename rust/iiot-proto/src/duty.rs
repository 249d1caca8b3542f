//! How much a node may send: a token bucket of time on air.
//!
//! A bucket that holds a whole hour's share and refills at the full rate would let twice the share through in its first hour. This one holds a
//! sixth of the share and refills at five sixths of the rate, so that **no hour whatever** holds more than the rule allows.

/// What a rule says about a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DutyRule {
    /// The share of an hour that may be spent sending, in thousandths; `None` where there is no such rule.
    pub per_mille: Option<u16>,
    /// The longest single transmission, in microseconds; `None` where there is no such rule.
    pub max_airtime_us: Option<u32>,
}

/// EU868 sub-bands: from, to (hertz), thousandths of an hour.
const EU868: [(u32, u32, u16); 3] = [
    (868_000_000, 868_600_000, 10),
    (868_700_000, 869_200_000, 1),
    (869_400_000, 869_650_000, 100),
];

/// FCC 15.247: a channel of less than 500 kHz is held for 400 ms at most.
const US915_DWELL_US: u32 = 400_000;

impl DutyRule {
    /// The rule of the sub-band of EU868 (868.0-868.6 1 %, 868.7-869.2 0.1 %, 869.4-869.65 10 %) that holds the whole channel; `None` outside.
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

    /// The rule of US915, 902 to 928 MHz: no share of an hour, but 400 ms a transmission below 500 kHz; `None` outside.
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

    /// Whether a frame of this time on air may ever go: within the longest transmission, and within a full bucket.
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

/// The centre that is used unless the configuration names another: the sub-band of EU868 with 10 %.
pub const DEFAULT_EU868_HZ: u32 = 869_525_000;

/// The centre used in US915 unless the configuration names another.
pub const DEFAULT_US915_HZ: u32 = 915_000_000;

/// What the bucket says to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// Send it; its time was taken from the bucket.
    Granted,
    /// Not yet; nothing was taken.
    Wait {
        /// When there is enough.
        until_ms: u64,
    },
    /// Never on this channel: the frame is longer than a full bucket or than the rule allows.
    Never,
}

/// The bucket of one radio. All it sends counts, acknowledgements too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duty {
    rule: DutyRule,
    /// In sixths of a microsecond, in which five sixths of any rate are whole.
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

    /// A bucket that holds `level_us`, as a node keeps it over a restart so that restarting does not fill it; at most full.
    pub fn restored(rule: DutyRule, now_ms: u64, level_us: u64) -> Self {
        Self {
            rule,
            level: level_us.saturating_mul(6).min(capacity(rule)),
            refilled_ms: now_ms,
        }
    }

    /// What the bucket holds, in microseconds of time on air.
    pub fn level_us(&mut self, now_ms: u64) -> u64 {
        self.refill(now_ms);
        self.level / 6
    }

    /// Ask for a frame's time on air.
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

/// A sixth of an hour's share, in sixths of a microsecond.
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

    /// The channel lies in a sub-band as a whole or in none.
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

    /// In US915 only the single transmission is limited, and only in narrow channels.
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

    /// Who sends as early as ever allowed stays within 36 s in every hour at 1 %, the first included.
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

    /// What can never fit is told at once instead of awaited.
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
