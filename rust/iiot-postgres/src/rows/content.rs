//! A digest of a row's content: the fields and the profile's tags, wherever they are stored. Two gateways give the same digest for the same message.

use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;

/// The digest so far; every tag and field is added.
#[derive(Default)]
pub(crate) struct Content(SipHasher24);

impl Content {
    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) {
        // The lengths are hashed too, so that different rows never give the same input.
        self.0.write(&(name.len() as u64).to_le_bytes());
        self.0.write(name);
        self.0.write(&(value.len() as u64).to_le_bytes());
        self.0.write(value);
    }

    /// The digest in the form of a `uuid`.
    pub(crate) fn uuid(&self) -> String {
        format!("{:032x}", self.0.finish128().as_u128())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest stands in databases: it must never change, and tell names from values.
    #[test]
    fn digests_never_change() {
        let digest = |pairs: &[(&str, &str)]| {
            let mut content = Content::default();
            for (name, value) in pairs {
                content.add(name.as_bytes(), value.as_bytes());
            }
            content.uuid()
        };
        assert_eq!(digest(&[("a", "1")]), "f644781bb385f3bb658d5ed84c55ed06");
        assert_ne!(digest(&[("a", "bc")]), digest(&[("ab", "c")]));
    }
}
