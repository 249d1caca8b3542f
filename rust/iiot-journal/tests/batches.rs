//! A sink's way through the journal, batch by batch.

use crate::common::*;
use iiot_journal::{Batches, Confirmation, Cursor, Journal};
use proptest::prelude::*;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

/// A journal with forty frames in four rows, the third of a source whose frames `other` alone takes.
fn four_rows(folder: &Path) -> (Journal, Cursor) {
    let journal = open(folder);
    let cursor = journal
        .add_sink("db", Some(vec!["lora-bridge".into()]))
        .unwrap();
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    let mut foreign = settings("foreign");
    let text = foreign.profile.text().replace("lora-bridge", "foreign");
    foreign.profile = std::sync::Arc::new(iiot_core::Profile::parse(&text).unwrap());
    let mut foreign = journal.add_source(foreign, None).unwrap();
    push(&mut intake, 1, 11);
    push(&mut intake, 11, 21);
    push(&mut foreign, 21, 31);
    push(&mut intake, 31, 41);
    (journal, cursor)
}

/// The next batch of so many frames.
fn next(batches: &mut Batches, frames: usize) -> (Option<Range<u64>>, Collected) {
    let mut collected = Collected::up_to(frames);
    let positions = batches.next(&mut collected, Duration::ZERO, Duration::ZERO);
    (positions.unwrap(), collected)
}

fn confirmation(positions: Range<u64>, delivered: usize) -> Confirmation {
    Confirmation {
        from: positions.start,
        end: positions.end,
        delivered: delivered as u64,
        ..Confirmation::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Batches of any sizes follow one another without a gap, hold the same lines together as one batch does, and leave out frames of other sinks. Going back in
    /// between repeats exactly what is not confirmed.
    #[test]
    fn any_sizes_give_the_same_lines(sizes in prop::collection::vec((1usize..15, any::<bool>(), any::<bool>()), 60)) {
        let folder = tempfile::tempdir().unwrap();
        let (_journal, cursor) = four_rows(folder.path());
        let mut batches = Batches::new(cursor);
        let (all, expected) = next(&mut batches, 1000);
        prop_assert_eq!(all, Some(1..41));
        prop_assert_eq!(&expected.positions, &(1..21).chain(31..41).collect::<Vec<_>>());
        batches.rewind();

        let (confirmations, mut end) = (batches.confirmations(), 1);
        let (mut positions, mut lines) = (Vec::new(), Vec::<u8>::new());
        for (size, is_confirmed, goes_back) in sizes.into_iter().chain([(1000, true, false); 1]) {
            let (covered, collected) = next(&mut batches, size);
            let Some(covered) = covered else { break };
            prop_assert_eq!(covered.start, end);
            prop_assert!(collected.positions.len() <= size);
            if !is_confirmed {
                batches.rewind();
                continue;
            }
            end = covered.end;
            positions.extend(&collected.positions);
            lines.extend(&collected.lines);
            confirmations.confirm(confirmation(covered, collected.positions.len()), true).unwrap();
            if goes_back {
                batches.rewind();
            }
        }
        prop_assert_eq!((end, positions), (41, expected.positions));
        prop_assert!(lines == expected.lines);
        confirmations.settle();
        prop_assert_eq!(batches.position(), 41);
    }
}

/// The newest frames are looked at beside the batches, which go on where they were.
#[test]
fn newest_changes_no_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (_journal, cursor) = four_rows(folder.path());
    let mut batches = Batches::new(cursor);
    assert_eq!(next(&mut batches, 3).0, Some(1..4));

    let mut collected = Collected::up_to(1000);
    assert_eq!(batches.newest(15, &mut collected).unwrap(), 15..41);
    assert_eq!(
        collected.positions,
        (15..21).chain(31..41).collect::<Vec<_>>()
    );
    assert_eq!(next(&mut batches, 3).0, Some(4..7));
}

/// A sink that is stopped waits for nothing.
#[test]
fn a_stopped_sink_gets_no_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (_journal, cursor) = four_rows(folder.path());
    let mut batches = Batches::new(cursor);
    let (all, _) = next(&mut batches, 1000);
    let (stop, waits) = (batches.stop(), std::sync::mpsc::channel());
    let thread = std::thread::spawn(move || {
        waits.0.send(()).unwrap();
        let mut collected = Collected::up_to(1);
        batches.next(&mut collected, Duration::ZERO, Duration::from_secs(3600))
    });
    assert_eq!(all, Some(1..41));
    waits.1.recv().unwrap();
    stop.set();
    assert!(matches!(thread.join().unwrap(), Ok(None)));
    assert!(stop.is_set());
}
