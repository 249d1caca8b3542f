//! Runs the shared vectors of `tests/vectors/wire`. Firmware and Python run the same files.
//!
//! A vector holds the fields of a packet and its bytes, or bytes and their fault, or bytes of the module and their events. With `IIOT_BLESS=1`, the
//! expected results are overwritten with the actual ones; read the difference before you commit it.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::{Path, PathBuf};

use iiot_proto::mac::Key;
use iiot_proto::packet::{
    Ack, Answer, Command, Flags, Header, Info, MAX_PACKET_BYTES, Outcome, Packet, Payload, Reading,
    ResetCause, Status,
};
use iiot_proto::rylr998::{Event, Parser};
use serde_json::{Map, Value, json};

const FLAGS: [(Flags, &str); 3] = [
    (Flags::ACK_REQ, "ack_req"),
    (Flags::RETRY, "retry"),
    (Flags::CMD_PENDING, "cmd_pending"),
];

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn from_hex(text: &Value) -> Vec<u8> {
    let pairs = text.as_str().unwrap().as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// A number of the vector, which must fit its field.
fn number<T: TryFrom<i64>>(object: &Value, name: &str) -> T {
    let value = object[name]
        .as_i64()
        .unwrap_or_else(|| panic!("{name} is missing"));
    T::try_from(value)
        .ok()
        .unwrap_or_else(|| panic!("{name} = {value} does not fit"))
}

fn optional<T: TryFrom<i64>>(object: &Value, name: &str) -> Option<T> {
    object.get(name).map(|_| number(object, name))
}

fn header(object: &Value) -> Header {
    let names = object["flags"].as_array().unwrap();
    let flag = |name: &Value| FLAGS.iter().find(|(_, known)| name == known).unwrap().0;
    Header {
        flags: names.iter().map(flag).fold(Flags::NONE, Flags::with),
        src: number(object, "src"),
        dst: number(object, "dst"),
        boot: number(object, "boot"),
        seq: number(object, "seq"),
    }
}

fn payload(packet_type: &str, object: &Value) -> Payload {
    match packet_type {
        "reading" => Payload::Reading(Reading {
            temperature_centidegrees: optional(object, "temperature_centidegrees"),
            humidity_centipercent: optional(object, "humidity_centipercent"),
            gas_resistance_ohm: optional(object, "gas_resistance_ohm"),
            pressure_pa: optional(object, "pressure_pa"),
            battery_mv: optional(object, "battery_mv"),
            status: Status(optional(object, "status").unwrap_or(0)),
            age_ms: optional(object, "age_ms").unwrap_or(0),
        }),
        "info" => Payload::Info(Info {
            protocol: number(object, "protocol"),
            firmware: serde_json::from_value(object["firmware"].clone()).unwrap(),
            reset_cause: ResetCause::NAMED
                .into_iter()
                .find(|(_, name)| object["reset_cause"] == *name)
                .unwrap()
                .0,
            uptime_s: number(object, "uptime_s"),
            interval_s: number(object, "interval_s"),
            transmitted: number(object, "transmitted"),
            retransmitted: number(object, "retransmitted"),
            dropped: number(object, "dropped"),
            radio_errors: number(object, "radio_errors"),
        }),
        "ack" => Payload::Ack(Ack {
            rssi_dbm: number(object, "rssi_dbm"),
            snr_db: number(object, "snr_db"),
        }),
        "command" => Payload::Command(Command {
            boot: number(object, "boot"),
            until_seq: number(object, "until_seq"),
            counter: number(object, "counter"),
            code: number(object, "code"),
            argument: number(object, "argument"),
            mac: number(object, "mac"),
        }),
        "answer" => Payload::Answer(Answer {
            counter: number(object, "counter"),
            outcome: Outcome::NAMED
                .into_iter()
                .find(|(_, name)| object["outcome"] == *name)
                .unwrap()
                .0,
            value: number(object, "value"),
            mac: number(object, "mac"),
        }),
        other => panic!("no packet has type {other}"),
    }
}

fn key(vector: &Value) -> Key {
    Key::new(from_hex(&vector["key"]).try_into().unwrap())
}

/// The events in the module's bytes, which are fed in pieces of `size` bytes.
fn events(vector: &Value, size: usize) -> Vec<Value> {
    let mut parser = Parser::new(number(vector, "gap_ms"));
    let mut told = Vec::new();
    for chunk in vector["module"].as_array().unwrap() {
        for piece in from_hex(&chunk["bytes"]).chunks(size) {
            parser.feed(piece, number(chunk, "at_ms"), |event| {
                told.push(shown(event));
            });
        }
    }
    told
}

fn shown(event: Event<'_>) -> Value {
    match event {
        Event::Received {
            address,
            data,
            rssi_dbm,
            snr_db,
        } => {
            json!({"received": to_hex(data), "address": address, "rssi_dbm": rssi_dbm, "snr_db": snr_db})
        }
        Event::Ok => json!({"ok": true}),
        Event::Error(error) => json!({"error": error.number()}),
        Event::Ready => json!({"ready": true}),
        Event::Line(line) => json!({"line": String::from_utf8_lossy(line)}),
        Event::Damaged { damage, bytes } => json!({"damaged": damage.name(), "bytes": bytes}),
        other => panic!("{other:?} has no place in a vector"),
    }
}

/// Check the parts of a vector that cannot be blessed, and return the results that the vector should expect.
fn expected(vector: &Value) -> Map<String, Value> {
    let mut expected = Map::new();
    if vector.get("module").is_some() {
        let whole = events(vector, usize::MAX);
        for size in [1, 2, 3, 7, 64] {
            assert_eq!(events(vector, size), whole, "in pieces of {size}");
        }
        expected.insert("events".to_owned(), whole.into());
        return expected;
    }
    let Some(fields) = vector.get("packet") else {
        let error = Packet::decode(&from_hex(&vector["bytes"])).unwrap_err();
        expected.insert(
            "error".to_owned(),
            json!({"fault": error.fault.name(), "at": error.at}),
        );
        return expected;
    };
    let packet = Packet {
        header: header(&fields["header"]),
        payload: payload(fields["type"].as_str().unwrap(), &fields["payload"]),
    };
    let mut buffer = [0; MAX_PACKET_BYTES];
    let length = packet.encode(&mut buffer).unwrap();
    assert_eq!(Packet::decode(&buffer[..length]), Ok(packet));
    let genuine = match packet.payload {
        Payload::Command(command) => command.is_genuine(&key(vector), packet.header.dst),
        Payload::Answer(answer) => answer.is_genuine(&key(vector), packet.header.src),
        _ => vector.get("genuine").is_none(),
    };
    assert_eq!(
        genuine,
        vector.get("genuine").is_none_or(|genuine| genuine == true)
    );
    expected.insert("bytes".to_owned(), to_hex(&buffer[..length]).into());
    expected
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/wire");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// Every vector gives its expected results, and is in the file of its name.
#[test]
fn vectors_give_what_they_expect() {
    let files = files();
    assert!(files.len() >= 50, "only {} vectors", files.len());
    for path in files {
        let mut vector: Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(vector["name"].as_str(), path.file_stem().unwrap().to_str());
        for (name, value) in expected(&vector) {
            if std::env::var_os("IIOT_BLESS").is_some() {
                vector[&name] = value;
            } else {
                assert_eq!(vector[&name], value, "{} of {}", name, path.display());
            }
        }
        if std::env::var_os("IIOT_BLESS").is_some() {
            std::fs::write(
                &path,
                format!("{}\n", serde_json::to_string_pretty(&vector).unwrap()),
            )
            .unwrap();
        }
    }
}
