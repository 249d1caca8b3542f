//! Messages under topics: nothing panics, what is kept is bounded, and what was learnt of earlier messages changes nothing. The first byte chooses the topic; behind
//! a zero byte stands the topic itself.

#![no_main]

mod yields;

use std::cell::RefCell;
use std::sync::LazyLock;

use iiot_core::{Origin, Profile, Scan};
use libfuzzer_sys::fuzz_target;
use yields::yields;

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
    let fresh = yields(&PROFILE, &ORIGIN, topic, document, &mut Scan::new());
    USED.with_borrow_mut(|used| {
        assert_eq!(yields(&PROFILE, &ORIGIN, topic, document, used), fresh)
    });
});
