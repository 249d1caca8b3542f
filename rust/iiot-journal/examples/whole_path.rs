//! The way of packets in one program, for counting instructions: framing, decoding, judging, the journal, reading back, and lines.
//!
//! `cargo build --release -p iiot-journal --example whole_path`, then
//! `valgrind --tool=callgrind target/release/examples/whole_path LOG TIMES`; the difference between two numbers of times leaves out start and end.

#![allow(clippy::unwrap_used, reason = "an example may fail by panicking")]
#![allow(clippy::print_stdout, reason = "standard output is how it answers")]

use iiot_core::{Profile, Scan};
use iiot_journal::{Journal, Options, SourceSettings, Supply};
use std::sync::Arc;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(600);
const NOON_NS: i64 = 1_700_000_000_000_000_000;

fn main() {
    let mut words = std::env::args().skip(1);
    let log = std::fs::read(words.next().unwrap()).unwrap();
    let times: i64 = words.next().unwrap().parse().unwrap();
    let profile = include_str!("../../../python/iiot_gateway/profiles/lora-bridge.toml");
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        max_bytes: 512 << 20,
        ..Options::default()
    };
    let journal = Journal::open(&folder.path().join("journal.db"), &options).unwrap();
    let sink = journal.add_sink("database", None).unwrap();
    let source = SourceSettings {
        name: "receiver".into(),
        profile: Arc::new(Profile::parse(profile).unwrap()),
        topic_prefix: "iiot".into(),
        tags: Vec::new(),
        dedup_window: Duration::from_secs(3600),
        time_step_us: 1000,
        supply: Supply::Live,
        max_document_bytes: 65_536,
        rtt_channel: None,
        is_shared: false,
    };
    let mut intake = journal.add_source(source, None).unwrap();
    for time in 0..times {
        for chunk in log.chunks(65_536) {
            intake.push(chunk, NOON_NS + time * 1_000_000).unwrap();
            // One group for each chunk, however the threads run.
            assert!(intake.settled(WAIT));
        }
    }
    let (mut scan, mut lines) = (Scan::new(), Vec::new());
    let (mut cursor, mut position) = (journal.add_sink("database", None).unwrap(), sink.position());
    let (mut frames, mut bytes) = (0, 0);
    loop {
        let rows = cursor.read(position, 4 << 20).unwrap();
        let Some(last) = rows.last() else { break };
        position = last.first + last.count;
        for row in &rows {
            let info = cursor.origin(row.origin).unwrap();
            for frame in row.frames() {
                let decoded = info.decode(&frame, &mut scan).unwrap();
                decoded.write_lines(&info.origin, frame.time(), &mut lines);
                frames += 1;
            }
        }
        bytes += lines.len();
        lines.clear();
    }
    println!("{frames} frames, {bytes} bytes of lines");
}
