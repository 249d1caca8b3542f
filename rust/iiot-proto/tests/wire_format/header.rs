//! The tables of the header, with which every packet begins.

use std::fmt::Write as _;

use iiot_proto::packet::{Ack, Flags, Header, PROTOCOL_VERSION, PacketType, Payload};

use super::measure::{PLAIN, encode, fields};
use super::payloads::{ANSWER, COMMAND, INFO, full_reading};

pub fn header() -> String {
    let packet = |header| encode(header, Payload::Ack(Ack::new(0, 0)));
    let rows = [
        (
            "flags",
            Header {
                flags: Flags::ACK_REQ,
                ..PLAIN
            },
            "see below",
        ),
        (
            "src",
            Header { src: 0xFF, ..PLAIN },
            "address of the sender",
        ),
        (
            "dst",
            Header { dst: 0xFF, ..PLAIN },
            "address of the receiver; 255 is everyone",
        ),
        (
            "boot",
            Header {
                boot: 0xFFFF,
                ..PLAIN
            },
            "drawn at each start of the sender; in an ACK that of the acknowledged packet",
        ),
        (
            "seq",
            Header {
                seq: 0xFFFF,
                ..PLAIN
            },
            "counts the packets of a run; a packet sent again keeps it; in an ACK that of the acknowledged packet",
        ),
    ];
    let first = encode(PLAIN, Payload::Ack(Ack::new(0, 0)))[0];
    assert_eq!(
        (first >> 5, first & 31),
        (PROTOCOL_VERSION, PacketType::Ack as u8)
    );
    let table = fields(&rows, PLAIN, packet, 1);
    let own = format!(
        "| version, type | 0 | 1 | three high bits version ({PROTOCOL_VERSION}), five low bits type |\n"
    );
    let mut lines: Vec<&str> = table.split_inclusive('\n').collect();
    lines.insert(2, &own);
    lines.concat()
}

pub fn types() -> String {
    let mut table =
        String::from("| type | number | first byte | longest packet |\n|---|---|---|---|\n");
    let payloads = [
        Payload::Reading(full_reading()),
        Payload::Info(INFO),
        Payload::Ack(Ack::new(0, 0)),
        Payload::Command(COMMAND),
        Payload::Answer(ANSWER),
    ];
    for (packet_type, payload) in PacketType::ALL.into_iter().zip(payloads) {
        assert_eq!(payload.packet_type(), packet_type);
        let bytes = encode(PLAIN, payload);
        let name = format!("{packet_type:?}").to_lowercase();
        writeln!(
            table,
            "| `{name}` | {} | 0x{:02X} | {} |",
            packet_type as u8,
            bytes[0],
            bytes.len()
        )
        .unwrap();
    }
    table
}

pub fn flags() -> String {
    let mut table = String::from("| flag | bit | what |\n|---|---|---|\n");
    let rows = [
        ("ACK_REQ", Flags::ACK_REQ, "the receiver shall acknowledge"),
        ("RETRY", Flags::RETRY, "it was on air before"),
        (
            "CMD_PENDING",
            Flags::CMD_PENDING,
            "in an ACK: a command follows, listen",
        ),
    ];
    let mut all = Flags::NONE;
    for (name, flag, what) in rows {
        all = all.with(flag);
        writeln!(
            table,
            "| `{name}` | {} | {what} |",
            flag.bits().trailing_zeros()
        )
        .unwrap();
    }
    for bits in 0..=255 {
        assert_eq!(
            Flags::from_bits(bits).is_some(),
            bits & !all.bits() == 0,
            "every flag is in the table"
        );
    }
    table
}
