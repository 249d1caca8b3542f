//! The mailbox against a real Mosquitto: what is asked arrives, and answers survive the broker's absence.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used)] // clippy sees `#[test]` functions only, not what they call

mod support;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use iiot_mqtt::{EndKind, Letter, Mailbox, Protocol};
use support::broker::{Mosquitto, Subscriber, skip};
use support::config;

const WITHIN: Duration = Duration::from_secs(15);

fn mailbox(port: u16, protocol: Protocol) -> Arc<Mailbox> {
    let config = iiot_mqtt::Config {
        client_id: "mailbox".into(),
        protocol,
        ..config(port)
    };
    Arc::new(Mailbox::new(config, vec!["lora/+/set/+".into()]).unwrap())
}

fn run(mailbox: &Arc<Mailbox>) -> JoinHandle<(EndKind, String)> {
    let mailbox = Arc::clone(mailbox);
    std::thread::spawn(move || mailbox.run_connection())
}

/// Ask through a second mailbox until the first has it: only then its subscription stands.
fn ask(other: &Mailbox, asked: &Mailbox, payload: &[u8]) -> Letter {
    let deadline = Instant::now() + WITHIN;
    while Instant::now() < deadline {
        assert!(other.post("lora/node1/set/led", payload.to_vec(), false));
        if let Some(letter) = asked.receive(Duration::from_millis(200)).pop() {
            return letter;
        }
    }
    panic!("nothing came");
}

#[test]
fn what_is_asked_arrives_and_is_answered() {
    //! In both versions of the protocol.
    if skip() {
        return;
    }
    for protocol in [Protocol::V311, Protocol::V5] {
        let broker = Mosquitto::start();
        let subscriber = Subscriber::start(broker.port, "lora/+/state/#");
        let asked = mailbox(broker.port, protocol);
        let other = Mailbox::new(config(broker.port), vec!["lora/none".into()]).unwrap();
        let other = Arc::new(other);
        let threads = [run(&asked), run(&other)];

        let letter = ask(&other, &asked, b"1");
        assert_eq!(
            (
                letter.topic.as_str(),
                letter.payload.as_ref(),
                letter.retained
            ),
            ("lora/node1/set/led", b"1".as_slice(), false)
        );
        assert!(asked.post("lora/node1/state/led", b"done".to_vec(), true));
        subscriber.until("lora/node1/state/led", "done");
        assert_eq!(
            broker.retained("lora/+/state/#"),
            [("lora/node1/state/led".to_owned(), "done".to_owned())]
        );

        asked.stop();
        other.stop();
        for thread in threads {
            assert_eq!(thread.join().unwrap().0, EndKind::Stopped);
        }
    }
}

#[test]
fn an_answer_waits_for_the_broker() {
    //! What was posted while the broker was away goes out over the next connection.
    if skip() {
        return;
    }
    let mut broker = Mosquitto::start();
    let mailbox = mailbox(broker.port, Protocol::V311);
    broker.kill();
    assert!(mailbox.post("lora/node1/state/led", b"late".to_vec(), false));
    assert_eq!(mailbox.run_connection().0, EndKind::Unreachable);
    broker.restart();

    let subscriber = Subscriber::start(broker.port, "lora/+/state/#");
    let thread = run(&mailbox);
    subscriber.until("lora/node1/state/led", "late");
    mailbox.stop();
    assert_eq!(thread.join().unwrap().0, EndKind::Stopped);
}
