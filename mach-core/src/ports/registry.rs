use async_trait::async_trait;
use auto_impl::auto_impl;

use super::BoxError;
use crate::{Bn254, Curve, OperatorSet, QuorumNumbers};

/// Knows who is an operator, with which keys and how much stake.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait OperatorRegistry<C: Curve = Bn254>: Send + Sync {
    /// Members of `quorums` with keys and stakes at L1 block `reference_block`.
    async fn operator_set(
        &self,
        quorums: &QuorumNumbers,
        reference_block: u32,
    ) -> Result<OperatorSet<C>, RegistryError>;
}

/// Why an operator set is not known.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry has no such quorum at that block.
    #[error("quorum {quorum} does not exist at L1 block {reference_block}")]
    UnknownQuorum {
        /// Number of the quorum.
        quorum: u8,
        /// L1 block.
        reference_block: u32,
    },
    /// The registry answers with something that cannot be.
    #[error("the operator registry's answer is malformed")]
    Malformed(#[source] BoxError),
    /// The request did not get through.
    #[error("operator registry request failed")]
    Backend(#[source] BoxError),
}

impl RegistryError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Backend(_))
    }
}
