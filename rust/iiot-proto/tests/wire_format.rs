//! Holds `docs/wire-format.md` to the code: its tables are made here, from what the encoder does, and compared with what stands there.
//!
//! Offsets and lengths are not copied from anywhere: two packets that differ in one field are encoded, and the bytes that differ are the field.
//! With `IIOT_BLESS=1` the tables are written anew.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fmt::Write as _;
use std::path::Path;

use iiot_proto::link::ACK_FRAME_BYTES;
use iiot_proto::packet::{
    Ack, Action, Answer, CRC_BYTES, Command, DecodeFault, Flags, HEADER_BYTES, Header, Info,
    MAX_PACKET_BYTES, OVERHEAD_BYTES, Outcome, PROTOCOL_VERSION, Packet, PacketType, Payload,
    Reading, ResetCause, Status,
};
use iiot_proto::rylr998::ModuleError;

fn encode(header: Header, payload: Payload) -> Vec<u8> {
    let mut buffer = [0; MAX_PACKET_BYTES];
    let length = Packet { header, payload }.encode(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

const PLAIN: Header = Header {
    flags: Flags::NONE,
    src: 0,
    dst: 0,
    boot: 0,
    seq: 0,
};
const COMMAND: Command = Command {
    boot: 0,
    until_seq: 0,
    counter: 0,
    code: 0,
    argument: 0,
    mac: 0,
};
const ANSWER: Answer = Answer {
    counter: 0,
    outcome: Outcome::Done,
    value: 0,
    mac: 0,
};
const INFO: Info = Info {
    protocol: 0,
    firmware: [0; 3],
    reset_cause: ResetCause::Other,
    uptime_s: 0,
    interval_s: 0,
    transmitted: 0,
    retransmitted: 0,
    dropped: 0,
    radio_errors: 0,
};

/// Where two encodings of the same length differ, the checksum aside: offset and length.
fn difference(one: &[u8], other: &[u8]) -> (usize, usize) {
    assert_eq!(one.len(), other.len());
    let end = one.len() - CRC_BYTES;
    let differs: Vec<usize> = (0..end).filter(|at| one[*at] != other[*at]).collect();
    let (first, last) = (*differs.first().unwrap(), *differs.last().unwrap());
    assert_eq!(differs.len(), last - first + 1, "a field has no holes");
    (first, last - first + 1)
}

type Row<T> = (&'static str, T, &'static str);

/// Rows of fields, each with a value that changes all of its bytes; together they must cover the payload without a gap.
fn fields<T: Copy>(rows: &[Row<T>], zero: T, packet: impl Fn(T) -> Vec<u8>, from: usize) -> String {
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

fn header() -> String {
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

fn types() -> String {
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

fn flags() -> String {
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

fn full_reading() -> Reading {
    Reading {
        temperature_centidegrees: Some(0),
        humidity_centipercent: Some(0),
        gas_resistance_ohm: Some(0),
        pressure_pa: Some(0),
        battery_mv: Some(0),
        status: Status(1),
        age_ms: 1,
    }
}

fn reading() -> String {
    let mut table =
        String::from("| value | bit of the mask | bytes | scale |\n|---|---|---|---|\n");
    let none = Reading::default();
    let rows = [
        (
            "temperature_centidegrees",
            Reading {
                temperature_centidegrees: Some(0),
                ..none
            },
            "0.01 degrees Celsius, signed",
        ),
        (
            "humidity_centipercent",
            Reading {
                humidity_centipercent: Some(0),
                ..none
            },
            "0.01 %, at most 10000",
        ),
        (
            "gas_resistance_ohm",
            Reading {
                gas_resistance_ohm: Some(0),
                ..none
            },
            "ohm",
        ),
        (
            "pressure_pa",
            Reading {
                pressure_pa: Some(0),
                ..none
            },
            "pascal (0.01 hPa)",
        ),
        (
            "battery_mv",
            Reading {
                battery_mv: Some(0),
                ..none
            },
            "millivolt",
        ),
        (
            "status",
            Reading {
                status: Status(1),
                ..none
            },
            "bits, see below; present only when one is set",
        ),
        (
            "age_ms",
            Reading { age_ms: 1, ..none },
            "milliseconds since it was measured; present only when not 0",
        ),
    ];
    let mut total = 1;
    for (at, (name, reading, scale)) in rows.into_iter().enumerate() {
        let bytes = encode(PLAIN, Payload::Reading(reading));
        let (mask, length) = (bytes[HEADER_BYTES], bytes.len() - OVERHEAD_BYTES - 1);
        assert_eq!(
            mask,
            1 << at,
            "the values follow in the order of their bits"
        );
        total += length;
        writeln!(table, "| `{name}` | {at} | {length} | {scale} |").unwrap();
    }
    assert_eq!(total, Reading::MAX_BYTES, "every value is in the table");
    table
}

fn status() -> String {
    let mut table = String::from("| status | bit |\n|---|---|\n");
    for (at, (status, name)) in Status::NAMED.into_iter().enumerate() {
        assert_eq!(status.0, 1 << at);
        writeln!(table, "| `{name}` | {at} |").unwrap();
    }
    table
}

fn info() -> String {
    let rows = [
        (
            "protocol",
            Info {
                protocol: 255,
                ..INFO
            },
            "version of this protocol that the firmware knows",
        ),
        (
            "firmware",
            Info {
                firmware: [255; 3],
                ..INFO
            },
            "major, minor, patch",
        ),
        (
            "reset_cause",
            Info {
                reset_cause: ResetCause::Pin,
                ..INFO
            },
            "see below",
        ),
        (
            "uptime_s",
            Info {
                uptime_s: u32::MAX,
                ..INFO
            },
            "seconds since the start",
        ),
        (
            "interval_s",
            Info {
                interval_s: u16::MAX,
                ..INFO
            },
            "seconds between two readings",
        ),
        (
            "transmitted",
            Info {
                transmitted: u16::MAX,
                ..INFO
            },
            "frames sent; like all counters here it stops at 65535",
        ),
        (
            "retransmitted",
            Info {
                retransmitted: u16::MAX,
                ..INFO
            },
            "of those, sent again",
        ),
        (
            "dropped",
            Info {
                dropped: u16::MAX,
                ..INFO
            },
            "readings that will not arrive",
        ),
        (
            "radio_errors",
            Info {
                radio_errors: u16::MAX,
                ..INFO
            },
            "times that the module refused something",
        ),
    ];
    fields(
        &rows,
        INFO,
        |info| encode(PLAIN, Payload::Info(info)),
        HEADER_BYTES,
    )
}

fn reset_causes() -> String {
    named(
        "reset cause",
        ResetCause::NAMED.map(|(cause, name)| (cause as u8, name)),
    )
}

fn named<const N: usize>(title: &str, rows: [(u8, &'static str); N]) -> String {
    let mut table = format!("| {title} | number |\n|---|---|\n");
    for (number, name) in rows {
        writeln!(table, "| `{name}` | {number} |").unwrap();
    }
    table
}

fn ack() -> String {
    let rows = [
        (
            "rssi_dbm",
            Ack::new(-255, 0),
            "received strength of the acknowledged packet, negated dBm",
        ),
        ("snr_db", Ack::new(0, -1), "its signal to noise, dB, signed"),
    ];
    fields(
        &rows,
        Ack::new(0, 0),
        |ack| encode(PLAIN, Payload::Ack(ack)),
        HEADER_BYTES,
    )
}

fn command() -> String {
    let rows = [
        (
            "boot",
            Command {
                boot: 0xFFFF,
                ..COMMAND
            },
            "the node's boot id that is meant",
        ),
        (
            "until_seq",
            Command {
                until_seq: 0xFFFF,
                ..COMMAND
            },
            "obeyed while `until_seq` - newest, modulo 65536, is at most 32767",
        ),
        (
            "counter",
            Command {
                counter: u32::MAX,
                ..COMMAND
            },
            "higher in each command to this node",
        ),
        (
            "code",
            Command {
                code: 255,
                ..COMMAND
            },
            "see below",
        ),
        (
            "argument",
            Command {
                argument: 0xFFFF,
                ..COMMAND
            },
            "see below",
        ),
        (
            "mac",
            Command {
                mac: u32::MAX,
                ..COMMAND
            },
            "over byte 0, the node's address, and the fields above",
        ),
    ];
    fields(
        &rows,
        COMMAND,
        |command| encode(PLAIN, Payload::Command(command)),
        HEADER_BYTES,
    )
}

fn actions() -> String {
    let mut table = String::from("| action | code | argument |\n|---|---|---|\n");
    let rows = [
        (Action::SetInterval { interval_s: 1 }, "seconds, from 1 on"),
        (Action::SetLed { on: true }, "0 or 1"),
        (Action::Reboot, "0"),
    ];
    for ((action, argument), (code, name)) in rows.into_iter().zip(Action::NAMED) {
        assert_eq!(action.to_wire().0, code);
        writeln!(table, "| `{name}` | {code} | {argument} |").unwrap();
    }
    let known = (0..=255)
        .filter(|code| (0..=1).any(|argument| Action::from_wire(*code, argument).is_ok()))
        .count();
    assert_eq!(known, rows.len(), "every action is in the table");
    table
}

fn answer() -> String {
    let rows = [
        (
            "counter",
            Answer {
                counter: u32::MAX,
                ..ANSWER
            },
            "that of the command",
        ),
        (
            "outcome",
            Answer {
                outcome: Outcome::Forged,
                ..ANSWER
            },
            "see below",
        ),
        (
            "value",
            Answer {
                value: 0xFFFF,
                ..ANSWER
            },
            "what holds now: seconds, 0 or 1, else 0",
        ),
        (
            "mac",
            Answer {
                mac: u32::MAX,
                ..ANSWER
            },
            "over byte 0, the node's address, and the fields above",
        ),
    ];
    fields(
        &rows,
        ANSWER,
        |answer| encode(PLAIN, Payload::Answer(answer)),
        HEADER_BYTES,
    )
}

fn outcomes() -> String {
    named(
        "outcome",
        Outcome::NAMED.map(|(outcome, name)| (outcome as u8, name)),
    )
}

fn faults() -> String {
    let mut list = String::new();
    for fault in DecodeFault::ALL {
        writeln!(list, "- `{}`", fault.name()).unwrap();
    }
    list
}

fn sizes() -> String {
    format!(
        "| what | bytes |\n|---|---|\n| header | {HEADER_BYTES} |\n| checksum | {CRC_BYTES} |\n| overhead of a packet | {OVERHEAD_BYTES} |\n\
         | acknowledgement | {ACK_FRAME_BYTES} |\n| longest packet | {MAX_PACKET_BYTES} |\n| longest frame of the module | {} |\n",
        iiot_proto::MAX_FRAME_BYTES
    )
}

fn module_errors() -> String {
    let mut table = String::from("| `+ERR=` | meaning |\n|---|---|\n");
    for (number, error) in ModuleError::KNOWN {
        assert_eq!(
            (ModuleError::from_number(number), error.number()),
            (error, number)
        );
        writeln!(
            table,
            "| {number} | {error}{} |",
            if error.is_unasked() {
                "; comes unasked"
            } else {
                ""
            }
        )
        .unwrap();
    }
    table
}

/// The document's tables are those of the code.
#[test]
fn the_document_says_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/wire-format.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let sections: [(&str, String); 15] = [
        ("sizes", sizes()),
        ("header", header()),
        ("types", types()),
        ("flags", flags()),
        ("reading", reading()),
        ("status", status()),
        ("info", info()),
        ("reset-causes", reset_causes()),
        ("ack", ack()),
        ("command", command()),
        ("actions", actions()),
        ("answer", answer()),
        ("outcomes", outcomes()),
        ("faults", faults()),
        ("module-errors", module_errors()),
    ];

    let mut made = document.clone();
    for (name, table) in &sections {
        let (start, end) = (format!("<!-- made: {name} -->\n"), "<!-- end -->");
        let from = made
            .find(&start)
            .unwrap_or_else(|| panic!("no place for {name}"))
            + start.len();
        let to = from + made[from..].find(end).unwrap();
        made.replace_range(from..to, table);
    }
    assert_eq!(document.matches("<!-- made: ").count(), sections.len());

    if std::env::var_os("IIOT_BLESS").is_some() {
        std::fs::write(&path, &made).unwrap();
    } else {
        assert!(
            document == made,
            "docs/wire-format.md differs from the code: run this test with IIOT_BLESS=1 and read the difference"
        );
    }
}
