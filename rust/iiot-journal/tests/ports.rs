//! Live sources that commit what they read themselves, beside each other, a recording and a sink.

use crate::common::*;
use iiot_journal::{Journal, Options, Supply};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

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
            // The first one always leaves its frames to the writer's thread.
            settings.supply = if port == 0 {
                Supply::Replayable
            } else {
                Supply::Live
            };
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

/// A journal that is closed under ports that push keeps each push that it took, and refuses the rest.
#[test]
fn what_is_pushed_while_the_journal_is_closed_is_taken_or_refused() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path());
        let intakes = (0..PORTS).map(|port| {
            let settings = settings(&format!("port{port}"));
            journal.add_source(settings, None).unwrap()
        });
        let intakes = intakes.collect::<Vec<_>>();
        let (taken, began) = (AtomicU64::new(0), AtomicBool::new(false));
        let mut lost = 0;
        std::thread::scope(|threads| {
            for mut intake in intakes {
                let (taken, began) = (&taken, &began);
                threads.spawn(move || {
                    for seq in 1.. {
                        if intake.push(line(seq).as_bytes(), NOON).is_err() {
                            return;
                        }
                        taken.fetch_add(1, Ordering::SeqCst);
                        began.store(true, Ordering::SeqCst);
                    }
                });
            }
            while !began.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            lost = journal.close(WAIT).unwrap();
        });

        let status = Journal::inspect(&folder.path().join("journal.db")).unwrap();

        assert_eq!(lost, 0);
        assert_eq!(
            status.intake["received"] as u64,
            taken.load(Ordering::SeqCst)
        );
    }
}

/// A commit that is refused lets no port wait: what is pushed waits with the writer, and is committed once that is possible.
#[test]
fn a_port_whose_commit_is_refused_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let mut intake = journal.add_source(settings("a"), None).unwrap();
    push(&mut intake, 1, 2);
    // Somebody else who holds the file's write lock is as good as a full disk: no commit gets through.
    let other = rusqlite::Connection::open(folder.path().join("journal.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    for seq in 2..=50 {
        intake.push(line(seq).as_bytes(), NOON).unwrap();
    }
    let waits = !intake.settled(Duration::from_millis(1));
    other.execute_batch("ROLLBACK").unwrap();

    assert!(waits);
    assert!(intake.settled(WAIT));
    let seen = behind(&cursor);
    assert_eq!(seen.len(), 50);
    assert!(seen.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
    balanced(&journal.status().unwrap());
}

/// What a full journal could not keep in memory, and what it kept and could not commit before the end, is one sum.
#[test]
fn everything_that_came_while_nothing_could_be_written_is_told_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut intake = journal.add_source(settings("a"), None).unwrap();
    let other = rusqlite::Connection::open(folder.path().join("journal.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let padding = "x".repeat(50_000);

    for seq in 1..=400 {
        let document = line(seq).replacen("\"id\"", &format!("\"pad\":\"{padding}\",\"id\""), 1);
        assert_eq!(intake.push(document.as_bytes(), NOON).unwrap(), 1);
    }

    assert_eq!(journal.close(WAIT * 3).unwrap(), 400);
}
