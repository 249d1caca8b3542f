//! Limits of a broker that it did not announce but that were found out. Pure; lives as long as the sink.

use std::time::{Duration, Instant};

use crate::reasons::{self, Fault};
use crate::refresh::TOPICS_A_STEP;

/// A missing right stops everything for this long, so that a person can grant it. After that its publishes are rejected while others go through.
pub const DENIED_PATIENCE: Duration = Duration::from_secs(600);
/// After this long without a denial, the next one counts as new, unless the wait for it is over already.
const DENIED_AGAIN: Duration = Duration::from_secs(900);

#[derive(Debug, Clone)]
struct Denied {
    topic: String,
    since: Instant,
    last: Instant,
}

/// The limits that the connection respects.
#[derive(Debug, Clone)]
pub struct Terms {
    pub retain: bool,
    pub qos: u8,
    pub in_flight: u16,
    /// Filters in one SUBSCRIBE.
    pub filters: usize,
    denied: Option<Denied>,
}

impl Terms {
    pub fn new(qos: u8, in_flight: u16) -> Self {
        Self {
            retain: true,
            qos,
            in_flight,
            filters: TOPICS_A_STEP,
            denied: None,
        }
    }

    /// The broker ended the connection with this code. True if the next connection will behave differently.
    pub fn adapt(&mut self, code: u8) -> bool {
        match code {
            reasons::RETAIN_NOT_SUPPORTED => std::mem::replace(&mut self.retain, false),
            reasons::QOS_NOT_SUPPORTED if self.qos == 2 => {
                self.qos = 1;
                true
            }
            reasons::RECEIVE_MAXIMUM_EXCEEDED if self.in_flight > 1 => {
                self.in_flight /= 2;
                true
            }
            // It is about our subscriptions, which only compare retained values.
            0x8F | 0x9E | 0xA1 | 0xA2 if reasons::of_disconnect(code) == Fault::Ours => {
                std::mem::replace(&mut self.filters, 0) > 0
            }
            _ => false,
        }
    }

    /// A connection ended while a SUBSCRIBE was not answered. True if the next connection will subscribe to fewer filters at once.
    pub fn ask_for_less(&mut self) -> bool {
        let before = self.filters;
        self.filters /= 10;
        before > 0
    }

    /// A publish to this topic was denied. True once that has lasted.
    pub fn deny(&mut self, topic: &str, now: Instant) -> bool {
        let began = Denied {
            topic: topic.to_owned(),
            since: now,
            last: now,
        };
        // After that time the right counts as missing until it is granted: a topic with one publish per hour must not stop the others each time.
        let is_old = |denied: &Denied| {
            now.saturating_duration_since(denied.last) >= DENIED_AGAIN
                && denied.last.saturating_duration_since(denied.since) < DENIED_PATIENCE
        };
        let denied = match self.denied.take() {
            Some(denied) if !is_old(&denied) => Denied {
                last: now,
                ..denied
            },
            _ => began,
        };
        let lasted = now.saturating_duration_since(denied.since) >= DENIED_PATIENCE;
        self.denied = Some(denied);
        lasted
    }

    /// A publish to this topic was accepted.
    pub fn allow(&mut self, topic: &str) {
        if self
            .denied
            .as_ref()
            .is_some_and(|denied| denied.topic == topic)
        {
            self.denied = None;
        }
    }

    /// Whether a right is missing.
    pub fn is_denied(&self) -> bool {
        self.denied.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_waited_for_once_and_forgotten_when_it_is_granted() {
        let (mut terms, began) = (Terms::new(1, 100), Instant::now());
        let at = |s| began + Duration::from_secs(s);

        assert!(!terms.deny("a", at(0)));
        assert!(!terms.deny("a", at(599)));
        assert!(terms.deny("a", at(600)));
        assert!(terms.deny("b", at(601)));
        terms.allow("b");
        assert!(terms.deny("b", at(602)));
        terms.allow("a");
        assert!(!terms.is_denied());

        assert!(!terms.deny("a", at(603)));
        assert!(!terms.deny("a", at(603 + 900)));
        assert!(terms.deny("a", at(603 + 900 + 600)));
        assert!(terms.deny("a", at(603 + 900 + 600 + 7200)));
    }

    #[test]
    fn what_a_broker_does_not_offer_is_not_used_again() {
        let mut terms = Terms::new(2, 3);

        let changed =
            [0x9A, 0x9A, 0x9B, 0x9B, 0x93, 0x93, 0x8F, 0x8F, 0x95].map(|code| terms.adapt(code));

        let expected = [true, false, true, false, true, false, true, false, false];
        assert_eq!(changed, expected);
        let found = (terms.retain, terms.qos, terms.in_flight, terms.filters);
        assert_eq!(found, (false, 1, 1, 0));
    }

    #[test]
    fn fewer_filters_are_asked_for_down_to_none() {
        let mut terms = Terms::new(1, 1);

        let steps: Vec<usize> =
            std::iter::from_fn(|| terms.ask_for_less().then_some(terms.filters)).collect();

        assert_eq!(steps, [10, 1, 0]);
    }
}
