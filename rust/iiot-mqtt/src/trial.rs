//! Which publish does the broker end the connection for? Pure: ends of connections in, decisions out. Lives as long as the sink.
//!
//! A broker that does not take a publish may close the connection, and says nothing (MQTT 3.1.1) or little. What was under way is sent
//! again by the next connection, which then ends in the same way, for ever. So:
//!
//! 1. If publishes that were under way at one end are under way at the next one, too, they are sent one at a time. (One end with a
//!    reason that speaks of a publish is enough.)
//! 2. A publish that was under way alone is a *suspect*. From then on it is tried only in a connection that has shown that it works: the
//!    broker has taken another value in it, if need be one that it took before (the *canary*). Each such end is a *strike*. Where the
//!    broker never took any value, suspects are set apart until one behind them has gone through; if there is none, they are values like
//!    any other again.
//! 3. With enough strikes it is not sent any more, and it is a reject as soon as another value goes through.
//!
//! So a broker that is away, or ends the connection for everything, never makes a reject: nothing goes through. What is remembered here
//! is gone after a restart, and then found again; a reject is stored with the cursor's step.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::client::Blame;

/// Position of a frame, and which value of it.
pub type Place = (u64, iiot_core::Place);

/// Ends that it takes, if the broker names no reason.
const STRIKES: u8 = 2;
/// The same, if there was only silence.
const STRIKES_OF_SILENCE: u8 = 3;
/// So many suspects are looked for at once before anything has gone through; then the usual delays between connections apply.
const EAGER_SUSPECTS: u32 = 16;
/// So long a publish outside the journal is left out that connections end for.
const LEFT_OUT: Duration = Duration::from_secs(3600);

/// A publish that was under way when a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sent {
    /// A value of the journal.
    Point(Place),
    /// One that the broker took before, sent again.
    Canary,
    /// Outside the journal: its topic.
    Aside(String),
}

#[derive(Debug, Clone, Default)]
struct Suspect {
    strikes: u8,
    /// How many it takes.
    needed: u8,
    reason: String,
}

/// A publish outside the journal.
#[derive(Debug)]
struct Accused {
    strikes: u8,
    last: Instant,
    reason: String,
}

/// What to do with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advice {
    Send,
    /// First show that the broker takes others.
    ProveFirst,
    /// Do not send it; it will never be taken, for this reason.
    Refuse(String),
}

/// The search.
#[derive(Debug, Default)]
pub struct Trial {
    suspects: BTreeMap<Place, Suspect>,
    /// Frames up to here are sent one publish at a time.
    careful_until: Option<u64>,
    /// The last position that was under way when a connection ended.
    last_under_way: Option<u64>,
    /// New suspects since a value went through.
    unproven: u32,
    asides: HashMap<String, Accused>,
    canary: Option<(String, Bytes)>,
    /// How many known values have failed as a canary.
    canaries_failed: usize,
}

impl Trial {
    /// Nothing is searched for.
    pub fn is_idle(&self) -> bool {
        self.suspects.is_empty() && self.careful_until.is_none()
    }

    /// How many values are suspects.
    pub fn suspects(&self) -> usize {
        self.suspects.len()
    }

    /// Is this value one? Then its retain flag is not counted on.
    pub fn is_suspect(&self, place: Place) -> bool {
        !self.suspects.is_empty() && self.suspects.contains_key(&place)
    }

    /// A connection begins at this position: what is settled is forgotten.
    pub fn begin(&mut self, from: u64) {
        self.suspects = self
            .suspects
            .split_off(&(from, iiot_core::Place::default()));
        self.careful_until = self.careful_until.filter(|until| *until >= from);
    }

    /// Are the publishes of this frame, and what stands before them, sent one at a time?
    pub fn is_careful(&self, position: u64) -> bool {
        let last_suspect = self.suspects.last_key_value().map(|((last, _), _)| *last);
        self.careful_until
            .max(last_suspect)
            .is_some_and(|until| position <= until)
    }

    /// What to do with a value, in a connection over which others have gone through, or not yet.
    pub fn advice(&self, place: Place, is_proven: bool) -> Advice {
        if self.suspects.is_empty() {
            return Advice::Send;
        }
        match self.suspects.get(&place) {
            Some(suspect) if suspect.strikes >= suspect.needed => {
                Advice::Refuse(suspect.reason.clone())
            }
            Some(_) if !is_proven => Advice::ProveFirst,
            _ => Advice::Send,
        }
    }

    /// The broker took a value: a canary from now on.
    pub fn on_accepted(&mut self, place: Place, topic: &str, payload: &Bytes) {
        self.suspects.remove(&place);
        self.canary = Some((topic.to_owned(), payload.clone()));
        self.unproven = 0;
    }

    /// The fate of a value is decided.
    pub fn settle(&mut self, place: Place) {
        self.suspects.remove(&place);
    }

    /// There is nothing left to show by that the broker takes values: the suspects are values like any other, sent one at a time.
    pub fn forget(&mut self) {
        let last = self.suspects.last_key_value().map(|((last, _), _)| *last);
        self.careful_until = self.careful_until.max(last);
        self.suspects.clear();
    }

    /// A value that the broker took before, or how many of the known ones to pass over.
    pub fn canary(&self) -> Result<(String, Bytes), usize> {
        self.canary.clone().ok_or(self.canaries_failed)
    }

    /// The broker did not take the canary.
    pub fn on_canary_failed(&mut self) {
        if self.canary.take().is_none() {
            self.canaries_failed += 1;
        }
    }

    /// Why a publish outside the journal is left out for now.
    pub fn leaves_out(&self, topic: &str, now: Instant) -> Option<&str> {
        let accused = self.asides.get(topic)?;
        let is_out =
            accused.strikes >= STRIKES && now.saturating_duration_since(accused.last) < LEFT_OUT;
        is_out.then_some(accused.reason.as_str())
    }

    /// The broker refused a publish outside the journal, and may end the connection each time.
    pub fn leave_out(&mut self, topic: &str, reason: &str, now: Instant) {
        let accused = Accused {
            strikes: STRIKES,
            last: now,
            reason: reason.to_owned(),
        };
        self.asides.insert(topic.to_owned(), accused);
    }

    /// The broker took it.
    pub fn on_aside_accepted(&mut self, topic: &str) {
        if !self.asides.is_empty() {
            self.asides.remove(topic);
        }
    }

    /// A connection has ended, with these publishes under way. `next` is the first position that was not sent. True if the search goes on
    /// and the next connection should come soon.
    pub fn on_end(
        &mut self,
        blame: Blame,
        why: &str,
        under_way: &[Sent],
        is_proven: bool,
        next: u64,
        now: Instant,
    ) -> bool {
        if blame == Blame::Nothing || under_way.is_empty() {
            return false;
        }
        let positions = under_way.iter().filter_map(|sent| match sent {
            Sent::Point((position, _)) => Some(*position),
            _ => None,
        });
        let (first, last) = (positions.clone().min(), positions.max());
        let before = self.last_under_way;
        let again = first
            .zip(before)
            .is_some_and(|(first, before)| first <= before);
        self.last_under_way = last.or(before);
        let is_accused = blame == Blame::Value || again;
        match under_way {
            [Sent::Canary] => {
                self.on_canary_failed();
                false
            }
            [Sent::Aside(topic)] => {
                let before = self.asides.get(topic).map_or(0, |accused| accused.strikes);
                self.leave_out(topic, why, now);
                if blame != Blame::Value
                    && before + 1 < STRIKES
                    && let Some(accused) = self.asides.get_mut(topic)
                {
                    accused.strikes = before + 1;
                }
                before < STRIKES
            }
            [Sent::Point(place)] if is_accused => self.on_suspect(*place, blame, why, is_proven),
            _ if is_accused || first.is_none() => {
                // What is under way at both ends is behind neither of the last ones.
                let until = match (last, before) {
                    (Some(last), Some(before)) if again => last.min(before),
                    (Some(last), _) => last,
                    (None, _) => next,
                };
                self.careful_until = self.careful_until.max(Some(until));
                is_accused
            }
            _ => false,
        }
    }

    fn on_suspect(&mut self, place: Place, blame: Blame, why: &str, is_proven: bool) -> bool {
        let is_new = !self.suspects.contains_key(&place);
        let suspect = self.suspects.entry(place).or_default();
        suspect.needed = match blame {
            Blame::Value => 1,
            Blame::Silence => STRIKES_OF_SILENCE,
            Blame::Unclear | Blame::Nothing => STRIKES,
        };
        why.clone_into(&mut suspect.reason);
        if is_proven {
            suspect.strikes = suspect.strikes.saturating_add(1);
            return true;
        }
        self.unproven += u32::from(is_new);
        is_new && self.unproven <= EAGER_SUSPECTS
    }
}

#[cfg(test)]
mod tests;
