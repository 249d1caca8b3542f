//! Live sources that commit what they read themselves, beside each other, a recording and a sink.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::*;
use iiot_journal::{Journal, Options};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

const PORTS: u64 = 3;
const LINES: u64 = 2_000;

/// Whoever commits, a push is committed in its order, once, and what a sink confirms meanwhile is settled.
#[test]
fn ports_a_recording_and_a_sink_share_the_writers_place() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let intakes = (0..PORTS)
        .map(|port| {
            let mut settings = settings(&format!("port{port}"));
            settings.replayable = port == 0; // this one always leaves its frames to the writer's thread
            journal.add_source(settings, None).unwrap()
        })
        .collect::<Vec<_>>();
    let ended = AtomicBool::new(false);

    let mut seen: HashMap<String, u64> = HashMap::new();
    std::thread::scope(|threads| {
        let ended = &ended;
        let reading = threads.spawn(move || {
            let mut documents = Vec::new();
            loop {
                let is_last = ended.load(Ordering::SeqCst);
                let frames = behind(&cursor);
                if let Some((last, ..)) = frames.last() {
                    deliver(&cursor, last + 1);
                } else if is_last {
                    return documents;
                }
                documents.extend(frames.into_iter().map(|(.., document)| document));
            }
        });
        let ports: Vec<_> = intakes
            .into_iter()
            .map(|mut intake| {
                threads.spawn(move || {
                    for seq in 1..=LINES {
                        intake.push(line(seq).as_bytes(), NOON).unwrap();
                    }
                    assert!(intake.settled(WAIT));
                })
            })
            .collect();
        for port in ports {
            port.join().unwrap();
        }
        assert!(journal.sync(WAIT));
        ended.store(true, Ordering::SeqCst);
        for document in reading.join().unwrap() {
            *seen.entry(document).or_default() += 1;
        }
    });

    assert_eq!(seen.len() as u64, LINES);
    assert!(seen.values().all(|&times| times == PORTS));
    let status = journal.status().unwrap();
    balanced(&status);
    assert_eq!(status.intake["accepted"], (PORTS * LINES) as i64);
    assert_eq!(status.sinks[0].delivered, PORTS * LINES);
}

/// What a port's own thread committed is there after a death without closing.
#[test]
fn what_a_port_committed_survives() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let mut intake = journal.add_source(settings("a"), None).unwrap();
    for seq in 1..=100 {
        intake.push(line(seq).as_bytes(), NOON).unwrap();
    }
    assert!(intake.settled(WAIT));
    assert_eq!(behind(&cursor).len(), 100);
    for name in ["journal.db", "journal.db-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }

    let recovered = Journal::open(&copy.path().join("journal.db"), &Options::default()).unwrap();
    let again = recovered.add_sink("mqtt", None).unwrap();

    assert_eq!(behind(&again).len(), 100);
    balanced(&recovered.status().unwrap());
}
