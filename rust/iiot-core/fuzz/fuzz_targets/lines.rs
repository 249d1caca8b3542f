//! Line protocol that others write: nothing panics, every document is JSON of which the built-in profile makes one point, and every fault lies within the body. The first
//! byte chooses the unit of the times.

#![no_main]

use std::sync::LazyLock;

use iiot_core::{FrameTime, Origin, Precision, Profile, Scan, read_lines};
use libfuzzer_sys::fuzz_target;

static PROFILE: LazyLock<Profile> = LazyLock::new(|| {
    Profile::parse(include_str!(
        "../../../../python/iiot_gateway/profiles/line-protocol.toml"
    ))
    .unwrap()
});
static ORIGIN: LazyLock<Origin> = LazyLock::new(|| Origin::new(&PROFILE, "", &[]).unwrap());

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else {
        return;
    };
    let units = ["ns", "us", "ms", "s"];
    let unit = units[usize::from(*choice) % units.len()];
    let precision = Precision::named(unit).unwrap();
    let mut scan = Scan::new();
    for line in read_lines(body, precision, usize::MAX).unwrap() {
        match line {
            Ok(document) => {
                serde_json::from_slice::<serde_json::Value>(&document).unwrap();
                let decoded = PROFILE
                    .decode(Some(b"$api/line"), &document, &mut scan)
                    .unwrap();
                let mut out = Vec::new();
                let time = FrameTime::at(1_700_000_000_000_000_000);
                assert_eq!(decoded.write_lines(&ORIGIN, time, &mut out), 1);
            }
            Err(fault) => {
                assert!((1..=body.len() + 1).contains(&fault.line));
                assert!((1..=body.len() + 1).contains(&fault.column));
            }
        }
    }
});
