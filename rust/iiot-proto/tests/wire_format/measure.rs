//! Finds the position of a field in the encoder's output.

use std::fmt::Write as _;

use iiot_proto::packet::{
    CRC_BYTES, Flags, HEADER_BYTES, Header, MAX_PACKET_BYTES, Packet, Payload,
};

pub fn encode(header: Header, payload: Payload) -> Vec<u8> {
    let mut buffer = [0; MAX_PACKET_BYTES];
    let length = Packet { header, payload }.encode(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

pub const PLAIN: Header = Header {
    flags: Flags::NONE,
    src: 0,
    dst: 0,
    boot: 0,
    seq: 0,
};
/// The offset and the length of the part in which two encodings of the same length differ, apart from the checksum.
pub fn difference(one: &[u8], other: &[u8]) -> (usize, usize) {
    assert_eq!(one.len(), other.len());
    let end = one.len() - CRC_BYTES;
    let differs: Vec<usize> = (0..end).filter(|at| one[*at] != other[*at]).collect();
    let (first, last) = (*differs.first().unwrap(), *differs.last().unwrap());
    assert_eq!(differs.len(), last - first + 1, "a field has no holes");
    (first, last - first + 1)
}

pub type Row<T> = (&'static str, T, &'static str);

/// The rows of a table of fields, each with a value that changes all bytes of the field. Together, the fields must cover the payload without a gap.
pub fn fields<T: Copy>(
    rows: &[Row<T>],
    zero: T,
    packet: impl Fn(T) -> Vec<u8>,
    from: usize,
) -> String {
    let mut table = String::from("| field | offset | bytes | what |\n|---|---|---|---|\n");
    let base = packet(zero);
    let mut next = from;
    for (name, value, what) in rows {
        let (offset, bytes) = difference(&base, &packet(*value));
        assert_eq!(offset, next, "{name} follows the field before it");
        next = offset + bytes;
        writeln!(table, "| `{name}` | {offset} | {bytes} | {what} |").unwrap();
    }
    let end = if from == HEADER_BYTES {
        base.len() - CRC_BYTES
    } else {
        HEADER_BYTES
    };
    assert_eq!(next, end, "every field is in the table");
    table
}
