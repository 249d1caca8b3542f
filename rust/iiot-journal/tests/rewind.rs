//! A sink's place as its peer says it is: behind the cursor, ahead of it, and what that does to the ledger and to rejects.

use crate::common::*;
use iiot_journal::{Batches, Confirmation, Journal, Options, SinkReject, SinkStatus};
use std::path::Path;
use std::time::Duration;

fn keeping(folder: &Path) -> Journal {
    let options = Options {
        keep_confirmed: Duration::from_secs(60),
        ..options()
    };
    Journal::open(&folder.join("journal.db"), &options).unwrap()
}

fn reject(position: u64) -> SinkReject {
    SinkReject {
        position,
        point: 0,
        field: None,
        reason: "too long".into(),
        excerpt: "x".into(),
    }
}

fn next(batches: &mut Batches) -> Vec<u64> {
    let mut collected = Collected::up_to(100);
    let wait = Duration::from_millis(1);
    batches.next(&mut collected, wait, wait).unwrap();
    collected.positions
}

fn confirm(batches: &Batches, from: u64, end: u64, rejects: Vec<SinkReject>) {
    let rejected = rejects.len() as u64;
    let confirmation = Confirmation {
        from,
        end,
        delivered: end - from - rejected,
        rejected,
        rejects,
        ..Confirmation::default()
    };
    let confirmations = batches.confirmations();
    confirmations.confirm(confirmation, true).unwrap();
    assert!(confirmations.settled(WAIT));
}

fn sink(journal: &Journal) -> SinkStatus {
    let status = journal.status().unwrap();
    balanced(&status);
    status.sinks[0].clone()
}

/// Frames that were confirmed are queued again, and what was rejected among them is not any more.
#[test]
fn going_back_gives_the_same_frames_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal = keeping(folder.path());
    let mut batches = Batches::new(journal.add_sink("db", None).unwrap());
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    push(&mut intake, 1, 11);
    assert_eq!(next(&mut batches).len(), 10);
    confirm(&batches, 1, 11, vec![reject(3), reject(7)]);
    assert_eq!((sink(&journal).delivered, sink(&journal).rejected), (8, 2));

    let gone = batches.go_back(5, true).unwrap();

    assert_eq!((gone.position, gone.lost.is_empty()), (5, true));
    let after = sink(&journal);
    assert_eq!((after.delivered, after.rejected, after.queued), (3, 1, 6));
    assert_eq!(journal.rejects(10).unwrap().len(), 1);
    assert_eq!(next(&mut batches), [5, 6, 7, 8, 9, 10]);
    confirm(&batches, 5, 11, Vec::new());
    assert_eq!((sink(&journal).delivered, sink(&journal).rejected), (9, 1));
}

/// What was pruned is counted as lost by the peer, with its range in the note, and the sink begins behind it.
#[test]
fn what_was_pruned_is_lost_by_the_peer() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut batches = Batches::new(journal.add_sink("db", None).unwrap());
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    push(&mut intake, 1, 11);
    next(&mut batches);
    confirm(&batches, 1, 11, Vec::new());
    push(&mut intake, 11, 13);

    let gone = batches.go_back(4, true).unwrap();

    assert_eq!((gone.position, gone.lost), (11, 4..11));
    assert_eq!(journal.status().unwrap().lost_by_peer["db"], 7);
    assert!(
        journal
            .notes()
            .iter()
            .any(|note| note.contains("lost_by_peer") && note.contains("position 4"))
    );
    assert_eq!(next(&mut batches), [11, 12]);
}

/// A confirmation that was lost after the peer's COMMIT is made up for, with the rejects that were stored before it.
#[test]
fn what_the_peer_has_is_confirmed_with_its_rejects() {
    let folder = tempfile::tempdir().unwrap();
    {
        let journal = keeping(folder.path());
        let mut batches = Batches::new(journal.add_sink("db", None).unwrap());
        let mut intake = journal.add_source(settings("s"), None).unwrap();
        push(&mut intake, 1, 11);
        next(&mut batches);
        let confirmations = batches.confirmations();
        assert!(confirmations.provisional(1, vec![reject(9)], WAIT).unwrap());
        assert!(
            confirmations
                .provisional(1, vec![reject(3), reject(4)], WAIT)
                .unwrap()
        );
        // The next batch is sent before the confirmation of this one is stored, and again.
        for again in [9, 10] {
            let rejects = vec![reject(again)];
            assert!(confirmations.provisional(8, rejects, WAIT).unwrap());
        }
        assert_eq!(journal.rejects(10).unwrap(), []);
        assert_eq!(journal.status().unwrap().journal.rejects, 0);
    }
    let journal = keeping(folder.path());
    let mut batches = Batches::new(journal.add_sink("db", None).unwrap());

    batches.confirm_ahead(8).unwrap();

    let after = sink(&journal);
    assert_eq!((after.delivered, after.rejected, after.queued), (5, 2, 3));
    let kept: Vec<_> = journal
        .rejects(10)
        .unwrap()
        .iter()
        .map(|r| r.position)
        .collect();
    assert_eq!(kept, [Some(4), Some(3)]);
    assert_eq!(next(&mut batches), [8, 9, 10]);
}

/// An ordinary confirmation replaces what was stored before it, so that a reject is there once.
#[test]
fn a_confirmation_replaces_what_was_not_final() {
    let folder = tempfile::tempdir().unwrap();
    let journal = keeping(folder.path());
    let mut batches = Batches::new(journal.add_sink("db", None).unwrap());
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    push(&mut intake, 1, 4);
    next(&mut batches);
    assert!(
        batches
            .confirmations()
            .provisional(1, vec![reject(2)], WAIT)
            .unwrap()
    );

    confirm(&batches, 1, 4, vec![reject(2)]);

    assert_eq!(journal.rejects(10).unwrap().len(), 1);
    assert_eq!((sink(&journal).delivered, sink(&journal).rejected), (2, 1));
}

/// Confirmed frames make way when the room is needed, without a loss and without holding back a source that waits.
#[test]
fn kept_frames_make_way() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        keep_confirmed: Duration::from_secs(3600),
        max_bytes: 1 << 20,
        ..options()
    };
    let journal = Journal::open(&folder.path().join("journal.db"), &options).unwrap();
    let mut batches = Batches::new(journal.add_sink("db", None).unwrap());
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    for round in 0..20 {
        push(&mut intake, round * 500 + 1, round * 500 + 501);
        loop {
            let mut collected = Collected::up_to(500);
            let wait = Duration::from_millis(1);
            let Some(range) = batches.next(&mut collected, wait, wait).unwrap() else {
                break;
            };
            confirm(&batches, range.start, range.end, Vec::new());
        }
    }
    let status = journal.status().unwrap();
    assert_eq!(
        (status.sinks[0].delivered, status.sinks[0].dropped_full),
        (10_000, 0)
    );
    assert!(status.journal.frames > 100, "{status:?}");
}
