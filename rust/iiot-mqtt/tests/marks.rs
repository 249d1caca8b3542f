//! What published values carry, so that whoever receives them knows each again, and which of them were published before.

use std::sync::mpsc::{Receiver, channel};

use crate::support::peer::{Publish, Scripted};
use crate::support::{Memory, Running, Value, config, sink, value};
use iiot_mqtt::{Config, Protocol};

const NOW: i64 = 1_700_000_000_000_000_000;

/// A broker that gives every publish of a value to the test, and refuses those to `bad`.
fn broker() -> (Scripted, Receiver<Publish>) {
    let (sender, seen) = channel();
    let broker = Scripted::start(move |_, peer| {
        peer.accept();
        while let Some(publish) = peer.publish() {
            if publish.topic == "bad" {
                peer.puback_with(publish.id, 0x99);
            } else {
                peer.puback(publish.id);
            }
            if !publish.topic.starts_with("gateway/") && sender.send(publish).is_err() {
                break;
            }
        }
        String::new()
    });
    (broker, seen)
}

fn run(protocol: Protocol, memory: &Memory) -> Vec<Publish> {
    let (broker, seen) = broker();
    let end = memory.with(|inner| inner.frames.len() as u64);
    let config = Config {
        protocol,
        ..config(broker.port)
    };
    let running = Running::start(&sink(config), memory);
    memory.wait_confirmed(end);
    running.stop();
    seen.try_iter().collect()
}

fn properties(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn again() -> Vec<(String, String)> {
    properties(&[("iiot-position", "again")])
}

#[test]
fn a_value_carries_its_origin_its_position_and_its_own_time() {
    let memory = Memory::new(100);
    let later = Value {
        time_ns: Some(NOW + 5),
        ..value("b", 2)
    };
    memory.commit([
        (NOW, vec![value("a", 1)]),
        (NOW + 1, vec![value("a", 3), later]),
    ]);

    let seen = run(Protocol::V5, &memory);

    let mark = |position: &str, time_ns: i64| {
        properties(&[
            ("iiot-origin", "0123"),
            ("iiot-position", position),
            ("iiot-time", &time_ns.to_string()),
        ])
    };
    let seen: Vec<_> = seen.into_iter().map(|p| (p.topic, p.properties)).collect();
    let expected = [
        ("a".to_owned(), mark("abcd.0.0.0", NOW)),
        ("a".to_owned(), mark("abcd.1.0.0", NOW + 1)),
        ("b".to_owned(), mark("abcd.1.1.0", NOW + 5)),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_value_that_brings_its_topic_up_to_date_says_that_it_was_published_before() {
    let memory = Memory::new(100);
    memory.know("known", "v", NOW);
    memory.commit([(NOW + 1, vec![value("a", "live")])]);

    let seen = run(Protocol::V5, &memory);

    let (known, live): (Vec<_>, Vec<_>) = seen.into_iter().partition(|p| p.topic == "known");
    let known: Vec<_> = known
        .into_iter()
        .map(|p| (p.payload, p.retain, p.properties))
        .collect();
    assert_eq!(known, [("v".to_owned(), true, again())]);
    assert_eq!(live.len(), 1);
    assert_ne!(live[0].properties, again());
}

#[test]
fn a_value_that_shows_whether_the_broker_takes_any_says_that_it_was_published_before() {
    let memory = Memory::new(100);
    memory.commit([
        (NOW, vec![value("good", 1)]),
        (NOW + 1, vec![value("bad", 2)]),
    ]);

    let seen = run(Protocol::V5, &memory);

    let good: Vec<_> = seen.into_iter().filter(|p| p.topic == "good").collect();
    assert_eq!(good[0].properties.len(), 3);
    assert!(
        good.len() > 1,
        "nothing showed whether the broker takes others"
    );
    for canary in &good[1..] {
        assert_eq!((&canary.properties, canary.retain), (&again(), false));
    }
}

#[test]
fn mqtt_3_1_1_knows_no_marks() {
    let memory = Memory::new(100);
    memory.know("known", "v", NOW);
    memory.commit([(NOW + 1, vec![value("a", "live")])]);

    let seen = run(Protocol::V311, &memory);

    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|publish| publish.properties.is_empty()));
}
