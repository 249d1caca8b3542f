//! The lines that probe-rs prints for the receiver: the telemetry document that node 2 sends, and the log lines around it.

use crate::node::Reading;
use crate::radio::Signal;
use std::io::Write;

/// What the receiver says about itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiver {
    pub uptime_ms: u32,
    pub temperature_centidegrees: i32,
    pub humidity_centipercent: i32,
    pub received: u32,
    pub damaged: u32,
}

/// Write a node's object. A packet that is sent again gives the same text, so a gateway recognises the duplicate.
pub(crate) fn push_object(number: u32, reading: &Reading, out: &mut Vec<u8>) {
    if number == 1 {
        out.extend_from_slice(b"\"n1\":{\"t\":");
    } else {
        push(out, format_args!("\"nodes\":{{\"node{number}\":{{\"t\":"));
    }
    push_hundredths(reading.temperature_centidegrees, out);
    out.extend_from_slice(b",\"h\":");
    push_hundredths(reading.humidity_centipercent, out);
    push(
        out,
        format_args!(",\"g\":{},\"p\":", reading.gas_resistance_ohm),
    );
    push_hundredths(reading.pressure_pa as i32, out);
    let Reading {
        battery_mv,
        seq,
        boot,
        ..
    } = reading;
    push(
        out,
        format_args!(",\"bat\":{battery_mv},\"st\":0,\"seq\":{seq},\"boot\":{boot}}}"),
    );
    if number != 1 {
        out.push(b'}');
    }
}

/// Write a reception: the log line of the UART, then that of the document, whose own line end is a backslash and an n.
pub(crate) fn push_reception(
    object: &[u8],
    receiver: &Receiver,
    signal: Signal,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(
        b"[INFO ] UART INT: 47 bytes, complete=true (node2_firmware src/main.rs:441)\n",
    );
    push(
        out,
        format_args!(
            "[INFO ] JSON sent via VCP: {{\"ts\":{},\"id\":\"N2\",",
            receiver.uptime_ms
        ),
    );
    out.extend_from_slice(object);
    out.extend_from_slice(b",\"n2\":{\"t\":");
    push_hundredths(receiver.temperature_centidegrees, out);
    out.extend_from_slice(b",\"h\":");
    push_hundredths(receiver.humidity_centipercent, out);
    push(
        out,
        format_args!(
            ",\"st\":0}},\"sig\":{{\"rssi\":{},\"snr\":{}}},\"sts\":{{\"rx\":{},\"err\":{}}},\"fw\":\"{}\"}}",
            signal.rssi_dbm,
            signal.snr_db,
            receiver.received,
            receiver.damaged,
            env!("CARGO_PKG_VERSION")
        ),
    );
    out.extend_from_slice(b"\\n (node2_firmware src/main.rs:573)\n");
}

/// Write the line about a packet that arrived damaged.
pub(crate) fn push_crc_error(received: u16, calculated: u16, out: &mut Vec<u8>) {
    push(
        out,
        format_args!(
            "[ERROR] CRC FAIL! Received: {received:#06X}, Calculated: {calculated:#06X} (node2_firmware src/main.rs:487)\n"
        ),
    );
}

/// Write the line about a restart of the receiver.
pub(crate) fn push_start(out: &mut Vec<u8>) {
    out.extend_from_slice(
        b"[INFO ] Node 2 started, waiting for packets (node2_firmware src/main.rs:101)\n",
    );
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(text);
}

fn push_hundredths(value: i32, out: &mut Vec<u8>) {
    let sign = if value < 0 { "-" } else { "" };
    let whole = value.unsigned_abs();
    push(
        out,
        format_args!("{sign}{}.{:02}", whole / 100, whole % 100),
    );
}
