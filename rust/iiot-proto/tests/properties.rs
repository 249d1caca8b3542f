//! Properties of packets and of the state machines, on inputs that proptest generates and shrinks.

use crate::packets::{packet, reading};
use iiot_proto::airtime::Modulation;
use iiot_proto::duty::{DEFAULT_EU868_HZ, Duty, DutyRule};
use iiot_proto::link::{ACK_FRAME_BYTES, Incoming, Poll, Receiver, Sender, SenderConfig, Uplink};
use iiot_proto::packet::{MAX_PACKET_BYTES, Packet, Payload, Reading};
use proptest::prelude::*;

/// A step in the life of a sender and its receiver.
#[derive(Clone, Copy, Debug)]
enum Step {
    Offer,
    Wait(u16),
    /// The sender is polled. The fields say whether its frame and the acknowledgement arrive.
    Poll {
        frame_arrives: bool,
        ack_arrives: bool,
    },
    /// A frame that was on air before arrives again.
    Echo(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => Just(Step::Offer),
        3 => (0_u16..2_000).prop_map(Step::Wait),
        1 => (0_u16..u16::MAX).prop_map(Step::Wait),
        6 => any::<(bool, bool)>().prop_map(|(frame_arrives, ack_arrives)| Step::Poll { frame_arrives, ack_arrives }),
        1 => any::<u8>().prop_map(Step::Echo),
    ]
}

proptest! {
    /// Decoding reverses encoding, and no packet is longer than the maximum.
    #[test]
    fn packets_survive_the_wire(packet in packet()) {
        let mut buffer = [0; MAX_PACKET_BYTES];
        let length = packet.encode(&mut buffer).unwrap();
        prop_assert_eq!(Packet::decode(&buffer[..length]), Ok(packet));
    }

    /// A buffer that is too short is refused, and nothing is written after its end.
    #[test]
    fn short_buffers_are_refused(packet in packet(), room in 0..MAX_PACKET_BYTES) {
        let mut whole = [0; MAX_PACKET_BYTES];
        let length = packet.encode(&mut whole).unwrap();
        prop_assert_eq!(packet.encode(&mut vec![0; room]).is_ok(), room >= length);
    }

    /// Up to three flipped bits never turn a packet into another one.
    #[test]
    fn flipped_bits_are_found(packet in packet(), flips in prop::collection::vec(any::<prop::sample::Index>(), 1..=3)) {
        let mut buffer = [0; MAX_PACKET_BYTES];
        let length = packet.encode(&mut buffer).unwrap();
        let bits: std::collections::BTreeSet<usize> = flips.iter().map(|flip| flip.index(length * 8)).collect();
        for bit in bits {
            buffer[bit / 8] ^= 1 << (bit % 8);
        }
        prop_assert!(Packet::decode(&buffer[..length]).is_err());
    }

    /// Any bytes are either a packet, or an error whose offset lies within them. A packet encodes to the same bytes.
    #[test]
    fn any_bytes_are_a_packet_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        match Packet::decode(&bytes) {
            Err(error) => prop_assert!(error.at <= bytes.len()),
            Ok(packet) => {
                let mut buffer = [0; MAX_PACKET_BYTES];
                let length = packet.encode(&mut buffer).unwrap();
                prop_assert_eq!(&buffer[..length], &bytes[..]);
            }
        }
    }

    /// Whatever is lost and repeated, nothing is delivered twice, every acknowledged packet was delivered, and the counts balance.
    #[test]
    fn the_link_keeps_its_promises(
        steps in prop::collection::vec(step(), 0..400),
        first in reading(),
        random in any::<u32>(),
    ) {
        let rule = DutyRule::eu868(DEFAULT_EU868_HZ, 125_000).unwrap();
        let config = SenderConfig { address: 1, gateway: 2, boot: 7, modulation: Modulation::DEFAULT };
        let (mut sender, mut receiver) = (Sender::<8>::new(config), Receiver::<2>::new(2));
        let mut duty = Duty::full(rule, 0);
        let (mut now_ms, mut offered, mut delivered) = (0_u64, Vec::new(), std::collections::BTreeSet::new());
        let mut aired: Vec<Vec<u8>> = Vec::new();

        for (at, step) in steps.into_iter().enumerate() {
            let random = random.wrapping_mul(at as u32 | 1);
            let mut arriving = None;
            let mut hears_ack = false;
            match step {
                Step::Offer => {
                    let reading = Reading { battery_mv: Some(at as u16), age_ms: 0, ..first };
                    let seq = sender.offer(Uplink::Reading(reading), now_ms).unwrap();
                    prop_assert_eq!(usize::from(seq), offered.len());
                    offered.push((reading, now_ms));
                }
                Step::Wait(ms) => now_ms += u64::from(ms),
                Step::Poll { frame_arrives, ack_arrives } => {
                    let mut buffer = [0; MAX_PACKET_BYTES];
                    match sender.poll(now_ms, random, &mut duty, &mut buffer) {
                        Poll::Transmit { bytes, to } => {
                            prop_assert_eq!(to, 2);
                            aired.push(buffer[..bytes].to_vec());
                            arriving = frame_arrives.then(|| buffer[..bytes].to_vec());
                            hears_ack = ack_arrives;
                        }
                        Poll::Wait { until_ms } => prop_assert!(until_ms > now_ms),
                        Poll::Idle => prop_assert_eq!(sender.kept(), 0),
                    }
                }
                Step::Echo(which) => arriving = aired.get(usize::from(which)).cloned(),
            }
            let Some(frame) = arriving else { continue };
            let ack = match receiver.receive(&frame, -50, 9, now_ms) {
                Incoming::Delivered { packet, ack } => {
                    let Payload::Reading(got) = packet.payload else { panic!("only readings were offered") };
                    prop_assert!(delivered.insert(packet.header.seq), "delivered twice");
                    let (reading, measured_ms) = offered[usize::from(packet.header.seq)];
                    prop_assert_eq!(Reading { age_ms: 0, ..got }, reading);
                    prop_assert!(u64::from(got.age_ms) <= now_ms - measured_ms);
                    ack
                }
                Incoming::Repeat { header, ack } => {
                    prop_assert!(delivered.contains(&header.seq));
                    ack
                }
                other => panic!("{other:?}"),
            };
            if hears_ack {
                let mut buffer = [0; ACK_FRAME_BYTES];
                ack.unwrap().encode(false, &mut buffer).unwrap();
                sender.receive(&Packet::decode(&buffer).unwrap(), now_ms, random);
            }
        }
        let counters = sender.counters();
        prop_assert_eq!(counters.offered, counters.acknowledged + counters.dropped() + sender.kept() as u32);
        prop_assert!(counters.acknowledged as usize <= delivered.len());
        prop_assert!(sender.kept() <= 8);
    }
}
