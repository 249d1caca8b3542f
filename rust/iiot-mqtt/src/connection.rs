//! One connection, from CONNECT to its end: the loop that feeds the client, takes its answers and confirms.
//!
//! ```text
//! connecting ─ CONNACK ─► refreshing ─► live ─ stop ─► draining ─► saying offline ─► leaving
//!                  └── nothing known ──►┘
//! ```
//!
//! A pending poll of the client is never dropped (it may have counted a publish that it has not written yet). The client gets
//! new publishes when it has no signals, and after every `ACKS_A_PUMP` answers, so that the broker always has work. A client
//! that waits for its window to empty before it writes again meets Nagle's delay in the broker, and falls to 2,000 publishes per
//! second.

mod answers;
mod asides;
mod ending;
mod feed;
mod opening;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::select;
use tokio::time::{Sleep, sleep_until};

use crate::acknowledge::Unacknowledged;
use crate::client::{Events, Limits, Requests, Signal};
use crate::config::Config;
use crate::destination::Destinations;
use crate::ended::{EndKind, Ended};
use crate::failure::Failure;
use crate::memory::Memory;
use crate::queue::{PublishQueue, QueueError};
use crate::refresh::Refresh;
use crate::shared::Shared;
use crate::stage::{self, Aside, Item, Point, Stage};
use crate::tally::Tally;
use asides::AsidePublish;

/// How many answers are taken before the client gets new publishes.
const ACKS_A_PUMP: u32 = 64;
/// The longest an acknowledged frame waits for its confirmation.
const CONFIRM_WITHIN: Duration = Duration::from_millis(5);
/// At `QoS 2` a broker keeps state for every publish, and with MQTT 3.1.1 it cannot say how many it accepts. Mosquitto's default
/// is 20; when its queue is full as well, it drops the connection.
const QOS2_WINDOW: usize = 20;

/// The objects that a connection works with.
pub struct Context<'a> {
    pub config: &'a Config,
    pub destinations: &'a Destinations,
    pub shared: &'a Shared,
    pub memory: &'a mut Memory,
    pub queue: &'a mut dyn PublishQueue,
    pub clock: &'a dyn Fn() -> i64,
    /// The first position to send.
    pub from: u64,
    /// Tells the stream whether there is nothing to send.
    pub waiting: &'a AtomicBool,
}

/// Prepare the topics for a connection that begins at `from`: find the values that may have been sent before.
pub fn survey(
    queue: &mut dyn PublishQueue,
    memory: &mut Memory,
    from: u64,
    now_ns: i64,
) -> Result<(), Failure> {
    let until = if let Some(until) = memory.maybe_until {
        until
    } else {
        // An earlier process cannot have sent frames that come after this moment.
        let until = from.saturating_add(queue.send_ahead());
        stage::existing_end(queue, from, until).map_err(journal)?
    };
    memory.maybe_until = Some(until);
    memory.topics.begin(until);
    memory.trial.begin(from);
    let Memory { topics, trial, .. } = memory;
    stage::survey(queue, from, until, topics, trial, now_ns).map_err(journal)
}

fn journal(error: QueueError) -> Failure {
    Failure::new(EndKind::Journal, error.0)
}

/// Run the connection to its end.
pub async fn run<E: Events, R: Requests>(
    context: Context<'_>,
    mut events: E,
    requests: R,
) -> Ended {
    let mut session = Session::new(context, requests);
    let mut failure = match session.drive(&mut events).await {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    // Answers that were read before the error count.
    for signal in events.left_over() {
        if let Err(last) = session.on_signal(signal) {
            // A reason is more precise than the end that came with it.
            if last.code.is_some() {
                failure = last;
            }
            break;
        }
    }
    session.end(failure)
}

enum Never {}

#[derive(Debug)]
enum Step {
    Connecting,
    Refreshing(Refresh),
    Live,
    Draining,
    SayingOffline,
    Leaving,
}

struct Session<'a, R> {
    context: Context<'a>,
    requests: R,
    step: Step,
    limits: Limits,
    window: usize,
    qos: u8,
    unacknowledged: Unacknowledged<Item>,
    stage: Stage,
    tally: Tally,
    tally_since: Option<Instant>,
    to_refresh: VecDeque<u32>,
    /// `QoS 0` publishes behind the last marker.
    unclosed: usize,
    health_version: u64,
    answers: u32,
    /// The broker has answered a publish in this connection.
    is_answered: bool,
    /// The broker has accepted a value in this connection.
    is_proven: bool,
    /// A value that waits until that is so.
    next_up: Option<Point>,
    /// Publishes outside the journal that wait for the window.
    asides: VecDeque<AsidePublish>,
    /// Topics of values refused for good, with their positions.
    repairs: Vec<(u32, u64)>,
    connect_by: Instant,
    connected_at: Option<Instant>,
    delivered: u64,
}

impl<'a, R: Requests> Session<'a, R> {
    fn new(context: Context<'a>, requests: R) -> Self {
        let stage = Stage::new(context.from, context.config.backlog);
        Self {
            requests,
            step: Step::Connecting,
            limits: Limits::NONE,
            window: usize::from(context.memory.terms.in_flight),
            qos: context.memory.terms.qos,
            unacknowledged: Unacknowledged::default(),
            stage,
            tally: Tally::default(),
            tally_since: None,
            to_refresh: VecDeque::new(),
            unclosed: 0,
            health_version: 0,
            answers: 0,
            is_answered: false,
            is_proven: false,
            next_up: None,
            asides: VecDeque::new(),
            repairs: Vec::new(),
            connect_by: Instant::now() + context.config.connect_timeout,
            connected_at: None,
            delivered: 0,
            context,
        }
    }

    async fn drive<E: Events>(&mut self, events: &mut E) -> Result<Never, Failure> {
        let mut alarm = pin!(sleep_until(self.deadline().into()));
        loop {
            let signal = self.next_signal(events, alarm.as_mut()).await?;
            self.on_signal(signal)?;
            if self.answers >= ACKS_A_PUMP {
                self.answers = 0;
                self.pump()?;
                self.confirm_if_due(Instant::now(), false)?;
            }
        }
    }

    async fn next_signal<E: Events>(
        &mut self,
        events: &mut E,
        mut alarm: Pin<&mut Sleep>,
    ) -> Result<Signal, Failure> {
        let mut poll = pin!(events.poll());
        let shared = self.context.shared;
        loop {
            if let Some(signal) = ready(poll.as_mut()).await {
                return signal;
            }
            self.answers = 0;
            if self.on_quiet()? {
                continue;
            }
            let deadline = self.deadline().into();
            if deadline < alarm.deadline() || alarm.is_elapsed() {
                alarm.as_mut().reset(deadline);
            }
            select! {
                biased;
                signal = poll.as_mut() => return signal,
                () = shared.wake.notified() => {}
                () = alarm.as_mut() => alarm.as_mut().reset(self.deadline().into()),
            }
        }
    }

    /// The client has nothing to say: look at the clock, feed it, confirm. True if it was fed.
    fn on_quiet(&mut self) -> Result<bool, Failure> {
        let now = Instant::now();
        self.on_time(now)?;
        let fed = self.pump()? || self.prove()?;
        self.confirm_if_due(now, true)?;
        let waiting = !fed && self.unacknowledged.in_flight() < self.window;
        self.context.waiting.store(waiting, Ordering::Relaxed);
        self.context
            .shared
            .in_flight
            .store(self.unacknowledged.in_flight() as u64, Ordering::Relaxed);
        Ok(fed)
    }

    /// When `on_time` has something to do at the latest.
    fn deadline(&self) -> Instant {
        let config = self.context.config;
        let far = Instant::now() + Duration::from_secs(3600);
        let waiting = self
            .unacknowledged
            .waiting_since()
            .map(|since| since + config.ack_timeout);
        let confirm = self.tally_since.map(|since| since + CONFIRM_WITHIN);
        let step = match &self.step {
            Step::Connecting => Some(self.connect_by),
            Step::Refreshing(refresh) => Some(refresh.deadline()),
            _ => None,
        };
        [waiting, confirm, step, self.context.shared.stop_by()]
            .into_iter()
            .flatten()
            .min()
            .map_or(far, |first| first.min(far))
    }

    fn on_time(&mut self, now: Instant) -> Result<(), Failure> {
        if let Some(stop_by) = self.context.shared.stop_by() {
            self.on_stop(now, stop_by)?;
        }
        if matches!(self.step, Step::Connecting) && now >= self.connect_by {
            return Err(Failure::new(
                EndKind::Unreachable,
                "no CONNACK within the connect time-out",
            ));
        }
        if let Step::Refreshing(refresh) = &mut self.step {
            let action = refresh.on_time(now, &self.context.memory.topics);
            self.act(action);
        }
        if let Some(since) = self.unacknowledged.waiting_since()
            && now >= since + self.context.config.ack_timeout
        {
            let detail = format!(
                "the oldest of {} publishes was not acknowledged within {:?}",
                self.unacknowledged.in_flight(),
                self.context.config.ack_timeout
            );
            return Err(Failure::new(EndKind::AckTimeout, detail));
        }
        Ok(())
    }

    fn on_stop(&mut self, now: Instant, stop_by: Instant) -> Result<(), Failure> {
        if matches!(self.step, Step::Connecting) {
            return Err(Failure::new(
                EndKind::Stopped,
                "stopped before the connection was made",
            ));
        }
        if now >= stop_by {
            return Err(Failure::new(
                EndKind::Stopped,
                "cut after the grace; the will speaks",
            ));
        }
        if matches!(self.step, Step::Refreshing(_) | Step::Live) {
            self.to_refresh.clear();
            self.step = Step::Draining;
        }
        if matches!(self.step, Step::Draining)
            && self.unacknowledged.in_flight() == 0
            && self.unclosed == 0
        {
            self.confirm_if_due(now, true)?;
            self.step = Step::SayingOffline;
            let topic = self.context.config.availability_topic.clone();
            if topic.is_empty()
                || !self.queue_aside(Aside::Offline, topic, Bytes::from_static(b"offline"), true)
            {
                self.leave();
            }
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.step = Step::Leaving;
        self.requests.disconnect();
    }

    fn on_signal(&mut self, signal: Signal) -> Result<(), Failure> {
        match signal {
            Signal::Connected(limits) => self.on_connected(limits)?,
            Signal::Sent(id) => drop(self.unacknowledged.bind(id)),
            Signal::Answered(id, acknowledgement) => self.on_answer(id, acknowledgement)?,
            Signal::Subscribed(granted) => {
                if let Step::Refreshing(refresh) = &mut self.step {
                    let action = refresh.on_answer(&granted, &self.context.memory.topics);
                    self.act(action);
                }
            }
            Signal::Message {
                topic,
                payload,
                retain,
            } => {
                if let Step::Refreshing(refresh) = &mut self.step {
                    let action = refresh.on_message(
                        &topic,
                        &payload,
                        retain,
                        &self.context.memory.topics,
                        Instant::now(),
                    );
                    self.act(action);
                }
            }
            Signal::Disconnected => return Err(Failure::new(EndKind::Stopped, "disconnected")),
            Signal::Other => {}
        }
        Ok(())
    }
}

/// The future's output if it is ready now.
async fn ready<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
