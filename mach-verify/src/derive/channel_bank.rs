//! Channels before Holocene: many at a time, frames in any order.

use std::collections::VecDeque;

use alloy_primitives::BlockNumber;

use super::{Frame, channel::Channel};

/// What limits the channels that are held.
#[derive(Clone, Copy, Debug)]
pub(super) struct BankRules {
    /// L1 blocks that a channel may take.
    pub(super) timeout: u64,
    /// Bytes of all channels together.
    pub(super) capacity: u64,
    /// Whether any complete channel is read, or only the oldest (before Canyon).
    pub(super) any: bool,
}

/// Channels in the order in which they were opened.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html#channel-bank>
#[derive(Clone, Debug, Default)]
pub(super) struct ChannelBank {
    channels: VecDeque<Channel>,
}

impl ChannelBank {
    /// Takes a frame that the L1 block `now` carries.
    pub(super) fn insert(&mut self, frame: Frame, now: BlockNumber, rules: &BankRules) {
        let position = self
            .channels
            .iter()
            .position(|channel| channel.id() == frame.channel);
        let position = position.unwrap_or_else(|| {
            self.channels.push_back(Channel::new(frame.channel, now));
            self.channels.len() - 1
        });
        if let Some(channel) = self.channels.get_mut(position)
            && !channel.is_timed_out(now, rules.timeout)
        {
            channel.insert(frame);
            self.prune(rules.capacity);
        }
    }

    /// Removes the next complete channel and gives its data.
    pub(super) fn read(&mut self, now: BlockNumber, rules: &BankRules) -> Option<Vec<u8>> {
        while let Some(first) = self.channels.front()
            && first.is_timed_out(now, rules.timeout)
        {
            self.channels.pop_front();
        }
        let readable = if rules.any { self.channels.len() } else { 1 };
        let position =
            self.channels.iter().take(readable).position(|channel| {
                channel.is_complete() && !channel.is_timed_out(now, rules.timeout)
            });
        self.channels.remove(position?).map(Channel::into_data)
    }

    /// Drops the oldest channels until the rest fits.
    fn prune(&mut self, capacity: u64) {
        let mut size = self.channels.iter().map(Channel::size).sum::<u64>();
        while size > capacity
            && let Some(dropped) = self.channels.pop_front()
        {
            size -= dropped.size();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::derive::ChannelId;

    const RULES: BankRules = BankRules {
        timeout: 10,
        capacity: 1_000,
        any: true,
    };

    fn frame(channel: u8, number: u16, is_last: bool) -> Frame {
        Frame {
            channel: ChannelId::repeat_byte(channel),
            number,
            data: vec![channel, number as u8].into(),
            is_last,
        }
    }

    /// Interleaved channels: which is read first is what Canyon changed.
    #[test]
    fn before_canyon_the_oldest_channel_comes_first() {
        let fill = || {
            let mut bank = ChannelBank::default();
            bank.insert(frame(1, 0, false), 100, &RULES);
            bank.insert(frame(2, 0, true), 101, &RULES);
            bank
        };
        let oldest = BankRules {
            any: false,
            ..RULES
        };
        let mut bank = fill();
        assert_eq!(bank.read(101, &oldest), None);
        bank.insert(frame(1, 1, true), 102, &oldest);
        assert_eq!(bank.read(102, &oldest), Some(vec![1, 0, 1, 1]));
        assert_eq!(bank.read(102, &oldest), Some(vec![2, 0]));

        let mut bank = fill();
        assert_eq!(bank.read(101, &RULES), Some(vec![2, 0]));
    }

    #[test]
    fn a_channel_that_took_too_long_is_lost() {
        let mut bank = ChannelBank::default();
        bank.insert(frame(1, 0, false), 100, &RULES);
        bank.insert(frame(1, 1, true), 111, &RULES);
        assert_eq!(bank.read(111, &RULES), None);
        assert!(bank.channels.is_empty());
        // Its name may be used again after that.
        bank.insert(frame(1, 0, true), 111, &RULES);
        assert_eq!(bank.read(111, &RULES), Some(vec![1, 0]));
    }

    #[test]
    fn the_oldest_channels_make_room() {
        let mut bank = ChannelBank::default();
        // 202 bytes each: the fifth frame is one too many.
        for channel in 1..=5 {
            bank.insert(frame(channel, 0, false), 100, &RULES);
        }
        let ids = bank.channels.iter().map(Channel::id).collect::<Vec<_>>();
        assert_eq!(ids, [2, 3, 4, 5].map(ChannelId::repeat_byte));
    }
}
