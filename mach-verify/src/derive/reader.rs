//! Bytes of a batch, read from the front.

use super::BatchError;

/// What is left of a batch's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Number of bytes that are left.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// What is left.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], BatchError> {
        self.0.split_off(..count).ok_or(BatchError::Truncated)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], BatchError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(BatchError::Truncated)?;
        self.0 = rest;
        Ok(*array)
    }

    /// An unsigned base-128 varint of at most 64 bits, least significant group first.
    ///
    /// Longer forms of a small number are taken as they are by the reference implementation, and
    /// so they are here.
    ///
    /// Source: <https://protobuf.dev/programming-guides/encoding/#varints>
    pub(super) fn varint(&mut self) -> Result<u64, BatchError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let group = u64::from(byte & 0x7f);
            if shift == 63 && group > 1 {
                break;
            }
            value |= group << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(BatchError::Varint)
    }

    /// A bitlist of `count` bits: a big-endian number, whose bit 0 is the first.
    pub(super) fn bits(&mut self, count: usize) -> Result<Bits, BatchError> {
        let bytes = self.take(count.div_ceil(8))?;
        let unused = bytes.len() * 8 - count;
        if bytes
            .first()
            .is_some_and(|first| first.leading_zeros() < unused as u32)
        {
            return Err(BatchError::Bitlist);
        }
        Ok(Bits(bytes.to_vec()))
    }
}

/// A bitlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bits(Vec<u8>);

impl Bits {
    /// The bit at `index`; the ones past the end are zero.
    pub(super) fn get(&self, index: usize) -> bool {
        let byte = self.0.iter().rev().nth(index / 8);
        byte.is_some_and(|byte| byte >> (index % 8) & 1 == 1)
    }

    /// Number of ones.
    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|byte| byte.count_ones() as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_those_of_protobuf() {
        // The examples of the protobuf guide and of Go's encoding/binary.
        for (bytes, value) in [
            (&[0x01][..], 1),
            (&[0x96, 0x01], 150),
            (&[0x80, 0x02], 256),
            (&[0x80, 0x00], 0),
            (
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
                u64::MAX,
            ),
        ] {
            assert_eq!(Reader::new(bytes).varint().unwrap(), value);
        }
        let too_long = [&[0x80; 9][..], &[0x02]].concat();
        assert_eq!(Reader::new(&too_long).varint(), Err(BatchError::Varint));
        assert_eq!(Reader::new(&[0x80]).varint(), Err(BatchError::Truncated));
    }

    #[test]
    fn a_bitlist_counts_from_its_last_bit() {
        let bits = Reader::new(&[0b01, 0b1000_0010]).bits(9).unwrap();
        let ones = (0..16).filter(|&index| bits.get(index)).collect::<Vec<_>>();
        assert_eq!(ones, [1, 7, 8]);
        assert_eq!(bits.count(), 3);
        // The tenth bit is none of nine.
        assert_eq!(Reader::new(&[0b10, 0]).bits(9), Err(BatchError::Bitlist));
        assert_eq!(Reader::new(&[0b10]).bits(9), Err(BatchError::Truncated));
    }
}
