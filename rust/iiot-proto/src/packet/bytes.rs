//! Reads and writes numbers in a caller's buffer, high byte first, and never beyond the end of the buffer.

use crate::packet::{DecodeError, DecodeFault, EncodeError};

/// Writes numbers to a buffer, one after the other.
pub(crate) struct Writer<'a> {
    buffer: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, at: 0 }
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let end = self.at.saturating_add(bytes.len());
        let Some(room) = self.buffer.get_mut(self.at..end) else {
            return Err(EncodeError::BufferTooShort { needed: end });
        };
        room.copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }

    pub(crate) fn put_u8(&mut self, value: u8) -> Result<(), EncodeError> {
        self.put(&[value])
    }

    pub(crate) fn put_u16(&mut self, value: u16) -> Result<(), EncodeError> {
        self.put(&value.to_be_bytes())
    }

    /// Write the low 24 bits of `value`.
    pub(crate) fn put_u24(&mut self, value: u32) -> Result<(), EncodeError> {
        let [_, high, middle, low] = value.to_be_bytes();
        self.put(&[high, middle, low])
    }

    pub(crate) fn put_u32(&mut self, value: u32) -> Result<(), EncodeError> {
        self.put(&value.to_be_bytes())
    }

    /// The bytes that were written so far.
    pub(crate) fn written(&self) -> &[u8] {
        self.buffer.get(..self.at).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.at
    }
}

/// Reads numbers from bytes. Errors give the offset in the whole packet.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader of the part of a packet that starts at offset `at`.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((taken, rest)) = self.bytes.split_first_chunk::<N>() else {
            return Err(self.fault(DecodeFault::CutShort {
                missing: N.saturating_sub(self.bytes.len()) as u8,
            }));
        };
        self.bytes = rest;
        self.at = self.at.saturating_add(N);
        Ok(*taken)
    }

    pub(crate) fn take_u8(&mut self) -> Result<u8, DecodeError> {
        self.take().map(|[byte]| byte)
    }

    pub(crate) fn take_u16(&mut self) -> Result<u16, DecodeError> {
        self.take().map(u16::from_be_bytes)
    }

    pub(crate) fn take_u24(&mut self) -> Result<u32, DecodeError> {
        self.take()
            .map(|[high, middle, low]| u32::from_be_bytes([0, high, middle, low]))
    }

    pub(crate) fn take_u32(&mut self) -> Result<u32, DecodeError> {
        self.take().map(u32::from_be_bytes)
    }

    /// An error at the next byte.
    pub(crate) fn fault(&self, fault: DecodeFault) -> DecodeError {
        DecodeError { at: self.at, fault }
    }

    /// Check that no byte is left.
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        match self.bytes.len() {
            0 => Ok(()),
            left => Err(self.fault(DecodeFault::BytesLeft { count: left as u8 })),
        }
    }
}
