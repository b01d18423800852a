use async_trait::async_trait;
use auto_impl::auto_impl;

use super::BoxError;
use crate::{Bn254, Curve, Domain, OperatorId, SignedStatement, Statement};

/// Holds an operator's BLS key, in the process or elsewhere.
#[async_trait]
#[auto_impl(&, Arc, Box)]
pub trait StatementSigner<C: Curve = Bn254>: Send + Sync {
    /// Whose key it is.
    fn operator(&self) -> OperatorId;

    /// Signs the digest of `statement` in `domain`, which the signer computes itself.
    ///
    /// The same statement gives the same signature.
    async fn sign(
        &self,
        statement: &Statement,
        domain: &Domain,
    ) -> Result<SignedStatement<C>, SignError>;
}

/// Why there is no signature.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key could not be used.
    #[error("the key could not be used")]
    Backend(#[source] BoxError),
}

impl SignError {
    /// Whether a later try may succeed.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Backend(_))
    }
}
