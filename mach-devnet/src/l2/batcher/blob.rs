//! Data as a blob.

use alloy_eips::eip4844::{Blob, FIELD_ELEMENTS_PER_BLOB};

/// Most bytes that one blob carries.
///
/// Source: <https://specs.optimism.io/protocol/ecotone/derivation.html#blob-encoding>.
pub(super) const MAX_BLOB_DATA: usize = (4 * 31 + 3) * 1024 - 4;

/// Version of the encoding.
const VERSION: u8 = 0;

/// `data` in field elements, four at a time: 31 bytes in each, and three bytes more in the six bits
/// that are left at the top of each. `None` if it is too long.
///
/// Source: <https://specs.optimism.io/protocol/ecotone/derivation.html#blob-encoding>.
pub(super) fn encode(data: &[u8]) -> Option<Box<Blob>> {
    if data.len() > MAX_BLOB_DATA {
        return None;
    }
    // Below 2^24, since it is at most 130,044.
    let [_, a, b, c] = (data.len() as u32).to_be_bytes();
    let mut bytes = [VERSION, a, b, c].into_iter().chain(data.iter().copied());
    let mut next = || bytes.next().unwrap_or_default();
    let mut blob = Box::new(Blob::ZERO);
    let mut elements = blob.chunks_exact_mut(32);
    for _ in 0..FIELD_ELEMENTS_PER_BLOB / 4 {
        // Elements and the bytes between them, in the order of the data.
        let mut parts = [[0u8; 31]; 4];
        let mut between = [0u8; 3];
        for (index, part) in parts.iter_mut().enumerate() {
            part.fill_with(&mut next);
            if let Some(byte) = between.get_mut(index) {
                *byte = next();
            }
        }
        let [x, y, z] = between;
        let tops = [
            x & 0x3f,
            (y & 0x0f) | ((x & 0xc0) >> 2),
            z & 0x3f,
            ((z & 0xc0) >> 2) | ((y & 0xf0) >> 4),
        ];
        for (top, part) in tops.into_iter().zip(parts) {
            if let Some((first, rest)) = elements.next().and_then(<[u8]>::split_first_mut) {
                *first = top;
                rest.copy_from_slice(&part);
            }
        }
    }
    Some(blob)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_data_stands_behind_its_length() {
        let blob = encode(&[0xff; 29]).unwrap();
        assert_eq!(blob[..5], [0x3f, 0, 0, 0, 29]);
        assert_eq!(blob[5..32], [0xff; 27]);
        // One byte of 0xff lies between the elements: six bits in the first, two in the second.
        assert_eq!(blob[32..34], [0x30, 0xff]);
        assert!(blob[34..].iter().all(|byte| *byte == 0));
        assert!(encode(&vec![0; MAX_BLOB_DATA]).is_some());
        assert!(encode(&vec![0; MAX_BLOB_DATA + 1]).is_none());
    }
}
