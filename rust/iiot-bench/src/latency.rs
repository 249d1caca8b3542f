//! Measures the time from a log line to the subscriber in three lanes. All have the same rate, broker and subscriber, and are a third of a period apart. A packet
//! has arrived when the last of its messages has arrived.
//!
//! ```text
//! gateway   a line goes into the gateway's port
//! relay     the same line goes into another port, whose reader publishes messages that were rendered before. This is the cost of the path
//!           (the terminal, the wake-ups) without the gateway and its promises
//! bare      the messages are published, without a line
//! ```

use crate::broker::{self, Subscriber};
use crate::render::Rendered;
use crate::starter::{Arguments, say, wait_for_go};
use rumqttc_v4::{AsyncClient, PublishOptions, QoS};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::FromRawFd;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The first packets are not counted, because connections, caches and the allocator are not yet warm.
const WARM_UP: usize = 100;
const PATIENCE: Duration = Duration::from_secs(20);
const LANES: [&str; 3] = ["gateway", "relay", "bare"];

/// The time when the last message of each packet of a lane was read.
struct Lane {
    prefix: &'static [u8],
    seen: usize,
    arrived: Vec<Instant>,
}

/// Publishes rendered messages, packet by packet.
struct Publisher {
    rendered: Rendered,
    client: AsyncClient,
}

impl Publisher {
    fn new(name: &str, port: u16, log: &[u8], profile: &str) -> Self {
        Self {
            rendered: Rendered::of(log, profile, name, true),
            client: broker::in_background(name, port),
        }
    }

    fn messages_a_packet(&self) -> usize {
        self.rendered.messages.len() / self.rendered.frames.len()
    }

    fn publish(&self, packet: usize) {
        let messages = self.messages_a_packet();
        for message in &self.rendered.messages[packet * messages..(packet + 1) * messages] {
            let options = PublishOptions::new(QoS::AtLeastOnce).retain(message.retain);
            let topic = self.rendered.topics[usize::from(message.topic)].as_str();
            self.client
                .try_publish(topic, message.payload.clone(), options)
                .unwrap();
        }
    }
}

pub fn run(arguments: &Arguments) {
    let log = std::fs::read(arguments.text("log")).unwrap();
    let profile = std::fs::read_to_string(arguments.text("profile")).unwrap();
    let port: u16 = arguments.number("mqtt");
    let period = Duration::from_secs_f64(1.0 / arguments.number::<f64>("rate"));
    let bare = Publisher::new("bare", port, &log, &profile);
    let packets = bare.rendered.frames.len();
    // SAFETY: the parent process passed these descriptors for this use, and nothing else in this process uses them. Opening one again by its
    // path would create another terminal.
    let [mut line_in, mut relay_in] =
        ["fd", "relay-fd"].map(|name| unsafe { File::from_raw_fd(arguments.number(name)) });
    relay(
        File::open(arguments.text("relay")).unwrap(),
        Publisher::new("relay", port, &log, &profile),
    );

    let arrivals = watch(port, packets, bare.messages_a_packet());
    wait_for_go();

    let mut sent = [const { Vec::new() }; 3];
    let begin = Instant::now() + period;
    for (packet, line) in log
        .split_inclusive(|b| *b == b'\n')
        .take(packets)
        .enumerate()
    {
        for (lane, sent) in sent.iter_mut().enumerate() {
            sleep_until(begin + period * packet as u32 + period * lane as u32 / 3);
            sent.push(Instant::now());
            match lane {
                0 => line_in.write_all(line).unwrap(),
                1 => relay_in.write_all(line).unwrap(),
                _ => bare.publish(packet),
            }
        }
    }
    let arrived = arrivals.recv_timeout(PATIENCE).expect("every message");
    for ((name, sent), lane) in LANES.into_iter().zip(&sent).zip(&arrived) {
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

/// Publish the messages of a packet for each line that arrives.
fn relay(port: File, publisher: Publisher) {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(port);
        let mut line = Vec::new();
        for packet in 0..publisher.rendered.frames.len() {
            line.clear();
            lines.read_until(b'\n', &mut line).unwrap();
            publisher.publish(packet);
        }
    });
}

/// Subscribe, and send the arrival times of all lanes when all messages have arrived.
fn watch(port: u16, packets: usize, messages: usize) -> Receiver<[Lane; 3]> {
    let filters = [
        "iiot/node1/+",
        "iiot/node2/+",
        "iiot/signal/+",
        "iiot/stats/+",
        "relay/#",
        "bare/#",
    ];
    let mut subscriber = Subscriber::connect(port, &filters);
    let (sender, arrivals) = channel();
    std::thread::spawn(move || {
        let mut lanes = [b"iiot/".as_slice(), b"relay/", b"bare/"].map(|prefix| Lane {
            prefix,
            seen: 0,
            arrived: Vec::with_capacity(packets),
        });
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
