//! How long a frame of the module is on air.
//!
//! `T = (preamble + 4.25) Ts + [8 + max(ceil((8 PL - 4 SF + 44) / (4 (SF - 2 DE))) (CR + 4), 0)] Ts` with `Ts = 2^SF / BW`, `DE = 1` where
//! `Ts > 16 ms`, and `PL` = our bytes + 8, because the module adds its own header. With its bandwidths every `Ts` is a whole number of
//! microseconds, so nothing is rounded.

/// Bytes that the module adds to ours: its addresses, network id and length.
pub const MODULE_OVERHEAD_BYTES: usize = 8;

/// The preamble that works with every network id; any other needs [`crate::rylr998::OPEN_NETWORK_ID`].
pub const DEFAULT_PREAMBLE: u8 = 12;

/// Bandwidth; the discriminant is the module's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Bandwidth {
    /// 125 kHz.
    Khz125 = 7,
    /// 250 kHz.
    Khz250 = 8,
    /// 500 kHz.
    Khz500 = 9,
}

impl Bandwidth {
    /// The bandwidth of the module's code.
    pub const fn of_code(code: u8) -> Option<Self> {
        match code {
            7 => Some(Self::Khz125),
            8 => Some(Self::Khz250),
            9 => Some(Self::Khz500),
            _ => None,
        }
    }

    /// In hertz.
    pub const fn hz(self) -> u32 {
        match self {
            Self::Khz125 => 125_000,
            Self::Khz250 => 250_000,
            Self::Khz500 => 500_000,
        }
    }
}

/// Why a modulation cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModulationError {
    /// The spreading factor is outside 7 to 12; factors 5 and 6 follow another formula.
    SpreadingFactor(u8),
    /// The coding rate is outside 1 (4/5) to 4 (4/8).
    CodingRate(u8),
    /// The preamble is outside 4 to 24 symbols.
    Preamble(u8),
}

/// How the module modulates: what decides how long a frame takes and how far it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Modulation {
    spreading_factor: u8,
    bandwidth: Bandwidth,
    coding_rate: u8,
    preamble: u8,
}

impl Modulation {
    /// Spreading factor 7, 125 kHz, 4/5: a reading takes less than 90 ms, so that one every ten seconds with all its retries fits the band.
    pub const DEFAULT: Self = Self {
        spreading_factor: 7,
        bandwidth: Bandwidth::Khz125,
        coding_rate: 1,
        preamble: DEFAULT_PREAMBLE,
    };

    /// A modulation within the formula's range.
    pub const fn new(
        spreading_factor: u8,
        bandwidth: Bandwidth,
        coding_rate: u8,
        preamble: u8,
    ) -> Result<Self, ModulationError> {
        if spreading_factor < 7 || spreading_factor > 12 {
            return Err(ModulationError::SpreadingFactor(spreading_factor));
        }
        if coding_rate < 1 || coding_rate > 4 {
            return Err(ModulationError::CodingRate(coding_rate));
        }
        if preamble < 4 || preamble > 24 {
            return Err(ModulationError::Preamble(preamble));
        }
        Ok(Self {
            spreading_factor,
            bandwidth,
            coding_rate,
            preamble,
        })
    }

    /// Spreading factor, 7 to 12.
    pub const fn spreading_factor(self) -> u8 {
        self.spreading_factor
    }

    /// Bandwidth.
    pub const fn bandwidth(self) -> Bandwidth {
        self.bandwidth
    }

    /// Coding rate, 1 (4/5) to 4 (4/8).
    pub const fn coding_rate(self) -> u8 {
        self.coding_rate
    }

    /// Preamble in symbols, 4 to 24.
    pub const fn preamble(self) -> u8 {
        self.preamble
    }

    /// One symbol, in microseconds.
    pub const fn symbol_us(self) -> u32 {
        let per_symbol = 1_u32 << self.spreading_factor;
        // Every bandwidth divides a second into whole multiples of a microsecond.
        per_symbol.saturating_mul(match self.bandwidth {
            Bandwidth::Khz125 => 8,
            Bandwidth::Khz250 => 4,
            Bandwidth::Khz500 => 2,
        })
    }

    /// A frame with `frame_bytes` of ours, in microseconds.
    ///
    /// ```
    /// # use iiot_proto::airtime::{Bandwidth, Modulation};
    /// let slow = Modulation::new(9, Bandwidth::Khz125, 1, 12).unwrap();
    /// assert_eq!(slow.airtime_us(8), 181_248);
    /// ```
    pub const fn airtime_us(self, frame_bytes: usize) -> u32 {
        let symbol_us = self.symbol_us();
        let sf = self.spreading_factor as u32;
        let carried = frame_bytes.saturating_add(MODULE_OVERHEAD_BYTES) as u32;
        let bits = carried
            .saturating_mul(8)
            .saturating_add(44)
            .saturating_sub(sf.saturating_mul(4));
        let per_block = if symbol_us > 16_000 {
            sf.saturating_sub(2)
        } else {
            sf
        }
        .saturating_mul(4);
        let blocks = bits.div_ceil(if per_block == 0 { 1 } else { per_block });
        let symbols_a_block = (self.coding_rate as u32).saturating_add(4);
        let payload_symbols = blocks.saturating_mul(symbols_a_block).saturating_add(8);
        let preamble_quarters = (self.preamble as u32).saturating_mul(4).saturating_add(17);
        let preamble_us = preamble_quarters.saturating_mul(symbol_us / 4);
        payload_symbols
            .saturating_mul(symbol_us)
            .saturating_add(preamble_us)
    }

    /// The same in milliseconds, rounded up.
    pub const fn airtime_ms(self, frame_bytes: usize) -> u32 {
        self.airtime_us(frame_bytes).div_ceil(1000)
    }

    /// How long the module refuses to send again (`+ERR=17`) after it was given a frame: its time on air, a tenth more, and 20 ms.
    pub const fn hold_ms(self, frame_bytes: usize) -> u32 {
        let airtime_us = self.airtime_us(frame_bytes);
        airtime_us
            .saturating_add(airtime_us / 10)
            .div_ceil(1000)
            .saturating_add(20)
    }
}

impl Default for Modulation {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modulation(spreading_factor: u8) -> Modulation {
        Modulation::new(spreading_factor, Bandwidth::Khz125, 1, 12).unwrap()
    }

    /// The three figures that the formula was checked with against the data sheet.
    #[test]
    fn figures_of_the_data_sheet() {
        assert_eq!(modulation(9).airtime_us(8), 181_248);
        assert_eq!(modulation(7).airtime_us(24), 76_032);
        assert_eq!(modulation(9).airtime_us(24), 263_168);
    }

    /// At 1 % a frame of 24 bytes may go every 7.6 s with factor 7 and every 26 s with factor 9.
    #[test]
    fn figures_of_the_duty_cycle() {
        assert_eq!((modulation(7).airtime_us(24) + 500) / 1_000 * 100, 7_600);
        assert_eq!(modulation(9).airtime_us(24) / 1_000 * 100, 26_300);
    }

    /// From 16 ms a symbol on, fewer bits go into a block: factor 12 at 125 kHz takes the low data rate path, by hand 1,810.432 ms.
    #[test]
    fn slow_symbols_carry_fewer_bits() {
        let symbols = 8 + (8_u32 * 32 - 48 + 44).div_ceil(4 * 10) * 5;
        assert_eq!(
            modulation(12).airtime_us(24),
            symbols * 32_768 + (4 * 12 + 17) * 8_192
        );
    }

    /// The original's parameters: factor 7, 500 kHz, preamble 7.
    #[test]
    fn other_bandwidths_scale() {
        let original = Modulation::new(7, Bandwidth::Khz500, 1, 7).unwrap();
        assert_eq!(original.symbol_us(), 256);
        assert_eq!(original.airtime_us(24), 58 * 256 + (4 * 7 + 17) * 64);
    }

    /// What the formula does not cover is refused by name.
    #[test]
    fn what_the_formula_does_not_cover_is_refused() {
        assert_eq!(
            Modulation::new(6, Bandwidth::Khz125, 1, 12),
            Err(ModulationError::SpreadingFactor(6))
        );
        assert_eq!(
            Modulation::new(7, Bandwidth::Khz125, 5, 12),
            Err(ModulationError::CodingRate(5))
        );
        assert_eq!(
            Modulation::new(7, Bandwidth::Khz125, 1, 25),
            Err(ModulationError::Preamble(25))
        );
    }
}
