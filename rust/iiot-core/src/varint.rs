//! Whole numbers in as few bytes as they need: seven bits in each byte, the lowest first; signed ones zigzag.

/// Append a number.
pub fn push(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Take a number from the front; `None` if there is none.
pub fn take(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first()?;
        *input = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Append a signed number.
pub fn push_signed(out: &mut Vec<u8>, value: i64) {
    push(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Take a signed number from the front.
pub fn take_signed(input: &mut &[u8]) -> Option<i64> {
    take(input).map(|word| (word >> 1) as i64 ^ -((word & 1) as i64))
}

/// The first `length` bytes of the input; `None` if there are fewer.
pub fn take_bytes<'a>(input: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (bytes, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(bytes)
}
