//! The known devices while the gateway runs: the tags that a frame gets from its device, and the keys with which the device may log in. The registry itself is
//! elsewhere; it reports changes.

use crate::mutex::lock;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

/// How documents of devices are handled that are unknown or disabled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnknownDevices {
    /// They are rejects.
    #[default]
    Reject,
    /// They are accepted without tags of a device.
    Take,
}

/// A key that lets a device in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceKey {
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// It is valid before this time; seconds since 1970.
    pub expires_at_s: Option<f64>,
}

/// The known data of a device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeviceEntry {
    /// A user name under which it may log in as well.
    pub user_name: Option<String>,
    /// Whether it may do anything.
    pub is_enabled: bool,
    /// The tags of its points, as [`iiot_core::device_snapshot`] writes them.
    pub snapshot: Arc<[u8]>,
    /// All valid keys.
    pub keys: Vec<DeviceKey>,
}

/// What a document's device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LookedUp {
    Known(Arc<[u8]>),
    /// Its documents are accepted without its tags.
    Taken,
    Unknown,
    Disabled,
}

/// Called with the id of each device that changes; must not block.
pub type DeviceChanged = Box<dyn Fn(&str) + Send + Sync>;

#[derive(Default)]
struct Entries {
    by_id: HashMap<Box<str>, DeviceEntry>,
    /// Ids by user name.
    by_user: HashMap<Box<str>, Box<str>>,
}

impl Entries {
    fn forget_user(&mut self, id: &str) {
        let user = self
            .by_id
            .get(id)
            .and_then(|entry| entry.user_name.as_deref());
        if let Some(user) = user
            && self.by_user.get(user).is_some_and(|known| &**known == id)
        {
            self.by_user.remove(user);
        }
    }
}

/// Devices by id. All methods may be called from any thread.
#[derive(Default)]
pub struct Directory {
    unknown: UnknownDevices,
    entries: RwLock<Entries>,
    /// The newest arrival of each device since the last query.
    heard: Mutex<HashMap<Box<str>, i64>>,
    listeners: Mutex<Vec<DeviceChanged>>,
}

impl Directory {
    /// A directory without devices.
    pub fn new(unknown: UnknownDevices) -> Self {
        Self {
            unknown,
            ..Self::default()
        }
    }

    fn entries(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Add a device, or replace its data.
    pub fn set(&self, id: &str, entry: DeviceEntry) {
        {
            let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            entries.forget_user(id);
            if let Some(user) = &entry.user_name {
                entries.by_user.insert(user.as_str().into(), id.into());
            }
            entries.by_id.insert(id.into(), entry);
        }
        self.changed(id);
    }

    /// Forget a device.
    pub fn remove(&self, id: &str) {
        {
            let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            entries.forget_user(id);
            entries.by_id.remove(id);
        }
        lock(&self.heard).remove(id);
        self.changed(id);
    }

    fn changed(&self, id: &str) {
        for tell in lock(&self.listeners).iter() {
            tell(id);
        }
    }

    /// Call `listener` for every change from now on.
    pub fn subscribe(&self, listener: DeviceChanged) {
        lock(&self.listeners).push(listener);
    }

    /// Devices that were heard since the last call, with the newest arrival of each in nanoseconds since 1970.
    pub fn heard(&self) -> Vec<(String, i64)> {
        let heard = std::mem::take(&mut *lock(&self.heard));
        heard
            .into_iter()
            .map(|(id, at_ns)| (id.into_string(), at_ns))
            .collect()
    }

    /// Whether there is a device with this id, enabled or not.
    pub fn is_known(&self, id: &str) -> bool {
        self.entries().by_id.contains_key(id)
    }

    /// Whether there is a device of this id that is enabled.
    pub fn is_enabled(&self, id: &str) -> bool {
        let entries = self.entries();
        entries.by_id.get(id).is_some_and(|entry| entry.is_enabled)
    }

    /// Whether a device is enabled and has a key that is valid now.
    pub fn may_enter(&self, id: &str, now_s: f64) -> bool {
        let entries = self.entries();
        let entry = entries.by_id.get(id).filter(|entry| entry.is_enabled);
        entry.is_some_and(|entry| entry.keys.iter().any(|key| is_good(key, now_s)))
    }

    /// Whether a device is enabled and this is one of its keys. Takes the same time for every hash.
    pub fn has_key(&self, id: &str, hash: &[u8; 32], now_s: f64) -> bool {
        let entries = self.entries();
        let entry = entries.by_id.get(id).filter(|entry| entry.is_enabled);
        entry.is_some_and(|entry| {
            let keys = entry.keys.iter();
            keys.fold(false, |is_known, key| {
                is_known | (is_equal(&key.hash, hash) & is_good(key, now_s))
            })
        })
    }

    /// The id of the device that logs in under this name, which is its id or its user name.
    pub fn named(&self, name: &str) -> Option<String> {
        let entries = self.entries();
        if entries.by_id.contains_key(name) {
            return Some(name.to_owned());
        }
        entries.by_user.get(name).map(ToString::to_string)
    }

    /// Look up the device of a document, and note when it was heard, if it was.
    pub(crate) fn look_up(&self, id: &[u8], heard_at_ns: Option<i64>) -> LookedUp {
        let found = self.find(id);
        if let (LookedUp::Known(_), Ok(id), Some(received_at_ns)) =
            (&found, std::str::from_utf8(id), heard_at_ns)
        {
            let mut heard = lock(&self.heard);
            match heard.get_mut(id) {
                Some(at_ns) => *at_ns = (*at_ns).max(received_at_ns),
                None => {
                    heard.insert(id.into(), received_at_ns);
                }
            }
        }
        found
    }

    /// Look up the device of a document.
    pub(crate) fn find(&self, id: &[u8]) -> LookedUp {
        let entries = self.entries();
        let id = std::str::from_utf8(id).ok();
        match id.and_then(|id| entries.by_id.get(id)) {
            Some(entry) if entry.is_enabled => LookedUp::Known(Arc::clone(&entry.snapshot)),
            _ if self.unknown == UnknownDevices::Take => LookedUp::Taken,
            Some(_) => LookedUp::Disabled,
            None => LookedUp::Unknown,
        }
    }
}

fn is_good(key: &DeviceKey, now_s: f64) -> bool {
    key.expires_at_s.is_none_or(|end_s| now_s < end_s)
}

fn is_equal(left: &[u8; 32], right: &[u8; 32]) -> bool {
    let differing = left
        .iter()
        .zip(right)
        .fold(0, |differing, (a, b)| differing | (a ^ b));
    std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::{DeviceEntry, DeviceKey, Directory, LookedUp, UnknownDevices};
    use std::sync::Arc;

    fn entry(is_enabled: bool, keys: &[(u8, Option<f64>)]) -> DeviceEntry {
        DeviceEntry {
            user_name: Some("oven".into()),
            is_enabled,
            snapshot: Arc::from(&b"tags"[..]),
            keys: keys
                .iter()
                .map(|(byte, expires_at_s)| DeviceKey {
                    hash: [*byte; 32],
                    expires_at_s: *expires_at_s,
                })
                .collect(),
        }
    }

    #[test]
    fn a_key_is_good_until_it_expires_or_its_device_is_disabled() {
        let directory = Directory::default();
        directory.set("e1", entry(true, &[(1, None), (2, Some(100.0))]));
        let has = |byte: u8, now_s: f64| directory.has_key("e1", &[byte; 32], now_s);
        assert!(has(1, 200.0) && has(2, 99.0));
        assert!(!has(2, 100.0) && !has(3, 0.0));
        assert!(!directory.has_key("e2", &[1; 32], 0.0));
        directory.set("e1", entry(true, &[(2, Some(100.0))]));
        assert!(!has(1, 0.0));
        assert!(directory.may_enter("e1", 99.0) && !directory.may_enter("e1", 100.0));
        directory.set("e1", entry(false, &[(2, None)]));
        assert!(!has(2, 0.0) && directory.is_known("e1"));
    }

    #[test]
    fn a_device_has_its_id_and_one_user_name() {
        let directory = Directory::default();
        directory.set("e1", entry(true, &[]));
        assert_eq!(directory.named("oven").as_deref(), Some("e1"));
        assert_eq!(directory.named("e1").as_deref(), Some("e1"));
        directory.set(
            "e1",
            DeviceEntry {
                user_name: Some("stove".into()),
                ..entry(true, &[])
            },
        );
        assert_eq!(directory.named("oven"), None);
        // An id comes before a name.
        directory.set("stove", DeviceEntry::default());
        assert_eq!(directory.named("stove").as_deref(), Some("stove"));
        directory.remove("stove");
        assert_eq!(directory.named("stove").as_deref(), Some("e1"));
        directory.remove("e1");
        assert_eq!(directory.named("stove"), None);
    }

    #[test]
    fn devices_are_heard_once_with_the_newest_time() {
        for (unknown, other) in [
            (
                UnknownDevices::Reject,
                [LookedUp::Unknown, LookedUp::Disabled],
            ),
            (UnknownDevices::Take, [LookedUp::Taken, LookedUp::Taken]),
        ] {
            let directory = Directory::new(unknown);
            directory.set("e1", entry(true, &[]));
            directory.set("e2", entry(false, &[]));
            let known = LookedUp::Known(Arc::from(&b"tags"[..]));
            for at_ns in [5, 9, 7] {
                assert_eq!(directory.look_up(b"e1", Some(at_ns)), known);
            }
            assert_eq!(directory.look_up(b"e3", Some(1)), other[0]);
            assert_eq!(directory.look_up(b"e2", Some(1)), other[1]);
            assert_eq!(directory.look_up(b"\xff", Some(1)), other[0]);
            assert_eq!(directory.heard(), [("e1".to_owned(), 9)]);
            assert_eq!(directory.heard(), []);
            directory.look_up(b"e1", None);
            assert_eq!(directory.heard(), []);
        }
    }
}
