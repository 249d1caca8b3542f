//! Takes one RTT channel out of the output in which probe-rs mixes several.
//!
//! With more than one up channel, probe-rs puts `[name] ` before every chunk that it polled, wherever the last chunk ended. So a JSON line can be
//! split:
//!
//! ```text
//! [json] {"ts":1,"n1":{"t[Terminal] a log line
//! [json] ":27.6}}
//! ```
//!
//! With one channel it prints no prefix, and firmware may begin its own lines with `[boot] `. So everything up to and including the first `[wanted]
//! ` at the start of a line is passed on, and no name is learnt from it. From there on, `[wanted] ` is recognised anywhere. The prefix of another
//! channel is learnt at the start of a line, and is recognised anywhere from then on. Log levels (`[ERROR] `) are not channels.

use memchr::memmem::Finder;

/// Longest name of another channel.
const MAX_NAME_BYTES: usize = 32;
/// Most other channels that are remembered.
const MAX_OTHERS: usize = 16;
/// Bytes that the name of another channel never has: `[{"t":1}] ` is a document.
const NOT_IN_OTHERS: &[u8] = b" {\"";
/// What defmt prints in brackets at the start of a line.
const LEVELS: [&[u8]; 5] = [b"TRACE", b"DEBUG", b"INFO", b"WARN", b"ERROR"];

/// Passes on one channel's bytes, each piece with its place in the stream. Any chunking gives the same bytes.
#[derive(Debug)]
pub struct ChannelDemux {
    wanted: Vec<u8>,
    /// A line feed and `[wanted] `. Boxed, because it needs an alignment of 32 bytes, whereas Python's objects, which may contain a demultiplexer,
    /// are aligned to 16.
    prefix: Box<Finder<'static>>,
    state: State,
    /// Stream offset of the next byte.
    offset: u64,
}

const _: () = assert!(align_of::<ChannelDemux>() <= 16);

#[derive(Debug)]
enum State {
    /// No channel has been named yet; the last bytes of the stream match this many bytes of the prefix.
    Passive {
        matched: usize,
    },
    Several(Channels),
}

#[derive(Debug, Default)]
struct Channels {
    others: Vec<Vec<u8>>,
    /// The present bytes belong to another channel.
    is_other: bool,
    at_line_start: bool,
    /// `[` and the bytes after it, while they may be a prefix, and whether they began a line.
    held: Vec<u8>,
    held_at_line_start: bool,
}

impl ChannelDemux {
    /// Pass on the channel of this name.
    pub fn new(channel: &str) -> Self {
        let prefix = format!("\n[{channel}] ");
        Self {
            wanted: channel.as_bytes().to_vec(),
            prefix: Box::new(Finder::new(prefix.as_bytes()).into_owned()),
            state: AT_START,
            offset: 0,
        }
    }

    /// Show the channel's bytes in `chunk`, in order, as (offset in the stream, bytes). The last few bytes may be held back until it is known
    /// whether they are a prefix. While there is only one channel, a chunk is shown in one piece.
    pub fn push(&mut self, chunk: &[u8], mut show: impl FnMut(u64, &[u8])) {
        let mut rest = chunk;
        if let State::Passive { matched } = &mut self.state {
            let (behind, is_found) = find(&self.prefix, matched, chunk);
            let (text, others) = chunk.split_at(behind);
            if !text.is_empty() {
                show(self.offset, text);
            }
            self.offset += text.len() as u64;
            if !is_found {
                return;
            }
            self.state = State::Several(Channels::default());
            rest = others;
        }
        if let State::Several(channels) = &mut self.state {
            channels.push(&self.wanted, self.offset, rest, &mut show);
        }
        self.offset += rest.len() as u64;
    }

    /// Handle the end of the stream, or a break in it: show the bytes that were held back, and begin anew at the start of a line.
    pub fn finish(&mut self, mut show: impl FnMut(u64, &[u8])) {
        if let State::Several(channels) = &mut self.state {
            channels.release(self.offset, &mut show);
        }
        self.state = AT_START;
    }

    /// Begin to read the stream here, at the end of a frame; offsets count from here. Bytes that are held back come before this place and belong to
    /// that frame, because only text is framed.
    pub(crate) fn begin_here(&mut self) {
        if let State::Several(channels) = &mut self.state {
            channels.at_line_start &= channels.held.is_empty();
            channels.held.clear();
        }
        self.offset = 0;
    }

    /// The names of the channels that were left out, in the order in which they came.
    pub fn others(&self) -> &[Vec<u8>] {
        match &self.state {
            State::Passive { .. } => &[],
            State::Several(channels) => &channels.others,
        }
    }
}

/// The start of a stream is the start of a line.
const AT_START: State = State::Passive { matched: 1 };

/// Look for the first prefix; the bytes before the chunk end with `matched` bytes of it. Returns how much of the chunk is passed on unchanged, and
/// whether the prefix ends there.
fn find(prefix: &Finder<'_>, matched: &mut usize, chunk: &[u8]) -> (usize, bool) {
    let needle = prefix.needle();
    let mut at = 0;
    while *matched > 0 {
        let Some(&byte) = chunk.get(at) else {
            return (at, false);
        };
        at += 1;
        // The prefix has no other line feed.
        *matched = match needle.get(*matched) {
            Some(&wanted) if byte == wanted => *matched + 1,
            _ => usize::from(byte == b'\n'),
        };
        if *matched == needle.len() {
            return (at, true);
        }
    }
    let rest = chunk.get(at..).unwrap_or_default();
    if let Some(found) = prefix.find(rest) {
        return (at + found + needle.len(), true);
    }
    let tail = rest
        .get(rest.len().saturating_sub(needle.len() - 1)..)
        .unwrap_or_default();
    let line = memchr::memrchr(b'\n', tail).and_then(|feed| tail.get(feed..));
    *matched = line
        .filter(|line| needle.starts_with(line))
        .map_or(0, <[u8]>::len);
    (chunk.len(), false)
}

impl Channels {
    /// `offset` is that of the chunk.
    fn push(
        &mut self,
        wanted: &[u8],
        offset: u64,
        chunk: &[u8],
        show: &mut impl FnMut(u64, &[u8]),
    ) {
        let mut rest = chunk;
        while let Some(&byte) = rest.first() {
            let at = offset + (chunk.len() - rest.len()) as u64;
            if self.held.is_empty() {
                let bracket = memchr::memchr(b'[', rest).unwrap_or(rest.len());
                let (text, behind) = rest.split_at(bracket);
                self.pass(at, text, show);
                rest = behind;
                if let Some((bracket, behind)) = rest.split_first() {
                    self.held.push(*bracket);
                    self.held_at_line_start = self.at_line_start;
                    rest = behind;
                }
                continue;
            }
            let closed = self.held.last() == Some(&b']');
            let longest = MAX_NAME_BYTES.max(wanted.len());
            if closed && byte == b' ' {
                self.end_prefix(wanted, at, show);
            } else if closed || self.held.len() > longest + 1 || !may_be_in_name(byte) {
                self.release(at, show);
                continue;
            } else {
                self.held.push(byte);
            }
            rest = rest.get(1..).unwrap_or_default();
        }
    }

    /// `held` is `[name]`, and a blank follows at `at`: change the channel, or treat it as text.
    fn end_prefix(&mut self, wanted: &[u8], at: u64, show: &mut impl FnMut(u64, &[u8])) {
        let name = self.held.get(1..self.held.len() - 1).unwrap_or_default();
        if name == wanted {
            self.is_other = false;
        } else if self.others.iter().any(|other| other == name) {
            self.is_other = true;
        } else if self.held_at_line_start
            && !name.is_empty()
            && !name.iter().any(|byte| NOT_IN_OTHERS.contains(byte))
            && !LEVELS.contains(&name)
            && self.others.len() < MAX_OTHERS
        {
            self.others.push(name.to_vec());
            self.is_other = true;
        } else {
            self.held.push(b' ');
            self.release(at + 1, show);
            return;
        }
        self.held.clear();
        self.at_line_start = false;
    }

    /// The held bytes are text; they end before `end`.
    fn release(&mut self, end: u64, show: &mut impl FnMut(u64, &[u8])) {
        let held = std::mem::take(&mut self.held);
        self.pass(end - held.len() as u64, &held, show);
        self.held = held;
        self.held.clear();
    }

    fn pass(&mut self, at: u64, text: &[u8], show: &mut impl FnMut(u64, &[u8])) {
        if let Some(last) = text.last() {
            if !self.is_other {
                show(at, text);
            }
            self.at_line_start = *last == b'\n';
        }
    }
}

fn may_be_in_name(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'['
}

#[cfg(test)]
mod tests {
    use super::ChannelDemux;
    use proptest::prelude::*;

    /// The channel `json` of these chunks; every piece is what the stream has at its offset.
    fn demux(chunks: &[&[u8]]) -> String {
        let stream = chunks.concat();
        let mut demux = ChannelDemux::new("json");
        let mut out = Vec::new();
        let mut end = 0;
        let mut show = |offset: u64, bytes: &[u8]| {
            let at = offset as usize;
            assert!(at >= end && !bytes.is_empty());
            end = at + bytes.len();
            assert_eq!(&stream[at..end], bytes);
            out.extend_from_slice(bytes);
        };
        for chunk in chunks {
            demux.push(chunk, &mut show);
        }
        demux.finish(&mut show);
        String::from_utf8(out).unwrap()
    }

    const SPLIT: &[u8] =
        b"[json] {\"ts\":1,\"n1\":{\"t\n[defmt] a log line\n[json] \":27.6}[defmt] x[json] }\n";

    #[test]
    fn a_line_split_by_another_channel_is_joined() {
        //! Only the wanted channel's bytes come out, behind the first prefix.
        assert_eq!(demux(&[SPLIT]), "[json] {\"ts\":1,\"n1\":{\"t\n\":27.6}}\n");
    }

    #[test]
    fn one_channel_without_prefixes_is_passed_on_whole() {
        //! What firmware puts in brackets is no channel as long as the wanted one was not named at the start of a line.
        for text in [
            "[INFO ] a\n[ERROR] b [x] c\n{\"a\":[1]} [",
            "[boot] hello\n[boot] {\"ts\":1}\nsee [json] here\n [json] and there\n[json]",
        ] {
            assert_eq!(demux(&[text.as_bytes()]), text);
        }
    }

    #[test]
    fn names_are_learnt_only_behind_the_first_prefix() {
        //! A channel that spoke before is recognised when it speaks at the start of a line again.
        assert_eq!(
            demux(&[b"[boot] hello\n[json] a [boot] b\n[boot] c[json] d [boot] e\n"]),
            "[boot] hello\n[json] a [boot] b\nd "
        );
        assert_eq!(
            demux(&[b"[json] a\n[ERROR] b\n"]),
            "[json] a\n[ERROR] b\n",
            "a level is no channel"
        );
        assert_eq!(
            demux(&[b"[json] a\n[{\"t\":1}] b\n"]),
            "[json] a\n[{\"t\":1}] b\n",
            "nor is a document"
        );
    }

    #[test]
    fn a_stream_that_broke_begins_anew() {
        //! What the next life of probe-rs prints is passed on until it names the channel.
        let mut demux = ChannelDemux::new("json");
        let mut out = Vec::new();
        let mut show = |_: u64, bytes: &[u8]| out.extend_from_slice(bytes);
        demux.push(b"[json] a\n[boot] b\n", &mut show);
        demux.finish(&mut show);
        demux.push(b"[boot] c\n", &mut show);
        assert_eq!(out, b"[json] a\n[boot] c\n");
    }

    proptest! {
        /// Byte by byte, in one piece, or in any others.
        #[test]
        fn any_chunking_gives_the_same_bytes(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "[json] ", "[json", "] ", "[defmt] ", "[Terminal] ", "[INFO ] ", "[", "\n", "\n[json] ", "\n[defmt] ", "{\"a\":[1]}", " ", "x",
                ]),
                0..24,
            ),
            sizes in prop::collection::vec(1_usize..12, 1..6),
        ) {
            let stream = pieces.concat();
            let mut chunks = Vec::new();
            let mut rest = stream.as_bytes();
            for size in sizes.iter().cycle() {
                let (chunk, behind) = rest.split_at(rest.len().min(*size));
                chunks.push(chunk);
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            let whole = demux(&[stream.as_bytes()]);
            prop_assert_eq!(&demux(&chunks), &whole);
            prop_assert_eq!(&demux(&bytes), &whole);
        }
    }
}
