//! The frames of the original nodes, as far as their public description tells. A reading consists of sequence number, temperature, humidity and gas resistance
//! as variable-length integers, followed by a checksum, and is sent once. An acknowledgement consists of a type and a sequence number, without a checksum.

use iiot_proto::crc::crc16;

/// The text form of one reading, as in the description.
pub const TEXT: &[u8] = b"T:27.1H:56.0G:74721#0003";

fn varint(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The binary form of a reading with the values of the text form.
pub fn binary(seq: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    // 27.1 degrees in tenths, with zigzag encoding; 56.00 %; ohm.
    for value in [u32::from(seq), 271 << 1, 5_600, 74_721] {
        varint(value, &mut frame);
    }
    let crc = crc16(&frame);
    frame.extend_from_slice(&crc.to_be_bytes());
    frame
}

/// A frame as long as that of the original, with the full number of the reading in place of its values.
pub fn data(number: u32) -> Vec<u8> {
    let mut frame = number.to_be_bytes().to_vec();
    frame.resize(binary(200).len() - 2, 0);
    let crc = crc16(&frame);
    frame.extend_from_slice(&crc.to_be_bytes());
    frame
}

/// The node and the number of a frame that arrived undamaged. The simulation of the original has only one node.
pub fn read(frame: &[u8]) -> Option<(usize, u32)> {
    let number = frame
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))?;
    (crc16(frame) == 0).then_some((0, number))
}

/// An acknowledgement: type and sequence number.
pub fn ack(number: u32) -> Vec<u8> {
    let mut frame = vec![1];
    varint(u32::from(number as u16), &mut frame);
    frame
}
