//! A live table over a real journal: its content, its beginning, and that it delays nothing.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use iiot_core::Profile;
use iiot_journal::{
    Confirmation, Cursor, Intake, Journal, Options, SourceSettings, Supply, TopicValue,
};
use iiot_live::{Live, MAX_SERIES};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(20);
const NOON_MS: i64 = 1_700_000_000_000;
const TAP_BYTES: usize = 1 << 20;

fn open(folder: &Path) -> Journal {
    Journal::open(&folder.join("journal.db"), &Options::default()).unwrap()
}

fn source(journal: &Journal) -> Intake {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../python/iiot_gateway/profiles/lora-bridge.toml");
    let profile = Profile::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    let settings = SourceSettings {
        name: "serial".into(),
        profile: Arc::new(profile),
        topic_prefix: "iiot".into(),
        tags: vec![("site".into(), "north".into())],
        dedup_window: Duration::from_secs(3600),
        time_step_us: 1000,
        supply: Supply::Live,
        max_document_bytes: 1 << 20,
        rtt_channel: None,
        is_shared: false,
    };
    journal.add_source(settings, None).unwrap()
}

fn push(intake: &mut Intake, text: &str, ms: i64) {
    intake.push(text.as_bytes(), ms * 1_000_000).unwrap();
    assert!(intake.settled(WAIT));
}

fn packet(seq: u64, temperature: &str) -> String {
    format!(
        "{{\"ts\":{},\"id\":\"N2\",\"n1\":{{\"t\":{temperature},\"seq\":{seq}}},\"sig\":{{\"rssi\":-{},\"snr\":8.5}}}}\n",
        seq * 1000,
        40 + seq
    )
}

fn deliver(cursor: &Cursor, topics: Vec<TopicValue>) {
    let (from, end) = (cursor.position(), cursor.visible());
    let confirmation = Confirmation {
        from,
        end,
        delivered: end - from,
        topics,
        ..Confirmation::default()
    };
    cursor.confirmer().confirm(confirmation).unwrap();
    assert!(cursor.confirmer().wait_settled(end, WAIT));
}

fn latest(live: &Live) -> Value {
    serde_json::from_slice(&live.latest()).unwrap()
}

fn changes(live: &Live, since: u64) -> Value {
    serde_json::from_slice(&live.changes(since)).unwrap()
}

fn series<'a>(document: &'a Value, topic: &str) -> &'a Value {
    document["series"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["topic"] == topic)
        .unwrap()
}

#[test]
fn a_value_is_shown_as_the_text_it_came_as_with_its_name_and_times() {
    //! 27.60 stays 27.60.
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut live = Live::new(journal.tap(TAP_BYTES).unwrap()).unwrap();
    let mut intake = source(&journal);

    push(&mut intake, &packet(1, "27.60"), NOON_MS);
    live.follow().unwrap();

    assert_eq!(
        *series(&latest(&live), "iiot/node1/temperature"),
        json!({
            "id": 0, "value": "27.60", "kind": "number", "time_ms": NOON_MS, "received_at_ms": NOON_MS, "count": 1,
            "topic": "iiot/node1/temperature", "measurement": "temperature", "field": "value",
            "tags": {"node": "node1", "site": "north", "unit": "celsius"}, "unit": "celsius", "source": "serial",
            "of_receiver": false, "samples": [[NOON_MS, 27.6]],
        })
    );
}

#[test]
fn changes_hold_what_is_new_and_nothing_else() {
    //! Known series come with their value only; new series come whole.
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut live = Live::new(journal.tap(TAP_BYTES).unwrap()).unwrap();
    let mut intake = source(&journal);
    push(&mut intake, &packet(1, "1"), NOON_MS);
    let first = live.follow().unwrap();

    push(
        &mut intake,
        "{\"n1\":{\"t\":2,\"seq\":2,\"h\":50}}\n",
        NOON_MS + 5000,
    );
    let second = live.follow().unwrap();

    let found = changes(&live, first);
    assert_eq!(found["version"], second);
    assert_eq!(found["changed"].as_array().unwrap().len(), 1);
    assert_eq!(found["changed"][0]["value"], "2");
    assert_eq!(found["added"].as_array().unwrap().len(), 1);
    assert_eq!(found["added"][0]["topic"], "iiot/node1/humidity");
    let nothing = changes(&live, second);
    assert_eq!(
        (&nothing["changed"], &nothing["added"]),
        (&json!([]), &json!([]))
    );
}

#[test]
fn frames_that_every_sink_has_had_are_shown_and_nothing_is_held_back() {
    //! The tap has no cursor: the journal is emptied as usual.
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let mut live = Live::new(journal.tap(TAP_BYTES).unwrap()).unwrap();
    let mut intake = source(&journal);

    for seq in 1..=50 {
        push(&mut intake, &packet(seq, "20"), NOON_MS + seq as i64);
        deliver(&cursor, Vec::new());
    }

    assert_eq!(journal.status().unwrap().journal.frames, 0);
    live.follow().unwrap();
    assert_eq!(
        series(&latest(&live), "iiot/node1/temperature")["count"],
        50
    );
}

#[test]
fn after_a_restart_it_begins_with_kept_frames_and_confirmed_values() {
    //! The page is not empty, though no frame has come yet.
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let mut intake = source(&journal);
    push(&mut intake, &packet(1, "20.5"), NOON_MS);
    deliver(
        &cursor,
        vec![TopicValue {
            topic: "iiot/node1/temperature".into(),
            payload: b"20.5".to_vec(),
            retain: true,
            time_ns: NOON_MS * 1_000_000,
        }],
    );
    push(&mut intake, "{\"n2\":{\"t\":7}}\n", NOON_MS + 1);
    drop((intake, cursor, journal));

    let journal = open(folder.path());
    let mut live = Live::new(journal.tap(TAP_BYTES).unwrap()).unwrap();
    live.follow().unwrap();

    let found = latest(&live);
    let confirmed = series(&found, "iiot/node1/temperature");
    assert_eq!(
        (&confirmed["value"], &confirmed["time_ms"]),
        (&json!("20.5"), &json!(NOON_MS))
    );
    assert_eq!(series(&found, "iiot/node2/temperature")["value"], "7");
}

#[test]
fn a_frame_names_a_value_that_was_known_by_its_topic_only() {
    //! It keeps its place and gets its measurement and source.
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("mqtt", None).unwrap();
    let mut intake = source(&journal);
    push(&mut intake, &packet(1, "1"), NOON_MS);
    let known = TopicValue {
        topic: "iiot/node1/temperature".into(),
        payload: b"1".to_vec(),
        retain: true,
        time_ns: NOON_MS * 1_000_000,
    };
    deliver(&cursor, vec![known]);
    let mut live = Live::new(journal.tap(TAP_BYTES).unwrap()).unwrap();
    live.follow().unwrap();

    push(&mut intake, &packet(2, "2"), NOON_MS + 9000);
    live.follow().unwrap();

    let found = latest(&live);
    let topics: Vec<_> = found["series"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["topic"].clone())
        .collect();
    assert_eq!(
        topics
            .iter()
            .filter(|t| **t == "iiot/node1/temperature")
            .count(),
        1
    );
    let series = series(&found, "iiot/node1/temperature");
    assert_eq!(
        (&series["value"], &series["measurement"], &series["source"]),
        (&json!("2"), &json!("temperature"), &json!("serial"))
    );
}

#[test]
fn a_link_shows_the_signal_of_its_node_and_what_came_of_its_packets() {
    //! Packets 4 and 5 were lost on air, 2 came twice.
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut live = Live::new(journal.tap(TAP_BYTES).unwrap()).unwrap();
    let mut intake = source(&journal);

    for (at, seq) in [1, 2, 2, 3, 6].into_iter().enumerate() {
        push(&mut intake, &packet(seq, "20"), NOON_MS + at as i64 * 2000);
    }
    live.follow().unwrap();

    let found = latest(&live);
    assert_eq!(
        series(&found, "iiot/signal/rssi")["of_receiver"],
        json!(true)
    );
    assert_eq!(
        found["links"],
        json!([{
            "source": "serial", "node": "node1", "rssi_dbm": "-46", "snr_db": "8.5",
            "received": 4, "duplicate": 1, "lost_on_air": 2, "last_received_at_ms": NOON_MS + 8000,
            "rssi_samples": [[NOON_MS, -41.0], [NOON_MS + 2000, -42.0], [NOON_MS + 6000, -43.0], [NOON_MS + 8000, -46.0]],
        }])
    );
}

#[test]
fn a_late_value_counts_and_does_not_go_back() {
    //! As with retained topics: the newest time is shown.
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut live = Live::new(journal.tap(TAP_BYTES).unwrap()).unwrap();
    let profile = "name = \"timed\"\n[time]\npath = \"at\"\nformat = \"unix_ms\"\n[[metric]]\npath = \"v\"\ntopic = \"v\"\nmeasurement = \"v\"\n";
    let settings = SourceSettings {
        name: "timed".into(),
        profile: Arc::new(Profile::parse(profile).unwrap()),
        topic_prefix: String::new(),
        tags: Vec::new(),
        dedup_window: Duration::ZERO,
        time_step_us: 1000,
        supply: Supply::Live,
        max_document_bytes: 65_536,
        rtt_channel: None,
        is_shared: false,
    };
    let mut intake = journal.add_source(settings, None).unwrap();

    let (newer, older) = (NOON_MS - 4000, NOON_MS - 4500);
    let documents = format!("{{\"at\":{newer},\"v\":7}}\n{{\"at\":{older},\"v\":8}}\n");
    push(&mut intake, &documents, NOON_MS);
    live.follow().unwrap();

    let found = latest(&live);
    let series = series(&found, "v");
    assert_eq!(
        (&series["value"], &series["count"], &series["time_ms"]),
        (&json!("7"), &json!(2), &json!(newer))
    );
}

#[test]
fn series_beyond_the_limit_are_counted_and_not_kept() {
    //! A source that invents names cannot fill the memory.
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut live = Live::new(journal.tap(64 << 20).unwrap()).unwrap();
    let mut intake = source(&journal);
    for block in 0..5 {
        let mut text = String::from("{\"nodes\":{");
        for node in 0..1000 {
            let comma = if node == 0 { "" } else { "," };
            write!(text, "{comma}\"n{}\":{{\"t\":1}}", block * 1000 + node).unwrap();
        }
        text.push_str("}}\n");
        push(&mut intake, &text, NOON_MS + block);
    }

    live.follow().unwrap();

    let found = latest(&live);
    assert_eq!(found["series"].as_array().unwrap().len(), MAX_SERIES);
    assert_eq!(found["values_not_shown"], 5000 - MAX_SERIES);
}

#[test]
fn who_looks_too_seldom_is_told_how_many_frames_were_left_out() {
    //! The ring between two looks is bounded.
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut live = Live::new(journal.tap(2000).unwrap()).unwrap();
    let mut intake = source(&journal);

    for seq in 1..=100 {
        push(&mut intake, &packet(seq, "20"), NOON_MS + seq as i64 * 1000);
    }
    live.follow().unwrap();

    let found = latest(&live);
    let shown = series(&found, "iiot/node1/temperature");
    assert_eq!(
        shown["count"].as_u64().unwrap() + found["frames_left_out"].as_u64().unwrap(),
        100
    );
    assert!(found["frames_left_out"].as_u64().unwrap() > 0);
    assert_eq!(shown["received_at_ms"], NOON_MS + 100_000);
}
