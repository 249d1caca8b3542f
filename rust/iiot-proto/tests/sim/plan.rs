//! The parameters of a simulation, and its results.

use iiot_proto::airtime::Modulation;
use iiot_proto::duty::DutyRule;

use super::channel::Air;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Ours,
    /// The protocol of the original: a reading is sent once, and its acknowledgement has no effect.
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
    /// The number of frames on air after which nodes create no more readings. Kept packets then have ten minutes to arrive.
    pub frames: u64,
    pub seed: u64,
    /// Whether all nodes measure at the same moment.
    pub in_step: bool,
    /// The average number of readings between two restarts of a node.
    pub restarts: Option<u64>,
    /// The period in which the gateway is absent.
    pub silence_ms: Option<(u64, u64)>,
}

#[derive(Clone, Debug, Default)]
pub struct Report {
    pub offered: u64,
    /// The number of offered readings that the gateway has received.
    pub delivered: u64,
    /// The number of readings that were delivered a second time.
    pub doubled: u64,
    /// The number of delivered readings that were never offered with these values, or whose time differs from their own by more than the link promises.
    pub false_readings: u64,
    /// The number of readings that were lost in a restart of their node.
    pub lost_in_restart: u64,
    /// The number of readings that a sender dropped and counted.
    pub dropped: u64,
    pub frames: u64,
    pub collided: u64,
    pub damaged: u64,
    pub repeats: u64,
    pub commands_done: u64,
    pub commands_unanswered: u64,
    pub commands_obeyed_twice: u64,
    /// The largest share of any hour in which any radio was sending, in thousandths.
    pub worst_hour_per_mille: f64,
    pub airtime_per_reading_ms: f64,
    pub hours: f64,
    /// The time from the measurement to the delivery: the median and the 99th percentile.
    pub delay_ms: (u32, u32),
}

impl Report {
    pub fn delivery(&self) -> f64 {
        self.delivered as f64 / (self.offered - self.lost_in_restart).max(1) as f64
    }
}
