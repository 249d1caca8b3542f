//! The times of messages: distinct for each series, exact for devices that send uptimes, and the same after a restart.

use crate::common::{NOON, SECOND, WAIT, balanced, open, retried_under, settings};
use iiot_core::profile::Profile;
use iiot_core::scan::Scan;
use iiot_journal::{Cursor, Intake, Journal, SourceSettings};
use std::path::Path;
use std::sync::Arc;

const MS: i64 = 1_000_000;

fn profile(time: &str) -> Arc<Profile> {
    let text = format!(
        "name = \"plant\"\n[time]\n{time}\n[[point]]\nfilter = \"plant/#\"\nmeasurement = \"m\"\ntags = {{ id = \"{{id}}\" }}\nfields = {{ v = \"number\", w = \"number\" }}\n[[point]]\nfilter = \"plant/#\"\neach = \"items[*]\"\nmeasurement = \"item\"\ntime = {{ path = \"at\", format = \"unix_s_or_uptime_ms\" }}\nfields = {{ x = \"number\" }}\n"
    );
    Arc::new(Profile::parse(&text).unwrap())
}

fn plant() -> SourceSettings {
    SourceSettings {
        profile: profile("path = \"at\"\nformat = \"unix_s_or_uptime_ms\"\ndevice = \"id\""),
        ..settings("plant")
    }
}

struct Plant {
    journal: Journal,
    cursor: Cursor,
    intake: Intake,
}

impl Plant {
    fn open(folder: &Path) -> Self {
        Self::of(folder, plant())
    }

    fn of(folder: &Path, settings: SourceSettings) -> Self {
        let journal = open(folder);
        let cursor = journal.add_sink("influxdb", None).unwrap();
        let intake = journal.add_source(settings, None).unwrap();
        Self {
            journal,
            cursor,
            intake,
        }
    }

    fn send(&mut self, document: &str, received_at_ns: i64) {
        let topic = Some(&b"plant/a"[..]);
        self.intake
            .push_message(topic, document.as_bytes(), received_at_ns, 0)
            .unwrap();
        assert!(self.intake.settled(WAIT));
    }

    fn count(&self, name: &str) -> i64 {
        let status = self.journal.status().unwrap();
        balanced(&status);
        status.intake.get(name).copied().unwrap_or(0)
    }

    /// Series, fields and time of each line.
    fn lines(&self) -> Vec<String> {
        let mut scan = Scan::new();
        let mut text = Vec::new();
        let mut cursor = self.journal.add_sink("influxdb", None).unwrap();
        for row in cursor.read(self.cursor.position(), 64 << 20).unwrap() {
            let info = cursor.origin(row.origin).unwrap();
            for frame in row.frames() {
                let decoded = info.decode(&frame, &mut scan).unwrap();
                decoded.write_lines(&info.origin, frame.time(), &mut text);
            }
        }
        String::from_utf8(text)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

/// A device with one-second times sends different values within a second: all survive, also over a restart. A repeat is a duplicate.
#[test]
fn values_of_one_second_survive_and_repeats_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let second = NOON / SECOND;
    let documents: Vec<String> = (0..100)
        .map(|n| format!("{{\"id\":\"d\",\"at\":{second},\"v\":{n}}}"))
        .collect();
    let mut plant = Plant::open(folder.path());
    for document in &documents[..50] {
        plant.send(document, NOON);
    }
    drop(plant);
    let mut plant = Plant::open(folder.path());
    for document in documents.iter().chain(&documents) {
        plant.send(document, NOON + SECOND);
    }
    // Another field has room beside the first value.
    plant.send(&format!("{{\"id\":\"d\",\"at\":{second},\"w\":7}}"), NOON);
    let expected: Vec<String> = (0..100)
        .map(|n| format!("m,id=d v={n} {}", NOON + n * MS))
        .chain([format!("m,id=d w=7 {NOON}")])
        .collect();
    assert_eq!(plant.lines(), expected);
    assert_eq!(
        (plant.count("accepted"), plant.count("duplicate")),
        (101, 150)
    );
}

/// Where the profile says that repeats are real, and for messages without a time, equal messages are all kept.
#[test]
fn equal_messages_may_be_real() {
    let folder = tempfile::tempdir().unwrap();
    let real = SourceSettings {
        profile: profile("path = \"at\"\nformat = \"unix_s\"\nrepeats = \"real\""),
        ..settings("plant")
    };
    let mut plant = Plant::of(folder.path(), real);
    let second = NOON / SECOND;
    for _ in 0..2 {
        plant.send(&format!("{{\"id\":\"d\",\"at\":{second},\"v\":1}}"), NOON);
        plant.send("{\"id\":\"d\",\"v\":2}", NOON + SECOND);
    }
    assert_eq!(
        plant.lines(),
        [
            format!("m,id=d v=1 {NOON}"),
            format!("m,id=d v=2 {}", NOON + SECOND),
            format!("m,id=d v=1 {}", NOON + MS),
            format!("m,id=d v=2 {}", NOON + SECOND + MS),
        ]
    );
}

/// Messages without a time that arrive at once have one time, unless they are of one series; a restart forgets none that lie ahead.
#[test]
fn stamps_are_distinct_per_series_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::open(folder.path());
    for n in 0..50 {
        plant.send(&format!("{{\"id\":\"d{n}\",\"v\":1}}"), NOON);
    }
    for _ in 0..4 {
        plant.send("{\"id\":\"d7\",\"v\":1}", NOON);
    }
    drop(plant);
    let mut plant = Plant::open(folder.path());
    plant.send("{\"id\":\"d7\",\"v\":1}", NOON);
    plant.send("{\"id\":\"d8\",\"v\":1}", NOON);
    let times: Vec<i64> = plant
        .lines()
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap() - NOON)
        .collect();
    assert_eq!(times[..50], [0; 50]);
    assert_eq!(times[50..], [MS, 2 * MS, 3 * MS, 4 * MS, 5 * MS, MS]);
}

/// Uptimes keep their distances through a backlog and a restart of the gateway, and stored frames are decoded with the run that they came from.
#[test]
fn uptimes_keep_their_distances() {
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::open(folder.path());
    let uptime = 20 * 86_400_000 + 500;
    let document = |n: i64| format!("{{\"id\":\"d\",\"at\":{},\"v\":{n}}}", uptime + n * 10_000);
    plant.send(&document(0), NOON);
    plant.send(&document(1), NOON + 10 * SECOND);
    drop(plant);
    let mut plant = Plant::open(folder.path());
    let later = NOON + 21_600 * SECOND;
    for n in 2..6 {
        plant.send(&document(n), later + n);
    }
    plant.send(&document(5), later + SECOND);
    // The device restarts.
    plant.send("{\"id\":\"d\",\"at\":2000,\"v\":6}", later + 60 * SECOND);
    let mut expected: Vec<String> = (0..6)
        .map(|n| format!("m,id=d v={n} {}", NOON + n * 10 * SECOND))
        .collect();
    expected.push(format!("m,id=d v=6 {}", later + 60 * SECOND));
    assert_eq!(plant.lines(), expected);
    assert_eq!(plant.count("duplicate"), 1);
    assert!(
        plant
            .journal
            .status()
            .unwrap()
            .times_not_believed
            .is_empty()
    );
}

/// Uptimes that look like dates, after days in which nothing was heard and the gateway restarted: of a run that was known, and of one that began behind dates.
#[test]
fn uptimes_after_a_silence_are_no_dates() {
    const DAY: i64 = 86_400 * SECOND;
    for day in 17..23 {
        for silence in [2, 19].into_iter().filter(|silence| *silence <= day) {
            let folder = tempfile::tempdir().unwrap();
            let mut plant = Plant::open(folder.path());
            // On day 19, the uptime reads as today.
            let uptime = if day == 19 {
                NOON / SECOND - 3_600
            } else {
                day * 86_400_000
            };
            let boot = NOON - uptime * MS;
            let before = NOON - silence * DAY;
            let send = |plant: &mut Plant, device: &str, at: i64, arrival: i64| {
                plant.send(
                    &format!("{{\"id\":\"{device}\",\"at\":{at},\"v\":1}}"),
                    arrival,
                );
            };
            send(&mut plant, "known", (before - boot) / MS, before);
            for n in 0..2 {
                let clock = boot - 60 * SECOND + n * 10 * SECOND;
                send(&mut plant, "dated", clock / SECOND, clock);
            }
            drop(plant);
            let mut plant = Plant::open(folder.path());
            for n in 0..3 {
                let arrival = NOON + n * 10 * SECOND;
                for device in ["known", "dated"] {
                    send(&mut plant, device, (arrival - boot) / MS, arrival);
                }
            }
            let right = |device: &str| {
                let expected = (0..3).map(|n| NOON + n * 10 * SECOND);
                let lines = plant.lines();
                expected
                    .filter(|time| lines.contains(&format!("m,id={device} v=1 {time}")))
                    .count()
            };
            assert_eq!(right("known"), 3, "day {day}, silence of {silence} days");
            // Its first number today may be a date that the device kept.
            assert!(right("dated") >= if day == 19 { 2 } else { 3 }, "day {day}");
        }
    }
}

/// Items have times of their own: dates, and uptimes by the run of the device; those whose time is taken move.
#[test]
fn items_move_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::open(folder.path());
    let second = NOON / SECOND;
    plant.send(
        &format!("{{\"id\":\"d\",\"v\":1,\"items\":[{{\"at\":{second},\"x\":1}},{{\"at\":{},\"x\":2}}]}}", second + 1),
        NOON + 2 * SECOND,
    );
    plant.send(
        &format!("{{\"id\":\"d\",\"v\":2,\"items\":[{{\"at\":{second},\"x\":3}},{{\"at\":{second},\"x\":4}},{{\"x\":5}}]}}"),
        NOON + 3 * SECOND,
    );
    plant.send(
        "{\"id\":\"e\",\"v\":3,\"items\":[{\"at\":5000,\"x\":6},{\"at\":6000,\"x\":7}]}",
        NOON + 4 * SECOND,
    );
    assert_eq!(
        plant.lines(),
        [
            format!("m,id=d v=1 {}", NOON + 2 * SECOND),
            format!("item x=1 {NOON}"),
            format!("item x=2 {}", NOON + SECOND),
            format!("m,id=d v=2 {}", NOON + 3 * SECOND),
            format!("item x=3 {}", NOON + MS),
            format!("item x=4 {}", NOON + 2 * MS),
            format!("item x=5 {}", NOON + 3 * SECOND),
            format!("m,id=e v=3 {}", NOON + 4 * SECOND),
            format!("item x=6 {}", NOON + 3 * SECOND + MS),
            format!("item x=7 {}", NOON + 4 * SECOND),
        ]
    );
}

/// Items whose times are not believed do not meet each other at the time of their arrival.
#[test]
fn items_of_wrong_times_keep_apart() {
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::open(folder.path());
    let ahead = [5_000_000_000_i64, 6_000_000_000];
    let [one, other] = ahead;
    plant.send(
        &format!("{{\"id\":\"d\",\"v\":1,\"items\":[{{\"at\":{one},\"x\":1}},{{\"at\":{other},\"x\":2}},{{\"x\":3}}]}}"),
        NOON,
    );
    assert_eq!(
        plant.lines(),
        [
            format!("m,id=d v=1 {NOON}"),
            format!("item x=1 {}", NOON + MS),
            format!("item x=2 {}", NOON + 2 * MS),
            format!("item x=3 {NOON}"),
        ]
    );
    assert_eq!(
        plant.journal.status().unwrap().times_not_believed["plant"],
        1
    );
}

/// A reject that is offered again is judged as if it had come in its turn: its time moves away from others, and a repeat is a duplicate.
#[test]
fn a_retried_message_keeps_apart_from_what_was_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let narrow = SourceSettings {
        profile: Arc::new(
            Profile::parse(
                "name = \"plant\"\n[time]\npath = \"at\"\nformat = \"unix_s\"\n[[point]]\nfilter = \"plant/b\"\nmeasurement = \"m\"\ntags = { id = \"{id}\" }\nfields = { v = \"number\" }\n",
            )
            .unwrap(),
        ),
        ..settings("plant")
    };
    let second = NOON / SECOND;
    let first = format!("{{\"id\":\"d\",\"at\":{second},\"v\":1}}");
    let mut plant = Plant::of(folder.path(), narrow);
    plant.send(&first, NOON);
    plant.send(&first, NOON);
    assert_eq!(plant.count("rejected"), 2);
    drop(plant);
    let mut plant = Plant::open(folder.path());
    plant.send(&format!("{{\"id\":\"d\",\"at\":{second},\"v\":2}}"), NOON);
    let retried = plant
        .journal
        .retry_rejects(retried_under("plant", self::plant().profile), None)
        .unwrap();
    assert_eq!((retried.accepted, retried.duplicate), (1, 1));
    // What the retry gave is known to the running source.
    plant.send(&format!("{{\"id\":\"d\",\"at\":{second},\"v\":3}}"), NOON);
    assert_eq!(
        plant.lines(),
        [
            format!("m,id=d v=2 {NOON}"),
            format!("m,id=d v=1 {}", NOON + MS),
            format!("m,id=d v=3 {}", NOON + 2 * MS),
        ]
    );
}

/// The log of the memory is folded up when it has grown, and what it said is still known.
#[test]
fn a_long_log_is_folded_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut plant = Plant::open(folder.path());
    let second = NOON / SECOND;
    let document = |n: i64| format!("{{\"id\":\"d{}\",\"at\":{second},\"v\":{n}}}", n % 50);
    for n in 0..20_000 {
        let topic = Some(&b"plant/a"[..]);
        plant
            .intake
            .push_message(topic, document(n).as_bytes(), NOON, 0)
            .unwrap();
        assert!(n % 500 > 0 || plant.intake.wait_room(WAIT));
    }
    assert!(plant.intake.settled(WAIT));
    drop(plant);
    let db = rusqlite::Connection::open(folder.path().join("journal.db")).unwrap();
    let size = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert!(size("SELECT length(memory) FROM source") > 0);
    assert!(size("SELECT coalesce(sum(length(entries)), 0) FROM memory_log") < 512 * 1024);
    drop(db);
    let mut plant = Plant::open(folder.path());
    let accepted = plant.count("accepted");
    plant.send(&document(19_999), NOON);
    plant.send(&document(19_998), NOON);
    assert_eq!(
        (plant.count("accepted"), plant.count("duplicate")),
        (accepted, 2)
    );
}
