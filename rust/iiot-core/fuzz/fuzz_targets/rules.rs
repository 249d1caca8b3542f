//! Any profile, topic and document, with zero bytes between them: nothing panics, what is kept is bounded, and what was learnt of a document's shape changes nothing.

#![no_main]

mod yields;

use iiot_core::{Origin, Profile, Scan};
use libfuzzer_sys::fuzz_target;
use yields::yields;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let (Some(text), Some(topic), Some(document)) = (parts.next(), parts.next(), parts.next())
    else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let profile = match Profile::parse(text) {
        Ok(profile) => profile,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let Ok(origin) = Origin::new(&profile, "p", &[]) else {
        return;
    };
    let topic = (!topic.is_empty()).then_some(topic);
    let mut used = Scan::new();
    let first = yields(&profile, &origin, (topic, &[]), document, &mut used);
    assert_eq!(
        yields(&profile, &origin, (topic, &[]), document, &mut used),
        first
    );
});
