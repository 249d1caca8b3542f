//! Decides which clients may log in, and which texts they may use: a text that MQTT does not allow would end the connection of every receiver.

use std::collections::HashSet;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iiot_core::mqtt_text::text_fault;
use mqtt5::broker::auth::{AuthProvider, AuthResult};
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::protocol::v5::reason_codes::ReasonCode;

use crate::devices::{Guests, is_client_of};
use crate::refusals::{Refusal, Refusals};

/// The number of that version in CONNECT.
const MQTT_3_1_1: u8 = 4;

/// Checks logins, publishes and subscriptions.
pub(crate) struct Door {
    /// The user that may do everything; none if everybody may.
    pub credentials: Option<(String, String)>,
    /// The client ids of the gateway itself. A device with such an id does not get them.
    pub own_clients: Vec<String>,
    /// The rules for devices, which have few rights.
    pub guests: Option<Arc<Guests>>,
    /// Clients that speak MQTT 3.1.1.
    pub speak_3_1_1: Mutex<HashSet<Box<str>>>,
    /// The counts of refusals.
    pub refusals: Arc<Refusals>,
}

/// The answer to a client, and its reason.
type Refused = (ReasonCode, Refusal);

impl Door {
    /// Check a login. The library gets a device's id as the user's name, and no name for every other client.
    fn answer(&self, connect: &ConnectPacket) -> Result<AuthResult, Refused> {
        let client = connect.client_id.as_str();
        let is_own = self.own_clients.iter().any(|own| own == client);
        if self.opens_to(connect) {
            let guests = self.guests.as_ref().filter(|_| !is_own);
            return if guests.is_some_and(|guests| guests.own(client)) {
                Err(FOREIGN_CLIENT_ID)
            } else {
                Ok(AuthResult::success())
            };
        }
        let refused = |why| (ReasonCode::BadUsernameOrPassword, why);
        let Some(name) = &connect.username else {
            return Err(refused(Refusal::UnknownUser));
        };
        // A device may have the same name as the user, with a key of its own.
        let refused_by_name = |why| {
            let is_user = |(user, _): &(String, String)| user == name;
            let is_users = why == Refusal::UnknownUser;
            if is_users && self.credentials.as_ref().is_some_and(is_user) {
                refused(Refusal::WrongPassword)
            } else {
                refused(why)
            }
        };
        let Some(guests) = &self.guests else {
            return Err(refused_by_name(Refusal::UnknownUser));
        };
        let key = connect.password.as_deref().unwrap_or_default();
        let id = guests.enter(client, name, key).map_err(refused_by_name)?;
        if is_own || !is_client_of(client, &id) {
            return Err(FOREIGN_CLIENT_ID);
        }
        let will = connect.will.as_ref();
        if will.is_some_and(|will| !guests.may_leave(&id, &will.topic)) {
            return Err((ReasonCode::NotAuthorized, Refusal::ForeignWill));
        }
        Ok(AuthResult::success_with_user(id))
    }

    /// The reason why a client may not publish to a topic; none if it may.
    pub(crate) fn publish_refusal(
        &self,
        client: &str,
        user: Option<&str>,
        topic: &str,
    ) -> Option<Refusal> {
        let refusal = |guests: &Guests, id: &str| guests.publish_refusal(client, id, topic);
        if is_topic(topic) {
            self.rights_refusal(user, refusal)
        } else {
            Some(Refusal::BadText)
        }
    }

    /// Return whether an action is allowed, and count a refusal.
    fn judged(&self, refusal: Option<Refusal>) -> bool {
        if let Some(refusal) = refusal {
            self.refusals.count(refusal);
        }
        refusal.is_none()
    }

    /// Note that a client has disconnected.
    pub(crate) fn forget(&self, client: &str) {
        self.old_clients().remove(client);
    }

    fn old_clients(&self) -> MutexGuard<'_, HashSet<Box<str>>> {
        self.speak_3_1_1
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The reason why a device may not do something; none for all other clients, which have every right.
    fn rights_refusal(
        &self,
        user: Option<&str>,
        refusal: impl FnOnce(&Guests, &str) -> Option<Refusal>,
    ) -> Option<Refusal> {
        match (user, &self.guests) {
            (None, _) => None,
            (Some(id), Some(guests)) => refusal(guests, id),
            (Some(_), None) => Some(Refusal::UnknownUser),
        }
    }

    fn opens_to(&self, connect: &ConnectPacket) -> bool {
        let Some((user, password)) = &self.credentials else {
            return true;
        };
        let given = connect.username.as_deref().unwrap_or_default();
        let secret = connect.password.as_deref().unwrap_or_default();
        // Both are always compared, each in constant time.
        equal(user.as_bytes(), given.as_bytes()) & equal(password.as_bytes(), secret)
    }
}

const FOREIGN_CLIENT_ID: Refused = (
    ReasonCode::ClientIdentifierNotValid,
    Refusal::ForeignClientId,
);

/// Whether a topic may be passed on. The library rejects wildcards and empty topics.
pub(crate) fn is_topic(topic: &str) -> bool {
    text_fault(topic).is_none()
}

/// The reason to refuse a client because of its client id, its user name or its last will.
fn text_refusal(connect: &ConnectPacket) -> Option<ReasonCode> {
    let will = connect.will.as_ref().map(|will| will.topic.as_str());
    // A client with MQTT 3.1.1 can only be told that its id is wrong, or that it is not authorized.
    [
        (
            Some(connect.client_id.as_str()),
            ReasonCode::ClientIdentifierNotValid,
        ),
        (
            connect.username.as_deref(),
            ReasonCode::BadUsernameOrPassword,
        ),
        (will, ReasonCode::TopicNameInvalid),
    ]
    .into_iter()
    .find(|(text, _)| text.is_some_and(|text| text_fault(text).is_some()))
    .map(|(_, reason)| reason)
}

fn equal(left: &[u8], right: &[u8]) -> bool {
    let differing = left
        .iter()
        .zip(right)
        .fold(left.len() ^ right.len(), |differing, (a, b)| {
            differing | usize::from(a ^ b)
        });
    std::hint::black_box(differing) == 0
}

/// The return type of the library's traits.
pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl AuthProvider for Door {
    fn authenticate<'a>(
        &'a self,
        connect: &'a ConnectPacket,
        _client: SocketAddr,
    ) -> Later<'a, mqtt5::Result<AuthResult>> {
        let answer = match text_refusal(connect) {
            Some(reason) => Err((reason, Refusal::BadText)),
            None => self.answer(connect),
        };
        let result = answer.unwrap_or_else(|(reason, why)| {
            self.refusals.count(why);
            AuthResult::fail(reason)
        });
        if result.authenticated {
            let client = connect.client_id.as_str();
            if connect.protocol_version == MQTT_3_1_1 {
                self.old_clients().insert(client.into());
            } else {
                self.forget(client);
            }
        }
        Box::pin(std::future::ready(Ok(result)))
    }

    fn authorize_publish<'a>(
        &'a self,
        client: &str,
        user: Option<&'a str>,
        topic: &'a str,
    ) -> Later<'a, bool> {
        // The library would answer a 3.1.1 client with a reason, for which that version has no room: the connection would end. So a forbidden
        // publish of such a client passes here, and the keeper acknowledges it and throws it away.
        let may = self.old_clients().contains(client)
            || self.judged(self.publish_refusal(client, user, topic));
        Box::pin(std::future::ready(may))
    }

    fn authorize_subscribe<'a>(
        &'a self,
        client: &str,
        user: Option<&'a str>,
        filter: &'a str,
    ) -> Later<'a, bool> {
        let refusal = |guests: &Guests, id: &str| guests.filter_refusal(client, id, filter);
        let may = self.judged(if text_fault(filter).is_none() {
            self.rights_refusal(user, refusal)
        } else {
            Some(Refusal::BadText)
        });
        Box::pin(std::future::ready(may))
    }
}

#[cfg(test)]
mod tests {
    use super::Door;
    use crate::devices::{DeviceAccounts, Guests};
    use crate::refusals::Refusal;
    use iiot_journal::{DeviceEntry, DeviceKey, Directory};
    use mqtt5::packet::connect::ConnectPacket;
    use mqtt5::types::ConnectOptions;
    use sha2::{Digest, Sha256};
    use std::sync::Arc;

    fn door(directory: Arc<Directory>) -> Door {
        Door {
            credentials: Some(("gateway".into(), "a-password".into())),
            own_clients: Vec::new(),
            guests: Some(Arc::new(Guests::new(DeviceAccounts {
                directory,
                prefix: "iotflow/devices".into(),
            }))),
            speak_3_1_1: std::sync::Mutex::default(),
            refusals: Arc::default(),
        }
    }

    #[test]
    fn a_device_with_the_name_of_the_user_comes_in_with_its_key() {
        let directory = Arc::new(Directory::default());
        let door = door(Arc::clone(&directory));
        // The user of the client, or the reason for the refusal.
        let answer = |client: &str, password: &str| {
            let options =
                ConnectOptions::new(client).with_credentials("gateway", password.as_bytes());
            let answer = door.answer(&ConnectPacket::new(options.protocol_options));
            answer.map(|result| result.user_id).map_err(|(_, why)| why)
        };

        assert_eq!(answer("gateway", "a-key"), Err(Refusal::WrongPassword));

        directory.set(
            "gateway",
            DeviceEntry {
                is_enabled: true,
                keys: vec![DeviceKey {
                    hash: Sha256::digest("a-key").into(),
                    expires_at_s: None,
                }],
                ..DeviceEntry::default()
            },
        );
        assert_eq!(answer("gateway", "a-key"), Ok(Some("gateway".into())));
        assert_eq!(answer("gateway", "another"), Err(Refusal::WrongKey));
        assert_eq!(answer("anything", "a-password"), Ok(None));
    }
}
