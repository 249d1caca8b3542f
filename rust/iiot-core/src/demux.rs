//! Takes one RTT channel out of what probe-rs prints for several.
//!
//! With more than one up channel probe-rs puts `[name] ` before every chunk it polled, wherever the last one ended, so a JSON line can be split:
//!
//! ```text
//! [json] {"ts":1,"n1":{"t[Terminal] a log line
//! [json] ":27.6}}
//! ```
//!
//! `[wanted] ` is recognised anywhere; the prefix of another channel is learnt where it stands at the start of a line, and recognised anywhere
//! from then on. Log levels (`[ERROR] `) are no channels. What comes before the first prefix is passed on: with one channel there are none.

/// Longest name of a channel.
const MAX_NAME_BYTES: usize = 32;
/// Most other channels that are remembered.
const MAX_OTHERS: usize = 16;
/// What defmt prints in brackets at the start of a line.
const LEVELS: [&[u8]; 5] = [b"TRACE", b"DEBUG", b"INFO", b"WARN", b"ERROR"];

/// Passes on one channel's bytes. Any chunking gives the same.
#[derive(Debug)]
pub struct ChannelDemux {
    wanted: Vec<u8>,
    others: Vec<Vec<u8>>,
    passing: bool,
    at_line_start: bool,
    /// `[` and what followed it, while that may be a prefix, and whether it began a line.
    held: Vec<u8>,
    held_at_line_start: bool,
}

impl ChannelDemux {
    /// Pass on the channel of this name.
    pub fn new(channel: &str) -> Self {
        Self {
            wanted: channel.as_bytes().to_vec(),
            others: Vec::new(),
            passing: true,
            at_line_start: true,
            held: Vec::new(),
            held_at_line_start: true,
        }
    }

    /// Append the channel's bytes in `chunk` to `out`. The last few may be held back until it is known whether they are a prefix.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        while !rest.is_empty() {
            if self.held.is_empty() {
                let text = memchr::memchr(b'[', rest).unwrap_or(rest.len());
                let (text, behind) = rest.split_at(text);
                self.pass(text, out);
                rest = behind;
                if let Some((bracket, behind)) = rest.split_first() {
                    self.held.push(*bracket);
                    self.held_at_line_start = self.at_line_start;
                    rest = behind;
                }
                continue;
            }
            let Some((&byte, behind)) = rest.split_first() else {
                break;
            };
            let closed = self.held.last() == Some(&b']');
            if closed && byte == b' ' {
                rest = behind;
                self.held.push(byte);
                self.end_prefix(out);
            } else if closed || self.held.len() > MAX_NAME_BYTES + 1 || !may_be_in_name(byte) {
                self.release(out);
            } else {
                self.held.push(byte);
                rest = behind;
            }
        }
    }

    /// The end of the stream: pass on what was held back.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.release(out);
    }

    /// `held` is `[name] `: change channel, or find that it is text.
    fn end_prefix(&mut self, out: &mut Vec<u8>) {
        let name = self.held.get(1..self.held.len() - 2).unwrap_or_default();
        if name == self.wanted {
            self.passing = true;
        } else if self.others.iter().any(|other| other == name) {
            self.passing = false;
        } else if self.held_at_line_start
            && !name.contains(&b' ')
            && !name.is_empty()
            && !LEVELS.contains(&name)
            && self.others.len() < MAX_OTHERS
        {
            self.others.push(name.to_vec());
            self.passing = false;
        } else {
            self.release(out);
            return;
        }
        self.held.clear();
        self.at_line_start = false;
    }

    fn release(&mut self, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        self.pass(&held, out);
        self.held = held;
        self.held.clear();
    }

    fn pass(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if self.passing {
            out.extend_from_slice(text);
        }
        if let Some(last) = text.last() {
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

    fn demux(chunks: &[&[u8]]) -> String {
        let mut demux = ChannelDemux::new("json");
        let mut out = Vec::new();
        for chunk in chunks {
            demux.push(chunk, &mut out);
        }
        demux.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    const SPLIT: &[u8] = b"[json] {\"ts\":1,\"n1\":{\"t\n[Terminal] a log line\n[json] \":27.6}[Terminal] x[json] }\n";

    #[test]
    fn a_line_split_by_another_channel_is_joined() {
        //! Only the wanted channel's bytes come out.
        assert_eq!(demux(&[SPLIT]), "{\"ts\":1,\"n1\":{\"t\n\":27.6}}\n");
    }

    #[test]
    fn any_chunking_gives_the_same_bytes() {
        //! Byte by byte as in one piece.
        let single: Vec<&[u8]> = SPLIT.chunks(1).collect();
        assert_eq!(demux(&single), demux(&[SPLIT]));
    }

    #[test]
    fn one_channel_without_prefixes_is_passed_on_whole() {
        //! Log levels in brackets and arrays are no prefixes.
        let text = "[INFO ] a\n[ERROR] b [x] c\n{\"a\":[1]} [";
        assert_eq!(demux(&[text.as_bytes()]), text);
    }
}
