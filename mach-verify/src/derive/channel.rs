//! Channels under assembly.

use std::collections::BTreeMap;

use alloy_primitives::{BlockNumber, Bytes};

use super::{ChannelId, Frame};

/// What a frame counts besides its data when the size of a channel is limited, in bytes.
const FRAME_OVERHEAD: u64 = 200;

/// Frames of one channel until it is complete.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    id: ChannelId,
    /// L1 block of the first frame that was seen.
    opened: BlockNumber,
    frames: BTreeMap<u16, Bytes>,
    /// Number of the last frame, once it was seen.
    end: Option<u16>,
    size: u64,
}

impl Channel {
    pub(super) const fn new(id: ChannelId, opened: BlockNumber) -> Self {
        Self {
            id,
            opened,
            frames: BTreeMap::new(),
            end: None,
            size: 0,
        }
    }

    pub(super) const fn id(&self) -> ChannelId {
        self.id
    }

    /// Data and overhead of all frames, in bytes.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Whether frames of the L1 block `now` come too late.
    pub(super) const fn is_timed_out(&self, now: BlockNumber, timeout: u64) -> bool {
        self.opened.saturating_add(timeout) < now
    }

    /// Number that the next frame has if frames come in order; `None` after the last.
    pub(super) fn next_number(&self) -> Option<u16> {
        if self.end.is_some() {
            return None;
        }
        match self.frames.last_key_value() {
            Some((number, _)) => number.checked_add(1),
            None => Some(0),
        }
    }

    /// Takes a frame in any order; a frame that contradicts an earlier one is dropped.
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#loading-frames>
    pub(super) fn insert(&mut self, frame: Frame) {
        let after_end = self.end.is_some_and(|end| frame.number >= end);
        if frame.channel != self.id
            || self.frames.contains_key(&frame.number)
            || after_end
            || (frame.is_last && self.end.is_some())
        {
            return;
        }
        if frame.is_last {
            self.end = Some(frame.number);
            let beyond = self.frames.split_off(&frame.number);
            self.size -= beyond.values().map(size).sum::<u64>();
        }
        self.size += size(&frame.data);
        self.frames.insert(frame.number, frame.data);
    }

    /// Whether every frame up to the last is there.
    pub(super) fn is_complete(&self) -> bool {
        self.end
            .is_some_and(|end| self.frames.len() == usize::from(end) + 1)
    }

    /// The data of all frames, in order.
    pub(super) fn into_data(self) -> Vec<u8> {
        self.frames.into_values().flatten().collect()
    }
}

fn size(data: &Bytes) -> u64 {
    data.len() as u64 + FRAME_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ChannelId = ChannelId::repeat_byte(7);

    fn frame(number: u16, is_last: bool) -> Frame {
        Frame {
            channel: ID,
            number,
            data: vec![number as u8].into(),
            is_last,
        }
    }

    /// The cases of op-node's `TestFrameValidity` and of the specification.
    #[test]
    fn frames_arrive_in_any_order() {
        let mut channel = Channel::new(ID, 1);
        for (number, is_last) in [(2, true), (0, false), (0, false), (1, false)] {
            assert!(!channel.is_complete());
            channel.insert(frame(number, is_last));
        }
        assert!(channel.is_complete());
        assert_eq!(channel.size(), 3 * 201);
        assert_eq!(channel.into_data(), [0, 1, 2]);
    }

    #[test]
    fn the_last_frame_drops_what_lies_beyond() {
        let mut channel = Channel::new(ID, 1);
        for (number, is_last) in [(5, false), (0, false), (9, false), (1, true)] {
            channel.insert(frame(number, is_last));
        }
        assert!(channel.is_complete());
        assert_eq!(channel.size(), 2 * 201);
        // Neither another end nor anything after the end is taken.
        channel.insert(frame(0, true));
        channel.insert(frame(3, false));
        assert_eq!(channel.into_data(), [0, 1]);
    }

    #[test]
    fn a_frame_of_another_channel_is_not_taken() {
        let mut channel = Channel::new(ChannelId::ZERO, 1);
        channel.insert(frame(0, true));
        assert!(!channel.is_complete());
    }

    #[test]
    fn a_channel_lives_for_its_timeout() {
        let channel = Channel::new(ID, 100);
        assert!(!channel.is_timed_out(150, 50));
        assert!(channel.is_timed_out(151, 50));
    }
}
