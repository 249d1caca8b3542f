//! Turns acknowledgements into confirmations.

use crate::acknowledge::Answer;
use crate::policy::Topics;
use crate::queue::{Confirmation, KnownTopic, PointReject};
use crate::stage::Point;

/// A confirmation that is built from the entries that leave the sequence, in order.
#[derive(Debug, Default)]
pub struct Tally {
    confirmation: Confirmation,
    frames: u64,
    moved: bool,
    /// The counts of the frame whose end has not come yet.
    open: Open,
    /// Topics that changed, with their newest value.
    topics: Vec<Point>,
    /// By topic: its place in `topics` + 1.
    places: Vec<u32>,
}

#[derive(Debug, Default)]
struct Open {
    rejected: Vec<PointReject>,
    points: u64,
    late_points: u64,
}

impl Tally {
    /// A value was answered.
    pub fn point(&mut self, point: Point, answer: Answer, topics: &Topics) {
        match answer {
            Answer::Rejected(reason) => {
                let topic = point.name(topics).to_owned();
                self.open.rejected.push(PointReject {
                    position: point.position,
                    place: point.value,
                    reason,
                    topic,
                });
            }
            Answer::Accepted => {
                self.open.points += 1;
                self.open.late_points += u64::from(point.late);
                if point.is_kept() {
                    self.keep(point);
                }
            }
        }
    }

    fn keep(&mut self, point: Point) {
        let id = point.topic as usize;
        if self.places.len() <= id {
            self.places.resize(id + 1, 0);
        }
        let Some(place) = self.places.get_mut(id) else {
            return;
        };
        let kept = (*place as usize)
            .checked_sub(1)
            .and_then(|place| self.topics.get_mut(place));
        if let Some(kept) = kept {
            *kept = point;
        } else {
            self.topics.push(point);
            *place = self.topics.len() as u32;
        }
    }

    /// A frame is finished.
    pub fn frame_end(&mut self, position: u64, superseded: bool) {
        let open = std::mem::take(&mut self.open);
        let confirmation = &mut self.confirmation;
        match (open.rejected.is_empty(), superseded) {
            (false, _) => {}
            (true, true) => confirmation.superseded += 1,
            (true, false) => confirmation.delivered += 1,
        }
        confirmation.rejected.extend(open.rejected);
        confirmation.points += open.points;
        confirmation.late_points += open.late_points;
        self.frames += 1;
        self.reach(position, position + 1);
    }

    /// There are no frames up to this position.
    pub fn gap(&mut self, end: u64) {
        self.reach(end, end);
    }

    fn reach(&mut self, begin: u64, end: u64) {
        if !self.moved {
            self.confirmation.begin = begin;
        }
        self.moved = true;
        self.confirmation.end = end;
    }

    /// Frames that wait to be confirmed; `None` if the cursor would not move.
    pub fn frames(&self) -> Option<u64> {
        self.moved.then_some(self.frames)
    }

    /// Take the confirmation, and update `topics` with the confirmed values.
    pub fn take(&mut self, topics: &mut Topics) -> Confirmation {
        let mut confirmation = std::mem::take(&mut self.confirmation);
        self.frames = 0;
        self.moved = false;
        confirmation.topics.reserve(self.topics.len());
        for point in self.topics.drain(..) {
            if let Some(place) = self.places.get_mut(point.topic as usize) {
                *place = 0;
            }
            topics.confirm(
                point.topic,
                &point.payload,
                point.wants_retain,
                point.newest_ns,
            );
            confirmation.topics.push(KnownTopic {
                topic: topics.name(point.topic).to_owned(),
                payload: point.payload.to_vec(),
                retain: point.wants_retain,
                time_ns: point.newest_ns,
            });
        }
        confirmation
    }
}
