//! Posts of HTTP clients: each is answered when it is synced, a repeat is known by its message id, over restarts too, and nothing is forgotten within the window.

use crate::common::{self, NOON, SECOND, WAIT, balanced, open, settings};
use Outcome::{Accepted, Conflict, Duplicate, Refused, Rejected};
use iiot_core::device_snapshot;
use iiot_core::profile::Profile;
use iiot_journal::{
    Journal, Options, Outcome, Post, Posts, PostsSettings, SourceSettings, Supply, SyncMode, now_ns,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PROFILE: &str = "name = \"plant\"\n[time]\npath = \"at\"\nformat = \"auto\"\n[[ignore]]\nname = \"join\"\nhas = [\"join\"]\n[[point]]\nmeasurement = \"m\"\nfields = { v = \"number\", w = \"integer\" }\n";

fn posts(journal: &Journal, window_s: u64, most: usize) -> (Posts, Receiver<()>) {
    let source = SourceSettings {
        profile: Arc::new(Profile::parse(PROFILE).unwrap()),
        supply: Supply::Waiting,
        ..settings("http")
    };
    let settings = PostsSettings {
        source,
        message_id_window: Duration::from_secs(window_s),
        max_message_ids: most,
    };
    let posts = journal.add_posts(settings).unwrap();
    let (wake, rung) = channel();
    posts.subscribe(Arc::new(move || {
        let _ = wake.send(());
    }));
    (posts, rung)
}

fn post<'a>(id: Option<&'a str>, document: &'a str) -> Post<'a> {
    Post {
        topic: Some(b"$api/telemetry"),
        document: document.as_bytes(),
        device_id: "e1",
        message_id: id.map(str::as_bytes),
        received_at_ns: now_ns(),
        ..Post::default()
    }
}

/// Post and wait for the answer.
fn answer(posts: &(Posts, Receiver<()>), messages: &[Post<'_>]) -> Vec<(Outcome, String)> {
    let (posts, rung) = posts;
    let ticket = posts.post(messages).unwrap();
    let until = Instant::now() + WAIT;
    loop {
        if let Some((answered, outcomes)) = posts.results().pop() {
            assert_eq!(answered, ticket);
            return outcomes;
        }
        assert!(Instant::now() < until, "no answer");
        let _ = rung.recv_timeout(Duration::from_millis(500));
    }
}

fn outcomes(posts: &(Posts, Receiver<()>), messages: &[Post<'_>]) -> Vec<Outcome> {
    let answers = answer(posts, messages).into_iter();
    answers.map(|(outcome, _)| outcome).collect()
}

fn count(journal: &Journal, name: &str) -> i64 {
    let status = journal.status().unwrap();
    balanced(&status);
    status.intake[name]
}

/// Each message of a batch has an outcome of its own, in its place.
#[test]
fn one_bad_message_costs_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.add_sink("influxdb", None).unwrap();
    let posts = posts(&journal, 900, 100);
    let long = format!("{{\"v\":\"{}\"}}", "x".repeat(70_000));
    let told = answer(
        &posts,
        &[
            post(None, "{\"v\":1}"),
            post(None, "{\"v\":\"x\"}"),
            post(None, "{\"v\":"),
            post(None, "{\"v\":2,\"w\":1.5}"),
            post(None, &long),
            post(None, "{\"join\":1}"),
            post(None, "{\"v\":3}"),
        ],
    );
    let kinds: Vec<&str> = told.iter().map(|(outcome, _)| outcome.name()).collect();
    assert_eq!(
        kinds,
        [
            "accepted", "rejected", "rejected", "accepted", "rejected", "ignored", "accepted"
        ]
    );
    assert!(
        told[1]
            .1
            .starts_with("nothing_usable: no usable value: v: not a number"),
        "{:?}",
        told[1]
    );
    assert!(told[2].1.starts_with("cut_short: "), "{:?}", told[2]);
    assert_eq!(told[3].1, "w: not a whole number from -2^63 to 2^63-1");
    assert_eq!(told[4].1, "too_long: 70008 bytes, 65536 are allowed");
    assert_eq!((told[0].1.as_str(), told[5].1.as_str()), ("", "join"));
    assert_eq!(count(&journal, "accepted"), 3);
    assert_eq!(count(&journal, "rejected"), 3);
    assert_eq!(posts.0.counts().0, 7);
}

/// The same id is a repeat, with other content it is a conflict, and of another device it is another message.
#[test]
fn a_message_id_names_one_message_of_a_device() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.add_sink("influxdb", None).unwrap();
    let posts = posts(&journal, 900, 100);
    let first = post(Some("a"), "{\"v\":1}");
    let told = outcomes(
        &posts,
        &[
            first,
            first,
            post(Some("a"), "{\"v\":2}"),
            Post {
                topic: Some(b"$api/point"),
                ..first
            },
            Post {
                device_id: "e2",
                ..first
            },
            post(Some("b"), "{\"v\":1}"),
        ],
    );
    assert_eq!(
        told,
        [Accepted, Duplicate, Conflict, Conflict, Accepted, Accepted]
    );
    assert_eq!(
        outcomes(&posts, &[first, post(Some("a"), "{\"v\":2}")]),
        [Duplicate, Conflict]
    );

    // A reject is remembered too.
    let bad = post(Some("c"), "{\"x\":1}");
    let (once, again) = (answer(&posts, &[bad]), answer(&posts, &[bad]));
    assert_eq!(once, again);
    assert_eq!(once[0].0, Rejected);
    assert_eq!(count(&journal, "accepted"), 3);
    assert_eq!(count(&journal, "rejected"), 1);
    assert_eq!(count(&journal, "duplicate"), 3);
    assert_eq!(
        journal.status().unwrap().skipped_kinds["message_id_conflict"],
        3
    );
}

/// Without an id, a document with a time is a repeat of its like; one without a time is not, and `message_id` comes before both.
#[test]
fn without_an_id_the_time_decides() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.add_sink("influxdb", None).unwrap();
    let posts = posts(&journal, 900, 100);
    let at = now_ns() / SECOND;
    let dated = format!("{{\"v\":1,\"at\":{at}}}");
    let (dated, undated) = (post(None, &dated), post(None, "{\"v\":1}"));
    let named = Post {
        message_id: Some(b"n"),
        ..dated
    };
    assert_eq!(
        outcomes(&posts, &[dated, dated, undated, undated, named, named]),
        [
            Accepted, Duplicate, Accepted, Accepted, Duplicate, Duplicate
        ]
    );
}

/// Another process dies behind the commit and before the answer: its client posts again, and is told of a duplicate.
#[test]
fn ids_are_known_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let copied = tempfile::tempdir().unwrap();
    {
        let journal = open(folder.path());
        journal.add_sink("influxdb", None).unwrap();
        let posts = posts(&journal, 900, 100_000);
        for batch in 0..20 {
            let ids: Vec<String> = (0..10).map(|n| format!("{batch}-{n}")).collect();
            let messages: Vec<Post<'_>> =
                ids.iter().map(|id| post(Some(id), "{\"v\":1}")).collect();
            posts.0.post(&messages).unwrap();
        }
        assert!(journal.sync(WAIT));
        // As a kill leaves them: the files, and no answer was fetched.
        for suffix in ["", "-wal"] {
            let name = format!("journal.db{suffix}");
            std::fs::copy(folder.path().join(&name), copied.path().join(&name)).unwrap();
        }
    }
    let journal = open(copied.path());
    journal.add_sink("influxdb", None).unwrap();
    let posts = posts(&journal, 900, 100_000);
    for batch in 0..20 {
        let ids: Vec<String> = (0..11).map(|n| format!("{batch}-{n}")).collect();
        let messages: Vec<Post<'_>> = ids.iter().map(|id| post(Some(id), "{\"v\":1}")).collect();
        let told = outcomes(&posts, &messages);
        let new = told.iter().filter(|o| **o == Outcome::Accepted).count();
        let known = told.iter().filter(|o| **o == Outcome::Duplicate).count();
        assert_eq!((new, known), (1, 10));
    }
    assert_eq!(count(&journal, "accepted"), 220);
}

/// Behind the window an id is free again; before that, no room is made for another.
#[test]
fn ids_leave_with_their_window_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.add_sink("influxdb", None).unwrap();
    let posts = posts(&journal, 60, 3);
    let at = |id: &'static str, s: i64| Post {
        received_at_ns: NOON + s * SECOND,
        ..post(Some(id), "{\"v\":1}")
    };
    assert_eq!(
        outcomes(
            &posts,
            &[
                at("a", 0),
                at("b", 30),
                at("c", 31),
                at("d", 32),
                at("a", 60)
            ]
        ),
        [Accepted, Accepted, Accepted, Refused, Duplicate]
    );
    // A message without an id needs no room.
    assert_eq!(
        outcomes(
            &posts,
            &[Post {
                message_id: None,
                ..at("x", 61)
            }]
        ),
        [Accepted]
    );
    assert_eq!(outcomes(&posts, &[at("e", 61)]), [Refused]);
    assert_eq!(outcomes(&posts, &[at("d", 63)]), [Accepted]);
    assert_eq!(
        outcomes(&posts, &[at("b", 90), at("c", 91), at("d", 92)]),
        [Duplicate; 3]
    );
    assert_eq!(
        journal.status().unwrap().skipped_kinds["too_many_message_ids"],
        2
    );
}

/// Rows of ids go when they have left the window.
#[test]
fn stored_ids_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.add_sink("influxdb", None).unwrap();
    let posts = posts(&journal, 60, 1000);
    for n in 0..20 {
        let id = n.to_string();
        let message = Post {
            received_at_ns: NOON + n * 10 * SECOND,
            ..post(Some(&id), "{\"v\":1}")
        };
        assert_eq!(outcomes(&posts, &[message]), [Outcome::Accepted]);
    }
    let db = rusqlite::Connection::open(folder.path().join("journal.db")).unwrap();
    let rows: i64 = db
        .query_row("SELECT count(*) FROM message_ids", [], |r| r.get(0))
        .unwrap();
    assert!((6..=8).contains(&rows), "{rows}");
}

/// Answers come in the order of the tickets, each once, and only for what is synced.
#[test]
fn answers_come_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    journal.add_sink("influxdb", None).unwrap();
    let (posts, rung) = posts(&journal, 900, 100_000);
    let sent: HashMap<u64, usize> = (1..200)
        .map(|n| {
            let count = n % 5 + 1;
            let messages = vec![post(None, "{\"v\":1}"); count];
            (posts.post(&messages).unwrap(), count)
        })
        .collect();
    assert_eq!(sent.len(), 199);
    let mut tickets = Vec::new();
    while tickets.len() < sent.len() {
        for (ticket, outcomes) in posts.results() {
            assert_eq!(outcomes.len(), sent[&ticket]);
            tickets.push(ticket);
        }
        let _ = rung.recv_timeout(Duration::from_millis(200));
    }
    assert!(tickets.is_sorted());
    assert!(!posts.has_results());
}

/// A full journal takes nothing more, and says so before a client is asked for more.
#[test]
fn a_full_journal_has_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        max_bytes: 1 << 20,
        ..common::options()
    };
    let journal = Journal::open(&folder.path().join("journal.db"), &options).unwrap();
    journal.add_sink("influxdb", None).unwrap();
    let posts = posts(&journal, 900, 100_000);
    let document = format!("{{\"v\":1,\"x\":\"{}\"}}", "y".repeat(20_000));
    let mut accepted = 0;
    while posts.0.has_room() {
        assert_eq!(
            outcomes(&posts, &[post(None, &document)]),
            [Outcome::Accepted]
        );
        accepted += 1;
        assert!(accepted < 1000);
    }
    assert_eq!(count(&journal, "accepted"), accepted);
}

/// A device's snapshot goes with its messages.
#[test]
fn a_post_has_the_tags_of_its_device() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let cursor = journal.add_sink("influxdb", None).unwrap();
    let posts = posts(&journal, 900, 100);
    let snapshot = device_snapshot(&[("device_id", "e1")]).unwrap();
    let message = Post {
        device: Some(&snapshot),
        ..post(None, "{\"v\":1}")
    };
    assert_eq!(
        outcomes(&posts, &[message, post(None, "{\"v\":1}")]),
        [Outcome::Accepted; 2]
    );
    let rows = cursor.read(cursor.position(), 1 << 20).unwrap();
    let devices: Vec<_> = rows
        .iter()
        .flat_map(|row| row.frames())
        .map(|frame| frame.device)
        .collect();
    assert_eq!(devices, [Some(&snapshot[..]), None]);
}

/// Who is answered may rely on the disk: a commit that is not synced answers nobody. With a sync each second, one of a few attempts meets the time between the two.
#[test]
fn a_commit_alone_answers_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        sync: SyncMode::Normal,
        ..common::options()
    };
    let journal = Journal::open(&folder.path().join("journal.db"), &options).unwrap();
    journal.add_sink("influxdb", None).unwrap();
    let (posts, rung) = posts(&journal, 900, 100);
    let has_waited = (1..=5).any(|number| {
        posts.post(&[post(None, "{\"v\":1}")]).unwrap();
        while count(&journal, "accepted") < number {
            std::thread::yield_now();
        }
        let has_waited = !posts.has_results();
        while posts.results().is_empty() {
            let _ = rung.recv_timeout(Duration::from_millis(200));
        }
        has_waited
    });
    assert!(has_waited);
}
