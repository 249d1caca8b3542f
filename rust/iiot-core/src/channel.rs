//! A framer for a stream that may have several channels: it takes the wanted channel out of the stream.
//!
//! If a stream has several channels, `offset` and `at` of its frames count the bytes of the wanted channel, while `end` and [`ChannelFramer::settled`]
//! count the bytes of the stream, so that reading can go on there. With one channel, all of them count the same bytes. All count from the first byte that
//! was fed.

use std::collections::VecDeque;

use crate::demux::ChannelDemux;
use crate::framed::Framed;
use crate::framer::{Framer, Visit};
use crate::profile::Profile;
use crate::scan::Scan;

/// Finds the documents of one channel.
#[derive(Debug)]
pub struct ChannelFramer {
    framer: Framer,
    demux: Option<ChannelDemux>,
    runs: Runs,
    /// Stream offset of the first byte behind the last frame.
    settled: u64,
    /// Bytes were skipped, and none was fed yet.
    is_skipping: bool,
}

/// Where the framer's bytes were in the stream, as stretches without a gap.
#[derive(Debug, Default)]
struct Runs {
    /// (framer's offset, stream's offset) of the first byte of each, as far back as a frame can still end.
    starts: VecDeque<(u64, u64)>,
    /// How many bytes the framer was given.
    fed: u64,
}

impl Runs {
    /// Note that the framer is given these bytes, which are at offset `stream` of the stream.
    fn add(&mut self, stream: u64, bytes: &[u8]) {
        let expected = self.starts.back().map(|&(from, at)| at + (self.fed - from));
        if expected != Some(stream) {
            self.starts.push_back((self.fed, stream));
        }
        self.fed += bytes.len() as u64;
    }

    /// The stream's offset behind the last byte before the framer's offset `end`.
    fn behind(&self, end: u64) -> u64 {
        let run = self.starts.iter().rev().find(|&&(from, _)| from < end);
        run.map_or(end, |&(from, stream)| stream + (end - from))
    }

    /// Forget stretches that are no longer needed, because no further frame ends before this offset of the framer.
    fn forget(&mut self, before: u64) {
        while self.starts.get(1).is_some_and(|&(from, _)| from < before) {
            self.starts.pop_front();
        }
    }
}

impl ChannelFramer {
    /// A framer at offset 0 of its stream, behind a [`ChannelDemux`] if a channel is named. A document longer than `max_document_bytes` is damaged.
    pub fn new(max_document_bytes: usize, channel: Option<&str>) -> Self {
        Self {
            framer: Framer::new(max_document_bytes),
            demux: channel.map(ChannelDemux::new),
            runs: Runs::default(),
            settled: 0,
            is_skipping: false,
        }
    }

    /// Skip bytes that come before the first one fed, but learn channels from them. They end where a frame ended.
    pub fn skip(&mut self, chunk: &[u8]) {
        if let Some(demux) = &mut self.demux {
            demux.push(chunk, |_, _| {});
            self.is_skipping = true;
        }
    }

    /// The names of the channels that were left out, in the order in which they came.
    pub fn others(&self) -> &[Vec<u8>] {
        self.demux.as_ref().map_or(&[], ChannelDemux::others)
    }

    /// [`Framer::feed_with`] for the channel's bytes in `chunk`.
    pub fn feed_with(
        &mut self,
        chunk: &[u8],
        profile: &Profile,
        scan: &mut Scan,
        mut visit: impl Visit,
    ) {
        let Self {
            framer,
            demux,
            runs,
            settled,
            ..
        } = self;
        let Some(demux) = demux else {
            framer.feed_with(chunk, profile, scan, visit);
            *settled = framer.settled();
            return;
        };
        if std::mem::take(&mut self.is_skipping) {
            demux.begin_here();
        }
        demux.push(chunk, |stream, bytes| {
            feed_piece(
                framer,
                runs,
                settled,
                (stream, bytes),
                profile,
                scan,
                &mut visit,
            );
        });
    }

    /// Handle the end of the stream, or a break in it: a document that is still open is damaged, and framing begins anew with the next byte; `settled` goes
    /// on counting.
    pub fn finish(&mut self, profile: &Profile, scan: &mut Scan, mut visit: impl Visit) {
        let Self {
            framer,
            demux,
            runs,
            settled,
            ..
        } = self;
        if let Some(demux) = demux {
            demux.finish(|stream, bytes| {
                feed_piece(
                    framer,
                    runs,
                    settled,
                    (stream, bytes),
                    profile,
                    scan,
                    &mut visit,
                );
            });
        }
        while let Some(framed) = framer.finish() {
            visit(
                moved(framed, runs, settled),
                profile.decoded(&[], scan),
                None,
            );
        }
    }

    /// Stream offset of the first byte behind the last frame. A new framer that skips the bytes before it gives the same further frames.
    pub fn settled(&self) -> u64 {
        self.settled
    }
}

/// Give the framer the next bytes of the channel, with their place in the stream.
fn feed_piece(
    framer: &mut Framer,
    runs: &mut Runs,
    settled: &mut u64,
    (stream, bytes): (u64, &[u8]),
    profile: &Profile,
    scan: &mut Scan,
    visit: &mut impl Visit,
) {
    runs.add(stream, bytes);
    framer.feed_with(bytes, profile, scan, |framed, decoded, fault| {
        visit(moved(framed, runs, settled), decoded, fault);
    });
    runs.forget(runs.fed - framer.held_bytes() as u64);
}

/// The frame with its end as a stream offset; the stream is settled up to there.
fn moved<'a>(mut framed: Framed<'a>, runs: &Runs, settled: &mut u64) -> Framed<'a> {
    let (Framed::Document { end, .. } | Framed::Damaged { end, .. }) = &mut framed;
    *end = runs.behind(*end);
    *settled = *end;
    framed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn profile() -> Profile {
        Profile::parse("name = \"a\"\n[[metric]]\npath = \"t\"\nmeasurement = \"m\"\n").unwrap()
    }

    /// The documents and damages of a stream, each with its end.
    type Frames = Vec<(String, u64)>;

    fn note(seen: &mut Frames, framed: &Framed<'_>) {
        seen.push(match *framed {
            Framed::Document { bytes, end, .. } => {
                (String::from_utf8_lossy(bytes).into_owned(), end)
            }
            Framed::Damaged { reason, end, .. } => (reason.name().into(), end),
        });
    }

    fn frames(skipped: &[u8], chunks: &[&[u8]]) -> Frames {
        let (profile, mut scan) = (profile(), Scan::new());
        let mut framer = ChannelFramer::new(64, Some("json"));
        framer.skip(skipped);
        let mut seen = Vec::new();
        for chunk in chunks {
            framer.feed_with(chunk, &profile, &mut scan, |framed, _, _| {
                note(&mut seen, &framed);
            });
            assert_eq!(framer.settled(), seen.last().map_or(0, |&(_, end)| end));
        }
        framer.finish(&profile, &mut scan, |framed, _, _| {
            note(&mut seen, &framed);
        });
        seen
    }

    #[test]
    fn a_document_split_by_another_channel_is_framed() {
        //! Its end is where it ends in the stream.
        let stream = b"[json] {\"t\":1[log] x\n[json] 5}[log] {\"t\":3}\n";
        let learnt = b"[json] \n[log] \n";
        let end = (learnt.len() + stream.iter().position(|&byte| byte == b'5').unwrap() + 2) as u64;
        assert_eq!(
            frames(b"", &[learnt, stream]),
            [("{\"t\":15}".to_owned(), end)]
        );
    }

    /// Every end of a frame is one where reading can go on: what stands before is skipped, and the same further frames come.
    fn go_on_at_every_end(stream: &[u8], all: &[(String, u64)]) {
        for (number, &(_, end)) in all.iter().enumerate() {
            let (before, behind) = stream.split_at(end as usize);
            let mut further = frames(before, &[behind]);
            for frame in &mut further {
                frame.1 += end;
            }
            assert_eq!(further, all[number + 1..]);
        }
    }

    #[test]
    fn text_that_a_frame_ended_in_began_the_line() {
        //! What follows the frame is no name at the start of a line, though what began the line looked like one.
        let stream = b"\n[json] \n[{\"{\"t\":1}[log] {\"t\":1}";
        let all = frames(b"", &[stream]);
        assert_eq!(all.len(), 3, "{all:?}");
        go_on_at_every_end(stream, &all);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

        /// Whatever the chunks.
        #[test]
        fn reading_goes_on_at_the_end_of_any_frame(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "[json] ", "[log] ", "\n[json] ", "\n[log] ", "{\"t\":1}", "{\"t\":", "2}", "{\"t\":\"[\"}", "{\"t\":\"[{\"}", "[{\"", "[", "]", " ",
                    "\n", "\\n", "{", "x",
                ]),
                0..24,
            ),
            size in 1_usize..12,
        ) {
            let stream = pieces.concat();
            let all = frames(b"", &[stream.as_bytes()]);
            let chunks: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
            prop_assert_eq!(&frames(b"", &chunks), &all);
            go_on_at_every_end(stream.as_bytes(), &all);
        }
    }
}
