//! Against a real Mosquitto: what arrives, what stays retained, what is confirmed.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::support::broker::{Message, Mosquitto, Subscriber, skip};
use crate::support::{self, Memory, Running, config, nine, sink, value};
use iiot_mqtt::{Backlog, Config, Confirmation, EndKind, Protocol, probe};

const SECOND: i64 = 1_000_000_000;
const NOW: i64 = 1_700_000_000 * SECOND;

fn message(topic: &str, payload: &str, retain: bool) -> Message {
    Message {
        topic: topic.into(),
        payload: payload.into(),
        retain,
    }
}

fn deliver_thousand(change: impl FnOnce(Config) -> Config) {
    let broker = Mosquitto::start();
    let memory = Memory::new(10_000);
    let sink = sink(change(config(broker.port)));

    let running = Running::start(&sink, &memory);
    memory.commit(nine(0, 1000));
    memory.wait_confirmed(1000);
    let ended = running.stop();

    assert_eq!((ended.kind, ended.delivered), (EndKind::Stopped, 1000));
    let expected: Vec<_> = (0..9)
        .map(|k| (format!("lora/node{k}/t"), "999".to_owned()))
        .collect();
    assert_eq!(broker.retained("lora/#"), expected);
    let availability = [("gateway/availability".to_owned(), "offline".to_owned())];
    assert_eq!(broker.retained("gateway/#"), availability);
    let total = Confirmation {
        end: 1000,
        delivered: 1000,
        points: 9000,
        ..Confirmation::default()
    };
    assert_eq!(memory.total(), total);
}

#[test]
fn committed_frames_arrive_retained_and_are_confirmed_at_every_qos_of_both_versions() {
    if skip() {
        return;
    }
    for protocol in [Protocol::V311, Protocol::V5] {
        for qos in [0, 1, 2] {
            deliver_thousand(|config| Config {
                qos,
                protocol,
                ..config
            });
        }
    }
}

#[test]
fn a_value_for_a_topic_that_is_not_for_it_is_rejected_and_the_others_go_on() {
    //! A device must not speak for the gateway, and what MQTT does not allow would end every connection.
    if skip() {
        return;
    }
    for protocol in [Protocol::V311, Protocol::V5] {
        let broker = Mosquitto::start();
        let memory = Memory::new(100);
        // As an earlier version may have left them behind.
        memory.know("gateway/availability", "forged", NOW);
        memory.know("a\u{1}", "1", NOW);
        let bad = ["gateway/availability", "gateway", "a\nb", "a\u{fffe}"].map(str::to_owned);
        let bad: Vec<String> = bad.into_iter().chain(["x".repeat(65_536)]).collect();
        memory.commit(bad.iter().enumerate().map(|(n, topic)| {
            let values = vec![value(topic, "forged"), value("lora/node1/t", n)];
            (NOW + n as i64, values)
        }));
        let sink = sink(Config {
            protocol,
            own_topics: vec!["gateway/#".into()],
            ..config(broker.port)
        });

        let running = Running::start(&sink, &memory);
        memory.wait_confirmed(bad.len() as u64);
        let availability = [("gateway/availability".to_owned(), "online".to_owned())];
        assert_eq!(broker.retained("gateway/#"), availability);
        assert_eq!(running.stop().kind, EndKind::Stopped);

        assert_eq!(
            broker.retained("lora/#"),
            [("lora/node1/t".to_owned(), "4".to_owned())]
        );
        let total = memory.total();
        assert_eq!((total.delivered, total.points), (0, 5));
        let reasons: Vec<_> = total
            .rejected
            .iter()
            .map(|r| (r.place.point, r.reason.as_str()))
            .collect();
        let own = "topic_of_the_gateway: gateway/# belongs to the gateway itself";
        assert_eq!(
            reasons,
            [
                (0, own),
                (0, own),
                (
                    0,
                    "topic_name_invalid: it holds U+000A, a control character, which MQTT does not allow"
                ),
                (
                    0,
                    "topic_name_invalid: it holds U+FFFE, no character of Unicode, which MQTT does not allow"
                ),
                (0, "topic_name_invalid: it is longer than 65535 bytes"),
            ]
        );
    }
}

#[test]
fn a_window_of_one_still_delivers_everything() {
    if skip() {
        return;
    }
    deliver_thousand(|config| Config {
        inflight: 1,
        ..config
    });
}

#[test]
fn single_frames_are_confirmed_without_waiting_for_a_delayed_acknowledgement_of_tcp() {
    if skip() {
        return;
    }
    let broker = Mosquitto::start();
    let memory = Memory::new(100);
    let running = Running::start(&sink(config(broker.port)), &memory);
    memory.commit(nine(0, 1));
    memory.wait_confirmed(1);

    let began = Instant::now();
    for n in 1..=50 {
        memory.commit(nine(n, 1));
        memory.wait_confirmed(n + 1);
    }

    // With the delay each takes 40 ms, without it a fifth of one.
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    running.stop();
}

#[test]
fn a_broker_killed_and_restarted_empty_amid_100_000_publishes_loses_nothing() {
    if skip() {
        return;
    }
    let frames = 11_200;
    let mut broker = Mosquitto::start();
    let memory = Memory::new(2000);
    let sink = sink(config(broker.port));
    // Topics that no frame touches again: only the refresh brings them back.
    for k in 0..250 {
        memory.know(&format!("quiet/{k}"), "last", NOW);
    }
    memory.commit(nine(0, frames));

    // What each broker's subscriber saw; the second broker knows nothing of the first.
    let first = Subscriber::start(broker.port, "lora/#");
    let running = Running::start(&sink, &memory);
    memory.wait_confirmed(frames / 3);
    broker.kill();
    let ended = running.join();
    assert_eq!(ended.kind, EndKind::Lost, "{}", ended.detail);
    let confirmed = memory.cursor();
    assert!(confirmed < frames, "killed too late");
    broker.restart();
    let second = Subscriber::start(broker.port, "lora/#");
    let running = Running::start(&sink, &memory);
    memory.wait_confirmed(frames);
    let after: HashSet<(String, String)> = second
        .until("lora/node8/t", &(frames - 1).to_string())
        .into_iter()
        .map(|message| (message.topic, message.payload))
        .collect();
    running.stop();

    // Everything that was not confirmed when the broker died reached its successor.
    for n in confirmed..frames {
        for k in 0..9 {
            let publish = (format!("lora/node{k}/t"), n.to_string());
            assert!(after.contains(&publish), "{publish:?} is missing");
        }
    }
    drop(first);
    let expected: Vec<_> = (0..9)
        .map(|k| (format!("lora/node{k}/t"), (frames - 1).to_string()))
        .collect();
    assert_eq!(broker.retained("lora/#"), expected);
    assert_eq!(broker.retained("quiet/#").len(), 250);
    assert_eq!(memory.total().delivered, frames);
}

#[test]
fn only_what_the_broker_lacks_is_refreshed() {
    if skip() {
        return;
    }
    for protocol in [Protocol::V311, Protocol::V5] {
        let broker = Mosquitto::start();
        let memory = Memory::new(100);
        let sink = sink(Config {
            protocol,
            ..config(broker.port)
        });
        let running = Running::start(&sink, &memory);
        memory.commit([(
            NOW,
            (0..120)
                .map(|k| value(&format!("has/{k}"), "same"))
                .collect(),
        )]);
        memory.wait_confirmed(1);
        running.stop();

        memory.know("has/0", "newer", NOW + 1);
        memory.know("lacks/0", "v", NOW);
        let again = support::sink(Config {
            protocol,
            ..config(broker.port)
        });
        let subscriber = Subscriber::start(broker.port, "+/0");
        let running = Running::start(&again, &memory);
        memory.commit([(NOW + 2, vec![value("end/0", "x")])]);
        memory.wait_confirmed(2);
        assert_eq!(again.state().refreshed, 2);
        running.stop();

        assert_eq!(broker.retained("has/#").len(), 120);
        let seen: HashSet<_> = subscriber
            .until("end/0", "x")
            .into_iter()
            .filter(|message| !message.retain)
            .map(|message| (message.topic, message.payload))
            .collect();
        let expected = [("has/0", "newer"), ("lacks/0", "v"), ("end/0", "x")];
        assert_eq!(
            seen,
            expected.map(|(t, p)| (t.to_owned(), p.to_owned())).into()
        );
    }
}

#[test]
fn frames_that_may_have_been_sent_before_never_take_a_retained_value_back() {
    if skip() {
        return;
    }
    let broker = Mosquitto::start();
    // An earlier process sent frames 0..3, was killed before any confirmation was stored, and knew "old".
    let memory = Memory::new(10);
    memory.know("a", "old", NOW - SECOND);
    memory.commit([
        (NOW, vec![value("a", "1")]),
        (NOW + 1, vec![value("a", "2")]),
        (NOW + 2, vec![value("a", "3")]),
    ]);
    let earlier = Memory::new(10);
    earlier.commit([(NOW + 2, vec![value("a", "3")])]);
    let before = sink(config(broker.port));
    let running = Running::start(&before, &earlier);
    earlier.wait_confirmed(1);
    running.stop();

    let watcher = Retained::watch(&broker, "a");
    let sink = sink(config(broker.port));
    let running = Running::start(&sink, &memory);
    memory.wait_confirmed(3);
    memory.commit([(NOW + 3, vec![value("a", "4")])]);
    memory.wait_confirmed(4);
    running.stop();

    // The watcher looked at the retained value after each message.
    assert_eq!(watcher.values(), ["3", "3", "3", "4"]);
}

/// A subscriber that looks up the retained value at each message.
struct Retained {
    thread: std::thread::JoinHandle<Vec<String>>,
}

impl Retained {
    fn watch(broker: &Mosquitto, topic: &str) -> Self {
        let subscriber = Subscriber::start(broker.port, topic);
        let (port, topic) = (broker.port, topic.to_owned());
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            loop {
                let message = subscriber.next();
                if message.retain || message.topic == subscriber.marker {
                    continue;
                }
                // At most what came later is retained by now: never what was before.
                let retained = Subscriber::start(port, &topic).next().payload;
                let last = message.payload == "4";
                seen.push(if last {
                    message.payload
                } else {
                    retained.min("3".to_owned())
                });
                if last {
                    return seen;
                }
            }
        });
        Self { thread }
    }

    fn values(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

#[test]
fn a_late_value_is_sent_without_taking_the_retained_one_back() {
    if skip() {
        return;
    }
    let broker = Mosquitto::start();
    let memory = Memory::new(10);
    let sink = sink(config(broker.port));
    let subscriber = Subscriber::start(broker.port, "a");

    let running = Running::start(&sink, &memory);
    memory.commit([
        (NOW, vec![value("a", "new")]),
        (NOW - 1, vec![value("a", "late")]),
    ]);
    memory.wait_confirmed(2);
    running.stop();

    let seen = subscriber.until("a", "late");
    assert_eq!(
        seen,
        [message("a", "new", false), message("a", "late", false)]
    );
    assert_eq!(broker.retained("a"), [("a".to_owned(), "new".to_owned())]);
    assert_eq!(memory.total().late_points, 1);
}

#[test]
fn a_backlog_of_latest_sends_the_newest_of_each_topic_and_counts_the_rest() {
    if skip() {
        return;
    }
    let broker = Mosquitto::start();
    let memory = Memory::new(10_000);
    let sink = sink(Config {
        backlog: Backlog::Latest,
        ..config(broker.port)
    });
    let subscriber = Subscriber::start(broker.port, "lora/#");
    memory.commit(nine(0, 500));

    let running = Running::start(&sink, &memory);
    memory.wait_confirmed(500);
    running.stop();

    assert_eq!(subscriber.until("lora/node8/t", "499").len(), 9);
    let total = memory.total();
    assert_eq!(
        (total.superseded, total.delivered, total.points),
        (499, 1, 9)
    );
}

#[test]
fn a_killed_gateway_is_reported_offline_by_its_will() {
    if skip() {
        return;
    }
    let broker = Mosquitto::start();
    let memory = Memory::new(10);
    let sink = sink(config(broker.port));
    let subscriber = Subscriber::start(broker.port, "gateway/#");
    let running = Running::start(&sink, &memory);
    sink.publish_health(b"well".to_vec());
    subscriber.until("gateway/health", "well");

    // No grace at all: the connection is cut.
    sink.stop(Duration::ZERO);
    let ended = running.join();

    assert_eq!(ended.kind, EndKind::Stopped);
    subscriber.until("gateway/availability", "offline");
}

#[test]
fn tls_is_spoken_with_a_trusted_broker_only() {
    if skip() {
        return;
    }
    let certificates = support::broker::Certificates::make();
    let broker = Mosquitto::start_with(&format!(
        "listener {{port}} 127.0.0.1\nallow_anonymous true\ncafile {0}/ca.pem\ncertfile {0}/server.pem\nkeyfile {0}/server.key",
        certificates.folder()
    ));
    let url = format!("mqtts://localhost:{}", broker.port);
    let plain = format!("{}/ca.pem", certificates.folder());
    // As an editor of Windows saves it.
    let marked = format!("{}/marked.pem", certificates.folder());
    let pem = [b"\xef\xbb\xbf".to_vec(), std::fs::read(&plain).unwrap()].concat();
    std::fs::write(&marked, pem).unwrap();
    let trusting = Config {
        broker_url: url.clone(),
        ca_file: Some(plain),
        ..config(0)
    };
    let with_mark = Config {
        ca_file: Some(marked),
        ..trusting.clone()
    };
    for config in [trusting.clone(), with_mark] {
        let report = probe(config, "probe/x", "probe/x", support::PATIENCE).unwrap();
        assert_eq!(report.failed, None, "{}", report.detail);
    }

    let ended = Running::start(
        &sink(Config {
            ca_file: None,
            ..trusting
        }),
        &Memory::new(10),
    )
    .join();
    assert_eq!(ended.kind, EndKind::Tls, "{}", ended.detail);
    let plain_broker = Mosquitto::start();
    let to_plain = Config {
        broker_url: format!("mqtts://localhost:{}", plain_broker.port),
        ..config(0)
    };
    let ended = Running::start(&sink(to_plain), &Memory::new(10)).join();
    assert_eq!(ended.kind, EndKind::Tls, "{}", ended.detail);
}

#[test]
fn a_probe_publishes_and_reads_back() {
    if skip() {
        return;
    }
    let broker = Mosquitto::start();
    let report = probe(config(broker.port), "probe/x", "probe/x", support::PATIENCE).unwrap();
    assert_eq!(report.failed, None, "{}", report.detail);
}
