//! What the original nodes put on air, as far as its public description goes: sequence number, temperature, humidity and gas resistance as
//! variable-length integers with a checksum behind them, sent once; an acknowledgement of type and sequence number, without a checksum.

use iiot_proto::crc::crc16;

/// The text form: one reading as the description shows it.
pub const TEXT: &[u8] = b"T:27.1H:56.0G:74721#0003";

fn varint(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The binary form of one reading of the values that the text form shows.
pub fn binary(seq: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    // 27.1 degrees in tenths, zigzag; 56.00 %; ohm.
    for value in [u32::from(seq), 271 << 1, 5_600, 74_721] {
        varint(value, &mut frame);
    }
    let crc = crc16(&frame);
    frame.extend_from_slice(&crc.to_be_bytes());
    frame
}

/// A frame of the original's length that carries the reading's full number in the place of its values.
pub fn data(number: u32) -> Vec<u8> {
    let mut frame = number.to_be_bytes().to_vec();
    frame.resize(binary(200).len() - 2, 0);
    let crc = crc16(&frame);
    frame.extend_from_slice(&crc.to_be_bytes());
    frame
}

/// The node (the simulation of the original has one) and number of a frame that arrived whole.
pub fn read(frame: &[u8]) -> Option<(usize, u32)> {
    let number = frame
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))?;
    (crc16(frame) == 0).then_some((0, number))
}

/// Type and sequence number.
pub fn ack(number: u32) -> Vec<u8> {
    let mut frame = vec![1];
    varint(u32::from(number as u16), &mut frame);
    frame
}
