//! Prints how many readings arrive over a bad channel, in comparison with the protocol of the original nodes, and what a reading costs on air.
//!
//! `cargo run --release -p iiot-proto --example link_table -- [FRAMES per row, 1,000,000 by default]`

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it prints a table"
)]

#[path = "../tests/sim/mod.rs"]
mod sim;

use iiot_proto::airtime::{Bandwidth, Modulation};
use iiot_proto::link::ACK_FRAME_BYTES;
use iiot_proto::packet::{Flags, Header, MAX_PACKET_BYTES, Packet, Payload, Reading};
use sim::world::World;
use sim::{LOSSES, original, original_plan, plan};

fn main() {
    let frames = std::env::args()
        .nth(1)
        .map_or(1_000_000, |text| text.parse().unwrap());
    delivery(frames);
    println!();
    cost();
}

fn delivery(frames: u64) {
    println!(
        "{frames} frames a row; 3 nodes, a reading every 10 s, SF7/125 kHz, EU868 at 10 %; 0.5 % doubled, 1 % damaged, collisions"
    );
    println!(
        "| loss each way | bursts | original delivered | original doubled | delivered | doubled | false | delay, half / 99 % | frames a reading | commands done / not | fullest hour |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for loss in LOSSES {
        for bursts in [false, true] {
            let before = World::new(original_plan(loss, bursts, frames.min(100_000))).run();
            let report = World::new(plan(loss, bursts, frames)).run();
            println!(
                "| {loss} % | {} | {:.2} % | {} | {:.4} % ({} of {}) | {} | {} | {:.2} s / {:.1} s | {:.2} | {} / {} | {:.2} % |",
                if bursts { "yes" } else { "no" },
                before.delivery() * 100.0,
                before.doubled,
                report.delivery() * 100.0,
                report.delivered,
                report.offered,
                report.doubled,
                report.false_readings,
                f64::from(report.delay_ms.0) / 1000.0,
                f64::from(report.delay_ms.1) / 1000.0,
                report.frames as f64 / report.offered as f64,
                report.commands_done,
                report.commands_unanswered,
                report.worst_hour_per_mille / 10.0,
            );
            if loss == 0 {
                break;
            }
        }
    }
}

/// The reading that the text form of the original contains, and a reading with everything that a node can report.
fn readings() -> (Reading, Reading) {
    let same = Reading {
        temperature_centidegrees: Some(2_710),
        humidity_centipercent: Some(5_600),
        gas_resistance_ohm: Some(74_721),
        ..Reading::default()
    };
    let full = Reading {
        pressure_pa: Some(101_325),
        battery_mv: Some(3_300),
        ..same
    };
    (same, full)
}

fn encoded_bytes(reading: Reading) -> usize {
    let header = Header {
        flags: Flags::ACK_REQ,
        src: 1,
        dst: 2,
        boot: 1,
        seq: 1,
    };
    let mut buffer = [0; MAX_PACKET_BYTES];
    Packet {
        header,
        payload: Payload::Reading(reading),
    }
    .encode(&mut buffer)
    .unwrap()
}

fn cost() {
    let (same, full) = readings();
    let original_speed = Modulation::new(7, Bandwidth::Khz500, 1, 7).unwrap();
    let forms = [
        ("original, text: t, h, g; no checksum", original::TEXT.len()),
        (
            "original, binary: t, h, g, 16-bit seq, CRC",
            original::binary(200).len(),
        ),
        (
            "this, t, h, g: addresses, boot id, seq, CRC",
            encoded_bytes(same),
        ),
        ("this, t, h, g, pressure, battery", encoded_bytes(full)),
        (
            "original, acknowledgement without CRC",
            original::ack(200).len(),
        ),
        ("this, acknowledgement with RSSI, SNR, CRC", ACK_FRAME_BYTES),
    ];
    println!(
        "| frame | bytes | SF7/500 kHz, preamble 7 (original) | SF7/125 kHz (default) | SF9/125 kHz |"
    );
    println!("|---|---|---|---|---|");
    for (form, bytes) in forms {
        let ms = |modulation: Modulation| f64::from(modulation.airtime_us(bytes)) / 1000.0;
        println!(
            "| {form} | {bytes} | {:.1} ms | {:.1} ms | {:.1} ms |",
            ms(original_speed),
            ms(Modulation::DEFAULT),
            ms(Modulation::new(9, Bandwidth::Khz125, 1, 12).unwrap()),
        );
    }
}
