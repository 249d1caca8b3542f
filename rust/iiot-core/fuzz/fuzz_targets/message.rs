//! Messages under topics, of devices and of none: nothing panics, what is kept is bounded, and what was learnt of earlier messages changes nothing. The first byte
//! chooses the topic; behind a zero byte stands the topic itself.

#![no_main]

mod yields;

use std::cell::RefCell;
use std::sync::LazyLock;

use iiot_core::{Origin, Profile, Scan, device_snapshot};
use libfuzzer_sys::fuzz_target;
use yields::yields;

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
            let Meant {
                profile,
                origin,
                device,
            } = meant;
            let came = (topic, device.as_slice());
            let fresh = yields(profile, origin, came, document, &mut Scan::new());
            assert_eq!(yields(profile, origin, came, document, used), fresh);
        }
    });
});
