//! The JSON document that the gateway node prints for every delivered packet, one per line. It has the keys of the original, and some more.
//!
//! ```json
//! {"ts":12000,"id":"N2","n1":{"t":27.60,"h":54.10,"g":84190,"p":1013.25,"bat":3300,"st":0,"seq":5,"boot":4711},
//!  "n2":{"t":26.80,"h":48.80,"st":0},"sig":{"rssi":-39,"snr":13},"sts":{"rx":1,"err":0},"fw":"0.1.0"}
//! ```
//!
//! `n1` is node 1. Every other node has its own name, `"nodes":{"node3":{...}}`. A value that was not measured is absent. If a reading waited at its
//! node, its document has `age`, the number of milliseconds since the measurement. This document contains no values of the present, because they
//! would get the time of the measurement.

use core::fmt::{self, Write};

use iiot_proto::packet::{Info, Payload, Reading, ResetCause};

use crate::VERSION;
use crate::assess::{Climate, Fault};
use crate::gateway_node::Delivery;

/// The length of the longest document with its line end.
pub const MAX_DOCUMENT_BYTES: usize = 400;

/// A document.
pub type Document = heapless::String<MAX_DOCUMENT_BYTES>;

/// What the gateway node reports about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// The time since its start in milliseconds, modulo 2^32.
    pub uptime_ms: u32,
    /// The values of its own sensor; `None` before the first measurement.
    pub climate: Option<Result<Climate, Fault>>,
    /// The number of packets delivered since its start.
    pub delivered: u32,
    /// The number of frames that arrived damaged.
    pub damaged: u32,
}

/// The document of a delivery. The document of an answer says only that its packet has arrived, so that this packet does not count as lost.
pub fn document(delivery: &Delivery, own: &Own) -> Option<Document> {
    let mut out = Document::new();
    write_document(&mut out, delivery, own).ok()?;
    Some(out)
}

fn write_document(out: &mut Document, delivery: &Delivery, own: &Own) -> fmt::Result {
    let header = delivery.packet.header;
    let age_ms = match &delivery.packet.payload {
        Payload::Reading(reading) => reading.age_ms,
        _ => 0,
    };
    write!(out, "{{\"ts\":{},\"id\":\"N2\",", own.uptime_ms)?;
    if age_ms > 0 {
        write!(out, "\"age\":{age_ms},")?;
    }
    let is_first = header.src == 1;
    if is_first {
        out.write_str("\"n1\":{")?;
    } else {
        write!(out, "\"nodes\":{{\"node{}\":{{", header.src)?;
    }
    match &delivery.packet.payload {
        Payload::Reading(reading) => write_reading(out, reading)?,
        Payload::Info(info) => write_info(out, info)?,
        _ => {}
    }
    write!(out, "\"seq\":{},\"boot\":{}", header.seq, header.boot)?;
    out.write_str(if is_first { "}" } else { "}}" })?;
    if age_ms == 0 {
        write_own(out, own)?;
        let (rssi_dbm, snr_db) = (delivery.rssi_dbm, delivery.snr_db);
        write!(out, ",\"sig\":{{\"rssi\":{rssi_dbm},\"snr\":{snr_db}}}")?;
        let (delivered, damaged) = (own.delivered, own.damaged);
        write!(out, ",\"sts\":{{\"rx\":{delivered},\"err\":{damaged}}}")?;
        let [major, minor, patch] = VERSION;
        write!(out, ",\"fw\":\"{major}.{minor}.{patch}\"")?;
    }
    out.write_str("}\n")
}

fn write_reading(out: &mut Document, reading: &Reading) -> fmt::Result {
    if let Some(value) = reading.temperature_centidegrees {
        write!(out, "\"t\":{},", Hundredths(i32::from(value)))?;
    }
    if let Some(value) = reading.humidity_centipercent {
        write!(out, "\"h\":{},", Hundredths(i32::from(value)))?;
    }
    if let Some(value) = reading.gas_resistance_ohm {
        write!(out, "\"g\":{value},")?;
    }
    if let Some(value) = reading.pressure_pa {
        // A pascal is a hundredth of a hectopascal.
        write!(out, "\"p\":{},", Hundredths(value as i32))?;
    }
    if let Some(value) = reading.battery_mv {
        write!(out, "\"bat\":{value},")?;
    }
    write!(out, "\"st\":{},", reading.status.0)
}

fn write_info(out: &mut Document, info: &Info) -> fmt::Result {
    let [major, minor, patch] = info.firmware;
    write!(
        out,
        "\"fw\":\"{major}.{minor}.{patch}\",\"proto\":{}",
        info.protocol
    )?;
    write!(
        out,
        ",\"reset\":\"{}\",\"up\":{}",
        reset_cause(info.reset_cause),
        info.uptime_s
    )?;
    write!(
        out,
        ",\"int\":{},\"tx\":{}",
        info.interval_s, info.transmitted
    )?;
    write!(
        out,
        ",\"retx\":{},\"drop\":{}",
        info.retransmitted, info.dropped
    )?;
    write!(out, ",\"rerr\":{},", info.radio_errors)
}

fn write_own(out: &mut Document, own: &Own) -> fmt::Result {
    match own.climate {
        Some(Ok(climate)) => write!(
            out,
            ",\"n2\":{{\"t\":{},\"h\":{},\"st\":0}}",
            Hundredths(i32::from(climate.temperature_centidegrees)),
            Hundredths(i32::from(climate.humidity_centipercent))
        ),
        Some(Err(Fault::Silent)) => out.write_str(",\"n2\":{\"st\":1}"),
        Some(Err(Fault::Damaged)) => out.write_str(",\"n2\":{\"st\":2}"),
        None => Ok(()),
    }
}

fn reset_cause(cause: ResetCause) -> &'static str {
    ResetCause::NAMED
        .into_iter()
        .find(|(known, _)| *known == cause)
        .map_or("other", |(_, name)| name)
}

/// A fixed-point number. It is written without floating point, which alone would need 11 kB of flash.
pub struct Hundredths(pub i32);

impl fmt::Display for Hundredths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.unsigned_abs();
        write!(formatter, "{sign}{}.{:02}", whole / 100, whole % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iiot_proto::Packet;
    use iiot_proto::packet::{Answer, Flags, Header, Outcome, Status};
    use std::string::ToString;

    const OWN: Own = Own {
        uptime_ms: 12_000,
        climate: Some(Ok(Climate {
            temperature_centidegrees: 2_680,
            humidity_centipercent: 4_880,
        })),
        delivered: 1,
        damaged: 0,
    };

    fn delivery(src: u8, payload: Payload) -> Delivery {
        let header = Header {
            flags: Flags::ACK_REQ,
            src,
            dst: 2,
            boot: 4_711,
            seq: 5,
        };
        Delivery {
            packet: Packet { header, payload },
            rssi_dbm: -39,
            snr_db: 13,
        }
    }

    fn reading() -> Reading {
        Reading {
            temperature_centidegrees: Some(2_760),
            humidity_centipercent: Some(5_410),
            gas_resistance_ohm: Some(84_190),
            pressure_pa: Some(101_325),
            battery_mv: Some(3_300),
            status: Status::NONE,
            age_ms: 0,
        }
    }

    /// The keys of the original keep their names, order and meaning.
    #[test]
    fn the_original_contract_is_kept() {
        let document = document(&delivery(1, Payload::Reading(reading())), &OWN).unwrap();
        assert_eq!(
            document,
            concat!(
                r#"{"ts":12000,"id":"N2","n1":{"t":27.60,"h":54.10,"g":84190,"p":1013.25,"bat":3300,"st":0,"seq":5,"boot":4711},"#,
                r#""n2":{"t":26.80,"h":48.80,"st":0},"sig":{"rssi":-39,"snr":13},"sts":{"rx":1,"err":0},"fw":"0.1.0"}"#,
                "\n"
            )
        );
    }

    /// Every node except node 1 has its own name, and a missing value has no key.
    #[test]
    fn a_further_node_stands_under_its_name() {
        let faulty = Reading {
            status: Status::SHT31_SILENT.with(Status::BME680_SILENT),
            battery_mv: Some(3_300),
            ..Reading::default()
        };
        let own = Own {
            climate: Some(Err(Fault::Silent)),
            ..OWN
        };
        let document = document(&delivery(4, Payload::Reading(faulty)), &own).unwrap();
        assert_eq!(
            document,
            concat!(
                r#"{"ts":12000,"id":"N2","nodes":{"node4":{"bat":3300,"st":5,"seq":5,"boot":4711}},"#,
                r#""n2":{"st":1},"sig":{"rssi":-39,"snr":13},"sts":{"rx":1,"err":0},"fw":"0.1.0"}"#,
                "\n"
            )
        );
    }

    /// A late reading says how old it is, and its document contains no values of the present.
    #[test]
    fn a_late_reading_says_its_age() {
        let late = Reading {
            age_ms: 35_000,
            ..reading()
        };
        let document = document(&delivery(1, Payload::Reading(late)), &OWN).unwrap();
        assert_eq!(
            document,
            concat!(
                r#"{"ts":12000,"id":"N2","age":35000,"#,
                r#""n1":{"t":27.60,"h":54.10,"g":84190,"p":1013.25,"bat":3300,"st":0,"seq":5,"boot":4711}}"#,
                "\n"
            )
        );
    }

    /// The longest documents fit their buffer.
    #[test]
    fn the_longest_document_fits() {
        let own = Own {
            uptime_ms: u32::MAX,
            climate: Some(Ok(Climate {
                temperature_centidegrees: -4_000,
                humidity_centipercent: 10_000,
            })),
            delivered: u32::MAX,
            damaged: u32::MAX,
        };
        let longest = Reading {
            temperature_centidegrees: Some(i16::MIN),
            humidity_centipercent: Some(10_000),
            gas_resistance_ohm: Some(u32::MAX),
            pressure_pa: Some(iiot_proto::packet::MAX_PRESSURE_PA),
            battery_mv: Some(u16::MAX),
            status: Status(u16::MAX),
            age_ms: 0,
        };
        let info = Info {
            protocol: 255,
            firmware: [255; 3],
            reset_cause: ResetCause::WindowWatchdog,
            uptime_s: u32::MAX,
            interval_s: u16::MAX,
            transmitted: u16::MAX,
            retransmitted: u16::MAX,
            dropped: u16::MAX,
            radio_errors: u16::MAX,
        };
        for payload in [Payload::Reading(longest), Payload::Info(info)] {
            let mut delivery = delivery(254, payload);
            delivery.packet.header.boot = u16::MAX;
            delivery.packet.header.seq = u16::MAX;
            (delivery.rssi_dbm, delivery.snr_db) = (i16::MIN, i8::MIN);
            let document = document(&delivery, &own).unwrap();
            assert!(document.ends_with("}\n"));
        }
        let late = Reading {
            age_ms: u32::MAX,
            ..longest
        };
        assert!(document(&delivery(254, Payload::Reading(late)), &own).is_some());
    }

    /// The documents are the test vectors of the gateway's profile.
    #[test]
    fn documents_are_those_of_the_shared_vectors() {
        let faulty = Reading {
            status: Status::SHT31_SILENT.with(Status::BME680_SILENT),
            battery_mv: Some(3_300),
            ..Reading::default()
        };
        let info = Info {
            protocol: 1,
            firmware: VERSION,
            reset_cause: ResetCause::Watchdog,
            uptime_s: 0,
            interval_s: 10,
            transmitted: 0,
            retransmitted: 0,
            dropped: 0,
            radio_errors: 0,
        };
        let answer = Answer {
            counter: 7,
            outcome: Outcome::Done,
            value: 1,
            mac: 0x14f0_0f00,
        };
        let late = Reading {
            age_ms: 35_000,
            ..reading()
        };
        let of = |delivered, climate, uptime_ms| Own {
            uptime_ms,
            climate,
            delivered,
            ..OWN
        };
        for (vector, src, seq, payload, own) in [
            (
                include_str!("../../../tests/vectors/decode/node-reading.json"),
                1,
                5,
                Payload::Reading(reading()),
                OWN,
            ),
            (
                include_str!("../../../tests/vectors/decode/node-info.json"),
                1,
                0,
                Payload::Info(info),
                of(1, None, 40),
            ),
            (
                include_str!("../../../tests/vectors/decode/node-further-faulty.json"),
                4,
                5,
                Payload::Reading(faulty),
                of(2, Some(Err(Fault::Silent)), 12_000),
            ),
            (
                include_str!("../../../tests/vectors/decode/node-late.json"),
                1,
                5,
                Payload::Reading(late),
                OWN,
            ),
            (
                include_str!("../../../tests/vectors/decode/node-answer.json"),
                1,
                6,
                Payload::Answer(answer),
                of(3, OWN.climate, 12_000),
            ),
        ] {
            let mut delivery = delivery(src, payload);
            delivery.packet.header.seq = seq;
            let document = document(&delivery, &own).unwrap();
            let quoted = document.replace('"', "\\\"").replace('\n', "\\n");
            assert!(vector.contains(&quoted), "{document}");
        }
    }

    /// Values between zero and minus one keep their sign.
    #[test]
    fn hundredths_are_written_as_they_are() {
        for (number, text) in [
            (0, "0.00"),
            (-5, "-0.05"),
            (-1_234, "-12.34"),
            (101_325, "1013.25"),
        ] {
            assert_eq!(Hundredths(number).to_string(), text);
        }
    }
}
