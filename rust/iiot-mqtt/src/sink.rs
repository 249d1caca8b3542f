//! The interface of a sink for its owner: run a connection, stop, health, state.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::checked::{Checked, check};
use crate::client::Setup;
use crate::config::{Config, Protocol};
use crate::config_error::ConfigError;
use crate::connection::{self, Context};
use crate::ended::{EndKind, Ended};
use crate::failure::Failure;
use crate::memory::Memory;
use crate::queue::PublishQueue;
use crate::shared::{Phase, Shared, State};
use crate::wall_clock::wall_clock_ns;
use crate::{client_v4, client_v5, probe};

/// One MQTT sink. All methods may be called from any thread.
pub struct Sink {
    checked: Checked,
    shared: Arc<Shared>,
    memory: Mutex<Memory>,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Sink {
    /// Check the configuration; nothing is connected yet.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Self::with_clock(config, Arc::new(wall_clock_ns))
    }

    /// The same with another wall clock: nanoseconds since 1970.
    pub fn with_clock(
        config: Config,
        clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    ) -> Result<Self, ConfigError> {
        let checked = check(config)?;
        Ok(Self {
            shared: Arc::new(Shared::new()),
            memory: Mutex::new(Memory::new(&checked.config)),
            checked,
            clock,
        })
    }

    /// Connect, refresh, publish until the connection ends or `stop`. Blocks. One call at a time; another one waits.
    pub fn run_connection(&self, queue: &mut dyn PublishQueue) -> Ended {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.enter(Phase::Connecting);
        let ended = self.run(queue, &mut memory);
        self.shared.in_flight.store(0, Ordering::Relaxed);
        if ended.kind == EndKind::Stopped {
            self.shared.enter(Phase::Stopped);
        } else {
            self.shared.enter(Phase::Disconnected);
            self.shared
                .fail(format!("{}: {}", ended.kind, ended.detail));
        }
        ended
    }

    fn run(&self, queue: &mut dyn PublishQueue, memory: &mut Memory) -> Ended {
        let ended_early = |failure: Failure| Ended {
            kind: failure.kind,
            detail: failure.detail,
            connected: Duration::ZERO,
            delivered: 0,
            again: false,
            answered: false,
        };
        let wake = Arc::clone(&self.shared);
        queue.subscribe(Arc::new(move || wake.wake.notify_one()));
        let clock = || (self.clock)();
        if !memory.loaded {
            // Without it a retained topic could go back to an older value, so no connection is made now.
            if let Err(error) = memory.load(queue, &self.checked.destinations, clock()) {
                return ended_early(Failure::new(EndKind::Journal, error.to_string()));
            }
        }
        let from = queue.cursor().max(memory.confirmed_end);
        if let Err(failure) = connection::survey(queue, memory, from, clock()) {
            return ended_early(failure);
        }
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                return ended_early(Failure::new(
                    EndKind::Unreachable,
                    format!("no event loop: {error}"),
                ));
            }
        };
        let setup = Setup {
            will_retain: memory.terms.retain,
            ..self.checked.setup()
        };
        let context = Context {
            config: &self.checked.config,
            destinations: &self.checked.destinations,
            shared: &self.shared,
            memory,
            queue,
            clock: &clock,
            from,
            waiting: &self.checked.transport.waiting,
        };
        let ended = match self.checked.config.protocol {
            Protocol::V311 => {
                let _in_runtime = runtime.enter();
                let (events, requests) = client_v4::connection(&setup);
                runtime.block_on(connection::run(context, events, requests))
            }
            Protocol::V5 => {
                let _in_runtime = runtime.enter();
                let (events, requests) = client_v5::connection(&setup);
                runtime.block_on(connection::run(context, events, requests))
            }
        };
        // A name lookup may still be running in the runtime's thread; nobody waits for it.
        runtime.shutdown_background();
        ended
    }

    /// Whether the broker now answers a CONNECT under another client id. Right after the loss of a connection, this distinguishes a broker
    /// that ended the connection from one that is gone. Blocks up to `within`.
    pub fn is_answering(&self, within: Duration) -> bool {
        probe::is_answering(&self.checked, within)
    }

    /// End `run_connection`, now and for good: wait for the publishes in flight, publish `offline`, and disconnect. After the grace the
    /// connection is cut, so that the broker publishes the will. Returns at once; `run_connection` returns within the grace.
    pub fn stop(&self, grace: Duration) {
        self.shared.stop(Instant::now() + grace);
    }

    /// Replace the retained health document. Sent when connected; an older one that was not sent yet is forgotten.
    pub fn publish_health(&self, document: Vec<u8>) {
        self.shared.publish_health(document);
    }

    /// Why no value may be published to this topic: MQTT does not allow it, or it is one of the gateway's own. `None` if values may.
    pub fn refusal(&self, topic: &str) -> Option<String> {
        self.checked.destinations.refusal(topic)
    }

    /// Its present state.
    pub fn state(&self) -> State {
        self.shared.state()
    }
}
