//! Who else is given what clients publish, before it is acknowledged to them.
//!
//! A tap holds back the acknowledgement of the one message, and with it further reading from that client. Nobody else waits: neither the other clients nor those who are
//! subscribed.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use iiot_core::mqtt_text::text_fault;

/// A message that a client publishes.
#[derive(Debug, Clone, Copy)]
pub struct Published<'a> {
    /// Where.
    pub topic: &'a str,
    /// What.
    pub payload: &'a [u8],
    /// 0, 1 or 2.
    pub qos: u8,
}

/// Is done once the message may be acknowledged.
pub type Done = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes messages of clients.
pub trait Tap: Send + Sync {
    /// Take a message, if it is wanted.
    fn take(&self, message: &Published<'_>) -> Option<Done>;
}

/// The taps of a broker. They can be set before it runs.
#[derive(Clone, Default)]
pub struct Taps(Arc<RwLock<Vec<Arc<dyn Tap>>>>);

impl Taps {
    /// Give messages to this tap as well.
    pub fn add(&self, tap: Arc<dyn Tap>) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(tap);
    }

    /// Give a message to all; done once all are.
    pub(crate) fn take(&self, message: &Published<'_>) -> Vec<Done> {
        if text_fault(message.topic).is_some() {
            return Vec::new();
        }
        let taps = self.0.read().unwrap_or_else(PoisonError::into_inner);
        taps.iter().filter_map(|tap| tap.take(message)).collect()
    }
}
