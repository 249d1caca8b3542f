//! A connection of its own beside a sink's: retained documents out, messages of a few subscriptions in.
//!
//! Nothing that goes over it belongs to the ledger, so it shares nothing with a sink: no window, no order, no acknowledgement. What
//! was handed over and not sent when a connection ends is forgotten; whoever uses it looks at what the broker holds and begins anew.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::select;
use tokio::sync::Notify;
use tokio::time::sleep_until;

use crate::client::{EndKind, Events, Failure, Limits, Requests, Signal, Verdict};
use crate::config::{Checked, Config, ConfigError, Protocol, check};
use crate::sink::{Ended, setup};
use crate::{client_v4, client_v5};

/// Publishes sent and not acknowledged, at most: below what every broker takes by default.
const WINDOW: usize = 16;
/// Messages that nobody has taken yet, at most.
const MAX_WAITING: usize = 20_000;
/// Of a publish beside topic and payload, at most.
const OVERHEAD: usize = 16;

/// A message of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it was published.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// The broker had kept it; false for one that was published just now.
    pub retained: bool,
}

struct Document {
    topic: String,
    payload: Bytes,
}

#[derive(Default)]
struct Desk {
    /// Rises with every connection whose subscriptions stand.
    connection: u64,
    stands: bool,
    outgoing: VecDeque<Document>,
    incoming: VecDeque<Message>,
    stop_by: Option<Instant>,
}

/// See the module. All methods may be called from any thread.
pub struct Companion {
    checked: Checked,
    filters: Vec<String>,
    desk: Mutex<Desk>,
    arrived: Condvar,
    wake: Notify,
}

impl Companion {
    /// Check the configuration; nothing is connected yet. Availability and health topics of it are not used.
    pub fn new(config: Config, filters: Vec<String>) -> Result<Self, ConfigError> {
        let config = Config {
            availability_topic: String::new(),
            health_topic: String::new(),
            ..config
        };
        Ok(Self {
            checked: check(config)?,
            filters,
            desk: Mutex::default(),
            arrived: Condvar::new(),
            wake: Notify::new(),
        })
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connect, subscribe, publish and receive until the connection ends or `stop`. Blocks. One call at a time.
    pub fn run_connection(&self) -> Ended {
        let began = Instant::now();
        let mut connected_at = None;
        let failure = match tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
        {
            Ok(runtime) => {
                let failure = self.run_in(&runtime, began, &mut connected_at);
                runtime.shutdown_background();
                failure
            }
            Err(error) => Failure::new(EndKind::Unreachable, format!("no event loop: {error}")),
        };
        let mut desk = self.desk();
        desk.stands = false;
        desk.outgoing.clear();
        desk.incoming.clear();
        drop(desk);
        self.arrived.notify_all();
        Ended {
            kind: failure.kind,
            detail: failure.detail,
            connected: connected_at.map_or(Duration::ZERO, |at: Instant| at.elapsed()),
            delivered: 0,
        }
    }

    fn run_in(
        &self,
        runtime: &tokio::runtime::Runtime,
        began: Instant,
        connected_at: &mut Option<Instant>,
    ) -> Failure {
        let setup = setup(&self.checked);
        let _in_runtime = runtime.enter();
        let ended = match self.checked.config.protocol {
            Protocol::V311 => {
                let (events, requests) = client_v4::connection(&setup);
                runtime.block_on(Link::new(self, requests, began).drive(events, connected_at))
            }
            Protocol::V5 => {
                let (events, requests) = client_v5::connection(&setup);
                runtime.block_on(Link::new(self, requests, began).drive(events, connected_at))
            }
        };
        match ended {
            Ok(never) => match never {},
            Err(failure) => failure,
        }
    }

    /// Hand over a document, retained and at `QoS 1`; an empty one removes what the broker keeps under the topic. Without a connection
    /// it goes nowhere.
    pub fn publish(&self, topic: String, payload: Vec<u8>) {
        let mut desk = self.desk();
        if desk.stands {
            desk.outgoing.push_back(Document {
                topic,
                payload: Bytes::from(payload),
            });
            drop(desk);
            self.wake.notify_one();
        }
    }

    /// Wait for messages, or for a change of the connection that the caller knows of. Gives the number of the connection that stands
    /// (0 for none) and its messages in their order; both may be as before after the time.
    pub fn receive(&self, known: u64, within: Duration) -> (u64, Vec<Message>) {
        let present = |desk: &Desk| if desk.stands { desk.connection } else { 0 };
        let (mut desk, _) = self
            .arrived
            .wait_timeout_while(self.desk(), within, |desk| {
                desk.incoming.is_empty() && present(desk) == known && desk.stop_by.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        let messages = std::mem::take(&mut desk.incoming).into();
        (present(&desk), messages)
    }

    /// End `run_connection`, now and for good: what was handed over goes out first; after the grace the connection is cut.
    pub fn stop(&self, grace: Duration) {
        self.desk().stop_by = Some(Instant::now() + grace);
        self.arrived.notify_all();
        self.wake.notify_one();
    }
}

enum Never {}

struct Link<'a, R> {
    companion: &'a Companion,
    requests: R,
    limits: Option<Limits>,
    in_flight: usize,
    /// Since when the broker owes an answer.
    waiting_since: Option<Instant>,
    connect_by: Instant,
    leaving: bool,
}

impl<'a, R: Requests> Link<'a, R> {
    fn new(companion: &'a Companion, requests: R, began: Instant) -> Self {
        Self {
            companion,
            requests,
            limits: None,
            in_flight: 0,
            waiting_since: None,
            connect_by: began + companion.checked.config.connect_timeout,
            leaving: false,
        }
    }

    async fn drive<E: Events>(
        mut self,
        mut events: E,
        connected_at: &mut Option<Instant>,
    ) -> Result<Never, Failure> {
        loop {
            let signal = self.next_signal(&mut events).await?;
            if matches!(signal, Signal::Connected(_)) {
                *connected_at = Some(Instant::now());
            }
            self.on_signal(signal)?;
        }
    }

    /// The poll is kept while other things happen: see [`Events`].
    async fn next_signal<E: Events>(&mut self, events: &mut E) -> Result<Signal, Failure> {
        let mut poll = pin!(events.poll());
        loop {
            self.on_time(Instant::now())?;
            self.pump()?;
            let deadline = self.deadline();
            select! {
                biased;
                signal = poll.as_mut() => return signal,
                () = self.companion.wake.notified() => {}
                () = sleep_until(deadline.into()) => {}
            }
        }
    }

    fn deadline(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        let connect = self.limits.is_none().then_some(self.connect_by);
        let answer = self
            .waiting_since
            .map(|since| since + self.companion.checked.config.ack_timeout);
        let stop = self.companion.desk().stop_by;
        [connect, answer, stop]
            .into_iter()
            .flatten()
            .fold(far, Instant::min)
    }

    fn on_time(&mut self, now: Instant) -> Result<(), Failure> {
        let (stop_by, idle) = {
            let desk = self.companion.desk();
            (desk.stop_by, desk.outgoing.is_empty())
        };
        if let Some(stop_by) = stop_by {
            if self.limits.is_none() || now >= stop_by {
                return Err(Failure::new(EndKind::Stopped, "stopped"));
            }
            if idle && self.in_flight == 0 && !self.leaving {
                self.leaving = true;
                self.requests.disconnect();
            }
        }
        if self.limits.is_none() && now >= self.connect_by {
            return Err(Failure::new(
                EndKind::Unreachable,
                "no CONNACK within the connect time-out",
            ));
        }
        let patience = self.companion.checked.config.ack_timeout;
        match self.waiting_since {
            Some(since) if now >= since + patience => Err(Failure::new(
                EndKind::AckTimeout,
                format!("no answer within {patience:?}"),
            )),
            _ => Ok(()),
        }
    }

    fn pump(&mut self) -> Result<(), Failure> {
        let Some(limits) = self.limits else {
            return Ok(());
        };
        let window = WINDOW.min(usize::from(limits.in_flight)).max(1);
        while self.in_flight < window {
            let Some(document) = self.companion.desk().outgoing.pop_front() else {
                break;
            };
            let bytes = document.topic.len() + document.payload.len() + OVERHEAD;
            if bytes > limits.packet_bytes
                || !self
                    .requests
                    .publish(&document.topic, document.payload, 1, limits.retain)
            {
                return Err(Failure::new(
                    EndKind::Refused,
                    format!("{:?} cannot be published in {bytes} bytes", document.topic),
                ));
            }
            self.in_flight += 1;
            self.waiting_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    fn on_signal(&mut self, signal: Signal) -> Result<(), Failure> {
        match signal {
            Signal::Connected(limits) if limits.qos == 0 => Err(Failure::new(
                EndKind::Protocol,
                "the broker takes QoS 0 only",
            )),
            Signal::Connected(limits) => {
                self.limits = Some(limits);
                self.waiting_since = Some(Instant::now());
                self.requests.subscribe(self.companion.filters.clone());
                Ok(())
            }
            Signal::Subscribed(granted) => self.on_subscribed(&granted),
            Signal::Answered(_, verdict) => {
                self.in_flight = self.in_flight.saturating_sub(1);
                self.waiting_since = (self.in_flight > 0).then(Instant::now);
                refusal(verdict).map_or(Ok(()), Err)
            }
            Signal::Message {
                topic,
                payload,
                retain,
            } => self.on_message(&topic, &payload, retain),
            Signal::Disconnected => Err(Failure::new(EndKind::Stopped, "disconnected")),
            Signal::Sent(_) | Signal::Other => Ok(()),
        }
    }

    fn on_subscribed(&mut self, granted: &[bool]) -> Result<(), Failure> {
        self.waiting_since = None;
        let mut filters = self.companion.filters.iter().enumerate();
        if let Some((_, denied)) = filters.find(|(at, _)| granted.get(*at) != Some(&true)) {
            return Err(Failure::new(
                EndKind::NotAuthorized,
                format!("the broker does not grant the subscription to {denied:?}"),
            ));
        }
        let mut desk = self.companion.desk();
        desk.connection += 1;
        desk.stands = true;
        drop(desk);
        self.companion.arrived.notify_all();
        Ok(())
    }

    fn on_message(&self, topic: &[u8], payload: &[u8], retained: bool) -> Result<(), Failure> {
        let mut desk = self.companion.desk();
        if desk.incoming.len() >= MAX_WAITING {
            return Err(Failure::new(
                EndKind::Refused,
                format!("more than {MAX_WAITING} messages wait on the subscribed topics"),
            ));
        }
        desk.incoming.push_back(Message {
            topic: String::from_utf8_lossy(topic).into_owned(),
            payload: payload.to_vec(),
            retained,
        });
        drop(desk);
        self.companion.arrived.notify_all();
        Ok(())
    }
}

fn refusal(verdict: Verdict) -> Option<Failure> {
    match verdict {
        Verdict::Accepted => None,
        Verdict::QuotaExceeded => Some(Failure::new(
            EndKind::Quota,
            "the broker's quota is exceeded",
        )),
        Verdict::NotAuthorized => Some(Failure::new(
            EndKind::NotAuthorized,
            "not authorised to publish",
        )),
        Verdict::Rejected(reason) => Some(Failure::new(EndKind::Refused, reason)),
    }
}
