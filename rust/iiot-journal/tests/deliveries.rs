//! What a broker delivers: taken once, whatever is killed, and held back while there is no room.

use crate::common::{NOON, SECOND, WAIT, balanced, deliver, line, open, options, settings};
use iiot_core::profile::Profile;
use iiot_journal::{
    CopyProgress, Delivery, Intake, Journal, Message, Options, SourceSettings, Supply,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn broker() -> SourceSettings {
    let text = "name = \"plant\"\n[[point]]\nfilter = \"a/#\"\nmeasurement = \"m\"\nfields = { v = \"number\" }\n";
    SourceSettings {
        profile: Arc::new(Profile::parse(text).unwrap()),
        supply: Supply::Waiting,
        ..settings("broker")
    }
}

fn delivered(document: &[u8], packet_id: u16, again: bool) -> Message<'_> {
    Message {
        topic: Some(b"a/b"),
        device: None,
        document,
        received_at_ns: NOON,
        mark: None,
        delivery: Some(Delivery {
            packet_id,
            again,
            retained: false,
        }),
    }
}

fn send(intake: &mut Intake, messages: &[Message<'_>]) {
    for message in messages {
        intake.take_message(message);
    }
    let ticket = intake.send_messages().unwrap();
    let until = Instant::now() + WAIT;
    while intake.synced_ticket() < ticket {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
}

fn counts(journal: &Journal) -> (i64, i64, i64, i64) {
    let status = journal.status().unwrap();
    balanced(&status);
    let of = |name: &str| status.intake[name];
    (
        of("accepted"),
        of("duplicate"),
        of("rejected"),
        of("skipped"),
    )
}

/// In a journal that was restored from a copy no delivery is known: the broker has been told of them since, and the same id may mean another message.
#[test]
fn a_restored_copy_takes_what_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = tempfile::tempdir().unwrap();
    {
        let journal = open(folder.path());
        let mut intake = journal.add_source(broker(), None).unwrap();
        send(&mut intake, &[delivered(b"{\"v\":1}", 1, false)]);
        let copy = place.path().join("journal.db");
        journal.copy_to(&copy, &CopyProgress::default()).unwrap();
    }
    for (folder, expected) in [(folder.path(), (1, 1, 0, 0)), (place.path(), (2, 0, 0, 0))] {
        let journal = open(folder);
        let mut intake = journal.add_source(broker(), None).unwrap();
        send(&mut intake, &[delivered(b"{\"v\":1}", 1, true)]);
        assert_eq!(counts(&journal), expected);
    }
}

/// A message that comes again because its acknowledgement was lost is known, also if it was rejected or skipped, and also after a restart.
#[test]
fn what_comes_again_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    {
        let journal = open(folder.path());
        journal.add_sink("influxdb", None).unwrap();
        let mut intake = journal.add_source(broker(), None).unwrap();
        send(
            &mut intake,
            &[
                delivered(b"{\"v\":1}", 1, false),
                delivered(b"{\"v\":1}", 2, false),
                delivered(b"no document", 3, false),
            ],
        );
        let unwanted = delivered(b"{\"v\":5}", 4, false);
        intake.skip_message(&unwanted, "retained");
        let long = delivered(b"{\"v\":[1,1,1,1", 5, false);
        intake.refuse_long_message(&long, 100_000);
        send(&mut intake, &[]);
        assert_eq!(counts(&journal), (2, 0, 2, 1));
        let rejects = journal.rejects(10).unwrap();
        assert_eq!(rejects[0].reason, "too_long");
        assert_eq!(rejects[0].topic.as_deref(), Some("a/b"));
    }
    let journal = open(folder.path());
    journal.add_sink("influxdb", None).unwrap();
    let mut intake = journal.add_source(broker(), None).unwrap();
    intake.skip_message(&delivered(b"{\"v\":5}", 4, true), "retained");
    intake.refuse_long_message(&delivered(b"{\"v\":[1,1,1,1", 5, true), 100_000);
    send(
        &mut intake,
        &[
            delivered(b"{\"v\":1}", 1, true),
            delivered(b"no document", 3, true),
            // Other content under a known id, and known content as a first delivery.
            delivered(b"{\"v\":2}", 2, true),
            delivered(b"{\"v\":1}", 1, false),
        ],
    );
    assert_eq!(counts(&journal), (4, 3, 2, 1));
    // Acknowledged for good: an equal message may come under the same id, and its first delivery may have been lost.
    intake.forget(&[1]);
    send(&mut intake, &[delivered(b"{\"v\":1}", 1, true)]);
    assert_eq!(counts(&journal), (5, 3, 2, 1));
    // A new session of the broker.
    intake.new_session(true).unwrap();
    send(&mut intake, &[delivered(b"{\"v\":2}", 2, true)]);
    assert_eq!(counts(&journal), (6, 3, 2, 1));
    assert_eq!(journal.status().unwrap().sessions_lost["broker"], 1);
}

/// What the session is subscribed to is stored.
#[test]
fn subscriptions_are_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let filters = ["a/+".to_owned(), "b/#".to_owned()];
    for round in 0..2 {
        let journal = open(folder.path());
        let intake = journal.add_source(broker(), None).unwrap();
        let known = intake.subscribed().unwrap();
        assert_eq!(known, if round == 0 { &[][..] } else { &filters[..] });
        intake.set_subscribed(&filters).unwrap();
    }
}

fn small(folder: &Path) -> Journal {
    let options = Options {
        max_bytes: 4 << 20,
        ..options()
    };
    Journal::open(&folder.join("journal.db"), &options).unwrap()
}

/// Fill the journal until a source that waits is held back.
fn fill(intake: &mut Intake) -> u64 {
    let document = format!("{{\"v\":1,\"filler\":\"{}\"}}", "x".repeat(4_000));
    let mut sent = 0;
    while intake.has_room() {
        for _ in 0..8 {
            intake.take_message(&delivered(document.as_bytes(), 0, false));
            sent += 1;
        }
        send(intake, &[]);
        assert!(sent < 10_000);
    }
    sent
}

/// A source that can wait stops before the room ends. Its frames are not dropped for those of a source that cannot, which drop each other.
#[test]
fn frames_of_a_source_that_waits_are_not_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let journal = small(folder.path());
    let cursor = journal.add_sink("influxdb", None).unwrap();
    let mut waiting = journal.add_source(broker(), None).unwrap();
    let mut live = journal.add_source(settings("port"), None).unwrap();
    live.push(line(1).as_bytes(), NOON).unwrap();
    assert!(live.settled(WAIT));
    let sent = fill(&mut waiting);
    let text: String = (2..6_000).map(line).collect();
    for chunk in text.as_bytes().chunks(100_000) {
        live.push(chunk, NOON + SECOND).unwrap();
        assert!(live.settled(WAIT));
    }
    let status = journal.status().unwrap();
    balanced(&status);
    let sink = &status.sinks[0];
    assert!(sink.dropped_full > 0, "{sink:?}");
    assert!(sink.queued >= sent, "{sink:?}");
    let waits = cursor
        .read(1, 64 << 20)
        .unwrap()
        .iter()
        .flat_map(|row| {
            row.frames()
                .map(|frame| frame.topic.is_some())
                .collect::<Vec<_>>()
        })
        .filter(|has_topic| *has_topic)
        .count();
    assert_eq!(waits as u64, sent);
    // Delivered, there is room again.
    deliver(&cursor, sink.queued + sink.dropped_full + 1);
    waiting.take_message(&delivered(b"{\"v\":1}", 0, false));
    send(&mut waiting, &[]);
    assert!(waiting.has_room());
}

/// A sink that may drop does not hold a source back: what it lacks goes first, and is counted.
#[test]
fn a_sink_that_may_drop_does_not_stop_the_intake() {
    let folder = tempfile::tempdir().unwrap();
    let journal = small(folder.path());
    let cursor = journal.add_sink("influxdb", None).unwrap();
    journal.add_sink("away", None).unwrap();
    journal.may_drop("away").unwrap();
    let mut waiting = journal.add_source(broker(), None).unwrap();
    let document = format!("{{\"v\":1,\"filler\":\"{}\"}}", "x".repeat(4_000));
    for n in 0..3_000_u64 {
        waiting.take_message(&delivered(document.as_bytes(), 0, false));
        if n % 50 == 49 {
            send(&mut waiting, &[]);
            deliver(&cursor, n + 2);
            assert!(waiting.has_room(), "{n}");
        }
    }
    let status = journal.status().unwrap();
    balanced(&status);
    let of = |name: &str| status.sinks.iter().find(|sink| sink.name == name).unwrap();
    assert_eq!(of("influxdb").delivered, 3_000);
    assert!(of("away").dropped_full > 1_000);
}

/// A burst that is taken at once, larger than the room that is left, goes in as well, as soon as the other sinks have what is there.
#[test]
fn a_burst_drops_what_only_such_a_sink_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let journal = small(folder.path());
    let cursor = journal.add_sink("history", None).unwrap();
    journal.add_sink("away", None).unwrap();
    journal.may_drop("away").unwrap();
    // Whoever reads for the sink adds it once more.
    journal.add_sink("away", None).unwrap();
    let mut waiting = journal.add_source(broker(), None).unwrap();
    let document = format!("{{\"v\":1,\"filler\":\"{}\"}}", "x".repeat(2_000));
    for n in 1..=12_000_u64 {
        waiting.take_message(&delivered(document.as_bytes(), 0, false));
        if n % 120 == 0 {
            waiting.send_messages().unwrap();
        }
    }
    let mut end = 1;
    while end <= 12_000 {
        let rows = cursor.read(end, 1 << 20).unwrap();
        if let Some(row) = rows.last() {
            end = row.end();
            deliver(&cursor, end);
        } else {
            let is_there = cursor.wait_readable(end, WAIT, || false);
            assert!(is_there, "stuck at {end}");
        }
    }
    balanced(&journal.status().unwrap());
}
