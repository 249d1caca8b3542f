//! A consumer against brokers that do exactly what the test says.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::peer::{Peer, Scripted, packet, string};
use crate::support::{self, PATIENCE};
use iiot_mqtt::{
    Arrived, Config, Consumer, ConsumerConfig, ConsumerEnded, EndKind, Inlet, InletError, Protocol,
    Retained, Subscription,
};

const PUBACK: u8 = 4;
const PUBREC: u8 = 5;
const PUBCOMP: u8 = 7;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;

/// What an inlet was told, in order, and what it answers.
#[derive(Default)]
struct Notes {
    told: Vec<String>,
    taken: u64,
    is_durable: bool,
    is_full: bool,
    /// How often it was asked for room.
    asked: u64,
    filters: Vec<String>,
    wake: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// Everything that came stays in memory, and is durable when the test says so.
#[derive(Clone, Default)]
struct Memory(Arc<(Mutex<Notes>, Condvar)>);

impl Memory {
    fn with<T>(&self, change: impl FnOnce(&mut Notes) -> T) -> T {
        let answer = change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
        answer
    }

    fn tell(&self, what: String) {
        self.with(|notes| notes.told.push(what));
    }

    fn told(&self) -> Vec<String> {
        self.with(|notes| notes.told.clone())
    }

    /// Wait until this was told.
    fn wait_for(&self, what: &str) {
        let (lock, changed) = &*self.0;
        let is_missing = |notes: &mut Notes| !notes.told.iter().any(|told| told == what);
        let (notes, waited) = changed
            .wait_timeout_while(lock.lock().unwrap(), PATIENCE, is_missing)
            .unwrap();
        assert!(!waited.timed_out(), "{what} was not told: {:?}", notes.told);
    }

    /// Wait until the consumer has looked around so often.
    fn wait_rounds(&self, rounds: u64) {
        let (lock, changed) = &*self.0;
        let notes = lock.lock().unwrap();
        let until = notes.asked + rounds;
        let waited = changed.wait_timeout_while(notes, PATIENCE, |notes| notes.asked < until);
        assert!(!waited.unwrap().1.timed_out(), "the consumer stands still");
    }

    /// From now on everything is durable.
    fn sync(&self) {
        let wake = self.with(|notes| {
            notes.is_durable = true;
            notes.wake.clone()
        });
        wake.unwrap()();
    }
}

impl Inlet for Memory {
    fn take(&mut self, message: &Arrived<'_>) {
        self.with(|notes| {
            notes.taken += 1;
            notes.told.push(format!("take {}", shown(message)));
        });
    }

    fn skip(&mut self, message: &Arrived<'_>, why: &'static str) {
        self.tell(format!("skip {} {why}", shown(message)));
    }

    fn refuse_long(&mut self, message: &Arrived<'_>) {
        let (kept, all) = (message.payload.len(), message.payload_bytes);
        self.tell(format!("refuse {} {kept} of {all}", message.packet_id));
    }

    fn forget(&mut self, packet_ids: &[u16]) {
        self.tell(format!("forget {packet_ids:?}"));
    }

    fn send(&mut self) -> Result<u64, InletError> {
        Ok(self.with(|notes| notes.taken))
    }

    fn durable(&self) -> u64 {
        self.with(|notes| if notes.is_durable { notes.taken } else { 0 })
    }

    fn has_room(&self) -> bool {
        self.with(|notes| {
            notes.asked += 1;
            !notes.is_full
        })
    }

    fn subscribe(&self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.with(|notes| notes.wake = Some(wake));
    }

    fn subscribed(&self) -> Result<Vec<String>, InletError> {
        Ok(self.with(|notes| notes.filters.clone()))
    }

    fn set_subscribed(&self, filters: &[String]) -> Result<(), InletError> {
        self.with(|notes| notes.filters = filters.to_vec());
        self.tell(format!("subscribed {}", filters.join(" ")));
        Ok(())
    }

    fn resume_session(&mut self) -> Result<(), InletError> {
        self.tell("resumed".to_owned());
        Ok(())
    }

    fn new_session(&self, lost: bool) -> Result<(), InletError> {
        self.tell(format!("new session, lost: {lost}"));
        Ok(())
    }
}

fn shown(message: &Arrived<'_>) -> String {
    let topic = String::from_utf8_lossy(message.topic);
    let payload = String::from_utf8_lossy(message.payload);
    format!("{} {topic} {payload}", message.packet_id)
}

struct Running {
    consumer: Arc<Consumer>,
    memory: Memory,
    thread: JoinHandle<ConsumerEnded>,
}

impl Running {
    fn ended(self) -> ConsumerEnded {
        self.thread.join().unwrap()
    }
}

/// Run one connection of a consumer of these filters.
fn run(
    broker: &Scripted,
    memory: &Memory,
    filters: &[&str],
    change: impl FnOnce(&mut Config, &mut ConsumerConfig),
) -> Running {
    let mut config = Config::new(format!("mqtt://127.0.0.1:{}", broker.port), "consumer");
    let mut settings = ConsumerConfig {
        subscriptions: filters
            .iter()
            .map(|filter| Subscription {
                filter: (*filter).to_owned(),
                qos: 1,
            })
            .collect(),
        retained: Retained::Ignore,
        session_expiry: Duration::from_secs(3600),
        max_payload_bytes: 1000,
        receive_maximum: u16::MAX,
        is_counted_for_ever: false,
    };
    change(&mut config, &mut settings);
    let consumer = Arc::new(Consumer::new(config, settings).unwrap());
    consumer.attach(memory);
    let (runner, mut inlet) = (Arc::clone(&consumer), memory.clone());
    Running {
        consumer,
        memory: memory.clone(),
        thread: std::thread::spawn(move || runner.run_connection(&mut inlet)),
    }
}

fn as_before(_: &mut Config, _: &mut ConsumerConfig) {}

fn expect(peer: &mut Peer, kind: u8, id: u16) {
    let (found, found_id, _) = peer.next().expect("a packet");
    assert_eq!((found, found_id), (kind, id));
}

/// Read an UNSUBSCRIBE; its packet id.
fn expect_unsubscribe(peer: &mut Peer, filter: &str) -> u16 {
    let (kind, id, body) = peer.next().expect("UNSUBSCRIBE");
    assert_eq!(kind, UNSUBSCRIBE);
    assert!(body.ends_with(filter.as_bytes()), "{body:?}");
    id
}

fn unsuback(peer: &mut Peer, id: u16) {
    peer.write(&packet(0xb0, &id.to_be_bytes()));
}

fn pubrel(peer: &mut Peer, id: u16) {
    peer.write(&packet(0x62, &id.to_be_bytes()));
}

#[test]
fn acknowledgements_wait_for_the_disk_and_keep_the_order_of_the_messages() {
    //! A PUBREL is answered at once; what would be acknowledged too early would come before this answer.
    for protocol in [Protocol::V311, Protocol::V5] {
        let memory = Memory::default();
        let script = memory.clone();
        let broker = Scripted::start(move |_, peer| {
            peer.accept();
            peer.suback(&[1]);
            let messages = [
                peer.delivery(11, 1, "a/b", b"1"),
                peer.delivery(12, 2, "a/b", b"2"),
                peer.delivery(13, 1, "a/b", b"3"),
            ];
            peer.write(&messages.concat());
            script.wait_for("take 13 a/b 3");
            pubrel(peer, 99);
            expect(peer, PUBCOMP, 99);
            script.sync();
            expect(peer, PUBACK, 11);
            expect(peer, PUBREC, 12);
            expect(peer, PUBACK, 13);
            String::new()
        });
        let running = run(&broker, &memory, &["a/#"], |config, _| {
            config.protocol = protocol;
        });
        broker.result();
        assert_eq!(running.ended().kind, EndKind::Lost);
    }
}

#[test]
fn no_more_messages_are_taken_than_may_wait_for_their_acknowledgement() {
    //! Whatever the broker was told, and although an answer to a ping stands behind them unread.
    let cases = [
        (Protocol::V5, false, vec![[0x21, 0, 2]]),
        (Protocol::V5, true, vec![[0x21, 0xea, 0x60]]),
        (Protocol::V311, false, vec![]),
    ];
    for (protocol, is_counted_for_ever, told) in cases {
        let memory = Memory::default();
        let script = memory.clone();
        let broker = Scripted::start(move |_, peer| {
            let connect = peer.expect_connect();
            peer.connack(0, &[]);
            peer.suback(&[1]);
            let messages = (11..16).flat_map(|id| peer.delivery(id, (id % 2 + 1) as u8, "a", b"1"));
            let messages: Vec<u8> = messages.collect();
            peer.write(&messages);
            expect(peer, PINGREQ, 0);
            peer.write(&packet(0xd0, &[]));
            script.wait_rounds(3);
            let taken = script.with(|notes| notes.taken);
            script.sync();
            for id in 11..16 {
                let (kind, found) = loop {
                    match peer.next().expect("an acknowledgement") {
                        (UNSUBSCRIBE, id, _) => unsuback(peer, id),
                        (PINGREQ, ..) => peer.write(&packet(0xd0, &[])),
                        (kind, id, _) => break (kind, id),
                    }
                };
                let expected = if id % 2 == 0 { PUBACK } else { PUBREC };
                assert_eq!((kind, found), (expected, id));
            }
            let told = connect.windows(3).filter(|property| property[0] == 0x21);
            let told: Vec<&[u8]> = told.collect();
            format!("{taken} {told:?}")
        });
        let running = run(&broker, &memory, &["a"], |config, settings| {
            config.protocol = protocol;
            config.keep_alive = Duration::from_secs(1);
            config.ack_timeout = Duration::from_millis(100);
            settings.receive_maximum = 2;
            settings.is_counted_for_ever = is_counted_for_ever;
        });
        assert_eq!(broker.result(), format!("2 {told:?}"));
        let ended = running.ended();
        assert_eq!(
            (ended.kind, ended.detail.as_str()),
            (EndKind::Lost, "the broker closed the connection")
        );
    }
}

#[test]
fn a_delivery_is_forgotten_when_the_broker_knows_of_its_acknowledgement() {
    //! Of `QoS` 1 with the answer to a request behind it, of `QoS` 2 with the PUBREL. A second answer changes nothing.
    let memory = Memory::default();
    let script = memory.clone();
    let broker = Scripted::start(move |_, peer| {
        peer.accept();
        peer.suback(&[2]);
        let messages = [
            peer.delivery(7, 1, "t", b"x"),
            peer.delivery(8, 2, "t", b"y"),
        ];
        peer.write(&messages.concat());
        script.wait_for("take 8 t y");
        script.sync();
        expect(peer, PUBACK, 7);
        expect(peer, PUBREC, 8);
        let asked = expect_unsubscribe(peer, "never-subscribed");
        assert!(!script.told().iter().any(|told| told.starts_with("forget")));
        unsuback(peer, asked);
        script.wait_for("forget [7]");
        unsuback(peer, asked);
        unsuback(peer, 4711);
        pubrel(peer, 8);
        expect(peer, PUBCOMP, 8);
        script.wait_for("forget [8]");
        let forgotten = script.told();
        let forgotten = forgotten.iter().filter(|told| told.starts_with("forget"));
        forgotten.count().to_string()
    });
    let running = run(&broker, &memory, &["t"], as_before);
    assert_eq!(broker.result(), "2");
    running.ended();
}

#[test]
fn a_new_session_is_known_before_its_first_message() {
    //! Its packet ids mean other messages. Here one comes together with the CONNACK.
    for (filters, lost) in [(vec!["a".to_owned()], true), (Vec::new(), false)] {
        let memory = Memory::default();
        memory.with(|notes| notes.filters = filters);
        let script = memory.clone();
        let broker = Scripted::start(move |_, peer| {
            peer.expect_connect();
            let message = peer.delivery(1, 1, "a", b"early");
            peer.write(&[packet(0x20, &[0, 0]), message].concat());
            peer.suback(&[1]);
            script.wait_for("take 1 a early");
            String::new()
        });
        let running = run(&broker, &memory, &["a"], as_before);
        broker.result();
        assert_eq!(running.consumer.state().sessions_lost, u64::from(lost));
        assert_eq!(
            running.memory.told()[..3],
            [
                format!("new session, lost: {lost}"),
                "subscribed a".to_owned(),
                "take 1 a early".to_owned()
            ]
        );
        running.ended();
    }
}

#[test]
fn a_kept_session_loses_the_filters_that_are_not_wanted_any_more() {
    //! What the session has is remembered until the broker has answered both requests.
    let memory = Memory::default();
    memory.with(|notes| notes.filters = vec!["old/#".to_owned(), "a".to_owned()]);
    let script = memory.clone();
    let broker = Scripted::start(move |_, peer| {
        peer.accept_session(true);
        let id = expect_unsubscribe(peer, "old/#");
        peer.suback(&[1, 1]);
        assert_eq!(script.told(), ["resumed", "subscribed a b old/#"]);
        unsuback(peer, id);
        script.wait_for("subscribed a b");
        String::new()
    });
    let running = run(&broker, &memory, &["a", "b"], as_before);
    broker.result();
    running.ended();
}

#[test]
fn a_session_that_the_broker_keeps_for_less_time_is_told() {
    //! A longer absence would lose what waits in it.
    for (kept_s, told) in [
        (60, "the session is kept for 60 s instead of 3600 s"),
        (3600, ""),
    ] {
        let memory = Memory::default();
        let script = memory.clone();
        let broker = Scripted::start(move |_, peer| {
            peer.expect_connect();
            peer.connack(0, &[0x11, 0, 0, (kept_s >> 8) as u8, kept_s as u8]);
            peer.suback(&[1]);
            let message = peer.delivery(1, 1, "a", b"x");
            peer.write(&message);
            script.wait_for("take 1 a x");
            String::new()
        });
        let running = run(&broker, &memory, &["a"], |config, settings| {
            config.protocol = Protocol::V5;
            settings.session_expiry = Duration::from_secs(3600);
        });
        broker.result();
        assert_eq!(running.consumer.state().limits, told);
        running.ended();
    }
}

#[test]
fn filters_that_the_broker_refuses_are_named() {
    //! One of two stays refused while the other delivers; if it grants none, the connection ends.
    let memory = Memory::default();
    let script = memory.clone();
    let broker = Scripted::start(move |number, peer| {
        peer.accept();
        if number == 0 {
            peer.suback(&[0x80, 0]);
            let message = peer.delivery(1, 1, "b", b"x");
            peer.write(&message);
            script.wait_for("take 1 b x");
        } else {
            peer.suback(&[0x87, 0x97]);
            peer.drain();
        }
        String::new()
    });
    let running = run(&broker, &memory, &["a", "b"], as_before);
    broker.result();
    let state = running.consumer.state();
    running.ended();
    let [refused] = &state.refused[..] else {
        panic!("{:?}", state.refused)
    };
    assert!(refused.starts_with("a: "), "{refused}");
    assert_eq!(state.limits, "QoS 0 instead of 1 for b");

    let running = run(&broker, &memory, &["a", "b"], |config, _| {
        config.protocol = Protocol::V5;
    });
    let ended = running.ended();
    assert_eq!(ended.kind, EndKind::Refused);
    assert_eq!(
        ended.detail,
        "the broker grants none of the topic filters: a: not_authorized (0x87); b: quota_exceeded (0x97)"
    );
}

#[test]
fn a_refused_connection_is_told_with_its_reason() {
    //! The code of either protocol, and the broker's own text.
    let cases = [
        (
            Protocol::V311,
            4,
            "",
            EndKind::NotAuthorized,
            "user name or password is wrong",
        ),
        (
            Protocol::V311,
            2,
            "",
            EndKind::Refused,
            "it does not accept the client id",
        ),
        (
            Protocol::V5,
            0x87,
            "not today",
            EndKind::NotAuthorized,
            "(0x87): not today",
        ),
        (Protocol::V5, 0x97, "", EndKind::Quota, "(0x97)"),
    ];
    for (protocol, code, text, kind, words) in cases {
        let broker = Scripted::start(move |_, peer| {
            peer.expect_connect();
            let mut reason = Vec::new();
            if !text.is_empty() {
                reason.push(0x1f);
                reason.extend(support::peer::string(text));
            }
            peer.connack(code, &reason);
            String::new()
        });
        let running = run(&broker, &Memory::default(), &["a"], |config, _| {
            config.protocol = protocol;
        });
        let ended = running.ended();
        assert_eq!(ended.kind, kind, "{}", ended.detail);
        assert!(ended.detail.ends_with(words), "{}", ended.detail);
    }
}

#[test]
fn what_mqtt_does_not_allow_ends_the_connection_and_costs_nothing_else() {
    //! What came before is taken; what is wrong is named.
    let wrong: [(&[u8], &str); 3] = [
        (&[0x30, 0xff, 0xff, 0xff, 0xff, 0x7f], "length"),
        (&[0x32, 3, 0, 1, b'a'], "cut short"),
        (&[0x36, 5, 0, 1, b'a', 0, 1], "QoS"),
    ];
    for (bytes, word) in wrong {
        let memory = Memory::default();
        let broker = Scripted::start(move |_, peer| {
            peer.accept();
            peer.suback(&[1]);
            let message = peer.delivery(1, 1, "a", b"good");
            peer.write(&[&message, bytes].concat());
            peer.drain();
            String::new()
        });
        let running = run(&broker, &memory, &["a"], as_before);
        let ended = running.ended();
        assert_eq!(ended.kind, EndKind::Protocol, "{word}: {}", ended.detail);
        assert!(ended.detail.contains(word), "{}", ended.detail);
        memory.wait_for("take 1 a good");
    }
}

#[test]
fn a_message_that_is_too_long_keeps_its_beginning_and_is_acknowledged_in_its_turn() {
    //! 10 MB through a limit of 1,000 bytes: 512 are kept for the reject. The next one comes behind it.
    let memory = Memory::default();
    let script = memory.clone();
    let broker = Scripted::start(move |_, peer| {
        peer.accept();
        peer.suback(&[1]);
        let long = peer.delivery(1, 1, "a", &vec![b'x'; 10_000_000]);
        let next = peer.delivery(2, 1, "a", b"next");
        peer.write(&[long, next].concat());
        script.wait_for("take 2 a next");
        script.sync();
        expect(peer, PUBACK, 1);
        expect(peer, PUBACK, 2);
        String::new()
    });
    let running = run(&broker, &memory, &["a"], as_before);
    broker.result();
    running.ended();
    memory.wait_for("refuse 1 512 of 10000000");
}

#[test]
fn retained_messages_are_skipped_or_taken_as_asked() {
    //! They are acknowledged either way.
    for (retained, told) in [
        (Retained::Ignore, "skip 0 a old retained"),
        (Retained::Take, "take 0 a old"),
    ] {
        let memory = Memory::default();
        let script = memory.clone();
        let broker = Scripted::start(move |_, peer| {
            peer.accept();
            peer.suback(&[1]);
            peer.send("a", b"old", true);
            script.wait_for(told);
            String::new()
        });
        let running = run(&broker, &memory, &["a"], |_, consumer| {
            consumer.retained = retained;
        });
        broker.result();
        running.ended();
    }
}

/// A message (MQTT 5, `QoS` 1) that says that its value was published before.
fn published_again(id: u16, retained: bool) -> Vec<u8> {
    let properties = [vec![0x26], string("iiot-position"), string("again")].concat();
    let body = [
        string("a"),
        id.to_be_bytes().to_vec(),
        vec![properties.len() as u8],
        properties,
        b"7".to_vec(),
    ];
    packet(0x32 | u8::from(retained), &body.concat())
}

#[test]
fn what_was_published_before_is_skipped_unless_the_broker_had_kept_it() {
    //! Whoever has a session got it when it was published first; a kept value may be all that a new session gets.
    let memory = Memory::default();
    let script = memory.clone();
    let broker = Scripted::start(move |_, peer| {
        peer.accept();
        peer.suback(&[1]);
        peer.write(&[published_again(3, false), published_again(4, true)].concat());
        script.wait_for("skip 3 a 7 published_again");
        script.wait_for("take 4 a 7");
        script.sync();
        expect(peer, PUBACK, 3);
        expect(peer, PUBACK, 4);
        String::new()
    });
    let running = run(&broker, &memory, &["a"], |config, settings| {
        config.protocol = Protocol::V5;
        settings.retained = Retained::Take;
    });
    broker.result();
    assert_eq!(running.ended().kind, EndKind::Lost);
}

#[test]
fn a_long_pause_ends_the_connection_and_keeps_the_session() {
    //! After half the keep-alive, before the broker would end it; no message is read meanwhile.
    let memory = Memory::default();
    memory.with(|notes| notes.is_full = true);
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        let (kind, _, _) = peer.next().unwrap();
        assert_eq!(kind, SUBSCRIBE);
        peer.drain();
        String::new()
    });
    let running = run(&broker, &memory, &["a"], |config, _| {
        config.keep_alive = Duration::from_secs(1);
    });
    assert_eq!(running.ended().kind, EndKind::Paused);
}

#[test]
fn a_stop_acknowledges_what_becomes_durable_within_its_grace() {
    //! Then it disconnects, and the session stays.
    let memory = Memory::default();
    let script = memory.clone();
    let broker = Scripted::start(move |_, peer| {
        peer.accept();
        peer.suback(&[1]);
        let message = peer.delivery(5, 1, "a", b"last");
        peer.write(&message);
        script.wait_for("take 5 a last");
        script.wait_for("stopped");
        script.sync();
        expect(peer, PUBACK, 5);
        loop {
            match peer.next() {
                Some((DISCONNECT, _, _)) => return String::new(),
                Some((UNSUBSCRIBE, id, _)) => unsuback(peer, id),
                other => panic!("{other:?}"),
            }
        }
    });
    let running = run(&broker, &memory, &["a"], as_before);
    memory.wait_for("take 5 a last");
    running.consumer.stop(PATIENCE);
    memory.tell("stopped".to_owned());
    broker.result();
    assert_eq!(running.ended().kind, EndKind::Stopped);
}

#[test]
fn a_broker_that_answers_no_ping_is_lost() {
    //! Within the acknowledgement time-out.
    let broker = Scripted::start(|_, peer| {
        peer.accept();
        peer.suback(&[1]);
        peer.drain();
        String::new()
    });
    let running = run(&broker, &Memory::default(), &["a"], |config, _| {
        config.keep_alive = Duration::from_secs(1);
        config.ack_timeout = Duration::from_millis(200);
    });
    let ended = running.ended();
    assert_eq!(ended.detail, "the broker does not answer a ping");
}

/// Take the connection, its filter, and the filter back once the consumer is told to retire.
fn retire(peer: &mut Peer, script: &Memory) {
    peer.accept();
    peer.suback(&[1]);
    script.tell("subscribed by the broker".to_owned());
    let asked = expect_unsubscribe(peer, "a");
    script.with(|notes| notes.told.clear());
    unsuback(peer, asked);
    script.wait_for("subscribed a");
}

#[test]
fn a_session_that_is_not_read_is_not_ended() {
    //! The journal has no room: what the broker holds has no other place.
    let memory = Memory::default();
    let script = memory.clone();
    let broker = Scripted::start(move |_, peer| {
        retire(peer, &script);
        script.with(|notes| notes.is_full = true);
        peer.drain();
        String::new()
    });
    let running = run(&broker, &memory, &["a"], |config, _| {
        config.keep_alive = Duration::from_secs(4);
    });
    memory.wait_for("subscribed by the broker");
    running.consumer.retire();
    assert_eq!(running.ended().kind, EndKind::Paused);
}

#[test]
fn a_session_is_not_ended_in_the_middle_of_a_message() {
    //! It comes slowly: the consumer has pinged by then, and is quiet for longer than an empty session is.
    let memory = Memory::default();
    let script = memory.clone();
    let broker = Scripted::start(move |_, peer| {
        retire(peer, &script);
        let message = peer.delivery(5, 1, "a", b"last");
        let (begin, end) = message.split_at(4);
        peer.write(begin);
        expect(peer, PINGREQ, 0);
        peer.write(end);
        script.wait_for("take 5 a last");
        script.sync();
        expect(peer, PUBACK, 5);
        let asked = expect_unsubscribe(peer, "never-subscribed");
        unsuback(peer, asked);
        peer.write(&packet(0xd0, &[]));
        assert_eq!(peer.next().unwrap().0, DISCONNECT);
        String::new()
    });
    let running = run(&broker, &memory, &["a"], |config, _| {
        config.protocol = Protocol::V5;
        config.keep_alive = Duration::from_secs(2);
    });
    memory.wait_for("subscribed by the broker");
    running.consumer.retire();
    broker.result();
    assert_eq!(running.ended().kind, EndKind::Retired);
}

#[test]
fn a_session_that_could_not_be_ended_is_not_called_ended() {
    //! With MQTT 3.1.1 it takes another connection, which this broker refuses.
    let memory = Memory::default();
    let script = memory.clone();
    let broker = Scripted::start(move |number, peer| {
        if number == 0 {
            retire(peer, &script);
            expect(peer, DISCONNECT, 0);
        } else {
            peer.expect_connect();
            peer.connack(3, &[]);
        }
        String::new()
    });
    let running = run(&broker, &memory, &["a"], as_before);
    memory.wait_for("subscribed by the broker");
    running.consumer.retire();
    assert_eq!(running.ended().kind, EndKind::Refused);
}
