//! A sensor node. It sends its readings by radio until they are acknowledged, and obeys commands with a correct authentication code.

use iiot_proto::Packet;
use iiot_proto::duty::Duty;
use iiot_proto::link::{
    CommandGuard, DEFAULT_OUTBOX, Judgement, Poll, Received, Sender, SenderConfig, SenderCounters,
    Uplink,
};
use iiot_proto::packet::{
    Ack, Action, Command, Info, MAX_PACKET_BYTES, Outcome, PROTOCOL_VERSION, Reading, ResetCause,
    Status,
};
use iiot_proto::rylr998::{Event, MAX_COMMAND_BYTES, Parser, SetupError};

use crate::dice::Dice;
use crate::radio::{Radio, RadioCounters};
use crate::settings::{Channel, Settings};
use crate::{Next, VERSION};

/// The longest interval that a command can set, in seconds. With it, a node still sends every hour.
pub const MAX_INTERVAL_S: u16 = 3600;

/// After a command to restart, a node restarts as soon as its answer has arrived, or after this time.
const REBOOT_MS: u64 = 10_000;

/// The node sends an info at its start, and then at this interval.
const INFO_MS: u64 = 3_600_000;

/// The time until the next poll if nothing is due. By polling, the caller shows that it is alive.
const IDLE_MS: u64 = 1_000;

/// What a node knows at its start, partly from its earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The boot id, drawn at this start.
    pub boot: u16,
    /// Why the node started.
    pub reset_cause: ResetCause,
    /// The content of the duty bucket, in microseconds of time on air; `None` after a loss of power.
    pub duty_level_us: Option<u64>,
}

/// A sensor node.
#[derive(Clone, Debug)]
pub struct SensorNode {
    radio: Radio,
    parser: Parser,
    sender: Sender<DEFAULT_OUTBOX>,
    guard: Option<CommandGuard>,
    duty: Duty,
    interval_s: u16,
    led: bool,
    /// The sequence number of the answer that must arrive before the restart, and the latest time of the restart.
    reboot: Option<(u16, u64)>,
    heard: Option<Ack>,
    told_errors: u16,
    told_dropped: u32,
    reset_cause: ResetCause,
    /// The time of the last info.
    info_ms: u64,
}

impl SensorNode {
    /// A node that has just started, and sends its info first. Fails if the settings of the radio are not allowed, so that no packet waits for a
    /// channel that never allows it.
    pub fn new(settings: &Settings, start: Start) -> Result<Self, SetupError> {
        let setup = settings.radio(settings.address);
        let rule = setup.check()?;
        let sender = Sender::new(SenderConfig {
            address: settings.address,
            gateway: settings.gateway,
            boot: start.boot,
            modulation: setup.modulation,
        });
        let mut node = Self {
            radio: Radio::new(setup),
            parser: Parser::default(),
            sender,
            guard: settings
                .key
                .clone()
                .map(|key| CommandGuard::new(key, settings.address, start.boot)),
            duty: start.duty_level_us.map_or(Duty::full(rule, 0), |level_us| {
                Duty::restored(rule, 0, level_us)
            }),
            interval_s: settings.interval_s,
            led: false,
            reboot: None,
            heard: None,
            told_errors: 0,
            told_dropped: 0,
            reset_cause: start.reset_cause,
            info_ms: 0,
        };
        node.offer_info(0);
        Ok(node)
    }

    fn offer_info(&mut self, now_ms: u64) {
        let (sent, errors) = (self.sender.counters(), self.radio.counters().errors());
        let saturated = |counter: u32| u16::try_from(counter).unwrap_or(u16::MAX);
        let info = Info {
            protocol: PROTOCOL_VERSION,
            firmware: VERSION,
            reset_cause: self.reset_cause,
            uptime_s: u32::try_from(now_ms / 1_000).unwrap_or(u32::MAX),
            interval_s: self.interval_s,
            transmitted: saturated(sent.transmitted),
            retransmitted: saturated(sent.retransmitted),
            dropped: saturated(sent.dropped()),
            radio_errors: errors,
        };
        self.info_ms = now_ms;
        // The wire format can represent every info.
        let _ = self.sender.offer(Uplink::Info(info), now_ms);
    }

    /// The interval between two readings in seconds, as set by the last command.
    pub const fn interval_s(&self) -> u16 {
        self.interval_s
    }

    /// Whether the LED should be on.
    pub const fn led(&self) -> bool {
        self.led
    }

    /// Whether the node must restart now: a command has requested it, and the answer has arrived or its time is over.
    pub fn is_reboot_due(&self, now_ms: u64) -> bool {
        self.reboot.is_some_and(|(_, until_ms)| now_ms >= until_ms)
    }

    /// How well the gateway node heard the last packet that it acknowledged.
    pub const fn heard(&self) -> Option<Ack> {
        self.heard
    }

    /// What happened to the packets.
    pub const fn counters(&self) -> SenderCounters {
        self.sender.counters()
    }

    /// The counts of the module's faults.
    pub const fn radio_counters(&self) -> RadioCounters {
        self.radio.counters()
    }

    /// The channel on which the node sends.
    pub const fn channel(&self) -> Channel {
        Channel(self.radio.setup())
    }

    /// The number of packets that wait.
    pub fn kept(&self) -> usize {
        self.sender.kept()
    }

    /// The content of the duty bucket in microseconds, for [`Start::duty_level_us`] of the next run.
    pub fn duty_level_us(&mut self, now_ms: u64) -> u64 {
        self.duty.level_us(now_ms)
    }

    /// Accept a reading for delivery. Its status also reports faults of the radio and dropped readings since the last reading.
    pub fn offer(&mut self, reading: Reading, now_ms: u64) {
        if now_ms.saturating_sub(self.info_ms) >= INFO_MS {
            self.offer_info(now_ms);
        }
        let (errors, dropped) = (
            self.radio.counters().errors(),
            self.sender.counters().dropped(),
        );
        let mut status = reading.status;
        if errors != self.told_errors {
            status = status.with(Status::RADIO_REFUSED);
        }
        if dropped != self.told_dropped {
            status = status.with(Status::READINGS_DROPPED);
        }
        (self.told_errors, self.told_dropped) = (errors, dropped);
        // The wire format can represent all values that `assess` returns.
        let _ = self
            .sender
            .offer(Uplink::Reading(Reading { status, ..reading }), now_ms);
    }

    /// Process bytes from the radio module.
    pub fn feed(&mut self, bytes: &[u8], now_ms: u64, dice: &mut Dice) {
        let Self { radio, parser, .. } = self;
        // A chunk holds at most one frame, because the module needs longer than a chunk for the next one.
        let mut packets = heapless::Vec::<Packet, 4>::new();
        parser.feed(bytes, now_ms, |event| {
            radio.hear(&event, now_ms);
            if let Event::Received { data, .. } = event
                && let Ok(packet) = Packet::decode(data)
            {
                // If more frames arrive, they are lost, as if on air, and are sent again.
                let _ = packets.push(packet);
            }
        });
        for packet in &packets {
            self.receive(packet, now_ms, dice);
        }
    }

    fn receive(&mut self, packet: &Packet, now_ms: u64, dice: &mut Dice) {
        match self.sender.receive(packet, now_ms, dice.bits()) {
            Received::Acknowledged { seq, ack, .. } => {
                self.heard = Some(ack);
                if let Some((awaited, until_ms)) = &mut self.reboot
                    && *awaited == seq
                {
                    *until_ms = now_ms;
                }
            }
            Received::Command { command, is_retry } => self.obey(&command, is_retry, now_ms),
            Received::Ignored => {}
        }
    }

    fn obey(&mut self, command: &Command, is_retry: bool, now_ms: u64) {
        let newest = self.sender.newest_seq();
        let Some(guard) = &mut self.guard else {
            return;
        };
        let mut reboots = false;
        let answer = match guard.judge(command, is_retry, newest) {
            Judgement::Reply(answer) => answer,
            Judgement::Obey(Action::SetInterval { interval_s }) if interval_s > MAX_INTERVAL_S => {
                guard.finish(Outcome::OutOfRange, self.interval_s)
            }
            Judgement::Obey(Action::SetInterval { interval_s }) => {
                self.interval_s = interval_s;
                guard.finish(Outcome::Done, interval_s)
            }
            Judgement::Obey(Action::SetLed { on }) => {
                self.led = on;
                guard.finish(Outcome::Done, u16::from(on))
            }
            Judgement::Obey(Action::Reboot) => {
                reboots = true;
                guard.finish(Outcome::Done, 0)
            }
        };
        if let Ok(seq) = self.sender.offer(Uplink::Answer(answer), now_ms)
            && reboots
        {
            self.reboot = Some((seq, now_ms.saturating_add(REBOOT_MS)));
        }
    }

    /// Find out what to do now.
    pub fn poll(
        &mut self,
        now_ms: u64,
        dice: &mut Dice,
        out: &mut [u8; MAX_COMMAND_BYTES],
    ) -> Next {
        if let Some(event) = self.parser.tick(now_ms) {
            self.radio.hear(&event, now_ms);
        }
        if let Some(bytes) = self.radio.poll(now_ms, out) {
            return Next::Write { bytes };
        }
        let mut until_ms = now_ms.saturating_add(IDLE_MS);
        if self.radio.is_free(now_ms) {
            let mut frame = [0; MAX_PACKET_BYTES];
            match self
                .sender
                .poll(now_ms, dice.bits(), &mut self.duty, &mut frame)
            {
                Poll::Transmit { bytes, to } => {
                    let frame = frame.get(..bytes).unwrap_or_default();
                    if let Some(bytes) = self.radio.send(u16::from(to), frame, now_ms, out) {
                        return Next::Write { bytes };
                    }
                }
                Poll::Wait { until_ms: poll_ms } => until_ms = until_ms.min(poll_ms),
                Poll::Idle => {}
            }
        } else if let Some(free_ms) = self.radio.free_ms() {
            until_ms = until_ms.min(free_ms);
        }
        if let Some(next_ms) = self.radio.next_ms() {
            until_ms = until_ms.min(next_ms);
        }
        Next::Wait {
            until_ms: until_ms.max(now_ms.saturating_add(1)),
        }
    }
}
