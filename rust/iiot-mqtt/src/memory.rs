//! What a sink remembers from connection to connection: the last value of each topic, what may have been sent, suspects, and the broker's terms.

use crate::config::Config;
use crate::destination::Destinations;
use crate::policy::{FAR_AHEAD_NS, Topics};
use crate::queue::{PublishQueue, QueueError};
use crate::terms::Terms;
use crate::trial::Trial;

/// The data that a sink keeps from connection to connection.
#[derive(Debug)]
pub(crate) struct Memory {
    pub topics: Topics,
    pub loaded: bool,
    /// Frames before this position may have been sent by an earlier connection or process.
    pub maybe_until: Option<u64>,
    /// Frames before this position are confirmed, although the confirmation may not be committed yet.
    pub confirmed_end: u64,
    pub trial: Trial,
    pub terms: Terms,
}

impl Memory {
    pub fn new(config: &Config) -> Self {
        Self {
            topics: Topics::new(config.backlog, config.max_topics),
            loaded: false,
            maybe_until: None,
            confirmed_end: 0,
            trial: Trial::default(),
            terms: Terms::new(config.qos, config.inflight),
        }
    }

    /// Learn from the journal which value each topic has.
    pub fn load(
        &mut self,
        queue: &mut dyn PublishQueue,
        destinations: &Destinations,
        now_ns: i64,
    ) -> Result<(), QueueError> {
        for known in queue.topics()? {
            // An earlier version may have sent it to a broker that accepted it.
            if destinations.refusal(&known.topic).is_some() {
                continue;
            }
            let id = self.topics.intern(&known.topic);
            // A clock that was set back must not make every value late.
            let far = known.time_ns > now_ns.saturating_add(FAR_AHEAD_NS);
            self.topics.confirm(
                id,
                &known.payload,
                known.retain,
                if far { i64::MIN } else { known.time_ns },
            );
        }
        self.loaded = true;
        Ok(())
    }
}
