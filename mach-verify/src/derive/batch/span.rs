use alloy_primitives::{B256, BlockNumber, Bytes, FixedBytes};

use super::{BatchError, MAX_SPAN_BATCH_ELEMENTS, SpanContext, transactions};
use crate::derive::reader::{Bits, Reader};

/// Consecutive blocks.
///
/// Source: <https://specs.optimism.io/protocol/delta/span-batches.html#span-batch-format>
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanBatch {
    /// First 20 bytes of the hash of the block before the first.
    parent_check: FixedBytes<20>,
    /// First 20 bytes of the hash of the L1 origin of the last block.
    origin_check: FixedBytes<20>,
    /// Height of the L1 origin of the first block.
    first_epoch: BlockNumber,
    /// Height of the L1 origin of the last block.
    last_epoch: BlockNumber,
    /// Second of the first block.
    timestamp: u64,
    block_time: u64,
    /// Which blocks have another L1 origin than the block before.
    origin_bits: Bits,
    /// Number of transactions of all blocks up to and including the one at the index.
    ends: Vec<u32>,
    /// EIP-2718 encodings of all blocks, without the deposits.
    transactions: Vec<Bytes>,
}

/// One block of a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanBlock<'a> {
    /// Height of the L1 origin.
    pub epoch_number: BlockNumber,
    /// Whether the block before has another L1 origin.
    pub advances: bool,
    /// Second of the block.
    pub timestamp: u64,
    /// EIP-2718 encodings, without the deposits.
    pub transactions: &'a [Bytes],
}

impl SpanBatch {
    /// Decodes what follows the version byte. Bytes behind the batch do not count.
    pub(super) fn decode(
        reader: &mut Reader<'_>,
        context: &SpanContext,
    ) -> Result<Self, BatchError> {
        let relative_timestamp = reader.varint()?;
        let last_epoch = reader.varint()?;
        let parent_check = FixedBytes::new(reader.array()?);
        let origin_check = FixedBytes::new(reader.array()?);

        let count = elements(reader.varint()?)?;
        if count == 0 {
            return Err(BatchError::NoBlocks);
        }
        let origin_bits = reader.bits(count)?;
        // Every count takes a byte at least.
        if count > reader.len() {
            return Err(BatchError::Truncated);
        }
        let mut total = 0_u64;
        let mut ends = Vec::with_capacity(count);
        for _ in 0..count {
            // The sum is at most the limit twice, which a u64 holds.
            total += elements(reader.varint()?)? as u64;
            ends.push(u32::try_from(elements(total)?).map_err(|_| BatchError::TooManyElements)?);
        }
        let transactions = transactions::decode(reader, elements(total)?, context.chain_id)?;

        let timestamp = context
            .genesis_timestamp
            .checked_add(relative_timestamp)
            .ok_or(BatchError::OutOfRange)?;
        (count as u64)
            .checked_mul(context.block_time)
            .and_then(|length| timestamp.checked_add(length))
            .ok_or(BatchError::OutOfRange)?;
        // Bit 0 says whether the first block left the origin of the block before the span.
        let advances = origin_bits.count() - usize::from(origin_bits.get(0));
        let first_epoch = last_epoch
            .checked_sub(advances as u64)
            .ok_or(BatchError::OutOfRange)?;
        Ok(Self {
            parent_check,
            origin_check,
            first_epoch,
            last_epoch,
            timestamp,
            block_time: context.block_time,
            origin_bits,
            ends,
            transactions,
        })
    }

    /// Number of blocks, which is not zero.
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no blocks, which never is.
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Height of the L1 origin of the first block.
    pub const fn first_epoch(&self) -> BlockNumber {
        self.first_epoch
    }

    /// Height of the L1 origin of the last block.
    pub const fn last_epoch(&self) -> BlockNumber {
        self.last_epoch
    }

    /// Second of the first block.
    pub const fn first_timestamp(&self) -> u64 {
        self.timestamp
    }

    /// Second of the last block.
    pub const fn last_timestamp(&self) -> u64 {
        // The second after the last block was found to be in range when the batch was decoded.
        self.timestamp + (self.ends.len() as u64 - 1) * self.block_time
    }

    /// Whether `hash` may be that of the block before the first.
    pub fn follows(&self, hash: B256) -> bool {
        hash.starts_with(self.parent_check.as_slice())
    }

    /// Whether `hash` may be that of the L1 origin of the last block.
    pub fn ends_at_origin(&self, hash: B256) -> bool {
        hash.starts_with(self.origin_check.as_slice())
    }

    /// The blocks in order.
    pub fn blocks(&self) -> impl Iterator<Item = SpanBlock<'_>> {
        let mut position = self.first();
        std::iter::from_fn(move || self.advance(&mut position))
    }

    const fn first(&self) -> Position {
        Position {
            index: 0,
            start: 0,
            epoch_number: self.first_epoch,
            timestamp: self.timestamp,
        }
    }

    /// The block at `position`, which moves on behind it.
    fn advance(&self, position: &mut Position) -> Option<SpanBlock<'_>> {
        let end = *self.ends.get(position.index)? as usize;
        let advances = self.origin_bits.get(position.index);
        if position.index > 0 {
            position.epoch_number += u64::from(advances);
            position.timestamp += self.block_time;
        }
        let transactions = self.transactions.get(position.start..end);
        position.index += 1;
        position.start = end;
        Some(SpanBlock {
            epoch_number: position.epoch_number,
            advances,
            timestamp: position.timestamp,
            transactions: transactions.unwrap_or_default(),
        })
    }
}

/// How far a span was read.
#[derive(Clone, Copy, Debug)]
struct Position {
    /// The block that comes next.
    index: usize,
    /// Its first transaction.
    start: usize,
    /// Of the block before.
    epoch_number: BlockNumber,
    /// Of the block before.
    timestamp: u64,
}

/// The blocks of a span, made one at a time: a span of a few bytes may have millions.
#[derive(Clone, Debug)]
pub(in crate::derive) struct SpanBlocks {
    span: SpanBatch,
    position: Position,
}

impl SpanBlocks {
    /// The blocks after the second `timestamp`.
    pub(in crate::derive) fn after(span: SpanBatch, timestamp: u64) -> Self {
        let (mut position, mut next) = (span.first(), span.first());
        while let Some(block) = span.advance(&mut next)
            && block.timestamp <= timestamp
        {
            position = next;
        }
        Self { span, position }
    }

    /// The next block, which stays the next.
    pub(in crate::derive) fn peek(&self) -> Option<SpanBlock<'_>> {
        let mut position = self.position;
        self.span.advance(&mut position)
    }

    /// The next block.
    pub(in crate::derive) fn next(&mut self) -> Option<SpanBlock<'_>> {
        self.span.advance(&mut self.position)
    }
}

/// A number of blocks or transactions that a span may have.
fn elements(count: u64) -> Result<usize, BatchError> {
    usize::try_from(count)
        .ok()
        .filter(|_| count <= MAX_SPAN_BATCH_ELEMENTS)
        .ok_or(BatchError::TooManyElements)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{b256, hex, keccak256};

    use super::*;

    /// Made by op-node: `testdata/raw_batch.hex` of kona-protocol 0.4.5.
    const SPAN: &[u8] = include_bytes!("../../../testdata/derive/span_batch.bin");

    fn decode(bytes: &[u8]) -> Result<SpanBatch, BatchError> {
        let context = SpanContext {
            chain_id: 28,
            genesis_timestamp: 0,
            block_time: 2,
        };
        SpanBatch::decode(&mut Reader::new(bytes), &context)
    }

    /// The expected values are those of kona-protocol 0.4.5.
    #[test]
    fn a_batch_of_op_node_is_read() {
        let batch = decode(SPAN).unwrap();
        assert_eq!(batch.len(), 4);
        assert_eq!(
            batch.parent_check,
            hex!("01ddf682e2f8a6f10c2207e02322897e65317196")
        );
        assert_eq!(
            batch.origin_check,
            hex!("8527cdb6f601acf9b483817abd1da92790c92b19")
        );
        let mut facts = Vec::new();
        for block in batch.blocks() {
            facts.extend_from_slice(&block.epoch_number.to_be_bytes());
            facts.extend_from_slice(&block.timestamp.to_be_bytes());
            facts.extend_from_slice(&(block.transactions.len() as u64).to_be_bytes());
        }
        assert_eq!(
            keccak256(facts),
            b256!("4225f8cbf61102764403ac9db3d6601dfd8550d2f9762da6e7b31e90e9b16272")
        );
        assert_eq!(
            keccak256(batch.transactions.concat()),
            b256!("08d8526c171d56531bb0ad15d9dc6129bb443ec5f9be2dc7688f9b9877f83608")
        );
        assert_eq!(batch.first_timestamp(), 1_639_845_645);
        assert_eq!(batch.last_timestamp(), 1_639_845_651);
        assert_eq!(batch.first_epoch(), 16_988_980_031_808_077_782);
        assert_eq!(batch.last_epoch(), 16_988_980_031_808_077_784);
    }

    #[test]
    fn a_batch_that_is_cut_off_is_none() {
        for end in 0..SPAN.len() {
            assert!(decode(&SPAN[..end]).is_err(), "{end}");
        }
        // What follows a batch does not count.
        assert_eq!(decode(&[SPAN, &[1, 2, 3]].concat()), decode(SPAN));
    }

    #[test]
    fn a_span_cannot_be_made_to_claim_memory() {
        let head = [&[1, 1][..], &[0; 40]].concat();
        for (counts, error) in [
            (&[0][..], BatchError::NoBlocks),
            // 10,000,000 blocks and 10,000,001.
            (&[0x80, 0xad, 0xe2, 0x04], BatchError::Truncated),
            (&[0x81, 0xad, 0xe2, 0x04], BatchError::TooManyElements),
            // One block of 10,000,000 transactions and one of 10,000,001.
            (&[1, 0, 0x80, 0xad, 0xe2, 0x04], BatchError::Truncated),
            (&[1, 0, 0x81, 0xad, 0xe2, 0x04], BatchError::TooManyElements),
            // An origin before the first L1 block: three changes up to height 1.
            (&[3, 7, 0, 0, 0], BatchError::OutOfRange),
        ] {
            let bytes = [&head, counts].concat();
            assert_eq!(decode(&bytes), Err(error), "{counts:x?}");
        }
    }
}
