//! A sensor node: its readings go out by radio until they are acknowledged, and it obeys commands that hold the right code.

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

/// The longest interval that a command can set, so that a node is heard of every hour.
pub const MAX_INTERVAL_S: u16 = 3600;

/// A node that was told to start anew does so once its answer has arrived, or after this time.
const REBOOT_MS: u64 = 10_000;

/// What a node is, and how it has fared, is told at its start and then this often.
const INFO_MS: u64 = 3_600_000;

/// Ask again after this time where nothing is due: the caller shows that it is alive by it.
const IDLE_MS: u64 = 1_000;

/// What a node has of its earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// Drawn anew.
    pub boot: u16,
    /// Why it started.
    pub reset_cause: ResetCause,
    /// What the duty bucket held, in microseconds of time on air; `None` after a loss of power.
    pub duty_level_us: Option<u64>,
}

/// One sensor node.
#[derive(Clone, Debug)]
pub struct SensorNode {
    radio: Radio,
    parser: Parser,
    sender: Sender<DEFAULT_OUTBOX>,
    guard: Option<CommandGuard>,
    duty: Duty,
    interval_s: u16,
    led: bool,
    /// The answer that is waited for before starting anew, and until when.
    reboot: Option<(u16, u64)>,
    heard: Option<Ack>,
    told_errors: u16,
    told_dropped: u32,
    reset_cause: ResetCause,
    /// When it last told what it is.
    info_ms: u64,
}

impl SensorNode {
    /// A node that has just started; what it is goes out first. Refused where the radio may not be set up as its settings say, so that no packet
    /// waits for a channel that never takes it.
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
        // An info always has a place on the wire.
        let _ = self.sender.offer(Uplink::Info(info), now_ms);
    }

    /// Seconds between two readings, as they were last commanded.
    pub const fn interval_s(&self) -> u16 {
        self.interval_s
    }

    /// Whether the LED should be on.
    pub const fn led(&self) -> bool {
        self.led
    }

    /// Whether the node was told to start anew, and has said so.
    pub fn is_reboot_due(&self, now_ms: u64) -> bool {
        self.reboot.is_some_and(|(_, until_ms)| now_ms >= until_ms)
    }

    /// How well the gateway node heard the last packet that it acknowledged.
    pub const fn heard(&self) -> Option<Ack> {
        self.heard
    }

    /// What became of the packets.
    pub const fn counters(&self) -> SenderCounters {
        self.sender.counters()
    }

    /// What went wrong at the module.
    pub const fn radio_counters(&self) -> RadioCounters {
        self.radio.counters()
    }

    /// Where it sends.
    pub const fn channel(&self) -> Channel {
        Channel(self.radio.setup())
    }

    /// Packets that wait.
    pub fn kept(&self) -> usize {
        self.sender.kept()
    }

    /// What the duty bucket holds, for [`Start::duty_level_us`] of the next run.
    pub fn duty_level_us(&mut self, now_ms: u64) -> u64 {
        self.duty.level_us(now_ms)
    }

    /// Take a reading to deliver. What went wrong with radio and outbox since the last one goes with it.
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
        // `assess` gives only values that have a place on the wire.
        let _ = self
            .sender
            .offer(Uplink::Reading(Reading { status, ..reading }), now_ms);
    }

    /// Take bytes of the radio module.
    pub fn feed(&mut self, bytes: &[u8], now_ms: u64, dice: &mut Dice) {
        let Self { radio, parser, .. } = self;
        // A chunk holds one frame at most: the module takes longer than a chunk for the next.
        let mut packets = heapless::Vec::<Packet, 4>::new();
        parser.feed(bytes, now_ms, |event| {
            radio.hear(&event, now_ms);
            if let Event::Received { data, .. } = event
                && let Ok(packet) = Packet::decode(data)
            {
                // A flood beyond that is as good as lost on air: it is sent again.
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

    /// Find out what to do.
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
