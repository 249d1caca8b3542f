//! Ends of connections, and whom they accuse.

use super::*;

fn at(position: u64) -> Place {
    (position, iiot_core::Place::default())
}

fn end(trial: &mut Trial, blame: Blame, under_way: &[Sent], is_proven: bool) -> bool {
    trial.on_end(blame, "why", under_way, is_proven, 99, Instant::now())
}

fn points(positions: std::ops::Range<u64>) -> Vec<Sent> {
    positions
        .map(|position| Sent::Point(at(position)))
        .collect()
}

#[test]
fn one_end_accuses_nobody_and_the_second_with_the_same_publishes_slows_down() {
    let mut trial = Trial::default();

    assert!(!end(&mut trial, Blame::Unclear, &points(3..9), true));
    assert!(trial.is_idle());
    assert!(end(&mut trial, Blame::Unclear, &points(5..20), true));

    assert_eq!(
        [5, 8, 9].map(|position| trial.is_careful(position)),
        [true, true, false]
    );
    assert_eq!(trial.advice(at(5), true), Advice::Send);
}

#[test]
fn publishes_that_went_through_meanwhile_are_not_accused() {
    let mut trial = Trial::default();

    end(&mut trial, Blame::Unclear, &points(3..9), true);
    end(&mut trial, Blame::Unclear, &points(9..12), true);

    assert!(trial.is_idle());
}

#[test]
fn a_publish_alone_is_refused_after_two_ends_that_others_came_before() {
    let mut trial = Trial::default();
    end(&mut trial, Blame::Unclear, &points(3..9), true);
    end(&mut trial, Blame::Unclear, &points(3..9), true);

    assert!(end(&mut trial, Blame::Unclear, &points(5..6), true));
    assert_eq!(trial.advice(at(5), false), Advice::ProveFirst);
    assert_eq!(trial.advice(at(5), true), Advice::Send);
    assert!(end(&mut trial, Blame::Unclear, &points(5..6), true));

    assert_eq!(trial.advice(at(5), false), Advice::Refuse("why".into()));
    assert_eq!(trial.advice(at(6), false), Advice::Send);
    trial.settle(at(5));
    trial.begin(9);
    assert!(trial.is_idle());
}

#[test]
fn a_reason_that_names_the_value_is_enough_and_silence_takes_more() {
    for (blame, ends) in [(Blame::Value, 1), (Blame::Silence, 4)] {
        let mut trial = Trial::default();
        for _ in 0..ends {
            assert_eq!(trial.advice(at(5), true), Advice::Send);
            end(&mut trial, blame, &points(5..6), true);
        }

        let refused = matches!(trial.advice(at(5), true), Advice::Refuse(_));
        assert!(refused, "{blame:?}");
    }
}

#[test]
fn ends_over_which_nothing_went_through_are_no_strikes() {
    let mut trial = Trial::default();
    for _ in 0..50 {
        end(&mut trial, Blame::Unclear, &points(5..6), false);
    }

    assert_eq!(trial.advice(at(5), true), Advice::Send);
    assert_eq!(trial.advice(at(5), false), Advice::ProveFirst);
    trial.on_accepted(at(5), "t", &Bytes::new());
    assert_eq!(trial.advice(at(5), false), Advice::Send);
}

#[test]
fn a_canary_that_fails_accuses_nobody_and_another_one_comes_next() {
    let mut trial = Trial::default();
    trial.on_accepted(at(1), "t", &Bytes::from_static(b"v"));

    assert!(!end(&mut trial, Blame::Unclear, &[Sent::Canary], true));
    assert_eq!(trial.canary(), Err(0));
    end(&mut trial, Blame::Unclear, &[Sent::Canary], true);

    assert_eq!((trial.canary(), trial.suspects()), (Err(1), 0));
}

#[test]
fn a_publish_outside_the_journal_is_left_out_for_an_hour() {
    let (mut trial, now) = (Trial::default(), Instant::now());
    let health = [Sent::Aside("health".into())];

    end(&mut trial, Blame::Unclear, &health, true);
    assert_eq!(trial.leaves_out("health", now), None);
    end(&mut trial, Blame::Unclear, &health, true);

    let later = Instant::now() + LEFT_OUT;
    assert_eq!(
        [now, later].map(|at| trial.leaves_out("health", at)),
        [Some("why"), None]
    );
    trial.on_aside_accepted("health");
    assert_eq!(trial.leaves_out("health", now), None);
}
