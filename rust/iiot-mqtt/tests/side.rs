//! A side connection against a real Mosquitto: what the broker keeps comes first, what is published comes back, nothing kept is lost.

use std::time::Duration;

use crate::support::PATIENCE;
use crate::support::broker::{Mosquitto, Subscriber, skip};
use crate::support::side::{bound, kept, receive, run, side, until_it_stands};
use iiot_mqtt::{EndKind, Message, Protocol};

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
        let first = side(broker.port, protocol, "first");
        let running = run(&first);
        let connection = until_it_stands(&first);
        assert!(first.publish(bound("home/a/config", "1", connection)));
        assert!(first.publish(bound("home/b/config", "2", connection)));
        assert_eq!(
            receive(&first, connection, 2),
            [
                message("home/a/config", "1", false),
                message("home/b/config", "2", false)
            ]
        );
        first.stop(PATIENCE);
        assert_eq!(running.join().unwrap().kind, EndKind::Stopped);

        let second = side(broker.port, protocol, "second");
        let running = run(&second);
        let connection = until_it_stands(&second);
        // An empty document removes the kept one.
        assert!(second.publish(bound("home/a/config", "", connection)));
        let seen = receive(&second, connection, 3);

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
fn what_is_handed_over_before_stop_goes_out() {
    if skip() {
        return;
    }
    let broker = Mosquitto::start();
    let sender = side(broker.port, Protocol::V311, "sender");
    let running = run(&sender);
    let connection = until_it_stands(&sender);
    for number in 0..500 {
        assert!(sender.publish(bound(&format!("home/{number}/config"), "x", connection)));
    }
    sender.stop(PATIENCE);
    assert_eq!(running.join().unwrap().kind, EndKind::Stopped);

    assert_eq!(broker.retained("home/#").len(), 500);
}

#[test]
fn a_lost_connection_is_told_and_the_next_one_has_another_number() {
    //! What was bound to the first does not go out over it any more.
    if skip() {
        return;
    }
    let mut broker = Mosquitto::start();
    let side = side(broker.port, Protocol::V311, "lost");
    let running = run(&side);
    let first = until_it_stands(&side);
    broker.kill();
    let ended = running.join().unwrap();

    assert_eq!(ended.kind, EndKind::Lost);
    assert!(ended.connected > Duration::ZERO);
    assert_eq!(side.receive(first, PATIENCE).connection, 0);
    assert!(!side.publish(bound("home/a/config", "1", first)));

    broker.restart();
    let running = run(&side);
    assert!(until_it_stands(&side) > first);
    assert!(!side.publish(bound("home/a/config", "1", first)));
    side.stop(PATIENCE);
    running.join().unwrap();
}

#[test]
fn a_kept_publish_waits_for_the_broker() {
    //! What was handed over while the broker was away goes out over the next connection, retained or not as it was asked.
    if skip() {
        return;
    }
    let mut broker = Mosquitto::start();
    let side = side(broker.port, Protocol::V311, "side");
    broker.kill();
    assert!(side.publish(kept("home/a/state", "late", true)));
    assert!(side.publish(kept("home/b/state", "later", false)));
    assert_eq!(side.run_connection().kind, EndKind::Unreachable);
    broker.restart();

    let subscriber = Subscriber::start(broker.port, "home/+/state");
    let running = run(&side);
    subscriber.until("home/b/state", "later");
    assert_eq!(
        broker.retained("home/+/state"),
        [("home/a/state".to_owned(), "late".to_owned())]
    );
    side.stop(PATIENCE);
    assert_eq!(running.join().unwrap().kind, EndKind::Stopped);
    assert_eq!(side.run_connection().kind, EndKind::Stopped);
}
