//! Any cutting of both streams, and what is left out of them.

use super::*;
use proptest::prelude::*;

fn wire(v5: bool) -> (Wire, Arc<Notes>) {
    let notes = Arc::default();
    (Wire::new(v5, Arc::clone(&notes)), notes)
}

fn through(wire: &mut Wire, bytes: &[u8]) -> Vec<u8> {
    let mut ready = BytesMut::new();
    wire.received(&mut BytesMut::from(bytes), &mut ready);
    ready.to_vec()
}

/// A PUBLISH at `QoS 1` to `t`.
fn publish(id: u8) -> Vec<u8> {
    vec![0x32, 6, 0, 1, b't', 0, id, b'x']
}

#[test]
fn an_acknowledgement_comes_through_once_and_an_unasked_one_never() {
    let (mut wire, _) = wire(false);
    wire.sent(&publish(7));
    wire.sent(&[0x82, 6, 0, 9, 0, 1, b'f', 0]);

    let puback = [0x40, 2, 0, 7];
    assert_eq!(through(&mut wire, &puback), puback);
    assert_eq!(through(&mut wire, &puback), []);
    assert_eq!(through(&mut wire, &[0x40, 2, 0, 8]), []);
    let suback = [0x90, 3, 0, 9, 0];
    assert_eq!(through(&mut wire, &[suback, suback].concat()), suback);
    wire.sent(&publish(7));
    assert_eq!(through(&mut wire, &puback), puback);
}

#[test]
fn the_second_half_of_qos_2_is_kept_in_step() {
    let (mut wire, _) = wire(true);
    wire.sent(&publish(1));
    wire.sent(&publish(2));

    let pubrec = [0x50, 2, 0, 1];
    assert_eq!(through(&mut wire, &[pubrec, pubrec].concat()), pubrec);
    let pubcomp = [0x70, 2, 0, 1];
    assert_eq!(through(&mut wire, &[pubcomp, pubcomp].concat()), pubcomp);
    // A refused one is not released.
    let refused = [0x50, 3, 0, 2, 0x87];
    assert_eq!(through(&mut wire, &refused), refused);
    assert_eq!(through(&mut wire, &[0x70, 2, 0, 2]), []);
}

#[test]
fn a_code_that_may_not_stand_there_is_noted() {
    let (mut wire, notes) = wire(true);
    wire.sent(&publish(3));

    assert_eq!(
        through(&mut wire, &[0x40, 4, 0, 3, 0x95, 0]),
        [0x40, 4, 0, 3, 0x80, 0]
    );
    wire.sent(&publish(4));
    through(&mut wire, &[0x40, 3, 0, 4, 0x99]);
    assert_eq!((notes.take(3), notes.take(3)), (Some(0x95), None));
    assert_eq!(notes.drain(), [(4, 0x99)]);
    assert_eq!(through(&mut wire, &[0xE0, 1, 0x86]), [0xE0, 1, 0x80]);
    assert_eq!(notes.disconnect(), Some(0x86));
}

#[test]
fn a_client_id_that_nobody_asked_for_is_left_out_of_the_connack() {
    let (mut wire, _) = wire(true);
    let mut connack = vec![0x20, 0, 0, 0, 0];
    connack.extend([0x21, 0, 3]);
    connack.extend([0x12, 0, 2, b'i', b'd']);
    connack.extend([0x26, 0, 1, b'k', 0, 1, b'v']);
    connack.extend([0x1A, 0, 1, b'r']);
    connack[4] = connack.len() as u8 - 5;
    connack[1] = connack.len() as u8 - 2;

    let expected = [0x20, 13, 0, 0, 10, 0x21, 0, 3, 0x26, 0, 1, b'k', 0, 1, b'v'];
    assert_eq!(through(&mut wire, &connack), expected);
}

#[test]
fn what_is_malformed_or_unknown_goes_through() {
    for bytes in [
        &[0x20, 3, 0, 0, 9][..],
        &[0x20, 6, 0, 0, 3, 0x7F, 1, 1],
        &[0x40, 1, 0],
        &[0x30, 255, 255, 255, 255, 255, 1, 2, 3],
        &[0xF0, 0],
    ] {
        assert_eq!(through(&mut wire(true).0, bytes), bytes);
    }
}

proptest! {
    /// Publishes of any size and any cutting: each id is acknowledged once.
    #[test]
    fn cuts_do_not_matter(
        sizes in prop::collection::vec(0_usize..400, 1..20),
        out_cut in 1_usize..50,
        in_cut in 1_usize..50,
    ) {
        let (mut wire, _) = wire(true);
        let (mut out, mut came, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (id, size) in (1_u16..).zip(sizes) {
            let mut body = vec![0, 3, b'a', b'/', b'b'];
            body.extend(id.to_be_bytes());
            body.resize(body.len() + 1 + size, 0x40);
            out.push(0x32);
            let mut length = BytesMut::new();
            put_length(&mut length, body.len());
            out.extend(&length);
            out.extend(body);
            let [high, low] = id.to_be_bytes();
            let puback = [0x40, 2, high, low];
            let message = [0x30, 5, 0, 1, b'q', 0, b'p'];
            came.extend(puback);
            came.extend(message);
            came.extend(puback);
            expected.extend(puback);
            expected.extend(message);
        }
        for part in out.chunks(out_cut) {
            wire.sent(part);
        }
        let (mut raw, mut ready) = (BytesMut::new(), BytesMut::new());
        for part in came.chunks(in_cut) {
            raw.extend_from_slice(part);
            wire.received(&mut raw, &mut ready);
        }
        prop_assert_eq!(ready.to_vec(), expected);
    }
}
