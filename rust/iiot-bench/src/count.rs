//! A subscriber that counts messages, and checks that they arrive once and in order.

use crate::broker::Subscriber;
use crate::starter::{Arguments, say};

/// The topics of the profile, without those of the gateway's own messages.
pub const FILTERS: [&str; 4] = [
    "iiot/node1/+",
    "iiot/node2/+",
    "iiot/signal/+",
    "iiot/stats/+",
];

pub fn run(arguments: &Arguments) {
    let until: u64 = arguments.number("until");
    let mut subscriber = Subscriber::connect(arguments.number("mqtt"), &FILTERS);
    say("ready");
    let (mut count, mut last, mut disorder) = (0, 0, 0);
    let mut told = false;
    while subscriber.read(|message| {
        if message.retain {
            return;
        }
        count += 1;
        if message.topic.ends_with(b"/packets_received") {
            let number: u64 = std::str::from_utf8(message.payload)
                .unwrap()
                .parse()
                .unwrap();
            disorder += u64::from(number != last + 1);
            last = number;
        }
    }) {
        if count >= until && !told {
            say(&format!("reached {count} disorder {disorder}"));
            told = true;
        }
    }
}
