//! A value as it came: a decimal number as mantissa and scale, which give its text back digit for digit; any other value as text.

use iiot_core::point::ValueKind;

/// The most digits of a mantissa: all such numbers fit into 63 bits.
const MAX_DIGITS: usize = 18;
/// Below this, a whole number and a power of ten are exact as floats, so one division rounds in the same way as reading the text.
const EXACT: u64 = 1 << 53;

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `mantissa / 10^scale`, written with `scale` decimals: `54.10` is 5410 and 2.
    Decimal {
        /// The digits.
        mantissa: i64,
        /// The number of digits behind the point.
        scale: u8,
    },
    /// A number in another form: with an exponent, with more than 18 digits, or `-0`.
    Number(Box<str>),
    /// `true` or `false`.
    Bool(bool),
    /// A text.
    Text(Box<str>),
}

impl Value {
    /// Convert a point's value.
    pub fn new(kind: ValueKind, text: &[u8]) -> Self {
        let owned = || String::from_utf8_lossy(text).into_owned().into_boxed_str();
        match kind {
            ValueKind::Number | ValueKind::Integer => {
                decimal(text).unwrap_or_else(|| Self::Number(owned()))
            }
            ValueKind::Bool => Self::Bool(text == b"true"),
            ValueKind::String => Self::Text(owned()),
        }
    }

    /// The text that came.
    pub fn text(&self) -> String {
        match self {
            Self::Decimal { mantissa, scale: 0 } => mantissa.to_string(),
            Self::Decimal { mantissa, scale } => {
                let scale = usize::from(*scale);
                let sign = if *mantissa < 0 { "-" } else { "" };
                let digits = format!("{:0width$}", mantissa.unsigned_abs(), width = scale + 1);
                let (whole, decimals) = digits.split_at(digits.len() - scale);
                format!("{sign}{whole}.{decimals}")
            }
            Self::Number(text) | Self::Text(text) => text.to_string(),
            Self::Bool(value) => value.to_string(),
        }
    }

    /// The nearest float. True is 1, false is 0, and a text has none.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Decimal { mantissa, scale } => Some(decimal_to_float(*mantissa, *scale)),
            Self::Number(text) => text.parse().ok(),
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::Text(_) => None,
        }
    }
}

pub(crate) fn decimal_to_float(mantissa: i64, scale: u8) -> f64 {
    if scale == 0 {
        return mantissa as f64;
    }
    match POWERS.get(usize::from(scale)) {
        Some(power) if mantissa.unsigned_abs() < EXACT => mantissa as f64 / power,
        _ => Value::Decimal { mantissa, scale }
            .text()
            .parse()
            .unwrap_or(f64::NAN),
    }
}

/// Powers of ten that a float holds exactly.
pub(crate) const POWERS: [f64; 19] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];

fn decimal(text: &[u8]) -> Option<Value> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let has_point = digits.contains(&b'.');
    if digits.len() > MAX_DIGITS + usize::from(has_point) {
        return None;
    }
    let (mut mantissa, mut point) = (0i64, None);
    for (at, &byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = mantissa * 10 + i64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let scale = point.map_or(0, |at| digits.len() - at - 1);
    let whole = digits.len() - scale - usize::from(has_point);
    let value = Value::Decimal {
        mantissa: if negative { -mantissa } else { mantissa },
        scale: scale as u8,
    };
    // Only numbers in exactly the form that `text` writes: no leading zeros, no `-0`, digits on both sides of the point.
    let leading = whole > 1 && digits.first() == Some(&b'0');
    let otherwise =
        whole == 0 || leading || (negative && mantissa == 0) || (has_point && scale == 0);
    (!otherwise).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(text: &str) -> Value {
        Value::new(ValueKind::Number, text.as_bytes())
    }

    #[test]
    fn a_value_comes_out_as_it_came_in() {
        //! Trailing zeros, signs, exponents and great lengths included.
        for text in [
            "54.10",
            "0",
            "-0",
            "-0.0",
            "0.050",
            "-0.001",
            "27",
            "1e5",
            "-1.50E-7",
            "123456789012345678",
            "1234567890123456789",
            "0.000000000000000001",
            "9223372036854775808",
            "84190",
        ] {
            assert_eq!(number(text).text(), text);
            assert_eq!(number(text).number(), text.parse().ok(), "{text}");
        }
        assert_eq!(Value::new(ValueKind::Bool, b"true").text(), "true");
        assert_eq!(Value::new(ValueKind::String, b"54.10").text(), "54.10");
    }

    #[test]
    fn usual_numbers_take_no_text() {
        //! They are what makes the file compact.
        assert_eq!(
            number("54.10"),
            Value::Decimal {
                mantissa: 5410,
                scale: 2
            }
        );
        assert_eq!(
            number("-7"),
            Value::Decimal {
                mantissa: -7,
                scale: 0
            }
        );
    }

    proptest! {
        /// Any number of JSON keeps its text and is the float that its text is.
        #[test]
        fn any_number_keeps_its_text(text in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?") {
            prop_assert_eq!(number(&text).text(), text.clone());
            prop_assert_eq!(number(&text).number(), text.parse::<f64>().ok());
        }
    }
}
