//! Why L1 gives no verdict on a block.

use alloy_primitives::{B256, BlockNumber};
use mach_core::BlockRef;

use super::{AttributesError, DepositError, ReceiptsError};
use crate::Unsupported;

/// Why what L1 says of a block is not known. Nothing that accuses anybody may follow from it.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum L1Error {
    /// The parent does not say its own L1 origin.
    #[error("parent {block} says no L1 origin")]
    Parent {
        /// Height of the parent.
        block: BlockNumber,
        /// What is wrong with its first transaction.
        #[source]
        source: AttributesError,
    },
    /// The block at the height of the genesis is not the genesis.
    #[error("the genesis of the rollup is {expected}, not {actual}")]
    Genesis {
        /// Hash in the configuration.
        expected: B256,
        /// Hash of the block.
        actual: B256,
    },
    /// The `extraData` of the parent is not of the form that its fork demands.
    #[error("extraData of parent {0} is malformed")]
    ParentExtraData(BlockNumber),
    /// A block cannot have this L1 origin on a parent with that one.
    #[error("L1 origin {origin} does not follow {parent}")]
    Origin {
        /// The L1 origin of the block.
        origin: BlockRef,
        /// The L1 origin of the parent.
        parent: BlockRef,
    },
    /// The block stands on another parent.
    #[error("the block stands on {expected}, not on {actual}")]
    WrongParent {
        /// The block's `parentHash`.
        expected: B256,
        /// Hash of the parent that is known.
        actual: B256,
    },
    /// The L1 block at the height of the claimed L1 origin is needed.
    #[error("L1 block {0} is missing")]
    MissingOrigin(BlockNumber),
    /// The first block with an L1 origin needs its receipts.
    #[error("receipts of L1 block {0} are missing")]
    MissingReceipts(BlockNumber),
    /// Whether the block should have moved on needs the next L1 block.
    #[error("L1 block {0} is missing")]
    MissingNext(BlockNumber),
    /// The block contradicts an L1 block that may still be replaced.
    #[error("L1 block {0} is not settled yet")]
    Unsettled(BlockNumber),
    /// The block contradicts L1 as it is now, and its node does not, or no longer, call it safe: it
    /// may be left over from an L1 that was reorganised.
    #[error("block {0} is not, or no longer, served as safe")]
    Orphaned(BlockRef),
    /// The receipts are not those of the L1 block.
    #[error("receipts of L1 block {block} are not usable")]
    Receipts {
        /// Height of the L1 block.
        block: BlockNumber,
        /// What is wrong with them.
        #[source]
        source: ReceiptsError,
    },
    /// A deposit is not understood.
    #[error("a deposit is not understood")]
    Deposit(#[from] DepositError),
    /// A change of the configuration on L1 is not understood.
    #[error("change of the configuration in log {log} of the L1 block: {reason}")]
    ConfigUpdate {
        /// Index of the log in its block.
        log: u64,
        /// What is not understood.
        reason: &'static str,
    },
    /// The scalar of the configuration has a version that is not known.
    #[error("scalar {0} of the configuration is not understood")]
    Scalar(B256),
    /// The upgrade transactions of a fork are not known.
    #[error("upgrade transactions of {0} are not known")]
    UnknownUpgrade(&'static str),
    /// Rules are not known.
    #[error("rules of L1 or of the rollup are not known")]
    Unsupported(#[from] Unsupported),
}

impl L1Error {
    /// Whether a later try, or another source, may know.
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::MissingOrigin(_)
                | Self::MissingReceipts(_)
                | Self::MissingNext(_)
                | Self::Unsettled(_)
                | Self::Orphaned(_)
                | Self::Receipts { .. }
                | Self::Origin { .. }
        )
    }
}
