//! What is decided of values whose topics are known, and what is not lost or turned back by it.

use super::*;
use crate::topic_names::UNLISTED;
use proptest::prelude::*;

const NOW: i64 = 1_700_000_000_000_000_000;

fn candidate(topic: u32, position: u64, time_ns: i64) -> Candidate {
    Candidate {
        topic,
        position,
        index: 0,
        time_ns,
        retain: true,
        suspect: false,
    }
}

fn topics(backlog: Backlog) -> Topics {
    let mut topics = Topics::new(backlog, 1000);
    topics.intern("a");
    topics.intern("b");
    topics.begin(0);
    topics
}

const fn sent(retain: bool, late: bool) -> Decision {
    Decision::Send { retain, late }
}

#[test]
fn a_topic_beyond_the_limit_is_sent_without_retain_and_not_remembered() {
    for backlog in [Backlog::Replay, Backlog::Latest] {
        let mut topics = Topics::new(backlog, 2);
        topics.intern("a");
        topics.intern("b");

        let beyond = topics.intern("c");

        assert_eq!((beyond, topics.find(b"c")), (UNLISTED, None));
        assert_eq!(topics.intern("b"), 1);
        topics.begin_batch();
        topics.offer(candidate(beyond, 0, NOW), NOW);
        for time_ns in [NOW, NOW - 5] {
            let decision = topics.decide(candidate(beyond, 0, time_ns), true, NOW);
            assert_eq!(decision, sent(false, false));
        }
    }
}

#[test]
fn an_older_value_is_late_and_an_equally_old_one_is_not() {
    for (backlog, late) in [
        (Backlog::Replay, sent(false, true)),
        (Backlog::Latest, Decision::Supersede),
    ] {
        let mut topics = topics(backlog);

        assert_eq!(
            topics.decide(candidate(0, 0, NOW), false, NOW),
            sent(true, false)
        );
        assert_eq!(
            topics.decide(candidate(0, 1, NOW), false, NOW),
            sent(true, false)
        );
        assert_eq!(topics.decide(candidate(0, 2, NOW - 1), false, NOW), late);
        assert_eq!(
            topics.decide(candidate(1, 2, NOW - 1), false, NOW),
            sent(true, false)
        );
    }
}

#[test]
fn a_time_a_day_ahead_makes_nothing_late() {
    let mut topics = topics(Backlog::Replay);

    let far = NOW + FAR_AHEAD_NS + 1;
    assert_eq!(
        topics.decide(candidate(0, 0, far), false, NOW),
        sent(true, false)
    );
    assert_eq!(
        topics.decide(candidate(0, 1, NOW), false, NOW),
        sent(true, false)
    );
    assert_eq!(topics.newest_ns(0), NOW);
    assert_eq!(
        topics.decide(candidate(0, 2, NOW + FAR_AHEAD_NS), false, NOW),
        sent(true, false)
    );
    assert_eq!(
        topics.decide(candidate(0, 3, NOW), false, NOW),
        sent(false, true)
    );
}

#[test]
fn of_what_may_have_been_sent_only_the_newest_keeps_its_retain_flag() {
    let mut topics = topics(Backlog::Replay);
    topics.confirm(0, b"known", true, NOW);
    topics.confirm(1, b"known", true, NOW + 5);
    topics.begin(4);
    let range = [
        candidate(0, 0, NOW + 1),
        candidate(0, 1, NOW + 3),
        candidate(0, 2, NOW + 2),
        candidate(1, 3, NOW),
    ];
    for publish in range {
        topics.survey(publish, NOW);
    }

    let decisions = range.map(|publish| topics.decide(publish, false, NOW));

    assert_eq!(
        decisions,
        [
            sent(false, false),
            sent(true, false),
            sent(false, true),
            sent(false, true)
        ]
    );
    assert_eq!(
        topics.decide(candidate(0, 4, NOW + 4), false, NOW),
        sent(true, false)
    );
    // The range brings topic 0 a newer value than the known one; topic 1 only an older one.
    assert_eq!(topics.to_refresh(), [1]);
}

#[test]
fn a_new_connection_forgets_what_was_sent_and_not_confirmed() {
    let mut topics = topics(Backlog::Replay);
    topics.decide(candidate(0, 0, NOW + 9), false, NOW);

    topics.begin(0);

    assert_eq!(
        topics.decide(candidate(0, 0, NOW + 1), false, NOW),
        sent(true, false)
    );
}

/// Frames of one publish: (topic, time).
fn backlog() -> impl Strategy<Value = Vec<(u32, i64)>> {
    prop::collection::vec(
        (
            0_u32..2,
            (0_i64..20).prop_map(|step| {
                if step == 19 {
                    NOW + 2 * FAR_AHEAD_NS
                } else {
                    NOW + step
                }
            }),
        ),
        1..40,
    )
}

fn candidates(frames: &[(u32, i64)]) -> Vec<Candidate> {
    (0..)
        .zip(frames)
        .map(|(position, (topic, time))| candidate(*topic, position, *time))
        .collect()
}

/// What each topic has retained after these publishes, beginning with what it had.
fn retained(
    topics: &mut Topics,
    publishes: &[Candidate],
    had: [Option<u64>; 2],
) -> Vec<[Option<u64>; 2]> {
    let mut now = had;
    publishes
        .iter()
        .map(|publish| {
            if let Decision::Send { retain: true, .. } = topics.decide(*publish, false, NOW) {
                now[publish.topic as usize] = Some(publish.position);
            }
            now
        })
        .collect()
}

proptest! {
    /// Killed at any moment with nothing confirmed and started again: no topic goes back at any step, and all end as if
    /// nothing had happened.
    #[test]
    fn a_restart_never_takes_a_retained_value_back(frames in backlog(), sent_before in any::<prop::sample::Index>()) {
        let publishes = candidates(&frames);
        let killed_at = sent_before.index(publishes.len()) + 1;
        let undisturbed = retained(&mut topics(Backlog::Replay), &publishes, [None, None]);
        let before = undisturbed[killed_at - 1];

        let mut again = topics(Backlog::Replay);
        again.begin(publishes.len() as u64);
        for publish in &publishes {
            again.survey(*publish, NOW);
        }
        let steps = retained(&mut again, &publishes, before);

        let mut last = before;
        for step in &steps {
            for topic in 0..2 {
                prop_assert!(step[topic] >= last[topic], "{before:?} then {steps:?}");
            }
            last = *step;
        }
        prop_assert_eq!(Some(&last), undisturbed.last());
    }

    /// Of a collapsed batch each topic gets at most one value, and it is the one that a replay would have left retained.
    #[test]
    fn a_collapsed_batch_sends_the_value_that_a_replay_ends_with(frames in backlog()) {
        let publishes = candidates(&frames);
        let replayed = retained(&mut topics(Backlog::Replay), &publishes, [None, None]);

        let mut latest = topics(Backlog::Latest);
        latest.begin_batch();
        for publish in &publishes {
            latest.offer(*publish, NOW);
        }
        let mut sent = [None, None];
        for publish in &publishes {
            if let Decision::Send { retain, late } = latest.decide(*publish, true, NOW) {
                prop_assert!(retain && !late);
                prop_assert_eq!(sent[publish.topic as usize].replace(publish.position), None);
            }
        }

        prop_assert_eq!(Some(&sent), replayed.last());
    }
}
