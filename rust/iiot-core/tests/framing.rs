//! Where documents begin and end, case by case. Log forms and simple damage are in the shared vectors; here is what needs a framer in hand.

use iiot_core::{DamageReason, Framed, Framer};

const GOOD: &str = r#"{"ts":2,"n1":{"t":2.5}}"#;

/// The frames of a stream in short: a document as its text, damage as `reason@offset-end`.
fn frames(stream: &[u8]) -> Vec<String> {
    let mut framer = Framer::new(1024);
    let mut seen = Vec::new();
    framer.push(stream);
    while let Some(framed) = framer.next() {
        seen.push(short(&framed));
    }
    while let Some(framed) = framer.finish() {
        seen.push(short(&framed));
    }
    seen
}

fn short(framed: &Framed<'_>) -> String {
    match framed {
        Framed::Document { bytes, .. } => String::from_utf8_lossy(bytes).into_owned(),
        Framed::Damaged {
            reason,
            offset,
            end,
            ..
        } => format!("{}@{offset}-{end}", reason.name()),
    }
}

#[test]
fn objects_inside_damage_are_never_frames() {
    //! Whatever is wrong before, between or behind them.
    for damaged in [
        r#"{"id":"N2",n1":{"t":9.8},"n2":{"t":1}}"#,
        r#"{"id":"N2","n1:{"t":9.8},"n2":{"t":1}}"#,
        r#"{"id":N2,"n1":{"t":9.8},"list":[{"t":1},{"t":2}]}"#,
        r#"{"id":"N2","n1":  {"t":9.8} "n2": {"t":1}}"#,
        r#"{"a":1,,"n1":{"t":9.8}}"#,
        r#"{"a":"one\ntwo","b":x,"n1":{"t":9.8}}"#,
    ] {
        let stream = format!("{damaged}\n{GOOD}\n");
        let seen = frames(stream.as_bytes());
        assert_eq!(seen.len(), 2, "{damaged}: {seen:?}");
        assert!(
            seen[0].contains(&format!("@0-{}", damaged.len() + 1)),
            "{damaged}: {seen:?}"
        );
        assert_eq!(seen[1], GOOD);
    }
}

#[test]
fn a_cut_document_never_swallows_the_next() {
    //! At every byte, on a serial line, with the two characters between. Only behind a colon nothing tells the next document from a value.
    let document = r#"{"ts":1,"id":"N2","n1":{"t":27.6,"h":[1,2]},"ok":true}"#;
    for length in 2..document.len() {
        let (cut, _) = document.split_at(length);
        for separator in ["\\n", "\n"] {
            let stream = format!("{cut}{separator}{GOOD}{separator}{GOOD}{separator}");
            let seen = frames(stream.as_bytes());
            assert_eq!(
                seen.iter().filter(|frame| *frame == GOOD).count(),
                2,
                "{stream}: {seen:?}"
            );
            assert_eq!(seen.len(), 3, "{stream}: {seen:?}");
        }
    }
}

#[test]
fn a_cut_document_costs_at_most_itself_where_nothing_separates() {
    //! Back to back: cut behind a colon or a bracket the next document is read as a value, and the one behind it is found.
    let document = r#"{"ts":1,"id":"N2","n1":{"t":27.6,"h":[1,2]},"ok":true}"#;
    for length in 2..document.len() {
        let (cut, _) = document.split_at(length);
        let stream = format!("{cut}{GOOD}{GOOD}{GOOD}");
        let seen = frames(stream.as_bytes());
        let good = seen.iter().filter(|frame| *frame == GOOD).count();
        let as_value = [":", "[", ","].iter().any(|end| cut.ends_with(end));
        assert!(good == 3 || (as_value && good == 2), "{stream}: {seen:?}");
    }
}

#[test]
fn deep_nesting_is_damage_and_no_overflow() {
    //! 64 levels are read, 65 are not, and a hundred thousand neither.
    let nested = |depth: usize| {
        format!(
            "{{\"a\":{}1{}}}\n",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    };
    assert_eq!(frames(nested(64).as_bytes()), [nested(64).trim_end()]);
    assert!(frames(nested(65).as_bytes())[0].starts_with("too_deep@0"));
    let mut framer = Framer::new(1 << 20);
    framer.push(nested(100_000).as_bytes());
    assert!(matches!(
        framer.next(),
        Some(Framed::Damaged {
            reason: DamageReason::TooDeep,
            at: 68,
            ..
        })
    ));
}

#[test]
fn a_document_of_the_greatest_length_is_read() {
    //! One byte more is too long.
    let mut framer = Framer::new(GOOD.len());
    framer.push(GOOD.as_bytes());
    assert!(matches!(framer.next(), Some(Framed::Document { .. })));
    let mut framer = Framer::new(GOOD.len() - 1);
    framer.push(GOOD.as_bytes());
    framer.push(b"\n");
    assert!(matches!(
        framer.next(),
        Some(Framed::Damaged {
            reason: DamageReason::TooLong,
            at: 22,
            end: 24,
            ..
        })
    ));
}

#[test]
fn endless_damage_is_skipped_without_being_kept() {
    //! Ten megabytes without a place to go on hold nothing, and one damaged frame comes out.
    let mut framer = Framer::new(1024);
    framer.push(b"{\"a\":x");
    for _ in 0..10_000 {
        framer.push(&[b'x'; 1024]);
        assert_eq!(framer.next(), None);
        assert!(framer.held_bytes() <= 2);
    }
    framer.push(b"\n");
    let Some(Framed::Damaged { excerpt, end, .. }) = framer.next() else {
        panic!("damage expected")
    };
    assert_eq!((excerpt.len(), end), (200, 6 + 10_240_000 + 1));
}

#[test]
fn an_endless_document_is_cut_off_at_the_limit() {
    //! Memory stays at the limit and one chunk.
    let mut framer = Framer::new(4096);
    framer.push(b"{\"a\":\"");
    for _ in 0..1000 {
        framer.push(&[b'x'; 100]);
        while framer.next().is_some() {}
        assert!(framer.held_bytes() <= 4096 + 100);
    }
}

#[test]
fn a_document_in_single_bytes_is_not_read_again_and_again_without_end() {
    //! A hostile document that invites a new attempt at every byte takes linear work: this ends at once, or not within the time of a test.
    let document = format!("{{\"a\":\"{}\"}}", "}".repeat(300_000));
    let mut framer = Framer::new(600_000);
    let mut seen = 0;
    for byte in document.as_bytes() {
        framer.push(&[*byte]);
        while framer.next().is_some() {
            seen += 1;
        }
    }
    while framer.finish().is_some() {
        seen += 1;
    }
    assert_eq!(seen, 1);
}

#[test]
fn a_broken_stream_begins_anew_and_offsets_go_on() {
    //! The open document is damaged; what comes next is not joined to it.
    let mut framer = Framer::new(1024);
    framer.push(b"{\"ts\":1,\"n1\":{\"t\":");
    assert_eq!(framer.next(), None);
    assert_eq!(framer.settled(), 0);
    let Some(Framed::Damaged {
        reason,
        offset,
        at,
        end,
        ..
    }) = framer.restart()
    else {
        panic!("damage expected")
    };
    assert_eq!(
        (reason, offset, at, end),
        (DamageReason::CutShort, 0, 18, 18)
    );
    assert_eq!(framer.restart(), None);
    framer.push(GOOD.as_bytes());
    let end = 18 + GOOD.len() as u64;
    assert_eq!(
        framer.next(),
        Some(Framed::Document {
            bytes: GOOD.as_bytes(),
            offset: 18,
            end
        })
    );
    assert_eq!(framer.settled(), end);
}

#[test]
fn text_that_is_not_utf8_costs_one_frame() {
    //! Overlong forms, surrogates and lone continuation bytes, in strings and in keys.
    for bad in [
        &b"\x80"[..],
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc3",
    ] {
        for (before, behind) in [
            (&b"{\"id\":\""[..], &b"\",\"n1\":{\"t\":1}}\n"[..]),
            (b"{\"", b"\":1}\n"),
        ] {
            let stream = [before, bad, behind, GOOD.as_bytes()].concat();
            let seen = frames(&stream);
            assert!(
                seen.len() == 2 && seen[0].starts_with("bad_utf8@0") && seen[1] == GOOD,
                "{bad:?}: {seen:?}"
            );
        }
    }
}
