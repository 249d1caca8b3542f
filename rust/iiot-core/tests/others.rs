//! All other values of a point: joined names, and patterns that choose tags, fields and exceptions.

use crate::yields::{NOON_NS, yields};
use iiot_core::origin::TagOrigin;
use iiot_core::series::{SeriesName, push_key};
use iiot_core::{FrameTime, Origin, PointKey, Profile, Scan};

/// A point with these other values.
fn point(others: &str) -> String {
    format!(
        "[[point]]\nfilter = \"t/#\"\nmeasurement = \"m\"\ntags = {{ topic = \"{{#}}\" }}\n[point.others]\n{others}\n"
    )
}

fn of(others: &str, document: &str) -> Vec<String> {
    let seen = yields(&point(others), Some("t/a"), document);
    let plain = seen.iter().map(|line| {
        line.replace(",site=north,topic=t/a", "")
            .replace(" NOON", "")
    });
    plain.collect()
}

#[test]
fn values_in_objects_and_lists_are_fields_under_joined_names() {
    //! Items by their number, whatever the depth; without a separator only the values that stand directly in the document are.
    let document = r#"{"a":1,"n":{"b":[2,{"c":-0.50}],"é":true},"s":"x","z":null}"#;
    assert_eq!(
        of("flatten = \"_\"", document),
        ["m a=1,n_b_0=2,n_b_1_c=-0.50,n_é=true"]
    );
    assert_eq!(
        of("flatten = \".\"\ntopic = \"{1}\"", r#"{"n":{"b/c":2}}"#),
        ["m n.b/c=2", "0.0 iiot/n.b_c = 2"]
    );
    assert_eq!(of("fields = [\"*\"]", document), ["m a=1"]);
    let nothing = "nothing_usable: no usable value; looked for *";
    assert_eq!(of("flatten = \"_\"", "[]"), [nothing]);
    assert_eq!(of("flatten = \"_\"", "27.6"), [nothing]);
}

#[test]
fn names_choose_tags_fields_and_exceptions() {
    //! A number that is a tag is its text; what is a tag is no field; the other texts and booleans cost themselves once there is a list of names.
    let document = r#"{"id":"N 1","pump":1.50,"on":true,"t_c":20,"t_f":68,"note":"loose","more":"text","b":false}"#;
    assert_eq!(
        of(
            "tags = [\"id\", \"p*\", \"o?\"]\nfields = [\"t_*\", \"note\"]\nstrings = [\"note\"]\nexcept = [\"*_f\"]",
            document
        ),
        ["m,id=N\\ 1,on=true,pump=1.50 t_c=20,note=\"loose\""]
    );
    let unnamed = "a text or boolean that the profile does not name";
    assert_eq!(
        of(
            "strings = [\"note\"]\nbooleans = [\"on\"]\nexcept = [\"id\", \"p*\"]",
            document
        ),
        [
            "m on=true,t_c=20,t_f=68,note=\"loose\"".to_owned(),
            format!("more: {unnamed}"),
            format!("b: {unnamed}"),
        ]
    );
    let huge = of("tags = [\"id\"]", r#"{"id":1e400,"a":1e400,"b":1}"#);
    assert_eq!(huge, ["m,id=1e400 b=1", "a: out of range"]);
}

#[test]
fn of_equal_names_the_last_one_counts() {
    //! With everything below it, and whichever way the name came about.
    for (document, line) in [
        (r#"{"a":1,"a":2}"#, "m a=2"),
        (r#"{"a":{"b":1,"c":2},"a":{"b":3}}"#, "m a_b=3"),
        (r#"{"a":{"b":1},"x":1,"a":5}"#, "m x=1,a=5"),
        (r#"{"a_b":1,"a":{"b":2}}"#, "m a_b=2"),
        (r#"{"a":{"b":2},"a_b":1,"a":{}}"#, "m a_b=1"),
        (r#"{"a_b":1,"a":{"b":2},"a":{}}"#, "m a_b=1"),
        (r#"{"a":{"b":2},"a_b":null}"#, "m a_b=2"),
        (r#"{"\u0061":1,"a":2}"#, "m a=2"),
    ] {
        assert_eq!(of("flatten = \"_\"", document), [line], "{document}");
    }
}

#[test]
fn tags_of_the_document_stand_in_the_order_of_lines() {
    //! They hide tags of the configuration, and those of the profile hide them; empty ones are left out.
    assert_eq!(
        yields(
            &point("tags = [\"*a\", \"site\", \"topic\", \"z z\", \"e\"]"),
            Some("t/x"),
            r#"{"z z":"1","site":"south","topic":"own","ba":2,"a":1,"e":"","v":1}"#
        ),
        ["m,a=1,ba=2,site=south,topic=t/x,z\\ z=1 v=1 NOON"]
    );
}

#[test]
fn every_encoder_sees_the_same_tags_and_fields() {
    //! Typed points, keys of series and lines, also where a name has to be escaped in lines.
    let text = format!(
        "name = \"p\"\n{}",
        point("flatten = \"_\"\ntags = [\"*id\", \"a b\", \"site\"]")
    );
    let profile = Profile::parse(&text).unwrap();
    let shared = [("site", "north"), ("a", "1"), ("zone", "z")];
    let shared = shared.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let origin = Origin::new(&profile, "", &shared).unwrap();
    let document = r#"{"n":{"id":7},"a b":"x","site":"south","v":[1.50],"topic":2}"#;
    let mut scan = Scan::new();
    let decoded = profile
        .decode(Some(b"t/x"), document.as_bytes(), &mut scan)
        .unwrap();
    let (mut tags, mut keys, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    decoded.for_each_point(&origin, FrameTime::at(NOON_NS), |point| {
        point.tags(|key, value, origin| {
            tags.push((
                key.to_owned(),
                String::from_utf8_lossy(value).into_owned(),
                origin,
            ));
        });
        for field in point.fields() {
            let mut key = Vec::new();
            push_key(&point, &field, &mut key);
            assert_eq!(SeriesName::read(&key), Some(SeriesName::of(&point, &field)));
            assert_eq!(
                field.fixed(),
                None,
                "its series is not the same for every document"
            );
            keys.push(String::from_utf8(key).unwrap());
        }
    });
    let expected = [
        ("a", "1", TagOrigin::Configuration),
        ("a b", "x", TagOrigin::Document),
        ("n_id", "7", TagOrigin::Document),
        ("site", "south", TagOrigin::Document),
        ("topic", "t/x", TagOrigin::Profile),
        ("zone", "z", TagOrigin::Configuration),
    ];
    assert_eq!(
        tags,
        expected.map(|(key, value, origin)| (key.to_owned(), value.to_owned(), origin))
    );
    let head = "m,a=1,a\\ b=x,n_id=7,site=south,topic=t/x,zone=z";
    // A value under the name of a tag of the profile, which no pattern names, is a field.
    assert_eq!(keys, [format!("{head} v_0="), format!("{head} topic=")]);
    decoded.write_lines(&origin, FrameTime::at(NOON_NS), &mut lines);
    let line = format!("{head} v_0=1.50,topic=2 {NOON_NS}\n");
    assert_eq!(String::from_utf8(lines).unwrap(), line);
}

#[test]
fn what_a_path_leads_to_is_no_other_value() {
    //! Measurement, tags, times and fields, wherever they stand.
    let profile = r#"
[[point]]
measurement = "{n.kind}"
tags = { id = "{id}" }
time = { path = "n.at", format = "unix_ms" }
fields = { x = { path = "n.v" } }
others = { flatten = "_", tags = ["*"], except = [] }

[[point]]
measurement = "fields"
fields = { x = { path = "n.v" } }
others = { flatten = "_" }
"#;
    assert_eq!(
        yields(
            profile,
            None,
            r#"{"id":"N1","n":{"kind":"k","at":1700000000000,"v":1,"w":2},"x":9}"#
        ),
        [
            "k,id=N1,n_w=2,site=north x=1 NOON",
            "fields,site=north x=1,n_at=1700000000000,n_w=2 NOON",
        ]
    );
}

#[test]
fn each_without_a_wildcard_begins_at_a_value() {
    //! At each item of it, if it is a list.
    let profile = "[[point]]\neach = \"d.list\"\nmeasurement = \"m\"\ntags = { id = \"{id}\" }\nothers = { flatten = \"_\", strings = [] }\n";
    assert_eq!(
        yields(
            profile,
            None,
            r#"{"id":7,"d":{"list":[{"a":1},{"n":{"a":2}},{"t":"x"}]},"b":1}"#
        ),
        [
            "m,id=7,site=north a=1 NOON",
            "m,id=7,site=north n_a=2 1700000000001000000",
            "d.list[2].t: a text or boolean that the profile does not name",
        ]
    );
    assert_eq!(
        yields(profile, None, r#"{"id":7,"d":{"list":{"a":1}}}"#),
        ["m,id=7,site=north a=1 NOON"]
    );
    for nothing in [r#"{"d":{"list":null}}"#, r#"{"d":1}"#, "{}"] {
        assert!(yields(profile, None, nothing)[0].starts_with("nothing_usable"));
    }
}

#[test]
fn a_fault_in_an_item_says_where_the_value_is() {
    //! For each kind of value, in the item and beside the items, with and without a wildcard in the path of the items.
    let document = r#"{"list":[{"x":1e400,"q":1},{"n":{"y":1e400},"z":1,"t":1,"at":"soon"}],"t":"warm","at":"late"}"#;
    let faults = |each: &str, keys: &str| {
        let profile = format!("[[point]]\neach = \"{each}\"\nmeasurement = \"m\"\n{keys}\n");
        let seen = yields(&profile, None, document);
        let faults = seen.into_iter().filter(|line| !line.starts_with("m,"));
        faults.collect::<Vec<_>>()
    };
    let range = "out of range";
    for each in ["list[*]", "list"] {
        assert_eq!(faults(each, "others = {}"), [format!("list[0].x: {range}")]);
        assert_eq!(
            faults(each, "others = { flatten = \"_\" }"),
            [
                format!("list[0].x: {range}"),
                format!("list[1].n_y: {range}")
            ]
        );
        assert_eq!(
            faults(
                each,
                "others = { within = \"n\" }\nfields = { q = \"number\" }"
            ),
            [format!("list[1].n.y: {range}")]
        );
        assert_eq!(
            faults(
                each,
                "others = { tag_objects = [\"z\"], fields = [\"q\", \"t\"] }"
            ),
            ["list[1].z: not an object"]
        );
        assert_eq!(
            faults(
                each,
                "fields = { q = \"number\", z = \"bool\", t = \"number\" }\ntime = { path = \"at\", format = \"auto\" }"
            ),
            [
                "t: not a number",
                "at: not a time in the profile's format",
                "list[1].z: not true or false",
                "list[1].at: not a time in the profile's format",
            ]
        );
        let twice = "[[point.others]]\nexcept = [\"*\"]\nvalue = \"z\"\n[[point.others]]\nfields = [\"t\"]\n[[point.others]]\nfields = [\"t\"]";
        assert_eq!(
            faults(each, twice),
            ["list[1].t: another value has its name"]
        );
    }
    assert_eq!(
        yields(
            "[[point]]\neach = '\"a*\".*'\nmeasurement = \"m\"\nfields = { x = \"number\", y = \"number\" }\n",
            None,
            r#"{"a*":{"k*":{"x":1,"y":"?"}}}"#
        ),
        ["m,site=north x=1 NOON", "\"a*\".k*.y: not a number"]
    );
}

#[test]
fn a_list_of_documents_gives_a_point_each() {
    //! Those of one series follow each other by a millisecond, those of others do not: the tags of the document tell.
    let document = r#"[{"id":1,"v":1},{"id":2,"v":2},{"id":1,"v":3}]"#;
    assert_eq!(
        yields(&point("tags = [\"id\"]"), Some("t/x"), document),
        [
            "m,id=1,site=north,topic=t/x v=1 NOON",
            "m,id=2,site=north,topic=t/x v=2 NOON",
            "m,id=1,site=north,topic=t/x v=3 1700000000001000000",
        ]
    );
}

/// The key of the only point.
fn key(profile: &Profile, document: &str) -> PointKey {
    let (mut scan, mut keys) = (Scan::new(), Vec::new());
    let decoded = profile
        .decode(Some(b"t/x"), document.as_bytes(), &mut scan)
        .unwrap();
    decoded.keys(&mut keys);
    assert_eq!(keys.len(), 1);
    keys[0]
}

#[test]
fn a_series_is_told_by_the_tags_of_the_document() {
    //! In whatever order they stand there.
    let text = format!("name = \"p\"\n{}", point("tags = [\"a\", \"b\"]"));
    let profile = Profile::parse(&text).unwrap();
    let one = key(&profile, r#"{"a":1,"b":2,"v":3}"#);
    assert_eq!(one, key(&profile, r#"{"v":4,"b":2,"a":1}"#));
    assert_ne!(one.series, key(&profile, r#"{"a":2,"b":1,"v":3}"#).series);
    assert_ne!(one.series, key(&profile, r#"{"a":1,"v":3}"#).series);
    assert_ne!(one.fields, key(&profile, r#"{"a":1,"b":2,"w":3}"#).fields);
}

#[test]
fn topics_of_except_filter_are_not_taken() {
    //! Another point may take them, or nobody.
    let profile = "[[point]]\nfilter = \"t/#\"\nexcept_filter = [\"t/+/raw\", \"t/own/#\"]\nmeasurement = \"{#}\"\nothers = {}\n";
    assert_eq!(
        yields(profile, Some("t/a"), r#"{"v":1}"#),
        ["t/a,site=north v=1 NOON"]
    );
    for topic in ["t/a/raw", "t/own", "t/own/x"] {
        let seen = yields(profile, Some(topic), r#"{"v":1}"#);
        assert!(seen[0].starts_with("topic_not_accepted"), "{seen:?}");
    }
}

#[test]
fn a_point_for_any_topic_but_one_says_which_it_does_not_take() {
    //! Without a filter, too. A document without a topic is taken.
    let profile = "[[point]]\nexcept_filter = \"t/raw\"\nmeasurement = \"m\"\nothers = {}\n";
    for topic in [Some("t/a"), None] {
        assert_eq!(
            yields(profile, topic, r#"{"v":1}"#),
            ["m,site=north v=1 NOON"]
        );
    }
    let seen = yields(profile, Some("t/raw"), r#"{"v":1}"#);
    assert!(seen[0].starts_with("topic_not_accepted"), "{seen:?}");
    let beside = format!("{profile}[[metric]]\npath = \"v\"\nmeasurement = \"n\"\n");
    assert_eq!(
        yields(&beside, Some("t/raw"), r#"{"v":1}"#),
        ["n,site=north value=1 NOON"]
    );
}

#[test]
fn a_document_without_end_is_bounded() {
    //! Long names above many values would be part of each of them.
    let values: Vec<String> = (0..2_000).map(|n| format!("\"{n}\":{n}")).collect();
    let document = format!(
        "{{\"a\":1,\"{}\":{{{}}}}}",
        "k".repeat(10_000),
        values.join(",")
    );
    let seen = yields(&point("flatten = \"_\""), Some("t/x"), &document);
    assert!(seen[0].len() < 2 << 20);
    assert!(seen[0].starts_with("m,site=north,topic=t/x a=1,kkk"));
    assert_eq!(seen[1], "*: more points in one document than allowed");
}

#[test]
fn of_several_paths_of_a_time_the_first_that_is_there_counts() {
    //! In a point and for the document; none of them is another value.
    let time = "path = [\"at\", \"n.at\"]\nformat = \"unix_s\"\n";
    let point = "[[point]]\nmeasurement = \"m\"\nothers = { flatten = \"_\" }\n";
    for profile in [
        format!("name = \"p\"\n{point}[point.time]\n{time}"),
        format!("name = \"p\"\n[time]\n{time}{point}"),
    ] {
        let profile = Profile::parse(&profile).unwrap();
        for (document, second) in [
            (
                r#"{"at":1700000001,"n":{"at":1700000002},"v":1}"#,
                Some(1_700_000_001),
            ),
            (
                r#"{"at":null,"n":{"at":1700000002},"v":1}"#,
                Some(1_700_000_002),
            ),
            (r#"{"v":1}"#, None),
        ] {
            let mut scan = Scan::new();
            let decoded = profile
                .decode(None, document.as_bytes(), &mut scan)
                .unwrap();
            let own = decoded.time().and_then(|own| own.at(None));
            assert_eq!(
                own,
                second.map(|second: i64| second * 1_000_000_000),
                "{document}"
            );
            let mut lines = Vec::new();
            let origin = Origin::new(&profile, "", &[]).unwrap();
            decoded.write_lines(&origin, FrameTime::at(NOON_NS), &mut lines);
            assert!(lines.starts_with(b"m v=1 "), "{document}");
        }
    }
    let faulty = "name = \"f\"\n[time]\npath = []\nformat = \"unix_s\"\n[[metric]]\npath = \"a\"\nmeasurement = \"m\"\n";
    assert!(Profile::parse(faulty).is_err());
}

#[test]
fn a_level_of_the_topic_can_be_a_field() {
    //! Of its type; a level that is none costs that field. Numbers keep their text, and integers are written as such.
    let profile = "[[point]]\nfilter = \"t/{n}/{s}\"\nmeasurement = \"m\"\nothers = {}\n[point.fields]\n\
                   number = { level = \"n\", topic = \"n\" }\ncount = { level = \"n\", type = \"integer\" }\ntext = { level = \"s\", type = \"string\" }\n";
    assert_eq!(
        yields(profile, Some("t/4.50e1/a\"b"), r#"{"v":1}"#),
        [
            "m,site=north number=4.50e1,count=45i,text=\"a\\\"b\",v=1 NOON",
            "0.0 iiot/n = 4.50e1"
        ]
    );
    assert_eq!(
        yields(profile, Some("t/007x/"), r#"{"v":1}"#),
        [
            "m,site=north v=1 NOON",
            "{n} of the topic: not a number",
            "{n} of the topic: not a whole number from -2^63 to 2^63-1",
        ]
    );
    let faults = Profile::parse(
        "name = \"f\"\n[[point]]\nfilter = \"{a}\"\nmeasurement = \"m\"\n[point.fields]\nx = { level = \"b\" }\ny = { level = \"a\", path = \"c\" }\nz = { level = \"a\", type = \"bool\" }\n",
    )
    .unwrap_err();
    assert_eq!(faults.faults.len(), 3, "{faults}");
}

#[test]
fn values_stand_within_an_object() {
    //! Names and faults are those there; where the path leads to nothing there are none.
    let document = r#"{"a":1,"d":{"a":2,"x":{"y":3},"s":"t","h":1e999},"at":5}"#;
    assert_eq!(
        of("within = \"d\"", document),
        ["m a=2", "d.h: out of range"]
    );
    assert_eq!(
        of(
            "within = \"d\"\nflatten = \"_\"\nexcept = [\"h\"]\ntopic = \"{1}\"",
            document
        ),
        ["m a=2,x_y=3", "0.0 iiot/a = 2", "0.1 iiot/x_y = 3"]
    );
    let nothing = "nothing_usable: no usable value; looked for *";
    assert_eq!(of("within = \"e\"", document), [nothing]);
    // What the point looks at by a path is no other value.
    let text = "[[point]]\nmeasurement = \"{d.k}\"\nfields = { z = { path = \"d.a\" } }\n[point.others]\nwithin = \"d\"\n";
    let seen = yields(text, None, r#"{"d":{"a":1,"k":2,"b":3,"z":4}}"#);
    assert_eq!(seen, ["2,site=north z=1,b=3 NOON"]);
}

#[test]
fn the_value_with_a_field_of_its_own_may_be_an_integer() {
    //! By its name in the document; one without a name is called `value`.
    let integers = "value = \"{type}\"\nintegers = [\"t\", \"value\"]";
    let document = r#"{"type":"t","t":45000.0,"u":4.5e4}"#;
    assert_eq!(of(integers, document), ["m value=45000i,u=4.5e4"]);
    assert_eq!(of(integers, "4.5e4"), ["m value=45000i"]);
    let other = "value = \"{type}\"\nintegers = [\"u\"]";
    assert_eq!(of(other, document), ["m value=45000.0,u=45000i"]);
    assert_eq!(of(other, "45000.0"), ["m value=45000.0"]);
}

#[test]
fn only_a_field_can_have_the_name_of_the_value() {
    //! A tag, a text that is no field, and a value that cannot be used stay what they are.
    let taken = "value: another value has its name";
    for (keys, inner, expected) in [
        ("", "2", vec!["m value=1", taken]),
        ("", r#""x""#, vec!["m value=1"]),
        ("", "1e400", vec!["m value=1", "value: out of range"]),
        ("tags = [\"value\"]", "2", vec!["m,value=2 value=1"]),
        ("except = [\"value\"]", "2", vec!["m value=1"]),
        (
            "strings = []",
            r#""x""#,
            vec![
                "m value=1",
                "value: a text or boolean that the profile does not name",
            ],
        ),
    ] {
        let keys = format!("{keys}\nvalue = \"{{type}}\"");
        let document = format!(r#"{{"type":"t","t":1,"value":{inner}}}"#);
        assert_eq!(of(&keys, &document), expected, "{keys} {inner}");
    }
}

#[test]
fn values_of_objects_are_tags() {
    //! They are no fields, whether or not values are flattened; the last of equal keys counts, and a tag of the point comes before all.
    let document =
        r#"{"v":1,"meta":{"a":"x","b":2,"topic":"no","n":null,"o":{"p":1}},"tags":{"a":"y z"}}"#;
    for flatten in ["", "\nflatten = \"_\""] {
        let text = format!("tag_objects = [\"meta\", \"tags\"]{flatten}");
        assert_eq!(of(&text, document), ["m,a=y\\ z,b=2 v=1"]);
    }
    let wrong = of("tag_objects = [\"meta\"]", r#"{"v":1,"meta":[1]}"#);
    assert_eq!(wrong, ["m v=1", "meta: not an object"]);
}

#[test]
fn several_tables_make_one_point() {
    //! Each looks elsewhere. Of equal names the first counts, so that no line has a field twice.
    let others = "within = \"f\"\n[[point.others]]\nwithin = \"i\"\nintegers = [\"*\"]\n[[point.others]]\nwithin = \"s\"\nstrings = [\"*\"]\ntopic = \"{1}\"";
    let text = point(others).replace("[point.others]\n", "[[point.others]]\n");
    let document = r#"{"f":{"a":54.10,"b":2},"i":{"b":3,"c":4.0,"d":1.5},"s":{"e":"x"}}"#;
    assert_eq!(
        yields(&text, Some("t/a"), document),
        [
            "m,site=north,topic=t/a a=54.10,b=2,c=4i,e=\"x\" NOON",
            "0.3 iiot/e = x",
            "i.d: not a whole number from -2^63 to 2^63-1",
            "b: another value has its name",
        ]
    );
}

#[test]
fn what_tables_of_other_values_cannot_say_is_a_fault() {
    for (others, fault) in [
        ("within = \"a.*\"", "within: "),
        ("tag_objects = [\"*\"]", "tag_objects: "),
        ("value = \"{1}\"", "value: "),
        ("value = 5", "value: "),
        ("integer = [\"a\"]", "integer"),
    ] {
        let text = format!("name = \"p\"\n{}", point(others));
        let faults = Profile::parse(&text).unwrap_err().faults;
        assert!(faults[0].message.contains(fault), "{faults:?}");
    }
}
