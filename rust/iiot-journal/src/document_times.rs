//! The times of an accepted document: from its own time, its node's clock, or its arrival. Also decides whether it is a repeat.

use crate::commit::Group;
use crate::memory::{Said, Stamping};
use crate::queue::{Documents, Item, Telemetry};
use crate::row::NewTimes;
use crate::source::{Change, Clocks, Source};
use iiot_core::clock::{Stamp, StampClock};
use iiot_core::series_times::STEP_NS;

impl Group {
    /// The time of a document that has none of its own: in a recording it follows the node's clock, otherwise it is the arrival.
    ///
    /// In a recording with a start, the first document that has a time of its node gets the start. A document without a node time gets the time of the
    /// document before it. If there is none before it, it gets a time `lead_ns` before the start, so that it does not move the first one.
    pub(crate) fn stamp(
        &mut self,
        source: &Source,
        clocks: &mut Clocks,
        received_at_ns: i64,
        node_ms: Option<i64>,
        lead_ns: i64,
    ) -> i64 {
        let clock_ns = match (source.rules.start_ns, node_ms) {
            (Some(start), Some(ms)) => start.saturating_add(ms.saturating_mul(1_000_000)),
            (Some(start), None) if clocks.seeded => start.saturating_sub(lead_ns),
            (Some(start), None) => start
                .saturating_sub(lead_ns)
                .max(clocks.stamp.last_clock_ns),
            (None, _) => received_at_ns,
        };
        if std::mem::take(&mut clocks.seeded) && clock_ns < clocks.stamp.last_clock_ns {
            // It has arrival times of its own, which lie before the recording that was played last, so there are no times to avoid.
            clocks.stamp = StampClock::default();
        }
        let stamp = clocks.stamp.stamp(clock_ns, source.rules.step_ns);
        self.tell_fall(source, stamp);
        stamp.ns
    }

    /// Count it if the host's clock was set back.
    fn tell_fall(&mut self, source: &Source, stamp: Stamp) {
        if stamp.fell_back && !source.rules.recording {
            self.count("clock_falls", 1);
            self.notes.push(format!(
                "clock_fell_back: source {} now stamps {}",
                source.name, stamp.ns
            ));
        }
    }

    /// The times of a document; none if it is a repeat.
    pub(crate) fn times(
        &mut self,
        source: &Source,
        change: &mut Change,
        documents: &Documents,
        (item, t): (&Item, &Telemetry),
        node_ms: Option<i64>,
    ) -> Option<NewTimes> {
        let received_at_ns = item.received_at_ns;
        let points = documents
            .points
            .get(t.points.start as usize..t.points.end as usize)
            .unwrap_or_default();
        if points.is_empty() {
            // Readings of one node are further apart than the error of its ages, so their times stay distinct.
            let stamp_ns = self.stamp(source, &mut change.clocks, received_at_ns, node_ms, 0);
            let then_ns = source.rules.belief.earlier(stamp_ns, t.age_ms);
            if then_ns.is_none() {
                self.not_believed(&source.name);
            }
            return Some(NewTimes::at(then_ns.unwrap_or(stamp_ns), received_at_ns));
        }
        let later_ms = points.iter().map(|point| point.later_ms).max();
        let moved_ns = i64::from(later_ms.unwrap_or(0)).saturating_mul(STEP_NS);
        let said = Said {
            points,
            time: t.time,
            device: t.device,
            document: t.fingerprint.filter(|_| source.rules.window_ms > 0),
            belief: source.rules.belief,
            received_at_ns,
            beside_own: source.rules.has_times,
            given_ns: item.mark.as_ref().map(|mark| mark.time_ns),
            is_shared: source.rules.is_shared,
        };
        let Change { clocks, memory, .. } = change;
        let mut given = if source.rules.start_ns.is_some() {
            let mut by_source = || self.stamp(source, clocks, received_at_ns, node_ms, 0);
            let stamping = Stamping::Source(&mut by_source);
            source.memory.judge(memory, &said, stamping, false)?
        } else {
            clocks.seeded = false;
            let held = clocks.stamp.hold(received_at_ns);
            self.tell_fall(source, held);
            if held.fell_back {
                memory.fell_back(&source.memory);
            }
            let last_ns = clocks.stamp.last_stamp_ns;
            let clock_ns = if moved_ns > 0 && !held.fell_back {
                // Documents before it whose values were not moved may have its time.
                let behind_ns = last_ns.saturating_add(source.rules.step_ns);
                held.ns.max(behind_ns)
            } else {
                held.ns
            };
            let stamping = Stamping::Arrival {
                clock_ns,
                step_ns: source.rules.step_ns,
            };
            let given = source.memory.judge(memory, &said, stamping, false)?;
            let last = &mut clocks.stamp.last_stamp_ns;
            *last = (*last).max(held.ns);
            given
        };
        let not_remembered = memory.take_not_remembered();
        if not_remembered > 0 {
            self.count("times_not_remembered", not_remembered as i64);
        }
        if given.is_stamped {
            let stamp_ns = given.times.time_ns;
            if moved_ns > 0 {
                // The next document must not get the times of values that were moved.
                let last = &mut clocks.stamp.last_stamp_ns;
                *last = (*last).max(stamp_ns.saturating_add(moved_ns));
            }
            // A document with a time of its own says with it when its values were measured.
            match source.rules.belief.earlier(stamp_ns, t.age_ms) {
                Some(then_ns) => given.times.time_ns = then_ns,
                None => given.is_doubted = true,
            }
        }
        if given.is_doubted {
            self.not_believed(&source.name);
        }
        Some(given.times)
    }

    /// Count a document of which a time or an age cannot be right.
    pub(crate) fn not_believed(&mut self, source: &str) {
        self.count(format!("time_not_believed:{source}"), 1);
    }
}
