//! A connection beside a sink's, for messages and publishes that belong to no ledger: it receives messages of a few subscriptions, and
//! publishes at `QoS 1`.
//!
//! It shares nothing with a sink: no window, no order, no cursor. Subscriptions use `QoS 0`. Every attempt to connect has a number. Messages
//! are handed over with the number of the connection over which they came, also after it has ended. A publish is either
//!
//! - kept: it is sent over this connection and the next ones until the broker has answered it. It is given up and reported after a refusal,
//!   and after several connections that ended while it alone was in flight; or
//! - bound to one connection: it is forgotten when the connection ends, and a refusal ends the connection, because a conversation then has to
//!   begin again.
//!
//! Bounds in each direction: at most [`MAX_WAITING`](crate::MAX_WAITING) and [`MAX_WAITING_BYTES`](crate::MAX_WAITING_BYTES) wait (and one window is in flight). A publish beyond them is
//! not accepted; a message beyond them ends the connection, because the messages behind it would be lost silently.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::checked::{Checked, check};
use crate::client::Setup;
use crate::config::{Config, Protocol};
use crate::config_error::ConfigError;
use crate::destination::{filter_fault, topic_fault};
use crate::ended::{EndKind, Ended};
use crate::failure::Failure;
use crate::side_desk::{Desk, Publish, Received};
use crate::side_link::Link;
use crate::{client_v4, client_v5};

/// See the module. All methods may be called from any thread.
pub struct SideConnection {
    checked: Checked,
    filters: Vec<String>,
    will_topic: Option<String>,
    desk: Desk,
    running: Mutex<()>,
}

impl SideConnection {
    /// Check the settings; nothing is connected yet. Availability and health topics are not used, because this connection does not report the
    /// gateway's state.
    pub fn new(config: Config, filters: Vec<String>) -> Result<Self, ConfigError> {
        let config = Config {
            availability_topic: String::new(),
            health_topic: String::new(),
            ..config
        };
        if filters.is_empty() {
            return Err(ConfigError::new("subscriptions", "has no topic filter"));
        }
        if let Some(fault) = filters.iter().find_map(|filter| filter_fault(filter)) {
            return Err(ConfigError::new("subscriptions", fault));
        }
        Ok(Self {
            checked: check(config)?,
            filters,
            will_topic: None,
            desk: Desk::default(),
            running: Mutex::default(),
        })
    }

    /// Leave a last will: the broker publishes `offline` to this topic, not retained, when a connection breaks.
    pub fn with_will(self, topic: String) -> Result<Self, ConfigError> {
        if let Some(fault) = topic_fault(&topic) {
            return Err(ConfigError::new("will_topic", fault));
        }
        Ok(Self {
            will_topic: Some(topic),
            ..self
        })
    }

    /// Connect, subscribe, publish and receive until the connection ends or `stop`. Blocks. One call at a time; another one waits. The caller
    /// decides when to connect again.
    pub fn run_connection(&self) -> Ended {
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.desk.begin();
        let (failure, connected_at) = match tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
        {
            Ok(runtime) => {
                let ended = self.run_in(&runtime);
                // A name lookup may still be running in the runtime's thread; nobody waits for it.
                runtime.shutdown_background();
                ended
            }
            Err(error) => {
                let detail = format!("no event loop: {error}");
                (Failure::new(EndKind::Unreachable, detail), None)
            }
        };
        self.desk.end();
        Ended {
            kind: failure.kind,
            detail: failure.detail,
            connected: connected_at.map_or(Duration::ZERO, |at| at.elapsed()),
            // No frame of a journal uses this connection.
            delivered: 0,
            again: false,
            answered: false,
        }
    }

    fn run_in(&self, runtime: &tokio::runtime::Runtime) -> (Failure, Option<Instant>) {
        let setup = Setup {
            will_topic: self.will_topic.clone(),
            will_retain: false,
            ..self.checked.setup()
        };
        let _in_runtime = runtime.enter();
        match self.checked.config.protocol {
            Protocol::V311 => {
                let (events, requests) = client_v4::connection(&setup);
                runtime.block_on(
                    Link::new(&self.checked, &self.filters, &self.desk, requests).run(events),
                )
            }
            Protocol::V5 => {
                let (events, requests) = client_v5::connection(&setup);
                runtime.block_on(
                    Link::new(&self.checked, &self.filters, &self.desk, requests).run(events),
                )
            }
        }
    }

    /// Hand over a publish. False if it will not be sent, because there is no room for it, or because the connection to which it is bound has
    /// ended.
    pub fn publish(&self, publish: Publish) -> bool {
        self.desk.publish(publish)
    }

    /// Wait for messages, for refusals, or for another connection than `known` (0: none). After `within` it returns even if nothing has
    /// changed.
    pub fn receive(&self, known: u64, within: Duration) -> Received {
        self.desk.receive(known, within)
    }

    /// How many publishes have no answer yet, or a refusal that nobody has fetched.
    pub fn waiting(&self) -> usize {
        self.desk.waiting()
    }

    /// Whether the publish with this number has no answer yet, or a refusal that nobody has fetched. Publishes have numbers from 1, in the order
    /// in which they were accepted.
    pub fn is_waiting(&self, number: u64) -> bool {
        self.desk.is_waiting(number)
    }

    /// End `run_connection`, now and for good. Publishes that were handed over are sent first; after the grace the connection is cut.
    pub fn stop(&self, grace: Duration) {
        self.desk.stop(Instant::now() + grace);
    }
}
