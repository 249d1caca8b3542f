//! The built-in profile for devices of their own: MQTT and HTTP give the same points.

use iiot_core::{FrameTime, Origin, Profile, Scan, device_snapshot};

const PROFILE: &str = include_str!("../../../python/iiot_gateway/profiles/iotflow.toml");
const NOON_NS: i64 = 1_764_417_600_000_000_000;

/// Lines without the time of arrival, publishes and faults of one document.
struct Seen {
    lines: Vec<String>,
    published: Vec<String>,
    faults: Vec<String>,
}

fn see(topic: &str, document: &str) -> Seen {
    let profile = Profile::parse(PROFILE).unwrap();
    let origin = Origin::new(&profile, "iiot", &[]).unwrap();
    let snapshot = device_snapshot(&[
        ("device_id", "e1"),
        ("device_name", "Oven"),
        ("device_type", "esp32"),
        ("location", "hall"),
    ])
    .unwrap();
    let mut scan = Scan::new();
    let (mut lines, mut published) = (Vec::new(), Vec::new());
    let decoded = profile.decode_of(
        Some(topic.as_bytes()),
        &snapshot,
        document.as_bytes(),
        &mut scan,
    );
    let decoded = match decoded {
        Ok(decoded) => decoded,
        Err(fault) => {
            return Seen {
                lines: Vec::new(),
                published,
                faults: vec![fault.to_string()],
            };
        }
    };
    let own_ns = decoded.own_time(NOON_NS, None);
    let time = FrameTime {
        time_ns: own_ns.unwrap_or(NOON_NS),
        ..FrameTime::at(NOON_NS)
    };
    decoded.write_lines(&origin, time, &mut lines);
    decoded.publishes(&origin, |publish| {
        assert!(publish.retain);
        let (topic, payload) = (publish.topic.to_vec(), publish.payload.to_vec());
        let text = [topic, payload].map(|bytes| String::from_utf8(bytes).unwrap());
        published.push(text.join(" "));
    });
    let faults = decoded.value_faults().iter();
    Seen {
        lines: String::from_utf8(lines)
            .unwrap()
            .lines()
            .map(|line| line.replace(&format!(" {NOON_NS}"), ""))
            .collect(),
        published,
        faults: faults
            .map(|fault| format!("{}: {}", fault.path, fault.reason))
            .collect(),
    }
}

const TAGS: &str = "device_id=e1,device_name=Oven,device_type=esp32,location=hall";

/// Where telemetry and status of a type come in.
fn telemetry(kind: &str) -> String {
    format!("iotflow/devices/e1/telemetry/{kind}")
}

#[test]
fn mqtt_and_http_give_the_same_points() {
    let data = r#"{"temperature":54.10,"humidity":60,"on":true,"note":"x","none":null}"#;
    let metadata = r#"{"room":"2","location":"roof","n":5,"empty":""}"#;
    let wanted = "humidity=60,on=true";
    let same = |line: &str| line.replace(",topic=iotflow/devices/e1/telemetry/temperature", "");

    let http = see(
        "$api/telemetry",
        &format!(r#"{{"data":{data},"type":"temperature","metadata":{metadata}}}"#),
    );
    let expected = format!("temperature,{TAGS},n=5,room=2 value=54.10,{wanted}");
    assert_eq!(http.lines, [expected]);
    assert_eq!(
        http.published,
        [
            "iiot/e1/temperature 54.10",
            "iiot/e1/humidity 60",
            "iiot/e1/on true"
        ]
    );

    let inner = data.strip_suffix('}').unwrap();
    for document in [
        format!(r#"{{"data":{data},"metadata":{metadata}}}"#),
        format!(r#"{inner},"metadata":{metadata}}}"#),
        format!(r#"{inner},"device_id":"e2","message_id":7,"tags":{metadata}}}"#),
    ] {
        let mqtt = see(&telemetry("temperature"), &document);
        let lines: Vec<String> = mqtt.lines.iter().map(|line| same(line)).collect();
        assert_eq!(lines, http.lines, "{document}");
        assert_eq!(mqtt.published, http.published);
        assert_eq!(mqtt.faults, Vec::<String>::new());
    }
}

#[test]
fn the_value_is_the_one_that_is_named_like_the_type_or_value_or_stands_alone() {
    let topic = "topic=iotflow/devices/e1/telemetry/t";
    let head = format!("t,{TAGS},{topic}");
    for (document, fields, faults) in [
        (r#"{"t":1,"x":2}"#, "value=1,x=2", vec![]),
        (r#"{"x":2,"t":1}"#, "x=2,value=1", vec![]),
        (r#"{"value":1,"x":2}"#, "value=1,x=2", vec![]),
        (
            r#"{"value":1,"t":2}"#,
            "value=2",
            vec!["value: another value has its name"],
        ),
        (r#"{"value":1,"t":"text"}"#, "value=1", vec![]),
        ("27.60", "value=27.60", vec![]),
        ("true", "value=true", vec![]),
        (r#"{"data":27.60}"#, "value=27.60", vec![]),
        (r#"{"x":1}"#, "x=1", vec![]),
        (r#"{"t":1,"x":1e999}"#, "value=1", vec!["x: out of range"]),
    ] {
        let seen = see(&telemetry("t"), document);
        assert_eq!(seen.lines, [format!("{head} {fields}")], "{document}");
        assert_eq!(seen.faults, faults, "{document}");
    }
    for document in ["\"text\"", "ON", "null", "{}", "[]", r#"{"note":"x"}"#] {
        let seen = see(&telemetry("t"), document);
        assert!(
            seen.faults[0].starts_with("no usable value"),
            "{document} {:?}",
            seen.faults
        );
    }
}

#[test]
fn times_stand_under_several_names() {
    for document in [
        r#"{"t":1,"timestamp":1764417000}"#,
        r#"{"t":1,"time":"2025-11-29T11:50:00Z"}"#,
        r#"{"t":1,"ts":1764417000000}"#,
        r#"{"data":{"t":1,"timestamp":1764417000}}"#,
        r#"{"data":{"t":1},"timestamp":"2025-11-29T12:50:00+01:00"}"#,
    ] {
        let seen = see(&telemetry("t"), document);
        assert_eq!(seen.lines.len(), 1, "{document} {:?}", seen.lines);
        assert!(
            seen.lines[0].ends_with(" value=1 1764417000000000000"),
            "{:?}",
            seen.lines
        );
    }
    let bad = see(&telemetry("t"), r#"{"t":1,"timestamp":"yesterday"}"#);
    assert_eq!(
        bad.faults,
        ["timestamp: not a time in the profile's format"]
    );
}

#[test]
fn status_is_one_measurement() {
    let topic = |kind: &str| format!("iotflow/devices/e1/status/{kind}");
    for (kind, document, fields) in [
        (
            "online",
            r#"{"status":"online","battery":3.70}"#,
            r#"type="online",value="online",battery=3.70"#,
        ),
        ("offline", "offline", r#"type="offline",value="offline""#),
        ("heartbeat", "{}", r#"type="heartbeat""#),
        (
            "heartbeat",
            r#"{"uptime":5,"ip":"10.0.0.1"}"#,
            r#"type="heartbeat",uptime=5,ip="10.0.0.1""#,
        ),
    ] {
        let seen = see(&topic(kind), document);
        let head = format!("status,{TAGS},topic={}", topic(kind));
        assert_eq!(seen.lines, [format!("{head} {fields}")], "{document}");
    }
    let http = see(
        "$api/status",
        r#"{"status":"online","type":"online","battery":3.70}"#,
    );
    let fields = r#"type="online",value="online",battery=3.70"#;
    assert_eq!(http.lines, [format!("status,{TAGS} {fields}")]);
    assert_eq!(
        http.published,
        ["iiot/e1/status online", "iiot/e1/battery 3.70"]
    );
}

#[test]
fn a_point_keeps_the_names_of_its_fields() {
    let document = r#"{"device_id":"e1","measurement":"weather","fields":{"temperature":21.50,"value":3,"sky":"blue","dry":true},"tags":{"sensor":"a b","device_name":"mine"},"timestamp":1764417600}"#;
    let seen = see("$api/point", document);
    assert_eq!(
        seen.lines,
        [format!(
            "weather,{TAGS},sensor=a\\ b value=3,temperature=21.50,sky=\"blue\",dry=true"
        )]
    );
    assert_eq!(
        seen.published,
        [
            "iiot/e1/weather 3",
            "iiot/e1/weather/temperature 21.50",
            "iiot/e1/weather/sky blue",
            "iiot/e1/weather/dry true"
        ]
    );
    let seen = see(
        "$api/point",
        r#"{"measurement":"m","fields":{"a":1,"b":{"c":2}},"tags":{"x":{"y":1},"z":[1]},"metadata":5}"#,
    );
    assert_eq!(seen.lines, [format!("m,{TAGS} a=1")]);
    assert_eq!(seen.faults, ["metadata: not an object"]);
}

#[test]
fn topics_name_their_device() {
    let profile = Profile::parse(PROFILE).unwrap();
    for (topic, device) in [
        ("iotflow/devices/e1/telemetry/t", Some(&b"e1"[..])),
        ("iotflow/devices/e1/status/online", Some(b"e1")),
        ("iotflow/devices/e1/commands/config", None),
        ("$api/telemetry", None),
    ] {
        assert_eq!(profile.device_in(topic.as_bytes()), device);
    }
}
