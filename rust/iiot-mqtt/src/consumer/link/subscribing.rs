//! The subscriptions of a session: SUBSCRIBE at every connection, UNSUBSCRIBE for filters that are not wanted any more, and the broker's answers.

use std::fmt::Write as _;
use std::time::Instant;

use super::Link;
use crate::consumer::Subscription;
use crate::consumer::control::{self, Connected};
use crate::ended::EndKind;
use crate::failure::Failure;

/// The most filters in one SUBSCRIBE, because some brokers accept only a few.
pub(super) const FILTERS_AT_ONCE: usize = 32;

impl Link<'_> {
    /// Subscribe to the wanted filters, and unsubscribe those that are not wanted any more.
    pub(super) fn subscribe(&mut self, connected: &Connected) -> Result<(), Failure> {
        let known = self.inlet.subscribed()?;
        let wanted = &self.consumer.subscriptions;
        let is_wanted = |filter: &String| wanted.iter().any(|s| s.filter == *filter);
        if connected.session {
            self.inlet.resume_session()?;
            let old: Vec<String> = known
                .into_iter()
                .filter(|filter| !is_wanted(filter))
                .collect();
            let all = wanted
                .iter()
                .map(|s| s.filter.clone())
                .chain(old.iter().cloned());
            self.inlet.set_subscribed(&all.collect::<Vec<_>>())?;
            for part in old.chunks(FILTERS_AT_ONCE) {
                let id = self.acks.next_id();
                control::unsubscribe(id, part, self.v5, &mut self.out);
                self.unsubscribing.insert(id, part.to_vec());
            }
        } else {
            let lost = !known.is_empty();
            // Before any message of the new session, because its packet ids belong to other messages.
            self.inlet.new_session(lost)?;
            self.desk.lock().sessions_lost += u64::from(lost);
            let filters: Vec<String> = wanted.iter().map(|s| s.filter.clone()).collect();
            self.inlet.set_subscribed(&filters)?;
        }
        for part in wanted.chunks(FILTERS_AT_ONCE) {
            let id = self.acks.next_id();
            control::subscribe(id, part, self.v5, &mut self.out);
            self.subscribing.insert(id, part.to_vec());
        }
        let mut visible = self.desk.lock();
        visible.refused.clear();
        visible.limits.clear();
        let asked_s = self.consumer.session_expiry.as_secs();
        if let Some(kept_s) = connected.session_expiry_s
            && u64::from(kept_s) < asked_s
        {
            let _ = write!(
                visible.limits,
                "the session is kept for {kept_s} s instead of {asked_s} s"
            );
        }
        Ok(())
    }

    pub(super) fn suback(&mut self, body: &[u8]) -> Result<(), Failure> {
        let (id, codes) = control::suback(body, self.v5)
            .ok_or_else(|| control::malformed("a SUBACK is cut short"))?;
        let Some(asked) = self.subscribing.remove(&id) else {
            return Ok(());
        };
        let mut visible = self.desk.lock();
        for (subscription, code) in asked.iter().zip(codes) {
            let Subscription { filter, qos } = subscription;
            if let Some(why) = control::refusal(*code, self.v5) {
                visible.refused.push(format!("{filter}: {why}"));
            } else if code < qos {
                if !visible.limits.is_empty() {
                    visible.limits.push_str(", ");
                }
                let _ = write!(visible.limits, "QoS {code} instead of {qos} for {filter}");
            }
        }
        let (refused, wanted) = (visible.refused.len(), self.consumer.subscriptions.len());
        let reasons = visible.refused.join("; ");
        drop(visible);
        if !self.subscribing.is_empty() {
            return Ok(());
        }
        if refused == wanted {
            return Err(Failure::new(
                EndKind::Refused,
                format!("the broker grants none of the topic filters: {reasons}"),
            ));
        }
        self.subscribed_at = Some(Instant::now());
        if self.unsubscribing.is_empty() {
            self.store_subscribed()?;
        }
        Ok(())
    }

    /// Store that the session has the wanted filters and no others.
    pub(super) fn store_subscribed(&mut self) -> Result<(), Failure> {
        let filters = self.consumer.subscriptions.iter().map(|s| s.filter.clone());
        Ok(self.inlet.set_subscribed(&filters.collect::<Vec<_>>())?)
    }
}
