//! The topic names the device: the level called `device` of the filter that matches.

use iiot_core::Profile;

#[test]
fn the_device_is_the_level_of_that_name() {
    let profile = Profile::parse(
        r#"
name = "p"
[[point]]
filter = "plain/#"
measurement = "m"
others = {}
[[point]]
filter = ["d/{device}/telemetry/{type}", "d/{device}/status/{type}"]
except_filter = "d/+/telemetry/raw"
measurement = "{type}"
others = {}
[[point]]
filter = "{type}/of/{device}/#"
measurement = "m"
others = {}
"#,
    )
    .unwrap();
    for (topic, device) in [
        ("d/e1/telemetry/t", Some("e1")),
        ("d/e1/status/t", Some("e1")),
        ("d//status/t", Some("")),
        ("d/e1/telemetry/raw", None),
        ("d/e1/telemetry", None),
        ("t/of/e 2", Some("e 2")),
        ("t/of/e2/x/y", Some("e2")),
        ("plain/e1", None),
        ("", None),
    ] {
        let found = profile.device_in(topic.as_bytes());
        assert_eq!(found, device.map(str::as_bytes), "{topic}");
    }
}
