use alloy_primitives::{B256, BlockNumber, ChainId};
use async_trait::async_trait;
use auto_impl::auto_impl;

use super::BoxError;
use crate::{BlockError, BlockRef, L2Block};

/// How settled a block is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum L2Head {
    /// Newest block that the sequencer published.
    #[default]
    Unsafe,
    /// Newest block that follows from data on L1.
    Safe,
    /// Newest block that follows from finalized data on L1.
    Finalized,
}

/// Where published blocks come from.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait L2Source: Send + Sync {
    /// EIP-155 id of the rollup.
    fn chain_id(&self) -> ChainId;

    /// Newest block at the given confidence.
    async fn head(&self, head: L2Head) -> Result<BlockRef, SourceError>;

    /// The block at this height.
    ///
    /// Errors: [`SourceError::NotYet`] above the head, [`SourceError::HashMismatch`] if the header
    /// does not hash to what the source says.
    async fn block(&self, number: BlockNumber) -> Result<L2Block, SourceError>;
}

/// Why a source has no block.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The block lies above the head of the source.
    #[error("block {0} is not available yet")]
    NotYet(BlockNumber),
    /// The source does not hold the block and will not.
    #[error("block {0} is not held by this source")]
    NotHeld(BlockNumber),
    /// The source contradicts itself about a hash.
    #[error("block {number} hashes to {computed}, the source says {claimed}")]
    HashMismatch {
        /// Height of the block.
        number: BlockNumber,
        /// Hash of the header that was sent.
        computed: B256,
        /// Hash that the source says.
        claimed: B256,
    },
    /// The source answers for another chain.
    #[error("the source is on chain {actual}, expected chain {expected}")]
    WrongChain {
        /// Chain that was asked for.
        expected: ChainId,
        /// Chain that answers.
        actual: ChainId,
    },
    /// The bytes are not a block.
    #[error("block {number} cannot be decoded")]
    Block {
        /// Height of the block.
        number: BlockNumber,
        /// Which part, and why.
        #[source]
        source: BlockError,
    },
    /// A field of the answer is missing, mistyped or out of bounds.
    #[error("block {number}: {field} is malformed")]
    Malformed {
        /// Height of the block.
        number: BlockNumber,
        /// Name of the field.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// The request did not get through.
    #[error("source request failed")]
    Backend(#[source] BoxError),
}

impl SourceError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::NotYet(_) | Self::Backend(_))
    }
}
