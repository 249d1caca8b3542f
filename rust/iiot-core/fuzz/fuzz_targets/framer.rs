//! Frames do not depend on chunks, and nothing panics. The first bytes say how the rest is cut.

#![no_main]

#[path = "../../tests/frames/mod.rs"]
mod frames;

use std::sync::LazyLock;

use iiot_core::Profile;
use libfuzzer_sys::fuzz_target;

static PROFILE: LazyLock<Profile> =
    LazyLock::new(|| Profile::parse(include_str!("../../tests/profiles/everything.toml")).unwrap());

fuzz_target!(|data: &[u8]| {
    if let Some(([max, sizes @ ..], stream)) = data.split_first_chunk::<4>() {
        let sizes = sizes.map(|size| usize::from(size) + 1);
        frames::check(stream, &sizes, usize::from(*max) * 8 + 2, &PROFILE);
    }
});
