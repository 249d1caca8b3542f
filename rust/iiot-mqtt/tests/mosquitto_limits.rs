//! Against a real Mosquitto that takes small packets or messages only, or keeps nothing.

use std::collections::BTreeSet;

use crate::support::broker::{Mosquitto, Subscriber, skip};
use crate::support::{Memory, Relentless, Running, Value, config, sink, value};
use iiot_mqtt::{Config, EndKind, Protocol};

const NOW: i64 = 1_700_000_000_000_000_000;
const BAD: [u64; 7] = [0, 1, 20, 21, 22, 40, 59];

/// Three values a frame; the middle one of those at `BAD` is of 1,000 characters.
fn frame(n: u64) -> (i64, Vec<Value>) {
    let middle = if BAD.contains(&n) {
        format!("{n}-{}", "x".repeat(1000))
    } else {
        n.to_string()
    };
    let values = vec![value("t/a", n), value("t/b", middle), value("t/c", n)];
    (NOW + n as i64, values)
}

fn deliver_sixty(limit: &str, change: impl Fn(Config) -> Config, word: &str) {
    let broker = Mosquitto::start_with(limit);
    let subscriber = Subscriber::start(broker.port, "t/#");
    let memory = Memory::new(4096);
    for n in 0..30 {
        memory.know(&format!("known/{n}"), "v", NOW - 1);
    }
    // One part waits when the sink begins, the other one comes to it live.
    memory.commit((0..30).map(frame));
    let running = Relentless::start(&sink(change(config(broker.port))), &memory);
    running.sink.publish_health(vec![b'h'; 1000]);
    memory.wait_confirmed(30);
    memory.commit((30..60).map(frame));
    memory.wait_confirmed(60);
    running.stop();

    let total = memory.total();
    let rejected: Vec<_> = total
        .rejected
        .iter()
        .map(|reject| (reject.position, reject.place.point))
        .collect();
    let expected: Vec<_> = BAD.iter().map(|at| (*at, 1)).collect();
    assert_eq!(rejected, expected, "{limit}");
    let words = total.rejected.iter().map(|reject| reject.reason.as_str());
    assert!(
        words.clone().all(|reason| reason.starts_with(word)),
        "{:?}",
        words.collect::<Vec<_>>()
    );
    assert_eq!((total.delivered, total.points), (53, 173), "{limit}");

    let seen: BTreeSet<(String, String)> = subscriber
        .until("t/c", "59")
        .into_iter()
        .map(|message| (message.topic, message.payload))
        .collect();
    let good = (0..60).flat_map(|n| frame(n).1);
    let good: BTreeSet<(String, String)> = good
        .filter(|value| value.payload.len() < 1000)
        .map(|value| (value.topic, value.payload))
        .collect();
    assert_eq!(seen, good, "{limit}");
    let last = [("t/a", "59"), ("t/b", "58"), ("t/c", "59")];
    assert_eq!(
        broker.retained("t/#"),
        last.map(|(topic, payload)| (topic.to_owned(), payload.to_owned()))
    );
    assert_eq!(broker.retained("known/#").len(), 30, "{limit}");
}

#[test]
fn values_beyond_the_largest_packet_are_found_over_mqtt_3_1_1_that_names_no_limit() {
    if skip() {
        return;
    }
    deliver_sixty("max_packet_size 300", |config| config, "connection_ended");
}

#[test]
fn the_same_is_so_at_qos_0_and_2() {
    if skip() {
        return;
    }
    for qos in [0, 2] {
        let change = |config| Config { qos, ..config };
        deliver_sixty("max_packet_size 300", change, "connection_ended");
    }
}

#[test]
fn values_beyond_the_largest_packet_that_mqtt_5_announces_are_not_sent() {
    if skip() {
        return;
    }
    let v5 = |config| Config {
        protocol: Protocol::V5,
        ..config
    };
    deliver_sixty("max_packet_size 300", v5, "packet_too_large");
}

#[test]
fn messages_beyond_the_size_limit_are_rejected_with_the_brokers_word() {
    if skip() {
        return;
    }
    for qos in [1, 2] {
        let v5 = |config| Config {
            protocol: Protocol::V5,
            qos,
            ..config
        };
        deliver_sixty("message_size_limit 300", v5, "packet_too_large");
    }
}

#[test]
fn a_broker_that_keeps_nothing_gets_every_value_and_is_said_to() {
    if skip() {
        return;
    }
    let broker = Mosquitto::start_with("retain_available false\nmax_qos 1");
    let subscriber = Subscriber::start(broker.port, "t/#");
    let memory = Memory::new(100);
    memory.commit((2..5).map(frame));

    let running = Relentless::start(
        &sink(Config {
            protocol: Protocol::V5,
            qos: 2,
            ..config(broker.port)
        }),
        &memory,
    );
    subscriber.until("t/c", "4");
    memory.wait_confirmed(3);
    let limits = running.sink.state().limits;
    running.stop();

    assert_eq!(limits, "QoS 1 instead of 2, no value is retained");
    assert_eq!(memory.total().delivered, 3);
}

#[test]
fn a_topic_that_an_access_list_denies_stops_the_sink_and_rejects_nothing() {
    if skip() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("acl");
    std::fs::write(
        &list,
        "topic readwrite gateway/#\ntopic write t/a\ntopic write t/c\n",
    )
    .unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode;
    std::fs::set_permissions(folder.path(), open(0o755)).unwrap();
    std::fs::set_permissions(&list, open(0o644)).unwrap();
    let broker = Mosquitto::start_with(&format!("acl_file {}", list.display()));
    let memory = Memory::new(100);
    memory.commit((2..5).map(frame));
    let sink = sink(Config {
        protocol: Protocol::V5,
        ..config(broker.port)
    });

    // Mosquitto 2.0.11 cuts the connection when it denies. With more under way, its PUBACK is sometimes lost by that (Nagle's algorithm
    // holds it back). After two such ends the sink sends one publish at a time, and always gets the PUBACK.
    let ends: Vec<_> = (0..8)
        .map(|_| Running::start(&sink, &memory).join())
        .collect();

    let (denied, unanswered): (Vec<_>, Vec<_>) = ends
        .iter()
        .partition(|ended| ended.kind == EndKind::NotAuthorized);
    assert!(unanswered.len() <= 2, "{ends:?}");
    assert!(
        denied
            .iter()
            .all(|ended| ended.detail.contains("\"t/b\"") && !ended.again),
        "{denied:?}"
    );
    assert_eq!(memory.total().rejected, []);
}
