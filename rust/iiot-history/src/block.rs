//! Encodes a block: consecutive points of one series, in the order of their times.
//!
//! ```text
//! crc32 u32 LE of what follows | power u8 | step* | run*
//! step: zigzag varint; the difference between this distance in time and the one before, in units of 10^power ns
//! run:  kind u8 | length varint | value*
//! kind 0..=18: decimals of that scale; each is a zigzag varint with the difference to the decimal before, converted to this scale
//! kind 0xf0: numbers as text, 0xf1: texts; each is a length as varint, and its bytes.  0xf2: booleans; each is a byte 0 or 1
//! ```
//!
//! The row of the block holds the first time and the count.

use crate::error::{Error, Result};
use crate::value::Value;
use crate::varint::{push, push_signed, take, take_bytes, take_signed};

const NUMBER: u8 = 0xf0;
const TEXT: u8 = 0xf1;
const BOOL: u8 = 0xf2;
const MAX_SCALE: u8 = 18;

/// A value and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Nanoseconds since 1970.
    pub time_ns: i64,
    /// The value.
    pub value: Value,
}

/// The bytes of samples in the order of their times.
pub(crate) fn encode(samples: &[Sample]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + 4 * samples.len());
    out.extend_from_slice(&[0; 4]);
    push_times(samples, &mut out);
    let (mut at, mut before) = (0, (0, 0));
    while let Some(first) = samples.get(at) {
        let kind = kind_of(&first.value);
        let rest = samples.get(at..).unwrap_or_default();
        let run = rest
            .iter()
            .take_while(|s| kind_of(&s.value) == kind)
            .count();
        out.push(kind);
        push(&mut out, run as u64);
        for sample in rest.iter().take(run) {
            match &sample.value {
                Value::Decimal { mantissa, scale } => {
                    let expected = rescaled(before, *scale);
                    push_signed(&mut out, mantissa.wrapping_sub(expected));
                    before = (*mantissa, *scale);
                }
                Value::Number(text) | Value::Text(text) => {
                    push(&mut out, text.len() as u64);
                    out.extend_from_slice(text.as_bytes());
                }
                Value::Bool(value) => out.push(u8::from(*value)),
            }
        }
        at += run;
    }
    let crc = crc32fast::hash(out.get(4..).unwrap_or_default());
    if let Some(head) = out.first_chunk_mut() {
        *head = crc.to_le_bytes();
    }
    out
}

/// Decode samples from bytes that [`encode`] made.
pub(crate) fn decode(start_ns: i64, count: usize, body: &[u8]) -> Result<Vec<Sample>> {
    let Some((crc, content)) = body.split_first_chunk() else {
        return Err(Error::damaged("a block is too short"));
    };
    if crc32fast::hash(content) != u32::from_le_bytes(*crc) {
        return Err(Error::damaged("a block fails its checksum"));
    }
    read(start_ns, count, content)
        .ok_or_else(|| Error::damaged("a block does not hold what its row says"))
}

fn read(start_ns: i64, count: usize, content: &[u8]) -> Option<Vec<Sample>> {
    let (&power, mut rest) = content.split_first()?;
    let unit = 10i64.checked_pow(u32::from(power))?;
    // Every sample has at least one byte. This check keeps a wrong count from allocating much memory.
    let mut samples = Vec::with_capacity(count.min(content.len()));
    let (mut time_ns, mut step) = (start_ns, 0i64);
    for number in 0..count {
        if number > 0 {
            step = step.wrapping_add(take_signed(&mut rest)?);
            time_ns = time_ns.wrapping_add(step.wrapping_mul(unit));
        }
        let value = Value::Bool(false);
        samples.push(Sample { time_ns, value });
    }
    let (mut at, mut before) = (0, (0, 0));
    while at < count {
        let (&kind, behind) = rest.split_first()?;
        rest = behind;
        let run = usize::try_from(take(&mut rest)?).ok()?;
        if run == 0 {
            return None;
        }
        for sample in samples.get_mut(at..at.checked_add(run)?)? {
            sample.value = value(kind, &mut rest, &mut before)?;
        }
        at += run;
    }
    rest.is_empty().then_some(samples)
}

fn value(kind: u8, rest: &mut &[u8], before: &mut (i64, u8)) -> Option<Value> {
    Some(match kind {
        NUMBER | TEXT => {
            let length = usize::try_from(take(rest)?).ok()?;
            let text = String::from_utf8(take_bytes(rest, length)?.to_vec())
                .ok()?
                .into_boxed_str();
            if kind == TEXT {
                Value::Text(text)
            } else {
                Value::Number(text)
            }
        }
        BOOL => Value::Bool(take_bytes(rest, 1)? == [1]),
        0..=MAX_SCALE => {
            let mantissa = rescaled(*before, kind).wrapping_add(take_signed(rest)?);
            *before = (mantissa, kind);
            Value::Decimal {
                mantissa,
                scale: kind,
            }
        }
        _ => return None,
    })
}

fn push_times(samples: &[Sample], out: &mut Vec<u8>) {
    let steps = || {
        samples.windows(2).filter_map(|pair| match pair {
            [one, next] => Some(next.time_ns.wrapping_sub(one.time_ns)),
            _ => None,
        })
    };
    let (mut power, mut unit) = (9u8, 1_000_000_000i64);
    for step in steps() {
        while step % unit != 0 {
            (power, unit) = (power - 1, unit / 10);
        }
    }
    out.push(power);
    let mut before = 0i64;
    for step in steps() {
        let step = step / unit;
        push_signed(out, step.wrapping_sub(before));
        before = step;
    }
}

fn kind_of(value: &Value) -> u8 {
    match value {
        Value::Decimal { scale, .. } => *scale,
        Value::Number(_) => NUMBER,
        Value::Text(_) => TEXT,
        Value::Bool(_) => BOOL,
    }
}

/// Convert the previous decimal to another scale, so that `27.5` and then `28` differ by 1. A smaller scale cuts digits. 0 if it does not fit.
fn rescaled((mantissa, scale): (i64, u8), to: u8) -> i64 {
    let factor = 10i64
        .checked_pow(u32::from(scale.abs_diff(to)))
        .unwrap_or(i64::MAX);
    if to < scale {
        mantissa / factor
    } else {
        mantissa.checked_mul(factor).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            8 => (any::<i64>(), 0..=MAX_SCALE).prop_map(|(mantissa, scale)| Value::Decimal { mantissa, scale }),
            8 => (200i64..300, 0u8..3).prop_map(|(mantissa, scale)| Value::Decimal { mantissa, scale }),
            1 => any::<bool>().prop_map(Value::Bool),
            1 => ".{0,40}".prop_map(|t| Value::Text(t.into())),
            1 => "-?[1-9]e[0-9]".prop_map(|t| Value::Number(t.into())),
        ]
    }

    proptest! {
        /// What is put in comes out, whatever the times and values are.
        #[test]
        fn samples_come_back_as_they_were(
            mut samples in proptest::collection::vec((any::<i64>(), any_value()).prop_map(|(time_ns, value)| Sample { time_ns, value }), 1..200)
        ) {
            samples.sort_by_key(|s| s.time_ns);
            let body = encode(&samples);

            prop_assert_eq!(decode(samples[0].time_ns, samples.len(), &body).unwrap(), samples);
        }

        /// Any bytes give an error or samples, and no panic; so does a right checksum over wrong bytes.
        #[test]
        fn any_bytes_are_read_without_panic(content in proptest::collection::vec(any::<u8>(), 0..200), count in 0usize..100) {
            let mut body = crc32fast::hash(&content).to_le_bytes().to_vec();
            body.extend_from_slice(&content);
            let _ = decode(0, count, &body);
            prop_assert!(decode(0, count, &content).is_err());
        }
    }

    #[test]
    fn a_flipped_bit_is_found() {
        //! The checksum covers all of it.
        let samples: Vec<_> = (0..50)
            .map(|n| Sample {
                time_ns: n * 1_000_000,
                value: Value::Decimal {
                    mantissa: n,
                    scale: 1,
                },
            })
            .collect();
        let body = encode(&samples);

        for bit in 0..body.len() * 8 {
            let mut wrong = body.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(0, samples.len(), &wrong).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn regular_points_take_about_two_bytes() {
        //! Ten seconds apart, a tenth more or less.
        let samples: Vec<_> = (0..1000)
            .map(|n| Sample {
                time_ns: n * 10_000_000_000,
                value: Value::Decimal {
                    mantissa: 270 + n % 3,
                    scale: 1,
                },
            })
            .collect();

        assert!(encode(&samples).len() < 2_100);
    }
}
