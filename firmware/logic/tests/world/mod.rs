//! Sensor nodes and the gateway node, each with a module that answers as the real one does, on the same air. Only the test makes time pass.

#![allow(dead_code, reason = "no test file uses all of it")]

use std::collections::VecDeque;

use iiot_proto::Region;
use iiot_proto::airtime::{Bandwidth, Modulation};
use iiot_proto::mac::Key;
use iiot_proto::packet::{Payload, Reading, ResetCause};
use iiot_proto::rylr998::MAX_COMMAND_BYTES;
use logic::dice::Dice;
use logic::gateway_node::Delivery;
use logic::sensor_node::Start;
use logic::settings::Settings;
use logic::{GatewayNode, Next, SensorNode};

pub const KEY: [u8; 16] = *b"sixteen bytes ok";
pub const INTERVAL_MS: u64 = 10_000;

/// How a module reacts to commands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Well,
    Mute,
    Refusing,
}

/// The module's side of a UART: its pending lines, each with its time.
pub struct Module {
    pub mood: Mood,
    pub says: VecDeque<(u64, Vec<u8>)>,
    /// The commands that the module has received, without frames.
    pub told: Vec<String>,
    /// The size of the pieces in which the node receives bytes.
    piece: usize,
}

impl Module {
    pub fn new(piece: usize) -> Self {
        Self {
            mood: Mood::Well,
            says: VecDeque::new(),
            told: Vec::new(),
            piece,
        }
    }

    pub fn say(&mut self, at_ms: u64, bytes: &[u8]) {
        self.says.push_back((at_ms, bytes.to_vec()));
    }

    /// The next line that is due.
    fn due(&mut self, now_ms: u64) -> Option<Vec<u8>> {
        let (at_ms, _) = self.says.front()?;
        if *at_ms > now_ms {
            return None;
        }
        let (_, bytes) = self.says.pop_front()?;
        Some(bytes)
    }

    /// Answer a command. Returns the frame that goes on air, and its receiver.
    fn take(&mut self, now_ms: u64, command: &[u8]) -> Option<(u8, Vec<u8>)> {
        match self.mood {
            Mood::Mute => None,
            Mood::Refusing => {
                self.say(now_ms + 1, b"+ERR=4\r\n");
                None
            }
            Mood::Well if command == b"AT+RESET\r\n" => {
                self.say(now_ms + 1, b"+RESET\r\n+READY\r\n");
                None
            }
            Mood::Well => {
                self.say(now_ms + 1, b"+OK\r\n");
                let Some(rest) = command.strip_prefix(b"AT+SEND=") else {
                    self.told
                        .push(String::from_utf8_lossy(command).trim_end().into());
                    return None;
                };
                let mut fields = rest.splitn(3, |byte| *byte == b',');
                let to = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
                let _length = fields.next()?;
                Some((to, fields.next()?.strip_suffix(b"\r\n")?.to_vec()))
            }
        }
    }

    fn setting(&self, name: &str) -> &str {
        let mut values = self.told.iter().rev();
        values
            .find_map(|told| {
                told.strip_prefix("AT+")?
                    .strip_prefix(name)?
                    .strip_prefix('=')
            })
            .unwrap_or_default()
    }

    /// Whether two modules have the common settings that they need to hear each other.
    fn hears(&self, other: &Self) -> bool {
        ["BAND", "NETWORKID", "PARAMETER"]
            .into_iter()
            .all(|name| self.setting(name) == other.setting(name))
    }

    fn airtime_us(&self, frame: &[u8]) -> u32 {
        let parameter: Vec<u8> = self
            .setting("PARAMETER")
            .split(',')
            .map(|field| field.parse().unwrap())
            .collect();
        let bandwidth = Bandwidth::of_code(parameter[1]).unwrap();
        let modulation = Modulation::new(parameter[0], bandwidth, parameter[2], parameter[3]);
        modulation.unwrap().airtime_us(frame.len())
    }
}

/// A frame that was on air.
pub struct Flight {
    pub began_ms: u64,
    pub from: u8,
    pub airtime_us: u32,
}

pub struct World {
    pub now_ms: u64,
    pub dice: Dice,
    pub gateway: (GatewayNode, Module),
    pub nodes: Vec<(u8, SensorNode, Module)>,
    pub delivered: Vec<Delivery>,
    /// The time of each delivery.
    pub delivered_ms: Vec<u64>,
    /// The percentage of frames that is lost.
    pub loss: u32,
    pub flights: Vec<Flight>,
}

pub fn start(boot: u16) -> Start {
    Start {
        boot,
        reset_cause: ResetCause::PowerOn,
        duty_level_us: None,
    }
}

pub fn settings(address: u8) -> Settings {
    Settings {
        key: Some(Key::new(KEY)),
        ..Settings::new(address, Region::Eu868)
    }
}

pub fn reading(number: u32) -> Reading {
    Reading {
        temperature_centidegrees: Some(2_000),
        gas_resistance_ohm: Some(number),
        ..Reading::default()
    }
}

impl World {
    /// Sensor nodes and their gateway node, with the settings of Europe.
    pub fn new(addresses: &[u8], loss: u32, piece: usize) -> Self {
        let nodes: Vec<_> = addresses.iter().map(|address| settings(*address)).collect();
        Self::of(&Settings::default(), &nodes, loss, piece)
    }

    /// Sensor nodes and their gateway node, with any settings.
    pub fn of(gateway: &Settings, nodes: &[Settings], loss: u32, piece: usize) -> Self {
        Self {
            now_ms: 0,
            dice: Dice::new(7),
            gateway: (
                GatewayNode::new(gateway, start(9)).unwrap(),
                Module::new(piece),
            ),
            nodes: nodes
                .iter()
                .map(|settings| {
                    let start = start(100 + u16::from(settings.address));
                    let node = SensorNode::new(settings, start).unwrap();
                    (settings.address, node, Module::new(piece))
                })
                .collect(),
            delivered: Vec::new(),
            delivered_ms: Vec::new(),
            loss,
            flights: Vec::new(),
        }
    }

    /// Let time pass, one millisecond at a time.
    pub fn pass(&mut self, for_ms: u64) {
        for _ in 0..for_ms {
            self.now_ms += 1;
            self.step();
        }
    }

    fn step(&mut self) {
        let now_ms = self.now_ms;
        let mut out = [0; MAX_COMMAND_BYTES];
        let mut air = Vec::new();
        for (address, node, module) in &mut self.nodes {
            while let Some(bytes) = module.due(now_ms) {
                for piece in bytes.chunks(module.piece) {
                    node.feed(piece, now_ms, &mut self.dice);
                }
            }
            while let Next::Write { bytes } = node.poll(now_ms, &mut self.dice, &mut out) {
                if let Some((to, frame)) = module.take(now_ms, &out[..bytes]) {
                    air.push((*address, to, frame));
                }
            }
        }
        let (gateway, module) = &mut self.gateway;
        while let Some(bytes) = module.due(now_ms) {
            for piece in bytes.chunks(module.piece) {
                gateway.feed(piece, now_ms);
            }
        }
        while let Next::Write { bytes } = gateway.poll(now_ms, &mut out) {
            if let Some((to, frame)) = module.take(now_ms, &out[..bytes]) {
                air.push((2, to, frame));
            }
        }
        while let Some(delivery) = gateway.take_delivery() {
            self.delivered.push(delivery);
            self.delivered_ms.push(now_ms);
        }
        for (from, to, frame) in air {
            self.fly(from, to, &frame);
        }
    }

    fn fly(&mut self, from: u8, to: u8, frame: &[u8]) {
        let other = if from == 2 { to } else { from };
        // Frames go between the gateway node and a sensor node.
        let Some((_, _, sensor)) = self.nodes.iter_mut().find(|(it, ..)| *it == other) else {
            return;
        };
        let (gateway, began_ms) = (&mut self.gateway.1, self.now_ms);
        let (sender, receiver) = if from == 2 {
            (gateway, sensor)
        } else {
            (sensor, gateway)
        };
        let airtime_us = sender.airtime_us(frame);
        self.flights.push(Flight {
            began_ms,
            from,
            airtime_us,
        });
        let is_lost = self.dice.bits() % 100 < self.loss;
        if is_lost || !receiver.hears(sender) || receiver.mood == Mood::Mute {
            return;
        }
        let mut said = format!("+RCV={from},{},", frame.len()).into_bytes();
        said.extend_from_slice(frame);
        said.extend_from_slice(b",-60,9\r\n");
        receiver.say(began_ms + u64::from(airtime_us.div_ceil(1_000)), &said);
    }

    pub fn node(&mut self, index: usize) -> &mut SensorNode {
        &mut self.nodes[index].1
    }

    /// The numbers of the readings that arrived from a node.
    pub fn numbers(&self, address: u8) -> Vec<u32> {
        let of_node = self
            .delivered
            .iter()
            .filter(|delivery| delivery.packet.header.src == address);
        of_node
            .filter_map(|delivery| match delivery.packet.payload {
                Payload::Reading(reading) => reading.gas_resistance_ohm,
                _ => None,
            })
            .collect()
    }
}
