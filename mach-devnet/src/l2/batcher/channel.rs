//! Batches as a compressed channel, cut into frames.

use std::io::Write;

use alloy_primitives::{Bytes, FixedBytes};
use alloy_rlp::Encodable;
use brotli::enc::BrotliEncoderParams;
use flate2::{Compression as ZlibLevel, write::ZlibEncoder};

use super::Compression;

/// Version byte in front of a Brotli stream; a zlib stream has none.
///
/// Source: <https://specs.optimism.io/protocol/fjord/derivation.html#brotli-channel-compression>.
const BROTLI_VERSION: u8 = 1;

/// Bytes of a frame beside its data: id, number, length, last.
pub(super) const FRAME_OVERHEAD: usize = 16 + 2 + 4 + 1;

/// Batches, RLP-encoded one after the other and compressed.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html#channel-format>.
pub(super) fn compress(batches: &[Vec<u8>], compression: Compression) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    for batch in batches {
        Bytes::copy_from_slice(batch).encode(&mut plain);
    }
    match compression {
        Compression::Zlib => {
            let mut encoder = ZlibEncoder::new(Vec::new(), ZlibLevel::best());
            encoder.write_all(&plain)?;
            encoder.finish()
        }
        Compression::Brotli => {
            let mut out = vec![BROTLI_VERSION];
            let params = BrotliEncoderParams {
                quality: 9,
                lgwin: 22,
                ..Default::default()
            };
            brotli::BrotliCompress(&mut plain.as_slice(), &mut out, &params)?;
            Ok(out)
        }
    }
}

/// Frames of a channel with at most `max_frame` bytes each.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html#frame-format>.
pub(super) fn frames(id: FixedBytes<16>, channel: &[u8], max_frame: usize) -> Vec<Vec<u8>> {
    let size = max_frame.saturating_sub(FRAME_OVERHEAD).max(1);
    let count = channel.len().div_ceil(size);
    channel
        .chunks(size)
        .zip(0u16..)
        .map(|(data, number)| {
            let is_last = usize::from(number) + 1 == count;
            let mut frame = Vec::with_capacity(data.len() + FRAME_OVERHEAD);
            frame.extend(id);
            frame.extend(number.to_be_bytes());
            frame.extend((data.len() as u32).to_be_bytes());
            frame.extend(data);
            frame.push(is_last.into());
            frame
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_and_the_last_one_says_so() {
        let id = FixedBytes::repeat_byte(7);
        let made = frames(id, b"abcde", FRAME_OVERHEAD + 2);
        let expected = [
            [&[7; 16][..], &[0, 0, 0, 0, 0, 2], b"ab", &[0]].concat(),
            [&[7; 16][..], &[0, 1, 0, 0, 0, 2], b"cd", &[0]].concat(),
            [&[7; 16][..], &[0, 2, 0, 0, 0, 1], b"e", &[1]].concat(),
        ];
        assert_eq!(made, expected);
    }
}
