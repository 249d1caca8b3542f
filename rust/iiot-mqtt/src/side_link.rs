//! One connection of a `SideConnection`: a small window of publishes, each of which must be answered in time. Kept publishes without an
//! answer are put back.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::{Duration, Instant};

use tokio::select;
use tokio::time::sleep_until;

use crate::checked::Checked;
use crate::client::{Acknowledgement, Events, Form, Limits, QOS_0_ONLY, Requests, Signal};
use crate::config::Protocol;
use crate::destination::topic_fault;
use crate::ended::EndKind;
use crate::failure::{Blame, Failure};
use crate::reasons::{self, Fault, NOT_AUTHORIZED};
use crate::side_desk::{Desk, MAX_WAITING, MAX_WAITING_BYTES, Message, Publish, Refusal};

/// The most publishes that are sent and not acknowledged; every broker accepts more by default.
const WINDOW: usize = 16;

enum Never {}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Connecting,
    Subscribing,
    Standing,
    Leaving,
}

struct UnderWay {
    number: u64,
    publish: Publish,
    /// Known once the client has written it.
    id: Option<u16>,
    since: Instant,
}

pub(crate) struct Link<'a, R> {
    checked: &'a Checked,
    filters: &'a [String],
    desk: &'a Desk,
    requests: R,
    step: Step,
    limits: Limits,
    /// In the order of their sending.
    under_way: VecDeque<UnderWay>,
    began: Instant,
    connected_at: Option<Instant>,
}

impl<'a, R: Requests> Link<'a, R> {
    pub fn new(checked: &'a Checked, filters: &'a [String], desk: &'a Desk, requests: R) -> Self {
        Self {
            checked,
            filters,
            desk,
            requests,
            step: Step::Connecting,
            limits: Limits::NONE,
            under_way: VecDeque::new(),
            began: Instant::now(),
            connected_at: None,
        }
    }

    /// Run until it ends. Returns the reason, and since when there was a CONNACK.
    pub async fn run<E: Events>(mut self, mut events: E) -> (Failure, Option<Instant>) {
        let failure = match self.drive(&mut events).await {
            Ok(never) => match never {},
            Err(failure) => failure,
        };
        for signal in events.left_over() {
            // The first reason counts.
            drop(self.on_signal(signal));
        }
        let accused = self.accused(&failure);
        while let Some(UnderWay {
            number, publish, ..
        }) = self.under_way.pop_back()
        {
            if publish.only_over.is_some() {
                self.desk.forget(number);
            } else if accused.as_deref() == Some(&publish.topic) {
                self.desk.report(Refusal {
                    number,
                    topic: publish.topic,
                    reason: failure.to_string(),
                });
            } else {
                self.desk.put_back(number, publish);
            }
        }
        (failure, self.connected_at)
    }

    /// The publish that is to blame for the ends of connections, if this end shows it.
    fn accused(&self, failure: &Failure) -> Option<String> {
        let sent = self.under_way.iter().filter(|one| one.id.is_some());
        let topics: Vec<&str> = sent.map(|one| one.publish.topic.as_str()).collect();
        if failure.blame == Blame::Nothing || topics.is_empty() {
            return None;
        }
        let is_told = failure.blame == Blame::Value;
        self.desk.accuse(&topics, is_told).map(str::to_owned)
    }

    async fn drive<E: Events>(&mut self, events: &mut E) -> Result<Never, Failure> {
        loop {
            let signal = self.next_signal(events).await?;
            self.on_signal(signal)?;
        }
    }

    /// The pending poll is kept while other events are handled: see [`Events`].
    async fn next_signal<E: Events>(&mut self, events: &mut E) -> Result<Signal, Failure> {
        let mut poll = pin!(events.poll());
        loop {
            self.on_time(Instant::now())?;
            self.pump()?;
            let deadline = self.deadline();
            select! {
                biased;
                signal = poll.as_mut() => return signal,
                () = self.desk.wake.notified() => {}
                () = sleep_until(deadline.into()) => {}
            }
        }
    }

    /// The time by which the broker must have answered its oldest request, and the kind of end if it does not.
    fn answer_by(&self) -> Option<(Instant, EndKind, &'static str)> {
        let config = &self.checked.config;
        match self.step {
            Step::Connecting => Some((
                self.began + config.connect_timeout,
                EndKind::Unreachable,
                "no CONNACK within the connect time-out",
            )),
            Step::Subscribing => self.connected_at.map(|at| {
                let by = at + config.ack_timeout;
                (by, EndKind::AckTimeout, "no SUBACK within the time-out")
            }),
            Step::Standing | Step::Leaving => self.under_way.front().map(|first| {
                let by = first.since + config.ack_timeout;
                (by, EndKind::AckTimeout, "no PUBACK within the time-out")
            }),
        }
    }

    fn deadline(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        let answer = self.answer_by().map(|(by, ..)| by);
        [answer, self.desk.stop_by()]
            .into_iter()
            .flatten()
            .fold(far, Instant::min)
    }

    fn on_time(&mut self, now: Instant) -> Result<(), Failure> {
        if let Some(stop_by) = self.desk.stop_by() {
            if self.step == Step::Connecting || now >= stop_by {
                return Err(Failure::new(EndKind::Stopped, "stopped"));
            }
            let is_done = self.under_way.is_empty() && !self.desk.has_outgoing();
            if is_done && self.step != Step::Leaving {
                self.step = Step::Leaving;
                self.requests.disconnect();
            }
        }
        match self.answer_by() {
            Some((by, kind, what)) if now >= by => Err(Failure::new(kind, what)),
            _ => Ok(()),
        }
    }

    fn pump(&mut self) -> Result<(), Failure> {
        let window = WINDOW.min(usize::from(self.limits.in_flight)).max(1);
        let window_now = || if self.desk.is_careful() { 1 } else { window };
        let form = Form {
            v5: self.checked.config.protocol == Protocol::V5,
            qos: 1,
        };
        while self.step == Step::Standing && self.under_way.len() < window_now() {
            let Some((number, publish)) = self.desk.next_outgoing() else {
                break;
            };
            let bytes = publish.payload.len();
            let retain = publish.retain && self.limits.retain;
            if let Some(fault) = topic_fault(&publish.topic) {
                let reason = format!("the topic {fault}");
                self.give_up(number, publish, EndKind::Refused, reason)?;
                continue;
            }
            let refusal = self.limits.refusal(&publish.topic, bytes, form);
            let payload = publish.payload.clone();
            if refusal.is_none()
                && self
                    .requests
                    .publish(&publish.topic, payload, 1, retain, Vec::new())
            {
                self.under_way.push_back(UnderWay {
                    number,
                    publish,
                    id: None,
                    since: Instant::now(),
                });
            } else {
                let word = refusal.unwrap_or("topic_name_invalid");
                let reason = format!("{word} ({bytes} bytes)");
                self.give_up(number, publish, EndKind::Refused, reason)?;
            }
        }
        Ok(())
    }

    fn give_up(
        &self,
        number: u64,
        publish: Publish,
        kind: EndKind,
        reason: String,
    ) -> Result<(), Failure> {
        let topic = publish.topic;
        if publish.only_over.is_some() {
            self.desk.forget(number);
            return Err(Failure::new(kind, format!("{topic:?}: {reason}")));
        }
        self.desk.report(Refusal {
            number,
            topic,
            reason,
        });
        Ok(())
    }

    fn on_signal(&mut self, signal: Signal) -> Result<(), Failure> {
        match signal {
            Signal::Connected(limits) => {
                self.connected_at = Some(Instant::now());
                if limits.qos == 0 {
                    let detail = format!("the broker does not confirm{QOS_0_ONLY}");
                    return Err(Failure::new(EndKind::Refused, detail));
                }
                self.limits = limits;
                self.step = Step::Subscribing;
                self.requests.subscribe(self.filters.to_vec());
                Ok(())
            }
            Signal::Subscribed(granted) => self.on_subscribed(&granted),
            Signal::Sent(id) => {
                let mut unbound = self.under_way.iter_mut().filter(|one| one.id.is_none());
                if let Some(sent) = unbound.next() {
                    sent.id = Some(id);
                }
                Ok(())
            }
            Signal::Answered(id, acknowledgement) => self.on_answer(id, acknowledgement),
            Signal::Message {
                topic,
                payload,
                retain,
            } => self.on_message(&topic, &payload, retain),
            Signal::Disconnected => Err(Failure::new(EndKind::Stopped, "disconnected")),
            Signal::Other => Ok(()),
        }
    }

    fn on_subscribed(&mut self, granted: &[bool]) -> Result<(), Failure> {
        let mut filters = self.filters.iter().enumerate();
        if let Some((_, denied)) = filters.find(|(at, _)| granted.get(*at) != Some(&true)) {
            return Err(Failure::new(
                EndKind::NotAuthorized,
                format!("the broker does not grant the subscription to {denied:?}"),
            ));
        }
        if self.step == Step::Subscribing {
            self.step = Step::Standing;
        }
        self.desk.stand();
        Ok(())
    }

    fn on_answer(&mut self, id: u16, acknowledgement: Acknowledgement) -> Result<(), Failure> {
        let Some(index) = self.under_way.iter().position(|one| one.id == Some(id)) else {
            return Ok(());
        };
        let (code, reason) = match acknowledgement {
            Acknowledgement::Accepted => {
                if let Some(one) = self.under_way.remove(index) {
                    self.desk.clear(one.number, &one.publish.topic);
                }
                return Ok(());
            }
            Acknowledgement::Refused(code, reason) => (code, reason),
        };
        let kind = match reasons::of_publish(code) {
            // The cause is temporary, or is not the publish: kept publishes stay in flight, and so are put back.
            Some(Fault::Later) => {
                let detail = format!("the broker is at a limit: {reason}");
                return Err(Failure::new(EndKind::Quota, detail));
            }
            Some(Fault::Ours) => {
                return Err(Failure {
                    blame: Blame::Nothing,
                    ..Failure::new(EndKind::Protocol, reason)
                });
            }
            _ if code == NOT_AUTHORIZED => EndKind::NotAuthorized,
            _ => EndKind::Refused,
        };
        let reason = match kind {
            EndKind::NotAuthorized => "not authorised to publish".to_owned(),
            _ => reason,
        };
        match self.under_way.remove(index) {
            Some(refused) => self.give_up(refused.number, refused.publish, kind, reason),
            None => Ok(()),
        }
    }

    fn on_message(&mut self, topic: &[u8], payload: &[u8], retained: bool) -> Result<(), Failure> {
        // Brokers may send retained messages before the SUBACK.
        self.desk.stand();
        let message = Message {
            topic: String::from_utf8_lossy(topic).into_owned(),
            payload: payload.to_vec(),
            retained,
        };
        if self.desk.take_in(message) {
            return Ok(());
        }
        Err(Failure::new(
            EndKind::Refused,
            format!(
                "more than {MAX_WAITING} messages, or {MAX_WAITING_BYTES} bytes of them, wait on the subscribed topics"
            ),
        ))
    }
}
