//! Whether a value can be used as a value of its field's type.

use crate::found::Value;
use crate::json_text::number_end;
use crate::kind::Kind;
use crate::number::integer;
use crate::rules::ValueType;
use crate::scan_faults::ValueFaultReason;

/// Numbers with at most so many digits and no exponent are finite as a 64-bit float.
const SURELY_FINITE_BYTES: u32 = 300;

/// Whether the value makes a point; an error if there is a value that cannot be used.
#[inline]
pub(crate) fn usable(
    value: Value,
    value_type: ValueType,
    document: &[u8],
) -> Result<bool, ValueFaultReason> {
    if value.kind == Kind::Number
        && matches!(value_type, ValueType::Number | ValueType::Any)
        && value.end - value.start <= SURELY_FINITE_BYTES
    {
        return Ok(true);
    }
    usable_otherwise(value, value_type, document)
}

/// A usable value, as one of its type.
#[inline]
pub(crate) fn typed(value: Value, value_type: ValueType) -> Value {
    if value_type == ValueType::Integer {
        return Value {
            kind: Kind::Integer,
            ..value
        };
    }
    value
}

/// As `usable`, for values other than plain numbers.
fn usable_otherwise(
    value: Value,
    value_type: ValueType,
    document: &[u8],
) -> Result<bool, ValueFaultReason> {
    match (value.kind, value_type) {
        (Kind::Missing | Kind::Null, _)
        | (
            Kind::Integer
            | Kind::LevelNumber
            | Kind::LevelInteger
            | Kind::LevelText
            | Kind::String
            | Kind::EscapedString
            | Kind::Object
            | Kind::Array,
            ValueType::Measured,
        ) => Ok(false),
        (
            Kind::Number | Kind::Scientific,
            ValueType::Number | ValueType::Any | ValueType::Measured,
        ) => {
            let text = std::str::from_utf8(value.text(document)).unwrap_or_default();
            if text.parse::<f64>().is_ok_and(f64::is_finite) {
                Ok(true)
            } else {
                Err(ValueFaultReason::OutOfRange)
            }
        }
        (Kind::Number | Kind::Scientific, ValueType::Integer) => {
            if integer(value.text(document)).is_some() {
                Ok(true)
            } else {
                Err(ValueFaultReason::NotAnInteger)
            }
        }
        (Kind::Bool, ValueType::Bool | ValueType::Any | ValueType::Measured)
        | (Kind::String | Kind::EscapedString, ValueType::String | ValueType::Any) => Ok(true),
        (_, ValueType::Number) => Err(ValueFaultReason::NotANumber),
        (_, ValueType::Integer) => Err(ValueFaultReason::NotAnInteger),
        (_, ValueType::Bool) => Err(ValueFaultReason::NotABoolean),
        (_, ValueType::String) => Err(ValueFaultReason::NotAString),
        (_, ValueType::Any) => Err(ValueFaultReason::NotAScalar),
    }
}

/// A level of the topic as a value of a field; an error if it does not have the field's type.
pub(crate) fn level(
    place: std::ops::Range<u32>,
    topic: &[u8],
    value_type: ValueType,
) -> Result<Option<Value>, ValueFaultReason> {
    let text = topic.get(place.start as usize..place.end as usize);
    let text = text.unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let kind = match value_type {
        ValueType::Integer => match integer(text) {
            Some(_) => Kind::LevelInteger,
            None => return Err(ValueFaultReason::NotAnInteger),
        },
        ValueType::String => Kind::LevelText,
        _ => {
            let end = number_end(&[text, b" "].concat(), 0).map(|(end, _)| end);
            let value = std::str::from_utf8(text).map(str::parse::<f64>);
            match (end, value) {
                (Ok(end), Ok(Ok(value))) if end == text.len() && value.is_finite() => {
                    Kind::LevelNumber
                }
                _ => return Err(ValueFaultReason::NotANumber),
            }
        }
    };
    let (start, end) = (place.start, place.end);
    Ok(Some(Value { kind, start, end }))
}
