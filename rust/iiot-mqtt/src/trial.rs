//! Finds the publish because of which the broker ends the connection. Pure: ends of connections in, decisions out. Lives as long as the
//! sink.
//!
//! A broker that does not accept a publish may close the connection without a reason (MQTT 3.1.1), or with little explanation. The next
//! connection sends the publishes again that were in flight, and ends in the same way, for ever. So:
//!
//! 1. If publishes that were in flight at one end are also in flight at the next end, they are sent one at a time. (One end is enough if
//!    its reason is about a publish.)
//! 2. A publish that was in flight alone is a *suspect*. From then on it is tried only in a connection that has been shown to work,
//!    because the broker has accepted another value in it; if need be, a value that it accepted before (the *canary*). Each such end is a
//!    *strike*. If the broker has never accepted any value, suspects are set apart until a value behind them has gone through. If there
//!    is none, suspects are treated like other values again.
//! 3. After enough strikes the suspect is not sent any more, and it becomes a reject as soon as another value goes through.
//!
//! So a broker that is away, or that ends the connection at every value, never causes a reject, because nothing goes through. The state
//! here is lost at a restart, and is then found out again. A reject is stored together with the step of the cursor.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::failure::Blame;

/// The position of a frame, and the place of a value in it.
pub type Place = (u64, iiot_core::Place);

/// How many strikes a reject needs, if the broker gives no reason.
const STRIKES: u8 = 2;
/// The same, if the broker was silent.
const STRIKES_OF_SILENCE: u8 = 3;
/// How many suspects are searched without a delay before any value has gone through; after that the usual delays between connections
/// apply.
const EAGER_SUSPECTS: u32 = 16;
/// How long a publish that is not of the journal is left out after it was found to end connections.
const LEFT_OUT: Duration = Duration::from_secs(3600);

/// A publish that was in flight when a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sent {
    /// A value of the journal.
    Point(Place),
    /// A value that the broker accepted before, sent again.
    Canary,
    /// Outside the journal: its topic.
    Aside(String),
}

#[derive(Debug, Clone, Default)]
struct Suspect {
    strikes: u8,
    /// How many strikes are needed.
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
    /// First show that the broker accepts other values.
    ProveFirst,
    /// Do not send it; the broker will never accept it, for this reason.
    Refuse(String),
}

/// The search.
#[derive(Debug, Default)]
pub struct Trial {
    suspects: BTreeMap<Place, Suspect>,
    /// Frames up to here are sent one publish at a time.
    careful_until: Option<u64>,
    /// The last position that was in flight when a connection ended.
    last_under_way: Option<u64>,
    /// New suspects since a value went through.
    unproven: u32,
    asides: HashMap<String, Accused>,
    canary: Option<(String, Bytes)>,
    /// How many known values have failed as a canary.
    canaries_failed: usize,
}

impl Trial {
    /// Whether nothing is being searched.
    pub fn is_idle(&self) -> bool {
        self.suspects.is_empty() && self.careful_until.is_none()
    }

    /// How many values are suspects.
    pub fn suspects(&self) -> usize {
        self.suspects.len()
    }

    /// Whether this value is a suspect. Then no other value may rely on its retain flag.
    pub fn is_suspect(&self, place: Place) -> bool {
        !self.suspects.is_empty() && self.suspects.contains_key(&place)
    }

    /// A connection begins at this position: settled values are forgotten.
    pub fn begin(&mut self, from: u64) {
        self.suspects = self
            .suspects
            .split_off(&(from, iiot_core::Place::default()));
        self.careful_until = self.careful_until.filter(|until| *until >= from);
    }

    /// Whether the publishes of this frame, and all before them, are sent one at a time.
    pub fn is_careful(&self, position: u64) -> bool {
        let last_suspect = self.suspects.last_key_value().map(|((last, _), _)| *last);
        self.careful_until
            .max(last_suspect)
            .is_some_and(|until| position <= until)
    }

    /// What to do with a value; `is_proven` says whether other values have gone through in this connection.
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

    /// The broker accepted a value: it can serve as the canary from now on.
    pub fn on_accepted(&mut self, place: Place, topic: &str, payload: &Bytes) {
        self.suspects.remove(&place);
        self.canary = Some((topic.to_owned(), payload.clone()));
        self.unproven = 0;
    }

    /// The fate of a value is decided.
    pub fn settle(&mut self, place: Place) {
        self.suspects.remove(&place);
    }

    /// No value is left that could show that the broker accepts values: the suspects are treated like other values, sent one at a time.
    pub fn forget(&mut self) {
        let last = self.suspects.last_key_value().map(|((last, _), _)| *last);
        self.careful_until = self.careful_until.max(last);
        self.suspects.clear();
    }

    /// A value that the broker accepted before, or how many of the known ones to skip.
    pub fn canary(&self) -> Result<(String, Bytes), usize> {
        self.canary.clone().ok_or(self.canaries_failed)
    }

    /// The broker did not accept the canary.
    pub fn on_canary_failed(&mut self) {
        if self.canary.take().is_none() {
            self.canaries_failed += 1;
        }
    }

    /// Why a publish that is not of the journal is left out for now.
    pub fn leaves_out(&self, topic: &str, now: Instant) -> Option<&str> {
        let accused = self.asides.get(topic)?;
        let is_out =
            accused.strikes >= STRIKES && now.saturating_duration_since(accused.last) < LEFT_OUT;
        is_out.then_some(accused.reason.as_str())
    }

    /// The broker refused a publish that is not of the journal, and may end the connection each time.
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

    /// A connection has ended while these publishes were in flight. `next` is the first position that was not sent. True if the search
    /// goes on, and the next connection should come soon.
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
                // Publishes that are in flight at both ends are not behind the last one of either end.
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
