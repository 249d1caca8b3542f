//! Computes how long a frame of the module is on air.
//!
//! `T = (preamble + 4.25) Ts + [8 + max(ceil((8 PL - 4 SF + 44) / (4 (SF - 2 DE))) (CR + 4), 0)] Ts` with `Ts = 2^SF / BW`. `DE` is 1 where
//! `Ts > 16 ms`, otherwise 0. `PL` is the length of our frame + 8 bytes, because the module adds its own header. With the module's bandwidths, every
//! `Ts` is a whole number of microseconds, so nothing is rounded.

/// The number of bytes that the module adds to each frame: its addresses, the network id and the length.
pub const MODULE_OVERHEAD_BYTES: usize = 8;

/// The preamble that works with every network id, in symbols. Any other preamble needs [`crate::rylr998::OPEN_NETWORK_ID`].
pub const DEFAULT_PREAMBLE: u8 = 12;

/// A bandwidth. The discriminant is the module's code.
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
    /// The bandwidth with this code of the module.
    pub const fn of_code(code: u8) -> Option<Self> {
        match code {
            7 => Some(Self::Khz125),
            8 => Some(Self::Khz250),
            9 => Some(Self::Khz500),
            _ => None,
        }
    }

    /// The bandwidth in hertz.
    pub const fn hz(self) -> u32 {
        match self {
            Self::Khz125 => 125_000,
            Self::Khz250 => 250_000,
            Self::Khz500 => 500_000,
        }
    }
}

/// Why a modulation is impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModulationError {
    /// The spreading factor is outside 7 to 12. Factors 5 and 6 follow another formula.
    SpreadingFactor(u8),
    /// The coding rate is outside 1 (4/5) to 4 (4/8).
    CodingRate(u8),
    /// The preamble is outside 4 to 24 symbols.
    Preamble(u8),
}

/// How the module modulates. The modulation decides how long a frame takes and how far it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Modulation {
    spreading_factor: u8,
    bandwidth: Bandwidth,
    coding_rate: u8,
    preamble: u8,
}

impl Modulation {
    /// Spreading factor 7, 125 kHz, coding rate 4/5. A reading takes less than 90 ms, so one reading every ten seconds with all its retries fits the band.
    pub const DEFAULT: Self = Self {
        spreading_factor: 7,
        bandwidth: Bandwidth::Khz125,
        coding_rate: 1,
        preamble: DEFAULT_PREAMBLE,
    };

    /// Create a modulation, if the formula covers it.
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

    /// The spreading factor, 7 to 12.
    pub const fn spreading_factor(self) -> u8 {
        self.spreading_factor
    }

    /// The bandwidth.
    pub const fn bandwidth(self) -> Bandwidth {
        self.bandwidth
    }

    /// The coding rate, 1 (4/5) to 4 (4/8).
    pub const fn coding_rate(self) -> u8 {
        self.coding_rate
    }

    /// The preamble in symbols, 4 to 24.
    pub const fn preamble(self) -> u8 {
        self.preamble
    }

    /// The duration of one symbol, in microseconds.
    pub const fn symbol_us(self) -> u32 {
        let per_symbol = 1_u32 << self.spreading_factor;
        // With every bandwidth, a symbol lasts a whole number of microseconds.
        per_symbol.saturating_mul(match self.bandwidth {
            Bandwidth::Khz125 => 8,
            Bandwidth::Khz250 => 4,
            Bandwidth::Khz500 => 2,
        })
    }

    /// The time on air of a frame with `frame_bytes` bytes, in microseconds. The formula adds the module's own header.
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

    /// The time on air in milliseconds, rounded up.
    pub const fn airtime_ms(self, frame_bytes: usize) -> u32 {
        self.airtime_us(frame_bytes).div_ceil(1000)
    }

    /// The time, in milliseconds, for which the module refuses to send again (`+ERR=17`) after it has received a frame to send: the time on air of
    /// this frame, a tenth more, and 20 ms.
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

    /// The three values with which the formula was checked against the data sheet.
    #[test]
    fn figures_of_the_data_sheet() {
        assert_eq!(modulation(9).airtime_us(8), 181_248);
        assert_eq!(modulation(7).airtime_us(24), 76_032);
        assert_eq!(modulation(9).airtime_us(24), 263_168);
    }

    /// At 1 %, a frame of 24 bytes may be sent every 7.6 s with factor 7, and every 26 s with factor 9.
    #[test]
    fn figures_of_the_duty_cycle() {
        assert_eq!((modulation(7).airtime_us(24) + 500) / 1_000 * 100, 7_600);
        assert_eq!(modulation(9).airtime_us(24) / 1_000 * 100, 26_300);
    }

    /// If a symbol lasts more than 16 ms, a block carries fewer bits. Factor 12 at 125 kHz takes this path for low data rates; the value computed by
    /// hand is 1,810.432 ms.
    #[test]
    fn slow_symbols_carry_fewer_bits() {
        let symbols = 8 + (8_u32 * 32 - 48 + 44).div_ceil(4 * 10) * 5;
        assert_eq!(
            modulation(12).airtime_us(24),
            symbols * 32_768 + (4 * 12 + 17) * 8_192
        );
    }

    /// The parameters of the original nodes: factor 7, 500 kHz, preamble 7.
    #[test]
    fn other_bandwidths_scale() {
        let original = Modulation::new(7, Bandwidth::Khz500, 1, 7).unwrap();
        assert_eq!(original.symbol_us(), 256);
        assert_eq!(original.airtime_us(24), 58 * 256 + (4 * 7 + 17) * 64);
    }

    /// A modulation that the formula does not cover is refused, and the error names the cause.
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
