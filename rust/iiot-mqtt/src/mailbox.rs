//! A connection of its own for what is asked of the gateway: it subscribes, hands messages over, and publishes answers.
//!
//! Apart from the sink's connection on purpose: what comes here is never telemetry, and nothing here touches a cursor. Answers are kept until the
//! broker has acknowledged them, over connections; messages that nobody fetches are dropped, the oldest first.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::select;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::client::{EndKind, Events, Failure, Requests, Signal, Verdict};
use crate::config::{Checked, Config, ConfigError, Protocol, check};
use crate::sink::setup;
use crate::{client_v4, client_v5};

/// Messages that wait to be fetched, and answers that wait for the broker.
const ROOM: usize = 256;

/// Answers under way at once.
const IN_FLIGHT: usize = 16;

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Where it was published.
    pub topic: String,
    /// Any bytes.
    pub payload: Bytes,
    /// The broker kept it from earlier.
    pub retained: bool,
}

#[derive(Debug, Clone)]
struct Answer {
    topic: String,
    payload: Bytes,
    retain: bool,
}

#[derive(Debug, Default)]
struct Inner {
    letters: VecDeque<Letter>,
    answers: VecDeque<Answer>,
    refused: Option<String>,
}

/// The mailbox; one thread runs its connection, others fetch and post.
pub struct Mailbox {
    checked: Checked,
    filters: Vec<String>,
    inner: Mutex<Inner>,
    came: Condvar,
    wake: Notify,
    stopping: AtomicBool,
}

impl Mailbox {
    /// A mailbox for these topic filters. It leaves no will and says nothing of the gateway's state.
    pub fn new(config: Config, filters: Vec<String>) -> Result<Self, ConfigError> {
        let config = Config {
            availability_topic: String::new(),
            health_topic: String::new(),
            ..config
        };
        Ok(Self {
            checked: check(config)?,
            filters,
            inner: Mutex::default(),
            came: Condvar::new(),
            wake: Notify::new(),
            stopping: AtomicBool::new(false),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has come, waiting for the first of it up to `within`.
    pub fn receive(&self, within: Duration) -> Vec<Letter> {
        let (mut inner, _) = self
            .came
            .wait_timeout_while(self.lock(), within, |inner| {
                inner.letters.is_empty() && !self.stopping.load(Ordering::SeqCst)
            })
            .unwrap_or_else(PoisonError::into_inner);
        inner.letters.drain(..).collect()
    }

    /// Publish at `QoS 1` as soon as there is a broker. `false` if too many wait already.
    pub fn post(&self, topic: &str, payload: Vec<u8>, retain: bool) -> bool {
        let mut inner = self.lock();
        if inner.answers.len() >= ROOM {
            return false;
        }
        inner.answers.push_back(Answer {
            topic: topic.to_owned(),
            payload: payload.into(),
            retain,
        });
        drop(inner);
        self.wake.notify_one();
        true
    }

    /// End the connection and whoever waits in [`Mailbox::receive`], for good.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.came.notify_all();
        self.wake.notify_one();
    }

    /// Connect and serve until the connection ends; returns why. When to connect again is the caller's.
    pub fn run_connection(&self) -> (EndKind, String) {
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => return (EndKind::Unreachable, error.to_string()),
        };
        let setup = setup(&self.checked);
        let ended = runtime.block_on(async {
            match self.checked.config.protocol {
                Protocol::V311 => {
                    let (mut events, requests) = client_v4::connection(&setup);
                    self.serve(&mut events, &requests).await
                }
                Protocol::V5 => {
                    let (mut events, requests) = client_v5::connection(&setup);
                    self.serve(&mut events, &requests).await
                }
            }
        });
        runtime.shutdown_background();
        match ended {
            Ok(()) => (EndKind::Stopped, String::new()),
            Err(failure) => (failure.kind, failure.detail),
        }
    }

    async fn serve<E: Events, R: Requests>(
        &self,
        events: &mut E,
        requests: &R,
    ) -> Result<(), Failure> {
        let within = self.checked.config.connect_timeout;
        // The ids of the answers under way, which stand at the front of the queue in this order; then those handed over without an id yet.
        let mut sent: VecDeque<u16> = VecDeque::new();
        let (mut handed, mut is_up) = (0, false);
        loop {
            let signal = {
                let mut polling = pin!(events.poll());
                loop {
                    if self.stopping.load(Ordering::SeqCst) {
                        if !is_up {
                            return Ok(());
                        }
                        requests.disconnect();
                    } else if is_up {
                        handed += self.hand_over(requests, handed);
                    }
                    let waiting = async {
                        if is_up {
                            Ok(polling.as_mut().await)
                        } else {
                            timeout(within, polling.as_mut()).await
                        }
                    };
                    select! {
                        biased;
                        signal = waiting => break signal.map_err(|_| {
                            Failure::new(EndKind::Unreachable, format!("no CONNACK within {within:?}"))
                        })??,
                        () = self.wake.notified() => {}
                    }
                }
            };
            match signal {
                Signal::Connected(_) => requests.subscribe(self.filters.clone()),
                Signal::Subscribed(granted) if granted.iter().all(|granted| *granted) => {
                    is_up = true;
                }
                Signal::Subscribed(_) => {
                    let detail = format!("the broker does not grant {}", self.filters.join(", "));
                    return Err(Failure::new(EndKind::NotAuthorized, detail));
                }
                Signal::Message {
                    topic,
                    payload,
                    retain,
                } => self.take(&topic, payload, retain),
                Signal::Sent(id) => sent.push_back(id),
                Signal::Answered(id, verdict) => {
                    if let Some(index) = sent.iter().position(|sent| *sent == id) {
                        sent.remove(index);
                        handed = handed.saturating_sub(1);
                        self.settle(index, &verdict);
                    }
                }
                Signal::Disconnected => return Ok(()),
                Signal::Other => {}
            }
        }
    }

    /// Give the client what is not under way yet; returns how many.
    fn hand_over<R: Requests>(&self, requests: &R, handed: usize) -> usize {
        let mut inner = self.lock();
        let mut count = 0;
        while handed + count < IN_FLIGHT
            && let Some(answer) = inner.answers.get(handed + count)
        {
            if requests.publish(&answer.topic, answer.payload.clone(), 1, answer.retain) {
                count += 1;
            } else {
                inner.answers.remove(handed + count);
            }
        }
        count
    }

    fn settle(&self, index: usize, verdict: &Verdict) {
        let mut inner = self.lock();
        let answer = inner.answers.remove(index);
        if *verdict != Verdict::Accepted {
            let topic = answer.map_or(String::new(), |answer| answer.topic);
            inner.refused = Some(format!("{topic}: {verdict:?}"));
        }
    }

    /// What the broker last refused to take, once.
    pub fn take_refused(&self) -> Option<String> {
        self.lock().refused.take()
    }

    fn take(&self, topic: &[u8], payload: Bytes, retained: bool) {
        let mut inner = self.lock();
        if inner.letters.len() >= ROOM {
            inner.letters.pop_front();
        }
        inner.letters.push_back(Letter {
            topic: String::from_utf8_lossy(topic).into_owned(),
            payload,
            retained,
        });
        drop(inner);
        self.came.notify_all();
    }
}
