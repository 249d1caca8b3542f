//! A fuzz test without nightly tools. It mutates packets, lines of the module and whole conversations from a fixed seed.
//!
//! `IIOT_FUZZ_ITERATIONS` sets the number of iterations (20,000 by default; ten million take half a minute). `IIOT_FUZZ_SEED` sets another seed.

use std::collections::HashSet;

use iiot_proto::airtime::Modulation;
use iiot_proto::crc::crc16;
use iiot_proto::duty::{DEFAULT_EU868_HZ, Duty, DutyRule};
use iiot_proto::link::{
    ACK_FRAME_BYTES, CommandGuard, Downlink, Incoming, Judgement, Poll, Received, Receiver, Sender,
    SenderConfig, Timing, Uplink,
};
use iiot_proto::mac::Key;
use iiot_proto::packet::{
    self, Ack, Action, Answer, Command, Flags, Header, Info, MAX_PACKET_BYTES, Outcome, Packet,
    Payload, Reading, ResetCause, Status,
};
use iiot_proto::rylr998::{Event, Parser};

struct Dice(u64);

impl Dice {
    fn new(salt: u64) -> Self {
        let seed: u64 = setting("IIOT_FUZZ_SEED").unwrap_or(1);
        Self(0x9e37_79b9_7f4a_7c15 ^ (seed.wrapping_mul(0x1000) + salt))
    }

    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn roll(&mut self, below: usize) -> usize {
        ((self.bits() >> 11) % below.max(1) as u64) as usize
    }
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

fn iterations() -> usize {
    setting("IIOT_FUZZ_ITERATIONS").unwrap_or(20_000)
}

fn key() -> Key {
    Key::new([3; 16])
}

/// A packet of any kind with plausible fields, so that its mutations reach deep into the code.
fn packet(dice: &mut Dice) -> Packet {
    let any = dice.bits().to_be_bytes();
    let word = u16::from_be_bytes([any[0], any[1]]);
    let header = Header {
        flags: Flags::from_bits(any[2] & 7).unwrap(),
        src: 1 + (any[3] & 1),
        dst: 1 + (any[3] >> 1 & 1),
        boot: 7 + u16::from(any[4] & 1),
        seq: word % 400,
    };
    let actions = [
        Action::SetInterval { interval_s: word },
        Action::SetLed { on: true },
        Action::Reboot,
    ];
    let (action, counter) = (actions[usize::from(any[5] % 3)], u32::from(any[2]));
    let payload = match any[5] % 5 {
        0 => Payload::Reading(Reading {
            temperature_centidegrees: (any[0] & 1 != 0).then_some(word as i16),
            humidity_centipercent: (any[0] & 2 != 0).then_some(word % 10_001),
            gas_resistance_ohm: (any[0] & 4 != 0).then_some(u32::from(word) << 8),
            pressure_pa: (any[0] & 8 != 0).then_some(u32::from(word)),
            battery_mv: (any[0] & 16 != 0).then_some(word),
            status: Status(u16::from(any[1] & 3)),
            age_ms: counter,
        }),
        1 => Payload::Info(Info {
            protocol: any[0],
            firmware: [any[0], any[1], any[2]],
            reset_cause: ResetCause::NAMED[usize::from(any[0] % 8)].0,
            uptime_s: u32::from(word),
            interval_s: word,
            transmitted: word,
            retransmitted: word,
            dropped: word,
            radio_errors: word,
        }),
        2 => Payload::Ack(Ack::new(-i16::from(any[0]), any[1] as i8)),
        3 => Payload::Command(Command::sign(&key(), 1, header.boot, word, counter, action)),
        _ => Payload::Answer(Answer::sign(
            &key(),
            1,
            counter,
            Outcome::NAMED[usize::from(any[0] % 7)].0,
            word,
        )),
    };
    Packet { header, payload }
}

/// Bytes that are nearly a packet. The checksum is often corrected; otherwise the code behind the check of the checksum would never run.
fn frame(dice: &mut Dice, buffer: &mut [u8; 256]) -> usize {
    let mut length = packet(dice).encode(buffer).unwrap();
    for _ in 0..dice.roll(4) {
        let at = dice.roll(length);
        match dice.roll(5) {
            0 => buffer[at] ^= 1 << dice.roll(8),
            1 => buffer[at] = dice.bits() as u8,
            2 => length = at,
            3 => {
                let longer = (length + dice.roll(40)).min(buffer.len());
                (length..longer).for_each(|at| buffer[at] = dice.bits() as u8);
                length = longer;
            }
            _ => buffer[at] = [0, 0xFF, b'\r', b'\n', b','][dice.roll(5)],
        }
    }
    if length >= 2 && dice.roll(4) > 0 {
        let crc = crc16(&buffer[..length - 2]);
        buffer[length - 2..length].copy_from_slice(&crc.to_be_bytes());
    }
    length
}

/// No input causes a panic in the codec, and every accepted packet encodes to the same bytes.
#[test]
fn mutated_packets_are_taken_or_refused() {
    let mut dice = Dice::new(1);
    let (mut buffer, mut again, mut taken) = ([0; 256], [0; MAX_PACKET_BYTES], 0_usize);
    for _ in 0..iterations() {
        let length = frame(&mut dice, &mut buffer);
        match Packet::decode(&buffer[..length]) {
            Ok(packet) => {
                taken += 1;
                let encoded = packet.encode(&mut again).unwrap();
                assert_eq!(again[..encoded], buffer[..length]);
            }
            Err(error) => assert!(error.at <= length, "{error}"),
        }
    }
    assert!(
        taken > iterations() / 10,
        "the mutations let {taken} packets through"
    );
}

/// No input makes the parser panic, hang or exceed its memory, and frames stay within their limit.
#[test]
fn mutated_lines_are_taken_or_refused() {
    const TOKENS: [&[u8]; 12] = [
        b"+RCV=",
        b"+RCV=1,5,",
        b",-1,2\r\n",
        b"\r\n",
        b"+OK\r\n",
        b"+ERR=4\r\n",
        b",",
        b"+",
        b"0",
        b"-",
        b"240",
        b"99999",
    ];
    let mut dice = Dice::new(2);
    let (mut parser, mut buffer, mut line, mut taken) =
        (Parser::default(), [0; 256], Vec::new(), 0_usize);
    let mut now_ms = 0;
    for _ in 0..iterations() {
        let length = frame(&mut dice, &mut buffer);
        line.clear();
        line.extend_from_slice(b"+RCV=1,");
        line.extend_from_slice([&b"0"[..], b"2", b"1", b""][dice.roll(4)]);
        line.extend_from_slice(format!("{length},").as_bytes());
        line.extend_from_slice(&buffer[..length]);
        line.extend_from_slice(b",-90,7\r\n");
        for _ in 0..dice.roll(3) {
            let at = dice.roll(line.len());
            match dice.roll(3) {
                0 => drop(line.splice(at..at, TOKENS[dice.roll(12)].iter().copied())),
                1 => line.truncate(at + 1),
                _ => line[at] = dice.bits() as u8,
            }
        }
        now_ms += dice.roll(30) as u64;
        parser.feed(&line, now_ms, |event| {
            if let Event::Received { data, .. } = event {
                taken += 1;
                assert!(data.len() <= 240);
            }
        });
    }
    assert!(
        taken > iterations() / 10,
        "the mutations let {taken} frames through"
    );
}

/// A node, a gateway, and the frame on air between them.
struct Conversation {
    sender: Sender<8>,
    guard: CommandGuard,
    receiver: Receiver<4>,
    downlink: Downlink<3>,
    duty: Duty,
    now_ms: u64,
    counter: u32,
    obeyed: Option<u32>,
    delivered: HashSet<u16>,
    on_air: Option<(usize, [u8; MAX_PACKET_BYTES])>,
}

impl Conversation {
    fn new() -> Self {
        let config = SenderConfig {
            address: 1,
            gateway: 2,
            boot: 7,
            modulation: Modulation::DEFAULT,
        };
        Self {
            sender: Sender::new(config),
            guard: CommandGuard::new(key(), 1, 7),
            receiver: Receiver::new(2),
            downlink: Downlink::new(2, 9, Timing::new(Modulation::DEFAULT)),
            duty: Duty::full(DutyRule::eu868(DEFAULT_EU868_HZ, 125_000).unwrap(), 0),
            now_ms: 0,
            counter: 0,
            obeyed: None,
            delivered: HashSet::new(),
            on_air: None,
        }
    }

    fn step(&mut self, dice: &mut Dice) {
        self.now_ms += [0, 1, 50, 400, 3_000][dice.roll(5)];
        match dice.roll(8) {
            0 => drop(
                self.sender
                    .offer(Uplink::Reading(Reading::default()), self.now_ms),
            ),
            1 => self.order(),
            2 | 3 => self.poll_node(dice),
            4 => self.poll_gateway(),
            5 => self.intrude(dice),
            _ => self.arrive(dice),
        }
        let counters = self.sender.counters();
        assert_eq!(
            counters.offered,
            counters.acknowledged + counters.dropped() + self.sender.kept() as u32
        );
    }

    fn order(&mut self) {
        self.counter += 1;
        let until_seq = self.sender.newest_seq().wrapping_add(5);
        let command = Command::sign(&key(), 1, 7, until_seq, self.counter, Action::Reboot);
        let _ = self.downlink.offer(1, command, self.now_ms + 20_000);
    }

    fn poll_node(&mut self, dice: &mut Dice) {
        let mut buffer = [0; MAX_PACKET_BYTES];
        let poll = self
            .sender
            .poll(self.now_ms, dice.bits() as u32, &mut self.duty, &mut buffer);
        if let Poll::Transmit { bytes, .. } = poll {
            self.on_air = Some((bytes, buffer));
        }
    }

    fn poll_gateway(&mut self) {
        let mut buffer = [0; MAX_PACKET_BYTES];
        if let Poll::Transmit { bytes, .. } =
            self.downlink.poll(self.now_ms, &mut self.duty, &mut buffer)
        {
            self.on_air = Some((bytes, buffer));
        }
        while self.downlink.take_finished().is_some() {}
    }

    /// Deliver a damaged frame, or a forged packet of one of three foreign runs. No frame is signed, so forged packets of our own run would be
    /// accepted, and forged packets of more runs than the receiver remembers would make it forget our run.
    fn intrude(&mut self, dice: &mut Dice) {
        let mut buffer = [0; 256];
        let length = frame(dice, &mut buffer);
        let frame = &buffer[..length];
        let opened = packet::open(frame).map(|envelope| envelope.header());
        if opened.is_ok_and(|Header { src, boot, .. }| !matches!((src, boot), (1, 8) | (2, 7 | 8)))
        {
            return;
        }
        self.receiver.receive(frame, -90, 3, self.now_ms);
        if let Ok(packet) = Packet::decode(frame)
            && !matches!(packet.payload, Payload::Ack(_))
        {
            self.hear(&packet);
        }
    }

    /// The frame on air arrives, and perhaps arrives again later.
    fn arrive(&mut self, dice: &mut Dice) {
        let Some((bytes, frame)) = self.on_air else {
            return;
        };
        if dice.roll(2) == 0 {
            self.on_air = None;
        }
        let frame = &frame[..bytes];
        let ack = match self.receiver.receive(frame, -90, 3, self.now_ms) {
            Incoming::Delivered { packet, ack } => {
                assert!(
                    self.delivered.insert(packet.header.seq),
                    "{packet:?} was delivered twice"
                );
                if let Payload::Answer(answer) = packet.payload {
                    self.downlink.answered(1, answer);
                }
                ack
            }
            Incoming::Repeat { ack, .. } => ack,
            _ => return self.hear(&Packet::decode(frame).unwrap()),
        };
        let Some(ack) = ack.filter(|_| dice.roll(3) > 0) else {
            return;
        };
        let pending = self.downlink.is_pending(ack.node, self.now_ms);
        let mut encoded = [0; ACK_FRAME_BYTES];
        ack.encode(pending, &mut encoded).unwrap();
        self.downlink.ack_sent(ack.node, self.now_ms);
        self.hear(&Packet::decode(&encoded).unwrap());
    }

    fn hear(&mut self, packet: &Packet) {
        let Received::Command { command, is_retry } = self.sender.receive(packet, self.now_ms, 5)
        else {
            return;
        };
        let answer = match self
            .guard
            .judge(&command, is_retry, self.sender.newest_seq())
        {
            Judgement::Reply(answer) => answer,
            Judgement::Obey(_) => {
                assert!(
                    self.obeyed.is_none_or(|last| command.counter > last),
                    "{command:?} was obeyed twice"
                );
                self.obeyed = Some(command.counter);
                self.guard.finish(Outcome::Done, 0)
            }
        };
        self.sender
            .offer(Uplink::Answer(answer), self.now_ms)
            .unwrap();
    }
}

/// Whatever arrives at whatever time, no state machine panics, the sender's counts balance, and nothing is delivered or obeyed twice.
#[test]
fn mutated_conversations_keep_the_promises() {
    let mut dice = Dice::new(3);
    let (mut left, mut obeyed) = (iterations(), 0);
    while left > 0 {
        let steps = left.min(2_000);
        left -= steps;
        let mut conversation = Conversation::new();
        for _ in 0..steps {
            conversation.step(&mut dice);
        }
        obeyed += usize::from(conversation.obeyed.is_some());
    }
    assert!(obeyed > 0, "no conversation came as far as a command");
}
