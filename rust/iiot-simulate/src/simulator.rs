//! All nodes and their receiver, step by step in time.

use crate::climate::{Place, Weather};
use crate::dice::Dice;
use crate::document::{self, Receiver};
use crate::node::Node;
use std::fmt;

/// The most nodes: more than one receiver hears in practice.
pub const MAX_NODES: u32 = 100_000;
/// The shares of arriving packets that are damaged, and that are sent again because the acknowledgement was lost.
const DAMAGED: f64 = 0.004;
const REPEATED: f64 = 0.01;
const RECEIVER_MEAN_RUN_S: f64 = 30.0 * 86_400.0;
/// The time from the start to the first wrap of the receiver's clock.
const FIRST_WRAP_MS: u64 = 1_800_000;
const SECOND_NS: f64 = 1e9;
/// The interval between two readings of a node if no rate is given.
const EVERY_S: f64 = 10.0;

/// Readings per second of `nodes` nodes, if no rate is given.
pub fn natural_rate_per_s(nodes: u32) -> f64 {
    f64::from(nodes) / EVERY_S
}

/// The settings of a simulation.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The number of sensor nodes, without the receiver. They are called node1, node3, node4 and so on.
    pub nodes: u32,
    /// Readings per second of all nodes together, in simulated time.
    pub rate_per_s: f64,
    /// The same seed and start give the same bytes.
    pub seed: u64,
    /// The start of the simulated time, in nanoseconds since 1970.
    pub start_ns: i64,
}

/// A setting that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum SettingsError {
    /// No node, or more than [`MAX_NODES`].
    Nodes(u32),
    /// Not a rate between one reading per day and ten million per second.
    Rate(f64),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes(nodes) => write!(f, "nodes is {nodes}, expected 1 to {MAX_NODES}"),
            Self::Rate(rate) => write!(
                f,
                "rate is {rate} readings a second, expected 0.00001 to 10000000"
            ),
        }
    }
}

impl std::error::Error for SettingsError {}

/// The true counts so far, for comparison with a gateway's ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Readings that nodes have sent.
    pub readings: u64,
    /// Readings that no receiver heard.
    pub lost: u64,
    /// Readings that arrived damaged. The receiver counts them.
    pub damaged: u64,
    /// Documents in the log: readings that arrived, and their repeats.
    pub documents: u64,
    /// Documents that are repeats.
    pub duplicates: u64,
    /// Restarts of nodes.
    pub node_restarts: u64,
    /// Restarts of the receiver.
    pub receiver_restarts: u64,
}

/// Generates the log of a receiver, piece by piece.
#[derive(Clone, Debug)]
pub struct Simulator {
    settings: Settings,
    weather: Weather,
    nodes: Vec<Node>,
    dice: Dice,
    receiver_place: Place,
    receiver: Receiver,
    /// When the receiver's clock was zero, in milliseconds since the start of the simulation. At first this is negative.
    clock_zero_ms: i64,
    receiver_until_s: f64,
    counts: Counts,
    object: Vec<u8>,
}

impl Simulator {
    /// Begin a simulation.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        if !(1..=MAX_NODES).contains(&settings.nodes) {
            return Err(SettingsError::Nodes(settings.nodes));
        }
        if !(1e-5..=1e7).contains(&settings.rate_per_s) {
            return Err(SettingsError::Rate(settings.rate_per_s));
        }
        let mut region = Dice::of(settings.seed, 0);
        let mut dice = Dice::of(settings.seed ^ settings.start_ns as u64, 1 << 32);
        let start_s = settings.start_ns as f64 / SECOND_NS;
        // Node 2 is the receiver.
        let numbers = (1..=settings.nodes).map(|n| if n == 1 { 1 } else { n + 1 });
        let weather = Weather::new(&mut region);
        Ok(Self {
            nodes: numbers
                .map(|number| Node::new(number, settings.seed, start_s))
                .collect(),
            weather,
            receiver_place: Place::new(&mut region),
            receiver: Receiver {
                uptime_ms: 0,
                temperature_centidegrees: 0,
                humidity_centipercent: 0,
                received: dice.bits() as u32 >> 12,
                damaged: dice.bits() as u32 >> 24,
            },
            clock_zero_ms: FIRST_WRAP_MS as i64 - (1 << 32),
            receiver_until_s: start_s + dice.exponential(RECEIVER_MEAN_RUN_S).max(7_200.0),
            dice,
            settings,
            counts: Counts::default(),
            object: Vec::new(),
        })
    }

    /// The counts so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The time of the next reading, in nanoseconds since 1970.
    pub fn next_ns(&self) -> i64 {
        let ahead_ns = self.counts.readings as f64 / self.settings.rate_per_s * SECOND_NS;
        self.settings.start_ns.saturating_add(ahead_ns as i64)
    }

    /// Append the log up to a time, but of `max_readings` readings at most. Returns the number of readings.
    pub fn advance(&mut self, until_ns: i64, max_readings: usize, out: &mut Vec<u8>) -> usize {
        let mut readings = 0;
        while readings < max_readings && self.next_ns() < until_ns {
            self.step(out);
            readings += 1;
        }
        readings
    }

    fn step(&mut self, out: &mut Vec<u8>) {
        let since_ms = self.counts.readings as f64 / self.settings.rate_per_s * 1_000.0;
        let now_s = self.settings.start_ns as f64 / SECOND_NS + since_ms / 1_000.0;
        let turn = (self.counts.readings % u64::from(self.settings.nodes)) as usize;
        self.counts.readings += 1;
        self.keep_receiver(now_s, since_ms as i64, out);
        let Some(node) = self.nodes.get_mut(turn) else {
            return;
        };
        self.counts.node_restarts += u64::from(node.restart(now_s));
        let reading = node.measure(&self.weather, now_s);
        let (number, path) = (node.number, node.path);
        let Some(signal) = path.carry(&mut self.dice) else {
            self.counts.lost += 1;
            return;
        };
        if self.dice.chance(DAMAGED) {
            let bits = self.dice.bits();
            document::push_crc_error(bits as u16, (bits >> 16) as u16 ^ 1, out);
            self.receiver.damaged = self.receiver.damaged.wrapping_add(1);
            self.counts.damaged += 1;
            return;
        }
        let mut object = std::mem::take(&mut self.object);
        object.clear();
        document::push_object(number, &reading, &mut object);
        self.print(&object, signal, since_ms as i64, now_s, out);
        if self.dice.chance(REPEATED)
            && let Some(again) = path.carry(&mut self.dice)
        {
            self.counts.duplicates += 1;
            self.print(&object, again, since_ms as i64, now_s, out);
        }
        self.object = object;
    }

    fn keep_receiver(&mut self, now_s: f64, since_ms: i64, out: &mut Vec<u8>) {
        if now_s < self.receiver_until_s {
            return;
        }
        self.receiver_until_s = now_s + self.dice.exponential(RECEIVER_MEAN_RUN_S);
        self.clock_zero_ms = since_ms;
        (self.receiver.received, self.receiver.damaged) = (0, 0);
        self.counts.receiver_restarts += 1;
        document::push_start(out);
    }

    fn print(
        &mut self,
        object: &[u8],
        signal: crate::radio::Signal,
        since_ms: i64,
        now_s: f64,
        out: &mut Vec<u8>,
    ) {
        let air = self.weather.at(&self.receiver_place, now_s);
        let receiver = &mut self.receiver;
        receiver.uptime_ms = (since_ms - self.clock_zero_ms) as u32;
        // The receiver's own sensor is indoors.
        receiver.temperature_centidegrees = 1_900 + (air.temperature_c * 15.0) as i32;
        receiver.humidity_centipercent = 4_000 + (air.humidity_percent * 10.0) as i32;
        receiver.received = receiver.received.wrapping_add(1);
        self.counts.documents += 1;
        document::push_reception(object, receiver, signal, out);
    }
}
