//! The gateway's side of the link: it accepts undamaged packets, delivers each once, and acknowledges each every time.

use crate::link::timing::ACK_FRAME_BYTES;
use crate::link::window::{Admission, Window};
use crate::packet::{
    self, Ack, DecodeError, EncodeError, Flags, Header, Packet, PacketType, Payload,
};

/// An acknowledgement that should be sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckDue {
    /// The address of the node that waits for the acknowledgement.
    pub node: u8,
    header: Header,
    ack: Ack,
}

impl AckDue {
    /// Write the acknowledgement, which also says whether a command follows. Returns its length, [`ACK_FRAME_BYTES`].
    pub fn encode(
        &self,
        command_pending: bool,
        buffer: &mut [u8; ACK_FRAME_BYTES],
    ) -> Result<usize, EncodeError> {
        let header = Header {
            flags: Flags::NONE.with_if(Flags::CMD_PENDING, command_pending),
            ..self.header
        };
        Packet {
            header,
            payload: Payload::Ack(self.ack),
        }
        .encode(buffer)
    }
}

/// What a received frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A packet that was not received before.
    Delivered {
        /// The packet.
        packet: Packet,
        /// The acknowledgement to send, if the packet requested one.
        ack: Option<AckDue>,
    },
    /// A packet that was delivered before; its acknowledgement was lost.
    Repeat {
        /// The header of the packet.
        header: Header,
        /// The acknowledgement to send, if the packet requested one.
        ack: Option<AckDue>,
    },
    /// An undamaged packet whose payload is invalid. It is acknowledged; otherwise its sender would send it for ever.
    Rejected {
        /// The header of the packet.
        header: Header,
        /// The fault in the payload.
        error: DecodeError,
        /// The acknowledgement to send, if the packet requested one.
        ack: Option<AckDue>,
    },
    /// A frame that was damaged on air, or that has another version. It gets no answer.
    Damaged(DecodeError),
    /// A packet for another address, or one of a type that gateways do not accept.
    NotForUs,
}

/// The counts of received frames. The first five add up to everything that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReceiverCounters {
    /// The number of new packets.
    pub delivered: u32,
    /// The number of packets that were delivered before.
    pub repeated: u32,
    /// The number of undamaged packets with an invalid payload.
    pub rejected: u32,
    /// The number of damaged frames.
    pub damaged: u32,
    /// The number of packets for another address, or of a type that gateways do not accept.
    pub not_for_us: u32,
    /// The number of repeats that are too old: no honest node would send them.
    pub stale: u32,
    /// The number of runs of nodes that were forgotten because there was no space to remember more.
    pub forgotten: u32,
}

/// The receiving side of a gateway node, which remembers `N` runs of nodes.
///
/// With space for two runs per node, every node can restart without causing the run of another node to be forgotten.
#[derive(Clone, Debug)]
pub struct Receiver<const N: usize> {
    address: u8,
    windows: [Option<Window>; N],
    counters: ReceiverCounters,
}

impl<const N: usize> Receiver<N> {
    /// A receiver that has not heard any node yet.
    pub const fn new(address: u8) -> Self {
        Self {
            address,
            windows: [None; N],
            counters: ReceiverCounters {
                delivered: 0,
                repeated: 0,
                rejected: 0,
                damaged: 0,
                not_for_us: 0,
                stale: 0,
                forgotten: 0,
            },
        }
    }

    /// The counts of received frames.
    pub const fn counters(&self) -> ReceiverCounters {
        self.counters
    }

    /// Process a frame from the radio.
    pub fn receive(&mut self, frame: &[u8], rssi_dbm: i16, snr_db: i8, now_ms: u64) -> Incoming {
        let envelope = match packet::open(frame) {
            Ok(envelope) => envelope,
            Err(error) => {
                count(&mut self.counters.damaged);
                return Incoming::Damaged(error);
            }
        };
        let header = envelope.header();
        let is_uplink = matches!(
            envelope.packet_type(),
            PacketType::Reading | PacketType::Info | PacketType::Answer
        );
        if header.dst != self.address || !is_uplink {
            count(&mut self.counters.not_for_us);
            return Incoming::NotForUs;
        }
        let ack = header.flags.has(Flags::ACK_REQ).then(|| AckDue {
            node: header.src,
            header: Header {
                flags: Flags::NONE,
                src: self.address,
                dst: header.src,
                boot: header.boot,
                seq: header.seq,
            },
            ack: Ack::new(rssi_dbm, snr_db),
        });
        let admission = self.admit(header, now_ms);
        if admission != Admission::New {
            count(&mut self.counters.repeated);
            if admission == Admission::Stale {
                count(&mut self.counters.stale);
            }
            return Incoming::Repeat { header, ack };
        }
        match envelope.payload() {
            Ok(payload) => {
                count(&mut self.counters.delivered);
                Incoming::Delivered {
                    packet: Packet { header, payload },
                    ack,
                }
            }
            Err(error) => {
                count(&mut self.counters.rejected);
                Incoming::Rejected { header, error, ack }
            }
        }
    }

    fn admit(&mut self, header: Header, now_ms: u64) -> Admission {
        let of_this_run =
            |window: &&mut Window| window.src == header.src && window.boot == header.boot;
        if let Some(window) = self.windows.iter_mut().flatten().find(of_this_run) {
            return window.admit(header.seq, now_ms);
        }
        let opened = Window::opened(header.src, header.boot, header.seq, now_ms);
        if let Some(place) = self.place(header.src) {
            if place.is_some() {
                count(&mut self.counters.forgotten);
            }
            if let Some(place) = self.place(header.src) {
                *place = Some(opened);
            }
        }
        Admission::New
    }

    /// The place for a new run of `src`: a free place, or else that of its own oldest run if it has two, or else that of the run that was silent longest.
    fn place(&mut self, src: u8) -> Option<&mut Option<Window>> {
        if self.windows.iter().any(Option::is_none) {
            return self.windows.iter_mut().find(|place| place.is_none());
        }
        let own = self
            .windows
            .iter()
            .flatten()
            .filter(|window| window.src == src)
            .count();
        self.windows
            .iter_mut()
            .filter(|place| own < 2 || place.as_ref().is_some_and(|window| window.src == src))
            .min_by_key(|place| place.as_ref().map_or(0, |window| window.heard_ms))
    }
}

fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{MAX_PACKET_BYTES, Reading};

    fn receive<const N: usize>(
        receiver: &mut Receiver<N>,
        src: u8,
        boot: u16,
        seq: u16,
    ) -> Incoming {
        let header = Header {
            flags: Flags::ACK_REQ,
            src,
            dst: 2,
            boot,
            seq,
        };
        let mut buffer = [0; MAX_PACKET_BYTES];
        let length = Packet {
            header,
            payload: Payload::Reading(Reading::default()),
        }
        .encode(&mut buffer)
        .unwrap();
        receiver.receive(&buffer[..length], -50, 9, u64::from(seq))
    }

    fn is_new(incoming: Incoming) -> bool {
        matches!(incoming, Incoming::Delivered { .. })
    }

    /// A packet with the same sequence number, but from another node or another run, is another packet.
    #[test]
    fn source_and_boot_id_tell_packets_apart() {
        let mut receiver = Receiver::<4>::new(2);
        for (src, boot) in [(1, 7), (3, 7), (1, 8)] {
            assert!(is_new(receive(&mut receiver, src, boot, 5)));
        }
        for (src, boot) in [(1, 7), (3, 7), (1, 8)] {
            assert!(!is_new(receive(&mut receiver, src, boot, 5)));
        }
    }

    /// If a node restarts again and again, the gateway forgets runs of this node only.
    #[test]
    fn a_restarting_node_forgets_only_itself() {
        let mut receiver = Receiver::<4>::new(2);
        assert!(is_new(receive(&mut receiver, 3, 1, 0)));
        assert!(is_new(receive(&mut receiver, 4, 1, 0)));
        for boot in 0..100 {
            assert!(is_new(receive(&mut receiver, 1, boot, boot)));
        }
        assert!(
            !is_new(receive(&mut receiver, 3, 1, 0)) && !is_new(receive(&mut receiver, 4, 1, 0))
        );
        assert_eq!(receiver.counters().forgotten, 98);
    }

    /// An undamaged packet whose payload is invalid is acknowledged. It counts as rejected the first time, and then as a repeat.
    #[test]
    fn a_packet_without_sense_is_acknowledged() {
        let mut frame = std::vec![0x21, 1, 1, 2, 0, 7, 0, 5, 0x80];
        frame.extend(crate::crc::crc16(&frame).to_be_bytes());
        let mut receiver = Receiver::<2>::new(2);
        let Incoming::Rejected {
            error,
            ack: Some(ack),
            ..
        } = receiver.receive(&frame, -50, 9, 0)
        else {
            panic!("it was not rejected");
        };
        assert_eq!((error.at, ack.node), (8, 1));
        assert!(matches!(
            receiver.receive(&frame, -50, 9, 0),
            Incoming::Repeat { ack: Some(_), .. }
        ));
    }

    /// Damaged bytes, packets for other addresses and acknowledgements get no answer.
    #[test]
    fn what_is_not_ours_is_answered_with_silence() {
        let mut receiver = Receiver::<2>::new(9);
        assert_eq!(receive(&mut receiver, 1, 7, 0), Incoming::NotForUs);
        assert!(matches!(
            receiver.receive(b"\xff", -50, 9, 0),
            Incoming::Damaged(_)
        ));
    }
}
