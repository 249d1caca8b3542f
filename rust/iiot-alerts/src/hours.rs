//! Working hours: spans of days of the week in a time zone.

use crate::rule_error::RuleError;
use jiff::Timestamp;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
/// The most consecutive spans without a gap that are joined into one.
const MOST_JOINED: usize = 8;

/// When a plant works, such as `Mon-Fri 06:00-22:00, Sat 06:00-14:00`. A span that ends before it begins ends on the next day.
#[derive(Clone, Debug, PartialEq)]
pub struct Hours {
    spans: Vec<Span>,
    zone: TimeZone,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    /// The day on which the span begins, counted from Monday.
    days: [bool; 7],
    from: Time,
    /// Days after the day of the beginning, and the time.
    until: (i64, Time),
}

impl Hours {
    /// Read the keys `hours` and `zone`.
    pub(crate) fn parse(text: &str, zone: &str) -> Result<Self, RuleError> {
        let zone = TimeZone::get(zone).map_err(|_| RuleError {
            key: "zone",
            message: format!(
                "there is no time zone {zone:?}; expected one such as \"Europe/Vienna\""
            ),
        })?;
        let spans = text.split(',').map(|part| span(part.trim()));
        let spans = spans.collect::<Option<_>>().ok_or_else(|| RuleError {
            key: "hours",
            message: format!(
                "{text:?}: expected days and times, like \"Mon-Fri 06:00-22:00, Sat 06:00-14:00\""
            ),
        })?;
        Ok(Self { spans, zone })
    }

    /// Since when the plant has been working at this time; none if it does not work then. Nanoseconds since 1970.
    pub(crate) fn since(&self, now_ns: i64) -> Option<i64> {
        let mut since = self.begun(now_ns)?;
        for _ in 0..MOST_JOINED {
            // The previous span may end at the moment at which this one begins.
            match self.begun(since - 1) {
                Some(earlier) => since = earlier,
                None => break,
            }
        }
        Some(since)
    }

    fn begun(&self, now_ns: i64) -> Option<i64> {
        let now = Timestamp::from_nanosecond(i128::from(now_ns)).ok()?;
        let today = self.zone.to_datetime(now).date();
        let days = [Some(today), today.yesterday().ok()];
        let begun = days.into_iter().flatten().flat_map(|day| {
            let of_day = move |span: &&Span| {
                let number = usize::try_from(day.weekday().to_monday_zero_offset());
                number.ok().and_then(|n| span.days.get(n)) == Some(&true)
            };
            self.spans.iter().filter(of_day).filter_map(move |span| {
                let from = self.at(day, span.from)?;
                let end = day.checked_add(jiff::Span::new().days(span.until.0)).ok()?;
                let until = self.at(end, span.until.1)?;
                (from <= now_ns && now_ns < until).then_some(from)
            })
        });
        begun.min()
    }

    /// The time in nanoseconds since 1970 at which a clock in the zone shows this. A time that a change of clocks skips is moved past the skip.
    fn at(&self, day: Date, time: Time) -> Option<i64> {
        let instant = self.zone.to_timestamp(day.to_datetime(time)).ok()?;
        i64::try_from(instant.as_nanosecond()).ok()
    }
}

/// `Mon-Fri 06:00-22:00`, `Sat,Sun` is two spans.
fn span(text: &str) -> Option<Span> {
    let (days, times) = text.split_once(' ')?;
    let (from, until) = times.trim().split_once('-')?;
    let from = time(from)?;
    let until = if until == "24:00" {
        (1, Time::midnight())
    } else {
        let until = time(until)?;
        (i64::from(until <= from), until)
    };
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let (first, last) = (day(first)?, day(last)?);
    let mut worked = [false; 7];
    for (number, is_worked) in worked.iter_mut().enumerate() {
        *is_worked = if first <= last {
            (first..=last).contains(&number)
        } else {
            number >= first || number <= last
        };
    }
    Some(Span {
        days: worked,
        from,
        until,
    })
}

fn day(text: &str) -> Option<usize> {
    DAYS.iter().position(|name| name.eq_ignore_ascii_case(text))
}

fn time(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let is_two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !is_two(hour) || !is_two(minute) {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

/// Checks the order of the names when this is compiled.
const _: () = assert!(Weekday::Monday.to_monday_zero_offset() == 0);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn vienna(text: &str) -> i64 {
        let time: jiff::civil::DateTime = text.parse().unwrap();
        let zone = TimeZone::get("Europe/Vienna").unwrap();
        let instant = zone.to_timestamp(time).unwrap();
        i64::try_from(instant.as_nanosecond()).unwrap()
    }

    fn since(hours: &str, now: &str) -> Option<i64> {
        let hours = Hours::parse(hours, "Europe/Vienna").unwrap();
        hours.since(vienna(now))
    }

    /// Days, nights over midnight and over the end of the week, and spans that touch; 2026-11-30 is a Monday.
    #[test]
    fn the_beginning_of_the_present_span_is_found() {
        let week = "Mon-Fri 06:00-22:00, Sat 06:00-14:00";
        let cases = [
            (week, "2026-11-30T06:00", Some("2026-11-30T06:00")),
            (week, "2026-11-30T05:59", None),
            (week, "2026-11-30T22:00", None),
            (week, "2026-12-05T13:59", Some("2026-12-05T06:00")),
            (week, "2026-12-06T10:00", None),
            (
                "Sun-Thu 22:00-06:00",
                "2026-11-30T03:00",
                Some("2026-11-29T22:00"),
            ),
            ("Sun-Thu 22:00-06:00", "2026-11-28T23:00", None),
            (
                "Fri-Mon 08:00-09:00",
                "2026-11-29T08:30",
                Some("2026-11-29T08:00"),
            ),
            (
                "Mon 00:00-24:00",
                "2026-11-30T23:59",
                Some("2026-11-30T00:00"),
            ),
            // Three shifts without a gap are one, and the night of a change of clocks is no gap.
            (
                "Mon-Sun 06:00-14:00, Mon-Sun 14:00-22:00, Mon 22:00-06:00",
                "2026-12-01T07:00",
                Some("2026-11-30T06:00"),
            ),
            (
                "Sat 20:00-06:00",
                "2026-10-25T05:00",
                Some("2026-10-24T20:00"),
            ),
        ];
        for (hours, now, expected) in cases {
            assert_eq!(since(hours, now), expected.map(vienna), "{hours} at {now}");
        }
    }

    /// The fault names the key.
    #[test]
    fn what_is_no_span_is_refused() {
        for text in [
            "",
            "Mon",
            "Mon 6:00-22:00",
            "Mon 06:00",
            "Monday 06:00-07:00",
            "Mon 25:00-26:00",
            "Mon-Fri 06:00-22:00,",
        ] {
            assert_eq!(
                Hours::parse(text, "UTC").unwrap_err().key,
                "hours",
                "{text}"
            );
        }
        assert_eq!(
            Hours::parse("Mon 06:00-07:00", "Vienna").unwrap_err().key,
            "zone"
        );
    }
}
