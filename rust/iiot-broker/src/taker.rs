//! Takers get the messages of clients before they are acknowledged.
//!
//! A taker delays the acknowledgement of one message, and with it further reading from that client. No other client waits, and no
//! subscriber does.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use iiot_core::mqtt_text::text_fault;

/// A message that a client publishes.
#[derive(Debug, Clone, Copy)]
pub struct Published<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The payload.
    pub payload: &'a [u8],
    /// The quality of service: 0, 1 or 2.
    pub qos: u8,
}

/// A future that ends when the message may be acknowledged.
pub type Done = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes messages of clients.
pub trait Taker: Send + Sync {
    /// Take a message if the taker wants it.
    fn take(&self, message: &Published<'_>) -> Option<Done>;
}

/// The takers of a broker. They can be set before it runs.
#[derive(Clone, Default)]
pub struct Takers(Arc<RwLock<Vec<Arc<dyn Taker>>>>);

impl Takers {
    /// Add a taker, which gets messages as well.
    pub fn add(&self, taker: Arc<dyn Taker>) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(taker);
    }

    /// Give a message to all takers; ends when all have finished.
    pub(crate) fn take(&self, message: &Published<'_>) -> Vec<Done> {
        if text_fault(message.topic).is_some() {
            return Vec::new();
        }
        let takers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        takers
            .iter()
            .filter_map(|taker| taker.take(message))
            .collect()
    }
}
