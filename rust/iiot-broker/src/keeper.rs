//! Handles events of connected clients: passes messages to takers, stores retained values in the file, and notes connections of devices.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mqtt5::broker::events::{ClientConnectEvent, ClientDisconnectEvent};
use mqtt5::broker::router::MessageRouter;
use mqtt5::broker::{BrokerEventHandler, ClientPublishEvent, PublishAction, RetainedSetEvent};

use crate::devices::Guests;
use crate::door::{Door, Later, is_topic};
use crate::refusals::Refusal;
use crate::retained::RetainedStore;
use crate::taker::{Published, Takers};

/// The most retained topics; values of further ones are delivered, but not kept.
pub(crate) const MAX_RETAINED: usize = 100_000;

/// Stores the retained values of other clients before they are acknowledged.
pub(crate) struct Keeper {
    pub(crate) own_clients: HashSet<String>,
    pub(crate) door: Arc<Door>,
    pub(crate) guests: Option<Arc<Guests>>,
    pub(crate) router: OnceLock<Arc<MessageRouter>>,
    pub(crate) takers: Takers,
    pub(crate) state: Mutex<KeeperState>,
}

pub(crate) struct KeeperState {
    /// Topics whose last value came from one of the gateway's own clients.
    pub(crate) own_topics: HashSet<Arc<str>>,
    pub(crate) store: RetainedStore,
}

impl BrokerEventHandler for Keeper {
    fn on_client_connect(&self, event: ClientConnectEvent) -> Later<'_, ()> {
        Box::pin(async move {
            let (Some(guests), Some(id), Some(router)) =
                (&self.guests, &event.user_id, self.router.get())
            else {
                return;
            };
            if !guests.connected(&event.client_id, id) {
                self.door.refusals.count(Refusal::KeyGone);
                router.disconnect_client(&event.client_id).await;
            }
        })
    }

    fn on_client_disconnect(&self, event: ClientDisconnectEvent) -> Later<'_, ()> {
        Box::pin(async move {
            let Some(router) = self.router.get() else {
                return;
            };
            // A newer connection of the same client, which is still alive, may have taken over.
            if router.is_connected(&event.client_id).await {
                return;
            }
            self.door.forget(&event.client_id);
            if let (Some(guests), Some(_)) = (&self.guests, &event.user_id) {
                guests.disconnected(&event.client_id);
            }
        })
    }

    fn on_client_publish(&self, event: ClientPublishEvent) -> Later<'_, PublishAction> {
        let user = event.user_id.as_deref();
        let refusal = self
            .door
            .publish_refusal(&event.client_id, user, &event.topic);
        if let Some(refusal) = refusal {
            self.door.refusals.count(refusal);
            return Box::pin(std::future::ready(PublishAction::Handled));
        }
        if event.retain {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.own_clients.contains(&*event.client_id) {
                state.own_topics.remove(&event.topic);
            } else if !state.own_topics.contains(&event.topic)
                && state.own_topics.len() < MAX_RETAINED
            {
                // The topic may have had a value of another client before.
                state.store.remove(&event.topic);
                state.own_topics.insert(Arc::clone(&event.topic));
            }
        }
        // The topic was checked before. The library passes the response topic on unchecked, which would end the receivers' connections.
        let is_good = event.response_topic.as_deref().is_none_or(is_topic);
        if !is_good {
            self.door.refusals.count(Refusal::BadText);
            return Box::pin(std::future::ready(PublishAction::Handled));
        }
        let done = if self.own_clients.contains(&*event.client_id) {
            Vec::new()
        } else {
            self.takers.take(&Published {
                topic: &event.topic,
                payload: &event.payload,
                qos: event.qos as u8,
            })
        };
        Box::pin(async move {
            for done in done {
                done.await;
            }
            PublishAction::Continue
        })
    }

    fn on_retained_set(&self, event: RetainedSetEvent) -> Later<'_, ()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.own_topics.contains(&event.topic) {
            if event.cleared {
                state.store.remove(&event.topic);
            } else {
                state
                    .store
                    .put(&event.topic, &event.payload, event.qos as u8);
            }
        }
        Box::pin(std::future::ready(()))
    }
}
