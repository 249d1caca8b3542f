//! Values of one series and field that one document has get times of their own, because databases would keep only one of them.

use iiot_core::{FrameTime, Origin, Profile, Scan, device_snapshot};

/// The lines of a document, with their times in milliseconds after the document's.
fn lines(rules: &str, document: &str) -> Vec<(String, i64)> {
    lines_of(&[], rules, document)
}

/// The same for a registered device with these tags.
fn lines_of(device: &[u8], rules: &str, document: &str) -> Vec<(String, i64)> {
    let profile = Profile::parse(&format!("name = \"p\"\n{rules}")).unwrap();
    let origin = Origin::new(&profile, "iiot", &[]).unwrap();
    let (mut scan, mut out) = (Scan::new(), Vec::new());
    let decoded = profile
        .decode_of(None, device, document.as_bytes(), &mut scan)
        .unwrap();
    decoded.write_lines(&origin, FrameTime::at(0), &mut out);
    let text = String::from_utf8(out).unwrap();
    let lines = text.lines().map(|line| {
        let (line, time_ns) = line.rsplit_once(' ').unwrap();
        (line.to_owned(), time_ns.parse::<i64>().unwrap() / 1_000_000)
    });
    lines.collect()
}

fn times(rules: &str, document: &str) -> Vec<i64> {
    let lines = lines(rules, document);
    lines.iter().map(|(_, time_ms)| *time_ms).collect()
}

#[test]
fn metrics_of_one_series_and_field_are_apart() {
    let list = "[[metric]]\npath = \"list[*]\"\nmeasurement = \"m\"\n";
    assert_eq!(times(list, r#"{"list":[1,2,3]}"#), [0, 1, 2]);

    let two = "[[metric]]\npath = \"a\"\nmeasurement = \"m\"\n[[metric]]\npath = \"b\"\nmeasurement = \"m\"\n";
    assert_eq!(times(two, r#"{"a":1,"b":2}"#), [0, 1]);
    assert_eq!(times(two, r#"{"b":2}"#), [0]);

    // One value is named by the profile, the other one by the document.
    let node = "[[metric]]\npath = \"n1\"\nmeasurement = \"m\"\ntags = { node = \"node1\" }\n\
                [[metric]]\npath = \"nodes.*\"\nmeasurement = \"m\"\ntags = { node = \"{1}\" }\n";
    assert_eq!(
        times(node, r#"{"n1":1,"nodes":{"node1":2,"node3":3}}"#),
        [0, 1, 0]
    );
}

/// They make one point of the database together.
#[test]
fn metrics_of_one_series_and_several_fields_stay_together() {
    let fields = "[[metric]]\npath = \"a\"\nmeasurement = \"m\"\nfield = \"a\"\n[[metric]]\npath = \"b\"\nmeasurement = \"m\"\nfield = \"b\"\n\
                  [[metric]]\npath = \"list[*]\"\nmeasurement = \"l\"\n";
    assert_eq!(times(fields, r#"{"a":1,"b":2,"list":[1,2]}"#), [0, 0, 0, 1]);
}

/// What counts is the series that the database sees.
#[test]
fn series_are_compared_as_lines_have_them() {
    let empty = "[[point]]\nmeasurement = \"m\"\ntags = { t = \"{t}\" }\nfields = { v = \"number\" }\n\
                 [[point]]\nmeasurement = \"m\"\nfields = { v = \"number\" }\n";
    assert_eq!(times(empty, r#"{"v":1}"#), [0, 1]);
    assert_eq!(times(empty, r#"{"v":1,"t":"x"}"#), [0, 0]);

    let order = "[[point]]\nmeasurement = \"m\"\ntags = { a = \"1\", b = \"2\" }\nfields = { v = \"number\" }\n\
                 [[point]]\nmeasurement = \"m\"\ntags = { b = \"2\", a = \"1\" }\nfields = { v = \"number\" }\n";
    assert_eq!(times(order, r#"{"v":1}"#), [0, 1]);

    let keys = "[[metric]]\npath = \"*\"\nmeasurement = \"m\"\ntags = { t = \"{1}\" }\n";
    let document = r#"{"x\\y":1,"x_y":2,"x\u0001y":3,"z":4}"#;
    let lines = lines(keys, document);
    assert_eq!(lines[0].0, "m,t=x_y value=1");
    assert_eq!(
        lines.iter().map(|(_, ms)| *ms).collect::<Vec<_>>(),
        [0, 1, 2, 0]
    );
}

/// A point's own time may be that of the document.
#[test]
fn a_point_with_the_time_of_the_document_is_apart_from_one_without_a_time() {
    let rules = "[time]\npath = \"ts\"\nformat = \"unix_ms\"\n[[point]]\nmeasurement = \"m\"\nfields = { v = \"number\" }\n\
                 [[point]]\nmeasurement = \"m\"\nfields = { v = \"number\" }\ntime = { path = \"ts\", format = \"unix_ms\" }\n";
    assert_eq!(times(rules, r#"{"ts":1700000000000,"v":1}"#), [0, 1]);
}

/// The tags of a device hide those of the profile.
#[test]
fn values_of_a_device_are_apart_if_only_hidden_tags_differ() {
    let rules = "[[metric]]\npath = \"a\"\nmeasurement = \"m\"\ntags = { location = \"top\" }\n\
                 [[metric]]\npath = \"b\"\nmeasurement = \"m\"\ntags = { location = \"bottom\" }\n";
    let device = device_snapshot(&[("location", "hall")]).unwrap();
    let times = |device: &[u8]| -> Vec<i64> {
        let lines = lines_of(device, rules, r#"{"a":1,"b":2}"#);
        lines.iter().map(|(_, time_ms)| *time_ms).collect()
    };
    assert_eq!(times(&[]), [0, 0]);
    assert_eq!(times(&device), [0, 1]);

    let wild = "[[metric]]\npath = \"*\"\nmeasurement = \"m\"\ntags = { location = \"{1}\" }\n";
    let lines = lines_of(&device, wild, r#"{"a":1,"b":2}"#);
    assert_eq!(lines[1], ("m,location=hall value=2".to_owned(), 1));
}

/// What lines cannot have is an underscore, also in the profile.
#[test]
fn texts_of_the_profile_are_compared_as_lines_have_them() {
    let rules = "[[metric]]\npath = \"a\"\nmeasurement = \"#m\"\n[[metric]]\npath = \"b\"\nmeasurement = \"_m\"\n";
    assert_eq!(times(rules, r#"{"a":1,"b":2}"#), [0, 1]);
}
