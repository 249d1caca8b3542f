//! A fuzz test of whole nodes. Module, air and gateway process send anything at any time, according to a fixed seed.
//!
//! `IIOT_FUZZ_ITERATIONS` sets the number of steps (100,000 by default). `IIOT_FUZZ_SEED` sets another seed.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod world;

use std::fmt::Write;

use iiot_proto::Region;
use iiot_proto::airtime::{Bandwidth, Modulation};
use iiot_proto::mac::Key;
use iiot_proto::packet::{
    Ack, Action, Command, Flags, Header, MAX_PACKET_BYTES, Packet, Payload, Reading, ResetCause,
    Status,
};
use iiot_proto::rylr998::{MAX_COMMAND_BYTES, Setup};
use logic::dice::Dice;
use logic::document::{Own, document};
use logic::order::OrderReader;
use logic::sensor_node::{MAX_INTERVAL_S, Start};
use logic::settings::GATEWAY_ADDRESS;
use logic::{GatewayNode, Next, SensorNode, Settings};
use world::KEY;

/// The number of steps after which both nodes restart, so that no run stays in one state.
const RUN_STEPS: usize = 2_000;

/// The lines that a module may send.
const WORDS: [&[u8]; 9] = [
    b"+OK\r\n",
    b"+READY\r\n",
    b"+RESET\r\n",
    b"+ERR=17\r\n",
    b"+ERR=4\r\n",
    b"+ERR=12\r\n",
    b"+RCV=1,250,",
    b"+RCV=1,30,",
    b"+VER=RYLR998\r\n",
];

/// The time between two steps, in milliseconds. The values fit a conversation; the long silence at the end occurs in every other run only.
const SPANS_MS: [u64; 8] = [0, 1, 1, 20, 120, 120, 700, 65_000];

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

fn roll(dice: &mut Dice, below: usize) -> usize {
    dice.bits() as usize % below
}

/// The time on air of a radio in a run, which is compared with its rule.
struct Meter {
    setup: Setup,
    sent_us: u64,
}

impl Meter {
    /// Check a command to the module, and return the frame in it.
    fn take(&mut self, command: &[u8], now_ms: u64) -> Option<Vec<u8>> {
        assert!(command.starts_with(b"AT") && command.ends_with(b"\r\n"));
        let mut fields = command
            .strip_prefix(b"AT+SEND=")?
            .splitn(3, |it| *it == b',');
        let frame = fields.nth(2).unwrap().strip_suffix(b"\r\n").unwrap();
        let airtime_us = self.setup.modulation.airtime_us(frame.len());
        self.sent_us += u64::from(airtime_us);
        let rule = self.setup.check().unwrap();
        if let Some(per_mille) = rule.per_mille.map(u64::from) {
            // A full bucket holds a sixth of the hour's share, and five sixths of the share flow in per hour.
            assert!(self.sent_us <= per_mille * (600_000 + now_ms * 5 / 6 + 1));
        }
        assert!(rule.max_airtime_us.is_none_or(|most| airtime_us <= most));
        Some(frame.into())
    }
}

/// Both nodes, and the frames on air.
struct Run {
    now_ms: u64,
    /// The number of values of [`SPANS_MS`] that occur.
    spans: usize,
    boot: u16,
    sensor: SensorNode,
    gateway: GatewayNode,
    meters: [Meter; 2],
    orders: OrderReader,
    counter: u32,
    /// The last frame of each node.
    frames: [Vec<u8>; 2],
    documents: usize,
}

impl Run {
    fn new(dice: &mut Dice) -> Self {
        let settings = match roll(dice, 3) {
            0 => Settings::default(),
            1 => Settings {
                band_hz: 868_900_000,
                ..Settings::default()
            },
            _ => Settings {
                modulation: Modulation::new(9, Bandwidth::Khz125, 1, 12).unwrap(),
                ..Settings::new(1, Region::Us915)
            },
        };
        let settings = Settings {
            key: Some(Key::new(KEY)),
            ..settings
        };
        let boot = dice.bits() as u16;
        let start = Start {
            boot,
            reset_cause: ResetCause::Watchdog,
            duty_level_us: None,
        };
        let meter = || Meter {
            setup: settings.radio(1),
            sent_us: 0,
        };
        Self {
            now_ms: 0,
            spans: SPANS_MS.len() - roll(dice, 2),
            boot,
            sensor: SensorNode::new(&settings, start).unwrap(),
            gateway: GatewayNode::new(&settings, start).unwrap(),
            meters: [meter(), meter()],
            orders: OrderReader::new(),
            counter: 0,
            frames: [Vec::new(), Vec::new()],
            documents: 0,
        }
    }

    fn step(&mut self, dice: &mut Dice) {
        self.now_ms += SPANS_MS[roll(dice, self.spans)];
        match roll(dice, 12) {
            0..=3 => self.poll(dice),
            4..=6 => self.arrive(dice),
            7 => self.intrude(dice),
            8 => self.babble(dice),
            9 => self.sensor.offer(any_reading(dice), self.now_ms),
            10 => self.order(dice),
            _ => self.print(),
        }
        let counters = self.sensor.counters();
        assert_eq!(
            counters.offered,
            counters.acknowledged + counters.dropped() + self.sensor.kept() as u32
        );
        assert!((1..=MAX_INTERVAL_S).contains(&self.sensor.interval_s()));
    }

    /// Let both nodes do everything that is due. A module usually confirms a command.
    fn poll(&mut self, dice: &mut Dice) {
        let mut out = [0; MAX_COMMAND_BYTES];
        for side in 0..2 {
            let mut wrote = false;
            loop {
                let next = match side {
                    0 => self.sensor.poll(self.now_ms, dice, &mut out),
                    _ => self.gateway.poll(self.now_ms, &mut out),
                };
                let bytes = match next {
                    Next::Write { bytes } => bytes,
                    Next::Wait { until_ms } => {
                        assert!(until_ms > self.now_ms);
                        break;
                    }
                };
                assert!(!wrote, "a command before the one before was answered");
                wrote = true;
                if let Some(frame) = self.meters[side].take(&out[..bytes], self.now_ms) {
                    self.frames[side] = frame;
                }
            }
            if wrote && roll(dice, 8) > 0 {
                self.hear(side, b"+OK\r\n", dice);
            }
        }
    }

    /// The module of a node sends something, in pieces.
    fn hear(&mut self, side: usize, said: &[u8], dice: &mut Dice) {
        for piece in said.chunks(1 + roll(dice, 64)) {
            match side {
                0 => self.sensor.feed(piece, self.now_ms, dice),
                _ => self.gateway.feed(piece, self.now_ms),
            }
        }
    }

    fn receive(&mut self, side: usize, frame: &[u8], dice: &mut Dice) {
        let from = if side == 0 { 2 } else { 1 };
        let mut said = format!("+RCV={from},{},", frame.len()).into_bytes();
        said.extend_from_slice(frame);
        said.extend_from_slice(b",-90,7\r\n");
        if roll(dice, 8) == 0 {
            let at = roll(dice, said.len());
            said[at] = dice.bits() as u8;
        }
        self.hear(side, &said, dice);
    }

    /// The last frame of a node reaches the other node, perhaps again.
    fn arrive(&mut self, dice: &mut Dice) {
        let side = roll(dice, 2);
        let frame = self.frames[1 - side].clone();
        if !frame.is_empty() {
            self.receive(side, &frame, dice);
        }
    }

    /// A forged frame of either side arrives: a packet with a correct checksum, or any bytes.
    fn intrude(&mut self, dice: &mut Dice) {
        let side = roll(dice, 2);
        let own = Packet::decode(&self.frames[0]);
        let seq = own
            .map_or(0, |packet| packet.header.seq)
            .wrapping_sub(dice.bits() as u16 % 3);
        let (src, dst) = if side == 0 {
            (GATEWAY_ADDRESS, 1)
        } else {
            (1, GATEWAY_ADDRESS)
        };
        let payload = match roll(dice, 3) {
            0 => Payload::Ack(Ack::new(-90, 7)),
            1 => Payload::Command(self.command(dice)),
            _ => Payload::Reading(any_reading(dice)),
        };
        let header = Header {
            flags: Flags::from_bits(dice.bits() as u8 & 7).unwrap(),
            src,
            dst,
            boot: self.boot,
            seq,
        };
        let mut buffer = [0; MAX_PACKET_BYTES];
        let frame = match (Packet { header, payload }).encode(&mut buffer) {
            Ok(bytes) if roll(dice, 4) > 0 => buffer[..bytes].to_vec(),
            _ => (0..roll(dice, 240)).map(|_| dice.bits() as u8).collect(),
        };
        self.receive(side, &frame, dice);
    }

    /// A module sends an unrequested line, whole or cut off.
    fn babble(&mut self, dice: &mut Dice) {
        let word = WORDS[roll(dice, WORDS.len())];
        let said = match roll(dice, 4) {
            0 => (0..roll(dice, 300)).map(|_| dice.bits() as u8).collect(),
            1 => word[..roll(dice, word.len())].to_vec(),
            _ => word.to_vec(),
        };
        self.hear(roll(dice, 2), &said, dice);
    }

    fn command(&mut self, dice: &mut Dice) -> Command {
        let actions = [
            Action::SetInterval {
                interval_s: dice.bits() as u16,
            },
            Action::SetLed { on: true },
            Action::Reboot,
        ];
        self.counter += 1;
        let key = Key::new(if roll(dice, 4) > 0 { KEY } else { [0; 16] });
        let until_seq = dice.bits() as u16 % 512;
        let action = actions[roll(dice, actions.len())];
        Command::sign(&key, 1, self.boot, until_seq, self.counter, action)
    }

    /// The gateway process writes a command, or something else.
    fn order(&mut self, dice: &mut Dice) {
        let command = self.command(dice);
        let mut buffer = [0; MAX_PACKET_BYTES];
        let header = Header {
            flags: Flags::NONE,
            src: GATEWAY_ADDRESS,
            dst: 1,
            boot: 0,
            seq: 0,
        };
        let packet = Packet {
            header,
            payload: Payload::Command(command),
        };
        let bytes = packet.encode(&mut buffer).unwrap();
        let mut line = String::from("command 1 60 ");
        for byte in &buffer[8..bytes - 2] {
            write!(line, "{byte:02x}").unwrap();
        }
        let mut line = (line + "\n").into_bytes();
        if roll(dice, 3) == 0 {
            let at = roll(dice, line.len());
            line[at] = dice.bits() as u8;
        }
        for byte in line {
            if let Some(Ok(order)) = self.orders.push(byte) {
                let until_ms = self.now_ms + u64::from(order.valid_s) * 1_000;
                // A full downlink returns an error, which is correct here.
                let _ = self.gateway.order(order.node, order.command, until_ms);
            }
        }
    }

    /// Every delivery becomes one line of JSON.
    fn print(&mut self) {
        while let Some(delivery) = self.gateway.take_delivery() {
            let own = Own {
                uptime_ms: self.now_ms as u32,
                climate: None,
                delivered: self.gateway.counters().delivered,
                damaged: self.gateway.counters().damaged,
            };
            let line = document(&delivery, &own).unwrap();
            assert!(line.ends_with("}\n"));
            serde_json::from_str::<serde_json::Value>(&line).unwrap();
            self.documents += 1;
        }
        while self.gateway.take_finished().is_some() {}
    }
}

fn any_reading(dice: &mut Dice) -> Reading {
    let bits = dice.bits();
    let some = |bit: u32| bits & 1 << bit != 0;
    Reading {
        temperature_centidegrees: some(0).then_some(dice.bits() as i16),
        humidity_centipercent: some(1).then_some(dice.bits() as u16),
        gas_resistance_ohm: some(2).then_some(dice.bits()),
        pressure_pa: some(3).then_some(dice.bits() >> 8),
        battery_mv: some(4).then_some(dice.bits() as u16),
        status: Status(if some(5) { dice.bits() as u16 } else { 0 }),
        age_ms: if some(6) { dice.bits() } else { 0 },
    }
}

/// Whatever arrives at whatever time, no node panics, or writes a command before its module has answered the last one. A sensor node's counts
/// balance, each radio keeps its rule, and every line is a document.
#[test]
fn nodes_keep_their_promises_whatever_comes() {
    let mut dice = Dice::new(setting("IIOT_FUZZ_SEED").unwrap_or(1));
    let mut left: usize = setting("IIOT_FUZZ_ITERATIONS").unwrap_or(100_000);
    let (mut documents, mut obeyed) = (0, 0);
    while left > 0 {
        let steps = left.min(RUN_STEPS);
        left -= steps;
        let mut run = Run::new(&mut dice);
        let interval_s = run.sensor.interval_s();
        for _ in 0..steps {
            run.step(&mut dice);
        }
        documents += run.documents;
        obeyed += usize::from(run.sensor.led() || run.sensor.interval_s() != interval_s);
    }
    assert!(documents > 1_000, "only {documents} packets were delivered");
    assert!(obeyed > 0, "no command was obeyed");
}
