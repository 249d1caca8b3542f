//! The memory of a source: the runs of devices that send uptimes, the clocks of receivers, the times that values of each series were given, and a
//! broker's deliveries that would be repeats.
//!
//! It decides the times of documents that come under topics or have times of their own, and which of them are repeats. The changes of a group of documents are
//! kept in a [`MemoryDelta`] until the group is committed.

use crate::deliveries::{Deliveries, DeliveriesDelta};
use crate::error::{Error, ErrorKind, Result};
use crate::receivers::Receivers;
use crate::row::NewTimes;
use iiot_core::PointKey;
use iiot_core::moment::{Belief, Moment};
use iiot_core::run_clock::{Meaning, RunClock};
use iiot_core::series_times::{self, GivenTime, STEP_NS, SeriesTimes, TimesDelta};
use rusqlite::{Connection, params};
use std::collections::HashMap;

/// The most devices with uptimes that are remembered per source. Documents of further ones get the time of their arrival, and are counted. If their number
/// may be a date, they keep a date within a week of it.
const MAX_DEVICES: usize = 65_536;
/// Where there are so many, a device is forgotten after so long a silence: an uptime of 32 bits has wrapped by then.
const SILENCE_NS: i64 = 50 * 86_400 * 1_000_000_000;
/// The whole memory is written again when the log since then is larger than this and more than twice as large as the memory.
const LOG_BYTES: usize = 256 * 1024;
/// A time from an uptime may have become more exact by up to this much when the document comes a second time.
const UPTIME_TOLERANCE_MS: u64 = 2_000;

/// The times in a document, and its series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    pub points: &'a [PointKey],
    pub time: Option<Moment>,
    /// Fingerprint of the text that names its device.
    pub device: u64,
    /// Fingerprint of topic and document; none for one that is never a repeat.
    pub document: Option<u64>,
    pub belief: Belief,
    pub received_at_ns: i64,
    /// Other documents of the source may have times of their own.
    pub beside_own: bool,
    /// The time that another gateway gave it.
    pub given_ns: Option<i64>,
    /// Other gateways get messages of the same devices. All of them must judge alike, so only the document itself counts.
    pub is_shared: bool,
}

impl Said<'_> {
    /// The newest number that the device's clock must explain, and whether it may be a date.
    fn number(&self) -> Option<(u64, bool)> {
        let times = self.points.iter().filter_map(|point| point.time);
        times
            .chain(self.time)
            .filter_map(Moment::number)
            .max_by_key(|(number, _)| *number)
    }

    /// The time of the document: its own, or else the one that another gateway gave it; only if it is believed.
    fn time(&self, start_ns: Option<i64>) -> Option<i64> {
        self.believed(self.time, start_ns)
            .or_else(|| self.believed(self.given_ns.map(Moment::At), start_ns))
    }

    /// A time, if it is believed.
    fn believed(&self, time: Option<Moment>, start_ns: Option<i64>) -> Option<i64> {
        time.and_then(|time| time.at(start_ns))
            .filter(|own| self.belief.holds(*own, self.received_at_ns))
    }
}

/// The times that a document is given.
#[derive(Debug)]
pub(crate) struct Given {
    pub times: NewTimes,
    /// A time in the document was not believed, or it came from a run of its device whose start was not known well enough.
    pub is_doubted: bool,
    /// The document has no time that is believed, so its time is that of its arrival or of its source.
    pub is_stamped: bool,
}

/// What is committed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory {
    times: SeriesTimes,
    runs: HashMap<u64, RunClock>,
    pub deliveries: Deliveries,
    pub receivers: Receivers,
    pub log_bytes: usize,
    pub stored_bytes: usize,
}

/// What a group changes.
#[derive(Debug, Default)]
pub(crate) struct MemoryDelta {
    times: TimesDelta,
    runs: HashMap<u64, RunClock>,
    pub deliveries: DeliveriesDelta,
    pub receivers: Receivers,
    devices_not_remembered: u64,
}

impl MemoryDelta {
    /// How many values and devices are not remembered, because there are too many; each is counted once.
    pub(crate) fn take_not_remembered(&mut self) -> u64 {
        std::mem::take(&mut self.times.not_remembered)
            + std::mem::take(&mut self.devices_not_remembered)
    }

    /// The host's clock was set back.
    pub(crate) fn fell_back(&mut self, memory: &Memory) {
        memory.times.fell_back(&mut self.times);
    }

    /// The changes as they are logged; empty for none.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut deliveries = Vec::new();
        self.deliveries.encode(&mut deliveries);
        let is_empty = self.runs.is_empty() && self.receivers.is_empty();
        if deliveries.is_empty() && is_empty && self.times.entries.is_empty() {
            return Vec::new();
        }
        let times = self.times.entries.iter().copied();
        encode(&deliveries, &self.runs, &self.receivers, times)
    }
}

/// The head of a receiver among the runs; no run begins with it.
const RECEIVER: u8 = 4;

/// The stored form: u32 length of deliveries and the deliveries; u32 count of runs and receivers, each u64 device and the clock; then times of series.
fn encode(
    deliveries: &[u8],
    runs: &HashMap<u64, RunClock>,
    receivers: &Receivers,
    times: impl IntoIterator<Item = (u64, series_times::TimeEntry)>,
) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&(deliveries.len() as u32).to_le_bytes());
    out.extend_from_slice(deliveries);
    let count = runs.len() + receivers.len();
    out.extend_from_slice(&(count as u32).to_le_bytes());
    for (device, clock) in runs {
        out.extend_from_slice(&device.to_le_bytes());
        clock.encode(&mut out);
    }
    receivers.encode(RECEIVER, RunClock::BYTES, &mut out);
    series_times::encode(times, &mut out);
    out
}

/// How documents without a time are stamped.
pub(crate) enum Stamping<'a> {
    /// Behind the times that their series were given before.
    Arrival { clock_ns: i64, step_ns: i64 },
    /// By a clock of the source.
    Source(&'a mut dyn FnMut() -> i64),
}

impl Memory {
    /// An empty memory. `floor_ns` is the newest earlier time of arrival.
    pub(crate) fn new(window_ms: i64, floor_ns: Option<i64>) -> Self {
        Self {
            times: SeriesTimes::new(window_ms, floor_ns),
            ..Self::default()
        }
    }

    /// Give a document its times; none if it is a repeat. A document that is judged `late`, long after its successors, does not move its device's clock.
    pub(crate) fn judge(
        &self,
        delta: &mut MemoryDelta,
        said: &Said<'_>,
        stamping: Stamping<'_>,
        late: bool,
    ) -> Option<Given> {
        if self.is_repeat(delta, said) {
            return None;
        }
        let (start_ns, mut is_doubted) = self.run(delta, said, late);
        let own = said.time(start_ns);
        is_doubted |= said.time.is_some() && own.is_none();
        let mut together = Vec::with_capacity(said.points.len());
        let mut apart = Vec::new();
        for (number, point) in (0..).zip(said.points) {
            let own = said.believed(point.time, start_ns);
            is_doubted |= point.time.is_some() && own.is_none();
            if point.time.is_none() {
                together.push(*point);
            } else {
                apart.push((number, *point, own));
            }
        }
        let time_ns = match own {
            Some(own_ns) => {
                let shift_ms = self.shift_ms(delta, said, &together, own_ns);
                for point in &together {
                    self.give(delta, said, point, own_ns, shift_ms);
                }
                own_ns.saturating_add(shift_ms.saturating_mul(STEP_NS))
            }
            None => match stamping {
                Stamping::Source(stamp) => stamp(),
                Stamping::Arrival { clock_ns, step_ns } => self.times.stamp(
                    &mut delta.times,
                    &together,
                    clock_ns,
                    step_ns,
                    said.beside_own,
                ),
            },
        };
        let mut times = NewTimes::at(time_ns, said.received_at_ns);
        times.uptime_start_ns = start_ns;
        for (number, point, own) in apart {
            // A time that is not believed does not count, so it may equal that of another point.
            let own_ns = own.unwrap_or(time_ns);
            let one = std::slice::from_ref(&point);
            let shift_ms = self.shift_ms(delta, said, one, own_ns);
            self.give(delta, said, &point, own_ns, shift_ms);
            if shift_ms > 0 {
                times.move_point(number, u32::try_from(shift_ms).unwrap_or(u32::MAX));
            }
        }
        Some(Given {
            times,
            is_doubted,
            is_stamped: own.is_none(),
        })
    }

    /// By how many milliseconds points must move because other points of their series have their time. In a share none moves: another gateway that gets the
    /// same message again must give it the same time, or the message would be stored twice.
    fn shift_ms(
        &self,
        delta: &MemoryDelta,
        said: &Said<'_>,
        points: &[PointKey],
        own_ns: i64,
    ) -> i64 {
        if said.is_shared {
            return 0;
        }
        self.times.shift_ms(&delta.times, points, own_ns)
    }

    fn give(
        &self,
        delta: &mut MemoryDelta,
        said: &Said<'_>,
        point: &PointKey,
        own_ns: i64,
        shift_ms: i64,
    ) {
        let from_ms = own_ns.div_euclid(STEP_NS);
        let value = GivenTime {
            own_ms: from_ms,
            given_ms: from_ms.saturating_add(shift_ms),
            received_ms: said.received_at_ns.div_euclid(STEP_NS),
            document: said.document.unwrap_or(0),
            fields: point.fields,
        };
        self.times.give(&mut delta.times, point, value);
    }

    fn is_repeat(&self, delta: &MemoryDelta, said: &Said<'_>) -> bool {
        let (Some(document), Some(first)) = (said.document, said.points.first()) else {
            return false;
        };
        let number = said.number();
        let start_ns = number
            .and_then(|_| self.known_run(delta, said.device))
            .and_then(|run| run.start_ns());
        let Some(own_ns) = said
            .believed(first.time, start_ns)
            .or_else(|| said.time(start_ns))
        else {
            return false;
        };
        self.times.is_repeat(
            &delta.times,
            first,
            document,
            own_ns.div_euclid(STEP_NS) + i64::from(first.later_ms),
            number.map_or(0, |_| UPTIME_TOLERANCE_MS),
            said.received_at_ns.div_euclid(STEP_NS),
        )
    }

    fn known_run(&self, delta: &MemoryDelta, device: u64) -> Option<RunClock> {
        let known = delta.runs.get(&device).or_else(|| self.runs.get(&device));
        known.copied()
    }

    /// When the device's run began, if the document's times are uptimes; and whether this start is uncertain.
    fn run(&self, delta: &mut MemoryDelta, said: &Said<'_>, late: bool) -> (Option<i64>, bool) {
        let Some((number, may_be_date)) = said.number() else {
            return (None, false);
        };
        if said.is_shared {
            return (None, false);
        }
        let known = self.known_run(delta, said.device);
        if late {
            return (known.and_then(|run| run.start_ns()), false);
        }
        if known.is_none() && self.runs.len() + delta.runs.len() >= MAX_DEVICES {
            delta.devices_not_remembered += 1;
            return match RunClock::default().take(number, may_be_date, said.received_at_ns) {
                Meaning::Date => (None, false),
                Meaning::Uptime { start_ns, .. } => (Some(start_ns), true),
            };
        }
        let run = delta
            .runs
            .entry(said.device)
            .or_insert_with(|| known.unwrap_or_default());
        match run.take(number, may_be_date, said.received_at_ns) {
            Meaning::Date => (None, false),
            Meaning::Uptime { start_ns, moved } => (Some(start_ns), moved),
        }
    }

    /// Take over what was committed.
    pub(crate) fn merge(&mut self, delta: MemoryDelta, log_bytes: usize, now_ns: i64) {
        self.times.merge(delta.times, now_ns);
        self.runs.extend(delta.runs);
        self.deliveries.merge(delta.deliveries);
        self.receivers.merge(delta.receivers);
        if self.runs.len() >= MAX_DEVICES {
            let since = now_ns.saturating_sub(SILENCE_NS);
            self.runs.retain(|_, run| run.last_arrival_ns() >= since);
        }
        self.log_bytes = self.log_bytes.saturating_add(log_bytes);
    }

    pub(crate) fn wants_compaction(&self) -> bool {
        self.log_bytes > LOG_BYTES.max(2 * self.stored_bytes)
    }

    /// Write a change into the log, in a transaction of the caller.
    pub(crate) fn log(db: &Connection, source: i64, log: &[u8]) -> Result<()> {
        if !log.is_empty() {
            db.prepare_cached("INSERT INTO memory_log(source, entries) VALUES (?1, ?2)")?
                .execute(params![source, log])?;
        }
        Ok(())
    }

    /// Write the whole memory and delete its log, in a transaction of the caller. Returns the bytes of the memory.
    pub(crate) fn write(&self, db: &Connection, source: i64, now_ns: i64) -> Result<usize> {
        let mut deliveries = Vec::new();
        self.deliveries.encode(&mut deliveries);
        let times = self.times.entries(now_ns);
        let memory = encode(&deliveries, &self.runs, &self.receivers, times);
        db.prepare_cached("UPDATE source SET memory=?2 WHERE id=?1")?
            .execute(params![source, memory])?;
        db.prepare_cached("DELETE FROM memory_log WHERE source=?1")?
            .execute([source])?;
        Ok(memory.len())
    }

    /// Read what is stored of a source.
    pub(crate) fn load(
        db: &Connection,
        source: i64,
        name: &str,
        window_ms: i64,
        floor_ns: Option<i64>,
    ) -> Result<Self> {
        let mut memory = Self::new(window_ms, floor_ns);
        let damaged = || {
            Error::new(
                ErrorKind::Damaged,
                format!("the memory of source {name} cannot be read; nothing was changed"),
            )
        };
        let whole: Option<Vec<u8>> =
            db.query_row("SELECT memory FROM source WHERE id=?1", [source], |r| {
                r.get(0)
            })?;
        if let Some(whole) = whole {
            memory.stored_bytes = whole.len();
            memory.replay(&whole).ok_or_else(damaged)?;
        }
        let mut log = db.prepare("SELECT entries FROM memory_log WHERE source=?1 ORDER BY id")?;
        let mut rows = log.query([source])?;
        while let Some(row) = rows.next()? {
            let entries: Vec<u8> = row.get(0)?;
            memory.log_bytes += entries.len();
            memory.replay(&entries).ok_or_else(damaged)?;
        }
        Ok(memory)
    }

    fn replay(&mut self, mut input: &[u8]) -> Option<()> {
        let (length, rest) = input.split_first_chunk()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (deliveries, rest) = rest.split_at_checked(length)?;
        self.deliveries.replay(deliveries)?;
        let (count, rest) = rest.split_first_chunk()?;
        input = rest;
        for _ in 0..u32::from_le_bytes(*count) {
            let (device, rest) = input.split_first_chunk()?;
            let (clock, rest) = rest.split_first_chunk()?;
            let device = u64::from_le_bytes(*device);
            match clock.split_first() {
                Some((&RECEIVER, receiver)) => self.receivers.replay(device, receiver)?,
                _ => {
                    self.runs.insert(device, RunClock::decode(clock)?);
                }
            }
            input = rest;
        }
        while !input.is_empty() {
            let (series, entry) = series_times::decode(&mut input)?;
            self.times.replay(series, entry);
        }
        Some(())
    }
}

/// Forget all deliveries of all brokers, in a transaction of the caller.
pub(crate) fn forget_deliveries(db: &Connection) -> Result<()> {
    let mut delta = DeliveriesDelta::default();
    delta.clear();
    let mut deliveries = Vec::new();
    delta.encode(&mut deliveries);
    let entries = encode(
        &deliveries,
        &HashMap::new(),
        &Receivers::default(),
        std::iter::empty(),
    );
    db.execute(
        "INSERT INTO memory_log(source, entries) SELECT id, ?1 FROM source",
        [entries],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-06-01T00:00:00Z.
    const NOW: i64 = 1_780_272_000 * 1_000_000_000;
    const DAY_NS: i64 = 86_400 * 1_000_000_000;

    /// A document of a device, whose number may be an uptime or a date. Returns its time, and whether the document's own time was doubted.
    fn judge(
        memory: &Memory,
        delta: &mut MemoryDelta,
        device: u64,
        number: u64,
        at: i64,
    ) -> (i64, bool) {
        let said = Said {
            points: &[],
            time: Some(Moment::Either(number)),
            device,
            document: None,
            belief: Belief::default(),
            received_at_ns: at,
            beside_own: true,
            given_ns: None,
            is_shared: false,
        };
        let stamping = Stamping::Arrival {
            clock_ns: at,
            step_ns: STEP_NS,
        };
        let given = memory.judge(delta, &said, stamping, false).unwrap();
        (given.times.time_ns, given.is_doubted)
    }

    /// Beyond the bound, an uptime that looks like a date of 2020 gives the time of arrival, and is counted; a date of today stays. A device that is silent for
    /// less than fifty days is not forgotten for another one.
    #[test]
    fn devices_beyond_the_bound_get_arrival_times() {
        let mut memory = Memory::new(60_000, None);
        let mut delta = MemoryDelta::default();
        for device in 0..MAX_DEVICES as u64 {
            judge(&memory, &mut delta, device, 5_000, NOW);
        }
        let later = NOW + 49 * DAY_NS;
        memory.merge(std::mem::take(&mut delta), 0, later);

        let further = u64::MAX;
        let uptime = judge(&memory, &mut delta, further, 1_600_000_000, later);
        assert_eq!(uptime, (later, true));
        let date = later - 3_600_000_000_000;
        let seconds = (date / 1_000_000_000) as u64;
        assert_eq!(
            judge(&memory, &mut delta, further, seconds, later),
            (date, false)
        );
        assert_eq!(delta.take_not_remembered(), 2);
        let waited = judge(&memory, &mut delta, 7, 65_000, later);
        assert_eq!(waited, (NOW + 60_000_000_000, false));

        memory.merge(std::mem::take(&mut delta), 0, later + 2 * DAY_NS);
        judge(&memory, &mut delta, further, 1_600_000_000, later);
        assert_eq!(delta.take_not_remembered(), 0);
    }
}
