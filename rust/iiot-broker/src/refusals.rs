//! Counts the broker's refusals by reason.

use std::sync::atomic::{AtomicU64, Ordering};

/// The reason why a login, a publish or a subscription is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no user name, or an unknown one.
    UnknownUser,
    /// The section's user has another password, and no device has that name.
    WrongPassword,
    /// A device's key is wrong or has expired.
    WrongKey,
    /// The device is disabled.
    DisabledDevice,
    /// The client id belongs to another device, or to the gateway.
    ForeignClientId,
    /// The last will of a device is for a topic that is not its own.
    ForeignWill,
    /// A device publishes to a topic that is not its own.
    ForeignTopic,
    /// A device subscribes to topics that are not its own.
    ForeignFilter,
    /// The key of a connection was revoked or has expired meanwhile.
    KeyGone,
    /// A text that MQTT does not allow.
    BadText,
}

/// The counts by the number of the reason.
const NAMES: [&str; 10] = [
    "unknown_user",
    "wrong_password",
    "wrong_key",
    "disabled_device",
    "foreign_client_id",
    "foreign_will",
    "foreign_topic",
    "foreign_filter",
    "key_gone",
    "bad_text",
];

/// Counts how often each reason occurred since the start.
#[derive(Default)]
pub(crate) struct Refusals([AtomicU64; NAMES.len()]);

impl Refusals {
    pub(crate) fn count(&self, refusal: Refusal) {
        if let Some(count) = self.0.get(refusal as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The reasons that occurred, each with its count.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        let named = NAMES.into_iter().zip(counts);
        named.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Refusal, Refusals};

    #[test]
    fn each_reason_is_counted_under_its_own_name() {
        let refusals = Refusals::default();
        assert!(refusals.counts().is_empty());

        refusals.count(Refusal::UnknownUser);
        refusals.count(Refusal::ForeignTopic);
        refusals.count(Refusal::ForeignTopic);
        refusals.count(Refusal::BadText);

        assert_eq!(
            refusals.counts(),
            [("unknown_user", 1), ("foreign_topic", 2), ("bad_text", 1)]
        );
    }
}
