//! Computes physical values from raw ones, in integers, with the formulas of the data sheet (section 3.3) and of the driver that Bosch publishes for this chip.
//!
//! Intermediate values have 64 bits, so that no calibration and no raw value causes an overflow.

/// The calibration that the factory wrote to a chip (section 3.11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calibration {
    t1: i64,
    t2: i64,
    t3: i64,
    p1: i64,
    p2: i64,
    p3: i64,
    p4: i64,
    p5: i64,
    p6: i64,
    p7: i64,
    p8: i64,
    p9: i64,
    p10: i64,
    h1: i64,
    h2: i64,
    h3: i64,
    h4: i64,
    h5: i64,
    h6: i64,
    h7: i64,
    gh1: i64,
    gh2: i64,
    gh3: i64,
    heater_range: i64,
    heater_value: i64,
    range_error: i64,
}

/// An unsigned number, low byte first.
fn unsigned(low: u8, high: u8) -> i64 {
    i64::from(u16::from_le_bytes([low, high]))
}

fn signed(low: u8, high: u8) -> i64 {
    i64::from(i16::from_le_bytes([low, high]))
}

fn byte(value: u8) -> i64 {
    i64::from(value as i8)
}

impl Calibration {
    /// The calibration in the three ranges of registers at 0x8A, 0xE1 and 0x00.
    pub fn new(first: &[u8; 23], second: &[u8; 14], third: &[u8; 5]) -> Self {
        Self {
            t1: unsigned(second[8], second[9]),
            t2: signed(first[0], first[1]),
            t3: byte(first[2]),
            p1: unsigned(first[4], first[5]),
            p2: signed(first[6], first[7]),
            p3: byte(first[8]),
            p4: signed(first[10], first[11]),
            p5: signed(first[12], first[13]),
            p6: byte(first[15]),
            p7: byte(first[14]),
            p8: signed(first[18], first[19]),
            p9: signed(first[20], first[21]),
            p10: i64::from(first[22]),
            h1: i64::from(second[2]) << 4 | i64::from(second[1] & 0x0F),
            h2: i64::from(second[0]) << 4 | i64::from(second[1] >> 4),
            h3: byte(second[3]),
            h4: byte(second[4]),
            h5: byte(second[5]),
            h6: i64::from(second[6]),
            h7: byte(second[7]),
            gh1: byte(second[12]),
            gh2: signed(second[10], second[11]),
            gh3: byte(second[13]),
            heater_value: byte(third[0]),
            heater_range: i64::from(third[2] >> 4 & 0x03),
            range_error: byte(third[4] & 0xF0) / 16,
        }
    }

    /// The temperature in hundredths of a degree Celsius, and a finer value from which the other formulas start.
    pub(super) fn temperature(&self, raw: u32) -> (i32, i64) {
        let var1 = (i64::from(raw) >> 3) - (self.t1 << 1);
        let var2 = (var1 * self.t2) >> 11;
        let var3 = ((((var1 >> 1) * (var1 >> 1)) >> 12) * (self.t3 << 4)) >> 14;
        let fine = var2 + var3;
        (((fine * 5 + 128) >> 8) as i32, fine)
    }

    /// The pressure in pascal; `None` for an invalid calibration.
    pub(super) fn pressure(&self, raw: u32, fine: i64) -> Option<u32> {
        let var1 = (fine >> 1) - 64_000;
        let square = (var1 >> 2) * (var1 >> 2);
        let var2 = ((square >> 11) * self.p6) >> 2;
        let var2 = ((var2 + ((var1 * self.p5) << 1)) >> 2) + (self.p4 << 16);
        let var1 = ((((square >> 13) * (self.p3 << 5)) >> 3) + ((self.p2 * var1) >> 1)) >> 18;
        let var1 = ((32_768 + var1) * self.p1) >> 15;
        if var1 <= 0 {
            return None;
        }
        let pressure = ((1_048_576 - i64::from(raw) - (var2 >> 12)) * 3_125 * 2) / var1;
        // The sensor's range ends at 110,000 Pa. A value far above would cause an overflow below.
        if !(0..1 << 21).contains(&pressure) {
            return None;
        }
        let var1 = (self.p9 * (((pressure >> 3) * (pressure >> 3)) >> 13)) >> 12;
        let var2 = ((pressure >> 2) * self.p8) >> 13;
        let eighth = pressure >> 8;
        let var3 = (eighth * eighth * eighth * self.p10) >> 17;
        u32::try_from(pressure + ((var1 + var2 + var3 + (self.p7 << 7)) >> 4)).ok()
    }

    /// The relative humidity in hundredths of a percent, 0 to 10000.
    pub(super) fn humidity(&self, raw: u16, temperature_centidegrees: i32) -> u16 {
        let temperature = i64::from(temperature_centidegrees);
        let var1 = i64::from(raw) - self.h1 * 16 - ((temperature * self.h3 / 100) >> 1);
        let bent = (temperature * (temperature * self.h5 / 100)) >> 6;
        let var2 = (self.h2 * (temperature * self.h4 / 100 + bent / 100 + (1 << 14))) >> 10;
        let var3 = var1 * var2;
        let var4 = ((self.h6 << 7) + temperature * self.h7 / 100) >> 4;
        let var5 = ((var3 >> 14) * (var3 >> 14)) >> 10;
        let var6 = (var4 * var5) >> 1;
        let millipercent = (((var3 + var6) >> 10) * 1_000) >> 12;
        ((millipercent.clamp(0, 100_000) + 5) / 10) as u16
    }

    /// The gas resistance in ohm (section 3.4.1); `None` if the formula has no result.
    pub(super) fn gas(&self, raw: u16, range: usize) -> Option<u32> {
        // 2^31 - 1, corrected by the constants k1 and k2 of the range, from the table in the data sheet.
        const FIRST: [i64; 16] = [
            2_147_483_647,
            2_147_483_647,
            2_147_483_647,
            2_147_483_647,
            2_147_483_647,
            2_126_008_810,
            2_147_483_647,
            2_130_303_777,
            2_147_483_647,
            2_147_483_647,
            2_143_188_679,
            2_136_746_228,
            2_147_483_647,
            2_126_008_810,
            2_147_483_647,
            2_147_483_647,
        ];
        const SECOND: [i64; 16] = [
            4_096_000_000,
            2_048_000_000,
            1_024_000_000,
            512_000_000,
            255_744_255,
            127_110_228,
            64_000_000,
            32_258_064,
            16_016_016,
            8_000_000,
            4_000_000,
            2_000_000,
            1_000_000,
            500_000,
            250_000,
            125_000,
        ];
        let (first, second) = (FIRST.get(range)?, SECOND.get(range)?);
        let var1 = ((1_340 + 5 * self.range_error) * first) >> 16;
        let var2 = (i64::from(raw) << 15) - 16_777_216 + var1;
        if var2 <= 0 {
            return None;
        }
        let var3 = (second * var1) >> 9;
        u32::try_from((var3 + (var2 >> 1)) / var2).ok()
    }

    /// The register value for a target temperature of the heater (section 3.3.5).
    pub(super) fn heater(&self, target_c: i32, ambient_c: i32) -> u8 {
        let target = i64::from(target_c.clamp(0, 400));
        let var1 = i64::from(ambient_c) * self.gh3 / 1_000 * 256;
        let var2 = (self.gh1 + 784) * (((self.gh2 + 154_009) * target * 5 / 100 + 3_276_800) / 10);
        let var4 = (var1 + var2 / 2) / (self.heater_range + 4);
        let var5 = 131 * self.heater_value + 65_536;
        (((var4 / var5 - 250) * 34 + 50) / 100).clamp(0, 255) as u8
    }
}
