//! The end of a connection: what is confirmed, what the end says about the publishes in flight, and when to connect again.

use std::time::{Duration, Instant};

use super::{Session, Step};
use crate::client::Requests;
use crate::ended::{EndKind, Ended};
use crate::failure::{Blame, Failure};
use crate::reasons::{self, NOT_AUTHORIZED};
use crate::stage::{Aside, Item};
use crate::trial::Sent;

impl<R: Requests> Session<'_, R> {
    pub(super) fn end(&mut self, mut failure: Failure) -> Ended {
        if self.tally.frames().is_some()
            && let Err(error) = self.confirm()
        {
            failure = error;
        }
        let now = Instant::now();
        let again = self.learn(&mut failure, now);
        let memory = &mut *self.context.memory;
        memory.maybe_until = memory.maybe_until.max(Some(self.stage.sent_end()));
        let shared = self.context.shared;
        shared.suspect(memory.trial.suspects());
        Ended {
            kind: failure.kind,
            detail: failure.detail,
            connected: self.connected_at.map_or(Duration::ZERO, |at| at.elapsed()),
            delivered: self.delivered,
            again,
            answered: self.is_answered,
        }
    }

    /// Learn from the end how the next connection must behave. True if it should come soon.
    fn learn(&mut self, failure: &mut Failure, now: Instant) -> bool {
        if failure.kind == EndKind::Search {
            return true;
        }
        if failure.code == Some(NOT_AUTHORIZED)
            && failure.blame == Blame::Nothing
            && let Some(topic) = self.only_topic()
            && self.context.memory.terms.deny(&topic, now)
        {
            failure.blame = Blame::Value;
        }
        let word = match failure.code {
            Some(code) => reasons::word(code),
            None if failure.blame == Blame::Silence => "not_acknowledged",
            None => "connection_ended",
        };
        let why = format!("{word}: {}", failure.detail);
        let next = self.stage.next_position();
        let is_proven = self.is_proven;
        let memory = &mut *self.context.memory;
        let mut again = failure.code.is_some_and(|code| memory.terms.adapt(code));
        let under_way: Vec<Sent> = self.unacknowledged.under_way().filter_map(sent).collect();
        let told = self
            .unacknowledged
            .all_refused()
            .filter(|(.., is_told)| *is_told);
        let told: Vec<(Sent, &str)> = told
            .filter_map(|(item, reason, _)| Some((sent(item)?, reason)))
            .collect();
        if failure.blame == Blame::Nothing || told.is_empty() {
            again |= memory
                .trial
                .on_end(failure.blame, &why, &under_way, is_proven, next, now);
        }
        if failure.blame != Blame::Nothing {
            // The broker refused them, and then ended the connection before it could accept another one.
            for (sent, reason) in told {
                again |= memory
                    .trial
                    .on_end(Blame::Value, reason, &[sent], is_proven, next, now);
            }
        }
        let no_value = !under_way.iter().any(|sent| matches!(sent, Sent::Point(_)));
        if let Step::Refreshing(refresh) = &self.step
            && refresh.is_asking()
            && failure.blame != Blame::Nothing
            && no_value
        {
            again |= memory.terms.ask_for_less();
        }
        if failure.blame != Blame::Nothing
            && let Some(topic) = self.only_topic()
        {
            let detail = &failure.detail;
            failure.detail = format!("{detail} (under way: the publish to {topic:?} alone)");
        }
        again
    }

    /// The topic of the publish that was in flight alone, if it closes no window.
    fn only_topic(&self) -> Option<String> {
        let mut under_way = self
            .unacknowledged
            .under_way()
            .filter(|item| sent(item).is_some());
        let only = under_way.next().filter(|_| under_way.next().is_none())?;
        match only {
            Item::Point(point) => Some(point.name(&self.context.memory.topics).to_owned()),
            Item::Aside { topic, .. } => Some(topic.to_string()),
            Item::FrameEnd { .. } | Item::Gap { .. } => None,
        }
    }
}

/// An unacknowledged entry in the form that the search uses.
fn sent(item: &Item) -> Option<Sent> {
    match item {
        Item::Point(point) => Some(Sent::Point(point.place())),
        Item::Aside { aside, topic } => match aside {
            Aside::Canary => Some(Sent::Canary),
            // It follows values, and is smaller than any of them.
            Aside::WindowMarker => None,
            _ => Some(Sent::Aside(topic.to_string())),
        },
        Item::FrameEnd { .. } | Item::Gap { .. } => None,
    }
}
