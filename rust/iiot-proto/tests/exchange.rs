//! One node and one gateway, step by step: which packet is sent at which time.

use iiot_proto::airtime::Modulation;
use iiot_proto::duty::{DEFAULT_EU868_HZ, Duty, DutyRule};
use iiot_proto::link::{
    ACK_FRAME_BYTES, Downlink, Fate, Finished, Incoming, Poll, Received, Receiver, Sender,
    SenderConfig, Timing, Uplink,
};
use iiot_proto::mac::Key;
use iiot_proto::packet::{
    Action, Answer, Command, Flags, Info, MAX_PACKET_BYTES, Outcome, Packet, Payload, Reading,
    ResetCause, Status,
};

const CONFIG: SenderConfig = SenderConfig {
    address: 1,
    gateway: 2,
    boot: 7,
    modulation: Modulation::DEFAULT,
};
const INFO: Info = Info {
    protocol: 1,
    firmware: [0, 1, 0],
    reset_cause: ResetCause::PowerOn,
    uptime_s: 1,
    interval_s: 10,
    transmitted: 0,
    retransmitted: 0,
    dropped: 0,
    radio_errors: 0,
};

fn duty() -> Duty {
    Duty::full(DutyRule::eu868(DEFAULT_EU868_HZ, 125_000).unwrap(), 0)
}

fn key() -> Key {
    Key::new([1; 16])
}

struct Node {
    sender: Sender<8>,
    duty: Duty,
}

impl Node {
    fn new() -> Self {
        Self {
            sender: Sender::new(CONFIG),
            duty: duty(),
        }
    }

    fn offer(&mut self, now_ms: u64) -> u16 {
        self.sender
            .offer(Uplink::Reading(Reading::default()), now_ms)
            .unwrap()
    }

    /// The packet that the node sends at this moment, or else the time until which it waits.
    fn poll(&mut self, now_ms: u64) -> Result<Packet, Option<u64>> {
        let mut buffer = [0; MAX_PACKET_BYTES];
        match self.sender.poll(now_ms, 0, &mut self.duty, &mut buffer) {
            Poll::Transmit { bytes, .. } => Ok(Packet::decode(&buffer[..bytes]).unwrap()),
            Poll::Wait { until_ms } => Err(Some(until_ms)),
            Poll::Idle => Err(None),
        }
    }

    /// All packets that the node sends up to a moment, each with its time.
    fn sends_until(&mut self, mut now_ms: u64, end_ms: u64) -> Vec<(u64, Packet)> {
        let mut sent = Vec::new();
        while now_ms <= end_ms {
            match self.poll(now_ms) {
                Ok(packet) => sent.push((now_ms, packet)),
                Err(Some(until_ms)) => now_ms = until_ms,
                Err(None) => break,
            }
        }
        sent
    }

    fn hears_ack(&mut self, packet: &Packet, now_ms: u64, pending: bool) -> Received {
        let mut frame = [0; MAX_PACKET_BYTES];
        let length = packet.encode(&mut frame).unwrap();
        let Incoming::Delivered { ack: Some(ack), .. } =
            Receiver::<2>::new(2).receive(&frame[..length], -60, 8, now_ms)
        else {
            panic!("it was not taken");
        };
        let mut buffer = [0; ACK_FRAME_BYTES];
        ack.encode(pending, &mut buffer).unwrap();
        self.sender
            .receive(&Packet::decode(&buffer).unwrap(), now_ms, 0)
    }
}

/// Without an answer, a packet is sent four times with doubling waits, from the second time on as a retry. Then it is kept.
#[test]
fn three_retries_with_doubling_waits() {
    let mut node = Node::new();
    let seq = node.offer(0);
    let sent = node.sends_until(0, 30_000);

    let base = u64::from(Timing::new(Modulation::DEFAULT).ack_timeout_ms(11));
    assert_eq!(
        sent.iter().map(|(at_ms, _)| *at_ms).collect::<Vec<_>>(),
        [0, base, 3 * base, 7 * base]
    );
    for (at, (_, packet)) in sent.iter().enumerate() {
        assert_eq!(packet.header.seq, seq);
        assert!(packet.header.flags.has(Flags::ACK_REQ));
        assert_eq!(packet.header.flags.has(Flags::RETRY), at > 0);
    }
    assert_eq!((node.sender.kept(), node.sender.counters().gave_up), (1, 1));
}

/// When a kept reading is finally sent, it says how old it is, and has its first sequence number.
#[test]
fn a_late_reading_tells_its_age() {
    let mut node = Node::new();
    let seq = node.offer(0);
    node.sends_until(0, 30_000);
    let (at_ms, packet) = node.sends_until(30_000, 120_000)[0];

    let Payload::Reading(reading) = packet.payload else {
        panic!("not a reading")
    };
    assert_eq!((packet.header.seq, u64::from(reading.age_ms)), (seq, at_ms));
    assert!(
        (60_000..90_000).contains(&at_ms),
        "the other side is tried again after a minute"
    );
}

/// The newest reading goes first. Once the gateway has answered, the remaining ones follow from the oldest on.
#[test]
fn after_a_silence_the_newest_goes_first() {
    let mut node = Node::new();
    for at_ms in [0, 10_000, 20_000] {
        node.offer(at_ms);
        node.sends_until(at_ms, at_ms + 9_000);
    }
    let (mut now_ms, mut order) = (30_000, Vec::new());
    node.offer(now_ms);
    while order.len() < 4 {
        match node.poll(now_ms) {
            Ok(packet) => {
                order.push(packet.header.seq);
                now_ms += 150;
                assert!(matches!(
                    node.hears_ack(&packet, now_ms, false),
                    Received::Acknowledged { .. }
                ));
            }
            Err(until_ms) => now_ms = until_ms.unwrap(),
        }
    }
    assert_eq!(order, [3, 0, 1, 2]);
    assert_eq!(node.poll(now_ms + 1_000), Err(None));
}

/// The info after a start is the first packet that arrives, however late.
#[test]
fn the_info_arrives_first() {
    let mut node = Node::new();
    node.sender.offer(Uplink::Info(INFO), 0).unwrap();
    node.sends_until(0, 9_000);
    node.offer(10_000);
    let sent = node.sends_until(10_000, 19_000);
    assert!(
        sent.iter()
            .all(|(_, packet)| matches!(packet.payload, Payload::Info(_)))
    );

    node.hears_ack(&sent[0].1, 19_000, false);
    let next = node.sends_until(19_000, 25_000)[0].1;
    assert!(matches!(next.payload, Payload::Reading(_)));
}

/// The reading of a button press is sent at once, even by a node that delays other readings.
#[test]
fn the_button_is_not_put_off() {
    let mut node = Node::new();
    node.offer(0);
    node.sends_until(0, 20_000);
    let pressed = Reading {
        status: Status::BUTTON,
        ..Reading::default()
    };
    node.sender.offer(Uplink::Reading(pressed), 20_000).unwrap();
    assert!(node.poll(20_000).is_ok());
}

/// An acknowledgement is ignored if it is for another run, from another gateway, or for a packet that is not kept. A late one counts.
#[test]
fn only_acknowledgements_of_this_run_count() {
    let mut node = Node::new();
    node.offer(0);
    let packet = node.sends_until(0, 9_000)[0].1;
    for header in [
        iiot_proto::packet::Header {
            boot: 8,
            ..packet.header
        },
        iiot_proto::packet::Header {
            src: 3,
            ..packet.header
        },
        iiot_proto::packet::Header {
            seq: 1,
            ..packet.header
        },
    ] {
        assert_eq!(
            node.hears_ack(&Packet { header, ..packet }, 9_000, false),
            Received::Ignored
        );
    }
    assert!(matches!(
        node.hears_ack(&packet, 9_500, false),
        Received::Acknowledged { .. }
    ));
    assert_eq!(
        node.hears_ack(&packet, 9_600, false),
        Received::Ignored,
        "the second of a doubled one"
    );
}

fn downlink() -> (Downlink<2>, Command) {
    let mut downlink = Downlink::new(2, 9, Timing::new(Modulation::DEFAULT));
    let command = Command::sign(&key(), 1, 7, 50, 1, Action::SetLed { on: true });
    downlink.offer(1, command, 60_000).unwrap();
    (downlink, command)
}

fn sent(downlink: &mut Downlink<2>, now_ms: u64) -> Option<Packet> {
    let mut buffer = [0; MAX_PACKET_BYTES];
    match downlink.poll(now_ms, &mut duty(), &mut buffer) {
        Poll::Transmit { bytes, .. } => Some(Packet::decode(&buffer[..bytes]).unwrap()),
        Poll::Wait { .. } | Poll::Idle => None,
    }
}

/// A command follows the acknowledgement of its own node, once per window, from the second time on as a retry, until the node answers.
#[test]
fn a_command_waits_for_its_window() {
    let (mut downlink, command) = downlink();
    let delay_ms = u64::from(Timing::new(Modulation::DEFAULT).command_delay_ms());
    assert!(downlink.is_pending(1, 0) && !downlink.is_pending(3, 0));
    assert_eq!(sent(&mut downlink, 1_000), None);
    for window in 0..2 {
        let at_ms = 2_000 + window * 10_000;
        downlink.ack_sent(1, at_ms);
        assert_eq!(
            sent(&mut downlink, at_ms + delay_ms - 1),
            None,
            "the module is still sending"
        );
        let packet = sent(&mut downlink, at_ms + delay_ms).unwrap();
        assert_eq!(packet.payload, Payload::Command(command));
        assert_eq!(
            (packet.header.dst, packet.header.flags.has(Flags::RETRY)),
            (1, window > 0)
        );
        assert_eq!(sent(&mut downlink, at_ms + delay_ms), None, "once a window");
    }
    let answer = Answer::sign(&key(), 1, 1, Outcome::Done, 1);
    downlink.answered(3, answer);
    assert_eq!(downlink.take_finished(), None, "another node's answer");
    downlink.answered(1, answer);
    assert_eq!(
        downlink.take_finished(),
        Some(Finished {
            node: 1,
            counter: 1,
            fate: Fate::Answered(answer)
        })
    );
    assert!(!downlink.is_pending(1, 20_000));
}

/// A command expires if its node was never heard. A command that was sent and never answered ends as unanswered.
#[test]
fn commands_end_when_their_time_is_over() {
    let (mut silent, _) = downlink();
    assert!(!silent.is_pending(1, 60_000));
    assert_eq!(silent.take_finished().unwrap().fate, Fate::Expired);

    let (mut unanswered, _) = downlink();
    unanswered.ack_sent(1, 59_000);
    assert!(sent(&mut unanswered, 59_500).is_some());
    assert!(
        unanswered.is_pending(1, 60_000),
        "its answer may be on the way"
    );
    assert!(!unanswered.is_pending(1, 64_000));
    assert_eq!(unanswered.take_finished().unwrap().fate, Fate::Unanswered);
}

/// A node accepts a command in the window that an acknowledgement announced, and at no other time.
#[test]
fn commands_outside_the_window_are_ignored() {
    let (mut downlink, command) = downlink();
    downlink.ack_sent(1, 0);
    let packet = sent(&mut downlink, 500).unwrap();
    let mut node = Node::new();
    assert_eq!(node.sender.receive(&packet, 500, 0), Received::Ignored);

    node.offer(1_000);
    let reading = node.poll(1_000).unwrap();
    node.hears_ack(&reading, 1_200, true);
    assert_eq!(
        node.sender.receive(&packet, 1_400, 0),
        Received::Command {
            command,
            is_retry: false
        }
    );

    node.sender
        .offer(
            Uplink::Answer(Answer::sign(&key(), 1, 1, Outcome::Done, 1)),
            1_400,
        )
        .unwrap();
    assert!(
        matches!(node.poll(1_400).unwrap().payload, Payload::Answer(_)),
        "the answer ends the window"
    );
    assert_eq!(node.sender.receive(&packet, 1_500, 0), Received::Ignored);
}
