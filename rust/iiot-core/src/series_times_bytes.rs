//! The stored form of changes to the times of series.

use crate::given_times::{GivenTime, Run};
use crate::series_times::TimeEntry;
use crate::varint;

/// Append entries as they are stored: u64 series, u8 kind, then of a stamp (1) the time, of a value (2) own, given and received time, u64 document, u16 fields, of a run (3) its first and last time, u16 fields.
/// Times are zigzag varints, the second and third relative to the one before.
pub fn encode(entries: impl IntoIterator<Item = (u64, TimeEntry)>, out: &mut Vec<u8>) {
    for (series, entry) in entries {
        out.extend_from_slice(&series.to_le_bytes());
        match entry {
            TimeEntry::Stamp(stamp_ns) => {
                out.push(1);
                varint::push_signed(out, stamp_ns);
            }
            TimeEntry::Run(run) => {
                out.push(3);
                varint::push_signed(out, run.first_ms);
                varint::push_signed(out, run.last_ms.wrapping_sub(run.first_ms));
                out.extend_from_slice(&run.fields.to_le_bytes());
            }
            TimeEntry::Value(value) => {
                out.push(2);
                varint::push_signed(out, value.own_ms);
                varint::push_signed(out, value.given_ms.wrapping_sub(value.own_ms));
                varint::push_signed(out, value.received_ms.wrapping_sub(value.given_ms));
                out.extend_from_slice(&value.document.to_le_bytes());
                out.extend_from_slice(&value.fields.to_le_bytes());
            }
        }
    }
}

/// Read one entry that [`encode`] wrote, and move `input` behind it; `None` at the end, or if there is no such entry.
pub fn decode(input: &mut &[u8]) -> Option<(u64, TimeEntry)> {
    fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
        let (head, rest) = input.split_first_chunk::<N>()?;
        *input = rest;
        Some(*head)
    }
    let mut rest = *input;
    let series = take(&mut rest).map(u64::from_le_bytes)?;
    let entry = match take::<1>(&mut rest)? {
        [1] => TimeEntry::Stamp(varint::take_signed(&mut rest)?),
        [3] => {
            let first_ms = varint::take_signed(&mut rest)?;
            TimeEntry::Run(Run {
                first_ms,
                last_ms: first_ms.wrapping_add(varint::take_signed(&mut rest)?),
                fields: take(&mut rest).map(u16::from_le_bytes)?,
            })
        }
        [2] => {
            let own_ms = varint::take_signed(&mut rest)?;
            let given_ms = own_ms.wrapping_add(varint::take_signed(&mut rest)?);
            TimeEntry::Value(GivenTime {
                own_ms,
                given_ms,
                received_ms: given_ms.wrapping_add(varint::take_signed(&mut rest)?),
                document: take(&mut rest).map(u64::from_le_bytes)?,
                fields: take(&mut rest).map(u16::from_le_bytes)?,
            })
        }
        _ => return None,
    };
    *input = rest;
    Some((series, entry))
}
