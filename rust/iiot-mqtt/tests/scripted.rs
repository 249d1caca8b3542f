//! Against brokers that do exactly what the test says.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::support::peer::{Publish, Scripted};
use crate::support::{self, Memory, PATIENCE, Running, config, sink, value};
use iiot_core::Place;
use iiot_mqtt::{Config, EndKind, PointReject, ProbeStep, Protocol, probe};

const NOW: i64 = 1_700_000_000_000_000_000;

fn frames(count: u64) -> Vec<(i64, Vec<support::Value>)> {
    (0..count)
        .map(|n| (NOW + n as i64, vec![value("a", n)]))
        .collect()
}

fn is_data(publish: &Publish) -> bool {
    publish.topic == "a"
}

fn ended_at(port: u16, memory: &Memory, change: impl FnOnce(&mut Config)) -> iiot_mqtt::Ended {
    let mut config = config(port);
    change(&mut config);
    Running::start(&sink(config), memory).join()
}

#[test]
fn a_withheld_puback_ends_the_connection_and_nothing_behind_it_is_confirmed() {
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        while let Some(publish) = peer.publish() {
            if publish.payload != "3" {
                peer.puback(publish.id);
            }
        }
        String::new()
    });
    let memory = Memory::new(100);
    memory.commit(frames(10));

    let ended = ended_at(broker.port, &memory, |config| {
        config.ack_timeout = Duration::from_millis(200);
    });

    assert_eq!((ended.kind, memory.cursor()), (EndKind::AckTimeout, 3));
}

#[test]
fn the_next_connection_begins_at_the_cursor_and_resends_without_retain_but_for_the_newest() {
    let (sender, seen) = channel();
    let broker = Scripted::start(move |number, peer| {
        peer.accept();
        if number == 0 {
            // Acknowledge one, take in nine more, die.
            for _ in 0..10 {
                let publish = loop {
                    let publish = peer.publish().unwrap();
                    if is_data(&publish) {
                        break publish;
                    }
                    peer.puback(publish.id);
                };
                if publish.payload == "0" {
                    peer.puback(publish.id);
                }
            }
        } else {
            peer.serve(|publish| {
                !is_data(publish)
                    || sender
                        .send((publish.payload.clone(), publish.retain))
                        .is_ok()
            });
        }
        String::new()
    });
    let memory = Memory::new(100);
    let sink = sink(config(broker.port));
    let first = Running::start(&sink, &memory);
    memory.commit(frames(10));
    assert_eq!(first.join().kind, EndKind::Lost);
    assert_eq!(memory.cursor(), 1);

    let second = Running::start(&sink, &memory);
    memory.wait_confirmed(10);
    memory.commit([(NOW + 10, vec![value("a", 10)])]);
    memory.wait_confirmed(11);
    second.stop();

    let resent: Vec<_> = (0..10)
        .map(|_| seen.recv_timeout(PATIENCE).unwrap())
        .collect();
    let expected: Vec<_> = (1..11).map(|n| (n.to_string(), n >= 9)).collect();
    assert_eq!(resent, expected);
}

#[test]
fn live_frames_are_published_with_retain_at_the_first_start() {
    let (sender, seen) = channel();
    let broker = Scripted::start(move |_, peer| {
        peer.accept();
        peer.serve(|publish| {
            !is_data(publish)
                || sender
                    .send((publish.payload.clone(), publish.retain))
                    .is_ok()
        });
        String::new()
    });
    let memory = Memory::new(100);
    let running = Running::start(&sink(config(broker.port)), &memory);
    assert!(running.sink.state().last_error.is_empty());
    // The connection is up once health was acknowledged; frames come after it.
    running.sink.publish_health(b"x".to_vec());
    memory.commit([]);
    wait_connected(&running);
    memory.commit(frames(5));
    memory.wait_confirmed(5);
    running.stop();

    let seen: Vec<_> = (0..5)
        .map(|_| seen.recv_timeout(PATIENCE).unwrap())
        .collect();
    assert_eq!(
        seen,
        (0..5).map(|n| (n.to_string(), true)).collect::<Vec<_>>()
    );
}

fn wait_connected(running: &Running) {
    let deadline = Instant::now() + PATIENCE;
    while running.sink.state().phase != iiot_mqtt::Phase::Connected {
        assert!(Instant::now() < deadline, "never connected");
        std::thread::yield_now();
    }
}

#[test]
fn reordered_pubacks_confirm_every_frame_once_all_are_there() {
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        let mut held = Vec::new();
        while let Some(publish) = peer.publish() {
            if !is_data(&publish) {
                peer.puback(publish.id);
                continue;
            }
            held.push(publish.id);
            if held.len() == 10 {
                held.drain(..).rev().for_each(|id| peer.puback(id));
            }
        }
        String::new()
    });
    let memory = Memory::new(100);
    memory.commit(frames(50));

    let running = Running::start(&sink(config(broker.port)), &memory);
    memory.wait_confirmed(50);

    assert_eq!(running.stop().delivered, 50);
}

#[test]
fn a_broker_that_accepts_and_never_answers_is_unreachable_in_time() {
    let broker = Scripted::start(|_, peer| {
        peer.drain();
        String::new()
    });

    for protocol in [Protocol::V311, Protocol::V5] {
        let ended = ended_at(broker.port, &Memory::new(10), |config| {
            config.protocol = protocol;
            config.connect_timeout = Duration::from_millis(200);
        });

        assert_eq!(
            (ended.kind, ended.connected),
            (EndKind::Unreachable, Duration::ZERO)
        );
    }
}

#[test]
fn a_port_without_a_broker_is_unreachable() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();

    assert_eq!(
        ended_at(port, &Memory::new(10), |_| {}).kind,
        EndKind::Unreachable
    );
}

#[test]
fn connack_refusals_have_their_kinds() {
    let cases = [
        (Protocol::V311, 1, EndKind::Protocol),
        (Protocol::V311, 2, EndKind::Refused),
        (Protocol::V311, 3, EndKind::Refused),
        (Protocol::V311, 4, EndKind::NotAuthorized),
        (Protocol::V311, 5, EndKind::NotAuthorized),
        (Protocol::V5, 0x84, EndKind::Protocol),
        (Protocol::V5, 0x85, EndKind::Refused),
        (Protocol::V5, 0x86, EndKind::NotAuthorized),
        (Protocol::V5, 0x87, EndKind::NotAuthorized),
        (Protocol::V5, 0x88, EndKind::Refused),
        (Protocol::V5, 0x89, EndKind::Refused),
        (Protocol::V5, 0x97, EndKind::Quota),
    ];
    for (protocol, code, kind) in cases {
        let broker = Scripted::start(move |_, peer| {
            peer.expect_connect();
            peer.connack(code, &[]);
            peer.drain();
            String::new()
        });

        let ended = ended_at(broker.port, &Memory::new(10), |config| {
            config.protocol = protocol;
        });

        assert_eq!(ended.kind, kind, "{protocol:?} {code:#x}: {}", ended.detail);
    }
}

#[test]
fn a_connection_closed_at_once_is_lost() {
    let broker = Scripted::start(|number, peer| {
        peer.expect_connect();
        if number == 1 {
            peer.connack(0, &[]);
        }
        String::new()
    });

    let before = ended_at(broker.port, &Memory::new(10), |_| {});
    let after = ended_at(broker.port, &Memory::new(10), |_| {});

    assert_eq!(
        (before.kind, before.connected),
        (EndKind::Lost, Duration::ZERO)
    );
    assert_eq!(after.kind, EndKind::Lost);
    assert!(after.connected > Duration::ZERO);
}

#[test]
fn a_broker_that_ignores_subscribe_gets_everything_refreshed() {
    let (sender, seen) = channel();
    let broker = Scripted::start(move |_, peer| {
        peer.accept();
        peer.serve(|publish| {
            sender
                .send((
                    publish.topic.clone(),
                    publish.payload.clone(),
                    publish.retain,
                ))
                .is_ok()
        });
        String::new()
    });
    let memory = Memory::new(100);
    memory.know("known/1", "v", NOW);
    let began = Instant::now();
    let running = Running::start(&sink(config(broker.port)), &memory);
    memory.commit([(NOW + 1, vec![value("a", "live")])]);
    memory.wait_confirmed(1);
    assert!(began.elapsed() < Duration::from_secs(4));
    running.stop();

    let seen: Vec<_> = seen.try_iter().collect();
    let of = |topic: &str, payload: &str| (topic.to_owned(), payload.to_owned(), true);
    assert_eq!(
        seen,
        [
            of("gateway/availability", "online"),
            of("known/1", "v"),
            of("a", "live"),
            of("gateway/availability", "offline")
        ]
    );
}

#[test]
fn the_receive_maximum_and_the_largest_packet_of_a_broker_are_kept() {
    let broker = Scripted::start(|_, peer| {
        peer.expect_connect();
        // Receive maximum 3, maximum packet size 100.
        peer.connack(0, &[0x21, 0, 3, 0x27, 0, 0, 0, 100]);
        let mut waiting = 0;
        let mut most = 0;
        let mut held = Vec::new();
        while let Some(publish) = peer.publish() {
            waiting += 1;
            most = most.max(waiting);
            held.push(publish.id);
            if !is_data(&publish) || held.len() == 3 || publish.payload == "29" {
                held.drain(..).for_each(|id| peer.puback(id));
                waiting = 0;
            }
        }
        most.to_string()
    });
    let memory = Memory::new(100);
    let mut all = frames(30);
    all[5].1.push(value("big", "x".repeat(200)));
    memory.commit(all);

    let running = Running::start(
        &sink(Config {
            protocol: Protocol::V5,
            ..config(broker.port)
        }),
        &memory,
    );
    memory.wait_confirmed(30);
    running.stop();

    assert!(broker.result().parse::<u32>().unwrap() <= 3);
    let rejected = PointReject {
        position: 5,
        place: Place { point: 1, field: 0 },
        reason: "packet_too_large".into(),
        topic: "big".into(),
    };
    assert_eq!(memory.total().rejected, [rejected]);
}

#[test]
fn stop_cuts_a_connection_whose_broker_has_fallen_silent() {
    let (sender, connected) = channel();
    let broker = Scripted::start(move |_, peer| {
        peer.accept();
        sender.send(()).unwrap();
        peer.drain();
        String::new()
    });
    let memory = Memory::new(10);
    memory.commit(frames(3));
    let running = Running::start(&sink(config(broker.port)), &memory);
    connected.recv_timeout(PATIENCE).unwrap();

    let asked = Instant::now();
    running.sink.stop(Duration::from_millis(200));
    let ended = running.join();

    assert_eq!((ended.kind, memory.cursor()), (EndKind::Stopped, 0));
    assert!(asked.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_topic_that_cannot_be_published_to_is_rejected_and_costs_one_point() {
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        peer.serve(|_| true);
        String::new()
    });
    let memory = Memory::new(10);
    memory.commit([
        (NOW, vec![value("a/#", "1"), value("b", "2")]),
        (NOW, vec![value("", "3")]),
    ]);

    let running = Running::start(&sink(config(broker.port)), &memory);
    memory.wait_confirmed(2);
    running.stop();

    let places: Vec<_> = memory
        .total()
        .rejected
        .iter()
        .map(|reject| (reject.position, reject.place.point))
        .collect();
    assert_eq!(places, [(0, 0), (1, 0)]);
    assert_eq!((memory.total().delivered, memory.total().points), (0, 1));
}

#[test]
fn an_mqtt_5_disconnect_says_that_the_session_was_taken_over() {
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        peer.write(&[0xE0, 2, 0x8E, 0]);
        peer.drain();
        String::new()
    });

    let ended = ended_at(broker.port, &Memory::new(10), |config| {
        config.protocol = Protocol::V5;
    });

    assert_eq!(ended.kind, EndKind::SessionTakenOver, "{}", ended.detail);
}

#[test]
fn acknowledgements_that_come_with_the_end_of_the_connection_count() {
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        let mut answers = Vec::new();
        while answers.len() < 4 * 4 {
            let publish = peer.publish().unwrap();
            answers.extend([0x40, 2]);
            answers.extend(publish.id.to_be_bytes());
        }
        // A packet that no broker sends ends the connection.
        answers.extend([0xF0, 0]);
        peer.write(&answers);
        peer.drain();
        String::new()
    });
    let memory = Memory::new(10);
    memory.commit(frames(3));

    let ended = ended_at(broker.port, &memory, |_| {});

    let found = (ended.kind, memory.cursor(), ended.delivered);
    assert_eq!(found, (EndKind::Protocol, 3, 3), "{}", ended.detail);
}

#[test]
fn a_probe_names_the_first_step_that_failed() {
    let broker = Scripted::start(|number, peer| {
        peer.expect_connect();
        peer.connack(if number == 0 { 5 } else { 0 }, &[]);
        while let Some((first, body)) = peer.read() {
            match (first >> 4, number) {
                // SUBSCRIBE: refused, then granted.
                (8, 1) => peer.write(&[0x90, 3, body[0], body[1], 0x80]),
                (8, _) => peer.write(&[0x90, 3, body[0], body[1], 0]),
                // PUBLISH: acknowledged by the fourth, and given back by none.
                (3, 3) => {
                    let id = 2 + usize::from(body[1]);
                    peer.write(&[0x40, 2, body[id], body[id + 1]]);
                }
                _ => {}
            }
        }
        String::new()
    });
    let within = Duration::from_millis(300);

    let found: Vec<_> = (0..4)
        .map(|_| probe(config(broker.port), "probe/x", "probe/x", within).unwrap())
        .map(|report| (report.failed, report.kind))
        .collect();

    let expected = [
        (ProbeStep::Connect, EndKind::NotAuthorized),
        (ProbeStep::Subscribe, EndKind::NotAuthorized),
        (ProbeStep::Publish, EndKind::AckTimeout),
        (ProbeStep::ReadBack, EndKind::AckTimeout),
    ];
    assert_eq!(found, expected.map(|(step, kind)| (Some(step), Some(kind))));
}
