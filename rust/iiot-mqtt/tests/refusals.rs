//! Publishes that a broker does not take: found, shown to be the only ones, rejected. And brokers that take nothing at all.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::peer::{Peer, Publish, Scripted};
use crate::support::{Memory, PATIENCE, Relentless, Running, Value, config, sink, value};
use iiot_mqtt::{Config, Confirmation, EndKind, Protocol};

const NOW: i64 = 1_700_000_000_000_000_000;

fn frame(n: u64, topic: &str) -> (i64, Vec<Value>) {
    (NOW + n as i64, vec![value(topic, n)])
}

/// One value a frame; those at these positions go to `bad`.
fn frames(count: u64, bad: &[u64]) -> Vec<(i64, Vec<Value>)> {
    (0..count)
        .map(|n| frame(n, if bad.contains(&n) { "bad" } else { "good" }))
        .collect()
}

fn v5(port: u16) -> Config {
    Config {
        protocol: Protocol::V5,
        ..config(port)
    }
}

fn rejected(memory: &Memory) -> Vec<(u64, String)> {
    let reasons = memory.total().rejected.into_iter();
    reasons
        .map(|reject| {
            let word = reject.reason.split(':').next().unwrap();
            (reject.position, word.to_owned())
        })
        .collect()
}

fn delivered(memory: &Memory) -> u64 {
    memory.total().delivered
}

/// Takes everything but publishes that `is_bad` names, at which it ends the connection.
fn serve_until(peer: &mut Peer, is_bad: impl Fn(&Publish) -> bool) -> bool {
    while let Some(publish) = peer.publish() {
        if is_bad(&publish) {
            return true;
        }
        if publish.qos > 0 {
            peer.puback(publish.id);
        }
    }
    false
}

/// A broker that closes the connection at one topic, and says why if it is told to.
fn closing(topic: &'static str, reason: Option<u8>) -> Scripted {
    Scripted::start(move |_, peer| {
        peer.accept();
        if serve_until(peer, |publish| publish.topic == topic)
            && let Some(reason) = reason
        {
            peer.write(&[0xE0, 2, reason, 0]);
            peer.drain();
        }
        String::new()
    })
}

#[test]
fn a_publish_at_which_the_broker_closes_is_rejected_and_everything_else_arrives() {
    // In the middle, adjacent, first, last.
    for bad in [&[20][..], &[20, 21, 22], &[0], &[39], &[0, 1, 17, 38, 39]] {
        for qos in [0, 1] {
            let broker = closing("bad", None);
            let memory = Memory::new(100);
            memory.commit(frames(40, bad));

            let running = Relentless::start(
                &sink(Config {
                    qos,
                    ..config(broker.port)
                }),
                &memory,
            );
            memory.wait_confirmed(40);
            let ends = running.stop();

            let expected: Vec<_> = bad
                .iter()
                .map(|at| (*at, "connection_ended".to_owned()))
                .collect();
            assert_eq!(rejected(&memory), expected, "{bad:?} at QoS {qos}");
            assert_eq!(delivered(&memory), 40 - bad.len() as u64);
            assert!(ends.len() < 6 + 4 * bad.len(), "{}", ends.len());
        }
    }
}

#[test]
fn a_reason_that_names_the_value_is_the_rejects_reason() {
    for (code, word) in [
        (0x81, "malformed_packet"),
        (0x90, "topic_name_invalid"),
        (0x95, "packet_too_large"),
        (0x99, "payload_format_invalid"),
    ] {
        let broker = closing("bad", Some(code));
        let memory = Memory::new(100);
        memory.commit(frames(20, &[7]));

        let running = Relentless::start(&sink(v5(broker.port)), &memory);
        memory.wait_confirmed(20);
        running.stop();

        assert_eq!(rejected(&memory), [(7, word.to_owned())]);
        assert_eq!(delivered(&memory), 19);
    }
}

#[test]
fn ends_that_are_the_sessions_or_pass_reject_nothing_however_often_they_come() {
    for code in [
        0x87, 0x89, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x93, 0x94, 0x96, 0x97, 0x98, 0x9A, 0x9B, 0x9C,
        0x9D, 0x9E, 0x9F, 0xA0, 0xA1, 0xA2,
    ] {
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let broker = Scripted::start(move |_, peer| {
            peer.accept();
            let is_over = counted.fetch_add(1, Ordering::Relaxed) >= 12;
            if serve_until(peer, |publish| publish.topic == "bad" && !is_over) {
                peer.write(&[0xE0, 2, code, 0]);
                peer.drain();
            }
            String::new()
        });
        let memory = Memory::new(100);
        memory.commit(frames(20, &[7]));

        let running = Relentless::start(&sink(v5(broker.port)), &memory);
        memory.wait_confirmed(20);
        running.stop();

        assert_eq!(rejected(&memory), [], "{code:#x}");
        assert_eq!(delivered(&memory), 20, "{code:#x}");
    }
}

#[test]
fn a_broker_that_ends_every_connection_at_a_value_rejects_nothing() {
    // Without a word, and with a reason that names the value.
    for (known, reason) in [
        (false, None),
        (true, None),
        (false, Some(0x95)),
        (true, Some(0x95)),
    ] {
        let is_well = Arc::new(AtomicBool::new(false));
        let answer = Arc::clone(&is_well);
        let broker = Scripted::start(move |_, peer| {
            peer.accept();
            let is_ended = serve_until(peer, |publish| {
                !publish.topic.starts_with("gateway/") && !answer.load(Ordering::Relaxed)
            });
            if is_ended && let Some(reason) = reason {
                peer.write(&[0xE0, 2, reason, 0]);
                peer.drain();
            }
            String::new()
        });
        let memory = Memory::new(100);
        if known {
            memory.know("good", "before", NOW - 1);
            // Nothing is retained of it, so that no refresh comes first.
            memory.with(|inner| inner.known.get_mut("good").unwrap().retain = false);
        }
        memory.commit(frames(20, &[]));

        let config = if reason.is_some() {
            v5(broker.port)
        } else {
            config(broker.port)
        };
        let running = Relentless::start(&sink(config), &memory);
        for _ in 0..60 {
            broker.result();
        }
        assert_eq!(memory.total(), Confirmation::default());
        is_well.store(true, Ordering::Relaxed);
        memory.wait_confirmed(20);
        running.stop();

        let found = (rejected(&memory), delivered(&memory));
        assert_eq!(found, (vec![], 20), "{known} {reason:?}");
    }
}

#[test]
fn a_broker_that_restarts_at_one_value_a_few_times_rejects_nothing() {
    // It is away altogether after each of them, so that nothing else goes through.
    let broker = Scripted::start(|number, peer| {
        if number % 2 == 1 {
            return String::new();
        }
        peer.accept();
        serve_until(peer, |publish| publish.payload == "7" && number < 8);
        String::new()
    });
    let memory = Memory::new(100);
    memory.commit([frame(7, "good")]);

    let running = Relentless::start(&sink(config(broker.port)), &memory);
    memory.wait_confirmed(1);
    running.stop();

    assert_eq!((rejected(&memory), delivered(&memory)), (vec![], 1));
}

#[test]
fn a_search_begins_anew_after_a_restart_and_loses_and_doubles_nothing() {
    let broker = closing("bad", None);
    let memory = Memory::new(100);
    memory.commit(frames(30, &[0, 12]));

    // Each connection is the first one of a new process, and then one process may go on.
    for _ in 0..3 {
        Running::start(&sink(config(broker.port)), &memory).join();
    }
    let running = Relentless::start(&sink(config(broker.port)), &memory);
    memory.wait_confirmed(30);
    running.stop();

    let word = "connection_ended".to_owned();
    assert_eq!(rejected(&memory), [(0, word.clone()), (12, word)]);
    assert_eq!(delivered(&memory), 28);
}

#[test]
fn a_value_whose_acknowledgement_never_comes_is_rejected_in_the_end() {
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        while let Some(publish) = peer.publish() {
            if publish.topic != "bad" {
                peer.puback(publish.id);
            }
        }
        String::new()
    });
    let memory = Memory::new(100);
    memory.commit(frames(10, &[4]));

    let running = Relentless::start(
        &sink(Config {
            ack_timeout: Duration::from_millis(300),
            ..config(broker.port)
        }),
        &memory,
    );
    memory.wait_confirmed(10);
    running.stop();

    assert_eq!(rejected(&memory), [(4, "not_acknowledged".to_owned())]);
    assert_eq!(delivered(&memory), 9);
}

#[test]
fn the_last_good_value_is_retained_also_if_a_bad_one_stands_behind_it() {
    let kept = Arc::new(Mutex::new(String::new()));
    let keeps = Arc::clone(&kept);
    let broker = Scripted::start(move |_, peer| {
        peer.accept();
        serve_until(peer, |publish| {
            if publish.topic == "a" && publish.retain && publish.payload != "bad" {
                *keeps.lock().unwrap() = publish.payload.clone();
            }
            publish.payload == "bad"
        });
        String::new()
    });
    let memory = Memory::new(100);
    memory.commit([
        (NOW, vec![value("a", "1")]),
        (NOW + 1, vec![value("a", "2")]),
        (NOW + 2, vec![value("a", "bad")]),
        (NOW + 3, vec![value("b", "3")]),
    ]);

    let running = Relentless::start(&sink(config(broker.port)), &memory);
    memory.wait_confirmed(4);
    running.stop();

    let known = memory.with(|inner| inner.known["a"].payload.clone());
    assert_eq!((kept.lock().unwrap().as_str(), known), ("2", b"2".to_vec()));
    assert_eq!(rejected(&memory), [(2, "connection_ended".to_owned())]);
}

#[test]
fn a_health_document_at_which_the_broker_closes_is_left_out_and_values_go_on() {
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        serve_until(peer, |publish| publish.topic == "gateway/health");
        String::new()
    });
    let memory = Memory::new(100);
    let running = Relentless::start(&sink(config(broker.port)), &memory);
    running.sink.publish_health(b"{}".to_vec());
    memory.commit(frames(20, &[]));
    for _ in 0..2 {
        broker.result();
    }

    memory.wait_confirmed(20);
    running.sink.publish_health(b"{}".to_vec());
    memory.commit(frames(20, &[]));
    memory.wait_confirmed(40);
    let error = running.sink.state().last_error;
    running.stop();

    assert!(error.contains("gateway/health"), "{error}");
    assert_eq!(rejected(&memory), []);
}

#[test]
fn a_broker_that_closes_at_a_long_subscribe_gets_every_retained_value() {
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        while let Some((first, body)) = peer.read() {
            match first >> 4 {
                3 => {
                    let id = 2 + usize::from(body[1]);
                    peer.puback(u16::from_be_bytes([body[id], body[id + 1]]));
                }
                _ => return String::new(),
            }
        }
        String::new()
    });
    let memory = Memory::new(100);
    for n in 0..30 {
        memory.know(&format!("known/{n}"), "v", NOW);
    }
    memory.commit(frames(5, &[]));

    let running = Relentless::start(&sink(config(broker.port)), &memory);
    memory.wait_confirmed(5);
    let refreshed = running.sink.state().refreshed;
    running.stop();

    assert_eq!((refreshed, delivered(&memory)), (30, 5));
}

/// Answers the publishes to `bad` with this code.
fn answering(code: u8) -> Scripted {
    Scripted::start(move |_, peer| {
        peer.accept();
        while let Some(publish) = peer.publish() {
            let is_bad = publish.topic == "bad";
            peer.puback_with(publish.id, if is_bad { code } else { 0 });
        }
        String::new()
    })
}

#[test]
fn mqtt_5_reason_codes_mean_what_the_standard_says() {
    let rejects = |word: &str| vec![(2, word.to_owned())];
    let cases = [
        (0x10, EndKind::Stopped, 5, vec![]),
        (0x80, EndKind::Stopped, 5, rejects("unspecified_error")),
        (
            0x83,
            EndKind::Stopped,
            5,
            rejects("implementation_specific_error"),
        ),
        (0x90, EndKind::Stopped, 5, rejects("topic_name_invalid")),
        (0x95, EndKind::Stopped, 5, rejects("packet_too_large")),
        (0x99, EndKind::Stopped, 5, rejects("payload_format_invalid")),
        (0xC0, EndKind::Stopped, 5, rejects("unknown_reason")),
        (0x87, EndKind::NotAuthorized, 2, vec![]),
        (0x91, EndKind::Protocol, 2, vec![]),
        (0x97, EndKind::Quota, 2, vec![]),
        (0x9A, EndKind::Refused, 2, vec![]),
        (0x9B, EndKind::Refused, 2, vec![]),
    ];
    for (reason, kind, cursor, rejects) in cases {
        let broker = answering(reason);
        let memory = Memory::new(100);
        memory.commit(frames(5, &[2]));

        let running = Running::start(&sink(v5(broker.port)), &memory);
        if kind == EndKind::Stopped {
            memory.wait_confirmed(5);
            running.sink.stop(Duration::from_secs(3));
        }
        let ended = running.join();

        let found = (ended.kind, memory.cursor());
        assert_eq!(found, (kind, cursor), "{reason:#x}: {}", ended.detail);
        assert_eq!(rejected(&memory), rejects, "{reason:#x}");
        assert_eq!(delivered(&memory), cursor - rejects.len() as u64);
    }
}

#[test]
fn a_refusal_at_qos_2_is_judged_like_one_at_qos_1() {
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        while let Some((first, body)) = peer.read() {
            match first >> 4 {
                3 => {
                    let id = 2 + usize::from(body[1]);
                    let (id, topic) = ([body[id], body[id + 1]], &body[2..id]);
                    let code = if topic == b"bad" { 0x95 } else { 0 };
                    peer.write(&[0x50, 3, id[0], id[1], code]);
                }
                6 => peer.write(&[0x70, 2, body[0], body[1]]),
                _ => {}
            }
        }
        String::new()
    });
    let memory = Memory::new(100);
    memory.commit(frames(10, &[3, 4]));

    let running = Running::start(
        &sink(Config {
            qos: 2,
            ..v5(broker.port)
        }),
        &memory,
    );
    memory.wait_confirmed(10);
    running.stop();

    let word = "packet_too_large".to_owned();
    assert_eq!(rejected(&memory), [(3, word.clone()), (4, word)]);
}

#[test]
fn a_refused_value_is_a_reject_only_once_another_one_went_through() {
    let broker = answering(0x99);
    let memory = Memory::new(100);
    memory.commit([frame(0, "bad")]);
    let running = Running::start(&sink(v5(broker.port)), &memory);
    while !running.sink.state().last_error.contains("waits until") {
        std::thread::yield_now();
    }
    assert_eq!(memory.total(), Confirmation::default());

    memory.commit([frame(1, "good")]);
    memory.wait_confirmed(2);
    // What the broker took before shows it as well, so nothing has to come behind.
    memory.commit([frame(2, "bad")]);
    memory.wait_confirmed(3);
    running.stop();

    let word = "payload_format_invalid".to_owned();
    assert_eq!(rejected(&memory), [(0, word.clone()), (2, word)]);
}

#[test]
fn a_broker_that_answers_every_value_with_a_refusal_rejects_nothing_and_is_said_to_refuse() {
    for code in [0x80, 0x83, 0x90, 0x99] {
        let broker = Scripted::start(move |_, peer| {
            peer.accept();
            while let Some(publish) = peer.publish() {
                let is_ours = publish.topic.starts_with("gateway/");
                peer.puback_with(publish.id, if is_ours { 0 } else { code });
            }
            String::new()
        });
        let memory = Memory::new(100);
        // Nothing is retained of it, so that no refresh comes first.
        memory.know("good", "before", NOW - 1);
        memory.with(|inner| inner.known.get_mut("good").unwrap().retain = false);
        memory.commit(frames(20, &[]));

        let ended = Running::start(&sink(v5(broker.port)), &memory).join();

        assert_eq!(ended.kind, EndKind::Refused, "{}", ended.detail);
        assert!(ended.detail.contains("every publish"), "{}", ended.detail);
        assert_eq!(memory.total(), Confirmation::default());
    }
}

#[test]
fn a_second_acknowledgement_costs_nothing() {
    for protocol in [Protocol::V311, Protocol::V5] {
        for qos in [1, 2] {
            let broker = Scripted::start(|_, peer| {
                peer.accept();
                while let Some((first, body)) = peer.read() {
                    let answer = match first >> 4 {
                        3 => {
                            let id = 2 + usize::from(body[1]);
                            let kind = if first & 2 != 0 { 0x40 } else { 0x50 };
                            [kind, 2, body[id], body[id + 1]]
                        }
                        6 => [0x70, 2, body[0], body[1]],
                        _ => continue,
                    };
                    peer.write(&[answer, answer].concat());
                }
                String::new()
            });
            let memory = Memory::new(100);
            memory.commit(frames(50, &[]));

            let running = Running::start(
                &sink(Config {
                    qos,
                    protocol,
                    ..config(broker.port)
                }),
                &memory,
            );
            memory.wait_confirmed(50);
            let ended = running.stop();

            assert_eq!((ended.kind, ended.delivered), (EndKind::Stopped, 50));
        }
    }
}

#[test]
fn a_client_id_that_nobody_asked_for_costs_nothing() {
    let broker = Scripted::start(|_, peer| {
        peer.expect_connect();
        peer.connack(0, &[0x12, 0, 2, b'i', b'd', 0x21, 0, 9, 0x1A, 0, 1, b'r']);
        peer.serve(|_| true);
        String::new()
    });
    let memory = Memory::new(100);
    memory.commit(frames(5, &[]));

    let running = Running::start(&sink(v5(broker.port)), &memory);
    memory.wait_confirmed(5);

    assert_eq!(running.stop().kind, EndKind::Stopped);
}

#[test]
fn what_a_broker_announces_is_kept_to_and_said() {
    let (sender, seen) = channel();
    let broker = Scripted::start(move |_, peer| {
        peer.expect_connect();
        // Maximum QoS 1, no retained messages, no topic aliases, packets of 60 bytes.
        peer.connack(0, &[0x24, 1, 0x25, 0, 0x22, 0, 0, 0x27, 0, 0, 0, 60]);
        peer.serve(|publish| sender.send(publish.clone()).is_ok());
        String::new()
    });
    let memory = Memory::new(100);
    let mut all = frames(3, &[]);
    // PUBLISH: 2 of header, 2 + 1 of topic, 2 of id, 1 of properties.
    all.push((NOW + 3, vec![value("x", "y".repeat(60 - 8)), value("z", 1)]));
    all.push((NOW + 4, vec![value("x", "y".repeat(60 - 7)), value("z", 2)]));
    memory.commit(all);

    let running = Running::start(
        &sink(Config {
            qos: 2,
            ..v5(broker.port)
        }),
        &memory,
    );
    running.sink.publish_health(vec![b'h'; 200]);
    memory.wait_confirmed(5);
    let state = running.sink.state();
    running.stop();

    assert_eq!(state.limits, "QoS 1 instead of 2, no value is retained");
    let seen: Vec<Publish> = seen.try_iter().collect();
    assert!(
        seen.iter()
            .all(|publish| publish.qos == 1 && !publish.retain),
        "{seen:?}"
    );
    assert!(seen.iter().all(|publish| publish.topic != "gateway/health"));
    assert_eq!(rejected(&memory), [(4, "packet_too_large".to_owned())]);
    assert_eq!((delivered(&memory), memory.total().points), (4, 6));
}

#[test]
fn a_broker_that_confirms_nothing_or_keeps_nothing_says_so_at_the_connect() {
    let broker = Scripted::start(|number, peer| {
        let connect = peer.expect_connect();
        let will_is_retained = connect[7] & 0x20 != 0;
        match number {
            0 => peer.connack(0, &[0x24, 0]),
            _ if will_is_retained => peer.connack(0x9A, &[]),
            _ => peer.connack(0, &[0x25, 0]),
        }
        peer.serve(|_| true);
        String::new()
    });
    let memory = Memory::new(100);
    memory.commit(frames(3, &[]));
    let sink = sink(v5(broker.port));

    let qos_0 = Running::start(&sink, &memory).join();
    let no_retain = Running::start(&sink, &memory).join();
    let running = Running::start(&sink, &memory);
    memory.wait_confirmed(3);
    let limits = running.sink.state().limits;
    running.stop();

    assert_eq!(qos_0.kind, EndKind::Refused);
    assert!(qos_0.detail.contains("allow QoS 1"), "{}", qos_0.detail);
    assert_eq!((no_retain.kind, no_retain.again), (EndKind::Refused, true));
    assert_eq!(limits, "no value is retained");
}

#[test]
fn a_connection_that_ends_for_a_publish_is_to_be_made_again_soon() {
    let broker = closing("bad", None);
    let memory = Memory::new(100);
    memory.commit(frames(3, &[1]));

    let running = Relentless::start(&sink(config(broker.port)), &memory);
    memory.wait_confirmed(3);
    let ends = running.stop();

    let (first, later) = ends.split_first().unwrap();
    assert!(!first.again && first.answered, "{first:?}");
    assert!(later.iter().all(|ended| ended.again), "{later:?}");
    let told = later
        .iter()
        .filter(|ended| ended.detail.contains("\"bad\""));
    assert!(told.count() >= 2, "{later:?}");
    assert!(broker.results.recv_timeout(PATIENCE).is_ok());
}

#[test]
fn a_publish_that_is_not_to_be_sent_is_a_reject_and_the_rest_of_its_frame_is_delivered() {
    let (sender, seen) = channel();
    let broker = Scripted::start(move |_, peer| {
        peer.accept();
        peer.serve(|publish| sender.send(publish.topic.clone()).is_ok());
        String::new()
    });
    let memory = Memory::new(10);
    // No other value goes through: this is nothing that the broker says.
    memory.commit([frame(0, "reserved/a")]);
    let settings = Config {
        own_topics: vec!["reserved/#".into()],
        ..config(broker.port)
    };
    let running = Running::start(&sink(settings), &memory);
    memory.wait_confirmed(1);
    memory.commit([(NOW + 1, vec![value("reserved/a", 1), value("b", 1)])]);
    memory.wait_confirmed(2);
    running.stop();

    let word = "topic_of_the_gateway".to_owned();
    assert_eq!(rejected(&memory), [(0, word.clone()), (1, word)]);
    assert_eq!((delivered(&memory), memory.total().points), (0, 1));
    let seen: Vec<String> = seen.try_iter().collect();
    assert!(seen.iter().all(|topic| !topic.starts_with("reserved")));
}
