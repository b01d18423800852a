//! Frames: the pieces of channels that batcher transactions and blobs carry.

use alloy_primitives::{Bytes, FixedBytes};

/// Longest data of one frame, in bytes.
pub const MAX_FRAME_BYTES: usize = 1_000_000;

/// Bytes of a frame besides its data: channel, number, length and the mark of the last one.
const OVERHEAD: usize = 16 + 2 + 4 + 1;

/// Names a channel; opaque, and chosen by the batcher.
pub type ChannelId = FixedBytes<16>;

/// A piece of a channel.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html#frame-format>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The channel that the piece belongs to.
    pub channel: ChannelId,
    /// Position in the channel, from 0.
    pub number: u16,
    /// At most [`MAX_FRAME_BYTES`] of the channel's data.
    pub data: Bytes,
    /// Whether the channel ends with this piece.
    pub is_last: bool,
}

impl Frame {
    /// All frames of one batcher transaction or blob: a zero byte, then at least one frame.
    ///
    /// Errors: [`FrameError`]; then none of the frames counts.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#batcher-transaction-format>
    pub fn parse_all(data: &Bytes) -> Result<Vec<Self>, FrameError> {
        match data.first() {
            Some(0) => {}
            Some(version) => return Err(FrameError::Version(*version)),
            None => return Err(FrameError::Empty),
        }
        let mut frames = Vec::new();
        let mut rest = data.slice(1..);
        while !rest.is_empty() {
            frames.push(Self::parse(&mut rest)?);
        }
        if frames.is_empty() {
            return Err(FrameError::Empty);
        }
        Ok(frames)
    }

    fn parse(rest: &mut Bytes) -> Result<Self, FrameError> {
        let bytes: &[u8] = rest;
        let (channel, bytes) = bytes.split_first_chunk().ok_or(FrameError::Truncated)?;
        let (number, bytes) = bytes.split_first_chunk().ok_or(FrameError::Truncated)?;
        let (length, bytes) = bytes.split_first_chunk().ok_or(FrameError::Truncated)?;
        let length = u32::from_be_bytes(*length);
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= MAX_FRAME_BYTES)
            .ok_or(FrameError::TooLong(length))?;
        let is_last = match bytes.get(length).ok_or(FrameError::Truncated)? {
            0 => false,
            1 => true,
            mark => return Err(FrameError::LastMark(*mark)),
        };
        let frame = Self {
            channel: ChannelId::new(*channel),
            number: u16::from_be_bytes(*number),
            data: rest.slice(OVERHEAD - 1..OVERHEAD - 1 + length),
            is_last,
        };
        *rest = rest.slice(OVERHEAD + length..);
        Ok(frame)
    }
}

/// Why data of the batcher holds no frames; it is ignored then, as a whole.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// There is no frame.
    #[error("there is no frame")]
    Empty,
    /// The version byte is not zero.
    #[error("version {0} of batcher data is not known")]
    Version(u8),
    /// The data ends within a frame.
    #[error("a frame ends too early")]
    Truncated,
    /// A frame says that it is longer than a frame may be.
    #[error("a frame of {0} bytes is too long")]
    TooLong(u32),
    /// The mark of the last frame is neither 0 nor 1.
    #[error("the mark of the last frame is {0}")]
    LastMark(u8),
}

#[cfg(test)]
mod tests {
    use alloy_primitives::hex;

    use super::*;

    /// The two frames of the example `frames_to_batch` of kona-protocol 0.4.5.
    const FIRST: [u8; 100] = hex!(
        "60d54f49b71978b1b09288af847b11d200000000004d1b1301f82f0f6c3734f4821cd090ef3979d71a98e7e4"
        "83b1dccdd525024c0ef16f425c7b4976a7acc0c94a0514b72c096d4dcc52f0b22dae193c70c86d0790a304a0"
        "8152c8250031d091063ea000"
    );
    const SECOND: [u8; 93] = hex!(
        "60d54f49b71978b1b09288af847b11d2000100000046b00d00005082edde7ccf05bded2004462b5e80e1c42c"
        "d08e307f5baac723b22864cc6cd01ddde84efc7c018d7ada56c2fa8e3c5bedd494c3a7a884439d5771afceca"
        "f196cb3801"
    );

    fn data(version: u8, frames: &[&[u8]]) -> Bytes {
        [&[version], &frames.concat()[..]].concat().into()
    }

    #[test]
    fn frames_of_another_implementation_are_read() {
        let frames = Frame::parse_all(&data(0, &[&FIRST, &SECOND])).unwrap();
        let channel = ChannelId::new(hex!("60d54f49b71978b1b09288af847b11d2"));
        assert_eq!(
            frames,
            [
                Frame {
                    channel,
                    number: 0,
                    data: Bytes::copy_from_slice(&FIRST[22..99]),
                    is_last: false,
                },
                Frame {
                    channel,
                    number: 1,
                    data: Bytes::copy_from_slice(&SECOND[22..92]),
                    is_last: true,
                },
            ]
        );
    }

    #[test]
    fn one_broken_frame_spoils_all() {
        let mut mark = SECOND;
        mark[92] = 2;
        let mut long = SECOND;
        long[18..22].copy_from_slice(&1_000_001_u32.to_be_bytes());
        for (bytes, error) in [
            (data(0, &[]), FrameError::Empty),
            (Bytes::new(), FrameError::Empty),
            (data(1, &[&FIRST]), FrameError::Version(1)),
            (data(0, &[&FIRST, &SECOND[..92]]), FrameError::Truncated),
            (data(0, &[&FIRST, &[0]]), FrameError::Truncated),
            (data(0, &[&FIRST, &mark]), FrameError::LastMark(2)),
            (data(0, &[&FIRST, &long]), FrameError::TooLong(1_000_001)),
        ] {
            assert_eq!(Frame::parse_all(&bytes), Err(error));
        }
    }
}
