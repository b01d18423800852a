use alloy_primitives::{B256, BlockNumber, ChainId};
use mach_core::BlockRef;

use crate::{SpecError, Unsupported, op::L1Error};

/// Why it is not known what follows from L1. Nothing that accuses anybody may follow from it.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeriveError {
    /// What L1 says of a block is not understood.
    #[error("what L1 says of the next block is not known")]
    L1(#[from] L1Error),
    /// An L1 block came that does not follow the one before: L1 was reorganised, or the source
    /// changed its mind. Derivation starts again from a block whose L1 origin is still there.
    #[error("L1 block {block} does not follow {parent}")]
    L1Reorg {
        /// The block that came.
        block: BlockRef,
        /// The L1 block before, which is not its parent.
        parent: B256,
    },
    /// A block differs from what follows, but the L1 block that decides it is not final.
    #[error("L1 block {0}, which decides the next block, is not final yet")]
    Unsettled(BlockRef),
    /// A block is not what L1 decides, and its node does not, or no longer, call it safe: it may be
    /// left over from an L1 that was reorganised, or from before its sequencer replaced it.
    #[error("block {0} is not, or no longer, served as safe")]
    Orphaned(BlockRef),
    /// L1 has another block where the one was that decided the next block: it was reorganised.
    #[error("L1 has block {block}, the next block was decided by {inclusion}")]
    L1Replaced {
        /// The block that is there.
        block: BlockRef,
        /// The block that was there.
        inclusion: BlockRef,
    },
    /// L1 has another block where the L1 origin of the last derived block was.
    #[error("L1 has block {block}, the L1 origin was {origin}")]
    WrongOrigin {
        /// The block that came.
        block: BlockRef,
        /// The L1 origin of the last derived block.
        origin: BlockRef,
    },
    /// An L1 block came out of turn.
    #[error("L1 block {actual} came, {expected:?} is next")]
    WrongL1Block {
        /// Height that is next, if any is.
        expected: Option<BlockNumber>,
        /// Height that came.
        actual: BlockNumber,
    },
    /// Hash, body or receipts of a block are not those of its header.
    #[error("{1} of block {0} is not that of its header")]
    Body(BlockRef, &'static str),
    /// A blob is missing or is another one.
    #[error("L1 block {block}: blob {hash} is missing")]
    Blob {
        /// Height of the L1 block.
        block: BlockNumber,
        /// Versioned hash of the blob that is needed.
        hash: B256,
    },
    /// A block came that is not the parent of the blocks before.
    #[error("block {0} is not the ancestor that was asked for")]
    WrongAncestor(BlockRef),
    /// A block came that does not follow the one that was derived last.
    #[error("block {block} does not follow {parent}")]
    WrongParent {
        /// The block that came.
        block: BlockRef,
        /// The block before.
        parent: BlockRef,
    },
    /// There is no derived block to compare with.
    #[error("block {0} is not derived yet")]
    NotYet(BlockNumber),
    /// A block differs from what follows, but a batch before it contradicted derived blocks, named L1
    /// blocks behind its own or made no sense ([`BatchError::is_disputed`](super::BatchError::is_disputed)),
    /// which not all versions of op-node and kona treat alike.
    #[error("a batch in L1 block {0} is one that implementations do not treat alike")]
    Conflict(BlockNumber),
    /// Whether the batch or what replaces it counts depends on whether its transactions can be
    /// executed.
    #[error("block {0} matches what replaces a batch that cannot be executed")]
    Replaced(BlockNumber),
    /// Before Holocene, batches of 1 GB were posted up to this L1 block whose time has not come. The
    /// protocol permits it, and they are not kept.
    #[error("L1 up to block {0} has more batches ahead of their time than are kept")]
    TooFarAhead(BlockRef),
    /// A batch of one block with more transactions than any block can execute is complete in this L1
    /// block. The protocol permits it, and it is not read.
    #[error("L1 block {0} has a batch of more transactions than are read")]
    TooManyTransactions(BlockRef),
    /// The rules of the rollup are not known.
    #[error("the rules of derivation are not known")]
    Unsupported(#[from] Unsupported),
    /// The configuration of the rollup lacks what its rules need.
    #[error(transparent)]
    Config(#[from] SpecError),
    /// The rollup's data is not on L1.
    #[error("the rollup posts its data elsewhere than to L1")]
    AltDa,
    /// The L1 of the rollup, the chain with this id, is a rollup itself, whose receipts and deposits are
    /// not read.
    #[error("chain {0}, the L1 of the rollup, is a rollup itself")]
    NestedL1(ChainId),
}

impl DeriveError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::L1(error) => error.is_transient(),
            Self::Body(..)
            | Self::Blob { .. }
            | Self::NotYet(_)
            | Self::Unsettled(_)
            | Self::Orphaned(_) => true,
            _ => false,
        }
    }
}
