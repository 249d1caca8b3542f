//! Packets of every kind, made by proptest.

#![allow(dead_code, reason = "each test uses a part")]

use iiot_proto::packet::{
    Ack, Answer, Command, Flags, Header, Info, MAX_HUMIDITY_CENTIPERCENT, MAX_PRESSURE_PA, Outcome,
    Packet, Payload, Reading, ResetCause, Status,
};
use proptest::option::of;
use proptest::prelude::*;

pub fn reading() -> impl Strategy<Value = Reading> {
    (
        of(any::<i16>()),
        of(0..=MAX_HUMIDITY_CENTIPERCENT),
        of(any::<u32>()),
        of(0..=MAX_PRESSURE_PA),
        of(any::<u16>()),
        prop_oneof![Just(0), any::<u16>()],
        prop_oneof![Just(0), any::<u32>()],
    )
        .prop_map(
            |(temperature, humidity, gas, pressure, battery, status, age_ms)| Reading {
                temperature_centidegrees: temperature,
                humidity_centipercent: humidity,
                gas_resistance_ohm: gas,
                pressure_pa: pressure,
                battery_mv: battery,
                status: Status(status),
                age_ms,
            },
        )
}

fn info() -> impl Strategy<Value = Info> {
    (
        any::<(u8, [u8; 3], u32)>(),
        0..ResetCause::NAMED.len(),
        any::<[u16; 5]>(),
    )
        .prop_map(
            |(
                (protocol, firmware, uptime_s),
                cause,
                [
                    interval_s,
                    transmitted,
                    retransmitted,
                    dropped,
                    radio_errors,
                ],
            )| Info {
                protocol,
                firmware,
                reset_cause: ResetCause::NAMED[cause].0,
                uptime_s,
                interval_s,
                transmitted,
                retransmitted,
                dropped,
                radio_errors,
            },
        )
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        reading().prop_map(Payload::Reading),
        info().prop_map(Payload::Info),
        (-255_i16..=0, any::<i8>()).prop_map(|(rssi, snr)| Payload::Ack(Ack::new(rssi, snr))),
        any::<(u16, u16, u32, u8, u16, u32)>().prop_map(
            |(boot, until_seq, counter, code, argument, mac)| {
                Payload::Command(Command {
                    boot,
                    until_seq,
                    counter,
                    code,
                    argument,
                    mac,
                })
            }
        ),
        (any::<(u32, u16, u32)>(), 0..Outcome::NAMED.len()).prop_map(
            |((counter, value, mac), outcome)| {
                Payload::Answer(Answer {
                    counter,
                    outcome: Outcome::NAMED[outcome].0,
                    value,
                    mac,
                })
            }
        ),
    ]
}

pub fn packet() -> impl Strategy<Value = Packet> {
    let header =
        (0_u8..8, any::<(u8, u8, u16, u16)>()).prop_map(|(flags, (src, dst, boot, seq))| Header {
            flags: Flags::from_bits(flags).unwrap_or_default(),
            src,
            dst,
            boot,
            seq,
        });
    (header, payload()).prop_map(|(header, payload)| Packet { header, payload })
}
