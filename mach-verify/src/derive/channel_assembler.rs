//! The channel from Holocene on: one at a time, frames in order.

use alloy_primitives::BlockNumber;

use super::{Frame, channel::Channel};

/// Keeps the frames of one batcher transaction that are in order.
///
/// Source: <https://specs.optimism.io/protocol/holocene/derivation.html#frame-queue>
pub(super) fn in_order(frames: Vec<Frame>) -> Vec<Frame> {
    let mut kept: Vec<Frame> = Vec::with_capacity(frames.len());
    for frame in frames {
        // A channel that is not finished gives way to the first frame of another.
        while let Some(last) = kept.last()
            && last.channel != frame.channel
            && !last.is_last
            && frame.number == 0
        {
            kept.pop();
        }
        let is_next = match kept.last() {
            None => true,
            Some(last) if last.channel == frame.channel => {
                // Numbers wrap, as they do in op-node: a frame 0 begins the channel again.
                !last.is_last && last.number.wrapping_add(1) == frame.number
            }
            Some(_) => frame.number == 0,
        };
        if is_next {
            kept.push(frame);
        }
    }
    kept
}

/// The one channel that is being assembled.
///
/// Source: <https://specs.optimism.io/protocol/holocene/derivation.html#channel-bank>
#[derive(Clone, Debug, Default)]
pub(super) struct ChannelAssembler {
    channel: Option<Channel>,
}

impl ChannelAssembler {
    /// Takes a frame that the L1 block `now` carries, and gives the data of the channel that it
    /// completes.
    ///
    /// A channel may take `timeout` L1 blocks and `capacity` bytes.
    pub(super) fn insert(
        &mut self,
        frame: Frame,
        now: BlockNumber,
        timeout: u64,
        capacity: u64,
    ) -> Option<Vec<u8>> {
        if self
            .channel
            .as_ref()
            .is_some_and(|channel| channel.is_timed_out(now, timeout))
        {
            self.channel = None;
        }
        if frame.number == 0 {
            self.channel = Some(Channel::new(frame.channel, now));
        }
        let mut channel = self.channel.take()?;
        if channel.id() == frame.channel && channel.next_number() == Some(frame.number) {
            channel.insert(frame);
            if channel.size() > capacity {
                return None;
            }
            if channel.is_complete() {
                return Some(channel.into_data());
            }
        }
        self.channel = Some(channel);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::ChannelId;

    fn frame(channel: u8, number: u16, is_last: bool) -> Frame {
        Frame {
            channel: ChannelId::repeat_byte(channel),
            number,
            data: vec![channel, number as u8].into(),
            is_last,
        }
    }

    /// op-node adds 1 to a `uint16`, so a frame 0 follows number 65535 and begins the channel again.
    #[test]
    fn frame_numbers_wrap() {
        let frames = vec![
            frame(1, u16::MAX, false),
            frame(1, 1, false),
            frame(1, 0, false),
            frame(1, 1, true),
        ];
        let kept = in_order(frames);
        let numbers = kept.iter().map(|frame| frame.number).collect::<Vec<_>>();
        assert_eq!(numbers, [u16::MAX, 0, 1]);
        let mut assembler = ChannelAssembler::default();
        let data = kept
            .into_iter()
            .find_map(|frame| assembler.insert(frame, 7, 50, 10_000));
        assert_eq!(data, Some(vec![1, 0, 1, 1]));
    }

    /// The cases of op-node's `TestPruneFrameQueue`: letters are channels, an exclamation mark
    /// ends one.
    #[test]
    fn frames_out_of_order_are_dropped() {
        let parse = |text: &str| {
            let frames = text.split_whitespace().map(|word| {
                let number = word[1..].trim_end_matches('!').parse().unwrap();
                frame(word.as_bytes()[0], number, word.ends_with('!'))
            });
            frames.collect::<Vec<_>>()
        };
        for (given, kept) in [
            ("", ""),
            ("a2", "a2"),
            ("a2!", "a2!"),
            ("a2! b0", "a2! b0"),
            ("a2! b1", "a2!"),
            ("b1 a2!", "b1"),
            ("b1 a0", "a0"),
            ("b1! a0", "b1! a0"),
            ("b1! b2", "b1!"),
            ("b1 b3", "b1"),
            ("b1 c3", "b1"),
            ("b1 c3 b2!", "b1 b2!"),
            ("c0 c1 c2 d0 c3!", "d0"),
            (
                "b1 b2! a0 c1! a1 a2! c0 c1 d0 c2! e0",
                "b1 b2! a0 a1 a2! e0",
            ),
            // Ours: what a channel leaves is compared with what it left behind.
            ("a0! b0 a0", "a0!"),
        ] {
            assert_eq!(in_order(parse(given)), parse(kept), "{given}");
        }
    }

    #[test]
    fn a_first_frame_opens_another_channel() {
        let mut assembler = ChannelAssembler::default();
        let mut insert = |frame: Frame, now| assembler.insert(frame, now, 50, 1_000);
        assert_eq!(insert(frame(1, 1, true), 100), None);
        assert_eq!(insert(frame(1, 0, false), 100), None);
        assert_eq!(insert(frame(2, 0, false), 100), None);
        // The channel that was given up takes nothing more, and neither does a gap.
        assert_eq!(insert(frame(1, 1, true), 101), None);
        assert_eq!(insert(frame(2, 2, true), 101), None);
        assert_eq!(insert(frame(2, 1, true), 150), Some(vec![2, 0, 2, 1]));
        // The same name may come again.
        assert_eq!(insert(frame(2, 0, true), 150), Some(vec![2, 0]));
    }

    #[test]
    fn a_channel_has_its_time_and_its_size() {
        let mut assembler = ChannelAssembler::default();
        assert_eq!(assembler.insert(frame(1, 0, false), 100, 50, 1_000), None);
        assert_eq!(assembler.insert(frame(1, 1, true), 151, 50, 1_000), None);
        assert_eq!(assembler.insert(frame(1, 0, false), 100, 50, 300), None);
        assert_eq!(assembler.insert(frame(1, 1, true), 100, 50, 300), None);
    }
}
