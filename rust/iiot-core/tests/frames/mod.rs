//! What must hold of the frames of any stream, however it is cut.

#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "tests and fuzz targets each use a part"
)]

use iiot_core::{Framed, Framer, Profile, Scan};

/// A frame with its bytes, to compare and keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owned {
    Document(Vec<u8>, u64, u64),
    Damaged(String, Vec<u8>, u64, u64, u64),
}

pub fn owned(framed: Framed<'_>) -> Owned {
    match framed {
        Framed::Document { bytes, offset, end } => Owned::Document(bytes.to_vec(), offset, end),
        Framed::Damaged {
            reason,
            excerpt,
            offset,
            at,
            end,
        } => Owned::Damaged(reason.name().to_owned(), excerpt.to_vec(), offset, at, end),
    }
}

pub fn shifted(frame: &Owned, by: u64) -> Owned {
    match frame.clone() {
        Owned::Document(bytes, offset, end) => Owned::Document(bytes, offset + by, end + by),
        Owned::Damaged(reason, excerpt, offset, at, end) => {
            Owned::Damaged(reason, excerpt, offset + by, at + by, end + by)
        }
    }
}

/// The frames of a stream pushed in chunks of the given sizes, over and over, with what is settled behind each.
pub fn pushed(stream: &[u8], sizes: &[usize], max: usize) -> Vec<(Owned, u64)> {
    let (mut framer, mut seen) = (Framer::new(max), Vec::new());
    for chunk in cut(stream, sizes) {
        framer.push(chunk);
        while let Some(frame) = framer.next().map(owned) {
            seen.push((frame, framer.settled()));
        }
    }
    while let Some(frame) = framer.finish().map(owned) {
        seen.push((frame, framer.settled()));
    }
    seen
}

fn cut<'s>(stream: &'s [u8], sizes: &[usize]) -> Vec<&'s [u8]> {
    let (mut chunks, mut rest) = (Vec::new(), stream);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, behind) = rest.split_at((*size).clamp(1, rest.len()));
        chunks.push(chunk);
        rest = behind;
    }
    chunks
}

fn fed(stream: &[u8], sizes: &[usize], max: usize) -> Vec<Owned> {
    let (mut framer, mut seen) = (Framer::new(max), Vec::new());
    for chunk in cut(stream, sizes) {
        framer.feed(chunk, |framed| seen.push(owned(framed)));
    }
    while let Some(frame) = framer.finish().map(owned) {
        seen.push(frame);
    }
    seen
}

fn fed_with(stream: &[u8], sizes: &[usize], max: usize, profile: &Profile) -> Vec<Owned> {
    let (mut framer, mut scan, mut seen, mut points) =
        (Framer::new(max), Scan::new(), Vec::new(), Vec::new());
    for chunk in cut(stream, sizes) {
        framer.feed_with(chunk, profile, &mut scan, |framed, decoded, fault| {
            if let Framed::Document { bytes, .. } = framed {
                let (mut again, points_before) = (Scan::new(), decoded.points());
                assert_eq!(profile.scan(bytes, &mut again).err(), fault);
                assert_eq!(points_before, again.points());
                points.push(points_before);
            }
            seen.push(owned(framed));
        });
    }
    while let Some(frame) = framer.finish().map(owned) {
        seen.push(frame);
    }
    seen
}

/// Check everything.
pub fn check(stream: &[u8], sizes: &[usize], max: usize, profile: &Profile) {
    let whole = pushed(stream, &[usize::MAX], max);
    let frames: Vec<Owned> = whole.iter().map(|(frame, _)| frame.clone()).collect();
    let mut before = 0;
    for (index, (frame, settled)) in whole.iter().enumerate() {
        let (offset, end) = match frame {
            Owned::Document(bytes, offset, end) => {
                assert!(bytes.len() <= max && bytes.len() as u64 == end - offset);
                assert_eq!(bytes[..], stream[*offset as usize..*end as usize]);
                assert!(
                    serde_json::from_slice::<&serde_json::value::RawValue>(bytes).is_ok()
                        && !bytes.contains(&b'\n')
                );
                (*offset, *end)
            }
            Owned::Damaged(_, excerpt, offset, at, end) => {
                assert!(excerpt.len() <= 200 && at >= offset);
                let shown = (*offset as usize + 200).min(*end as usize);
                assert_eq!(excerpt[..], stream[*offset as usize..shown]);
                (*offset, *end)
            }
        };
        assert!(before <= offset && offset < end && end <= stream.len() as u64);
        assert_eq!(end, *settled);
        before = end;
        if index % 7 == 0 {
            let rest = pushed(&stream[end as usize..], sizes, max);
            let rest: Vec<Owned> = rest.iter().map(|(frame, _)| shifted(frame, end)).collect();
            assert_eq!(
                rest,
                frames[index + 1..],
                "a fresh framer at {end} goes on alike"
            );
        }
    }
    assert_eq!(
        pushed(stream, sizes, max),
        whole,
        "pushed in chunks of {sizes:?}"
    );
    assert_eq!(
        fed(stream, sizes, max),
        frames,
        "fed in chunks of {sizes:?}"
    );
    assert_eq!(fed(stream, &[usize::MAX], max), frames, "fed whole");
    assert_eq!(
        fed_with(stream, sizes, max, profile),
        frames,
        "scanned in chunks of {sizes:?}"
    );
}
