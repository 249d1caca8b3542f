//! One connection of a consumer, from the CONNECT to its end.

mod retiring;
mod subscribing;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::sleep_until;

use super::acks::Acks;
use super::control::{self, Connected};
use super::splitter::{Came, Published, Splitter};
use super::{
    Arrived, ConsumerConfig, ConsumerEnded, ConsumerPhase, Desk, Inlet, Retained, Subscription,
};
use crate::checked::Checked;
use crate::config::Protocol;
use crate::ended::EndKind;
use crate::failure::{Failure, failure_within};
use crate::mark::Mark;
use crate::transport::Stream;
use retiring::retired;

/// How many bytes are read at once, so that many messages are passed on together.
const READ_BYTES: usize = 256 * 1024;
/// How many bytes may be on their way if the broker counts them for ever.
const COUNTED_AHEAD: usize = 64 * 1024;
/// How long a last check for messages takes. It is needed because this thread also sees no messages while it gets no CPU time.
const LAST_LOOK: Duration = Duration::from_millis(5);
/// One connection.
pub(super) struct Link<'a> {
    checked: &'a Checked,
    consumer: &'a ConsumerConfig,
    desk: &'a Arc<Desk>,
    inlet: &'a mut dyn Inlet,
    v5: bool,
    acks: Acks,
    out: BytesMut,
    /// How many acknowledgements `out` holds.
    unwritten: usize,
    /// Messages of the batch that is being collected.
    collected: Vec<(u16, u8)>,
    /// Requests of ours that wait for an answer.
    subscribing: HashMap<u16, Vec<Subscription>>,
    unsubscribing: HashMap<u16, Vec<String>>,
    subscribed_at: Option<Instant>,
    keep_alive: Duration,
    last_sent: Instant,
    last_came: Instant,
    pinged_at: Option<Instant>,
    /// Since when everything is read as it comes; none while reading is held back.
    reading_since: Option<Instant>,
    paused_at: Option<Instant>,
    stopping: bool,
    /// The session is being retired: its filters are unsubscribed, and the messages that it still holds are taken.
    retiring: bool,
    last_message: Instant,
}

impl<'a> Link<'a> {
    pub(super) fn new(
        checked: &'a Checked,
        consumer: &'a ConsumerConfig,
        desk: &'a Arc<Desk>,
        inlet: &'a mut dyn Inlet,
    ) -> Self {
        let v5 = checked.config.protocol == Protocol::V5;
        let now = Instant::now();
        Self {
            checked,
            consumer,
            desk,
            inlet,
            v5,
            acks: Acks::new(v5),
            out: BytesMut::new(),
            unwritten: 0,
            collected: Vec::new(),
            subscribing: HashMap::new(),
            unsubscribing: HashMap::new(),
            subscribed_at: None,
            keep_alive: Duration::from_secs(u64::from(checked.keep_alive_s)),
            last_sent: now,
            last_came: now,
            pinged_at: None,
            reading_since: None,
            paused_at: None,
            stopping: false,
            retiring: false,
            last_message: now,
        }
    }

    pub(super) async fn run(mut self) -> ConsumerEnded {
        let mut outcome = self.connection().await;
        let is_empty =
            matches!(&outcome, Err(failure) if failure.kind == EndKind::Retired) && !self.v5;
        if is_empty {
            outcome = self.clear_session().await;
        }
        let failure = match outcome {
            Err(failure) => failure,
            Ok(()) => Failure::new(EndKind::Stopped, "stopped"),
        };
        if failure.kind == EndKind::Retired {
            self.desk.set_retired();
        }
        ConsumerEnded {
            kind: failure.kind,
            detail: failure.detail,
            subscribed: self.subscribed_at.map_or(Duration::ZERO, |at| at.elapsed()),
        }
    }

    async fn connection(&mut self) -> Result<(), Failure> {
        if self.desk.stop_by().is_some() {
            return Ok(());
        }
        if self.desk.is_retired() {
            return Err(retired());
        }
        let within = self.checked.config.connect_timeout;
        let transport = &self.checked.transport;
        let desk = Arc::clone(self.desk);
        let stream = tokio::select! {
            stream = transport.connect(within) => stream.map_err(|error| broken(&error))?,
            () = stopped(&desk) => return Ok(()),
        };
        if self.consumer.is_counted_for_ever {
            stream.set_ahead(COUNTED_AHEAD);
        }
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut splitter = Splitter::new(self.v5, self.consumer.max_payload_bytes);
        let connected = tokio::select! {
            connected = self.connect(&mut reader, &mut writer, &mut splitter) => connected?,
            () = stopped(&desk) => return Ok(()),
            () = tokio::time::sleep(within) => return Err(late()),
        };
        self.subscribe(&connected)?;
        self.live(reader, writer, splitter).await
    }

    /// CONNECT and its answer.
    async fn connect(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
        splitter: &mut Splitter,
    ) -> Result<Connected, Failure> {
        let is_clean = self.retiring || self.consumer.session_expiry.is_zero();
        let packet = control::connect(self.checked, self.consumer, self.v5, is_clean)?;
        writer
            .write_all(&packet)
            .await
            .map_err(|error| broken(&error))?;
        writer.flush().await.map_err(|error| broken(&error))?;
        loop {
            match splitter.next()? {
                Some(Came::Packet(control::CONNACK, body)) => {
                    let connected = control::connack(body, self.v5)?;
                    if let Some(keep_alive_s) = connected.keep_alive_s {
                        self.keep_alive = Duration::from_secs(u64::from(keep_alive_s));
                    }
                    return Ok(connected);
                }
                Some(_) => {
                    return Err(control::malformed("something else came before the CONNACK"));
                }
                None => {}
            }
            let count = reader
                .read_buf(splitter.room(READ_BYTES))
                .await
                .map_err(|error| broken(&error))?;
            if count == 0 {
                return Err(Failure::new(
                    EndKind::Lost,
                    "the broker closed the connection before the CONNACK",
                ));
            }
        }
    }

    async fn live(
        &mut self,
        mut reader: ReadHalf<Stream>,
        mut writer: WriteHalf<Stream>,
        mut splitter: Splitter,
    ) -> Result<(), Failure> {
        let desk = Arc::clone(self.desk);
        loop {
            self.take_all(&mut splitter)?;
            let now = Instant::now();
            self.unwritten += self.acks.durable(self.inlet.durable(), now, &mut self.out);
            let may_read = self.may_read(now)?;
            self.keep_alive(now)?;
            if let Some(stop_by) = desk.stop_by() {
                let is_done = self.acks.waiting() == 0 || now >= stop_by;
                if is_done && !self.stopping {
                    self.stopping = true;
                    control::disconnect(&mut self.out);
                }
                if self.stopping && (self.out.is_empty() || now >= stop_by) {
                    writer.shutdown().await.ok();
                    return Ok(());
                }
            }
            if self.is_drained(now, &splitter) {
                let reading = reader.read_buf(splitter.room(READ_BYTES));
                if let Ok(count) = tokio::time::timeout(LAST_LOOK, reading).await {
                    self.came(count)?;
                    continue;
                }
                return Err(self.end_session(&mut writer).await?);
            }
            self.tell();
            let until = self.next_deadline(now, desk.stop_by());
            tokio::select! {
                biased;
                written = writer.write(&self.out), if !self.out.is_empty() => {
                    let count = written.map_err(|error| broken(&error))?;
                    if count == 0 {
                        return Err(Failure::new(EndKind::Lost, "the connection takes nothing more"));
                    }
                    self.out.advance(count);
                    self.last_sent = Instant::now();
                    if self.out.is_empty() {
                        self.unwritten = 0;
                        writer.flush().await.map_err(|error| broken(&error))?;
                    }
                }
                // In a block of its own, because the branch is evaluated even if it is off: room would be made that is not used.
                count = async { reader.read_buf(splitter.room(READ_BYTES)).await }, if may_read && !self.stopping => {
                    self.came(count)?;
                }
                () = desk.wake.notified() => {}
                () = sleep_until(until.into()) => {}
            }
        }
    }

    /// Handle a read of this many bytes.
    fn came(&mut self, count: std::io::Result<usize>) -> Result<(), Failure> {
        if count.map_err(|error| broken(&error))? == 0 {
            return Err(Failure::new(
                EndKind::Lost,
                "the broker closed the connection",
            ));
        }
        self.last_came = Instant::now();
        Ok(())
    }

    /// Whether the most messages that may wait for their acknowledgement already do. Further ones stay in the splitter and in the socket.
    fn is_full(&self) -> bool {
        let waiting = self.collected.len() + self.acks.waiting() + self.unwritten;
        waiting >= usize::from(self.consumer.receive_maximum)
    }

    /// Take all complete messages for which there is room, as one batch.
    fn take_all(&mut self, splitter: &mut Splitter) -> Result<(), Failure> {
        let received_at_ns = super::now_ns();
        let (mut messages, mut bytes) = (0, 0);
        let mut outcome = Ok(());
        while !self.is_full() {
            match splitter.next() {
                Ok(Some(Came::Message(message))) => {
                    messages += 1;
                    bytes += message.payload_bytes;
                    self.message(&message, received_at_ns);
                }
                Ok(Some(Came::Packet(kind, body))) => {
                    outcome = self.packet(kind, body);
                    if outcome.is_err() {
                        break;
                    }
                }
                Ok(None) => break,
                Err(failure) => {
                    outcome = Err(failure);
                    break;
                }
            }
        }
        if messages > 0 {
            self.last_message = Instant::now();
            self.desk.messages.fetch_add(messages, Ordering::Relaxed);
            self.desk.payload_bytes.fetch_add(bytes, Ordering::Relaxed);
            self.desk
                .last_message_ns
                .store(received_at_ns, Ordering::Relaxed);
        }
        // Messages that came before the end are valid.
        let ticket = self.inlet.send()?;
        for (packet_id, qos) in self.collected.drain(..) {
            self.acks.received(ticket, packet_id, qos);
        }
        outcome
    }

    fn message(&mut self, message: &Published<'_>, received_at_ns: i64) {
        let mark = match message.mark {
            Some(Mark::Value(mark)) => Some(mark),
            _ => None,
        };
        let arrived = Arrived {
            mark,
            topic: message.topic,
            payload: message.payload,
            payload_bytes: message.payload_bytes,
            packet_id: message.packet_id,
            again: message.again,
            retained: message.retained,
            received_at_ns,
        };
        if message.retained && self.consumer.retained == Retained::Ignore {
            self.inlet.skip(&arrived, "retained");
        } else if message.mark == Some(Mark::Again) && !message.retained {
            // With a session, the gateway got it when it was first published.
            self.inlet.skip(&arrived, "published_again");
        } else if message.payload_bytes > message.payload.len() as u64 {
            self.inlet.refuse_long(&arrived);
        } else {
            self.inlet.take(&arrived);
        }
        if message.qos > 0 {
            self.collected.push((message.packet_id, message.qos));
        }
    }

    fn packet(&mut self, kind: u8, body: &[u8]) -> Result<(), Failure> {
        match kind {
            control::PUBREL => {
                let id = control::packet_id(body)
                    .ok_or_else(|| control::malformed("a PUBREL is cut short"))?;
                self.inlet.forget(&[id]);
                control::acknowledge(7, id, &mut self.out);
            }
            control::SUBACK => self.suback(body)?,
            control::UNSUBACK => {
                let id = control::packet_id(body)
                    .ok_or_else(|| control::malformed("an UNSUBACK is cut short"))?;
                if let Some(packet_ids) = self.acks.answered(id) {
                    self.inlet.forget(&packet_ids);
                } else if self.unsubscribing.remove(&id).is_some() && self.unsubscribing.is_empty()
                {
                    self.store_subscribed()?;
                }
            }
            control::PINGRESP => self.pinged_at = None,
            control::DISCONNECT => return Err(control::disconnected(body)),
            // A second acknowledgement is no reason to end a connection.
            _ => {}
        }
        Ok(())
    }

    /// Whether more may be read: there is room for it, and not too many messages wait for their acknowledgement. A journal that has no room for longer than
    /// half the keep-alive ends the connection. Otherwise the broker would end it, and publish the will.
    fn may_read(&mut self, now: Instant) -> Result<bool, Failure> {
        let has_room = self.inlet.has_room();
        if has_room {
            self.paused_at = None;
            if !self.is_full() {
                self.reading_since.get_or_insert(now);
                return Ok(true);
            }
        }
        self.reading_since = None;
        if has_room {
            return Ok(false);
        }
        let since = *self.paused_at.get_or_insert(now);
        let most = if self.keep_alive.is_zero() {
            Duration::from_secs(30)
        } else {
            self.keep_alive / 2
        };
        if now.saturating_duration_since(since) >= most {
            return Err(Failure::new(
                EndKind::Paused,
                "the journal has no room; the broker keeps the session, and what its queue holds",
            ));
        }
        Ok(false)
    }

    fn keep_alive(&mut self, now: Instant) -> Result<(), Failure> {
        if self.keep_alive.is_zero() {
            return Ok(());
        }
        if let (Some(at), Some(since)) = (self.pinged_at, self.reading_since)
            && now.saturating_duration_since(at.max(since).max(self.last_came))
                >= self.checked.config.ack_timeout.min(self.keep_alive)
        {
            return Err(Failure::silent("the broker does not answer a ping"));
        }
        let idle = |since: Instant| now.saturating_duration_since(since) >= self.keep_alive * 3 / 4;
        let is_due = if self.reading_since.is_some() {
            self.pinged_at.is_none() && (idle(self.last_sent) || idle(self.last_came))
        } else {
            // No answer is read, and the broker must hear of us all the same.
            idle(self.last_sent) && self.out.is_empty()
        };
        if is_due {
            control::ping(&mut self.out);
            self.pinged_at = Some(now);
        }
        Ok(())
    }

    fn next_deadline(&self, now: Instant, stop_by: Option<Instant>) -> Instant {
        let tick = if self.keep_alive.is_zero() {
            Duration::from_secs(1)
        } else {
            (self.keep_alive / 8).clamp(Duration::from_millis(50), Duration::from_secs(1))
        };
        [self.acks.ask_at(), stop_by]
            .into_iter()
            .flatten()
            .fold(now + tick, Instant::min)
    }

    /// Publish the state of the consumer.
    fn tell(&self) {
        self.desk
            .unacknowledged
            .store(self.acks.waiting() as u64, Ordering::Relaxed);
        if self.subscribed_at.is_some() {
            self.desk.enter(if self.paused_at.is_some() {
                ConsumerPhase::Paused
            } else {
                ConsumerPhase::Subscribed
            });
        }
    }
}

fn late() -> Failure {
    let why = "no CONNACK within the connect time-out";
    Failure::new(EndKind::Unreachable, why)
}

async fn stopped(desk: &Desk) {
    while desk.stop_by().is_none() {
        desk.wake.notified().await;
    }
}

fn broken(error: &std::io::Error) -> Failure {
    failure_within(error).unwrap_or_else(|| Failure::new(EndKind::Lost, error.to_string()))
}
