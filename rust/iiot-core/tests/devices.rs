//! Tags of a device: they stand above those of profile, document and configuration, in every encoder.

use iiot_core::origin::TagOrigin;
use iiot_core::{FrameTime, Origin, Profile, Scan, device_snapshot};
use proptest::prelude::*;

const NOON_NS: i64 = 1_700_000_000_000_000_000;

/// A metric alone, a metric beside a point, a point with tags of all kinds, and items.
const METRIC: &str = "name = \"m\"\n[[metric]]\npath = \"t\"\nmeasurement = \"t\"\ntags = { location = \"hall\" }\ntopic = \"t/{@device_id}\"\n";
const POINTS: &str = r#"
name = "p"
[[metric]]
path = "t"
measurement = "t"
[[point]]
measurement = "{@device_type}"
tags = { location = "{place}", zone = "z", "a b" = "1" }
others = { tags = ["id", "site"], except = ["t"] }
[point.fields]
v = { path = "v", type = "number", topic = "{@device_id}/v" }
[[point]]
each = "items"
measurement = "items"
fields = { w = "number" }
"#;

struct Said {
    lines: Vec<String>,
    json: String,
    tags: Vec<Vec<(String, String, TagOrigin)>>,
    topics: Vec<String>,
    fixed: Vec<Option<u32>>,
    series: Vec<u64>,
}

fn say(profile: &str, device: &[(&str, &str)], shared: &[(&str, &str)], document: &str) -> Said {
    let profile = Profile::parse(profile).unwrap();
    let shared: Vec<_> = shared
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let origin = Origin::new(&profile, "iiot", &shared).unwrap();
    let snapshot = device_snapshot(device).unwrap();
    let mut scan = Scan::new();
    // What the scan held before does not show.
    let other = device_snapshot(&[("device_id", "other"), ("x", "y")]).unwrap();
    let _ = profile.decode_of(None, &other, document.as_bytes(), &mut scan);
    let decoded = profile
        .decode_of(None, &snapshot, document.as_bytes(), &mut scan)
        .unwrap();
    let (mut lines, mut json, mut tags, mut topics) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut fixed = Vec::new();
    decoded.write_lines(&origin, FrameTime::at(NOON_NS), &mut lines);
    decoded.write_json_lines(&origin, FrameTime::at(NOON_NS), &mut json, |_| {});
    decoded.for_each_point(&origin, FrameTime::at(NOON_NS), |point| {
        let mut own = Vec::new();
        point.tags(|key, value, origin| {
            own.push((
                key.to_owned(),
                String::from_utf8(value.to_vec()).unwrap(),
                origin,
            ));
        });
        tags.push(own);
        fixed.extend(point.fields().map(|field| field.fixed()));
    });
    decoded.publishes(&origin, |publish| {
        topics.push(String::from_utf8(publish.topic.to_vec()).unwrap());
    });
    let mut keys = Vec::new();
    decoded.keys(&mut keys);
    Said {
        lines: String::from_utf8(lines)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect(),
        json: String::from_utf8(json).unwrap(),
        tags,
        topics,
        fixed,
        series: keys.iter().map(|key| key.series).collect(),
    }
}

#[test]
fn metrics_alone_have_the_tags_of_the_device() {
    let said = say(
        METRIC,
        &[("device_id", "e1"), ("location", "roof, north")],
        &[("site", "s")],
        "{\"t\":27.60}",
    );
    assert_eq!(
        said.lines,
        [format!(
            "t,device_id=e1,location=roof\\,\\ north,site=s value=27.60 {NOON_NS}"
        )]
    );
    assert_eq!(said.topics, ["iiot/t/e1"]);
    let without = say(METRIC, &[], &[("site", "s")], "{\"t\":27.60}");
    assert_eq!(
        without.lines,
        [format!("t,location=hall,site=s value=27.60 {NOON_NS}")]
    );
    assert_eq!(without.topics, ["iiot/t/_"]);
    assert_ne!(said.series, without.series);
    let fixed = |device: &[(&str, &str)]| say(POINTS, device, &[], "{\"t\":1}").fixed;
    assert_eq!(fixed(&[]), [Some(0)]);
    assert_eq!(fixed(&[("device_id", "e1")]), [None]);
}

#[test]
fn tags_of_the_device_win() {
    let device = [
        ("location", "roof"),
        ("device_type", "oven"),
        ("device_id", "e1"),
        ("id", "d"),
        ("site", "here"),
        ("a b", "2"),
        ("zz", ""),
    ];
    let document = "{\"t\":1,\"v\":2,\"place\":\"hall\",\"id\":\"x\",\"site\":\"y\",\"items\":[{\"w\":3},{\"w\":4}]}";
    let said = say(POINTS, &device, &[("site", "s"), ("plant", "p")], document);
    let own = "a\\ b=2,device_id=e1,device_type=oven,id=d,location=roof";
    assert_eq!(
        said.lines,
        [
            format!("t,{own},plant=p,site=here value=1 {NOON_NS}"),
            format!("oven,{own},plant=p,site=here,zone=z v=2 {NOON_NS}"),
            format!("items,{own},plant=p,site=here w=3 {NOON_NS}"),
            format!("items,{own},plant=p,site=here w=4 {}", NOON_NS + 1_000_000),
        ]
    );
    for tags in &said.tags {
        let is_of_device = |key: &str| !matches!(key, "plant" | "zone");
        for (key, value, origin) in tags {
            assert_eq!(
                *origin == TagOrigin::Device,
                is_of_device(key),
                "{key}={value}"
            );
        }
    }
    assert!(said.json.contains(r#"{"measurement":"oven","tags":{"a b":"2","device_id":"e1","device_type":"oven","id":"d","location":"roof","plant":"p","site":"here","zone":"z"},"fields":{"v":2}"#), "{}", said.json);
    assert_eq!(said.topics, ["iiot/e1/v"]);
}

#[test]
fn an_array_has_the_tags_at_each_item() {
    let said = say(
        POINTS,
        &[("device_id", "e1"), ("device_type", "o")],
        &[],
        "[{\"t\":1},{\"v\":2,\"id\":7}]",
    );
    assert_eq!(
        said.lines,
        [
            format!("t,device_id=e1,device_type=o value=1 {NOON_NS}"),
            format!("o,a\\ b=1,device_id=e1,device_type=o,id=7,zone=z v=2 {NOON_NS}"),
        ]
    );
}

#[test]
fn two_devices_never_share_a_series() {
    for profile in [METRIC, POINTS] {
        let document = "{\"t\":1,\"v\":2}";
        let series = |id: &str| say(profile, &[("device_id", id)], &[], document).series;
        for (left, right) in series("e1").iter().zip(&series("e2")) {
            assert_ne!(left, right);
        }
    }
}

proptest! {
    /// Whatever the tags are: line and typed point say the same, sorted, each key once, and all of the device's.
    #[test]
    fn lines_and_points_have_the_same_tags(
        device in proptest::collection::btree_map("[a-c =,]{1,3}", "[a-z ,=é]{0,3}", 0..6),
        shared in proptest::collection::btree_map("[a-c =,]{1,3}", "[a-z]{1,2}", 0..4),
        id in "[a-z]{0,2}",
    ) {
        let device: Vec<(&str, &str)> = device.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let shared: Vec<(&str, &str)> = shared.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let document = format!("{{\"t\":1,\"v\":2,\"id\":\"{id}\"}}");
        let said = say(POINTS, &device, &shared, &document);
        for (line, tags) in said.lines.iter().zip(&said.tags) {
            let line = influxdb_line_protocol::parse_lines(line).next().unwrap().unwrap();
            let parsed: Vec<(String, String)> = line.series.tag_set.iter().flatten().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            let typed: Vec<(String, String)> = tags.iter().map(|(k, v, _)| (k.clone(), v.clone())).collect();
            prop_assert_eq!(&parsed, &typed);
            let mut keys: Vec<&String> = typed.iter().map(|(k, _)| k).collect();
            keys.dedup();
            prop_assert_eq!(keys.len(), typed.len());
            for (key, value) in device.iter().filter(|(_, value)| !value.is_empty()) {
                prop_assert!(typed.iter().any(|(k, v)| k == key && v == value));
            }
        }
    }
}
