//! The aggregate of the points in a bucket: their number, sum, extremes, first and last.
//!
//! The sum of decimals is kept as a decimal. It does not depend on the order of the points, so a roll-up is exact in any case.
//! Only numbers that are no decimals (with an exponent or more than 18 digits) are summed as floats.

use crate::value::{POWERS, Value};
use crate::varint::{push, push_signed, take, take_bytes, take_signed};

/// The function that a query applies to a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// The mean: the sum divided by the number of points.
    Mean,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The sum.
    Sum,
    /// The number of points, with texts.
    Count,
    /// The earliest number.
    First,
    /// The latest number.
    Last,
}

impl Function {
    /// All functions, with their names.
    pub const ALL: [(&str, Self); 7] = [
        ("mean", Self::Mean),
        ("min", Self::Min),
        ("max", Self::Max),
        ("sum", Self::Sum),
        ("count", Self::Count),
        ("first", Self::First),
        ("last", Self::Last),
    ];

    /// The function with a name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find_map(|(known, function)| (known == name).then_some(function))
    }
}

/// The summary of a bucket's points. Only the count includes texts, which have no mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Aggregate {
    /// All points.
    pub count: u64,
    /// The points that are numbers.
    pub numbers: u64,
    sum: Sum,
    min: f64,
    max: f64,
    first: f64,
    last: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sum {
    mantissa: i128,
    scale: u8,
    rest: f64,
}

impl Aggregate {
    /// Add a point that is later than all points before.
    pub fn add(&mut self, value: &Value) {
        self.count += 1;
        let Some(number) = value.number() else {
            return;
        };
        let mut one = Self {
            numbers: 1,
            min: number,
            max: number,
            first: number,
            last: number,
            ..Self::default()
        };
        match value {
            Value::Decimal { mantissa, scale } => {
                one.sum = Sum {
                    mantissa: i128::from(*mantissa),
                    scale: *scale,
                    rest: 0.0,
                }
            }
            Value::Bool(value) => one.sum.mantissa = i128::from(*value),
            Value::Number(_) | Value::Text(_) => one.sum.rest = number,
        }
        self.append(&one);
    }

    /// Add a bucket whose points are later than all points before.
    pub fn append(&mut self, next: &Self) {
        self.count += next.count;
        if next.numbers == 0 {
            return;
        }
        if self.numbers == 0 {
            *self = Self {
                count: self.count,
                ..*next
            };
            return;
        }
        self.numbers += next.numbers;
        self.sum.add(next.sum);
        self.min = self.min.min(next.min);
        self.max = self.max.max(next.max);
        self.last = next.last;
    }

    /// The result of a function; none without any number, or if a float cannot hold the result.
    pub fn get(&self, function: Function) -> Option<f64> {
        if function == Function::Count {
            return Some(self.count as f64);
        }
        let number = match function {
            Function::Mean => self.sum.float() / self.numbers as f64,
            Function::Min => self.min,
            Function::Max => self.max,
            Function::Sum => self.sum.float(),
            Function::First => self.first,
            Function::Last | Function::Count => self.last,
        };
        (self.numbers > 0 && number.is_finite()).then_some(number)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        push(out, self.count << 1 | u64::from(self.numbers != self.count));
        if self.numbers != self.count {
            push(out, self.numbers);
        }
        if self.numbers == 0 {
            return;
        }
        let has_rest = self.sum.rest != 0.0;
        out.push(self.sum.scale | u8::from(has_rest) << 7);
        let (low, high) = (self.sum.mantissa as i64, (self.sum.mantissa >> 63) as i64);
        // If a sum fits into 63 bits, as nearly all do, the bits above hold only its sign.
        push(out, u64::from(high != low >> 63));
        push_signed(out, low);
        if high != low >> 63 {
            push_signed(out, high);
        }
        if has_rest {
            out.extend_from_slice(&self.sum.rest.to_le_bytes());
        }
        let mut before = 0;
        for number in [self.first, self.last, self.min, self.max] {
            push_number(number, self.sum.scale, &mut before, out);
        }
    }

    pub(crate) fn read(input: &mut &[u8]) -> Option<Self> {
        let word = take(input)?;
        let count = word >> 1;
        let numbers = if word & 1 == 1 { take(input)? } else { count };
        if numbers == 0 {
            return Some(Self {
                count,
                ..Self::default()
            });
        }
        let scale = *take_bytes(input, 1)?.first()?;
        let is_long = take(input)? == 1;
        let low = take_signed(input)?;
        let mantissa = if is_long {
            (i128::from(take_signed(input)?) << 63) | (i128::from(low) & i128::from(i64::MAX))
        } else {
            i128::from(low)
        };
        let rest = if scale >> 7 == 1 {
            take_float(input)?
        } else {
            0.0
        };
        let scale = scale & 0x7f;
        let mut before = 0;
        let mut number = || take_number(input, scale, &mut before);
        let (first, last, min, max) = (number()?, number()?, number()?, number()?);
        Some(Self {
            count,
            numbers,
            sum: Sum {
                mantissa,
                scale,
                rest,
            },
            min,
            max,
            first,
            last,
        })
    }
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.rest += other.rest;
        let scale = self.scale.max(other.scale);
        let brought = |sum: Self| {
            10i128
                .checked_pow(u32::from(scale - sum.scale))
                .and_then(|factor| sum.mantissa.checked_mul(factor))
        };
        let both = brought(*self)
            .zip(brought(other))
            .and_then(|(one, two)| one.checked_add(two));
        if let Some(mantissa) = both {
            (self.mantissa, self.scale) = (mantissa, scale);
        } else {
            // More than 38 digits, which a float could not hold exactly either.
            self.rest += Self { rest: 0.0, ..other }.float();
        }
    }

    fn float(self) -> f64 {
        let power = POWERS.get(usize::from(self.scale)).copied().unwrap_or(1.0);
        self.mantissa as f64 / power + self.rest
    }
}

/// Encode a float as a decimal of this scale if possible; the low bit says which form it has.
fn push_number(number: f64, scale: u8, before: &mut i64, out: &mut Vec<u8>) {
    let power = POWERS.get(usize::from(scale)).copied().unwrap_or(1.0);
    let mantissa = (number * power).round();
    if mantissa.abs() < (1u64 << 53) as f64 && (mantissa / power).to_bits() == number.to_bits() {
        let mantissa = mantissa as i64;
        // The difference of two 53-bit numbers leaves room for the low bit.
        push_signed(out, (mantissa - *before) << 1);
        *before = mantissa;
    } else {
        push_signed(out, 1);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn take_number(input: &mut &[u8], scale: u8, before: &mut i64) -> Option<f64> {
    let word = take_signed(input)?;
    if word & 1 == 1 {
        return take_float(input);
    }
    *before = before.wrapping_add(word >> 1);
    Some(*before as f64 / POWERS.get(usize::from(scale)).copied().unwrap_or(1.0))
}

fn take_float(input: &mut &[u8]) -> Option<f64> {
    let bytes = take_bytes(input, 8)?;
    bytes.first_chunk().map(|b| f64::from_le_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use iiot_core::point::ValueKind;
    use proptest::prelude::*;

    fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Aggregate {
        let mut all = Aggregate::default();
        for text in texts {
            all.add(&Value::new(ValueKind::Number, text.as_bytes()));
        }
        all
    }

    #[test]
    fn ten_tenths_are_one() {
        //! As floats they would be 0.9999999999999999.
        assert_eq!(of(["0.1"; 10]).get(Function::Sum), Some(1.0));
    }

    #[test]
    fn texts_are_counted_and_have_no_mean() {
        //! A bucket of texts alone is there, without a value.
        let mut all = Aggregate::default();
        all.add(&Value::Text("open".into()));

        assert_eq!(all.get(Function::Count), Some(1.0));
        assert_eq!(all.get(Function::Mean), None);
    }

    #[test]
    fn a_sum_that_no_float_holds_is_no_answer() {
        //! Infinity is no JSON.
        let all = of(["1e308", "1e308"]);

        assert_eq!(all.get(Function::Sum), None);
        assert_eq!(all.get(Function::Mean), None);
        assert_eq!(all.get(Function::Max), Some(1e308));
    }

    proptest! {
        /// Cutting a row of points anywhere and joining the parts gives the same bits, and so does storing them.
        #[test]
        fn parts_join_to_the_whole(
            texts in proptest::collection::vec("-?[1-9][0-9]{0,17}|-?[0-9]\\.[0-9]{1,17}|[1-9]e[0-9]", 1..60),
            cut in 0usize..60,
        ) {
            let whole = of(texts.iter().map(String::as_str));
            let (left, right) = texts.split_at(cut.min(texts.len()));
            let mut joined = of(left.iter().map(String::as_str));
            joined.append(&of(right.iter().map(String::as_str)));
            let mut stored = Vec::new();
            whole.write(&mut stored);

            prop_assert_eq!(joined.sum.mantissa, whole.sum.mantissa);
            prop_assert_eq!((joined.count, joined.min, joined.max, joined.first, joined.last), (whole.count, whole.min, whole.max, whole.first, whole.last));
            prop_assert_eq!(Aggregate::read(&mut stored.as_slice()), Some(whole));
        }

        /// Any bytes give an aggregate or nothing, and no panic.
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Aggregate::read(&mut bytes.as_slice());
        }
    }
}
