//! The air between two radios, where frames are lost, doubled or damaged.

/// A small random number generator. The same seed gives the same run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// Any 64 bits (splitmix64).
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit.max(1)
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        ((self.bits() >> 11) as f64 / (1_u64 << 53) as f64) < probability
    }

    fn exponential_ms(&mut self, mean_ms: f64) -> u64 {
        let uniform = ((self.bits() >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        (-uniform.ln() * mean_ms) as u64 + 1
    }
}

/// How a channel treats frames.
#[derive(Clone, Copy, Debug)]
pub struct Air {
    /// The share of frames that is lost in each direction, over a long time.
    pub loss: f64,
    /// Whether frames are lost in bursts (Gilbert-Elliott) of twenty seconds on average.
    pub bursts: bool,
    /// The share of frames that a module reports twice.
    pub duplication: f64,
    /// The share of frames that arrive damaged.
    pub corruption: f64,
}

impl Air {
    pub const fn losing(loss: f64, bursts: bool) -> Self {
        Self {
            loss,
            bursts,
            duplication: 0.005,
            corruption: 0.01,
        }
    }
}

const BAD_MEAN_MS: f64 = 20_000.0;

/// One direction of the channel between two radios.
pub struct Path {
    air: Air,
    is_bad: bool,
    until_ms: u64,
}

impl Path {
    pub fn new(air: Air) -> Self {
        Self {
            air,
            is_bad: false,
            until_ms: 0,
        }
    }

    /// The loss in the good state, the loss in the bad state, and the share of time in the bad state. Together they give the configured loss.
    fn states(&self) -> (f64, f64, f64) {
        let (good, bad) = (self.air.loss / 4.0, 0.95);
        (good, bad, (self.air.loss - good) / (bad - good))
    }

    fn is_lost(&mut self, now_ms: u64, dice: &mut Dice) -> bool {
        if !self.air.bursts || self.air.loss == 0.0 {
            return dice.chance(self.air.loss);
        }
        let (good, bad, share) = self.states();
        while self.until_ms <= now_ms {
            self.is_bad = !self.is_bad;
            let mean_ms = if self.is_bad {
                BAD_MEAN_MS
            } else {
                BAD_MEAN_MS * (1.0 - share) / share
            };
            self.until_ms += dice.exponential_ms(mean_ms);
        }
        dice.chance(if self.is_bad { bad } else { good })
    }

    /// Send a frame through the channel. It arrives never, once or twice, and each copy may be damaged.
    ///
    /// The damage is up to three bits anywhere, or a burst of up to 16 bits. The checksum always detects damage of these kinds. It misses other
    /// damage once in 65,536 times, and only after such damage has passed the checksum of the modulation, which the module checks first.
    pub fn carry(&mut self, frame: &[u8], now_ms: u64, dice: &mut Dice) -> Vec<Vec<u8>> {
        if self.is_lost(now_ms, dice) {
            return Vec::new();
        }
        let copies = if dice.chance(self.air.duplication) {
            2
        } else {
            1
        };
        (0..copies)
            .map(|_| {
                let mut frame = frame.to_vec();
                if dice.chance(self.air.corruption) {
                    damage(&mut frame, dice);
                }
                frame
            })
            .collect()
    }
}

fn damage(frame: &mut [u8], dice: &mut Dice) {
    if dice.chance(0.5) {
        for _ in 0..=dice.below(2) {
            let bit = dice.below(frame.len() as u64 * 8) as usize;
            frame[bit / 8] ^= 1 << (bit % 8);
        }
        return;
    }
    let start = dice.below(frame.len() as u64 - 1) as usize;
    let pattern = (dice.bits() as u16 | 1).to_be_bytes();
    frame[start] ^= pattern[0];
    frame[start + 1] ^= pattern[1];
}

/// Measures the longest time for which one radio was sending in any hour.
#[derive(Default)]
pub struct HourMeter {
    sent: std::collections::VecDeque<(u64, u64)>,
    sum_us: u64,
    pub most_us: u64,
}

impl HourMeter {
    pub fn sent(&mut self, now_ms: u64, airtime_us: u64) {
        self.sent.push_back((now_ms, airtime_us));
        self.sum_us += airtime_us;
        while let Some(&(at_ms, gone_us)) = self.sent.front()
            && at_ms + 3_600_000 <= now_ms
        {
            self.sent.pop_front();
            self.sum_us -= gone_us;
        }
        self.most_us = self.most_us.max(self.sum_us);
    }
}
