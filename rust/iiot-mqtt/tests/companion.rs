//! A companion against a real Mosquitto: what the broker keeps comes first, what is published comes back, a lost connection is told.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)] // clippy sees `#[test]` functions only, not what they call

mod support;

use std::sync::Arc;
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use iiot_mqtt::{Companion, Config, EndKind, Ended, Message, Protocol};
use support::PATIENCE;
use support::broker::{Mosquitto, skip};

fn companion(broker: &Mosquitto, protocol: Protocol, client_id: &str) -> Arc<Companion> {
    let config = Config {
        protocol,
        ..Config::new(format!("mqtt://127.0.0.1:{}", broker.port), client_id)
    };
    let filters = vec!["home/+/config".to_owned(), "home/status".to_owned()];
    Arc::new(Companion::new(config, filters).unwrap())
}

fn run(companion: &Arc<Companion>) -> JoinHandle<Ended> {
    let companion = Arc::clone(companion);
    spawn(move || companion.run_connection())
}

/// Receive until so many messages are there, or the connection is another one.
fn receive(companion: &Companion, known: u64, count: usize) -> (u64, Vec<Message>) {
    let by = Instant::now() + PATIENCE;
    let mut messages = Vec::new();
    loop {
        let (connection, more) = companion.receive(known, Duration::from_millis(500));
        messages.extend(more);
        if messages.len() >= count || connection != known {
            return (connection, messages);
        }
        assert!(Instant::now() < by, "only {messages:?} came");
    }
}

fn message(topic: &str, payload: &str, retained: bool) -> Message {
    Message {
        topic: topic.into(),
        payload: payload.into(),
        retained,
    }
}

#[test]
fn retained_documents_come_first_and_then_ones_own() {
    if skip() {
        return;
    }
    for protocol in [Protocol::V311, Protocol::V5] {
        let broker = Mosquitto::start();
        let first = companion(&broker, protocol, "first");
        let running = run(&first);
        let (connection, _) = receive(&first, 0, 1);
        first.publish("home/a/config".into(), b"1".to_vec());
        first.publish("home/b/config".into(), b"2".to_vec());
        let (_, own) = receive(&first, connection, 2);
        assert_eq!(
            own,
            [
                message("home/a/config", "1", false),
                message("home/b/config", "2", false)
            ]
        );
        first.stop(PATIENCE);
        assert_eq!(running.join().unwrap().kind, EndKind::Stopped);

        let second = companion(&broker, protocol, "second");
        let running = run(&second);
        let (connection, _) = receive(&second, 0, 1);
        // An empty document removes the kept one.
        second.publish("home/a/config".into(), Vec::new());
        let (_, seen) = receive(&second, connection, 3);

        let mut kept: Vec<_> = seen.iter().take(2).cloned().collect();
        kept.sort_by(|a, b| a.topic.cmp(&b.topic));
        assert_eq!(
            kept,
            [
                message("home/a/config", "1", true),
                message("home/b/config", "2", true)
            ]
        );
        assert_eq!(seen.get(2), Some(&message("home/a/config", "", false)));
        second.stop(PATIENCE);
        running.join().unwrap();
    }
}

#[test]
fn what_is_handed_over_before_stop_goes_out_and_without_a_connection_nowhere() {
    if skip() {
        return;
    }
    let broker = Mosquitto::start();
    let sender = companion(&broker, Protocol::V311, "sender");
    sender.publish("home/early/config".into(), b"lost".to_vec());
    let running = run(&sender);
    let (_, early) = receive(&sender, 0, 1);
    assert_eq!(early, []);
    for number in 0..500 {
        sender.publish(format!("home/{number}/config"), b"x".to_vec());
    }
    sender.stop(PATIENCE);
    assert_eq!(running.join().unwrap().kind, EndKind::Stopped);

    let reader = companion(&broker, Protocol::V311, "reader");
    let running = run(&reader);
    let (connection, mut seen) = receive(&reader, 0, 1);
    seen.extend(receive(&reader, connection, 500 - seen.len()).1);

    assert_eq!(seen.len(), 500);
    assert!(seen.iter().all(|m| m.retained && m.payload == b"x"));
    reader.stop(PATIENCE);
    running.join().unwrap();
}

#[test]
fn a_lost_connection_is_told_and_the_next_one_has_another_number() {
    if skip() {
        return;
    }
    let mut broker = Mosquitto::start();
    let companion = companion(&broker, Protocol::V311, "lost");
    let running = run(&companion);
    let (first, _) = receive(&companion, 0, 1);
    broker.kill();
    let ended = running.join().unwrap();

    assert_eq!(ended.kind, EndKind::Lost);
    assert!(ended.connected > Duration::ZERO);
    assert_eq!(companion.receive(first, PATIENCE), (0, vec![]));

    broker.restart();
    let running = run(&companion);
    let (second, _) = receive(&companion, 0, 1);
    assert!(second > first);
    companion.stop(PATIENCE);
    running.join().unwrap();
}
