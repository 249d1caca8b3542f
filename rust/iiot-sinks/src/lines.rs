//! Lines of consecutive frames, for a database or a pipe.

use iiot_core::series::measurement;
use iiot_core::{Decoded, Integers};
use iiot_http::Gzipped;
use iiot_journal::{Batches, Confirmation, Encoder, Frame, OriginInfo, Result, SinkReject};
use std::collections::HashSet;
use std::ops::Range;
use std::time::Duration;

/// How many bytes of a refused line are kept.
const EXCERPT_CHARACTERS: usize = 200;

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// Line protocol.
    Influx(Integers),
    /// One JSON object.
    Json,
}

/// The limits of a batch of lines; the batch is full when it reaches either.
#[derive(Clone, Copy, Debug)]
pub struct LineLimits {
    /// The number of lines; the last frame may exceed it.
    pub lines: usize,
    /// The number of bytes; the last frame may exceed it.
    pub bytes: usize,
}

/// The lines of those frames at `positions` that the sink takes.
#[derive(Debug)]
pub struct Lines {
    format: LineFormat,
    limits: LineLimits,
    /// The positions of the frames.
    pub positions: Range<u64>,
    /// The text of all lines.
    pub text: Vec<u8>,
    /// Where each line ends in `text`, behind its line feed.
    ends: Vec<usize>,
    /// The position of each frame and its first line.
    frames: Vec<(u64, usize)>,
    /// The compressed form of `text`, if the caller wants it.
    pub gzipped: Option<Gzipped>,
}

impl Encoder for Lines {
    fn is_full(&self) -> bool {
        self.ends.len() >= self.limits.lines || self.text.len() >= self.limits.bytes
    }

    fn frame(&mut self, info: &OriginInfo, frame: &Frame<'_>, decoded: Option<&Decoded<'_>>) {
        self.frames.push((frame.position, self.ends.len()));
        let Some(decoded) = decoded else { return };
        let (time, text, ends) = (frame.time(), &mut self.text, &mut self.ends);
        match self.format {
            LineFormat::Influx(integers) => {
                decoded.write_lines_as(integers, &info.origin, time, text, |end| ends.push(end));
            }
            LineFormat::Json => {
                decoded.write_json_lines(&info.origin, time, text, |end| ends.push(end));
            }
        }
    }
}

impl Lines {
    fn new(format: LineFormat, limits: LineLimits) -> Self {
        Self {
            format,
            limits,
            positions: 0..0,
            text: Vec::new(),
            ends: Vec::new(),
            frames: Vec::new(),
            gzipped: None,
        }
    }

    /// The number of lines.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no lines. The frames may still be confirmed.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The number of frames.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// A line with its line feed.
    pub fn line(&self, index: usize) -> Option<&[u8]> {
        self.part(index..index.checked_add(1)?)
    }

    /// The text of some lines; none if the batch has fewer lines.
    pub fn part(&self, lines: Range<usize>) -> Option<&[u8]> {
        self.text
            .get(self.behind(lines.start)?..self.behind(lines.end)?)
    }

    /// The offset behind the first `lines` lines.
    fn behind(&self, lines: usize) -> Option<usize> {
        match lines.checked_sub(1) {
            Some(last) => self.ends.get(last).copied(),
            None => Some(0),
        }
    }

    /// The last line of each measurement among these lines, for at most `most` measurements: the measurement as written, and the line. For line protocol.
    pub fn last_lines(&self, lines: Range<usize>, most: usize) -> Vec<(&[u8], &[u8])> {
        let mut known = HashSet::new();
        let mut found = Vec::new();
        for line in lines.rev().filter_map(|index| self.line(index)) {
            let name = measurement(line);
            if found.len() < most && known.insert(name) {
                found.push((name, line));
            }
        }
        found
    }

    /// The frame and point of a line.
    pub fn place(&self, line: usize) -> Option<(u64, u32)> {
        self.ends.get(line)?;
        let at = self
            .frames
            .partition_point(|&(_, first)| first <= line)
            .checked_sub(1)?;
        // A frame without lines has the same first line as the next frame. So the last of several such frames owns the line.
        self.frames
            .get(at)
            .map(|&(position, first)| (position, (line - first) as u32))
    }

    /// The results of the frames, if the other side refused these lines and accepted all others. None if one of the lines does not exist.
    pub fn confirmation(&self, refused: Vec<(usize, String)>) -> Option<Confirmation> {
        let rejects = refused.into_iter().map(|(index, reason)| {
            let (position, point) = self.place(index)?;
            let line = String::from_utf8_lossy(self.line(index)?.trim_ascii_end());
            Some(SinkReject {
                position,
                point,
                field: None,
                reason,
                excerpt: line.chars().take(EXCERPT_CHARACTERS).collect(),
            })
        });
        let mut rejects: Vec<SinkReject> = rejects.collect::<Option<_>>()?;
        rejects.sort_by_key(|reject| (reject.position, reject.point));
        let mut positions: Vec<u64> = rejects.iter().map(|reject| reject.position).collect();
        positions.dedup();
        let rejected = positions.len() as u64;
        Some(Confirmation {
            from: self.positions.start,
            end: self.positions.end,
            delivered: self.frames.len() as u64 - rejected,
            rejected,
            rejects,
            ..Confirmation::default()
        })
    }
}

/// Reads batches of lines.
pub struct LineReader {
    batches: Batches,
    format: LineFormat,
    /// The size of the last batch: the next one will need about as many bytes.
    usual_bytes: usize,
}

impl LineReader {
    /// Begin to read at the sink's cursor.
    pub fn new(batches: Batches, format: LineFormat) -> Self {
        Self {
            batches,
            format,
            usual_bytes: 0,
        }
    }

    /// The next batch; see [`Batches::next`].
    pub fn next(
        &mut self,
        limits: LineLimits,
        linger: Duration,
        timeout: Duration,
    ) -> Result<Option<Lines>> {
        let mut lines = Lines::new(self.format, limits);
        lines.text.reserve(self.usual_bytes);
        let Some(positions) = self.batches.next(&mut lines, linger, timeout)? else {
            return Ok(None);
        };
        lines.positions = positions;
        self.usual_bytes = lines.text.len() + lines.text.len() / 16;
        Ok(Some(lines))
    }

    /// Lines of the newest frames; none if these frames have no lines. See [`Batches::newest`].
    pub fn newest(&mut self, behind: u64) -> Result<Option<Lines>> {
        let no_limits = LineLimits {
            lines: usize::MAX,
            bytes: usize::MAX,
        };
        let mut lines = Lines::new(self.format, no_limits);
        lines.positions = self.batches.newest(behind, &mut lines)?;
        Ok(Some(lines).filter(|lines| !lines.is_empty()))
    }

    /// Begin again behind the confirmed frames.
    pub fn rewind(&mut self) {
        self.batches.rewind();
    }
}
