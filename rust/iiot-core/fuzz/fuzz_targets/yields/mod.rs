//! What a message gives, checked on the way: counts agree, keys can be read back, and what is kept is bounded.

use iiot_core::series::{SeriesName, push_key};
use iiot_core::{FrameTime, Origin, Profile, Scan};

/// Lines, publishes and faults of a message, or why it gives nothing. `device` is the snapshot of its device, empty for none.
pub fn yields(
    profile: &Profile,
    origin: &Origin,
    (topic, device): (Option<&[u8]>, &[u8]),
    document: &[u8],
    scan: &mut Scan,
) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
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
