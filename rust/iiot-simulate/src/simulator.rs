//! All nodes and their receiver, in the order of time.

use crate::climate::{Place, Weather};
use crate::dice::Dice;
use crate::document::{self, Receiver};
use crate::node::Node;
use std::fmt;

/// More nodes than a receiver would ever hear.
pub const MAX_NODES: u32 = 100_000;
/// Of packets that arrive: damaged, and sent again because the acknowledgement was lost.
const DAMAGED: f64 = 0.004;
const REPEATED: f64 = 0.01;
const RECEIVER_MEAN_RUN_S: f64 = 30.0 * 86_400.0;
/// So long after the start the receiver's clock wraps for the first time.
const FIRST_WRAP_MS: u64 = 1_800_000;
const SECOND_NS: f64 = 1e9;
/// How often a node measures where no rate is asked for.
const EVERY_S: f64 = 10.0;

/// Readings a second of so many nodes that nobody hurries.
pub fn natural_rate_per_s(nodes: u32) -> f64 {
    f64::from(nodes) / EVERY_S
}

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Sensor nodes beside the receiver: node1, node3, node4 and so on.
    pub nodes: u32,
    /// Readings a second, of all nodes together, in simulated time.
    pub rate_per_s: f64,
    /// The same seed and start give the same bytes.
    pub seed: u64,
    /// When it begins, nanoseconds since 1970.
    pub start_ns: i64,
}

/// A setting that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum SettingsError {
    /// No node, or more than [`MAX_NODES`].
    Nodes(u32),
    /// Not a number of readings from one a day to ten million a second.
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

/// What has happened so far: the truth that a gateway's ledger can be compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Readings that nodes have sent.
    pub readings: u64,
    /// Of them, never heard.
    pub lost: u64,
    /// Of them, heard damaged and counted by the receiver.
    pub damaged: u64,
    /// Documents that were printed: readings that arrived, and repeats.
    pub documents: u64,
    /// Of them, repeats.
    pub duplicates: u64,
    /// Times that a node started anew.
    pub node_restarts: u64,
    /// Times that the receiver started anew.
    pub receiver_restarts: u64,
}

/// Gives the log of a receiver, piece by piece.
#[derive(Clone, Debug)]
pub struct Simulator {
    settings: Settings,
    weather: Weather,
    nodes: Vec<Node>,
    dice: Dice,
    receiver_place: Place,
    receiver: Receiver,
    /// When the receiver's clock was nought, in milliseconds since the start of the simulation; before it, at first.
    clock_zero_ms: i64,
    receiver_until_s: f64,
    counts: Counts,
    object: Vec<u8>,
}

impl Simulator {
    /// Begin.
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

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// When the next reading is sent, nanoseconds since 1970.
    pub fn next_ns(&self) -> i64 {
        let ahead_ns = self.counts.readings as f64 / self.settings.rate_per_s * SECOND_NS;
        self.settings.start_ns.saturating_add(ahead_ns as i64)
    }

    /// Append the log of everything that happens before a time, but of `max_readings` at most. Returns how many readings that were.
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
        // Its own sensor stands indoors.
        receiver.temperature_centidegrees = 1_900 + (air.temperature_c * 15.0) as i32;
        receiver.humidity_centipercent = 4_000 + (air.humidity_percent * 10.0) as i32;
        receiver.received = receiver.received.wrapping_add(1);
        self.counts.documents += 1;
        document::push_reception(object, receiver, signal, out);
    }
}
