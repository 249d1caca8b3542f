//! What tells a series from others here: its topic, a NUL, and its name as a point gives it.

use iiot_core::series::SeriesName;

/// Write the key of a point.
pub(crate) fn write(topic: Option<&[u8]>, series: &[u8], key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(topic.unwrap_or_default());
    // No topic holds a NUL.
    key.push(0);
    key.extend_from_slice(series);
}

/// The topic, if it is published, and the name.
pub(crate) fn read(key: &[u8]) -> (Option<String>, SeriesName) {
    let mut parts = key.splitn(2, |byte| *byte == 0);
    let topic = parts.next().filter(|topic| !topic.is_empty());
    // A point's series always has a name.
    let name = parts.next().and_then(SeriesName::read).unwrap_or_default();
    (
        topic.map(|topic| String::from_utf8_lossy(topic).into_owned()),
        name,
    )
}

#[cfg(test)]
mod tests {
    use super::{read, write};

    #[test]
    fn a_key_gives_back_topic_and_name() {
        //! Points that are written and not published have no topic.
        let mut key = Vec::new();
        for topic in [Some("iiot/a/t"), None] {
            write(topic.map(str::as_bytes), b"air,unit=c value=", &mut key);

            let (read, name) = read(&key);
            assert_eq!(read.as_deref(), topic);
            assert_eq!((&*name.measurement, name.tag("unit")), ("air", Some("c")));
        }
    }
}
