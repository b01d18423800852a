//! From the data of L1 blocks to batches.

use std::collections::VecDeque;

use alloy_op_hardforks::OpHardfork;
use alloy_primitives::{BlockNumber, Bytes};

use super::{
    Batch, BatchError, Frame, SpanContext,
    batch::BatchReader,
    channel_assembler::{ChannelAssembler, in_order},
    channel_bank::{BankRules, ChannelBank},
    decompress::{ChannelRules, decompress},
};
use crate::op::Rollup;

/// Limits before Fjord and from Fjord on: bytes of a decompressed channel, bytes of all channels.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html#protocol-parameters>
const BEDROCK: (usize, u64) = (10_000_000, 100_000_000);
const FJORD: (usize, u64) = (100_000_000, 1_000_000_000);

/// Channels under assembly.
#[derive(Clone, Debug)]
enum Channels {
    Bank(ChannelBank),
    /// From Holocene on.
    Assembler(ChannelAssembler),
}

/// Rules at the L1 block whose data is read.
#[derive(Clone, Copy, Debug)]
struct Rules {
    number: BlockNumber,
    timeout: u64,
    channel: ChannelRules,
    bank: u64,
    is_canyon: bool,
    is_delta: bool,
    is_holocene: bool,
}

impl Rules {
    fn new(rollup: &Rollup, number: BlockNumber, timestamp: u64) -> Self {
        let is_active = |fork| rollup.is_active(fork, timestamp);
        let is_fjord = is_active(OpHardfork::Fjord);
        let (max_bytes, bank) = if is_fjord { FJORD } else { BEDROCK };
        Self {
            number,
            timeout: rollup.channel_timeout(timestamp),
            channel: ChannelRules {
                max_bytes,
                brotli: is_fjord,
            },
            bank,
            is_canyon: is_active(OpHardfork::Canyon),
            is_delta: rollup.config.is_delta_active(timestamp),
            is_holocene: is_active(OpHardfork::Holocene),
        }
    }
}

/// Batches of the L1 blocks so far, in the order in which they become complete.
#[derive(Clone, Debug)]
pub(super) struct BatchStream {
    context: SpanContext,
    rules: Rules,
    /// Data of the L1 block that has not been read.
    data: VecDeque<Bytes>,
    frames: VecDeque<Frame>,
    channels: Channels,
    batches: Option<BatchReader>,
    /// Whether a disputed batch was skipped in this L1 block.
    has_skipped: bool,
    /// Whether a batch is too large to be read, so that nothing is known of what follows.
    has_unread: bool,
}

impl BatchStream {
    /// A stream without data, at an L1 block.
    pub(super) fn new(rollup: &Rollup, number: BlockNumber, timestamp: u64) -> Self {
        let rules = Rules::new(rollup, number, timestamp);
        Self {
            context: SpanContext {
                chain_id: rollup.config.l2_chain_id,
                genesis_timestamp: rollup.config.genesis.l2_time,
                block_time: rollup.config.block_time,
            },
            channels: Channels::new(rules.is_holocene),
            rules,
            data: VecDeque::new(),
            frames: VecDeque::new(),
            batches: None,
            has_skipped: false,
            has_unread: false,
        }
    }

    /// Moves on to the next L1 block, whose data is `data`. What came before has been read.
    pub(super) fn advance(
        &mut self,
        rollup: &Rollup,
        number: BlockNumber,
        timestamp: u64,
        data: Vec<Bytes>,
    ) {
        let rules = Rules::new(rollup, number, timestamp);
        if rules.is_holocene != self.rules.is_holocene {
            // Channels that are not complete when Holocene activates are lost.
            self.channels = Channels::new(rules.is_holocene);
        }
        self.rules = rules;
        self.data = data.into();
        self.has_skipped = false;
    }

    /// Whether since the last time, in this L1 block, a batch was skipped of which not all implementations
    /// think alike.
    pub(super) fn take_skipped(&mut self) -> bool {
        std::mem::take(&mut self.has_skipped)
    }

    /// Whether a batch came that is not read, and may count.
    pub(super) const fn has_unread(&self) -> bool {
        self.has_unread
    }

    /// Reads what is left of the L1 block, none of whose batches counts.
    pub(super) fn skip(&mut self) {
        while self.next().is_some() {}
        self.has_unread = false;
    }

    /// Gives up the channel whose batches are being read.
    pub(super) fn flush(&mut self) {
        self.batches = None;
    }

    /// The next batch, or `None` if the next L1 block is needed.
    pub(super) fn next(&mut self) -> Option<Batch> {
        loop {
            match self
                .batches
                .as_mut()
                .and_then(|batches| batches.next(&self.context))
            {
                // A span in an L1 block before Delta does not count.
                Some(Ok(Batch::Span(_))) if !self.rules.is_delta => {}
                Some(Ok(batch)) => return Some(batch),
                // Before Delta it does not count whatever is in it, and with nothing behind it a span
                // that makes no sense counts for nobody.
                Some(Err(error)) if error.is_disputed() => {
                    let is_last = (self.batches.as_ref()).is_none_or(BatchReader::is_at_end);
                    self.has_skipped |= self.rules.is_delta && !(error.is_whole() && is_last);
                }
                // A broken batch ends its channel.
                Some(Err(error)) => {
                    self.has_unread |= error == BatchError::TooManyTransactions;
                    self.batches = None;
                }
                None => {
                    let channel = self.next_channel()?;
                    self.batches = decompress(&channel, self.rules.channel).map(BatchReader::new);
                }
            }
        }
    }

    fn next_channel(&mut self) -> Option<Vec<u8>> {
        let rules = self.rules;
        loop {
            if let Channels::Bank(bank) = &mut self.channels
                && let Some(channel) = bank.read(rules.number, &rules.bank())
            {
                return Some(channel);
            }
            let frame = self.next_frame()?;
            match &mut self.channels {
                Channels::Bank(bank) => bank.insert(frame, rules.number, &rules.bank()),
                Channels::Assembler(assembler) => {
                    let capacity = rules.channel.max_bytes as u64;
                    let channel = assembler.insert(frame, rules.number, rules.timeout, capacity);
                    if channel.is_some() {
                        return channel;
                    }
                }
            }
        }
    }

    fn next_frame(&mut self) -> Option<Frame> {
        while self.frames.is_empty() {
            let data = self.data.pop_front()?;
            let frames = Frame::parse_all(&data).unwrap_or_default();
            self.frames = if self.rules.is_holocene {
                in_order(frames).into()
            } else {
                frames.into()
            };
        }
        self.frames.pop_front()
    }
}

impl Channels {
    fn new(is_holocene: bool) -> Self {
        if is_holocene {
            Self::Assembler(ChannelAssembler::default())
        } else {
            Self::Bank(ChannelBank::default())
        }
    }
}

impl Rules {
    const fn bank(&self) -> BankRules {
        BankRules {
            timeout: self.timeout,
            capacity: self.bank,
            any: self.is_canyon,
        }
    }
}
