use alloy_primitives::BlockNumber;
use async_trait::async_trait;
use auto_impl::auto_impl;

use super::BoxError;
use crate::{L2Block, Verdict};

/// Gives verdicts on blocks.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait BlockValidator: Send + Sync {
    /// Checks every rule of `block` that this validator knows.
    ///
    /// `Ok(Verdict::Invalid)` accuses the block. `Err` means no verdict, and nothing that accuses
    /// anybody may follow from it.
    async fn validate(&self, block: &L2Block) -> Result<Verdict, ValidateError>;
}

/// Why there is no verdict.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// What execution needs is not all there; another try or another source may have it.
    #[error("what block {block} needs is incomplete")]
    Incomplete {
        /// Height of the block.
        block: BlockNumber,
        /// The missing part.
        #[source]
        source: BoxError,
    },
    /// The rules of the block are not known to this version.
    #[error("the rules of block {block} are not known")]
    Unsupported {
        /// Height of the block.
        block: BlockNumber,
        /// Which rule.
        #[source]
        source: BoxError,
    },
    /// The validator itself failed.
    #[error("validation of block {block} did not finish")]
    Internal {
        /// Height of the block.
        block: BlockNumber,
        /// What failed.
        #[source]
        source: BoxError,
    },
}

impl ValidateError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Incomplete { .. })
    }
}
