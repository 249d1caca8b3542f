//! Line-in to subscriber, interleaved with bare publishes: both at the same rate, half a period apart, through the same broker to the
//! same subscriber. A packet has arrived when the last of its messages has.

use crate::broker::{self, Subscriber};
use crate::render::Rendered;
use crate::{Arguments, say, wait_for_go};
use rumqttc_v4::{PublishOptions, QoS};
use std::fs::File;
use std::io::Write;
use std::os::fd::FromRawFd;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Not counted: connections, caches and the allocator settle.
const WARM_UP: usize = 100;
const PATIENCE: Duration = Duration::from_secs(20);

/// When the last message of each packet of a lane was read.
struct Lane {
    prefix: &'static [u8],
    seen: usize,
    arrived: Vec<Instant>,
}

pub fn run(arguments: &Arguments) {
    let log = std::fs::read(arguments.text("log")).unwrap();
    let profile = std::fs::read_to_string(arguments.text("profile")).unwrap();
    let rendered = Rendered::of(&log, &profile, "bare", true);
    let packets = rendered.frames.len();
    let messages = rendered.messages.len() / packets;
    let port: u16 = arguments.number("mqtt");
    let period = Duration::from_secs_f64(1.0 / arguments.number::<f64>("rate"));
    // SAFETY: whoever started us passed the descriptor for this, and nobody else in this process uses it. Opening it anew by its
    // path would make another terminal.
    let mut line_in = unsafe { File::from_raw_fd(arguments.number("fd")) };

    let arrivals = watch(port, packets, messages);
    let client = broker::in_background(port);
    wait_for_go();

    let (mut written, mut published) = (Vec::new(), Vec::new());
    let begin = Instant::now() + period;
    let lines = log.split_inclusive(|b| *b == b'\n');
    for (packet, line) in lines.take(packets).enumerate() {
        let due = begin + period * packet as u32;
        sleep_until(due);
        written.push(Instant::now());
        line_in.write_all(line).unwrap();
        sleep_until(due + period / 2);
        published.push(Instant::now());
        for message in &rendered.messages[packet * messages..(packet + 1) * messages] {
            let options = PublishOptions::new(QoS::AtLeastOnce).retain(message.retain);
            let topic = rendered.topics[usize::from(message.topic)].as_str();
            client
                .try_publish(topic, message.payload.clone(), options)
                .unwrap();
        }
    }
    let arrived = arrivals.recv_timeout(PATIENCE).expect("every message");
    for (name, sent, lane) in [
        ("gateway", &written, &arrived[0]),
        ("bare", &published, &arrived[1]),
    ] {
        let mut ms: Vec<f64> = sent
            .iter()
            .zip(&lane.arrived)
            .skip(WARM_UP)
            .map(|(sent, arrived)| (*arrived - *sent).as_secs_f64() * 1000.0)
            .collect();
        ms.sort_by(f64::total_cmp);
        let at = |part: f64| ms[((ms.len() - 1) as f64 * part) as usize];
        say(&format!("{name} {} {} {}", at(0.5), at(0.99), at(1.0)));
    }
    say("done");
}

fn sleep_until(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}

/// Subscribe, and send the arrivals of both lanes when they are complete.
fn watch(port: u16, packets: usize, messages: usize) -> Receiver<[Lane; 2]> {
    let filters = [
        "iiot/node1/+",
        "iiot/node2/+",
        "iiot/signal/+",
        "iiot/stats/+",
        "bare/#",
    ];
    let mut subscriber = Subscriber::connect(port, &filters);
    let (sender, arrivals) = channel();
    std::thread::spawn(move || {
        let lane = |prefix| Lane {
            prefix,
            seen: 0,
            arrived: Vec::with_capacity(packets),
        };
        let mut lanes = [lane(b"iiot/".as_slice()), lane(b"bare/".as_slice())];
        while lanes.iter().any(|lane| lane.arrived.len() < packets) {
            let alive = subscriber.read(|message| {
                let now = Instant::now();
                for lane in &mut lanes {
                    if message.topic.starts_with(lane.prefix) && !message.retain {
                        lane.seen += 1;
                        if lane.seen % messages == 0 {
                            lane.arrived.push(now);
                        }
                    }
                }
            });
            assert!(alive, "the broker closed the connection");
        }
        drop(sender.send(lanes));
    });
    arrivals
}
