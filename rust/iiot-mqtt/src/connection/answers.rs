//! Handles the broker's answers: the outcome of the answered publish, and of refused publishes when another one goes
//! through.

use std::time::Instant;

use super::Session;
use crate::acknowledge::Answer;
use crate::client::{Acknowledgement, Requests};
use crate::ended::EndKind;
use crate::failure::{Blame, Failure};
use crate::reasons::{self, Fault, NOT_AUTHORIZED};
use crate::stage::{Aside, Item, Point};

/// The kind of a refused publish.
enum Refused {
    /// A value, with its topic.
    Value(String),
    Canary,
    /// It closes a window, so nothing is confirmed without it.
    Marker,
    Aside(String),
}

impl<R: Requests> Session<'_, R> {
    pub(super) fn on_answer(
        &mut self,
        id: u16,
        acknowledgement: Acknowledgement,
    ) -> Result<(), Failure> {
        self.answers += 1;
        self.is_answered = true;
        let now = Instant::now();
        match acknowledgement {
            Acknowledgement::Accepted => self.on_accepted(id, now),
            Acknowledgement::Refused(code, reason) => self.on_refused(id, code, reason, now)?,
        }
        while let Some((item, answer)) = self.unacknowledged.pop() {
            self.on_done(item, answer, now);
        }
        if self.is_proven && self.unacknowledged.apart() > 0 {
            return Err(Failure::new(
                EndKind::Search,
                "a publish by which an earlier connection ended is tried again",
            ));
        }
        Ok(())
    }

    fn on_accepted(&mut self, id: u16, now: Instant) {
        let is_searching =
            !self.context.memory.trial.is_idle() || self.unacknowledged.refused() > 0;
        let memory = &mut *self.context.memory;
        let is_value = match self.unacknowledged.waiting(id) {
            Some(Item::Point(point)) => {
                let topic = point.name(&memory.topics);
                if memory.terms.is_denied() {
                    memory.terms.allow(topic);
                }
                if is_searching {
                    memory
                        .trial
                        .on_accepted(point.place(), topic, &point.payload);
                }
                true
            }
            Some(Item::Aside { aside, topic }) => match aside {
                Aside::Canary => true,
                Aside::WindowMarker => {
                    // It stands for the values before it.
                    let before = self
                        .unacknowledged
                        .under_way()
                        .take_while(|item| !closes(item));
                    let last = before.filter_map(value).last();
                    if let Some(point) = last.filter(|_| is_searching) {
                        let topic = point.name(&memory.topics);
                        memory
                            .trial
                            .on_accepted(point.place(), topic, &point.payload);
                    }
                    last.is_some()
                }
                _ => {
                    memory.trial.on_aside_accepted(topic);
                    false
                }
            },
            _ => false,
        };
        if self.unacknowledged.accept(id, now) && is_value {
            self.is_proven = true;
            self.unacknowledged.believe();
        }
    }

    fn on_refused(
        &mut self,
        id: u16,
        code: u8,
        reason: String,
        now: Instant,
    ) -> Result<(), Failure> {
        let what = match self.unacknowledged.waiting(id) {
            Some(Item::Point(point)) => {
                Refused::Value(point.name(&self.context.memory.topics).to_owned())
            }
            Some(Item::Aside { aside, topic }) => match aside {
                Aside::Canary => Refused::Canary,
                Aside::WindowMarker => Refused::Marker,
                _ => Refused::Aside(topic.to_string()),
            },
            _ => return Ok(()),
        };
        let fault = reasons::of_publish(code).unwrap_or(Fault::Unclear);
        let end = |kind, detail| {
            Err(Failure {
                code: Some(code),
                ..Failure::new(kind, detail)
            })
        };
        let at = match &what {
            Refused::Value(topic) => format!(" (topic {topic:?})"),
            _ => String::new(),
        };
        match (fault, what) {
            (Fault::Later, _) => end(
                EndKind::Quota,
                format!("the broker is at a limit: {reason}{at}"),
            ),
            (Fault::Ours, _) => Err(Failure {
                blame: Blame::Nothing,
                ..Failure::new(EndKind::Protocol, format!("{reason}{at}"))
            }),
            (Fault::Session, Refused::Value(topic)) if code == NOT_AUTHORIZED => {
                if !self.context.memory.terms.deny(&topic, now) {
                    return end(
                        EndKind::NotAuthorized,
                        format!("not authorised to publish{at}"),
                    );
                }
                self.unacknowledged.refuse(id, reason, now);
                Ok(())
            }
            (_, Refused::Aside(topic)) if fault != Fault::Session || code == NOT_AUTHORIZED => {
                let why = if code == NOT_AUTHORIZED {
                    "not authorised to publish availability, health or a retained value".to_owned()
                } else {
                    format!("{topic:?} was refused: {reason}")
                };
                self.context.memory.trial.leave_out(&topic, &why, now);
                self.context.shared.fail(why);
                self.unacknowledged.accept(id, now);
                Ok(())
            }
            (Fault::Session, _) => {
                let kind = if code == NOT_AUTHORIZED {
                    EndKind::NotAuthorized
                } else {
                    EndKind::Refused
                };
                end(kind, format!("the broker refuses publishes: {reason}{at}"))
            }
            (Fault::Value | Fault::Unclear, Refused::Value(_)) => {
                self.unacknowledged.refuse(id, reason, now);
                Ok(())
            }
            (_, Refused::Canary) => {
                self.context.memory.trial.on_canary_failed();
                end(
                    EndKind::Refused,
                    format!(
                        "the broker refuses every publish, also a value that it took before: {reason}; look at the broker's log"
                    ),
                )
            }
            (_, Refused::Marker | Refused::Aside(_)) => end(
                EndKind::Refused,
                format!("the broker refuses the publish that closes a window of QoS 0: {reason}"),
            ),
        }
    }

    pub(super) fn on_done(&mut self, item: Item, answer: Answer, now: Instant) {
        match item {
            Item::Point(point) => {
                if let Answer::Rejected(reason) = &answer {
                    let topic = point.name(&self.context.memory.topics);
                    self.context.shared.reject(topic, reason);
                    self.context.memory.trial.settle(point.place());
                    self.repairs.push((point.topic, point.position));
                } else if !self.context.memory.trial.is_idle() {
                    self.context.memory.trial.settle(point.place());
                }
                self.tally.point(point, answer, &self.context.memory.topics);
            }
            Item::FrameEnd {
                position,
                superseded,
            } => {
                self.tally.frame_end(position, superseded);
                self.tally_since.get_or_insert(now);
            }
            Item::Gap { end } => {
                self.tally.gap(end);
                self.tally_since.get_or_insert(now);
            }
            Item::Aside {
                aside: Aside::Offline,
                ..
            } => self.leave(),
            Item::Aside { .. } => {}
        }
    }
}

fn closes(item: &Item) -> bool {
    matches!(
        item,
        Item::Aside {
            aside: Aside::WindowMarker,
            ..
        }
    )
}

fn value(item: &Item) -> Option<&Point> {
    match item {
        Item::Point(point) => Some(point),
        _ => None,
    }
}
