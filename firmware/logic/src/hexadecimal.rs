//! Reads bytes from hexadecimal digits, for keys in the environment of a build and for commands on the gateway node's port.

/// The bytes, from exactly twice as many digits in upper or lower case.
pub(crate) fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let &[high, low] = pair else {
            return None;
        };
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both cases are read. Other characters and a wrong number of digits are refused.
    #[test]
    fn bytes_are_pairs_of_digits() {
        assert_eq!(bytes(b"00fFA7"), Some([0x00, 0xFF, 0xA7]));
        assert_eq!(bytes::<3>(b"00fFA"), None);
        assert_eq!(bytes::<3>(b"00fFA70"), None);
        assert_eq!(bytes::<3>(b"00fFg7"), None);
    }
}
