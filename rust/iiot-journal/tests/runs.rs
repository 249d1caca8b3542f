//! Each opening begins a run, and a run is known wherever a frame of it may have got.

use crate::common::*;
use iiot_journal::Journal;

/// Frames belong to the run that accepted them, and a run ends where the next one began.
#[test]
fn a_frame_belongs_to_the_run_that_accepted_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = {
        let journal = open(folder.path());
        journal.add_sink("db", None).unwrap();
        let mut intake = journal.add_source(settings("s"), None).unwrap();
        push(&mut intake, 1, 11);
        journal.runs().present().unwrap().clone()
    };
    let journal = open(folder.path());
    let runs = journal.runs();
    let second = runs.present().unwrap();

    assert_eq!((first.first, second.first), (1, 11));
    assert_eq!(runs.of(10), Some(&first));
    assert_eq!(runs.of(11), Some(second));
    assert_eq!(runs.end(&first.id), Some(Some(11)));
    assert_eq!(runs.end(&second.id), Some(None));
    assert_eq!(runs.end("other"), None);
}

/// A copy of the file begins a run of its own, so that the two are told apart by what they accept next.
#[test]
fn a_copy_begins_a_run_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let id = open(folder.path()).id().to_owned();
    std::fs::copy(
        folder.path().join("journal.db"),
        copy.path().join("journal.db"),
    )
    .unwrap();

    let (journal, clone) = (open(folder.path()), open(copy.path()));
    assert_eq!((journal.id(), clone.id()), (id.as_str(), id.as_str()));
    let cloned = clone.runs();
    assert_eq!(journal.runs().end(&cloned.present().unwrap().id), None);
}

/// Openings without a frame leave nothing behind if the journal was closed, and stay known if it was not: the disk may have lost their frames.
#[test]
fn only_a_closed_run_without_frames_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let closed = open(folder.path()).runs().present().unwrap().id.clone();
    let lost = {
        let journal = open(folder.path());
        assert_eq!(journal.runs().end(&closed), None);
        let id = journal.runs().present().unwrap().id.clone();
        copy_as_it_is(&journal, folder.path());
        id
    };
    let copied = folder.path().join("copy");
    assert!(open(&copied).runs().end(&lost).is_some());
}

/// As a loss of power would leave it: the file and its log, not closed.
fn copy_as_it_is(_open: &Journal, folder: &std::path::Path) {
    let copied = folder.join("copy");
    std::fs::create_dir(&copied).unwrap();
    for name in ["journal.db", "journal.db-wal"] {
        std::fs::copy(folder.join(name), copied.join(name)).unwrap();
    }
}
