use alloy_primitives::{B256, BlockNumber, ChainId};
use async_trait::async_trait;
use auto_impl::auto_impl;

use super::BoxError;
use crate::{Domain, Statement};

/// Keeps an operator from contradicting itself.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait SigningGuard: Send + Sync {
    /// Records that `statement` is about to be signed in `domain`.
    ///
    /// For one domain, rollup and height, one block hash is attested for ever, and a block is
    /// either attested or alerted. The same statement is permitted again and again.
    ///
    /// Errors: [`GuardError`]; nothing may be signed then.
    async fn permit(&self, statement: &Statement, domain: &Domain) -> Result<(), GuardError>;
}

/// Why a statement may not be signed.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Another statement about the same height was signed before.
    #[error("block {number} of rollup {rollup_chain_id}: statement {earlier} was signed before")]
    Contradiction {
        /// Rollup of both statements.
        rollup_chain_id: ChainId,
        /// Height of both statements.
        number: BlockNumber,
        /// Digest of the earlier statement.
        earlier: B256,
    },
    /// The record could not be read or written.
    #[error("the record of signatures is not available")]
    Backend(#[source] BoxError),
}

impl GuardError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Backend(_))
    }
}
