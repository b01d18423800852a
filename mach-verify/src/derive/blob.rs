//! The batcher's bytes in a blob.

use alloy_eips::eip4844::Blob;
use alloy_primitives::Bytes;

/// Most bytes that a blob carries: 127 for every 4 field elements, less version and length.
pub const MAX_BLOB_DATA_BYTES: usize = 1024 * 127 - 4;

/// Decodes what the batcher put into a blob.
///
/// Every field element holds 31 bytes in its low part and 6 bits in its top byte; the 24 bits of 4
/// elements are 3 bytes more. The first four bytes are the version, 0, and the length.
///
/// Errors: [`BlobError`]; then the blob is ignored.
///
/// Source: <https://specs.optimism.io/protocol/ecotone/derivation.html#blob-encoding>
pub fn decode_blob(blob: &Blob) -> Result<Bytes, BlobError> {
    let mut data = Vec::with_capacity(MAX_BLOB_DATA_BYTES + 4);
    for (index, round) in blob.chunks_exact(4 * 32).enumerate() {
        let mut tops = [0; 4];
        let mut extra = [0; 3];
        for (element, (chunk, top)) in round.chunks_exact(32).zip(&mut tops).enumerate() {
            let Some((first, low)) = chunk.split_first() else {
                continue;
            };
            if first & 0b1100_0000 != 0 {
                return Err(BlobError::FieldElement(index * 4 + element));
            }
            *top = *first;
            data.extend_from_slice(low);
            if let Some(extra) = extra.get_mut(element) {
                // The byte that follows these 31 in the data; its value is known after the fourth.
                *extra = data.len();
                data.push(0);
            }
        }
        let [a, b, c, d] = tops;
        let values = [
            a | (b & 0b0011_0000) << 2,
            (b & 0b0000_1111) | (d & 0b0000_1111) << 4,
            c | (d & 0b0011_0000) << 2,
        ];
        for (position, value) in extra.into_iter().zip(values) {
            if let Some(byte) = data.get_mut(position) {
                *byte = value;
            }
        }
    }
    let Some(([version, length @ ..], _)) = data.split_first_chunk::<4>() else {
        return Err(BlobError::Length(0));
    };
    if *version != 0 {
        return Err(BlobError::Version(*version));
    }
    let [high, middle, low] = *length;
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    let mut data = Bytes::from(data).slice(4..);
    if length > data.len() {
        return Err(BlobError::Length(length));
    }
    if data.split_off(length).iter().any(|byte| *byte != 0) {
        return Err(BlobError::TrailingData);
    }
    Ok(data)
}

/// Why a blob is not one of the batcher's.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// One of the two top bits of a field element is set.
    #[error("field element {0} is too large")]
    FieldElement(usize),
    /// The version is not zero.
    #[error("version {0} of blob data is not known")]
    Version(u8),
    /// The length is larger than a blob.
    #[error("a length of {0} bytes does not fit into a blob")]
    Length(usize),
    /// There is something behind the end of the data.
    #[error("something stands behind the end of the data")]
    TrailingData,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(start: &[u8]) -> Box<Blob> {
        let mut blob = Box::<Blob>::default();
        blob[..start.len()].copy_from_slice(start);
        blob
    }

    /// `TestDecodeTestVectors` and `TestEncodeTestVectors` of op-service/eth/blob_test.go.
    #[test]
    fn the_vectors_of_op_node_decode() {
        type Case<'a> = (&'a [u8], Result<Vec<u8>, BlobError>);
        let cases: [Case<'_>; 8] = [
            (b"", Ok(vec![])),
            (b"\x00\x00\x00\x00\x01", Ok(vec![0])),
            (b"\x00\x00\x01\xFB\xFC", Ok(vec![0; 130_044])),
            (b"\x00\x00\x01\xFB\xFD", Err(BlobError::Length(130_045))),
            (
                b"\x00\x00\x00\x00\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff",
                Ok([vec![0; 9], vec![0xff]].concat()),
            ),
            (
                &[&[0, 0, 0, 0, 0x1b][..], &[0xff; 27]].concat(),
                Ok(vec![0xff; 27]),
            ),
            (
                &[&[0x3f, 0, 0, 0, 0x20][..], &[0xff; 27], &[0x30], &[0xff; 4]].concat(),
                Ok(vec![0xff; 32]),
            ),
            (
                &[&[0x3f, 0, 0, 0, 0x1c][..], &[0xff; 27], &[0x30]].concat(),
                Ok(vec![0xff; 28]),
            ),
        ];
        for (start, expected) in cases {
            let decoded = decode_blob(&blob(start)).map(Vec::from);
            assert_eq!(decoded, expected, "{start:x?}");
        }
    }

    /// `TestInvalidBlobDecoding` and `TestExtraneousData` of the same file.
    #[test]
    fn whatever_could_be_encoded_otherwise_is_refused() {
        for bit in [0b1000_0000, 0b0100_0000] {
            let mut changed = blob(&[]);
            changed[32] = bit;
            assert_eq!(decode_blob(&changed), Err(BlobError::FieldElement(1)));
        }
        assert_eq!(decode_blob(&blob(&[0, 1])), Err(BlobError::Version(1)));
        assert_eq!(
            decode_blob(&blob(&[0, 0, 0xff])),
            Err(BlobError::Length(0xff_0000))
        );
        for start in [&[0x30, 0, 0, 0, 0], &[0x01, 0, 0, 0, 0]] {
            assert_eq!(decode_blob(&blob(start)), Err(BlobError::TrailingData));
        }
        for position in (5..128).chain((128..131_072).step_by(7_001)) {
            let mut changed = blob(&[]);
            changed[position] = 1;
            assert_eq!(decode_blob(&changed), Err(BlobError::TrailingData));
        }
    }

    /// The specification's encoder, on data in which every byte counts.
    #[test]
    fn bytes_come_back_in_their_order() {
        let payload = (0..MAX_BLOB_DATA_BYTES).map(|byte| (byte * 31 % 251) as u8);
        let payload = payload.collect::<Vec<_>>();
        let length = (payload.len() as u32).to_be_bytes();
        let data = [&[0], &length[1..], &payload].concat();
        let mut encoded = Vec::new();
        for part in data.chunks(127) {
            let (x, y, z) = (part[31], part[63], part[95]);
            let tops = [
                x & 0x3f,
                (y & 0x0f) | ((x & 0xc0) >> 2),
                z & 0x3f,
                ((z & 0xc0) >> 2) | ((y & 0xf0) >> 4),
            ];
            for (element, top) in tops.into_iter().enumerate() {
                encoded.push(top);
                encoded.extend_from_slice(&part[element * 32..element * 32 + 31]);
            }
        }
        assert_eq!(decode_blob(&blob(&encoded)).unwrap(), payload);
    }
}
