//! Judges documents: each becomes a frame, a duplicate or a reject. The writer does this in the order of arrival.

use crate::commit::{Group, NewFrame};
use crate::error::Result;
use crate::message_ids::Named;
use crate::queue::{Documents, Item, Refusal, Telemetry, What};
use crate::reject::NewReject;
use crate::report::Outcome;
use crate::row::NewTimes;
use crate::row_builder::Envelope;
use crate::source::{Change, Source};
use crate::state::State;
use std::sync::Arc;

/// Room before the start of a recording for documents without anything usable that come before the first one with a node time:
/// a thousand fit, a millisecond apart.
const LEAD_NS: i64 = 1_000_000_000;

/// A document or value that the intake refuses.
struct Rejected<'a> {
    kind: &'static str,
    refusal: &'a Refusal,
    time_ns: i64,
    received_at_ns: i64,
    envelope: Envelope<'a>,
    /// The whole document, if it may be offered again.
    document: Option<Vec<u8>>,
    /// The position of the frame that contained the refused value.
    position: Option<u64>,
}

impl Group {
    /// Judge the documents of one push.
    pub(crate) fn documents(
        &mut self,
        state: &State,
        at: usize,
        documents: &Documents,
    ) -> Result<()> {
        let Some(source) = state.sources.get(at) else {
            return Ok(());
        };
        let mut change = self.changes.remove(&at).unwrap_or_else(|| source.change());
        let deliveries = &source.memory.deliveries;
        change.memory.deliveries.forget(&documents.forgotten);
        if let Some(redelivery) = documents.resumed {
            deliveries.resume(&mut change.memory.deliveries, redelivery);
        }
        let mut outcomes = Vec::new();
        for item in &documents.items {
            let outcome = self.named(state, source, &mut change, documents, item)?;
            if documents.report.is_some() {
                outcomes.push(outcome);
            }
        }
        if let Some(report) = &documents.report {
            self.reports.push((Arc::clone(report), outcomes));
        }
        if std::mem::take(&mut change.memory.deliveries.is_unmarked) {
            self.notes.push(format!(
                "unmarked_redelivery: the broker of {} seems to send messages again without MQTT's DUP flag (as Artemis does), and they were taken a second time; if so, set redelivery = \"unmarked\"",
                source.name
            ));
        }
        change.clocks.position = change.clocks.position.max(documents.settled);
        change.clocks.finished |= documents.finished;
        self.changes.insert(at, change);
        Ok(())
    }

    /// Judge an item. Its message id is checked before everything else.
    fn named(
        &mut self,
        state: &State,
        source: &Source,
        change: &mut Change,
        documents: &Documents,
        item: &Item,
    ) -> Result<Outcome> {
        let (Some(id), Some(ids)) = (item.message_id, &source.message_ids) else {
            return self.item(state, source, change, documents, item);
        };
        match ids.judge(&mut change.message_ids, id, item.received_at_ns) {
            Named::Again { was_rejected } => {
                self.count("received", 1);
                self.count("duplicate", 1);
                return Ok(if was_rejected {
                    Outcome::Rejected
                } else {
                    Outcome::Duplicate
                });
            }
            Named::Otherwise => {
                self.skip("message_id_conflict");
                return Ok(Outcome::Conflict);
            }
            Named::NoRoom => {
                self.skip("too_many_message_ids");
                return Ok(Outcome::Refused);
            }
            Named::New => {}
        }
        let outcome = self.item(state, source, change, documents, item)?;
        let was_rejected = outcome == Outcome::Rejected;
        change
            .message_ids
            .add(id, was_rejected, item.received_at_ns);
        Ok(outcome)
    }

    fn skip(&mut self, why: &'static str) {
        self.count("skipped", 1);
        self.count(format!("skipped:{why}"), 1);
    }

    fn item(
        &mut self,
        state: &State,
        source: &Source,
        change: &mut Change,
        documents: &Documents,
        item: &Item,
    ) -> Result<Outcome> {
        let is_counted = !matches!(item.what, What::Ignored(_) | What::Skipped(_));
        if is_counted {
            self.count("received", 1);
        }
        if let Some((delivery, fingerprint)) = item.delivery {
            let deliveries = &source.memory.deliveries;
            let delta = &mut change.memory.deliveries;
            if deliveries.is_known(delta, delivery, fingerprint, item.received_at_ns) {
                if is_counted {
                    self.count("duplicate", 1);
                }
                return Ok(Outcome::Duplicate);
            }
            let topic = documents.topic(item).unwrap_or_default();
            if delivery.retained
                && !matches!(item.what, What::Skipped(_))
                && deliveries.was_taken(delta, iiot_core::hash::fingerprint(topic), fingerprint)
            {
                self.count("duplicate", 1);
                return Ok(Outcome::Duplicate);
            }
        }
        match &item.what {
            What::Ignored(name) => {
                self.count("ignored", 1);
                self.count(format!("ignored:{name}"), 1);
                Ok(Outcome::Ignored)
            }
            What::Skipped(why) => {
                self.skip(why);
                Ok(Outcome::Ignored)
            }
            What::Telemetry(telemetry) => {
                if let Some(mark) = documents.mark(item) {
                    state.sites.note(&state.db, &mut self.sites, &mark)?;
                }
                self.telemetry(state, source, change, documents, item, telemetry)
            }
            What::Reject {
                refusal,
                receiver,
                uptime_ms,
                counter,
                whole,
            } => {
                let given_ns = item.mark.as_ref().map(|mark| mark.time_ns);
                let time_ns = if let (Some(given_ns), true) = (given_ns, *whole) {
                    given_ns
                } else if *whole {
                    let receiver = source.receiver(change, *receiver, uptime_ms.is_some());
                    let at_ns = item.received_at_ns;
                    let node_ms = source.advance(change, receiver, *uptime_ms, *counter, at_ns);
                    let clocks = &mut change.clocks;
                    self.stamp(source, clocks, item.received_at_ns, node_ms, LEAD_NS)
                } else {
                    // It is never offered again, so it does not occupy a time.
                    item.received_at_ns
                };
                self.count("rejected", 1);
                self.count(format!("rejected:{}", refusal.reason), 1);
                let document = whole.then(|| documents.document(item).to_vec());
                let rejected = Rejected {
                    kind: "document",
                    refusal,
                    time_ns,
                    received_at_ns: item.received_at_ns,
                    envelope: documents.envelope(item),
                    document,
                    position: None,
                };
                self.reject(source, rejected);
                Ok(Outcome::Rejected)
            }
        }
    }

    fn reject(&mut self, source: &Source, rejected: Rejected<'_>) {
        let Rejected {
            kind,
            refusal,
            time_ns,
            received_at_ns,
            envelope,
            document,
            position,
        } = rejected;
        self.rejects.push(NewReject {
            sink: None,
            source: source.name.clone(),
            origin: Some(source.rules.origin),
            position,
            point: None,
            field: None,
            topic: envelope
                .topic
                .map(|topic| String::from_utf8_lossy(topic).into()),
            device: envelope.device.map(<[u8]>::to_vec),
            reason: refusal.reason.to_owned(),
            place: refusal.place.clone(),
            excerpt: refusal.excerpt.clone(),
            kind,
            times: NewTimes::at(time_ns, received_at_ns),
            document,
        });
    }

    fn telemetry(
        &mut self,
        state: &State,
        source: &Source,
        change: &mut Change,
        documents: &Documents,
        item: &Item,
        t: &Telemetry,
    ) -> Result<Outcome> {
        let receptions = documents
            .receptions
            .get(t.receptions.start as usize..t.receptions.end as usize)
            .unwrap_or_default();
        let receiver = source.receiver(change, t.receiver, t.uptime_ms.is_some());
        let at_ns = item.received_at_ns;
        let node_ms = source.advance(change, receiver, t.uptime_ms, t.counter, at_ns);
        let window_ms = node_ms.or_else(|| source.now_ms(change, receiver, t.receiver, at_ns));
        let is_duplicate = window_ms.is_some_and(|window_ms| {
            source.window.is_duplicate(
                &change.delta,
                receiver,
                receptions,
                window_ms,
                source.rules.window_ms,
            )
        });
        let times = if is_duplicate {
            None
        } else {
            self.times(source, change, documents, (item, t), node_ms)
        };
        let Some(times) = times else {
            self.count("duplicate", 1);
            self.count_receptions(&source.name, receptions, false);
            return Ok(Outcome::Duplicate);
        };
        if let Some(window_ms) = window_ms {
            let delta = &mut change.delta;
            source.window.accept(delta, receiver, receptions, window_ms);
        } else {
            change.delta.not_remembered += receptions.len() as u64;
        }
        self.count_noted(&source.name, &mut change.delta);
        self.count_receptions(&source.name, receptions, true);
        self.count("accepted", 1);
        let frame = NewFrame {
            times: &times,
            envelope: documents.envelope(item),
            document: documents.document(item),
        };
        let position = self.append(state, source.rules.origin, source.rules.supply, frame)?;
        for fault in &item.value_faults {
            self.count("values_rejected", 1);
            let rejected = Rejected {
                kind: "value",
                refusal: fault,
                time_ns: times.time_ns,
                received_at_ns: item.received_at_ns,
                envelope: documents.envelope(item),
                document: None,
                position: Some(position),
            };
            self.reject(source, rejected);
        }
        Ok(Outcome::Accepted)
    }
}
