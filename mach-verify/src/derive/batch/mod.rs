//! Batches: what a channel says about blocks.

mod channel;
mod singular;
mod span;
mod transactions;

pub(super) use channel::BatchReader;
pub use singular::SingularBatch;
pub(super) use span::SpanBlocks;
pub use span::{SpanBatch, SpanBlock};

use super::{
    decompress::{ChannelRules, decompress},
    reader::Reader,
};

/// Most blocks, and most transactions, of one span batch.
pub const MAX_SPAN_BATCH_ELEMENTS: u64 = 10_000_000;

/// What a span batch leaves out because the chain knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanContext {
    /// EIP-155 id of the rollup.
    pub chain_id: u64,
    /// Second of the rollup's genesis block.
    pub genesis_timestamp: u64,
    /// Seconds from one block to the next.
    pub block_time: u64,
}

/// What the batcher says about one block, or about a span of them.
///
/// Source: <https://specs.optimism.io/protocol/derivation.html#batch-format>
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Batch {
    /// One block.
    Singular(SingularBatch),
    /// Consecutive blocks (Delta).
    Span(SpanBatch),
}

impl Batch {
    /// Decodes a version byte and a batch of that version.
    ///
    /// Errors: [`BatchError`]; then the batch is ignored.
    pub fn decode(bytes: &[u8], context: &SpanContext) -> Result<Self, BatchError> {
        match bytes {
            [0, content @ ..] => SingularBatch::decode(content).map(Self::Singular),
            [1, content @ ..] => {
                SpanBatch::decode(&mut Reader::new(content), context).map(Self::Span)
            }
            [version, ..] => Err(BatchError::Version(*version)),
            [] => Err(BatchError::Truncated),
        }
    }

    /// The batches in the data of a channel, up to the first that is broken.
    ///
    /// At most `max_bytes` of what comes out of the decompression count; Brotli counts if `brotli`
    /// says so (Fjord).
    ///
    /// Source: <https://specs.optimism.io/protocol/derivation.html#channel-format>
    pub fn read_channel(
        channel: &[u8],
        max_bytes: usize,
        brotli: bool,
        context: &SpanContext,
    ) -> Vec<Self> {
        let rules = ChannelRules { max_bytes, brotli };
        let Some(data) = decompress(channel, rules) else {
            return Vec::new();
        };
        let mut reader = BatchReader::new(data);
        std::iter::from_fn(|| reader.next(context)?.ok()).collect()
    }
}

impl BatchError {
    /// Whether implementations do not agree on what a span does to the rest of its channel: op-node skips
    /// one that has all its parts and makes no sense, and kona ends the channel; op-node ends it at
    /// a transaction that is too long, and kona takes the span.
    pub const fn is_disputed(&self) -> bool {
        self.is_whole() || matches!(self, Self::TransactionTooLong(_))
    }

    /// Whether a span has all its parts, and makes no sense.
    pub(in crate::derive) const fn is_whole(&self) -> bool {
        matches!(
            self,
            Self::TransactionType(_) | Self::Transaction(_) | Self::OutOfRange
        )
    }
}

/// Why bytes are not a batch.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The batch ends too early.
    #[error("the batch ends too early")]
    Truncated,
    /// The version byte is not known.
    #[error("version {0} of batches is not known")]
    Version(u8),
    /// A singular batch is not the list that it has to be.
    #[error("the batch is not valid RLP")]
    Rlp(#[from] alloy_rlp::Error),
    /// A singular batch has more transactions than are read. op-node reads them.
    #[error("the batch has too many transactions")]
    TooManyTransactions,
    /// A number has more than 64 bits.
    #[error("a number has more than 64 bits")]
    Varint,
    /// A bitlist has bits past its end.
    #[error("a bitlist has bits past its end")]
    Bitlist,
    /// A span batch has no blocks.
    #[error("the span has no blocks")]
    NoBlocks,
    /// A span batch has more than [`MAX_SPAN_BATCH_ELEMENTS`] blocks or transactions.
    #[error("the span has too many blocks or transactions")]
    TooManyElements,
    /// A time or height of a span batch is no 64-bit number.
    #[error("a time or height of the span is out of range")]
    OutOfRange,
    /// A transaction of a span batch has more bytes than op-node reads.
    #[error("transaction {0} is too long")]
    TransactionTooLong(usize),
    /// A transaction of a span batch has a type that span batches cannot hold.
    #[error("a transaction has type {0:#04x}")]
    TransactionType(u8),
    /// A transaction of a span batch is not what its type says.
    #[error("transaction {0} is malformed")]
    Transaction(usize),
}
