//! How and why a connection ended, as its owner is told.

use std::fmt;
use std::time::Duration;

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub kind: EndKind,
    /// For people.
    pub detail: String,
    /// From the CONNACK to the end; zero if there was none.
    pub connected: Duration,
    /// Frames delivered by this connection.
    pub delivered: u64,
    /// The next connection should come soon: a publish that is to blame is being searched, or the next connection will behave differently.
    pub again: bool,
    /// The broker answered a publish before the end, so the connection had worked.
    pub answered: bool,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndKind {
    /// `stop` was called.
    Stopped,
    /// The broker refused the connection, for a reason that may pass.
    Refused,
    /// Credentials, or an authorisation to publish, are missing.
    NotAuthorized,
    /// No connection could be made within the time.
    Unreachable,
    /// The connection was established and broke.
    Lost,
    /// The broker did not acknowledge a publish within the time.
    AckTimeout,
    /// Another client connected under the same id.
    SessionTakenOver,
    /// TLS failed: the certificate, the name, or a peer without TLS.
    Tls,
    /// The peer does not keep to the protocol.
    Protocol,
    /// The broker's quota is used up.
    Quota,
    /// The journal could not be read or confirmed to.
    Journal,
    /// We ended it, to try a publish again over which an earlier connection ended.
    Search,
    /// We ended it, because there is no room for the broker's messages.
    Paused,
    /// We ended it, with its session.
    Retired,
}

impl EndKind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Refused => "refused",
            Self::NotAuthorized => "not_authorized",
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
            Self::AckTimeout => "ack_timeout",
            Self::SessionTakenOver => "session_taken_over",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Quota => "quota",
            Self::Journal => "journal",
            Self::Search => "search",
            Self::Paused => "paused",
            Self::Retired => "retired",
        }
    }
}

impl fmt::Display for EndKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
