//! What a message gives under a profile, as text.

use iiot_core::{FrameTime, Origin, Profile, Scan};

/// The time of every message.
pub const NOON_NS: i64 = 1_700_000_000_000_000_000;

/// What a message gives: lines, then publishes, then faults.
pub fn yields(profile: &str, topic: Option<&str>, document: &str) -> Vec<String> {
    let profile = Profile::parse(&format!("name = \"test\"\n{profile}")).unwrap();
    let (origin, mut scan) = (
        Origin::new(&profile, "iiot", &[("site".into(), "north".into())]).unwrap(),
        Scan::new(),
    );
    let mut seen = Vec::new();
    // A second scan finds what the first one learnt of the document's shape.
    for _ in 0..2 {
        seen.clear();
        match profile.decode(topic.map(str::as_bytes), document.as_bytes(), &mut scan) {
            Ok(decoded) => {
                let mut lines = Vec::new();
                let count = decoded.write_lines(&origin, FrameTime::at(NOON_NS), &mut lines);
                let lines = String::from_utf8(lines).unwrap();
                assert_eq!(count, lines.lines().count());
                assert_eq!(count, decoded.points());
                seen.extend(
                    lines
                        .lines()
                        .map(|line| line.replace(" 1700000000000000000", " NOON")),
                );
                decoded.publishes(&origin, |publish| {
                    let (topic, payload) = (
                        String::from_utf8_lossy(publish.topic),
                        String::from_utf8_lossy(publish.payload),
                    );
                    let (point, field) = (publish.place.point, publish.place.field);
                    seen.push(format!("{point}.{field} {topic} = {payload}"));
                });
            }
            Err(fault) => seen.push(format!("{}: {fault}", fault.reason.name())),
        }
        let faults = scan.value_faults();
        seen.extend(faults.iter().map(|f| format!("{}: {}", f.path, f.reason)));
    }
    seen
}
