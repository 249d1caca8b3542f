//! Times in a format that a profile writes with the conversions of `strptime`, such as `%d.%m.%Y %H:%M`.

use jiff::Timestamp;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{Offset, TimeZone};

/// The zone with this name; the error is a message for the author of the profile.
pub(crate) fn named_zone(zone: &str) -> Result<TimeZone, String> {
    TimeZone::get(zone).map_err(|_| {
        format!("zone: expected the name of a time zone, such as \"Europe/Vienna\", found `{zone}`")
    })
}

/// The zone of a format of conversions; none if it has an offset. As a check, a sample is written and read again: a format that can only be written, or that
/// does not determine a moment, is refused.
pub(crate) fn checked_zone(pattern: &str, zone: Option<&str>) -> Result<Option<TimeZone>, String> {
    let sample = Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::fixed(Offset::constant(1)));
    let text = strtime::format(pattern, &sample)
        .map_err(|error| format!("format: `{pattern}`: {error}"))?;
    let read = BrokenDownTime::parse(pattern, &text)
        .map_err(|error| format!("format: `{pattern}` can be written and not read: {error}"))?;
    let has_offset = read.offset().is_some() || read.timestamp().is_some();
    match zone {
        Some(_) if has_offset => Err(format!(
            "zone: only a format without an offset has one, not `{pattern}`"
        )),
        None if !has_offset => Err(format!(
            "format: `{pattern}` needs `zone`, the zone whose clock the document shows, such as \"Europe/Vienna\", or `%z`"
        )),
        _ if !has_offset && read.to_datetime().is_err() => Err(format!(
            "format: `{pattern}` tells no date; expected such as `%Y-%m-%d %H:%M:%S`"
        )),
        _ if has_offset && read.to_timestamp().is_err() => Err(format!(
            "format: `{pattern}` tells no moment; expected such as `%Y-%m-%d %H:%M:%S %z`"
        )),
        zone => zone.map(named_zone).transpose(),
    }
}

/// Read a time as its conversions say.
pub(crate) fn written(text: &[u8], pattern: &str, zone: Option<&TimeZone>) -> Option<i64> {
    let read = BrokenDownTime::parse(pattern, text).ok()?;
    let instant = match zone {
        Some(zone) => zone.to_timestamp(read.to_datetime().ok()?).ok()?,
        None => read.to_timestamp().ok()?,
    };
    i64::try_from(instant.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use crate::kind::Kind;
    use crate::moment::Moment;
    use crate::time_format::TimeFormat;

    fn text(format: &str, zone: Option<&str>, text: &str) -> Option<i64> {
        TimeFormat::named(format, zone)
            .unwrap()
            .read(Kind::String, text.as_bytes())?
            .at(None)
    }

    #[test]
    fn a_time_is_read_as_its_conversions_say() {
        //! In a zone or with an offset, with a name of a month, with fractions, and without separators as a number.
        let noon = text("rfc3339", None, "2023-06-23T10:00:00Z");
        let in_vienna = |format: &str, time: &str| text(format, Some("Europe/Vienna"), time);
        assert_eq!(in_vienna("%d.%m.%Y %H:%M", "23.06.2023 12:00"), noon);
        assert_eq!(
            in_vienna("%b %e %Y %I:%M:%S %p", "Jun 23 2023 12:00:00 PM"),
            noon
        );
        assert_eq!(
            text("%d/%b/%Y:%H:%M:%S %z", None, "23/Jun/2023:12:00:00 +0200"),
            noon
        );
        assert_eq!(
            in_vienna("%Y%m%d %H%M%S%.f", "20230623 120000.25"),
            noon.map(|noon| noon + 250_000_000)
        );
        let utc = TimeFormat::named("%Y%m%d%H%M", Some("UTC")).unwrap();
        let read = utc.read(Kind::Number, b"202306231000");
        assert_eq!(read, noon.map(Moment::At));
        assert_eq!(in_vienna("%d.%m.%Y %H:%M", "23.06.2023"), None);
        for (format, zone) in [
            ("%Y-%m-%d", None),
            ("%Y-%m-%d %z", Some("UTC")),
            ("%H:%M", Some("UTC")),
            ("%z", None),
            ("%Z %Y-%m-%d", Some("UTC")),
            ("%!", Some("UTC")),
            ("%Y-%m-%d", Some("Vienna")),
        ] {
            assert!(TimeFormat::named(format, zone).is_err(), "{format}");
        }
    }
}
