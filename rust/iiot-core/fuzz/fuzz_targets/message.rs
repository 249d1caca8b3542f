//! Messages under topics, of devices and of none: nothing panics, what is kept is bounded, and what was learnt of earlier messages changes nothing. The first byte
//! chooses the topic; behind a zero byte stands the topic itself.

#![no_main]

use std::cell::RefCell;
use std::sync::LazyLock;

use iiot_core::series::{SeriesName, push_key};
use iiot_core::{FrameTime, Origin, Profile, Scan, device_snapshot};
use libfuzzer_sys::fuzz_target;

const TOPICS: [&str; 5] = [
    "plant/a/dosing",
    "plant/a/list",
    "plant/a/state/b",
    "plant/$a//",
    "",
];

const OF_DEVICES: [&str; 5] = [
    "iotflow/devices/e1/telemetry/t",
    "iotflow/devices/e1/status/online",
    "$api/telemetry",
    "$api/point",
    "$api/status",
];

/// A profile, and the device whose messages come.
struct Meant {
    profile: Profile,
    origin: Origin,
    device: Vec<u8>,
}

impl Meant {
    fn new(text: &str, tags: &[(&str, &str)]) -> Self {
        let profile = Profile::parse(text).unwrap();
        Self {
            origin: Origin::new(&profile, "p", &[]).unwrap(),
            profile,
            device: device_snapshot(tags).unwrap(),
        }
    }
}

static POINTS: LazyLock<Meant> =
    LazyLock::new(|| Meant::new(include_str!("../../tests/profiles/points.toml"), &[]));
static IOTFLOW: LazyLock<Meant> = LazyLock::new(|| {
    let text = include_str!("../../../../python/iiot_gateway/profiles/iotflow.toml");
    Meant::new(text, &[("device_id", "e1"), ("location", "hall 1")])
});

thread_local! {
    static USED: RefCell<[Scan; 2]> = RefCell::default();
}

/// Lines, publishes and faults of a message, or why it gives nothing.
fn yields(
    meant: &Meant,
    topic: Option<&[u8]>,
    document: &[u8],
    scan: &mut Scan,
) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let Meant {
        profile,
        origin,
        device,
    } = meant;
    match profile.decode_of(topic, device, document, scan) {
        Ok(decoded) => {
            let time = FrameTime::at(1_700_000_000_000_000_000);
            let count = decoded.write_lines(origin, time, &mut out);
            let written = out.iter().filter(|byte| **byte == b'\n').count();
            assert_eq!((count, count), (decoded.points(), written));
            let mut values = 0;
            decoded.for_each_point(origin, time, |point| {
                for field in point.fields() {
                    let mut key = Vec::new();
                    push_key(&point, &field, &mut key);
                    assert_eq!(SeriesName::read(&key), Some(SeriesName::of(&point, &field)));
                    values += 1;
                }
            });
            let mut json = 0;
            decoded.write_json_lines(origin, time, &mut out, |_| json += 1);
            assert_eq!(json, count);
            assert!((count..=2 * 8192).contains(&values));
            decoded.publishes(origin, |publish| {
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
    let named = |topics: &'static [&str; 5]| {
        let topic = topics.get(usize::from(*choice) % topics.len());
        topic.map(|topic| topic.as_bytes())
    };
    let (topics, document) = match choice {
        0 => {
            let end = rest
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(rest.len());
            let (topic, behind) = rest.split_at(end);
            ([Some(topic); 2], behind.get(1..).unwrap_or_default())
        }
        255 => ([None; 2], rest),
        _ => ([named(&TOPICS), named(&OF_DEVICES)], rest),
    };
    USED.with_borrow_mut(|used| {
        let meant = [&*POINTS, &*IOTFLOW];
        for ((meant, topic), used) in meant.into_iter().zip(topics).zip(used) {
            let fresh = yields(meant, topic, document, &mut Scan::new());
            assert_eq!(yields(meant, topic, document, used), fresh);
        }
    });
});
