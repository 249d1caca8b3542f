//! A side connection against brokers that do exactly what the test says.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::support::PATIENCE;
use crate::support::peer::{Peer, Scripted};
use crate::support::side::{bound, kept, receive, run, side, side_with, until_it_stands};
use iiot_mqtt::{
    Config, ConfigError, EndKind, MAX_WAITING, MAX_WAITING_BYTES, Protocol, Refusal, SideConnection,
};

const QUOTA_EXCEEDED: u8 = 0x97;
const NOT_AUTHORIZED: u8 = 0x87;

fn impatient(port: u16) -> Arc<SideConnection> {
    side_with(port, |config| {
        config.ack_timeout = Duration::from_millis(200);
    })
}

fn payloads(peer: &mut Peer, count: usize) -> String {
    let payloads: Vec<_> = (0..count)
        .map(|_| peer.publish().unwrap().payload)
        .collect();
    payloads.join(" ")
}

#[test]
fn a_last_will_has_a_topic_that_can_be_published_to() {
    for (topic, fault) in [("", "is empty"), ("home/#", "holds a wildcard")] {
        let config = Config::new("mqtt://127.0.0.1:1", "side");
        let side = SideConnection::new(config, vec!["home/+".to_owned()]).unwrap();
        let refused = side.with_will(topic.to_owned()).err().unwrap();
        assert_eq!(
            (refused.setting, refused.message.as_str()),
            ("will_topic", fault)
        );
    }
}

#[test]
fn what_is_kept_is_sent_again_until_it_is_acknowledged_and_what_is_bound_is_not() {
    //! In its order, behind a connection that took it and acknowledged only the second.
    let broker = Scripted::start(|number, peer| {
        peer.accept();
        peer.suback(&[0, 0]);
        if number == 0 {
            for _ in 0..4 {
                let publish = peer.publish().unwrap();
                if publish.payload == "2" {
                    peer.puback(publish.id);
                }
            }
            peer.drain();
            return String::new();
        }
        let mut seen = Vec::new();
        peer.serve(|publish| {
            seen.push(publish.payload.clone());
            publish.payload != "4"
        });
        seen.join(" ")
    });
    let side = impatient(broker.port);
    let first = run(&side);
    let connection = until_it_stands(&side);
    for publish in [
        kept("home/state", "1", true),
        kept("home/state", "2", true),
        kept("home/state", "3", true),
        bound("home/a/config", "bound", connection),
    ] {
        assert!(side.publish(publish));
    }
    let ended = first.join().unwrap();
    assert_eq!(
        (ended.kind, ended.detail.as_str()),
        (EndKind::AckTimeout, "no PUBACK within the time-out")
    );

    assert!(side.publish(kept("home/state", "4", true)));
    let second = run(&side);
    broker.result();
    assert_eq!(broker.result(), "1 3 4");
    assert_eq!(second.join().unwrap().kind, EndKind::Lost);
}

#[test]
fn a_publish_waits_until_it_is_acknowledged() {
    let (came, has_come) = channel();
    let (acknowledge, may_acknowledge) = channel();
    let broker = Scripted::start(move |_, peer| {
        peer.accept();
        peer.suback(&[0, 0]);
        let publish = peer.publish().unwrap();
        came.send(()).unwrap();
        may_acknowledge.recv_timeout(PATIENCE).unwrap();
        peer.puback(publish.id);
        peer.send("home/status", b"acknowledged", false);
        peer.drain();
        String::new()
    });
    let side = side(broker.port, Protocol::V311, "side");
    let running = run(&side);
    let connection = until_it_stands(&side);

    assert!(side.publish(kept("home/state", "1", false)));
    has_come.recv_timeout(PATIENCE).unwrap();
    assert_eq!(side.waiting(), 1);
    acknowledge.send(()).unwrap();
    receive(&side, connection, 1);
    assert_eq!(side.waiting(), 0);

    side.stop(PATIENCE);
    assert_eq!(running.join().unwrap().kind, EndKind::Stopped);
}

#[test]
fn a_refused_subscription_ends_the_connection_and_names_the_filter() {
    for protocol in [Protocol::V311, Protocol::V5] {
        let broker = Scripted::start(move |_, peer| {
            peer.accept();
            peer.suback(&[0, if protocol == Protocol::V5 { 0x87 } else { 0x80 }]);
            peer.drain();
            String::new()
        });
        let side = side(broker.port, protocol, "side");

        let ended = side.run_connection();

        assert_eq!(ended.kind, EndKind::NotAuthorized);
        assert!(ended.detail.contains("\"home/status\""), "{}", ended.detail);
        assert_eq!(side.receive(1, PATIENCE).connection, 0);
    }
}

#[test]
fn a_subscription_that_is_not_answered_ends_the_connection() {
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        peer.drain();
        String::new()
    });

    let ended = impatient(broker.port).run_connection();

    assert_eq!(
        (ended.kind, ended.detail.as_str()),
        (EndKind::AckTimeout, "no SUBACK within the time-out")
    );
}

#[test]
fn a_refused_publish_is_reported_if_it_was_kept_and_ends_the_connection_it_was_bound_to() {
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        peer.suback(&[0, 0]);
        while let Some(publish) = peer.publish() {
            peer.puback_with(publish.id, NOT_AUTHORIZED);
        }
        String::new()
    });
    let side = side(broker.port, Protocol::V5, "side");
    let running = run(&side);
    let connection = until_it_stands(&side);

    assert!(side.publish(kept("home/state", "1", true)));
    assert!(side.is_waiting(1));
    let received = side.receive(connection, PATIENCE);
    assert!(!side.is_waiting(1));
    let refusal = Refusal {
        number: 1,
        topic: "home/state".into(),
        reason: "not authorised to publish".into(),
    };
    assert_eq!(
        (received.connection, received.refused),
        (connection, vec![refusal])
    );

    assert!(side.publish(bound("home/a/config", "2", connection)));
    let ended = running.join().unwrap();
    assert_eq!(ended.kind, EndKind::NotAuthorized);
    assert!(
        ended.detail.contains("\"home/a/config\""),
        "{}",
        ended.detail
    );
}

#[test]
fn a_kept_publish_outlasts_an_exceeded_quota() {
    let broker = Scripted::start(|number, peer| {
        peer.accept();
        peer.suback(&[0, 0]);
        let publish = peer.publish().unwrap();
        if number == 0 {
            peer.puback_with(publish.id, QUOTA_EXCEEDED);
            peer.drain();
        } else {
            peer.puback(publish.id);
        }
        publish.payload
    });
    let side = side(broker.port, Protocol::V5, "side");
    assert!(side.publish(kept("home/state", "1", true)));

    assert_eq!(side.run_connection().kind, EndKind::Quota);
    run(&side);

    assert_eq!([broker.result(), broker.result()], ["1", "1"]);
    assert_eq!(side.receive(0, Duration::ZERO).refused, []);
}

#[test]
fn what_the_broker_could_never_take_is_reported_and_what_follows_goes_out() {
    //! A packet above its limit, and topics that are none; those would end the connection, each time anew.
    let broker = Scripted::start(|_, peer| {
        peer.expect_connect();
        // Maximum Packet Size: 100.
        peer.connack(0, &[0x27, 0, 0, 0, 100]);
        peer.suback(&[0, 0]);
        payloads(peer, 1)
    });
    let side = side(broker.port, Protocol::V5, "side");
    for publish in [
        kept("home/state", &"x".repeat(100), true),
        kept("home/#", "1", true),
        kept("home/\u{85}", "1", true),
        kept(&"x".repeat(65_536), "1", true),
        kept("home/state", "2", true),
    ] {
        assert!(side.publish(publish));
    }
    run(&side);

    assert_eq!(broker.result(), "2");
    let refused = side.receive(0, Duration::ZERO).refused;
    let topics: Vec<_> = refused.iter().map(|refusal| &refusal.topic).collect();
    assert_eq!(topics[..3], ["home/state", "home/#", "home/\u{85}"]);
    assert_eq!(topics.len(), 4);
}

#[test]
fn messages_before_the_suback_belong_to_the_connection() {
    //! MQTT lets a broker send them so.
    let (sent, told) = channel();
    let broker = Scripted::start(move |_, peer| {
        peer.accept();
        peer.send("home/a/config", b"1", true);
        peer.send("home/b/config", b"2", true);
        peer.suback(&[0, 0]);
        sent.send(()).unwrap();
        peer.publish().unwrap().payload
    });
    let side = side(broker.port, Protocol::V311, "side");
    run(&side);
    told.recv_timeout(PATIENCE).unwrap();

    let received = side.receive(0, PATIENCE);
    let connection = received.connection;
    let rest = receive(&side, connection, 2 - received.messages.len());
    let seen: Vec<_> = received.messages.into_iter().chain(rest).collect();

    assert_eq!(connection, 1);
    assert!(seen.iter().all(|message| message.retained), "{seen:?}");
    assert!(side.publish(bound("home/c/config", "3", connection)));
    assert_eq!(broker.result(), "3");
}

#[test]
fn more_messages_than_there_is_room_for_end_the_connection_and_none_in_the_room_is_lost() {
    //! Nobody fetches; what waits is handed over under the number of its own connection, though the next one stands already.
    let broker = Scripted::start(|number, peer| {
        peer.accept();
        peer.suback(&[0, 0]);
        let count = if number == 0 { MAX_WAITING + 1 } else { 0 };
        for n in 0..count {
            peer.send("home/status", n.to_string().as_bytes(), false);
        }
        peer.drain();
        String::new()
    });
    let side = side(broker.port, Protocol::V311, "side");

    let ended = side.run_connection();
    assert_eq!(ended.kind, EndKind::Refused);
    assert!(ended.detail.contains("20000 messages"), "{}", ended.detail);

    run(&side);
    let received = side.receive(0, PATIENCE);
    let payloads: Vec<_> = received
        .messages
        .iter()
        .map(|m| m.payload.clone())
        .collect();
    let expected: Vec<_> = (0..MAX_WAITING)
        .map(|n| n.to_string().into_bytes())
        .collect();
    assert_eq!(received.connection, 1);
    assert!(payloads == expected, "{} came", payloads.len());
    assert_eq!(until_it_stands(&side), 2);
}

#[test]
fn publishes_beyond_the_room_are_not_taken() {
    //! Neither too many nor too large ones.
    let closed = side(1, Protocol::V311, "side");
    let large = "x".repeat(MAX_WAITING_BYTES);
    assert!(!closed.publish(kept("home/state", &large, true)));
    assert!(closed.publish(kept("home/state", large.get(10..).unwrap(), true)));
    assert!(!closed.publish(kept("home/state", "", true)));

    let closed = side(1, Protocol::V311, "side");
    for _ in 0..MAX_WAITING {
        assert!(closed.publish(kept("home/state", "", true)));
    }
    assert!(!closed.publish(kept("home/state", "", true)));
}

#[test]
fn stop_cuts_a_broker_that_does_not_answer_after_the_grace() {
    //! And whoever waits for messages is told at once.
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        peer.suback(&[0, 0]);
        peer.drain();
        String::new()
    });
    let side = side(broker.port, Protocol::V311, "side");
    let running = run(&side);
    let connection = until_it_stands(&side);
    assert!(side.publish(kept("home/state", "1", true)));

    side.stop(Duration::from_millis(200));

    assert_eq!(side.receive(connection, PATIENCE).messages, []);
    assert_eq!(running.join().unwrap().kind, EndKind::Stopped);
}

#[test]
fn filters_that_cannot_be_are_named() {
    let new = |filters: &[&str]| {
        let filters = filters.iter().map(ToString::to_string).collect();
        SideConnection::new(Config::new("mqtt://localhost", "side"), filters)
            .err()
            .map(|ConfigError { setting, message }| format!("{setting}: {message}"))
    };
    assert_eq!(
        new(&[]).as_deref(),
        Some("subscriptions: has no topic filter")
    );
    assert_eq!(
        new(&["home/+", "home/#/x"]).as_deref(),
        Some("subscriptions: \"home/#/x\" is not a topic filter")
    );
}

#[test]
fn a_kept_publish_at_which_the_broker_closes_is_given_up_and_the_others_arrive() {
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        peer.suback(&[0, 0]);
        let mut seen = Vec::new();
        while let Some(publish) = peer.publish() {
            if publish.topic == "home/bad" {
                break;
            }
            peer.puback(publish.id);
            seen.push(publish.payload);
        }
        seen.join(" ")
    });
    let side = side(broker.port, Protocol::V311, "side");
    for publish in [
        kept("home/a", "1", true),
        kept("home/bad", "2", true),
        kept("home/b", "3", true),
    ] {
        assert!(side.publish(publish));
    }
    // The first one with others, three with it alone.
    for _ in 0..4 {
        let ended = run(&side).join().unwrap();
        assert_eq!(ended.kind, EndKind::Lost, "{}", ended.detail);
        broker.result();
    }

    let refused = side.receive(0, PATIENCE).refused;
    let last = run(&side);
    until_it_stands(&side);
    side.stop(PATIENCE);
    last.join().unwrap();

    let topics: Vec<_> = refused.iter().map(|one| one.topic.as_str()).collect();
    assert_eq!(topics, ["home/bad"]);
    assert_eq!(broker.result(), "3");
}
