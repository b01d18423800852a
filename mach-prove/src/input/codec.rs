//! Byte strings with their lengths.

use alloy_primitives::Bytes;

use super::{InputError, MAX_INPUT_BYTES};

/// Bytes of a length.
const LENGTH: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Writer {
    out: Vec<u8>,
    /// Longest part, since a length has four bytes.
    longest: usize,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    pub(super) fn list(&mut self, items: &[Bytes]) {
        self.length(items.len());
        for item in items {
            self.bytes(item);
        }
    }

    /// The bytes, if they are not too many; so every length has fitted.
    pub(super) fn finish(self) -> Result<Bytes, InputError> {
        let size = self.out.len().max(self.longest);
        if size > MAX_INPUT_BYTES {
            return Err(InputError::TooLarge(size));
        }
        Ok(self.out.into())
    }

    fn length(&mut self, length: usize) {
        self.longest = self.longest.max(length);
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.raw(&length.to_le_bytes());
    }
}

/// Gives parts of the input without copying them.
#[derive(Debug)]
pub(super) struct Reader {
    rest: Bytes,
}

impl Reader {
    pub(super) fn new(input: Bytes) -> Result<Self, InputError> {
        if input.len() > MAX_INPUT_BYTES {
            return Err(InputError::TooLarge(input.len()));
        }
        Ok(Self { rest: input })
    }

    pub(super) fn byte(&mut self, part: &'static str) -> Result<u8, InputError> {
        self.array::<1>(part).map(|[byte]| byte)
    }

    pub(super) fn array<const N: usize>(
        &mut self,
        part: &'static str,
    ) -> Result<[u8; N], InputError> {
        let bytes = self.take(part, N)?;
        bytes
            .as_ref()
            .try_into()
            .map_err(|_| InputError::Truncated(part))
    }

    pub(super) fn bytes(&mut self, part: &'static str, most: usize) -> Result<Bytes, InputError> {
        let length = self.length(part)?;
        if length > most {
            return Err(InputError::TooLong(part));
        }
        self.take(part, length)
    }

    pub(super) fn list(
        &mut self,
        part: &'static str,
        most: usize,
    ) -> Result<Vec<Bytes>, InputError> {
        let count = self.length(part)?;
        // Each item has a length at least, so no more room is taken than the input has bytes.
        if count > most {
            return Err(InputError::TooLong(part));
        }
        if count > self.rest.len() / LENGTH {
            return Err(InputError::Truncated(part));
        }
        (0..count).map(|_| self.bytes(part, usize::MAX)).collect()
    }

    pub(super) fn finish(self) -> Result<(), InputError> {
        match self.rest.len() {
            0 => Ok(()),
            behind => Err(InputError::TrailingBytes(behind)),
        }
    }

    fn length(&mut self, part: &'static str) -> Result<usize, InputError> {
        let length = u32::from_le_bytes(self.array(part)?);
        usize::try_from(length).map_err(|_| InputError::TooLong(part))
    }

    fn take(&mut self, part: &'static str, length: usize) -> Result<Bytes, InputError> {
        if length > self.rest.len() {
            return Err(InputError::Truncated(part));
        }
        Ok(self.rest.split_to(length))
    }
}
