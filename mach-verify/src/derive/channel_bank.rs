//! Channels before Holocene: many at a time, frames in any order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use alloy_primitives::BlockNumber;

use super::{ChannelId, Frame, channel::Channel};

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
/// A frame costs the same however many there are: a gigabyte of small ones is some millions.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html#channel-bank>
#[derive(Clone, Debug, Default)]
pub(super) struct ChannelBank {
    channels: BTreeMap<u64, Channel>,
    /// Where in that order a channel is.
    places: HashMap<ChannelId, u64>,
    /// Places of those that are complete.
    complete: BTreeSet<u64>,
    /// Place of the next one.
    next: u64,
    /// Bytes of all channels together.
    size: u64,
}

impl ChannelBank {
    /// Takes a frame that the L1 block `now` carries.
    pub(super) fn insert(&mut self, frame: Frame, now: BlockNumber, rules: &BankRules) {
        let place = *self.places.entry(frame.channel).or_insert(self.next);
        if place == self.next {
            self.next += 1;
        }
        let channel = self.channels.entry(place);
        let channel = channel.or_insert_with(|| Channel::new(frame.channel, now));
        if channel.is_timed_out(now, rules.timeout) {
            return;
        }
        self.size -= channel.size();
        channel.insert(frame);
        self.size += channel.size();
        if channel.is_complete() {
            self.complete.insert(place);
        }
        // The oldest make room.
        while self.size > rules.capacity && self.remove_first(|_| true).is_some() {}
    }

    /// Removes the next complete channel and gives its data.
    pub(super) fn read(&mut self, now: BlockNumber, rules: &BankRules) -> Option<Vec<u8>> {
        // The first to be opened are the first to be timed out.
        let is_over = |channel: &Channel| channel.is_timed_out(now, rules.timeout);
        while self.remove_first(is_over).is_some() {}
        let channel = if rules.any {
            let place = *self.complete.first()?;
            self.remove(place)
        } else {
            self.remove_first(Channel::is_complete)
        };
        channel.map(Channel::into_data)
    }

    /// Removes the oldest channel, if it is such a one.
    fn remove_first(&mut self, which: impl FnOnce(&Channel) -> bool) -> Option<Channel> {
        let (&place, channel) = self.channels.first_key_value()?;
        which(channel).then_some(())?;
        self.remove(place)
    }

    fn remove(&mut self, place: u64) -> Option<Channel> {
        let channel = self.channels.remove(&place)?;
        self.places.remove(&channel.id());
        self.complete.remove(&place);
        self.size -= channel.size();
        Some(channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let ids = bank.channels.values().map(Channel::id).collect::<Vec<_>>();
        assert_eq!(ids, [2, 3, 4, 5].map(ChannelId::repeat_byte));
    }

    /// What is kept beside the channels is that of the channels, whatever comes.
    #[test]
    fn what_is_counted_is_what_is_there() {
        for any in [true, false] {
            let rules = BankRules { any, ..RULES };
            let mut bank = ChannelBank::default();
            let mut read = 0;
            for step in 0..2_000_u64 {
                // Seven channels with frames in some order, twice and behind the end.
                let number = (step * 31 % 3) as u16;
                let frame = frame((step * 17 % 7) as u8, number, step % 5 == 0);
                bank.insert(frame, 100 + step / 13, &rules);
                if step % 3 == 0 {
                    read += u64::from(bank.read(100 + step / 13, &rules).is_some());
                }
                let sizes = bank.channels.values().map(Channel::size);
                assert_eq!(bank.size, sizes.sum::<u64>());
                assert!(bank.size <= rules.capacity);
                let places = bank.channels.iter().map(|(place, it)| (it.id(), *place));
                assert_eq!(bank.places, places.collect());
                let complete = bank.channels.iter().filter(|(_, it)| it.is_complete());
                assert!(complete.map(|(place, _)| place).eq(&bank.complete));
            }
            assert!(read > 10, "{read}");
        }
    }
}
