//! The decoder says of every document what its oracle says, with shapes remembered and without.

#![no_main]

#[path = "../../tests/oracle/mod.rs"]
mod oracle;

use std::cell::RefCell;
use std::sync::LazyLock;

use iiot_core::{Profile, Scan};
use libfuzzer_sys::fuzz_target;

const EVERYTHING: &str = include_str!("../../tests/profiles/everything.toml");

static PROFILE: LazyLock<Profile> = LazyLock::new(|| Profile::parse(EVERYTHING).unwrap());

thread_local! {
    static USED: RefCell<Scan> = RefCell::new(Scan::new());
}

fuzz_target!(|data: &[u8]| {
    let expected = oracle::expected(EVERYTHING, data);
    assert_eq!(oracle::decoded(&PROFILE, data, &mut Scan::new()), expected);
    USED.with_borrow_mut(|used| assert_eq!(oracle::decoded(&PROFILE, data, used), expected));
});
