//! Frames know their device: what the registry said when they were accepted.

use crate::common::{NOON, SECOND, WAIT, balanced, open, retried_under, settings};
use iiot_core::profile::Profile;
use iiot_core::{Scan, device_snapshot};
use iiot_journal::{
    Confirmation, Cursor, Intake, Journal, Message, SinkReject, SourceSettings, Supply,
};
use std::sync::Arc;

fn profile(fields: &str) -> Arc<Profile> {
    let text = format!(
        "name = \"plant\"\n[time]\npath = \"at\"\nformat = \"unix_s_or_uptime_ms\"\n[[point]]\nmeasurement = \"m\"\ntags = {{ location = \"{{place}}\" }}\nfields = {{ {fields} }}\n"
    );
    Arc::new(Profile::parse(&text).unwrap())
}

fn plant() -> SourceSettings {
    SourceSettings {
        profile: profile("v = \"number\""),
        tags: vec![("site".into(), "north".into())],
        supply: Supply::Waiting,
        ..settings("plant")
    }
}

fn snapshot(id: &str, name: &str) -> Vec<u8> {
    device_snapshot(&[("device_id", id), ("device_name", name)]).unwrap()
}

fn push(intake: &mut Intake, device: &[u8], document: &str, received_at_ns: i64) {
    intake.take_message(&Message {
        topic: Some(b"$api/telemetry"),
        device: (!device.is_empty()).then_some(device),
        document: document.as_bytes(),
        received_at_ns,
        ..Message::default()
    });
    intake.send_messages().unwrap();
}

fn lines(cursor: &mut Cursor) -> Vec<String> {
    let mut scan = Scan::new();
    let mut text = Vec::new();
    for row in cursor.read(cursor.position(), 64 << 20).unwrap() {
        let info = cursor.origin(row.origin).unwrap();
        for frame in row.frames() {
            let decoded = info.decode(&frame, &mut scan).unwrap();
            decoded.write_lines(&info.origin, frame.time(), &mut text);
        }
    }
    let text = String::from_utf8(text).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A renamed device changes later points only, and frames without a device stand among them.
#[test]
fn a_point_has_the_tags_of_when_it_was_accepted() {
    let folder = tempfile::tempdir().unwrap();
    {
        let journal = open(folder.path());
        journal.add_sink("influxdb", None).unwrap();
        let mut intake = journal.add_source(plant(), None).unwrap();
        push(&mut intake, &snapshot("e1", "Oven"), "{\"v\":1}", NOON);
        push(
            &mut intake,
            &snapshot("e1", "Old oven"),
            "{\"v\":2,\"place\":\"hall\"}",
            NOON + SECOND,
        );
        push(&mut intake, b"", "{\"v\":3}", NOON + 2 * SECOND);
        assert!(intake.settled(WAIT));
    }
    let journal = open(folder.path());
    let mut cursor = journal.add_sink("influxdb", None).unwrap();
    assert_eq!(
        lines(&mut cursor),
        [
            format!("m,device_id=e1,device_name=Oven,site=north v=1 {NOON}"),
            format!(
                "m,device_id=e1,device_name=Old\\ oven,location=hall,site=north v=2 {}",
                NOON + SECOND
            ),
            format!("m,site=north v=3 {}", NOON + 2 * SECOND),
        ]
    );
}

/// Ten thousand devices do not make ten thousand rows.
#[test]
fn many_devices_share_rows() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("influxdb", None).unwrap();
    let mut intake = journal.add_source(plant(), None).unwrap();
    for n in 0..10_000 {
        let device = snapshot(&format!("e{n}"), "Oven");
        push(&mut intake, &device, "{\"v\":1}", NOON + n * SECOND);
    }
    assert!(intake.settled(WAIT));
    assert!(journal.sync(WAIT));
    let rows = cursor.read(cursor.position(), 64 << 20).unwrap();
    // How many commits there are depends on how busy the machine is; a row for each device would be ten thousand.
    assert!(rows.len() < 2_500, "{} rows", rows.len());
    let frames = rows.iter().map(|row| row.frames().count());
    assert_eq!(frames.sum::<usize>(), 10_000);
}

/// Two devices have one topic: their documents of one time are no repeats, and neither moves the other. Nor does the clock of one decide about the other's.
#[test]
fn devices_share_neither_series_nor_clock() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut cursor = journal.add_sink("influxdb", None).unwrap();
    let mut intake = journal.add_source(plant(), None).unwrap();
    let (first, second) = (snapshot("e1", "a"), snapshot("e2", "b"));
    let at = NOON / SECOND;
    let document = format!("{{\"v\":1,\"at\":{at}}}");
    for device in [&first, &second, &first] {
        push(&mut intake, device, &document, NOON);
    }
    // Both send uptimes, each since its own start.
    for (device, uptime_ms, s) in [
        (&first, 900_000, 10),
        (&second, 5_000, 10),
        (&first, 901_000, 11),
        (&second, 6_000, 11),
        // It waited 48 s on its way; the start of the device's run says so.
        (&first, 902_000, 60),
    ] {
        let document = format!("{{\"v\":2,\"at\":{uptime_ms}}}");
        push(&mut intake, device, &document, NOON + s * SECOND);
    }
    assert!(intake.settled(WAIT));
    assert!(journal.sync(WAIT));
    let status = journal.status().unwrap();
    balanced(&status);
    assert_eq!(
        (status.intake["accepted"], status.intake["duplicate"]),
        (7, 1)
    );
    let lines = lines(&mut cursor);
    assert_eq!(
        lines[0],
        format!("m,device_id=e1,device_name=a,site=north v=1 {NOON}")
    );
    assert_eq!(
        lines[1],
        format!("m,device_id=e2,device_name=b,site=north v=1 {NOON}")
    );
    for (line, s) in lines[2..].iter().zip([10, 10, 11, 11, 12]) {
        assert!(line.ends_with(&(NOON + s * SECOND).to_string()), "{line}");
    }
}

/// Devices of one kind count from 1 and name their nodes alike: equal documents of two devices are two. Each device has repeats, losses and a window of its own,
/// also after a restart, and while the one that has a clock is silent.
#[test]
fn equal_sequence_numbers_of_two_devices_are_no_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let text = "name = \"door\"\n[clock]\nuptime_ms = \"ts\"\n[[sequence]]\nnode = \"door\"\nseq = \"seq\"\n[[metric]]\npath = \"open\"\ntopic = \"open\"\nmeasurement = \"door\"\n";
    let doors = |text: &str| SourceSettings {
        profile: Arc::new(Profile::parse(text).unwrap()),
        ..settings("doors")
    };
    let [bridge, front, back] = ["e1", "e2", "e3"].map(|id| snapshot(id, "Door"));
    let counts = |journal: &Journal| {
        let status = journal.status().unwrap();
        balanced(&status);
        ["accepted", "duplicate", "lost_on_air"].map(|name| status.intake[name])
    };
    {
        // Under this profile the bridge becomes the first receiver of the source, with a clock.
        let journal = open(folder.path());
        let mut intake = journal.add_source(doors(text), None).unwrap();
        push(
            &mut intake,
            &bridge,
            r#"{"ts":5000,"open":1,"seq":1}"#,
            NOON,
        );
        assert!(intake.settled(WAIT));
        assert_eq!(counts(&journal), [1, 0, 0]);
    }
    let without_clock = text.replace("[clock]\nuptime_ms = \"ts\"\n", "");
    {
        let journal = open(folder.path());
        let mut intake = journal.add_source(doors(&without_clock), None).unwrap();
        for (seq, s) in [(1, 1), (1, 2), (4, 3)] {
            for device in [&front, &back] {
                let document = format!(r#"{{"open":1,"seq":{seq}}}"#);
                push(&mut intake, device, &document, NOON + s * SECOND);
            }
        }
        assert!(intake.settled(WAIT));
        assert_eq!(counts(&journal), [5, 2, 4]);
    }
    let journal = open(folder.path());
    let mut intake = journal.add_source(doors(&without_clock), None).unwrap();
    let before = counts(&journal);
    // 4 came 3 s after noon: it is a repeat for an hour.
    for s in [3_603, 3_604] {
        push(
            &mut intake,
            &back,
            r#"{"open":1,"seq":4}"#,
            NOON + s * SECOND,
        );
    }
    push(
        &mut intake,
        &front,
        r#"{"open":1,"seq":1}"#,
        NOON + 90_000 * SECOND,
    );
    assert!(intake.settled(WAIT));
    let after = counts(&journal);
    assert_eq!([after[0] - before[0], after[1] - before[1]], [2, 1]);
}

/// A reject of the intake and one of a sink keep the device, so that offering them again gives the points that they would have been.
#[test]
fn a_reject_that_is_offered_again_has_its_device() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut cursor = journal.add_sink("influxdb", None).unwrap();
    let mut intake = journal.add_source(plant(), None).unwrap();
    let device = snapshot("e1", "Oven");
    push(&mut intake, &device, "{\"w\":1}", NOON);
    push(&mut intake, &device, "{\"v\":2}", NOON + SECOND);
    assert!(intake.settled(WAIT));
    let confirmer = cursor.confirmer();
    let from = cursor.position();
    confirmer
        .confirm(Confirmation {
            from,
            end: from + 1,
            rejected: 1,
            rejects: vec![SinkReject {
                position: from,
                point: 0,
                field: None,
                reason: "refused".into(),
                excerpt: String::new(),
            }],
            ..Confirmation::default()
        })
        .unwrap();
    assert!(confirmer.wait_settled(from + 1, WAIT));

    let mended = retried_under("plant", profile("v = \"number\", w = \"number\""));
    assert_eq!(journal.retry_rejects(mended, None).unwrap().accepted, 2);
    assert!(journal.sync(WAIT));
    balanced(&journal.status().unwrap());
    let mut lines = lines(&mut cursor);
    lines.sort();
    assert_eq!(
        lines,
        [
            format!(
                "m,device_id=e1,device_name=Oven,site=north v=2 {}",
                NOON + SECOND
            ),
            format!("m,device_id=e1,device_name=Oven,site=north w=1 {NOON}"),
        ]
    );
}

/// Those of one device and span, whoever refused them; counts and other devices' rejects stay. A place counts as passed when every sink's cursor has passed it.
#[test]
fn rejects_of_a_device_are_deleted_once_every_sink_has_passed_them() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let first = journal.add_sink("first", None).unwrap();
    let second = journal.add_sink("second", None).unwrap();
    let mut intake = journal.add_source(plant(), None).unwrap();
    for (device, document, s) in [
        ("e1", "{\"v\":1}", 0),
        ("e1", "[broken", 1),
        ("e2", "[broken", 2),
        ("e1", "[broken", 3),
    ] {
        let device = snapshot(device, "Oven");
        push(&mut intake, &device, document, NOON + s * SECOND);
    }
    assert!(intake.settled(WAIT));
    let end = journal.end(WAIT).unwrap();
    assert_eq!(journal.behind(end).unwrap(), ["first", "second"]);
    let from = first.position();
    let confirmer = first.confirmer();
    confirmer
        .confirm(Confirmation {
            from,
            end,
            rejected: 1,
            rejects: vec![SinkReject {
                position: from,
                point: 0,
                field: None,
                reason: "refused".into(),
                excerpt: String::new(),
            }],
            ..Confirmation::default()
        })
        .unwrap();
    assert!(confirmer.wait_settled(end, WAIT));
    assert_eq!(journal.behind(end).unwrap(), ["second"]);
    drop(second);

    let (begin, stop) = (NOON, NOON + 3 * SECOND);
    assert_eq!(journal.rejects(100).unwrap().len(), 4);
    assert_eq!(journal.delete_rejects("e1", begin, stop).unwrap(), 2);
    assert_eq!(journal.delete_rejects("e1", begin, stop).unwrap(), 0);

    let left: Vec<_> = journal.rejects(100).unwrap();
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().all(|reject| reject.sink.is_none()));
    let status = journal.status().unwrap();
    balanced(&status);
    assert_eq!((status.intake["rejected"], status.journal.rejects), (3, 2));
}
