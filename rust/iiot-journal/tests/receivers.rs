//! Several receivers under one source: each has a clock, a window and losses of its own, also after a restart.

use crate::common::{NOON, SECOND, WAIT, balanced, behind, open, profile, retried_under, settings};
use iiot_core::profile::Profile;
use iiot_journal::{Intake, Journal, RecordingSettings, SourceSettings};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 1_440 * MINUTE_MS;
/// The uptimes of the receivers at the beginning.
const NORTH_MS: u64 = 10 * MINUTE_MS;
const SOUTH_MS: u64 = 40 * DAY_MS;

struct Broker {
    journal: Journal,
    intake: Intake,
    now_ns: i64,
}

impl Broker {
    fn open(folder: &Path) -> Self {
        Self::under(folder, profile())
    }

    fn under(folder: &Path, profile: Arc<Profile>) -> Self {
        let source = SourceSettings {
            profile,
            ..settings("broker")
        };
        let journal = open(folder);
        let intake = journal.add_source(source, None).unwrap();
        Self::of(journal, intake)
    }

    fn of(journal: Journal, intake: Intake) -> Self {
        Self {
            journal,
            intake,
            now_ns: NOON,
        }
    }

    /// A receiver prints that it heard this number of node1, when it has run for so long and has received so many packets. The documents
    /// waited in the broker, and arrive a second apart.
    fn hear(&mut self, receiver: &str, uptime_ms: u64, packets: u64, seq: u64) {
        let document = format!(
            r#"{{"ts":{uptime_ms},"n1":{{"t":27.6,"seq":{seq}}},"sts":{{"rx":{packets}}}}}"#
        );
        self.now_ns += SECOND;
        self.send(receiver, &document);
    }

    fn send(&mut self, receiver: &str, document: &str) {
        self.send_at(receiver, document, self.now_ns);
    }

    fn send_at(&mut self, receiver: &str, document: &str, received_at_ns: i64) {
        let topic = format!("lora/{receiver}");
        self.intake
            .push_message(
                Some(topic.as_bytes()),
                document.as_bytes(),
                received_at_ns,
                0,
            )
            .unwrap();
        assert!(self.intake.settled(WAIT));
    }

    /// received, accepted, duplicate, lost on air
    fn counts(&self) -> [i64; 4] {
        let status = self.journal.status().unwrap();
        balanced(&status);
        ["received", "accepted", "duplicate", "lost_on_air"].map(|name| status.intake[name])
    }
}

/// Two receivers take turns. What one of them repeats within an hour of its own clock is a duplicate, what both hear are two receptions, and each has its
/// losses.
#[test]
fn receivers_with_different_uptimes_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::open(folder.path());
    for n in 0..60 {
        let passed_ms = n * MINUTE_MS / 2;
        // The north misses every number that ends in 9.
        if n % 10 != 9 {
            broker.hear("north", NORTH_MS + passed_ms, n, n);
        }
        broker.hear("south", SOUTH_MS + passed_ms, n, n);
    }
    assert_eq!(broker.counts(), [114, 114, 0, 5]);

    for round in [1, 2] {
        if round == 2 {
            drop(broker);
            broker = Broker::open(folder.path());
        }
        // Half an hour later, each repeats numbers that it had from the beginning on.
        for n in [1, 20, 58] {
            let (passed_ms, packets) = ((29 + round) * MINUTE_MS + n, round * 60 + n);
            broker.hear("north", NORTH_MS + passed_ms, packets, n);
            broker.hear("south", SOUTH_MS + passed_ms, packets, n);
        }
    }
    assert_eq!(broker.counts(), [126, 114, 12, 5]);

    // A number that the north had missed fills its gap; to the south it is a repeat.
    let passed_ms = 32 * MINUTE_MS;
    broker.hear("south", SOUTH_MS + passed_ms, 180, 49);
    broker.hear("north", NORTH_MS + passed_ms, 180, 49);
    assert_eq!(broker.counts(), [128, 115, 13, 4]);
}

/// A receiver that restarts goes on from its last document. The other one's window stays, and so does its own.
#[test]
fn a_restart_concerns_one_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::open(folder.path());
    broker.hear("north", NORTH_MS, 100, 1);
    broker.hear("south", SOUTH_MS, 9_000, 1);
    broker.hear("south", SOUTH_MS + MINUTE_MS, 9_001, 2);
    // The south has restarted: without more packets, a smaller uptime is no wrap.
    broker.hear("south", MINUTE_MS, 1, 3);
    drop(broker);
    let mut broker = Broker::open(folder.path());
    broker.hear("north", NORTH_MS + 50 * MINUTE_MS, 101, 1);
    broker.hear("south", 50 * MINUTE_MS, 2, 1);
    assert_eq!(broker.counts(), [6, 4, 2, 0]);

    // An hour has passed for the south, and not for the north.
    broker.hear("south", 70 * MINUTE_MS, 3, 1);
    broker.hear("north", NORTH_MS + 55 * MINUTE_MS, 102, 1);
    assert_eq!(broker.counts(), [8, 5, 3, 0]);
}

/// A journal from before there were several receivers goes on: the first receiver that is heard keeps the clock and the window.
#[test]
fn an_older_journal_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::open(folder.path());
    broker.hear("south", SOUTH_MS, 1, 1);
    broker.hear("south", SOUTH_MS + MINUTE_MS, 2, 2);
    drop(broker);
    let db = Connection::open(folder.path().join("journal.db")).unwrap();
    let older = "UPDATE source SET state=substr(state, 1, 41) WHERE length(state)=49";
    assert_eq!(db.execute(older, []).unwrap(), 1);
    drop(db);

    let mut broker = Broker::open(folder.path());
    broker.hear("south", SOUTH_MS + 50 * MINUTE_MS, 3, 1);
    broker.hear("south", SOUTH_MS + 62 * MINUTE_MS, 4, 2);
    broker.hear("south", SOUTH_MS + 63 * MINUTE_MS, 5, 4);
    assert_eq!(broker.counts(), [5, 4, 1, 1]);
}

/// A stream has one receiver, whatever its documents say, and its state is stored as ever.
#[test]
fn a_stream_has_one_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{}\n[time]\npath = \"at\"\nformat = \"unix_ms\"\ndevice = \"id\"\n",
        profile().text()
    );
    let mut broker = Broker::under(folder.path(), Arc::new(Profile::parse(&text).unwrap()));
    for (id, ts) in [("N2", 1_000), ("N5", 2_000)] {
        let document = format!(r#"{{"ts":{ts},"id":"{id}","n1":{{"t":27.6,"seq":1}}}}"#);
        broker.intake.push(document.as_bytes(), NOON).unwrap();
    }
    assert!(broker.intake.settled(WAIT));
    assert_eq!(broker.counts(), [2, 1, 1, 0]);
    drop(broker);
    let db = Connection::open(folder.path().join("journal.db")).unwrap();
    let length = "SELECT length(state) FROM source";
    let length: i64 = db.query_row(length, [], |r| r.get(0)).unwrap();
    assert_eq!(length, 41);
}

/// The profile names the receiver by a value of the document where all receivers share a topic.
#[test]
fn a_receiver_may_be_named_by_its_documents() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "{}\n[time]\npath = \"at\"\nformat = \"unix_ms\"\ndevice = \"id\"\n",
        profile().text()
    );
    let mut broker = Broker::under(folder.path(), Arc::new(Profile::parse(&text).unwrap()));
    for (id, ts) in [("N2", SOUTH_MS), ("N5", NORTH_MS), ("N2", SOUTH_MS + 1)] {
        let document = format!(r#"{{"ts":{ts},"id":"{id}","n1":{{"t":27.6,"seq":1}}}}"#);
        broker.send("all", &document);
    }
    assert_eq!(broker.counts(), [3, 2, 1, 0]);
}

/// Rejects that are offered again are judged by the window of their receiver.
#[test]
fn rejects_are_judged_by_the_window_of_their_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = profile()
        .text()
        .replace("\"n1.t\"", "\"x.t\"")
        .replace("path = \"sts.rx\"", "path = \"x.rx\"");
    let mut broker = Broker::under(folder.path(), Arc::new(Profile::parse(&wrong).unwrap()));
    for (receiver, start_ms) in [("north", NORTH_MS), ("south", SOUTH_MS), ("west", DAY_MS)] {
        broker.hear(receiver, start_ms, 1, 1);
        broker.hear(receiver, start_ms + MINUTE_MS, 2, 1);
        broker.hear(receiver, start_ms + 2 * MINUTE_MS, 3, 2);
    }
    drop(broker);
    let mut broker = Broker::open(folder.path());
    for (receiver, start_ms) in [("north", NORTH_MS), ("south", SOUTH_MS)] {
        broker.hear(receiver, start_ms + 3 * MINUTE_MS, 4, 2);
    }

    let retried = retried_under("broker", profile());
    let retried = broker.journal.retry_rejects(retried, None).unwrap();

    // Number 1 of each and number 2 of the west are new.
    assert_eq!((retried.accepted, retried.duplicate), (4, 5));
    drop(broker);
    let mut broker = Broker::open(folder.path());
    for (receiver, start_ms) in [("north", NORTH_MS), ("south", SOUTH_MS), ("west", DAY_MS)] {
        broker.hear(receiver, start_ms + 40 * MINUTE_MS, 5, 1);
    }
    assert_eq!(broker.counts(), [14, 6, 8, 0]);
}

/// A rejected document moves the clock of its receiver, also over a restart of the journal.
#[test]
fn a_reject_moves_the_clock_of_its_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::open(folder.path());
    broker.hear("south", SOUTH_MS, 1, 1);
    broker.hear("north", 60 * MINUTE_MS, 1, 1);
    // The north restarts, and runs for 59 minutes; then it restarts again.
    broker.send("north", &format!("{{\"ts\":{}}}", 59 * MINUTE_MS));
    drop(broker);
    let mut broker = Broker::open(folder.path());
    broker.hear("north", 50 * MINUTE_MS, 1, 1);
    assert_eq!(broker.counts(), [4, 3, 0, 0]);
}

/// A reject from before a restart of its receiver, offered again behind it, pushes nothing out of the window.
#[test]
fn a_reject_from_before_a_restart_leaves_the_window_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = profile()
        .text()
        .replace("\"n1.t\"", "\"x.t\"")
        .replace("path = \"sts.rx\"", "path = \"x.rx\"");
    let mut broker = Broker::under(folder.path(), Arc::new(Profile::parse(&wrong).unwrap()));
    broker.hear("first", MINUTE_MS, 1, 1);
    broker.hear("south", SOUTH_MS, 500, 500);
    drop(broker);
    let mut broker = Broker::open(folder.path());
    for n in 1..4 {
        broker.hear("south", n * 1_000, n, n);
    }

    let retried = retried_under("broker", profile());
    let retried = broker.journal.retry_rejects(retried, None).unwrap();

    assert_eq!((retried.accepted, retried.duplicate), (2, 0));
    broker.hear("south", 9_000, 4, 2);
    assert_eq!(broker.counts()[..3], [6, 5, 1]);
}

/// A document without an uptime is judged at the present of its receiver.
#[test]
fn a_document_without_an_uptime_belongs_to_its_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::open(folder.path());
    broker.hear("north", NORTH_MS, 1, 1);
    broker.hear("south", SOUTH_MS, 1, 1);
    broker.hear("north", NORTH_MS + 90 * MINUTE_MS, 2, 2);
    let document = r#"{"n1":{"t":27.6,"seq":1}}"#;
    broker.send("south", document);
    assert_eq!(broker.counts(), [4, 3, 1, 0]);
    broker.send("north", document);
    assert_eq!(broker.counts(), [5, 4, 1, 0]);
}

/// In a recording that is given a start, a further receiver begins at the present of the first one, and then follows its own clock.
#[test]
fn a_recording_follows_the_clock_of_each_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let recording = RecordingSettings {
        fingerprint: "f".into(),
        start_ns: Some(NOON),
        ..RecordingSettings::default()
    };
    let journal = open(folder.path());
    let cursor = journal.add_sink("db", None).unwrap();
    let intake = journal
        .add_source(settings("broker"), Some(recording))
        .unwrap();
    let mut broker = Broker::of(journal, intake);
    broker.hear("north", NORTH_MS, 1, 1);
    for (passed_ms, n) in [(20_000, 2), (40_000, 3)] {
        broker.hear("north", NORTH_MS + passed_ms, n, n);
        broker.hear("south", SOUTH_MS + passed_ms, n, n);
    }
    broker.hear("south", SOUTH_MS + 60_000, 4, 4);
    assert!(broker.journal.sync(WAIT));
    let times: Vec<i64> = behind(&cursor)
        .iter()
        .map(|(_, time_ns, _)| (time_ns - NOON) / 1_000_000)
        .collect();
    assert_eq!(times, [0, 20_000, 20_001, 40_000, 40_001, 60_000]);
}

/// Where the window has no room, the receptions of a receiver that has been silent for a day make room.
#[test]
fn a_silent_receiver_makes_room_in_the_window() {
    const NODES: u64 = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::open(folder.path());
    broker.hear("first", MINUTE_MS, 1, 1);
    for seq in 0..=262_144 / NODES {
        let nodes: Vec<String> = (0..NODES)
            .map(|node| format!(r#""m{node}":{{"t":1.5,"seq":{seq}}}"#))
            .collect();
        let document = format!(r#"{{"ts":{seq},"nodes":{{{}}}}}"#, nodes.join(","));
        broker.send("north", &document);
    }
    let not_remembered = |broker: &Broker| {
        let status = broker.journal.status().unwrap();
        status.intake["receptions_not_remembered"]
    };
    let before = not_remembered(&broker);
    let at_ns = NOON + 86_402 * SECOND;
    for (seq, copies) in [(1, 1), (2, 2)] {
        for _ in 0..copies {
            let document = format!(r#"{{"ts":5000,"n1":{{"t":27.6,"seq":{seq}}}}}"#);
            broker.send_at("south", &document, at_ns);
        }
    }
    // The first one came before there was room.
    assert_eq!(not_remembered(&broker), before + 1);
    assert_eq!(broker.counts()[2], 1);
    drop(broker);
    let mut broker = Broker::open(folder.path());
    broker.send_at("south", r#"{"ts":5000,"n1":{"t":27.6,"seq":2}}"#, at_ns);
    broker.send_at("south", r#"{"ts":5000,"n1":{"t":27.6,"seq":3}}"#, at_ns);
    assert_eq!(not_remembered(&broker), before + 1);
    assert_eq!(broker.counts()[2], 2);
}

/// Beyond the bound, receptions of further receivers are accepted and counted, and the others go on; also after a restart.
#[test]
fn receivers_beyond_the_bound_are_counted() {
    const MOST: u64 = 1 + 65_536;
    let folder = tempfile::tempdir().unwrap();
    let mut broker = Broker::open(folder.path());
    for receiver in 0..MOST {
        let document = format!(r#"{{"ts":{},"n1":{{"t":27.6,"seq":1}}}}"#, receiver * 977);
        let topic = format!("lora/{receiver}");
        broker
            .intake
            .push_message(Some(topic.as_bytes()), document.as_bytes(), NOON, 0)
            .unwrap();
        assert!(receiver % 1_000 != 0 || broker.intake.settled(WAIT));
    }
    assert!(broker.intake.settled(WAIT));
    assert_eq!(broker.counts(), [MOST as i64, MOST as i64, 0, 0]);
    drop(broker);
    let mut broker = Broker::open(folder.path());
    broker.hear("further", 5_000, 1, 1);
    broker.hear("further", 6_000, 2, 1);
    for receiver in [0, 1, MOST - 1] {
        broker.hear(&receiver.to_string(), receiver * 977 + 1, 1, 1);
    }
    assert_eq!(broker.counts(), [MOST as i64 + 5, MOST as i64 + 2, 3, 0]);
    let status = broker.journal.status().unwrap();
    assert_eq!(status.intake["receptions_not_remembered"], 2);
    // A reject of such a receiver, offered again, is counted as well.
    broker.send("further", r#"{"ts":7000,"n9":{"t":27.6,"seq":1}}"#);
    let mended = profile().text().replace("\"n1.", "\"n9.");
    let mended = retried_under("broker", Arc::new(Profile::parse(&mended).unwrap()));
    let retried = broker.journal.retry_rejects(mended, None).unwrap();
    assert_eq!(retried.accepted, 1);
    let status = broker.journal.status().unwrap();
    assert_eq!(status.intake["receptions_not_remembered"], 3);

    // A day later, those that were silent make room.
    let document = r#"{"ts":4000000,"n1":{"t":27.6,"seq":3}}"#;
    for receiver in ["0", "1", "further", "further"] {
        broker.send_at(receiver, document, NOON + 86_401 * SECOND);
    }
    assert_eq!(broker.counts()[1..3], [MOST as i64 + 6, 4]);
    drop(broker);
    let mut broker = Broker::open(folder.path());
    for receiver in ["further", "another"] {
        broker.send_at(receiver, document, NOON + 86_402 * SECOND);
    }
    assert_eq!(broker.counts()[1..3], [MOST as i64 + 7, 5]);
    let status = broker.journal.status().unwrap();
    assert_eq!(status.intake["receptions_not_remembered"], 3);
}
