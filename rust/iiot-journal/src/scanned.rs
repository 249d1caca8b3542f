//! Turns a scanned document into the data that the writer needs to judge it.

use crate::deliveries::Delivery;
use crate::message_ids::MessageId;
use crate::queue::{Documents, Item, Refusal, Telemetry, What};
use crate::receivers::ReceiverId;
use crate::sites::SiteMark;
use iiot_core::Decoded;
use iiot_core::framed::Framed;
use iiot_core::hash::fingerprint;
use iiot_core::quote;
use iiot_core::scan::{Scan, ScanFault, ScanFaultReason};
use iiot_core::snapshot_tag;
use iiot_core::window::Reception;
use std::fmt;
use std::sync::Arc;

/// The tag of a device that names it.
pub(crate) const DEVICE_ID: &str = "device_id";

/// The sequence numbers of a document's nodes, in the form in which windows judge them.
pub(crate) fn receptions(scan: &Scan) -> impl Iterator<Item = Reception> {
    scan.sequences().iter().map(|s| Reception {
        node: fingerprint(scan.node_name(s).as_bytes()),
        boot: s.boot,
        seq: s.seq,
        object: s.object_hash,
        modulus: s.modulus,
    })
}

/// Fingerprint of topic and document; never 0, which means that there is none.
pub(crate) fn of_delivery(topic: Option<&[u8]>, document: &[u8]) -> u64 {
    let topic = fingerprint(topic.unwrap_or_default());
    (fingerprint(document) ^ topic.rotate_left(1)).max(1)
}

/// Add a frame of a stream to the batch for the writer.
pub(crate) fn take(
    documents: &mut Documents,
    framed: &Framed<'_>,
    decoded: Decoded<'_>,
    fault: Option<ScanFault>,
    received_at_ns: i64,
) {
    match *framed {
        Framed::Damaged {
            reason,
            excerpt,
            offset,
            at,
            ..
        } => {
            let refusal = Refusal {
                reason: reason.name(),
                place: format!("byte {offset}, wrong at byte {at}: {reason}"),
                excerpt: quote(excerpt),
            };
            let what = What::Reject {
                refusal,
                receiver: None,
                uptime_ms: None,
                counter: None,
                whole: false,
            };
            let document = documents.keep(excerpt);
            documents.items.push(Item {
                document,
                topic: None,
                device: None,
                message_id: None,
                received_at_ns,
                delivery: None,
                mark: None,
                what,
                value_faults: Vec::new(),
            });
        }
        Framed::Document { bytes, offset, .. } => {
            let document = Document {
                bytes,
                topic: None,
                device: None,
                message_id: None,
                place: format_args!("document at byte {offset}"),
                received_at_ns,
                delivery: None,
                mark: None,
            };
            document.add(documents, decoded, fault);
        }
    }
}

/// A whole document that arrived.
pub(crate) struct Document<'a> {
    pub bytes: &'a [u8],
    pub topic: Option<&'a [u8]>,
    /// The snapshot of its device.
    pub device: Option<&'a [u8]>,
    /// What its sender calls it.
    pub message_id: Option<MessageId>,
    /// Where it was.
    pub place: fmt::Arguments<'a>,
    pub received_at_ns: i64,
    /// How a broker delivered it.
    pub delivery: Option<Delivery>,
    /// The mark that identifies it, if another gateway published it.
    pub mark: Option<SiteMark<'a>>,
}

impl Document<'_> {
    /// Add it to the batch for the writer. Even for a document with a fault, the scan may have found the
    /// node's clock.
    pub(crate) fn add(
        self,
        documents: &mut Documents,
        scan: Decoded<'_>,
        fault: Option<ScanFault>,
    ) {
        let Self { bytes, place, .. } = self;
        let delivery = self
            .delivery
            .map(|delivery| (delivery, of_delivery(self.topic, bytes)));
        let mark = self.mark.map(|mark| documents.keep_mark(&mark));
        if let Some(ScanFaultReason::Ignored { name }) = fault.as_ref().map(|fault| &fault.reason) {
            documents.items.push(Item {
                document: 0..0,
                topic: None,
                device: None,
                message_id: self.message_id,
                received_at_ns: self.received_at_ns,
                delivery,
                mark,
                what: What::Ignored(Arc::clone(name)),
                value_faults: Vec::new(),
            });
            return;
        }
        let device = self.device_key(&scan);
        let receiver = self.receiver(device, &scan);
        let (what, value_faults) = if let Some(fault) = fault {
            let refusal = Refusal {
                reason: fault.reason.name(),
                place: format!("{place}: {fault}"),
                excerpt: quote(bytes),
            };
            let what = What::Reject {
                refusal,
                receiver,
                uptime_ms: scan.uptime_ms(),
                counter: scan.packet_counter(),
                whole: true,
            };
            (what, Vec::new())
        } else {
            let first = documents.receptions.len() as u32;
            documents.receptions.extend(receptions(&scan));
            let first_point = documents.points.len() as u32;
            // A stream whose documents have no times of their own gives every frame a distinct time.
            if self.topic.is_some()
                || self.device.is_some()
                || scan.has_points()
                || scan.time().is_some()
            {
                scan.keys(&mut documents.points);
            }
            let may_repeat = scan.sequences().is_empty() && !scan.repeats_are_real();
            let telemetry = Telemetry {
                time: scan.time(),
                points: first_point..documents.points.len() as u32,
                device,
                receiver,
                fingerprint: may_repeat.then(|| of_delivery(self.topic, bytes)),
                age_ms: scan.age_ms(),
                uptime_ms: scan.uptime_ms(),
                counter: scan.packet_counter(),
                receptions: first..documents.receptions.len() as u32,
            };
            let faults = scan.value_faults().iter().map(|f| Refusal {
                reason: f.reason.name(),
                place: format!("{place}, {}: {}", f.path, f.reason),
                excerpt: quote(bytes.get(f.start..f.end).unwrap_or_default()),
            });
            (What::Telemetry(telemetry), faults.collect())
        };
        let item = Item {
            document: documents.keep(bytes),
            topic: self.topic.map(|topic| documents.keep(topic)),
            device: self.device.map(|device| documents.keep_device(device)),
            message_id: self.message_id,
            received_at_ns: self.received_at_ns,
            delivery,
            mark,
            what,
            value_faults,
        };
        documents.items.push(item);
    }

    /// A stream has one receiver. Topics without a clock have none of their own: there the profile's name of a node says which node it is.
    fn receiver(&self, device: u64, scan: &Decoded<'_>) -> Option<ReceiverId> {
        let has_clock = scan.has_clock();
        let is_own = match (self.device, self.topic) {
            // Devices of one kind have the same profile, and so give their nodes the same names.
            (Some(_), _) => has_clock || !scan.sequences().is_empty(),
            (None, Some(_)) => has_clock,
            (None, None) => false,
        };
        is_own.then_some(ReceiverId {
            key: device.max(1),
            has_clock,
        })
    }

    /// Fingerprint of what names the device whose clock the document has: the profile's `device`, the registered device, or the topic.
    fn device_key(&self, scan: &Decoded<'_>) -> u64 {
        // A registered device has one clock, whatever topics it uses.
        let registered = self
            .device
            .and_then(|device| snapshot_tag(device, DEVICE_ID))
            .map(|id| fingerprint(id).rotate_left(1));
        match (scan.device(), registered) {
            (Some(named), Some(registered)) => named ^ registered,
            (named, registered) => named
                .or(registered)
                .unwrap_or_else(|| fingerprint(self.topic.unwrap_or_default())),
        }
    }
}
