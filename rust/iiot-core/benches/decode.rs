//! How many packets a second one core turns from bytes into line protocol, framing in chunks of 64 KiB included.
//!
//! `cargo bench -p iiot-core`. The inputs are the simulator's log and the original gateway's document; with `IIOT_SHARED_DATA` also the recording.
//! Every variant checks its counts before it is measured.

#![allow(clippy::unwrap_used, reason = "a benchmark may fail by panicking")]
#![allow(missing_docs, reason = "the macros of criterion make items without")]

use std::hint::black_box;
use std::path::PathBuf;
use std::process::Command;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use iiot_core::{FrameTime, Framed, Framer, Origin, Profile, Scan};
use iiot_simulate::{Settings, Simulator};

const CHUNK_BYTES: usize = 65_536;
const TIME_NS: i64 = 1_703_721_600_000_000_000;

struct Input {
    name: &'static str,
    bytes: Vec<u8>,
    good: usize,
    damaged: usize,
}

/// The log of the simulator, with some documents cut off.
fn simulated() -> Input {
    let settings = Settings {
        nodes: 1,
        rate_per_s: 0.1,
        seed: 1,
        start_ns: TIME_NS,
    };
    let mut simulator = Simulator::new(settings).unwrap();
    let mut log = Vec::new();
    simulator.advance(i64::MAX, 12_653, &mut log);
    let mut input = Input {
        name: "simulated",
        bytes: Vec::new(),
        good: 0,
        damaged: 0,
    };
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let is_document = line.starts_with(b"[INFO ] JSON sent");
        if is_document && (input.good + input.damaged) % 300 == 299 {
            input.damaged += 1;
            input.bytes.extend_from_slice(&line[..90]);
            input.bytes.push(b'\n');
        } else {
            input.good += usize::from(is_document);
            input.bytes.extend_from_slice(line);
        }
    }
    assert_eq!(
        (input.good + input.damaged) as u64,
        simulator.counts().documents
    );
    input
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
    for input in [Some(simulated()), Some(original()), recorded()]
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
