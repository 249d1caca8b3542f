//! Orders of sending and answering.

use super::*;
use proptest::prelude::*;

fn drained(entries: &mut Unacknowledged<u32>) -> Vec<u32> {
    std::iter::from_fn(|| entries.pop())
        .map(|(item, _)| item)
        .collect()
}

#[test]
fn an_acknowledgement_out_of_order_waits_for_those_before_it() {
    let mut entries = Unacknowledged::default();
    for (item, id) in [(1, 7), (2, 8), (3, 9)] {
        entries.sent(item, Acknowledged::Itself, Instant::now());
        entries.bind(id);
    }

    entries.accept(9, Instant::now());
    entries.accept(8, Instant::now());
    assert_eq!(drained(&mut entries), []);
    entries.accept(7, Instant::now());

    assert_eq!(drained(&mut entries), [1, 2, 3]);
    assert!(entries.is_empty());
}

#[test]
fn a_packet_id_acknowledges_once_and_serves_again() {
    let mut entries = Unacknowledged::default();
    entries.sent(1, Acknowledged::Itself, Instant::now());
    entries.bind(1);

    assert!(entries.accept(1, Instant::now()));
    assert!(!entries.accept(1, Instant::now()));
    assert!(!entries.accept(2, Instant::now()));
    assert_eq!(drained(&mut entries), [1]);
    entries.sent(2, Acknowledged::Itself, Instant::now());
    entries.bind(1);

    assert_eq!(entries.waiting(1), Some(&2));
    assert!(entries.accept(1, Instant::now()));
}

#[test]
fn a_closing_one_speaks_for_the_silent_ones_before_it() {
    let mut entries = Unacknowledged::default();
    for (item, how, id) in [
        (1, Acknowledged::Silently, 0),
        (2, Acknowledged::Closing, 5),
        (3, Acknowledged::Silently, 0),
    ] {
        entries.sent(item, how, Instant::now());
        entries.bind(id);
    }

    entries.accept(5, Instant::now());

    assert_eq!(drained(&mut entries), [1, 2]);
    assert_eq!(entries.in_flight(), 1);
}

#[test]
fn a_refusal_waits_for_another_publish_and_holds_back_what_is_behind_it() {
    let (mut entries, now) = (Unacknowledged::default(), Instant::now());
    for (item, id) in [(1, 1), (2, 2), (3, 3)] {
        entries.sent(item, Acknowledged::Itself, now);
        entries.bind(id);
    }

    entries.accept(1, now);
    entries.refuse(2, "no".into(), now);
    entries.accept(3, now);
    assert_eq!(drained(&mut entries), [1]);
    assert_eq!((entries.in_flight(), entries.refused()), (0, 1));
    assert_eq!(entries.all_refused().next(), Some((&2, "no", true)));
    entries.believe();

    assert_eq!(entries.pop(), Some((2, Answer::Rejected("no".into()))));
    assert_eq!(entries.pop(), Some((3, Answer::Accepted)));
}

#[test]
fn the_oldest_is_waited_for_although_a_refusal_stands_before_it() {
    let (mut entries, began) = (Unacknowledged::default(), Instant::now());
    let later = |s| began + std::time::Duration::from_secs(s);
    for (item, id) in [(1, 1), (2, 2), (3, 3)] {
        entries.sent(item, Acknowledged::Itself, began);
        entries.bind(id);
    }

    entries.accept(3, later(1));
    assert_eq!(entries.waiting_since(), Some(began));
    entries.refuse(1, "no".into(), later(2));
    assert_eq!(entries.waiting_since(), Some(later(2)));
    entries.accept(2, later(3));
    assert_eq!(entries.waiting_since(), None);
    entries.sent(4, Acknowledged::Itself, later(4));
    assert_eq!(entries.waiting_since(), Some(later(4)));
}

#[test]
fn what_is_under_way_was_written_and_not_answered() {
    let (mut entries, now) = (Unacknowledged::default(), Instant::now());
    for item in 1..=4 {
        entries.sent(item, Acknowledged::Itself, now);
    }
    entries.set_apart(5);
    for id in 1..=3 {
        entries.bind(id);
    }
    entries.accept(1, now);

    let under_way: Vec<u32> = entries.under_way().copied().collect();

    assert_eq!((under_way, entries.apart()), (vec![2, 3], 1));
}

proptest! {
    /// Random frames, random orders of acknowledgement: what has left never goes past a publish that was not acknowledged.
    #[test]
    fn nothing_leaves_past_an_unacknowledged_publish(
        frames in prop::collection::vec(0_u32..4, 1..60),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..120),
        window in 1_usize..12,
    ) {
        let mut entries = Unacknowledged::default();
        let mut to_send = frames.iter().enumerate().flat_map(|(frame, count)| {
            (0..*count).map(move |_| (frame, true)).chain([(frame, false)])
        });
        let mut waiting: Vec<(u16, usize)> = Vec::new();
        let mut free: Vec<u16> = (1..=window as u16).rev().collect();
        let mut ended = 0;
        let mut order = order.into_iter();
        loop {
            while entries.in_flight() < window {
                match to_send.next() {
                    Some((frame, true)) => {
                        entries.sent((frame, true), Acknowledged::Itself, Instant::now());
                        let id = free.pop().unwrap();
                        prop_assert!(entries.bind(id));
                        waiting.push((id, frame));
                    }
                    Some(end) => entries.note(end, Answer::Accepted),
                    None => break,
                }
            }
            while let Some(((frame, publish), _)) = entries.pop() {
                if !publish {
                    prop_assert_eq!(frame, ended);
                    prop_assert!(waiting.iter().all(|(_, waits)| *waits > frame));
                    ended += 1;
                }
            }
            if waiting.is_empty() {
                break;
            }
            let next = order.next().map_or(0, |index| index.index(waiting.len()));
            let (id, _) = waiting.remove(next);
            prop_assert!(entries.accept(id, Instant::now()));
            free.push(id);
        }
        prop_assert_eq!(ended, frames.len());
        prop_assert!(entries.is_empty());
    }
}
