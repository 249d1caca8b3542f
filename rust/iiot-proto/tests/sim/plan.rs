//! What is to be simulated, and what came of it.

use iiot_proto::airtime::Modulation;
use iiot_proto::duty::DutyRule;

use super::channel::Air;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Ours,
    /// One send, an acknowledgement without consequence.
    Original,
}

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub protocol: Protocol,
    pub air: Air,
    pub nodes: usize,
    pub interval_ms: u64,
    pub modulation: Modulation,
    pub rule: DutyRule,
    /// New readings stop after so many frames on air; what is kept is then given ten minutes.
    pub frames: u64,
    pub seed: u64,
    /// All nodes measure at the same moment.
    pub in_step: bool,
    /// A node restarts on average once in so many readings.
    pub restarts: Option<u64>,
    /// The other side is gone in this span.
    pub silence_ms: Option<(u64, u64)>,
}

#[derive(Clone, Debug, Default)]
pub struct Report {
    pub offered: u64,
    /// Of the offered, how many the gateway has.
    pub delivered: u64,
    /// Delivered a second time.
    pub doubled: u64,
    /// Delivered, but never offered so, or with a time more than the link promises away from its own.
    pub false_readings: u64,
    /// Gone with a restart of their node.
    pub lost_in_restart: u64,
    /// Dropped and counted by a sender.
    pub dropped: u64,
    pub frames: u64,
    pub collided: u64,
    pub damaged: u64,
    pub repeats: u64,
    pub commands_done: u64,
    pub commands_unanswered: u64,
    pub commands_obeyed_twice: u64,
    /// The fullest hour of any radio, in thousandths.
    pub worst_hour_per_mille: f64,
    pub airtime_per_reading_ms: f64,
    pub hours: f64,
    /// From measuring to delivery: the middle one, and the 99th of a hundred.
    pub delay_ms: (u32, u32),
}

impl Report {
    pub fn delivery(&self) -> f64 {
        self.delivered as f64 / (self.offered - self.lost_in_restart).max(1) as f64
    }
}
