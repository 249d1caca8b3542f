//! Against a real Mosquitto.
#![allow(missing_docs)]

mod support;

use std::collections::HashMap;

use iiot_mqtt::{Confirmation, EndKind};
use support::broker::{Mosquitto, Subscriber, skip};
use support::{Memory, Running, config, nine, sink, value};

#[test]
fn committed_frames_arrive_retained_and_are_confirmed() {
    if skip() {
        return;
    }
    let broker = Mosquitto::start();
    let memory = Memory::new(10_000);
    let sink = sink(config(broker.port));

    let running = Running::start(&sink, &memory);
    memory.commit(nine(0, 1000));
    memory.wait_confirmed(1000);
    let ended = running.stop();

    assert_eq!((ended.kind, ended.delivered), (EndKind::Stopped, 1000));
    let expected: Vec<_> = (0..9)
        .map(|k| (format!("lora/node{k}/t"), "999".to_owned()))
        .collect();
    assert_eq!(broker.retained("lora/#"), expected);
    assert_eq!(
        broker.retained("gateway/#"),
        [("gateway/availability".to_owned(), "offline".to_owned())]
    );
    assert_eq!(
        memory.total(),
        Confirmation {
            end: 1000,
            delivered: 1000,
            points: 9000,
            ..Confirmation::default()
        }
    );
}
