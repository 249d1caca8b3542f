//! Points of the long form: several fields, topics, items, bare values, times.

use crate::yields::{self, yields};
use iiot_core::{Profile, Scan};

const DOSING: &str = r#"
[[point]]
filter = "factory/dosing/consumption"
measurement = "dosing_consumption"
tags = { pump = "{pump}", chemical = "{chemical}" }
[point.fields]
target_g = "number"
actual_g = { path = "actual", topic = "dosing/{pump}/actual_g", retain = true }
duration_ms = "integer"

[[point]]
filter = "factory/batch/+"
measurement = "batch_events"
tags = { event = "{event}" }
fields = { pumps = "integer" }
"#;

/// One line with the fields in the order of the profile; absent ones are left out, and a number that is a tag is its text.
#[test]
fn several_fields_are_one_line() {
    let seen = yields(
        DOSING,
        Some("factory/dosing/consumption"),
        "{\"pump\":1,\n \"chemical\":\"T 9\",\"duration_ms\":4.5e4,\"actual\":12.50,\"target_g\":null}\n",
    );
    assert_eq!(
        seen,
        [
            "dosing_consumption,chemical=T\\ 9,pump=1,site=north actual_g=12.50,duration_ms=45000i NOON",
            "0.0 iiot/dosing/1/actual_g = 12.50",
        ]
    );
}

/// A wrong value costs that value, and a topic that no point accepts costs the message.
#[test]
fn what_does_not_fit_is_told() {
    let seen = yields(
        DOSING,
        Some("factory/dosing/consumption"),
        r#"{"target_g":"much","actual":1,"duration_ms":45000.5}"#,
    );
    assert_eq!(
        seen,
        [
            "dosing_consumption,site=north actual_g=1 NOON",
            "0.0 iiot/dosing/_/actual_g = 1",
            "target_g: not a number",
            "duration_ms: not a whole number from -2^63 to 2^63-1",
        ]
    );
    assert_eq!(
        yields(DOSING, Some("factory/dosing/other"), r#"{"target_g":1}"#),
        [
            "topic_not_accepted: no filter of the profile's points matches the topic factory/dosing/other"
        ]
    );
    assert_eq!(
        yields(DOSING, None, r#"{"target_g":1}"#),
        [
            "topic_not_accepted: the document came without a topic, and every point of the profile has a filter"
        ]
    );
    assert_eq!(
        yields(DOSING, Some("factory/batch/events"), r#"{"target_g":1}"#),
        ["nothing_usable: no usable value; looked for target_g, actual, duration_ms, pumps"]
    );
}

/// The names of a filter's levels stand in measurement, tags and topics, before keys of the same name.
#[test]
fn named_levels_are_used_like_values() {
    let profile = r#"
[[point]]
filter = ["iotflow/devices/{device}/telemetry/{type}", "old/{type}/{device}"]
measurement = "{type}"
tags = { device = "{device}" }
fields = { value = { topic = "{device}/{type}" } }
"#;
    let document = r#"{"value":27.6,"device":"of the document"}"#;
    let expected = [
        "temperature,device=esp\\ 1,site=north value=27.6 NOON",
        "0.0 iiot/esp 1/temperature = 27.6",
    ];
    let topic = "iotflow/devices/esp 1/telemetry/temperature";
    assert_eq!(yields(profile, Some(topic), document), expected);
    assert_eq!(
        yields(profile, Some("old/temperature/esp 1"), document),
        expected
    );
}

/// Each item is a point, sees what the document says beside it, and may have a time of its own.
#[test]
fn items_are_points() {
    let profile = r#"
[[point]]
each = "readings[*]"
measurement = "reading"
tags = { device = "{device}", name = "{name}" }
time = { path = "at", format = "auto" }
fields = { t = "number", battery = "number" }
"#;
    let document = r#"{"device":"d","battery":3.1,"name":"outer","readings":[
        {"name":"one","t":1,"at":1600000000},{"t":2.0,"battery":3,"at":1600000000500},{"t":"x","at":"soon"},7,{"t":4,"at":12}]}"#;
    assert_eq!(
        yields(profile, None, document),
        [
            "reading,device=d,name=one,site=north t=1,battery=3.1 1600000000000000000",
            "reading,device=d,name=outer,site=north t=2.0,battery=3 1600000000500000000",
            // These have no time of their own, and one series: they must not overwrite each other.
            "reading,device=d,name=outer,site=north battery=3.1 NOON",
            "reading,device=d,name=outer,site=north battery=3.1 1700000000001000000",
            // 1970 is not believed.
            "reading,device=d,name=outer,site=north t=4,battery=3.1 1700000000002000000",
            "readings[2].t: not a number",
            "readings[2].at: not a time in the profile's format",
        ]
    );
}

/// An array gives what its items would give, points of both forms included.
#[test]
fn an_array_is_taken_item_by_item() {
    let profile = r#"
[time]
path = "ts"
format = "unix_s"

[[metric]]
path = "v.*"
topic = "{id}/{1}"
measurement = "{1}"

[[point]]
measurement = "p"
tags = { id = "{id}" }
fields = { a = "number", b = "bool" }
"#;
    let document = r#" [ {"id":"x","ts":1600000000,"v":{"t":1},"a":2,"b":true}, {"id":"y","v":{"h":5},"b":0}, 3 ] "#;
    assert_eq!(
        yields(profile, None, document),
        [
            "t,site=north value=1 1600000000000000000",
            "p,id=x,site=north a=2,b=true 1600000000000000000",
            "h,site=north value=5 NOON",
            "0.0 iiot/x/t = 1",
            "2.0 iiot/y/h = 5",
            "[1].b: not true or false",
        ]
    );
}

/// They are those of one document, not of an array before it.
#[test]
fn the_unused_times_of_an_array_are_forgotten() {
    let text = "name = \"t\"\n[time]\npath = \"at\"\nformat = \"unix_s\"\n[[metric]]\npath = \"a\"\nmeasurement = \"m\"\n";
    let (profile, mut scan) = (Profile::parse(text).unwrap(), Scan::new());
    let mut unused = |document: &str| {
        let decoded = profile
            .decode(None, document.as_bytes(), &mut scan)
            .unwrap();
        decoded.unused_times(yields::NOON_NS).len()
    };
    assert_eq!(unused(r#"[{"at":5,"a":1},{"at":5,"a":2}]"#), 1);
    assert_eq!(unused(r#"{"at":1600000000,"a":1}"#), 0);
}

/// In each unit, as JSON may write a number.
#[test]
fn a_unix_time_may_have_an_exponent() {
    for (format, at) in [
        ("unix_s", "1.6e9"),
        ("unix_s", "1600000000000e-3"),
        ("unix_ms", "1.6E12"),
        ("unix_us", "1.6e+15"),
        ("unix_ns", "16e17"),
    ] {
        let text = format!(
            "name = \"t\"\n[time]\npath = \"at\"\nformat = \"{format}\"\n[[metric]]\npath = \"a\"\nmeasurement = \"m\"\n"
        );
        let (profile, mut scan) = (Profile::parse(&text).unwrap(), Scan::new());
        let document = format!(r#"{{"at":{at},"a":1}}"#);
        let decoded = profile.scan(document.as_bytes(), &mut scan).unwrap();
        let own = decoded.own_time(yields::NOON_NS, None);
        assert_eq!(own, Some(1_600_000_000_000_000_000), "{format} {at}");
        assert!(decoded.value_faults().is_empty(), "{format} {at}");
    }
}

/// An offset that the zone does not have at this time is a fault, and so is a date alone. Of an hour that occurs twice, the offset says which.
#[test]
fn a_local_time_may_have_the_offset_of_its_zone() {
    let text = "name = \"t\"\n[time]\npath = \"at\"\nformat = \"local\"\nzone = \"Europe/Vienna\"\n\
                [[metric]]\npath = \"a\"\nmeasurement = \"m\"\n";
    let (profile, mut scan) = (Profile::parse(text).unwrap(), Scan::new());
    for (at, second) in [
        ("2023-11-14T10:00:00", Some(1_699_952_400)),
        ("2023-11-14T10:00:00+01:00", Some(1_699_952_400)),
        ("2023-11-14T10:00:00+05:00", None),
        ("2023-11-14T10:00:00Z", None),
        ("2023-11-14", None),
        ("2023-10-29 02:30:00", Some(1_698_539_400)),
        ("2023-10-29 02:30:00+02:00", Some(1_698_539_400)),
        ("2023-10-29 02:30:00+01:00", Some(1_698_543_000)),
    ] {
        let document = format!(r#"{{"at":"{at}","a":1}}"#);
        let decoded = profile.scan(document.as_bytes(), &mut scan).unwrap();
        let own = decoded.own_time(yields::NOON_NS, None);
        assert_eq!(
            own,
            second.map(|second: i64| second * 1_000_000_000),
            "{at}"
        );
        assert_eq!(
            decoded.value_faults().len(),
            usize::from(own.is_none()),
            "{at}"
        );
    }
}

/// A bare value has its name from the topic: a number, a word, a text with and without quotes.
#[test]
fn a_bare_value_is_a_point() {
    let profile = r#"
[[point]]
filter = "{device}/{metric}"
measurement = "{metric}"
tags = { device = "{device}" }
fields = { value = { path = ".", type = "any", topic = "{device}/{metric}" } }
"#;
    for (document, value, payload) in [
        ("27.60", "27.60", "27.60"),
        (" true\n", "true", "true"),
        ("\"a \\\"b\\\"\"", "\"a \\\"b\\\"\"", "a \"b\""),
        ("ON", "\"ON\"", "ON"),
        (
            "it's 5 \"o'clock\"",
            "\"it's 5 \\\"o'clock\\\"\"",
            "it's 5 \"o'clock\"",
        ),
    ] {
        assert_eq!(
            yields(profile, Some("d1/m"), document),
            [
                format!("m,device=d1,site=north value={value} NOON"),
                format!("0.0 iiot/d1/m = {payload}"),
            ]
        );
    }
    for document in ["", "null", "{}", "{\"a\":1}", "\"open", "a\0b"] {
        let seen = yields(profile, Some("d1/m"), document);
        assert_eq!(seen.len(), 1, "{document}: {seen:?}");
    }
    // Where no point takes one, it is no document.
    assert!(yields(DOSING, Some("factory/batch/x"), "ON")[0].starts_with("expected_value"));
}

/// Whatever else a device sends as number or boolean is a field, but for what the profile uses or excepts.
#[test]
fn all_other_numbers_are_fields() {
    let profile = r#"
[time]
path = "ts"
format = "auto"

[[point]]
filter = "t/{device}"
measurement = "telemetry"
tags = { device = "{device}", kind = "{kind}" }
fields = { temperature = { path = "temp", type = "number" } }
others = { except = ["debug"], topic = "{device}/{1}" }
"#;
    let document = r#"{"ts":1600000000,"kind":3,"temp":1.5,"temperature":9,"humidity":55.0,"on":true,"debug":1,"name":"x","more":{"a":1},"big":1e999,"a b":0,"":7}"#;
    assert_eq!(
        yields(profile, Some("t/d"), document),
        [
            "telemetry,device=d,kind=3,site=north temperature=1.5,humidity=55.0,on=true,a\\ b=0,_=7 NOON",
            "0.1 iiot/d/humidity = 55.0",
            "0.2 iiot/d/on = true",
            "0.3 iiot/d/a b = 0",
            "0.4 iiot/d/_ = 7",
            "big: out of range",
        ]
    );
}

/// Values of one series and time follow each other by a millisecond; those of other series keep their time.
#[test]
fn items_of_one_series_do_not_overwrite_each_other() {
    let profile = "[[point]]\nmeasurement = \"m\"\ntags = { s = \"{s}\" }\ntime = { path = \"t\", format = \"unix_s\" }\nfields = { v = \"number\" }\n";
    let document = r#"[{"s":"a","v":1},{"s":"b","v":2},{"s":"a","v":3},{"s":"a","v":4,"t":1600000000},{"s":"a","v":5,"t":1600000000}]"#;
    assert_eq!(
        yields(profile, None, document),
        [
            "m,s=a,site=north v=1 NOON",
            "m,s=b,site=north v=2 NOON",
            "m,s=a,site=north v=3 1700000000001000000",
            "m,s=a,site=north v=4 1600000000000000000",
            "m,s=a,site=north v=5 1600000000001000000",
        ]
    );
}

/// A key that has the name of a level is a field all the same.
#[test]
fn a_field_may_have_the_name_of_a_level() {
    let profile = "[[point]]\nfilter = \"p/{name}\"\nmeasurement = \"{name}\"\nfields = { name = \"string\" }\n";
    assert_eq!(
        yields(profile, Some("p/x"), r#"{"name":"of the document"}"#),
        ["x,site=north name=\"of the document\" NOON"]
    );
}

/// Items, values and messages of any size cost no more than their bound, and what is left out is told.
#[test]
fn a_document_gives_a_bounded_number_of_points() {
    let many = |item: &str| format!("{{\"list\":[{}]}}", vec![item; 3000].join(","));
    let each = "[[point]]\neach = \"list[*]\"\nmeasurement = \"m\"\nfields = { a = \"number\" }\n";
    let seen = yields(each, None, &many("{\"a\":1}"));
    assert_eq!(seen.len(), 1025);
    assert_eq!(seen[1024], "*: more points in one document than allowed");

    let names: Vec<String> = (0..3000).map(|n| format!("\"k{n}\":1")).collect();
    let others = "[[point]]\nmeasurement = \"m\"\nothers = {}\n";
    let seen = yields(
        others,
        None,
        &format!(
            "[{}]",
            vec![format!("{{{}}}", names.join(",")); 4].join(",")
        ),
    );
    assert_eq!(seen.len(), 3, "two items fit: {seen:.200?}");

    let array = "[[point]]\nmeasurement = \"m\"\nfields = { a = \"number\" }\n";
    let seen = yields(
        array,
        None,
        &format!("[{}]", vec!["{\"a\":1}"; 2000].join(",")),
    );
    assert_eq!(seen.len(), 1025);
}

/// Every fault of a point is told with its line and what would be right.
#[test]
fn faults_of_points_are_told() {
    let text = r##"name = "faulty"
[[point]]
filter = ["a/{x}", "b/+"]
each = "."
fields = { a = "float", b = { path = "c.*" }, d = 5, e = { typ = "bool" } }
[[point]]
filter = "a/#/b"
measurement = "m"
time = { path = "t", format = "local" }
[[point]]
filter = []
measurement = "{2}"
others = { topic = "{2}", flatten = 1, string = ["a"] }
except_filter = ["a/{x}", "#/a"]
"##;
    let faults = Profile::parse(text).unwrap_err().faults;
    let told: Vec<String> = faults
        .iter()
        .map(|f| format!("{}: {}", f.line, f.message))
        .collect();
    assert_eq!(
        told,
        [
            "2: point: `measurement` is missing",
            "3: filter: `b/+`: all filters of a point must have the same names in braces",
            "4: each: `.` is the document, of which there is a point anyway",
            "5: a: expected one of number, integer, bool, string, any, found `float`",
            "5: b: `c.*` must not have wildcards; `each` makes a point of every item, and [[metric]] one of every value",
            "5: d: expected a type, such as \"number\", or a table with `path` and `type`",
            "5: unknown key `typ` in `fields`; did you mean `type`?",
            "6: point: `fields` or `others` is missing",
            "7: filter: `a/#/b`: `#` must be the last level",
            "9: format: `local` needs `zone`, the zone whose clock the document shows, such as \"Europe/Vienna\"",
            "11: filter: expected a string or a list of strings",
            "12: measurement: `{2}`: {2} needs 2 wildcards in the path, which has 0",
            "13: others.flatten: expected a string, found 1",
            "13: topic: `{2}`: {2} needs 2 wildcards in the path, which has 1",
            "13: unknown key `string` in `others`; did you mean `strings`?",
            "14: except_filter: `a/{x}`: a level has no name here; write `+`",
            "14: except_filter: `#/a`: `#` must be the last level",
        ]
    );
}

#[test]
fn the_signal_is_what_the_profile_says_it_is() {
    //! Numbers as they are written; what is no number, or not there, is none. Names of the receiver are no nodes.
    let profile = Profile::parse(
        "name = \"t\"\n[receiver]\nrssi = \"radio[0].strength\"\nsnr = \"radio[0].noise\"\nnames = [\"hub\"]\n\
         [[metric]]\npath = \"v\"\nmeasurement = \"v\"\n",
    )
    .unwrap();
    let mut scan = Scan::new();
    let cases: [(&str, [Option<&[u8]>; 2]); 4] = [
        (
            r#"{"v":1,"radio":[{"strength":-41.50,"noise":8}]}"#,
            [Some(b"-41.50"), Some(b"8")],
        ),
        (
            r#"{"v":1,"radio":[{"strength":"loud","noise":null}]}"#,
            [None, None],
        ),
        (r#"{"v":1,"radio":[],"rssi":-40}"#, [None, None]),
        (r#"{"v":1,"radio":[{"noise":-1e0}]}"#, [None, Some(b"-1e0")]),
    ];
    for (document, signal) in cases {
        let decoded = profile.scan(document.as_bytes(), &mut scan).unwrap();
        assert_eq!(decoded.signal(), signal, "{document}");
    }
    assert!(profile.is_receiver("hub") && !profile.is_receiver("node1"));
}

/// Whoever watches a measurement knows before decoding whether a document may give it: by the topic, and for templates in any case.
#[test]
fn a_profile_says_what_it_may_give() {
    let profile = Profile::parse(
        r#"
name = "watched"
[[point]]
filter = "plant/levels"
measurement = "levels"
fields = { percent = "number" }
[[point]]
filter = "plant/{kind}/any"
measurement = "{kind}"
[point.others]
"#,
    )
    .unwrap();
    let levels = |topic: Option<&str>| {
        let topic = topic.map(str::as_bytes);
        profile.may_give(topic, |measurement| measurement == Some("levels"))
    };
    assert!(levels(Some("plant/levels")));
    assert!(!levels(Some("plant/other")));
    assert!(!levels(None));
    let templates = |topic: &str| profile.may_give(Some(topic.as_bytes()), |m| m.is_none());
    assert!(templates("plant/x/any"));
    assert!(!templates("plant/levels"));

    assert!(profile.may_give_field("levels", "percent"));
    assert!(
        profile.may_give_field("anything", "at_all"),
        "of the template"
    );
    let metrics =
        Profile::parse("name = \"m\"\n[[metric]]\npath = \"t\"\nmeasurement = \"temperature\"\n")
            .unwrap();
    assert!(metrics.may_give_field("temperature", "value"));
    assert!(metrics.may_give_field("", "value"));
    assert!(metrics.may_give_field("temperature", ""));
    assert!(!metrics.may_give_field("temperature", "percent"));
    assert!(!metrics.may_give_field("humidity", "value"));
    assert!(metrics.may_give(None, |measurement| measurement == Some("temperature")));
}
