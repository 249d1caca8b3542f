//! Devices at the broker: each logs in with its key, may use only its own topics and client ids, and is disconnected when its key is removed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use iiot_journal::Directory;
use sha2::{Digest, Sha256};

use crate::refusals::Refusal;

/// Separates a device's id from the rest of a client id.
const REST: char = ':';
/// A login without a connection is forgotten after this time.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Above this number of pending logins, old ones are looked for.
const MAX_LOGINS: usize = 2000;

/// SHA-256 of a key.
type KeyHash = [u8; 32];

/// The rules for devices at a broker.
#[derive(Clone)]
pub struct DeviceAccounts {
    /// The directory of the devices.
    pub directory: Arc<Directory>,
    /// The prefix of their topics; a device's id comes after it.
    pub prefix: String,
}

/// Devices that log in and are connected.
pub(crate) struct Guests {
    directory: Arc<Directory>,
    prefix: String,
    connections: Mutex<Connections>,
}

#[derive(Default)]
struct Connections {
    /// Pending logins by client id: the key, and the time.
    logins: HashMap<Box<str>, (KeyHash, Instant)>,
    /// Connections by client id: device and key.
    connected: HashMap<Box<str>, (Box<str>, KeyHash)>,
}

fn now_s() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// The device to which a client id belongs, if there is such a device.
fn owner(client: &str) -> &str {
    client.split(REST).next().unwrap_or(client)
}

impl Guests {
    pub(crate) fn new(accounts: DeviceAccounts) -> Self {
        Self {
            directory: accounts.directory,
            prefix: accounts.prefix.trim_end_matches('/').to_owned(),
            connections: Mutex::default(),
        }
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory of devices.
    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.directory
    }

    /// Whether only a device may use this client id.
    pub(crate) fn own(&self, client: &str) -> bool {
        self.directory.is_known(owner(client))
    }

    /// Identify a device: its id, if name and key are right. The caller checks the client id.
    pub(crate) fn enter(&self, client: &str, name: &str, key: &[u8]) -> Result<String, Refusal> {
        // The key is hashed for every name, so that the duration does not show whether the name exists.
        let hash: KeyHash = Sha256::digest(key).into();
        let id = self.directory.named(name).ok_or(Refusal::UnknownUser)?;
        if !self.directory.has_key(&id, &hash, now_s()) {
            let is_enabled = self.directory.is_enabled(&id);
            return Err(if is_enabled {
                Refusal::WrongKey
            } else {
                Refusal::DisabledDevice
            });
        }
        // With the client id of another device, this login would be taken for that device's.
        if !is_client_of(client, &id) {
            return Ok(id);
        }
        let mut connections = self.connections();
        let now = Instant::now();
        if connections.logins.len() >= MAX_LOGINS {
            connections
                .logins
                .retain(|_, (_, at)| now.duration_since(*at) < LOGIN_TIMEOUT);
        }
        connections.logins.insert(client.into(), (hash, now));
        Ok(id)
    }

    /// Note that a device that has logged in is connected. `false`: its key was removed meanwhile.
    pub(crate) fn connected(&self, client: &str, id: &str) -> bool {
        let mut connections = self.connections();
        let Some((hash, _)) = connections.logins.remove(client) else {
            return false;
        };
        connections
            .connected
            .insert(client.into(), (id.into(), hash));
        drop(connections);
        self.directory.has_key(id, &hash, now_s())
    }

    /// Note that a device is no longer connected.
    pub(crate) fn disconnected(&self, client: &str) {
        self.connections().connected.remove(client);
    }

    /// The client ids of connections, of one device or of all, whose key was removed or has expired.
    pub(crate) fn expelled(&self, id: Option<&str>) -> Vec<String> {
        let connections = self.connections();
        let own = connections.connected.iter();
        let gone = own.filter(|(_, (device, hash))| {
            id.is_none_or(|id| &**device == id) && !self.directory.has_key(device, hash, now_s())
        });
        gone.map(|(client, _)| client.to_string()).collect()
    }

    /// Whether a device may do anything at all. Its last will is published after the end of its connection.
    fn is_welcome(&self, client: &str, id: &str) -> bool {
        let connections = self.connections();
        // The library checks subscriptions of a kept session while the device logs in, perhaps with a new key before its last connection has ended.
        let login = connections.logins.get(client);
        let login = login.filter(|(_, at)| at.elapsed() < LOGIN_TIMEOUT);
        let login = login.map(|(hash, _)| *hash);
        let connected = connections.connected.get(client);
        let shown = login.or(connected.map(|(_, hash)| *hash));
        drop(connections);
        match shown {
            Some(hash) => self.directory.has_key(id, &hash, now_s()),
            None => self.directory.may_enter(id, now_s()),
        }
    }

    /// The reason why a device may not publish to a topic; none if it may.
    pub(crate) fn publish_refusal(&self, client: &str, id: &str, topic: &str) -> Option<Refusal> {
        if !self.may_leave(id, topic) {
            return Some(Refusal::ForeignTopic);
        }
        (!self.is_welcome(client, id)).then_some(Refusal::KeyGone)
    }

    /// The reason why a device may not subscribe to a filter; none if it may.
    pub(crate) fn filter_refusal(&self, client: &str, id: &str, filter: &str) -> Option<Refusal> {
        let filter = match filter.strip_prefix("$share/") {
            Some(shared) => shared.split_once('/').map_or("", |(_, filter)| filter),
            None => filter,
        };
        if !self.is_below(id, "commands", filter) {
            return Some(Refusal::ForeignFilter);
        }
        (!self.is_welcome(client, id)).then_some(Refusal::KeyGone)
    }

    /// Whether a last will of a device may be published.
    pub(crate) fn may_leave(&self, id: &str, topic: &str) -> bool {
        self.is_below(id, "telemetry", topic) || self.is_below(id, "status", topic)
    }

    /// Whether `PREFIX/ID/KIND/#` matches. The text of a filter is compared literally, so that a wildcard cannot match other topics.
    fn is_below(&self, id: &str, kind: &str, topic: &str) -> bool {
        let rest = topic.strip_prefix(&self.prefix);
        let rest = rest.and_then(|rest| rest.strip_prefix('/'));
        let rest = rest.and_then(|rest| rest.strip_prefix(id));
        let rest = rest.and_then(|rest| rest.strip_prefix('/'));
        let rest = rest.and_then(|rest| rest.strip_prefix(kind));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Whether a device may use a client id: its own id, alone or with a suffix.
pub(crate) fn is_client_of(client: &str, id: &str) -> bool {
    owner(client) == id
}

#[cfg(test)]
mod tests {
    use super::{DeviceAccounts, Guests, is_client_of};
    use crate::refusals::Refusal;
    use iiot_journal::{DeviceEntry, DeviceKey, Directory};
    use sha2::{Digest, Sha256};
    use std::sync::Arc;

    fn guests() -> Guests {
        let directory = Arc::new(Directory::default());
        for id in ["e1", "e2"] {
            directory.set(
                id,
                DeviceEntry {
                    is_enabled: true,
                    keys: vec![DeviceKey {
                        hash: Sha256::digest(id).into(),
                        expires_at_s: None,
                    }],
                    ..DeviceEntry::default()
                },
            );
        }
        Guests::new(DeviceAccounts {
            directory,
            prefix: "iotflow/devices".into(),
        })
    }

    #[test]
    fn a_device_reaches_its_own_topics_only() {
        let guests = guests();
        for (topic, may) in [
            ("iotflow/devices/e1/telemetry/t", true),
            ("iotflow/devices/e1/telemetry", true),
            ("iotflow/devices/e1/status/online", true),
            ("iotflow/devices/e1/telemetryx", false),
            ("iotflow/devices/e1/commands/config", false),
            ("iotflow/devices/e2/telemetry/t", false),
            ("iotflow/devices/e11/telemetry/t", false),
            ("iotflow/devices/e1", false),
            ("/iotflow/devices/e1/telemetry/t", false),
            ("", false),
        ] {
            let refusal = guests.publish_refusal("e1", "e1", topic);
            assert_eq!(refusal, (!may).then_some(Refusal::ForeignTopic), "{topic}");
            assert_eq!(guests.may_leave("e1", topic), may, "{topic}");
        }
        for (filter, may) in [
            ("iotflow/devices/e1/commands/#", true),
            ("iotflow/devices/e1/commands/+", true),
            ("$share/g/iotflow/devices/e1/commands/#", true),
            ("iotflow/devices/+/commands/#", false),
            ("iotflow/devices/e1/#", false),
            ("iotflow/devices/e1/+/config", false),
            ("$share/g/iotflow/devices/e2/commands/#", false),
            ("$share/iotflow/devices/e1/commands/#", false),
            ("$share/g", false),
            ("+/devices/e1/commands/#", false),
            ("#", false),
            ("$SYS/#", false),
        ] {
            let refusal = guests.filter_refusal("e1", "e1", filter);
            assert_eq!(
                refusal,
                (!may).then_some(Refusal::ForeignFilter),
                "{filter}"
            );
        }
    }

    #[test]
    fn a_client_id_begins_with_the_id_of_its_device() {
        for (client, is_own) in [
            ("e1", true),
            ("e1:a", true),
            ("e1:", true),
            ("e11", false),
            ("e2:e1", false),
            ("", false),
        ] {
            assert_eq!(is_client_of(client, "e1"), is_own, "{client}");
        }
    }

    #[test]
    fn connections_whose_key_is_gone_are_named() {
        let guests = guests();
        assert_eq!(guests.enter("e1:a", "e1", b"e2"), Err(Refusal::WrongKey));
        assert_eq!(guests.enter("e1:a", "e3", b"e1"), Err(Refusal::UnknownUser));
        assert_eq!(guests.enter("e1:a", "e1", b"e1").as_deref(), Ok("e1"));
        assert!(guests.connected("e1:a", "e1"));
        assert!(guests.expelled(Some("e1")).is_empty());

        guests.directory().remove("e1");
        assert_eq!(guests.expelled(None), ["e1:a"]);
        assert_eq!(guests.expelled(Some("e1")), ["e1:a"]);
        assert!(guests.expelled(Some("e2")).is_empty());
        assert_eq!(
            guests.publish_refusal("e1:a", "e1", "iotflow/devices/e1/status/x"),
            Some(Refusal::KeyGone)
        );
        guests.disconnected("e1:a");
        assert!(guests.expelled(Some("e1")).is_empty());
    }

    #[test]
    fn a_login_under_the_name_of_another_devices_client_changes_nothing_for_that_client() {
        let guests = guests();
        assert!(guests.enter("e2", "e2", b"e2").is_ok());
        assert!(guests.connected("e2", "e2"));
        assert_eq!(guests.enter("e2", "e1", b"e1").as_deref(), Ok("e1"));
        assert_eq!(
            guests.publish_refusal("e2", "e2", "iotflow/devices/e2/status/x"),
            None
        );
        assert!(!guests.connected("e2", "e1"));
    }

    #[test]
    fn a_device_that_comes_back_with_a_new_key_keeps_its_subscriptions() {
        let guests = guests();
        assert!(guests.enter("e1", "e1", b"e1").is_ok());
        assert!(guests.connected("e1", "e1"));
        guests.directory().set(
            "e1",
            DeviceEntry {
                is_enabled: true,
                keys: vec![DeviceKey {
                    hash: Sha256::digest(b"new").into(),
                    expires_at_s: None,
                }],
                ..DeviceEntry::default()
            },
        );
        let filter = "iotflow/devices/e1/commands/#";
        let refusal = || guests.filter_refusal("e1", "e1", filter);
        assert_eq!(refusal(), Some(Refusal::KeyGone));
        // The end of the old connection was not told yet.
        assert!(guests.enter("e1", "e1", b"new").is_ok());
        assert_eq!(refusal(), None);
        assert!(guests.connected("e1", "e1"));
        assert_eq!(refusal(), None);
    }
}
