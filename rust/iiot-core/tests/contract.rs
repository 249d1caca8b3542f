//! What the original gateway promised for its documents, and what the built-in profiles add to it.

use iiot_core::moment::Moment;
use iiot_core::{FrameTime, Framed, Framer, Origin, Profile, Scan};

fn lora_bridge() -> Profile {
    Profile::parse(include_str!(
        "../../../python/iiot_gateway/profiles/lora-bridge.toml"
    ))
    .unwrap()
}

fn chirpstack() -> Profile {
    Profile::parse(include_str!(
        "../../../python/iiot_gateway/profiles/chirpstack.toml"
    ))
    .unwrap()
}

fn lines(profile: &Profile, document: &str, time_ns: i64) -> String {
    let (origin, mut scan, mut out) = (
        Origin::new(profile, "iiot", &[]).unwrap(),
        Scan::new(),
        Vec::new(),
    );
    let decoded = profile.scan(document.as_bytes(), &mut scan).unwrap();
    let count = decoded.write_lines(&origin, FrameTime::at(time_ns), &mut out);
    let text = String::from_utf8(out).unwrap();
    assert_eq!(count, text.lines().count());
    assert_eq!(count, decoded.points());
    text
}

fn topics(profile: &Profile, document: &str) -> Vec<String> {
    let (origin, mut scan) = (Origin::new(profile, "iiot", &[]).unwrap(), Scan::new());
    let decoded = profile.scan(document.as_bytes(), &mut scan).unwrap();
    let mut topics = Vec::new();
    decoded.publishes(&origin, |publish| {
        let (topic, payload) = (
            String::from_utf8_lossy(publish.topic),
            String::from_utf8_lossy(publish.payload),
        );
        topics.push(format!(
            "{topic} = {payload}{}",
            if publish.retain { " (retained)" } else { "" }
        ));
    });
    topics
}

const ORIGINAL: &str = r#"{"ts":12000,"id":"N2","n1":{"t":27.6,"h":54.1,"g":84190},"n2":{"t":26.8,"p":1013.25},"sig":{"rssi":-39,"snr":13},"sts":{"rx":1,"err":0}}"#;

#[test]
fn the_original_document_gives_the_nine_points() {
    //! Measurements, tags and the text of every number are those of the original's contract.
    assert_eq!(
        lines(&lora_bridge(), ORIGINAL, 1_703_721_600_000_000_000),
        "temperature,node=node1,unit=celsius value=27.6 1703721600000000000\n\
         humidity,node=node1,unit=percent value=54.1 1703721600000000000\n\
         gas_resistance,node=node1,unit=ohms value=84190 1703721600000000000\n\
         temperature,node=node2,unit=celsius value=26.8 1703721600000000000\n\
         pressure,node=node2,unit=hpa value=1013.25 1703721600000000000\n\
         rssi,node=signal,unit=dbm value=-39 1703721600000000000\n\
         snr,node=signal,unit=db value=13 1703721600000000000\n\
         packets_received,node=stats value=1 1703721600000000000\n\
         crc_errors,node=stats value=0 1703721600000000000\n"
    );
}

#[test]
fn the_original_document_gives_the_nine_topics() {
    //! Sensor values are retained, signal and statistics are not.
    assert_eq!(
        topics(&lora_bridge(), ORIGINAL),
        [
            "iiot/node1/temperature = 27.6 (retained)",
            "iiot/node1/humidity = 54.1 (retained)",
            "iiot/node1/gas_resistance = 84190 (retained)",
            "iiot/node2/temperature = 26.8 (retained)",
            "iiot/node2/pressure = 1013.25 (retained)",
            "iiot/signal/rssi = -39",
            "iiot/signal/snr = 13",
            "iiot/stats/packets_received = 1",
            "iiot/stats/crc_errors = 0",
        ]
    );
}

#[test]
fn the_original_log_line_gives_its_document() {
    //! The line as the original gateway's firmware and probe-rs print it.
    let line =
        format!("[INFO] JSON sent via VCP: {ORIGINAL}\\n (wk5_gateway_firmware src/main.rs:573)\n");
    let mut framer = Framer::new(65_536);
    framer.push(line.as_bytes());
    let end = 26 + ORIGINAL.len() as u64;
    assert_eq!(
        framer.next(),
        Some(Framed::Document {
            bytes: ORIGINAL.as_bytes(),
            offset: 26,
            end
        })
    );
    assert_eq!(framer.next(), None);
}

#[test]
fn further_nodes_come_under_their_own_names() {
    //! Wildcards name topic, tag and sequence.
    let document =
        r#"{"ts":1,"nodes":{"node3":{"t":1.50,"seq":7,"boot":9},"no/de#4":{"bat":3600}}}"#;
    let profile = lora_bridge();
    assert_eq!(
        lines(&profile, document, 5),
        "temperature,node=node3,unit=celsius value=1.50 5\nbattery,node=no/de#4,unit=millivolts value=3600 5\n"
    );
    assert_eq!(
        topics(&profile, document),
        [
            "iiot/node3/temperature = 1.50 (retained)",
            "iiot/no_de_4/battery = 3600 (retained)"
        ]
    );
    let mut scan = Scan::new();
    profile.scan(document.as_bytes(), &mut scan).unwrap();
    let [sequence] = scan.sequences() else {
        panic!("one sequence expected, {:?}", scan.sequences())
    };
    assert_eq!(
        (scan.node_name(sequence), sequence.seq, sequence.boot),
        ("node3", 7, Some(9))
    );
    assert_eq!(scan.uptime_ms(), Some(1));
}

#[test]
fn what_mqtt_does_not_allow_does_not_reach_a_topic() {
    //! Raw or escaped, in a key or in a value: a broker would close the connection for it, again and again.
    let profile = Profile::parse(
        "name = \"a\"\n[[metric]]\npath = \"o.*\"\ntopic = \"{id}/{1}\"\nmeasurement = \"m\"\n",
    )
    .unwrap();
    for (id, level) in [
        (r"a\nb", "a_b"),
        (r"\u0000", "_"),
        ("a\u{7f}b\u{9f}", "a_b_"),
        ("a\u{fdd0}", "a_"),
        (r"a\uffff\ud83f\udffe", "a__"),
        (r"S\u00fcd \ud83d\ude00", "Süd 😀"),
    ] {
        let document = format!("{{\"id\":\"{id}\",\"o\":{{\"{id}\":1}}}}");
        assert_eq!(
            topics(&profile, &document),
            [format!("iiot/{level}/{level} = 1")]
        );
    }
}

#[test]
fn a_chirpstack_event_needs_a_profile_and_no_code() {
    //! Names and times come from the document.
    let document = r#"{"deviceName":"DOOR 1","devEUI":"d1d1","rxInfo":[{"gatewayID":"gw,1","rssi":-120,"loRaSNR":-6.2},{"rssi":-1}],"fCnt":1143,"data":"5027","_timestamp":1687511428896,"object":{"willListen":true,"temperature":25.19,"state":"a\"b"}}"#;
    let (profile, mut scan) = (chirpstack(), Scan::new());
    assert_eq!(
        lines(&profile, document, 7),
        "rssi,device=DOOR\\ 1,eui=d1d1,gateway=gw\\,1,unit=dbm value=-120 7\n\
         snr,device=DOOR\\ 1,eui=d1d1,gateway=gw\\,1,unit=db value=-6.2 7\n\
         willListen,device=DOOR\\ 1,eui=d1d1 value=true 7\n\
         temperature,device=DOOR\\ 1,eui=d1d1 value=25.19 7\n\
         state,device=DOOR\\ 1,eui=d1d1 value=\"a\\\"b\" 7\n"
    );
    assert_eq!(
        topics(&profile, document)[4],
        "iiot/DOOR 1/state = a\"b (retained)"
    );
    profile.scan(document.as_bytes(), &mut scan).unwrap();
    assert_eq!(scan.time(), Some(Moment::At(1_687_511_428_896_000_000)));
    assert_eq!(
        (
            scan.node_name(&scan.sequences()[0]),
            scan.sequences()[0].seq
        ),
        ("d1d1", 1143)
    );
}
