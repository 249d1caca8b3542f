//! A copy that is made while a journal is written holds whole commits up to its end, and knows in its place what it is.

use crate::common::*;
use iiot_journal::{CopyProgress, ErrorKind, Journal, check_file};

fn notes(journal: &Journal) -> String {
    journal.notes().join("\n")
}

/// Frames that are committed while the copy is made are in it whole or not at all; its ledger balances, and it takes nothing from the journal.
#[test]
fn a_copy_of_a_journal_that_is_written_is_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("db", None).unwrap();
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    push(&mut intake, 1, 10_001);
    let (mut next, mut position) = (10_001, cursor.position());

    for attempt in 0.. {
        let copy = folder.path().join(format!("copy{attempt}.db"));
        let before = next;
        std::thread::scope(|threads| {
            let copying =
                threads.spawn(|| journal.copy_to(&copy, &CopyProgress::default()).unwrap());
            // It writes over what the copy has already: confirmations move the cursor and take rows out.
            while !copying.is_finished() {
                push(&mut intake, next, next + 20);
                next += 20;
                position += 10;
                deliver(&cursor, position);
            }
        });

        assert!(check_file(&copy).unwrap().is_empty());
        let copied = Journal::inspect(&copy).unwrap();
        let (accepted, sink) = (copied.intake["accepted"] as u64, &copied.sinks[0]);
        assert!((before - 1..next).contains(&accepted), "{accepted}");
        assert_eq!(sink.accepted, accepted);
        assert_eq!(sink.delivered + sink.queued, accepted);
        if accepted > before && sink.delivered > 0 {
            break;
        }
        assert!(attempt < 20, "no frame came between two steps");
    }
    assert_eq!(
        journal.status().unwrap().intake["accepted"] as u64,
        next - 1
    );
    assert_eq!(behind(&cursor).len() as u64, next - cursor.position());
}

/// Its frames are those of the journal, text for text, and what is accepted next gets positions behind them in a run of its own.
#[test]
fn a_copy_goes_on_in_the_place_of_its_journal() {
    let folder = tempfile::tempdir().unwrap();
    let place = tempfile::tempdir().unwrap();
    let (frames, run) = {
        let journal = open(folder.path());
        let cursor = journal.add_sink("db", None).unwrap();
        let mut intake = journal.add_source(settings("s"), None).unwrap();
        push(&mut intake, 1, 101);
        journal
            .copy_to(&place.path().join("journal.db"), &CopyProgress::default())
            .unwrap();
        let kept = behind(&cursor);
        push(&mut intake, 101, 111);
        (kept, journal.runs().present().unwrap().clone())
    };

    let copy = open(place.path());
    let told = notes(&copy);
    assert!(
        told.contains("journal_restored: it is a copy of 2") && !told.contains("journal_recovered"),
        "{told}"
    );
    assert_eq!(behind(&copy.add_sink("db", None).unwrap()), frames);
    // A database whose position lies in that run goes on from here.
    assert_eq!(copy.runs().end(&run.id), Some(Some(101)));
    let mut intake = copy.add_source(settings("s"), None).unwrap();
    push(&mut intake, 200, 201);
    assert_eq!(
        behind(&copy.add_sink("db", None).unwrap())
            .last()
            .unwrap()
            .0,
        101
    );
    drop(intake);
    drop(copy);

    let told = notes(&open(place.path()));
    assert!(!told.contains("journal_restored"), "{told}");
}

/// The copy of a journal that nobody has open is the same, and leaves it as it is.
#[test]
fn a_closed_journal_is_copied_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    {
        let journal = open(folder.path());
        let mut intake = journal.add_source(settings("s"), None).unwrap();
        push(&mut intake, 1, 11);
    }
    let before = std::fs::read(&path).unwrap();
    let place = folder.path().join("place");
    std::fs::create_dir(&place).unwrap();

    Journal::copy_file(&path, &place.join("journal.db"), &CopyProgress::default()).unwrap();

    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(
        Journal::inspect(&place.join("journal.db")).unwrap().intake["accepted"],
        10
    );
    assert!(notes(&open(&place)).contains("journal_restored"));
}

/// A file that is there is not written over; a copy that is cancelled, or whose disk is full, costs the journal nothing, and the next one succeeds.
#[test]
fn a_copy_that_fails_costs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut intake = journal.add_source(settings("s"), None).unwrap();
    push(&mut intake, 1, 5001);
    let there = folder.path().join("there");
    std::fs::write(&there, "mine").unwrap();

    let refused = journal
        .copy_to(&there, &CopyProgress::default())
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Io);
    assert_eq!(std::fs::read_to_string(&there).unwrap(), "mine");
    let cancelled = CopyProgress::default();
    cancelled.cancel();
    let ended = journal.copy_to(&folder.path().join("cut"), &cancelled);
    assert_eq!(ended.unwrap_err().kind, ErrorKind::Closed);
    push(&mut intake, 5001, 5002);
    journal
        .copy_to(&folder.path().join("whole"), &CopyProgress::default())
        .unwrap();

    assert_eq!(
        Journal::inspect(&folder.path().join("whole"))
            .unwrap()
            .intake["accepted"],
        5001
    );
    assert!(journal.stalled().is_none());
}

/// A byte that changed in a copy is found: in a page by SQLite, in a body by its checksum.
#[test]
fn a_changed_byte_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    {
        let journal = open(folder.path());
        let mut intake = journal.add_source(settings("s"), None).unwrap();
        push(&mut intake, 1, 11);
        journal.copy_to(&copy, &CopyProgress::default()).unwrap();
    }
    let whole = std::fs::read(&copy).unwrap();
    let at = whole.windows(9).position(|w| w == br#""t":27.6,"#).unwrap();
    for at in [at, 105] {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        std::fs::write(&copy, changed).unwrap();
        assert!(!check_file(&copy).unwrap().is_empty(), "byte {at}");
    }
}
