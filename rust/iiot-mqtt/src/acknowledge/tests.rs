//! Orders of sending and answering.

use super::*;
use proptest::prelude::*;

fn drained(ledger: &mut Ledger<u32>) -> Vec<u32> {
    std::iter::from_fn(|| ledger.pop())
        .map(|(item, _)| item)
        .collect()
}

#[test]
fn an_acknowledgement_out_of_order_waits_for_those_before_it() {
    let mut ledger = Ledger::default();
    for (item, id) in [(1, 7), (2, 8), (3, 9)] {
        ledger.sent(item, Acknowledged::Itself, Instant::now());
        ledger.bind(id);
    }

    ledger.accept(9, Instant::now());
    ledger.accept(8, Instant::now());
    assert_eq!(drained(&mut ledger), []);
    ledger.accept(7, Instant::now());

    assert_eq!(drained(&mut ledger), [1, 2, 3]);
    assert!(ledger.is_empty());
}

#[test]
fn a_packet_id_acknowledges_once_and_serves_again() {
    let mut ledger = Ledger::default();
    ledger.sent(1, Acknowledged::Itself, Instant::now());
    ledger.bind(1);

    assert!(ledger.accept(1, Instant::now()));
    assert!(!ledger.accept(1, Instant::now()));
    assert!(!ledger.accept(2, Instant::now()));
    assert_eq!(drained(&mut ledger), [1]);
    ledger.sent(2, Acknowledged::Itself, Instant::now());
    ledger.bind(1);

    assert_eq!(ledger.waiting(1), Some(&2));
    assert!(ledger.accept(1, Instant::now()));
}

#[test]
fn a_closing_one_speaks_for_the_silent_ones_before_it() {
    let mut ledger = Ledger::default();
    for (item, how, id) in [
        (1, Acknowledged::Silently, 0),
        (2, Acknowledged::Closing, 5),
        (3, Acknowledged::Silently, 0),
    ] {
        ledger.sent(item, how, Instant::now());
        ledger.bind(id);
    }

    ledger.accept(5, Instant::now());

    assert_eq!(drained(&mut ledger), [1, 2]);
    assert_eq!(ledger.in_flight(), 1);
}

#[test]
fn a_refusal_waits_for_another_publish_and_holds_back_what_is_behind_it() {
    let (mut ledger, now) = (Ledger::default(), Instant::now());
    for (item, id) in [(1, 1), (2, 2), (3, 3)] {
        ledger.sent(item, Acknowledged::Itself, now);
        ledger.bind(id);
    }

    ledger.accept(1, now);
    ledger.refuse(2, "no".into(), now);
    ledger.accept(3, now);
    assert_eq!(drained(&mut ledger), [1]);
    assert_eq!((ledger.in_flight(), ledger.refused()), (0, 1));
    assert_eq!(ledger.all_refused().next(), Some((&2, "no", true)));
    ledger.believe();

    assert_eq!(ledger.pop(), Some((2, Answer::Rejected("no".into()))));
    assert_eq!(ledger.pop(), Some((3, Answer::Accepted)));
}

#[test]
fn the_oldest_is_waited_for_although_a_refusal_stands_before_it() {
    let (mut ledger, began) = (Ledger::default(), Instant::now());
    let later = |s| began + std::time::Duration::from_secs(s);
    for (item, id) in [(1, 1), (2, 2), (3, 3)] {
        ledger.sent(item, Acknowledged::Itself, began);
        ledger.bind(id);
    }

    ledger.accept(3, later(1));
    assert_eq!(ledger.waiting_since(), Some(began));
    ledger.refuse(1, "no".into(), later(2));
    assert_eq!(ledger.waiting_since(), Some(later(2)));
    ledger.accept(2, later(3));
    assert_eq!(ledger.waiting_since(), None);
    ledger.sent(4, Acknowledged::Itself, later(4));
    assert_eq!(ledger.waiting_since(), Some(later(4)));
}

#[test]
fn what_is_under_way_was_written_and_not_answered() {
    let (mut ledger, now) = (Ledger::default(), Instant::now());
    for item in 1..=4 {
        ledger.sent(item, Acknowledged::Itself, now);
    }
    ledger.set_apart(5);
    for id in 1..=3 {
        ledger.bind(id);
    }
    ledger.accept(1, now);

    let under_way: Vec<u32> = ledger.under_way().copied().collect();

    assert_eq!((under_way, ledger.apart()), (vec![2, 3], 1));
}

proptest! {
    /// Random frames, random orders of acknowledgement: what has left never goes past a publish that was not acknowledged.
    #[test]
    fn nothing_leaves_past_an_unacknowledged_publish(
        frames in prop::collection::vec(0_u32..4, 1..60),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..120),
        window in 1_usize..12,
    ) {
        let mut ledger = Ledger::default();
        let mut to_send = frames.iter().enumerate().flat_map(|(frame, count)| {
            (0..*count).map(move |_| (frame, true)).chain([(frame, false)])
        });
        let mut waiting: Vec<(u16, usize)> = Vec::new();
        let mut free: Vec<u16> = (1..=window as u16).rev().collect();
        let mut ended = 0;
        let mut order = order.into_iter();
        loop {
            while ledger.in_flight() < window {
                match to_send.next() {
                    Some((frame, true)) => {
                        ledger.sent((frame, true), Acknowledged::Itself, Instant::now());
                        let id = free.pop().unwrap();
                        prop_assert!(ledger.bind(id));
                        waiting.push((id, frame));
                    }
                    Some(end) => ledger.note(end, Answer::Accepted),
                    None => break,
                }
            }
            while let Some(((frame, publish), _)) = ledger.pop() {
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
            prop_assert!(ledger.accept(id, Instant::now()));
            free.push(id);
        }
        prop_assert_eq!(ended, frames.len());
        prop_assert!(ledger.is_empty());
    }
}
