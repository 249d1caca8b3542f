//! How many packets a second one core turns from bytes into line protocol, framing in chunks of 64 KiB included.
//!
//! `cargo bench -p iiot-core`. The input is made here from a fixed seed in the shape of the recorded log; with `IIOT_SHARED_DATA` it is the recording itself
//! beside it. Every variant checks its counts before it is measured.

#![allow(clippy::unwrap_used, reason = "a benchmark may fail by panicking")]
#![allow(missing_docs, reason = "the macros of criterion make items without")]

use std::fmt::Write;
use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use iiot_core::{FrameTime, Framed, Framer, Origin, Profile, Scan};

const CHUNK_BYTES: usize = 65_536;
const TIME_NS: i64 = 1_703_721_600_000_000_000;

struct Input {
    name: &'static str,
    bytes: Vec<u8>,
    good: usize,
    damaged: usize,
}

/// A log in the shape of the recorded one: telemetry among firmware log lines, some of it damaged.
fn generated() -> Input {
    let (mut text, mut state, packets) = (String::new(), 0x2545_f491_4f6c_dd1d_u64, 12_653_u64);
    let mut draw = |below: u64| -> u64 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut damaged = 0;
    for packet in 0..packets {
        text.push_str(
            "[INFO ] UART INT: 47 bytes, complete=true (node2_firmware src/main.rs:441)\n",
        );
        if draw(3) == 0 {
            let line = "has_packet=true (node2_firmware src/main.rs:365)";
            writeln!(text, "[INFO ] N2 Timer: total_count={packet}, {line}").unwrap();
        }
        let start = text.len();
        write!(
            text,
            "[INFO ] JSON sent via VCP: {{\"ts\":{},\"id\":\"N2\",\"n1\":{{\"t\":{}.{},\"h\":{},\"bat\":{},\"seq\":{}}},\"n2\":{{}},\
             \"sig\":{{\"rssi\":-{},\"snr\":-{}.{}}},\"sts\":{{\"rx\":{packet},\"err\":0}}}}\\n",
            (5000 + 1_800_000 * packet) % (1_u64 << 32),
            draw(40),
            draw(10),
            40 + draw(60),
            3400 + draw(300),
            packet % 65_536,
            60 + draw(70),
            draw(20),
            draw(10),
        )
        .unwrap();
        if packet % 300 == 299 {
            damaged += 1;
            text.truncate(start + 60 + draw(60) as usize);
        }
        text.push_str(" (node2_firmware src/main.rs:573)\n");
    }
    let (bytes, good) = (text.into_bytes(), (packets - damaged) as usize);
    Input {
        name: "generated",
        bytes,
        good,
        damaged: damaged as usize,
    }
}

/// The document of the original gateway, again and again.
fn original() -> Input {
    let line = "[INFO] JSON sent via VCP: {\"ts\":12000,\"id\":\"N2\",\"n1\":{\"t\":27.6,\"h\":54.1,\"g\":84190},\"n2\":{\"t\":26.8,\"h\":48.8},\
                \"sig\":{\"rssi\":-39,\"snr\":13},\"sts\":{\"rx\":1,\"err\":0}}\\n (wk5_gateway_firmware src/main.rs:573)\n";
    Input {
        name: "original",
        bytes: line.repeat(12_612).into_bytes(),
        good: 12_612,
        damaged: 0,
    }
}

fn recorded() -> Option<Input> {
    let path =
        PathBuf::from(std::env::var_os("IIOT_SHARED_DATA")?).join("lora/tour-perret.rtt.log.gz");
    let output = Command::new("gzip").arg("-dc").arg(path).output().ok()?;
    Some(Input {
        name: "recorded",
        bytes: output.stdout,
        good: 12_612,
        damaged: 41,
    })
}

fn frame(bytes: &[u8]) -> (usize, usize) {
    let (mut framer, mut good, mut damaged) = (Framer::new(65_536), 0, 0);
    for chunk in bytes.chunks(CHUNK_BYTES) {
        framer.feed(chunk, |framed| match framed {
            Framed::Document { .. } => good += 1,
            Framed::Damaged { .. } => damaged += 1,
        });
    }
    (good, damaged)
}

fn scan(bytes: &[u8], profile: &Profile) -> (usize, usize) {
    let (mut framer, mut scan, mut good, mut damaged) = (Framer::new(65_536), Scan::new(), 0, 0);
    for chunk in bytes.chunks(CHUNK_BYTES) {
        framer.feed_with(
            chunk,
            profile,
            &mut scan,
            |framed, decoded, _| match framed {
                Framed::Document { .. } if decoded.points() > 0 => good += 1,
                _ => damaged += 1,
            },
        );
    }
    (good, damaged)
}

fn lines(bytes: &[u8], profile: &Profile, origin: &Origin, out: &mut Vec<u8>) -> (usize, usize) {
    let (mut framer, mut scan, mut good, mut damaged) = (Framer::new(65_536), Scan::new(), 0, 0);
    for chunk in bytes.chunks(CHUNK_BYTES) {
        out.clear();
        framer.feed_with(
            chunk,
            profile,
            &mut scan,
            |framed, decoded, _| match framed {
                Framed::Document { .. } => {
                    let time = FrameTime::at(TIME_NS + good as i64);
                    good += usize::from(decoded.write_lines(origin, time, out) > 0);
                }
                Framed::Damaged { .. } => damaged += 1,
            },
        );
    }
    (good, damaged)
}

/// As a sink does with stored documents: no framing, scanned and written.
fn stored(documents: &[&[u8]], profile: &Profile, origin: &Origin, out: &mut Vec<u8>) -> usize {
    let (mut scan, mut good) = (Scan::new(), 0);
    out.clear();
    for document in documents {
        if let Ok(decoded) = profile.scan(document, &mut scan) {
            good += 1;
            decoded.write_lines(origin, FrameTime::at(TIME_NS + good), out);
        }
    }
    good as usize
}

fn decode(criterion: &mut Criterion) {
    let profile = Profile::parse(include_str!(
        "../../../python/iiot_gateway/profiles/lora-bridge.toml"
    ))
    .unwrap();
    let origin = Origin::new(&profile, "iiot", &[]).unwrap();
    for input in [Some(generated()), Some(original()), recorded()]
        .into_iter()
        .flatten()
    {
        let counts = (input.good, input.damaged);
        let mut out = Vec::new();
        assert_eq!(frame(&input.bytes), counts, "{}", input.name);
        assert_eq!(scan(&input.bytes, &profile), counts, "{}", input.name);
        assert_eq!(
            lines(&input.bytes, &profile, &origin, &mut out),
            counts,
            "{}",
            input.name
        );
        let mut framer = Framer::new(65_536);
        let mut documents: Vec<Vec<u8>> = Vec::new();
        framer.feed(&input.bytes, |framed| {
            if let Framed::Document { bytes, .. } = framed {
                documents.push(bytes.to_vec());
            }
        });
        let documents: Vec<&[u8]> = documents.iter().map(Vec::as_slice).collect();

        let mut group = criterion.benchmark_group("decode");
        group.throughput(Throughput::Elements(input.good as u64));
        group.bench_function(format!("framing/{}", input.name), |bencher| {
            bencher.iter(|| frame(black_box(&input.bytes)));
        });
        group.bench_function(format!("scan/{}", input.name), |bencher| {
            bencher.iter(|| scan(black_box(&input.bytes), &profile));
        });
        group.bench_function(format!("lines/{}", input.name), |bencher| {
            bencher.iter(|| lines(black_box(&input.bytes), &profile, &origin, &mut out));
        });
        group.bench_function(format!("stored/{}", input.name), |bencher| {
            bencher.iter(|| stored(black_box(&documents), &profile, &origin, &mut out));
        });
        group.finish();
    }
}

/// A point that names its fields, and one that takes whatever the message holds.
const FIELDS: &str = r#"
name = "fields"
[[point]]
filter = "factory/dosing"
measurement = "dosing"
tags = { device_id = "{device_id}", pump = "{pump}", chemical = "{chemical}", recipe = "{recipe}", mode = "{mode}" }
fields = { target_g = "number", actual_g = "number", error_g = "number", duration_ms = "number", timestamp = "number" }
"#;
const OTHERS: &str = r#"
name = "others"
[[point]]
filter = "factory/dosing"
measurement = "dosing"
[point.others]
flatten = "_"
tags = ["device_id", "pump", "chemical", "recipe", "mode"]
strings = []
"#;

/// Messages of a plant, from text to lines.
fn messages(criterion: &mut Criterion) {
    let messages: Vec<String> = (0..1_000)
        .map(|number| {
            format!(
                "{{\"device_id\":\"dosing_system_{:02}\",\"pump\":{},\"chemical\":\"DMDEE\",\"target_g\":40.00,\"actual_g\":40.{:02},\"error_g\":0.20,\
                 \"recipe\":\"CU-85\",\"mode\":\"CATALYST\",\"duration_ms\":{},\"timestamp\":{}}}",
                number % 20,
                number % 4 + 1,
                number % 100,
                40_000 + number,
                1_761_758_400 + number
            )
        })
        .collect();
    let mut group = criterion.benchmark_group("messages");
    group.throughput(Throughput::Elements(messages.len() as u64));
    for text in [FIELDS, OTHERS] {
        let profile = Profile::parse(text).unwrap();
        let shared = [("facility".to_owned(), "main".to_owned())];
        let origin = Origin::new(&profile, "iiot", &shared).unwrap();
        let (mut scan, mut out) = (Scan::new(), Vec::new());
        let mut run = || {
            out.clear();
            let mut points = 0;
            for message in &messages {
                let topic = Some(b"factory/dosing".as_slice());
                let decoded = profile.decode(topic, black_box(message.as_bytes()), &mut scan);
                points += decoded
                    .unwrap()
                    .write_lines(&origin, FrameTime::at(TIME_NS), &mut out);
            }
            points
        };
        assert_eq!(run(), messages.len());
        group.bench_function(profile.name(), |bencher| bencher.iter(&mut run));
    }
    group.finish();
}

criterion_group!(benches, decode, messages);
criterion_main!(benches);
