//! Renders a log as messages and lines before the measurement starts.

use bytes::Bytes;
use iiot_core::{FrameTime, Framed, Framer, Origin, Profile, Scan};
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time between two frames, as in the gateway.
const STEP_NS: i64 = 1_000_000;

/// One message to publish.
pub struct Message {
    pub topic: u16,
    pub payload: Bytes,
    pub retain: bool,
}

/// Everything that the gateway would send for a log.
#[derive(Default)]
pub struct Rendered {
    pub topics: Vec<String>,
    pub messages: Vec<Message>,
    /// Line protocol of all frames.
    pub lines: Vec<u8>,
    /// A frame: where its lines end, and the number of lines up to there.
    pub frames: Vec<(usize, usize)>,
}

impl Rendered {
    /// Read and render a log. Messages are rendered only on request.
    pub fn of(log: &[u8], profile: &str, prefix: &str, with_messages: bool) -> Self {
        let profile = Profile::parse(profile).unwrap();
        let origin = Origin::new(&profile, prefix, &[]).unwrap();
        let (mut framer, mut scan) = (Framer::new(65_536), Scan::new());
        let mut all = Self::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let mut time_ns = now.as_nanos() as i64;
        framer.feed_with(log, &profile, &mut scan, |framed, decoded, fault| {
            let (Framed::Document { .. }, None) = (framed, fault) else {
                return;
            };
            let points = decoded.write_lines(&origin, FrameTime::at(time_ns), &mut all.lines);
            time_ns += STEP_NS;
            let before = all.frames.last().map_or(0, |&(_, lines)| lines);
            all.frames.push((all.lines.len(), before + points));
            if with_messages {
                decoded.publishes(&origin, |publish| {
                    let topic = std::str::from_utf8(publish.topic).unwrap();
                    let known = all.topics.iter().position(|t| t == topic);
                    let at = known.unwrap_or_else(|| {
                        all.topics.push(topic.to_owned());
                        all.topics.len() - 1
                    });
                    all.messages.push(Message {
                        topic: at as u16,
                        payload: Bytes::copy_from_slice(publish.payload),
                        retain: publish.retain,
                    });
                });
            }
        });
        all
    }

    /// The request bodies, divided as the gateway divides them: whole frames until there are enough lines.
    pub fn bodies(&self, max_lines: usize) -> Vec<Range<usize>> {
        let mut bodies = Vec::new();
        let (mut begin, mut lines_before) = (0, 0);
        for &(end, lines) in &self.frames {
            if lines - lines_before >= max_lines {
                bodies.push(begin..end);
                (begin, lines_before) = (end, lines);
            }
        }
        if begin < self.lines.len() {
            bodies.push(begin..self.lines.len());
        }
        bodies
    }
}
