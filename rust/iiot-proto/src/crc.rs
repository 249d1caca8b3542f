//! CRC-16/IBM-3740: polynomial 0x1021, initial value 0xFFFF, not reflected, no final XOR.
//!
//! The checksum is computed four bits at a time, with a table of 32 bytes. Computing it a byte at a time would need 512 bytes of the node's flash,
//! and would save no time that matters beside the radio.

const POLYNOMIAL: u16 = 0x1021;

const TABLE: [u16; 16] = table();

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "evaluated by the compiler, which would refuse to go on"
)]
const fn table() -> [u16; 16] {
    let mut table = [0; 16];
    let mut nibble = 0;
    while nibble < 16 {
        let mut crc = (nibble as u16) << 12;
        let mut bit = 0;
        while bit < 4 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ POLYNOMIAL
            };
            bit += 1;
        }
        table[nibble] = crc;
        nibble += 1;
    }
    table
}

/// The checksum of `bytes`. If `bytes` end in their own checksum (high byte first), the result is 0.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes
        .iter()
        .fold(0xFFFF, |crc, &byte| step(step(crc, byte >> 4), byte & 0x0F))
}

#[allow(
    clippy::indexing_slicing,
    reason = "four bits cannot leave a table of sixteen"
)]
fn step(crc: u16, nibble: u8) -> u16 {
    (crc << 4) ^ TABLE[usize::from((crc >> 12) as u8 ^ nibble) & 0x0F]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value that the catalogue of CRCs gives for this variant.
    #[test]
    fn the_check_value_is_that_of_the_catalogue() {
        assert_eq!(crc16(b"123456789"), 0x29B1);
    }

    /// The checksum of bytes that end in their own checksum is 0.
    #[test]
    fn the_residue_is_zero() {
        assert_eq!(crc16(b"123456789\x29\xB1"), 0);
    }
}
