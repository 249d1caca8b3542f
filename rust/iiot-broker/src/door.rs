//! Who is let in, and with which texts: one that MQTT does not allow would end the connection of every client that it is passed on to.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use iiot_core::mqtt_text::text_fault;
use mqtt5::broker::auth::{AuthProvider, AuthResult};
use mqtt5::packet::connect::ConnectPacket;
use mqtt5::protocol::v5::reason_codes::ReasonCode;

/// Lets clients in.
pub(crate) struct Door {
    pub credentials: Option<(String, String)>,
}

impl Door {
    fn opens_to(&self, connect: &ConnectPacket) -> bool {
        let Some((user, password)) = &self.credentials else {
            return true;
        };
        let given = connect.username.as_deref().unwrap_or_default();
        let secret = connect.password.as_deref().unwrap_or_default();
        // Both are always compared, each in a time that says nothing of where they differ.
        equal(user.as_bytes(), given.as_bytes()) & equal(password.as_bytes(), secret)
    }
}

/// Whether a topic may be passed on; the library sees to wildcards and emptiness.
pub(crate) fn is_topic(topic: &str) -> bool {
    text_fault(topic).is_none()
}

/// Why a client is refused for what it calls itself, or for its last will.
fn text_refusal(connect: &ConnectPacket) -> Option<ReasonCode> {
    let will = connect.will.as_ref().map(|will| will.topic.as_str());
    // A 3.1.1 client is told of the id, or that it may not come in: that version has no more words.
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

/// What the library's traits return.
pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl AuthProvider for Door {
    fn authenticate<'a>(
        &'a self,
        connect: &'a ConnectPacket,
        _client: SocketAddr,
    ) -> Later<'a, mqtt5::Result<AuthResult>> {
        let result = if let Some(reason) = text_refusal(connect) {
            AuthResult::fail(reason)
        } else if self.opens_to(connect) {
            AuthResult::success()
        } else {
            AuthResult::fail(ReasonCode::BadUsernameOrPassword)
        };
        Box::pin(std::future::ready(Ok(result)))
    }

    fn authorize_publish<'a>(
        &'a self,
        _client: &str,
        _user: Option<&'a str>,
        topic: &'a str,
    ) -> Later<'a, bool> {
        Box::pin(std::future::ready(is_topic(topic)))
    }

    fn authorize_subscribe<'a>(
        &'a self,
        _client: &str,
        _user: Option<&'a str>,
        filter: &'a str,
    ) -> Later<'a, bool> {
        Box::pin(std::future::ready(text_fault(filter).is_none()))
    }
}
