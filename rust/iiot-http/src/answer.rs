//! The result of a request.

use std::fmt;
use std::time::{Duration, SystemTime};

/// The reason why there is no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nothing listens at the address, or it cannot be reached. Try again.
    Refused,
    /// No answer came in time. Try again; the peer may have accepted the request.
    Timeout,
    /// The certificate or its name is wrong, or the peer does not use TLS. A person must act.
    Tls,
    /// The name could not be resolved. Try again.
    Dns,
    /// The connection broke, or the answer was not HTTP. Try again; the peer may have accepted the request.
    Reset,
    /// `cancel` was called.
    Cancelled,
}

impl Failure {
    /// The word for this reason.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::Dns => "dns",
            Self::Reset => "reset",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A status, or a failure with status 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    /// The status; 0 if there was none.
    pub status: u16,
    /// The reason why there was none.
    pub failure: Option<Failure>,
    /// A description for people.
    pub detail: String,
    /// How long the peer asks the caller to wait.
    pub retry_after: Option<Duration>,
    /// The content type that the peer gives; empty if it gives none.
    pub content_type: String,
    /// The target of a redirect, which is not followed; empty if there is none.
    pub location: String,
    /// The beginning of the body, at most 64 KiB.
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn failed(failure: Failure, detail: impl Into<String>) -> Self {
        Self {
            failure: Some(failure),
            detail: detail.into(),
            ..Self::default()
        }
    }
}

/// `Retry-After` is seconds or a date (RFC 9110, section 10.2.3). Any other text is ignored.
pub(crate) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value.trim()).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds and dates are both understood; a date in the past means now, nonsense means nothing.
    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now),
            Some(Duration::from_secs(60))
        );
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now),
            Some(Duration::ZERO)
        );
        assert_eq!(retry_after("soon", now), None);
    }
}
