//! The tables of the payloads.

use std::fmt::Write as _;

use iiot_proto::packet::{
    Ack, Action, Answer, Command, HEADER_BYTES, Info, OVERHEAD_BYTES, Outcome, Payload, Reading,
    ResetCause, Status,
};

use super::measure::{PLAIN, encode, fields};

pub const COMMAND: Command = Command {
    boot: 0,
    until_seq: 0,
    counter: 0,
    code: 0,
    argument: 0,
    mac: 0,
};
pub const ANSWER: Answer = Answer {
    counter: 0,
    outcome: Outcome::Done,
    value: 0,
    mac: 0,
};
pub const INFO: Info = Info {
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

pub fn full_reading() -> Reading {
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

pub fn reading() -> String {
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

pub fn status() -> String {
    let mut table = String::from("| status | bit |\n|---|---|\n");
    for (at, (status, name)) in Status::NAMED.into_iter().enumerate() {
        assert_eq!(status.0, 1 << at);
        writeln!(table, "| `{name}` | {at} |").unwrap();
    }
    table
}

pub fn info() -> String {
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

pub fn reset_causes() -> String {
    named(
        "reset cause",
        ResetCause::NAMED.map(|(cause, name)| (cause as u8, name)),
    )
}

pub fn named<const N: usize>(title: &str, rows: [(u8, &'static str); N]) -> String {
    let mut table = format!("| {title} | number |\n|---|---|\n");
    for (number, name) in rows {
        writeln!(table, "| `{name}` | {number} |").unwrap();
    }
    table
}

pub fn ack() -> String {
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

pub fn command() -> String {
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

pub fn actions() -> String {
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

pub fn answer() -> String {
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

pub fn outcomes() -> String {
    named(
        "outcome",
        Outcome::NAMED.map(|(outcome, name)| (outcome as u8, name)),
    )
}
