//! Messages under topics: nothing panics, what is kept is bounded, and what was learnt of earlier messages changes nothing. The first byte chooses the topic; behind
//! a zero byte stands the topic itself.

#![no_main]

use std::cell::RefCell;
use std::sync::LazyLock;

use iiot_core::series::{SeriesName, push_key};
use iiot_core::{FrameTime, Origin, Profile, Scan};
use libfuzzer_sys::fuzz_target;

const TOPICS: [&str; 5] = [
    "plant/a/dosing",
    "plant/a/list",
    "plant/a/state/b",
    "plant/$a//",
    "",
];

static PROFILE: LazyLock<Profile> =
    LazyLock::new(|| Profile::parse(include_str!("../../tests/profiles/points.toml")).unwrap());
static ORIGIN: LazyLock<Origin> = LazyLock::new(|| Origin::new(&PROFILE, "p", &[]).unwrap());

thread_local! {
    static USED: RefCell<Scan> = RefCell::new(Scan::new());
}

/// Lines, publishes and faults of a message, or why it gives nothing.
fn yields(topic: Option<&[u8]>, document: &[u8], scan: &mut Scan) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match PROFILE.decode(topic, document, scan) {
        Ok(decoded) => {
            let time = FrameTime::at(1_700_000_000_000_000_000);
            let count = decoded.write_lines(&ORIGIN, time, &mut out);
            let written = out.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!((count, count), (decoded.points(), written));
            let mut values = 0;
            decoded.for_each_point(&ORIGIN, time, |point| {
                for field in point.fields() {
                    let mut key = Vec::new();
                    push_key(&point, &field, &mut key);
                    assert_eq!(SeriesName::read(&key), Some(SeriesName::of(&point, &field)));
                    values += 1;
                }
            });
            let mut json = 0;
            decoded.write_json_lines(&ORIGIN, time, &mut out, |_| json += 1);
            assert_eq!(json, count);
            assert!((count..=2 * 8192).contains(&values));
            decoded.publishes(&ORIGIN, |publish| {
                out.extend_from_slice(publish.topic);
                out.extend_from_slice(publish.payload);
            });
            for fault in decoded.value_faults() {
                assert!(fault.start <= fault.end && fault.end <= document.len());
                out.extend_from_slice(fault.path.as_bytes());
            }
            Ok(out)
        }
        Err(fault) => Err(fault.to_string()),
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    let (topic, document) = match choice {
        0 => {
            let end = rest
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(rest.len());
            let (topic, behind) = rest.split_at(end);
            (Some(topic), behind.get(1..).unwrap_or_default())
        }
        255 => (None, rest),
        _ => {
            let topic = TOPICS.get(usize::from(*choice) % TOPICS.len());
            (topic.map(|topic| topic.as_bytes()), rest)
        }
    };
    let fresh = yields(topic, document, &mut Scan::new());
    USED.with_borrow_mut(|used| assert_eq!(yields(topic, document, used), fresh));
});
