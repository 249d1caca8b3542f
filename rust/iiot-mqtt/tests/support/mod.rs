//! A queue in memory, and a Mosquitto of the test's own.

pub mod broker;
pub mod peer;
pub mod side;

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use iiot_core::Place;
use iiot_mqtt::{
    Config, Confirmation, EndKind, Ended, Identity, KnownTopic, PublishBatch, PublishQueue,
    QueueError, Sink,
};

pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub topic: String,
    pub payload: String,
    pub retain: bool,
    /// Its own time; without one it has that of its frame.
    pub time_ns: Option<i64>,
}

pub fn value(topic: &str, payload: impl std::fmt::Display) -> Value {
    Value {
        topic: topic.to_owned(),
        payload: payload.to_string(),
        retain: true,
        time_ns: None,
    }
}

#[derive(Default)]
pub struct Inner {
    pub frames: Vec<(i64, Vec<Value>)>,
    pub cursor: u64,
    pub send_ahead: u64,
    pub known: HashMap<String, KnownTopic>,
    pub confirmations: Vec<Confirmation>,
    wake: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// A queue whose confirmations are durable at once; clones share it.
#[derive(Clone, Default)]
pub struct Memory(Arc<(Mutex<Inner>, Condvar)>);

impl Memory {
    pub fn new(send_ahead: u64) -> Self {
        let memory = Self::default();
        memory.with(|inner| inner.send_ahead = send_ahead);
        memory
    }

    pub fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.0.0.lock().unwrap();
        let result = act(&mut inner);
        self.0.1.notify_all();
        result
    }

    /// Commit frames and wake the sink, as the journal does.
    pub fn commit(&self, frames: impl IntoIterator<Item = (i64, Vec<Value>)>) {
        let wake = self.with(|inner| {
            inner.frames.extend(frames);
            inner.wake.clone()
        });
        if let Some(wake) = wake {
            wake();
        }
    }

    pub fn know(&self, topic: &str, payload: &str, time_ns: i64) {
        let known = KnownTopic {
            topic: topic.into(),
            payload: payload.into(),
            retain: true,
            time_ns,
        };
        self.with(|inner| inner.known.insert(topic.to_owned(), known));
    }

    /// Wait until the state satisfies the predicate.
    pub fn wait(&self, what: &str, mut until: impl FnMut(&Inner) -> bool) {
        let deadline = Instant::now() + 3 * PATIENCE;
        let mut inner = self.0.0.lock().unwrap();
        while !until(&inner) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "not within {:?}: {what}; cursor {}",
                3 * PATIENCE,
                inner.cursor
            );
            inner = self.0.1.wait_timeout(inner, left).unwrap().0;
        }
    }

    pub fn wait_confirmed(&self, end: u64) {
        self.wait("confirmed", |inner| inner.cursor >= end);
    }

    pub fn cursor(&self) -> u64 {
        self.with(|inner| inner.cursor)
    }

    pub fn total(&self) -> Confirmation {
        self.with(|inner| {
            inner
                .confirmations
                .iter()
                .fold(Confirmation::default(), |mut total, next| {
                    total.end = next.end;
                    total.delivered += next.delivered;
                    total.superseded += next.superseded;
                    total.rejected.extend(next.rejected.clone());
                    total.points += next.points;
                    total.late_points += next.late_points;
                    total
                })
        })
    }
}

impl PublishQueue for Memory {
    fn cursor(&mut self) -> u64 {
        self.with(|inner| inner.cursor)
    }

    fn send_ahead(&self) -> u64 {
        self.with(|inner| inner.send_ahead)
    }

    fn topics(&mut self) -> Result<Vec<KnownTopic>, QueueError> {
        self.with(|inner| Ok(inner.known.values().cloned().collect()))
    }

    fn read(
        &mut self,
        from: u64,
        max_frames: usize,
        batch: &mut PublishBatch,
    ) -> Result<bool, QueueError> {
        self.with(|inner| {
            let start = (from as usize).min(inner.frames.len());
            let frames = &inner.frames[start..];
            for (position, (time_ns, values)) in (from..).zip(frames.iter().take(max_frames)) {
                batch.begin_frame(position, *time_ns);
                for (point, value) in (0..).zip(values) {
                    batch.publish(
                        &[&value.topic],
                        value.payload.as_bytes(),
                        value.retain,
                        Place { point, field: 0 },
                        value.time_ns.unwrap_or(*time_ns),
                    );
                }
            }
            Ok(!frames.is_empty())
        })
    }

    fn identity(&self, _position: u64) -> Option<Identity<'_>> {
        Some(Identity {
            origin: "0123",
            run: "abcd",
        })
    }

    fn confirm(&mut self, confirmation: Confirmation) -> Result<(), QueueError> {
        let wake = self.with(|inner| {
            assert!(
                confirmation.begin >= inner.cursor,
                "counted twice: {confirmation:?} at {}",
                inner.cursor
            );
            inner.cursor = confirmation.end;
            for known in &confirmation.topics {
                inner.known.insert(known.topic.clone(), known.clone());
            }
            inner.confirmations.push(confirmation);
            inner.wake.clone()
        });
        if let Some(wake) = wake {
            wake();
        }
        Ok(())
    }

    fn confirmed(&mut self) -> u64 {
        self.with(|inner| inner.cursor)
    }

    fn subscribe(&mut self, wake: Arc<dyn Fn() + Send + Sync>) {
        self.with(|inner| inner.wake = Some(wake));
    }
}

/// A sink running one connection in a thread.
pub struct Running {
    pub sink: Arc<Sink>,
    thread: std::thread::JoinHandle<Ended>,
}

impl Running {
    pub fn start(sink: &Arc<Sink>, memory: &Memory) -> Self {
        let mut queue = memory.clone();
        let runner = Arc::clone(sink);
        let thread = std::thread::spawn(move || runner.run_connection(&mut queue));
        Self {
            sink: Arc::clone(sink),
            thread,
        }
    }

    pub fn join(self) -> Ended {
        self.thread.join().unwrap()
    }

    pub fn stop(self) -> Ended {
        self.sink.stop(Duration::from_secs(3));
        self.join()
    }
}

/// A sink that connects again at once, whenever a connection ends.
pub struct Relentless {
    pub sink: Arc<Sink>,
    thread: std::thread::JoinHandle<Vec<Ended>>,
}

impl Relentless {
    pub fn start(sink: &Arc<Sink>, memory: &Memory) -> Self {
        let mut queue = memory.clone();
        let runner = Arc::clone(sink);
        let thread = std::thread::spawn(move || {
            let mut ends = Vec::new();
            loop {
                let ended = runner.run_connection(&mut queue);
                if ended.kind == EndKind::Stopped {
                    return ends;
                }
                ends.push(ended);
            }
        });
        Self {
            sink: Arc::clone(sink),
            thread,
        }
    }

    /// Stop it; the ends of its connections.
    pub fn stop(self) -> Vec<Ended> {
        self.sink.stop(Duration::from_secs(3));
        self.thread.join().unwrap()
    }
}

pub fn config(port: u16) -> Config {
    Config {
        availability_topic: "gateway/availability".into(),
        health_topic: "gateway/health".into(),
        ack_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(5),
        ..Config::new(format!("mqtt://127.0.0.1:{port}"), "gateway-under-test")
    }
}

pub fn sink(config: Config) -> Arc<Sink> {
    Arc::new(Sink::new(config).unwrap())
}

/// `count` frames of nine values, a millisecond apart.
pub fn nine(from: u64, count: u64) -> Vec<(i64, Vec<Value>)> {
    (from..from + count)
        .map(|n| {
            (
                1_700_000_000_000_000_000 + n as i64 * 1_000_000,
                (0..9)
                    .map(|k| value(&format!("lora/node{k}/t"), n))
                    .collect(),
            )
        })
        .collect()
}
