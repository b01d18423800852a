//! Decompression of channels.

use std::io::Read;

use flate2::{Decompress, FlushDecompress, Status};

/// Output that is asked for at a time, in bytes: more than a window of zlib, so that what was
/// decompressed before an error is never held back.
const CHUNK: usize = 64 * 1024;

/// First 7 bits of a Brotli stream with a window larger than the format has.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc7932#section-9.1>, where they are invalid.
const LARGE_WINDOW: u8 = 0b001_0001;

/// What a channel may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChannelRules {
    /// Bytes after decompression that count; what lies beyond is cut off.
    pub(super) max_bytes: usize,
    /// Whether a channel may be compressed with Brotli (Fjord).
    pub(super) brotli: bool,
}

/// Decompresses the data of a channel, at most as far as its rules say.
///
/// A stream that breaks off gives what came before. `None` if the compression is not known.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html#channel-format>,
/// <https://specs.optimism.io/protocol/fjord/derivation.html#brotli-channel-compression>
pub(super) fn decompress(channel: &[u8], rules: ChannelRules) -> Option<Vec<u8>> {
    match channel {
        // The low half of the first byte of zlib is the method, of which 8 and 15 are reserved.
        [first, ..] if matches!(first & 0x0f, 8 | 15) => Some(zlib(channel, rules.max_bytes)),
        [1, compressed @ ..] if rules.brotli => Some(brotli(compressed, rules.max_bytes)),
        _ => None,
    }
}

fn zlib(compressed: &[u8], max_bytes: usize) -> Vec<u8> {
    let mut stream = Decompress::new(true);
    let mut output = Vec::new();
    let mut chunk = vec![0; CHUNK];
    while output.len() < max_bytes {
        let (read, written) = (stream.total_in(), stream.total_out());
        let input = usize::try_from(read)
            .ok()
            .and_then(|read| compressed.get(read..));
        let status =
            stream.decompress(input.unwrap_or_default(), &mut chunk, FlushDecompress::None);
        let new = usize::try_from(stream.total_out() - written).unwrap_or_default();
        output.extend_from_slice(chunk.get(..new).unwrap_or_default());
        let stands_still = new == 0 && stream.total_in() == read;
        if stands_still || !matches!(status, Ok(Status::Ok | Status::BufError)) {
            break;
        }
    }
    output.truncate(max_bytes);
    output
}

fn brotli(compressed: &[u8], max_bytes: usize) -> Vec<u8> {
    let mut output = Vec::new();
    // The decoder here takes them, the format and op-node do not.
    if compressed
        .first()
        .is_some_and(|first| first & 0x7f == LARGE_WINDOW)
    {
        return output;
    }
    let stream = brotli_decompressor::Decompressor::new(compressed, CHUNK);
    // An error ends the stream; what was read before it stays.
    let _ = stream.take(max_bytes as u64).read_to_end(&mut output);
    output
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use alloy_primitives::hex;
    use flate2::{Compression, write::ZlibEncoder};

    use super::*;

    const RULES: ChannelRules = ChannelRules {
        max_bytes: 1_000_000,
        brotli: true,
    };

    fn compressed(data: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let bytes = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 28) as u8
        });
        bytes.take(length).collect()
    }

    /// The stream of `test_decompress_brotli` in kona-protocol 0.4.5.
    #[test]
    fn brotli_has_its_version_byte() {
        let channel = [&[1][..], &hex!("8b048075ed184249e9bc19675e03")].concat();
        let data = hex!("75ed184249e9bc19675e").to_vec();
        assert_eq!(decompress(&channel, RULES), Some(data));
        let before_fjord = ChannelRules {
            brotli: false,
            ..RULES
        };
        assert_eq!(decompress(&channel, before_fjord), None);
        assert_eq!(decompress(&channel[1..], RULES), None);
        assert_eq!(decompress(&[], RULES), None);
    }

    /// Stored streams as RFC 7932 has them, with a window of 2^16 bytes, and with a large one of
    /// 2^24 as Google's encoder writes it behind `0010001`.
    #[test]
    fn brotli_has_no_large_windows() {
        let data = b"twenty bytes of data";
        let length = (data.len() - 1) as u64;
        let stored =
            |head: u64, bytes: usize| [&[1], &head.to_le_bytes()[..bytes], data, &[3]].concat();
        let usual = stored(length << 4 | 1 << 20, 3);
        assert_eq!(decompress(&usual, RULES), Some(data.to_vec()));

        let large = stored(0b001_0001 | 24 << 8 | length << 17 | 1 << 33, 5);
        let mut read = Vec::new();
        let mut decoder = brotli_decompressor::Decompressor::new(&large[1..], CHUNK);
        decoder.read_to_end(&mut read).unwrap();
        assert_eq!(read, data, "the decoder takes it");
        assert_eq!(decompress(&large, RULES), Some(Vec::new()));
    }

    #[test]
    fn data_is_cut_at_the_limit() {
        let data = noise(300_000);
        let channel = compressed(&data);
        assert_eq!(decompress(&channel, RULES), Some(data.clone()));
        let rules = ChannelRules {
            max_bytes: 100_001,
            ..RULES
        };
        assert_eq!(decompress(&channel, rules).unwrap(), &data[..100_001]);
        // Bytes behind the stream do not count.
        let longer = [channel, vec![7; 100]].concat();
        assert_eq!(decompress(&longer, RULES), Some(data));
    }

    #[test]
    fn what_came_before_an_error_counts() {
        let data = noise(300_000);
        let mut channel = compressed(&data);
        let end = channel.len();
        // A wrong checksum is found when everything has been read.
        channel[end - 1] ^= 1;
        assert_eq!(decompress(&channel, RULES), Some(data.clone()));
        let half = decompress(&channel[..end / 2], RULES).unwrap();
        assert!(half.len() > 100_000 && data.starts_with(&half));
    }

    #[test]
    fn a_header_that_is_not_of_zlib_gives_nothing() {
        assert_eq!(decompress(&[0x78, 0x00, 1, 2, 3], RULES), Some(vec![]));
        assert_eq!(decompress(&[0x7f, 0x01, 1, 2, 3], RULES), Some(vec![]));
    }
}
