//! Values of other gateways: they have the time that their site gave them, what comes twice is counted, and a share judges each message by itself.

use crate::common::{NOON, SECOND, WAIT, balanced, behind, open, settings};
use iiot_core::profile::Profile;
use iiot_journal::{Intake, Journal, Message, SiteChunk, SiteMark, SourceSettings, Supply};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const SITE: &str = "0a1b2c";
const RUN: &str = "ffee";

fn values(is_shared: bool) -> SourceSettings {
    let text = "name = \"values\"\n[[point]]\nfilter = \"iiot/{node}/{metric}\"\nmeasurement = \"{metric}\"\ntags = { node = \"{node}\" }\n[point.fields]\nvalue = { path = \".\", type = \"any\" }\n";
    SourceSettings {
        profile: Arc::new(Profile::parse(text).unwrap()),
        supply: Supply::Waiting,
        is_shared,
        ..settings("values")
    }
}

fn mark(position: u64, field: u32, time_ns: i64) -> SiteMark<'static> {
    SiteMark {
        origin: SITE,
        run: RUN,
        position,
        place: (0, field),
        time_ns,
    }
}

fn send(intake: &mut Intake, document: &[u8], mark: Option<SiteMark<'_>>) {
    intake.take_message(&Message {
        topic: Some(b"iiot/n1/t"),
        document,
        received_at_ns: NOON + 5 * SECOND,
        mark,
        ..Message::default()
    });
    let ticket = intake.send_messages().unwrap();
    let until = Instant::now() + WAIT;
    while intake.synced_ticket() < ticket {
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
}

/// Received, doubles.
fn counts(journal: &Journal) -> (u64, u64) {
    let status = journal.status().unwrap();
    balanced(&status);
    match status.sites.as_slice() {
        [] => (0, 0),
        [site] => {
            assert_eq!(site.origin, SITE);
            (site.received, site.doubles)
        }
        more => panic!("{more:?}"),
    }
}

fn times(folder: &Path) -> Vec<i64> {
    let journal = open(folder);
    let cursor = journal.add_sink("all", None).unwrap();
    behind(&cursor)
        .into_iter()
        .map(|(_, time, _)| time)
        .collect()
}

#[test]
fn a_value_has_the_time_that_its_site_gave_it() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let _all = journal.add_sink("all", None).unwrap();
    let mut intake = journal.add_source(values(true), None).unwrap();
    send(&mut intake, b"27.6", Some(mark(1, 0, NOON)));
    send(&mut intake, b"27.7", Some(mark(2, 0, NOON + 1)));
    // A time that cannot be right is none.
    send(&mut intake, b"27.8", Some(mark(3, 0, 1)));
    send(&mut intake, b"27.9", None);
    drop((intake, journal));
    let arrival = NOON + 5 * SECOND;
    let given = times(folder.path());
    assert_eq!(given[..3], [NOON, NOON + 1, arrival]);
    assert!(given[3] > arrival, "{given:?}");
}

#[test]
fn what_comes_twice_is_counted_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut intake = journal.add_source(values(true), None).unwrap();
    for position in 60..70 {
        for field in 0..3 {
            let time_ns = NOON + position as i64 * SECOND;
            send(&mut intake, b"1", Some(mark(position, field, time_ns)));
        }
    }
    send(&mut intake, b"1", Some(mark(63, 1, NOON)));
    assert_eq!(counts(&journal), (31, 1));
    drop((intake, journal));
    let journal = open(folder.path());
    let mut intake = journal.add_source(values(true), None).unwrap();
    send(&mut intake, b"1", Some(mark(64, 2, NOON)));
    // Another run of the same journal accepted something else at this position.
    let other = SiteMark {
        run: "abcd",
        ..mark(64, 2, NOON)
    };
    send(&mut intake, b"1", Some(other));
    assert_eq!(counts(&journal), (33, 2));
    let kept = |behind, most| -> Vec<(String, u64, usize)> {
        let chunks = journal.site_chunks(SITE, behind, most).unwrap();
        let plain = |chunk: SiteChunk| (chunk.run, chunk.number, chunk.entries.len() / 3);
        chunks.into_iter().map(plain).collect()
    };
    let all = [("abcd", 1, 1), (RUN, 0, 12), (RUN, 1, 18)]
        .map(|(run, number, values)| (run.to_owned(), number, values));
    assert_eq!(kept(None, 9), all);
    assert_eq!(kept(Some(("abcd", 1)), 1), all[1..2]);
    assert_eq!(kept(Some((RUN, 1)), 9), []);
    assert_eq!(journal.site_chunks("unknown", None, 9).unwrap(), []);
}

/// Two workers of a share give a message the same time, whatever else either has got; a gateway of its own moves the second value of a time on.
#[test]
fn a_share_moves_no_time() {
    for (is_shared, second) in [(true, NOON), (false, NOON + 1_000_000)] {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path());
        let _all = journal.add_sink("all", None).unwrap();
        let mut intake = journal.add_source(values(is_shared), None).unwrap();
        send(&mut intake, b"1", Some(mark(1, 0, NOON)));
        send(&mut intake, b"2", Some(mark(2, 0, NOON)));
        drop((intake, journal));
        assert_eq!(times(folder.path()), [NOON, second]);
    }
}

/// In a share an uptime is no time: the worker sees a part of the device's messages only.
#[test]
fn a_share_follows_no_clock() {
    let text = "name = \"p\"\n[time]\npath = \"at\"\nformat = \"uptime_ms\"\n[[point]]\nfilter = \"iiot/#\"\nmeasurement = \"m\"\nfields = { v = \"number\" }\n";
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let _all = journal.add_sink("all", None).unwrap();
    let source = SourceSettings {
        profile: Arc::new(Profile::parse(text).unwrap()),
        ..values(true)
    };
    let mut intake = journal.add_source(source, None).unwrap();
    send(&mut intake, b"{\"at\":5000,\"v\":1}", None);
    send(&mut intake, b"{\"at\":4000,\"v\":2}", None);
    drop((intake, journal));
    let given = times(folder.path());
    assert!(
        given.iter().all(|time| *time >= NOON + 5 * SECOND),
        "{given:?}"
    );
    assert!(given[0] < given[1]);
}

/// Chunks have a part of the journal's room. The oldest go when that is used up, and are counted; what came lately is still known.
#[test]
fn what_came_long_ago_is_counted_only() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let mut intake = journal.add_source(values(true), None).unwrap();
    let topic = Some(&b"iiot/n1/t"[..]);
    // Far apart, so that each value has a chunk of its own.
    let number = 6_000;
    for n in 0..number {
        intake.take_message(&Message {
            topic,
            document: b"1",
            received_at_ns: NOON,
            mark: Some(mark(64 * n, 0, NOON + n as i64)),
            ..Message::default()
        });
        if n % 500 == 0 {
            intake.send_messages().unwrap();
        }
    }
    send(&mut intake, b"1", Some(mark(64 * (number - 1), 0, NOON)));
    assert_eq!(counts(&journal), (number + 1, 1));
    let status = journal.status().unwrap();
    let forgotten = status.sites[0].forgotten;
    let kept = journal.site_chunks(SITE, None, u32::MAX).unwrap();
    assert_eq!(kept.len() as u64 + forgotten, number);
    assert!(forgotten > 0);
    assert!(kept.iter().any(|chunk| chunk.number == number - 1));
    drop((intake, journal));
    let journal = open(folder.path());
    let mut intake = journal.add_source(values(true), None).unwrap();
    send(&mut intake, b"1", Some(mark(64 * (number - 1), 0, NOON)));
    assert_eq!(counts(&journal), (number + 2, 2));
}
